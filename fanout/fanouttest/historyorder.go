package fanouttest

// The cases about histories while other things go on: the order of answers and publications, several nodes, the end.

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roost-ws/roost/fanout"
)

func twoNodesOneStream(t *testing.T, b *bench) {
	first, second := b.start(), b.start()
	first.subscribe("stream")
	second.subscribe("stream")
	var last fanout.Position
	for i := 1; i <= 20; i++ {
		n := []*node{first, second}[i%2]
		last = n.place(&fanout.Publication{Room: "stream", Data: strconv.AppendInt(nil, int64(i), 10)})
		if last.Offset != uint64(i) {
			t.Fatalf("publication %d is at %+v", i, last)
		}
	}
	for _, n := range []*node{first, second} {
		checkPage(t, "both nodes' publications", n.history("stream", since(at(last, 0))), 1, 20, true)
		for i, p := range n.recorder.wait(t, "stream", 20) {
			if p.Position != at(last, uint64(i+1)) || string(p.Data) != strconv.Itoa(i+1) {
				t.Errorf("heard %q at %+v as number %d", p.Data, p.Position, i+1)
			}
		}
	}
}

// crowd publishes in room from several goroutines until stop is called, which waits for them.
func (n *node) crowd(room string) (stop func()) {
	ended := make(chan struct{})
	var all sync.WaitGroup
	for publisher := range 3 {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-ended:
					return
				default:
				}
				time.Sleep(100 * time.Microsecond) // a rate, not a wait: some brokers are very fast
				p := &fanout.Publication{Room: room, From: strconv.Itoa(publisher), Data: strconv.AppendInt(nil, int64(i), 10)}
				if err := n.tryPublish(p); err != nil {
					n.t.Errorf("Publish: %v", err)
					return
				}
			}
		})
	}
	var once sync.Once
	return func() { once.Do(func() { close(ended); within(n.t, "Publish", all.Wait) }) }
}

// While a room is subscribed and publications come, members join it with a question: what the page has, and what is
// heard above its position, must be everything, once. The broker has to have delivered all that is not above the page's
// position when it answers.
func questionsWhilePublicationsCome(t *testing.T, b *bench) {
	const members = 200
	n := b.start()
	n.subscribe("crowd")
	stop := n.crowd("crowd")
	defer stop()
	n.recorder.wait(t, "crowd", 1)
	type joined struct {
		since, page fanout.Page
		heard       uint64 // the highest offset that was heard when the answer came
	}
	var joins []joined
	before := n.history("crowd", fanout.Query{})
	for range members {
		q := since(before.Position)
		answer := make(chan joined, 1)
		n.Broker.(fanout.History).History("crowd", q, func(page fanout.Page, err error) {
			if err != nil {
				t.Errorf("History: %v", err)
			}
			answer <- joined{page: page, heard: n.recorder.last("crowd")}
		})
		var j joined
		within(t, "History", func() { j = <-answer })
		j.since = before
		joins = append(joins, j)
		if rand.IntN(4) == 0 { // #nosec G404: some members know more than others
			before = j.page
		}
	}
	stop()
	last := n.history("crowd", fanout.Query{}).Position.Offset
	heard := n.recorder.wait(t, "crowd", int(last)) // #nosec G115: it is small
	for i, p := range heard {
		if p.Position.Offset != uint64(i+1) {
			t.Fatalf("offset %d is heard as number %d", p.Position.Offset, i+1)
		}
	}
	for i, j := range joins {
		what := fmt.Sprintf("member %d, since %d", i, j.since.Position.Offset)
		if j.heard < j.page.Position.Offset {
			t.Errorf("%s: the page is of %d, heard was no more than %d", what, j.page.Position.Offset, j.heard)
		}
		if !j.page.Complete || uint64(len(j.page.Publications)) != j.page.Position.Offset-j.since.Position.Offset {
			t.Fatalf("%s: %d publications up to %d, complete %v", what, len(j.page.Publications), j.page.Position.Offset, j.page.Complete)
		}
		for k, p := range j.page.Publications {
			live := heard[j.since.Position.Offset+uint64(k)]
			if p.Position != live.Position || p.From != live.From || string(p.Data) != string(live.Data) {
				t.Fatalf("%s: the page has %q at %+v, heard was %q at %+v", what, p.Data, p.Position, live.Data, live.Position)
			}
		}
	}
}

// A room is subscribed, asked for its history and left, again and again. From the page's position on everything is heard.
func joinsWhilePublicationsCome(t *testing.T, b *bench) {
	const rounds = 50
	publisher := b.start()
	listener := publisher
	if b.oneBus {
		listener = b.start()
	}
	stop := publisher.crowd("joins")
	defer stop()
	for round := range rounds {
		listener.subscribe("joins")
		from := len(listener.recorder.in("joins"))
		page := listener.history("joins", fanout.Query{Limit: 5, Bytes: 1 << 20})
		waitUntil(t, "publications above the page are heard", func() bool {
			return listener.recorder.last("joins") > page.Position.Offset+5
		})
		listener.Unsubscribe("joins")
		heard := listener.recorder.in("joins")[from:]
		next := page.Position.Offset + 1
		for _, p := range heard {
			if p.Position.Offset == next && p.Position.Epoch == page.Position.Epoch {
				next++
			} else if p.Position.Offset > next {
				t.Fatalf("round %d: the page is of %d, and %d is heard where %d is due", round, page.Position.Offset, p.Position.Offset, next)
			}
		}
	}
}

// waitUntil waits until condition holds.
func waitUntil(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for late := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func questionsWhileClosing(t *testing.T, b *bench) {
	const count = 200
	n := b.start()
	n.fill("closing", 3)
	var outcomes []*outcome
	halfway := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for i := range count {
			if i == count/2 {
				close(halfway)
			}
			done := newOutcome()
			outcomes = append(outcomes, done)
			n.Broker.(fanout.History).History("closing", since(fanout.Position{}), func(_ fanout.Page, err error) { done.tell(err) })
		}
	})
	<-halfway
	n.close()
	within(t, "History", all.Wait)
	for i, done := range outcomes {
		of := fmt.Sprintf("History %d", i)
		if err := done.mustCome(t, of); err != nil && !errors.Is(err, fanout.ErrClosed) && !errors.Is(err, fanout.ErrBusy) {
			t.Errorf("%s: %v", of, err)
		}
		b.atEnd(func() { done.checkOnce(t, of) })
	}
	after := newOutcome()
	n.Broker.(fanout.History).History("closing", fanout.Query{}, func(_ fanout.Page, err error) { after.tell(err) })
	if err := after.wait(); !errors.Is(err, fanout.ErrClosed) {
		t.Errorf("History after Close: %v, want ErrClosed", err)
	}
}

// askingSink asks about every publication that it hears.
type askingSink struct {
	*recorder
	broker   fanout.History
	answered atomic.Int64
	failed   atomic.Int64
}

// HandlePublication implements [fanout.Sink].
func (s *askingSink) HandlePublication(p *fanout.Publication) {
	s.recorder.HandlePublication(p)
	heard := p.Position
	s.broker.History(p.Room, fanout.Query{Limit: 1, Bytes: 1 << 20}, func(page fanout.Page, err error) {
		if err != nil || page.Position.Epoch != heard.Epoch || page.Position.Offset < heard.Offset {
			s.failed.Add(1)
		}
		s.answered.Add(1)
	})
}

func questionsFromTheSink(t *testing.T, b *bench) {
	const count = 50
	var sink *askingSink
	n := b.startWith(func(broker fanout.Broker) recordingSink {
		sink = &askingSink{recorder: newRecorder(), broker: broker.(fanout.History)}
		return sink
	})
	n.subscribe("asking")
	n.fill("asking", count)
	n.recorder.wait(t, "asking", count)
	waitUntil(t, "every question is answered", func() bool { return sink.answered.Load() == count })
	if failed := sink.failed.Load(); failed > 0 {
		t.Errorf("%d of %d answers are an error or behind what was heard", failed, count)
	}
}
