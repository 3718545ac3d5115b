package fanouttest

// What every fanout.History has to pass, and what its cases are made of.

import (
	"errors"
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
