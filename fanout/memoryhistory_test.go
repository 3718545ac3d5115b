package fanout_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/fanout/fanouttest"
)

const manyBytes = 64 << 20

// keeping returns a started broker that keeps publications in every room.
func keeping(t *testing.T, keep fanout.Retention, most int64, sink fanout.Sink) *fanout.MemoryHistory {
	t.Helper()
	m := fanout.NewMemoryHistory(func(string) fanout.Retention { return keep }, most)
	if err := m.Start(sink); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// read asks for a page; the broker answers before it returns unless somebody is just publishing.
func read(t *testing.T, m *fanout.MemoryHistory, room string, q fanout.Query) fanout.Page {
	t.Helper()
	answer := make(chan fanout.Page, 1)
	m.History(room, q, func(page fanout.Page, err error) {
		if err != nil {
			t.Errorf("History: %v", err)
		}
		answer <- page
	})
	select {
	case page := <-answer:
		return page
	case <-time.After(10 * time.Second):
		t.Fatal("History was not answered")
		panic("unreachable")
	}
}

func TestMemoryHistoryIsABroker(t *testing.T) {
	fanouttest.RunBroker(t, func(*testing.T) fanout.Broker {
		return fanout.NewMemoryHistory(func(string) fanout.Retention { return fanout.Retention{Size: 10, TTL: time.Hour} }, manyBytes)
	}, fanouttest.DeliversAll)
}

func TestMemoryHistoryPages(t *testing.T) {
	m := keeping(t, fanout.Retention{Size: 5, TTL: time.Hour}, manyBytes, &countingSink{})
	start := read(t, m, "r", fanout.Query{}).Position
	for i := range 8 {
		m.Publish(&fanout.Publication{Room: "r", Data: bytes.Repeat([]byte{'x'}, 10), Time: int64(i + 1)}, nil)
	}
	at := func(offset uint64) fanout.Position { return fanout.Position{Epoch: start.Epoch, Offset: offset} }
	for _, c := range []struct {
		name        string
		q           fanout.Query
		first, last uint64 // 0 = none
		complete    bool
	}{
		{name: "position only", q: fanout.Query{}},
		{name: "the newest", q: fanout.Query{Limit: 2}, first: 7, last: 8},
		{name: "all that is kept", q: fanout.Query{Limit: 100}, first: 4, last: 8},
		{name: "the newest within bytes", q: fanout.Query{Limit: 100, Bytes: 35}, first: 6, last: 8},
		{name: "one whatever it holds", q: fanout.Query{Limit: 100, Bytes: 1}, first: 8, last: 8},
		{name: "since", q: fanout.Query{HasSince: true, Since: at(5), Limit: 100}, first: 6, last: 8, complete: true},
		{name: "since the oldest kept", q: fanout.Query{HasSince: true, Since: at(3), Limit: 5}, first: 4, last: 8, complete: true},
		{name: "since before that", q: fanout.Query{HasSince: true, Since: at(2), Limit: 100}, first: 4, last: 8},
		{name: "since now", q: fanout.Query{HasSince: true, Since: at(8), Limit: 100}, complete: true},
		{name: "since now, position only", q: fanout.Query{HasSince: true, Since: at(8)}, complete: true},
		{name: "since the future", q: fanout.Query{HasSince: true, Since: at(9), Limit: 100}, first: 4, last: 8},
		{name: "another epoch", q: fanout.Query{HasSince: true, Since: fanout.Position{Epoch: "x", Offset: 7}, Limit: 100}, first: 4, last: 8},
		{name: "cut by limit", q: fanout.Query{HasSince: true, Since: at(5), Limit: 2}, first: 6, last: 7},
		{name: "cut by bytes", q: fanout.Query{HasSince: true, Since: at(5), Limit: 100, Bytes: 25}, first: 6, last: 7},
		{name: "cut by bytes to one", q: fanout.Query{HasSince: true, Since: at(5), Limit: 100, Bytes: 1}, first: 6, last: 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			page := read(t, m, "r", c.q)
			var first, last uint64
			if n := len(page.Publications); n > 0 {
				first, last = page.Publications[0].Position.Offset, page.Publications[n-1].Position.Offset
			}
			if first != c.first || last != c.last || page.Complete != c.complete || page.Position != at(8) {
				t.Errorf("%d to %d, complete %v, at %v; want %d to %d, %v", first, last, page.Complete, page.Position, c.first, c.last, c.complete)
			}
		})
	}
}

func TestMemoryHistoryForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := keeping(t, fanout.Retention{Size: 5, TTL: time.Minute}, manyBytes, &countingSink{})
		m.Publish(&fanout.Publication{Room: "r", Data: []byte("1")}, nil)
		time.Sleep(50 * time.Second)
		first := read(t, m, "r", fanout.Query{Limit: 5})
		if len(first.Publications) != 1 {
			t.Errorf("%d publications are kept after 50 s, want 1", len(first.Publications))
		}
		time.Sleep(11 * time.Second)
		second := read(t, m, "r", fanout.Query{HasSince: true, Since: first.Position, Limit: 5})
		if len(second.Publications) != 0 || !second.Complete || second.Position != first.Position {
			t.Errorf("after 61 s %+v, want an empty page that follows", second)
		}
		time.Sleep(25 * time.Hour)
		if third := read(t, m, "r", fanout.Query{}); third.Position.Epoch == first.Position.Epoch {
			t.Error("the stream of a room that nobody asked for in a day has not ended")
		}
	})
}

func TestMemoryHistoryIsBounded(t *testing.T) {
	const most = 1 << 20
	m := keeping(t, fanout.Retention{Size: 100, TTL: time.Hour}, most, &countingSink{})
	data := make([]byte, 1000)
	for i := range 20_000 {
		m.Publish(&fanout.Publication{Room: fmt.Sprint("room.", i%1000), Data: data}, nil)
	}
	held := 0
	for i := range 1000 {
		held += 1160 * len(read(t, m, fmt.Sprint("room.", i), fanout.Query{Limit: 100}).Publications)
	}
	if held == 0 || held > most {
		t.Errorf("%d bytes are kept, want some and at most %d", held, most)
	}
}

func TestMemoryHistoryWithoutIt(t *testing.T) {
	m := fanout.NewMemoryHistory(func(string) fanout.Retention { return fanout.Retention{} }, manyBytes)
	sink := &countingSink{}
	for _, want := range []error{fanout.ErrClosed, fanout.ErrNoHistory} {
		m.History("r", fanout.Query{}, func(_ fanout.Page, err error) {
			if !errors.Is(err, want) {
				t.Errorf("History: %v, want %v", err, want)
			}
		})
		_ = m.Start(sink)
	}
	p := &fanout.Publication{Room: "r", Data: []byte("1")}
	if n := testing.AllocsPerRun(1000, func() { m.Publish(p, sink) }); n != 0 {
		t.Errorf("%v allocations a Publish in a room that keeps nothing, want 0", n)
	}
	if p.Position != (fanout.Position{}) {
		t.Errorf("its position is %v", p.Position)
	}
}

// orderSink checks that each room is heard in the order of its stream, by one goroutine at a time.
type orderSink struct {
	mu   sync.Mutex
	last map[string]uint64
	bad  string
}

func (s *orderSink) HandleGap(string, fanout.Position) {}
func (s *orderSink) HandlePublication(p *fanout.Publication) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Position.Offset != s.last[p.Room]+1 {
		s.bad = fmt.Sprintf("%s: %d came behind %d", p.Room, p.Position.Offset, s.last[p.Room])
	}
	s.last[p.Room] = p.Position.Offset
}

func TestMemoryHistoryKeepsOrder(t *testing.T) {
	sink := &orderSink{last: map[string]uint64{}}
	m := keeping(t, fanout.Retention{Size: 10, TTL: time.Hour}, manyBytes, sink)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for i := range 2000 {
				room := fmt.Sprint("r", i%3)
				m.Publish(&fanout.Publication{Room: room, Data: []byte("1")}, nil)
				m.History(room, fanout.Query{}, func(page fanout.Page, err error) {
					sink.mu.Lock()
					defer sink.mu.Unlock()
					if err != nil || sink.last[room] < page.Position.Offset {
						sink.bad = fmt.Sprintf("a page of %v, %v was answered when %d was heard", page.Position, err, sink.last[room])
					}
				})
			}
		})
	}
	all.Wait()
	if sink.bad != "" {
		t.Error(sink.bad)
	}
}
