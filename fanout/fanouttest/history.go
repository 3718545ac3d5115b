package fanouttest

// The cases every fanout.History has to pass: what it keeps, and what a question to it finds.

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roost-ws/roost/fanout"
)

// HistoryBroker is what RunHistory tests: a broker that keeps publications.
type HistoryBroker interface {
	fanout.Broker
	fanout.History
}

// unkept begins the names of the rooms that keep nothing, in all cases about histories.
const unkept = "unkept."

// long is how long publications are kept in the cases that are not about that.
const long = 10 * time.Minute

// RunHistory runs all cases about histories, each as a subtest, in the manner of [RunBroker]. open returns a new broker,
// not yet started, that keeps what retention says.
func RunHistory(t *testing.T, open func(t *testing.T, retention func(room string) fanout.Retention) HistoryBroker, traits ...Trait) {
	t.Helper()
	cases := []struct {
		name  string
		size  int
		ttl   time.Duration
		run   func(t *testing.T, b *bench)
		needs Trait
	}{
		{name: "positions count from one", size: 50, run: positionsCount},
		{name: "since finds what is missing", size: 50, run: sinceFindsWhatIsMissing},
		{name: "trimmed by size", size: 5, run: trimmedBySize},
		{name: "trimmed by time", size: 50, ttl: 300 * time.Millisecond, run: trimmedByTime},
		{name: "since a place that never was", size: 50, run: sinceNowhere},
		{name: "limit", size: 50, run: limitOfAPage},
		{name: "bytes", size: 50, run: bytesOfAPage},
		{name: "newest", size: 20, run: newestPages},
		{name: "position alone", size: 50, run: positionAlone},
		{name: "nothing kept", size: 50, run: nothingKept},
		{name: "fields are kept", size: 50, run: fieldsAreKept},
		{name: "pages are the caller's", size: 50, run: pagesAreTheCallers},
		{name: "news of members are not kept", size: 50, run: newsOfMembersAreNotKept},
		{name: "hostile room names", size: 3, run: hostileHistories},
		{name: "two nodes, one stream", size: 50, run: twoNodesOneStream, needs: OneBus},
		{name: "questions while publications come", size: 5000, run: questionsWhilePublicationsCome},
		{name: "joins while publications come", size: 5000, run: joinsWhilePublicationsCome},
		{name: "questions while closing", size: 50, run: questionsWhileClosing},
		{name: "questions from the sink", size: 50, run: questionsFromTheSink},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.needs != 0 && !slices.Contains(traits, c.needs) {
				t.Skip("not for a broker with these traits")
			}
			kept := fanout.Retention{Size: c.size, TTL: c.ttl}
			if kept.TTL == 0 {
				kept.TTL = long
			}
			leaks := goleak.IgnoreCurrent()
			b := &bench{t: t, oneBus: slices.Contains(traits, OneBus), open: func(t *testing.T) fanout.Broker {
				return open(t, func(room string) fanout.Retention {
					if strings.HasPrefix(room, unkept) {
						return fanout.Retention{}
					}
					return kept
				})
			}}
			defer b.closeAll() // also when the case gives up
			c.run(t, b)
			b.closeAll()
			for _, check := range b.last {
				check()
			}
			goleak.VerifyNone(t, leaks)
		})
	}
}

// reply is an answer of History.
type reply struct {
	page fanout.Page
	err  error
}

// ask asks and returns where the answer will be, twice if it comes twice.
func (n *node) ask(room string, q fanout.Query) <-chan reply {
	answers := make(chan reply, 2)
	n.Broker.(fanout.History).History(room, q, func(page fanout.Page, err error) { answers <- reply{page, err} })
	return answers
}

// history asks and waits for the page.
func (n *node) history(room string, q fanout.Query) fanout.Page {
	n.t.Helper()
	select {
	case r := <-n.ask(room, q):
		if r.err != nil {
			n.t.Fatalf("History of %q: %v", room, r.err)
		}
		if r.page.Position.Epoch == "" {
			n.t.Fatalf("History of %q: the page has no epoch", room)
		}
		return r.page
	case <-time.After(patience):
		n.t.Fatalf("History of %q is not answered", room)
	}
	return fanout.Page{}
}

// since is a question for everything behind pos.
func since(pos fanout.Position) fanout.Query {
	return fanout.Query{Since: pos, HasSince: true, Limit: 10000, Bytes: 64 << 20}
}

// at is the place of the same epoch at another offset.
func at(pos fanout.Position, offset uint64) fanout.Position {
	return fanout.Position{Epoch: pos.Epoch, Offset: offset}
}

// placed is a completion that remembers the position.
type placed chan reply

// Published implements [fanout.Completion].
func (c placed) Published(pos fanout.Position, err error) {
	c <- reply{page: fanout.Page{Position: pos}, err: err}
}

// place publishes text and returns its position, again and again while the broker is busy.
func (n *node) place(p *fanout.Publication) fanout.Position {
	n.t.Helper()
	for late := time.After(patience); ; {
		done := make(placed, 2)
		n.Publish(p, done)
		select {
		case r := <-done:
			if errors.Is(r.err, fanout.ErrBusy) {
				continue
			}
			if r.err != nil {
				n.t.Fatalf("Publish in %q: %v", p.Room, r.err)
			}
			return r.page.Position
		case <-late:
			n.t.Fatalf("Publish in %q has no outcome", p.Room)
		}
	}
}

// fill publishes the numbers from 1 to count and returns the last position.
func (n *node) fill(room string, count int) (last fanout.Position) {
	n.t.Helper()
	for i := 1; i <= count; i++ {
		last = n.place(&fanout.Publication{Room: room, Data: strconv.AppendInt(nil, int64(i), 10)})
	}
	return last
}

// checkPage fails unless the page has just the publications first to last, as fill wrote them.
func checkPage(t *testing.T, what string, page fanout.Page, first, last int, complete bool) {
	t.Helper()
	var want []string
	for i := first; i <= last; i++ {
		want = append(want, strconv.Itoa(i))
	}
	var got []string
	for _, p := range page.Publications {
		got = append(got, strings.TrimLeft(string(p.Data), "."))
		if p.Position.Epoch != page.Position.Epoch || strconv.FormatUint(p.Position.Offset, 10) != got[len(got)-1] {
			t.Errorf("%s: %q is at %+v in epoch %q", what, p.Data, p.Position, page.Position.Epoch)
		}
	}
	if !slices.Equal(got, want) || page.Complete != complete {
		t.Errorf("%s: the page has %q, complete %v; want %q, %v", what, got, page.Complete, want, complete)
	}
}

func positionsCount(t *testing.T, b *bench) {
	n := b.start()
	n.subscribe("count.a", "count.b")
	var epoch string
	for i := range uint64(20) {
		for _, room := range []string{"count.a", "count.b"} {
			pos := n.place(&fanout.Publication{Room: room, Data: strconv.AppendUint(nil, i+1, 10)})
			if pos.Offset != i+1 || pos.Epoch == "" {
				t.Fatalf("publication %d of %q is at %+v", i+1, room, pos)
			}
			if room == "count.a" && i > 0 && pos.Epoch != epoch {
				t.Fatalf("the epoch changes from %q to %q", epoch, pos.Epoch)
			}
			if room == "count.a" {
				epoch = pos.Epoch
			}
		}
	}
	for _, room := range []string{"count.a", "count.b"} {
		for i, p := range n.recorder.wait(t, room, 20) {
			if p.Position.Offset != uint64(i+1) || string(p.Data) != strconv.Itoa(i+1) {
				t.Errorf("%q heard %q at %+v as number %d", room, p.Data, p.Position, i+1)
			}
			if room == "count.a" && p.Position.Epoch != epoch {
				t.Errorf("heard epoch %q, want %q", p.Position.Epoch, epoch)
			}
		}
	}
}

func sinceFindsWhatIsMissing(t *testing.T, b *bench) {
	n := b.start()
	last := n.fill("since", 10)
	for offset := range 11 {
		page := n.history("since", since(at(last, uint64(offset))))
		checkPage(t, fmt.Sprintf("since %d of 10", offset), page, offset+1, 10, true)
		if page.Position != last {
			t.Errorf("since %d: the stream stands at %+v, want %+v", offset, page.Position, last)
		}
	}
}

func trimmedBySize(t *testing.T, b *bench) {
	n := b.start()
	last := n.fill("size", 12)
	checkPage(t, "what is left", n.history("size", since(at(last, 7))), 8, 12, true)
	checkPage(t, "one too far back", n.history("size", since(at(last, 6))), 8, 12, false)
	checkPage(t, "from the beginning", n.history("size", since(at(last, 0))), 8, 12, false)
	checkPage(t, "nothing is missing", n.history("size", since(last)), 13, 12, true)
	checkPage(t, "newest", n.history("size", fanout.Query{Limit: 100, Bytes: 1 << 20}), 8, 12, false)
}

// The publications go when their time is over, the position stays.
func trimmedByTime(t *testing.T, b *bench) {
	n := b.start()
	last := n.fill("time", 3)
	for late := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		page := n.history("time", fanout.Query{Limit: 100, Bytes: 1 << 20})
		if page.Position != last {
			t.Fatalf("the stream stands at %+v, want %+v", page.Position, last)
		}
		if len(page.Publications) == 0 {
			break
		}
		if time.Now().After(late) {
			t.Fatal("the publications are kept far beyond their time")
		}
	}
	checkPage(t, "two are missing", n.history("time", since(at(last, 1))), 2, 1, false)
	checkPage(t, "nothing is missing", n.history("time", since(last)), 4, 3, true)
	if next := n.place(&fanout.Publication{Room: "time", Data: []byte("4")}); next != at(last, 4) {
		t.Errorf("the next publication is at %+v, want it behind %+v", next, last)
	}
}

func sinceNowhere(t *testing.T, b *bench) {
	n := b.start()
	last := n.fill("nowhere", 5)
	for name, pos := range map[string]fanout.Position{
		"another epoch":        {Epoch: last.Epoch + "x", Offset: 3},
		"another epoch's last": {Epoch: last.Epoch + "x", Offset: 5},
		"no epoch":             {Offset: 5},
		"the future":           at(last, 6),
		"the far future":       at(last, 1<<63),
		"an odd epoch":         {Epoch: ": \x00\"*", Offset: 1},
	} {
		if page := n.history("nowhere", since(pos)); page.Complete || page.Position != last {
			t.Errorf("since %s: %d publications, complete %v, at %+v", name, len(page.Publications), page.Complete, page.Position)
		}
	}
}

func limitOfAPage(t *testing.T, b *bench) {
	n := b.start()
	last := n.fill("limit", 10)
	q := since(at(last, 2))
	for limit := 1; limit <= 9; limit++ {
		q.Limit = limit
		checkPage(t, fmt.Sprintf("limit %d", limit), n.history("limit", q), 3, min(2+limit, 10), limit >= 8)
	}
}

// Each publication has 100 bytes of data. One is found however little may be.
func bytesOfAPage(t *testing.T, b *bench) {
	n := b.start()
	var last fanout.Position
	for i := 1; i <= 6; i++ {
		last = n.place(&fanout.Publication{Room: "bytes", Kind: fanout.Binary, Data: fmt.Appendf(nil, "%s%d", strings.Repeat(".", 99), i), From: "somebody"})
	}
	for _, c := range []struct{ bytes, found int }{{1, 1}, {99, 1}, {100, 1}, {199, 1}, {200, 2}, {399, 3}, {400, 4}, {401, 4}} {
		q := since(at(last, 2))
		q.Bytes = c.bytes
		checkPage(t, fmt.Sprintf("since, %d bytes", c.bytes), n.history("bytes", q), 3, 2+c.found, c.found == 4)
		checkPage(t, fmt.Sprintf("newest, %d bytes", c.bytes), n.history("bytes", fanout.Query{Limit: 10, Bytes: c.bytes}), 7-c.found, 6, false)
	}
	q := since(at(last, 2))
	q.Bytes = 0
	checkPage(t, "any amount", n.history("bytes", q), 3, 6, true)
}

func newestPages(t *testing.T, b *bench) {
	n := b.start()
	n.fill("newest", 10)
	for _, limit := range []int{1, 3, 9, 10, 11, 1000} {
		checkPage(t, fmt.Sprintf("limit %d", limit), n.history("newest", fanout.Query{Limit: limit, Bytes: 1 << 20}), max(1, 11-limit), 10, false)
	}
}

// A room that was never published in has a position too, and its first publication is the next one.
func positionAlone(t *testing.T, b *bench) {
	n := b.start()
	before := n.history("position", fanout.Query{})
	if before.Position.Offset != 0 || len(before.Publications) > 0 || before.Complete {
		t.Errorf("a room without publications: %+v", before)
	}
	if again := n.history("position", fanout.Query{}); again.Position != before.Position {
		t.Errorf("asked again it stands at %+v, before at %+v", again.Position, before.Position)
	}
	last := n.fill("position", 3)
	if last != at(before.Position, 3) {
		t.Errorf("three publications later it stands at %+v, before at %+v", last, before.Position)
	}
	if after := n.history("position", fanout.Query{Bytes: 1 << 20}); after.Position != last || len(after.Publications) > 0 {
		t.Errorf("a limit of 0 finds %d publications at %+v, want none at %+v", len(after.Publications), after.Position, last)
	}
	checkPage(t, "all since before", n.history("position", since(before.Position)), 1, 3, true)
}

func nothingKept(t *testing.T, b *bench) {
	n := b.start()
	n.subscribe(unkept + "a")
	if pos := n.place(&fanout.Publication{Room: unkept + "a", Data: []byte("1")}); pos != (fanout.Position{}) {
		t.Errorf("a publication is at %+v in a room that keeps nothing", pos)
	}
	if p := n.recorder.wait(t, unkept+"a", 1)[0]; p.Position != (fanout.Position{}) {
		t.Errorf("a publication is heard at %+v in a room that keeps nothing", p.Position)
	}
	for _, q := range []fanout.Query{{}, {Limit: 10, Bytes: 1000}, since(fanout.Position{Epoch: "e"})} {
		select {
		case r := <-n.ask(unkept+"a", q):
			if !errors.Is(r.err, fanout.ErrNoHistory) {
				t.Errorf("History: %v, want ErrNoHistory", r.err)
			}
		case <-time.After(patience):
			t.Fatal("History is not answered")
		}
	}
}

func fieldsAreKept(t *testing.T, b *bench) {
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	n := b.start()
	var sent []fanout.Publication
	for _, p := range []fanout.Publication{
		{Kind: fanout.JSON, Data: []byte(`{"a":[1,"\u0000"]}`), From: "alice", Time: 1754000000123, Sender: 7, Node: "node-1"},
		{Kind: fanout.Text, Data: []byte("grüß dich\r\n\x00{"), From: "quo\"te\\ \n\x00 ü"},
		{Kind: fanout.Binary, Data: every, Time: 1, Sender: 1<<64 - 1, Node: "n:1"},
		{Kind: fanout.Text, Data: []byte{}},
	} {
		p.Room = "kept"
		p.Position = n.place(&p)
		sent = append(sent, p)
	}
	page := n.history("kept", since(at(sent[0].Position, 0)))
	if len(page.Publications) != len(sent) || !page.Complete {
		t.Fatalf("%d of %d publications were kept", len(page.Publications), len(sent))
	}
	for i, got := range page.Publications {
		want := sent[i]
		if !bytes.Equal(got.Data, want.Data) {
			t.Errorf("data %q was kept as %q", want.Data, got.Data)
		}
		got.Data, want.Data = nil, nil
		if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Errorf("sent %+v\n got %+v", want, got)
		}
	}
}

// Whoever gets a page may change what is in it, but for the bytes of data, and another gets it unharmed.
func pagesAreTheCallers(t *testing.T, b *bench) {
	n := b.start()
	last := n.fill("mine", 5)
	page := n.history("mine", since(at(last, 0)))
	for i := range page.Publications {
		page.Publications[i] = fanout.Publication{}
	}
	checkPage(t, "another page", n.history("mine", since(at(last, 0))), 1, 5, true)
}

func newsOfMembersAreNotKept(t *testing.T, b *bench) {
	n := b.start()
	n.subscribe("members")
	last := n.fill("members", 1)
	for _, kind := range []fanout.Kind{fanout.MemberJoined, fanout.MemberLeft} {
		if pos := n.place(&fanout.Publication{Room: "members", Kind: kind, From: "alice"}); pos != (fanout.Position{}) {
			t.Errorf("news of a member are at %+v", pos)
		}
	}
	for _, p := range n.recorder.wait(t, "members", 3) {
		if p.Kind >= fanout.MemberJoined && (p.Position != (fanout.Position{}) || p.From != "alice") {
			t.Errorf("news of a member are heard as %+v", p)
		}
	}
	checkPage(t, "beside news of members", n.history("members", since(at(last, 0))), 1, 1, true)
}

// Each name is a stream of its own.
func hostileHistories(t *testing.T, b *bench) {
	n := b.start()
	for _, name := range hostileNames {
		if pos := n.place(&fanout.Publication{Room: name, Kind: fanout.Text, Data: []byte(name)}); pos.Offset != 1 {
			t.Errorf("the first publication in %q is at %+v", name, pos)
		}
	}
	for _, name := range hostileNames {
		page := n.history(name, fanout.Query{Limit: 10, Bytes: 1 << 20})
		if len(page.Publications) != 1 || string(page.Publications[0].Data) != name || page.Publications[0].Room != name {
			t.Errorf("%q keeps %+v", name, page.Publications)
		}
	}
}
