package fanouttest

// A record of what was published and what was heard, for tests that take a bus away: publications may be lost then, but
// only where a gap was told.

import (
	"bytes"
	"fmt"
	"runtime"
	"strconv"
	"sync"

	"github.com/roost-ws/roost/fanout"
)

// Ledger records what was published in rooms, and hears what arrives: each publisher numbers its publications from 1, and
// each [Hearing] must have them in that order, none twice, and none missing that the bus had taken but in a gap. Its
// methods may be called from any goroutine.
type Ledger struct {
	mu   sync.Mutex
	sent map[string]map[string][]bool // by room and publisher: whether publication n+1 was taken
}

// NewLedger returns an empty Ledger.
func NewLedger() *Ledger { return &Ledger{sent: map[string]map[string][]bool{}} }

// Publish publishes the next publication of publisher in room, and calls done, unless it is nil, with the outcome. One
// publisher is one goroutine.
func (l *Ledger) Publish(b fanout.Broker, room, publisher string, done func(error)) {
	l.mu.Lock()
	publishers := l.sent[room]
	if publishers == nil {
		publishers = map[string][]bool{}
		l.sent[room] = publishers
	}
	publishers[publisher] = append(publishers[publisher], false)
	number := len(publishers[publisher])
	l.mu.Unlock()
	p := &fanout.Publication{Room: room, From: publisher, Data: strconv.AppendInt(nil, int64(number), 10)}
	b.Publish(p, entry{ledger: l, publishers: publishers, publisher: publisher, number: number, done: done})
}

// entry is the completion of one publication.
type entry struct {
	ledger     *Ledger
	publishers map[string][]bool
	publisher  string
	number     int
	done       func(error)
}

// Published implements [fanout.Completion].
func (e entry) Published(_ fanout.Position, err error) {
	e.ledger.mu.Lock()
	e.publishers[e.publisher][e.number-1] = err == nil
	e.ledger.mu.Unlock()
	if e.done != nil {
		e.done(err)
	}
}

// Sent counts the publications in room, and how many of them were taken.
func (l *Ledger) Sent(room string) (all, taken int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, numbers := range l.sent[room] {
		all += len(numbers)
		for _, was := range numbers {
			if was {
				taken++
			}
		}
	}
	return all, taken
}

// Hearing is a [fanout.Sink] that writes down what it hears.
type Hearing struct {
	ledger *Ledger
	mu     sync.Mutex
	rooms  map[string][]heard
	inside map[string]bool // rooms that a call is about right now
	errors []error
}

// heard is one call of the sink.
type heard struct {
	gap bool
	fanout.Publication
}

// Hearing returns a sink for one node.
func (l *Ledger) Hearing() *Hearing {
	return &Hearing{ledger: l, rooms: map[string][]heard{}, inside: map[string]bool{}}
}

// HandlePublication implements [fanout.Sink].
func (h *Hearing) HandlePublication(p *fanout.Publication) {
	kept := *p
	kept.Data = bytes.Clone(p.Data)
	h.write(p.Room, heard{Publication: kept, gap: p.Kind == fanout.Missed})
}

// HandleGap implements [fanout.Sink].
func (h *Hearing) HandleGap(room string, pos fanout.Position) {
	h.write(room, heard{gap: true, Publication: fanout.Publication{Room: room, Position: pos}})
}

func (h *Hearing) write(room string, call heard) {
	h.mu.Lock()
	if h.inside[room] {
		h.errors = append(h.errors, fmt.Errorf("two calls about %q overlap", room))
	}
	h.inside[room] = true
	h.mu.Unlock()
	runtime.Gosched() // another call about the room would come in between here
	h.mu.Lock()
	defer h.mu.Unlock()
	h.rooms[room] = append(h.rooms[room], call)
	h.inside[room] = false
}

// Heard counts the publications and gaps of room.
func (h *Hearing) Heard(room string) (publications, gaps int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, call := range h.rooms[room] {
		if call.gap {
			gaps++
		} else {
			publications++
		}
	}
	return publications, gaps
}

// Last returns the number of the last publication of publisher in room that was heard, 0 for none.
func (h *Hearing) Last(room, publisher string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	calls := h.rooms[room]
	for i := len(calls) - 1; i >= 0; i-- {
		if !calls[i].gap && calls[i].From == publisher {
			n, _ := strconv.Atoi(string(calls[i].Data))
			return n
		}
	}
	return 0
}

// Check returns what is wrong with what was heard in room, from its first publication of each publisher to the last.
// Publications whose outcome is not known yet may be missing.
func (h *Hearing) Check(room string) []error {
	h.ledger.mu.Lock()
	defer h.ledger.mu.Unlock()
	h.mu.Lock()
	defer h.mu.Unlock()
	c := check{errors: append([]error(nil), h.errors...), sent: h.ledger.sent[room], gapAt: -1, last: map[string]int{}, lastAt: map[string]int{}}
	for i, call := range h.rooms[room] {
		if call.gap {
			c.gap(i, call.Position)
		} else {
			c.publication(i, call.Publication)
		}
	}
	return c.errors
}

// check goes through the calls about a room.
type check struct {
	errors []error
	sent   map[string][]bool
	gapAt  int             // the last gap's index
	last   map[string]int  // by publisher: the number of its last publication
	lastAt map[string]int  // and its index
	stream fanout.Position // where the stream stands by what was heard
}

func (c *check) fail(format string, args ...any) {
	if len(c.errors) < 20 {
		c.errors = append(c.errors, fmt.Errorf(format, args...))
	}
}

func (c *check) gap(i int, pos fanout.Position) {
	if pos.Epoch == c.stream.Epoch && pos.Offset < c.stream.Offset {
		c.fail("call %d: a gap at %d is told when the stream is at %d", i, pos.Offset, c.stream.Offset)
	}
	c.gapAt, c.stream = i, pos
}

func (c *check) publication(i int, p fanout.Publication) {
	number, err := strconv.Atoi(string(p.Data))
	taken := c.sent[p.From]
	last, before := c.last[p.From]
	switch {
	case err != nil || number < 1 || number > len(taken):
		c.fail("call %d: %q of %q was never published", i, p.Data, p.From)
		return
	case before && number <= last && len(p.Was) > 0:
		number = last // the bus had lost it, which those who heard it before don't know
	case before && number <= last:
		c.fail("call %d: number %d of %q is heard behind %d", i, number, p.From, last)
	case before && c.gapAt < c.lastAt[p.From]:
		for missing := last + 1; missing < number; missing++ {
			if taken[missing-1] {
				c.fail("call %d: number %d of %q is missing behind %d, and no gap is told", i, missing, p.From, last)
				break
			}
		}
	}
	c.last[p.From], c.lastAt[p.From] = number, i
	if p.Position == (fanout.Position{}) {
		return
	}
	if c.stream.Epoch == p.Position.Epoch && c.stream.Offset+1 != p.Position.Offset ||
		c.stream.Epoch != p.Position.Epoch && c.stream.Epoch != "" {
		c.fail("call %d: %+v follows %+v in the stream", i, p.Position, c.stream)
	}
	c.stream = p.Position
}
