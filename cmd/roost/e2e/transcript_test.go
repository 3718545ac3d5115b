package e2e

// What was said and what was heard, and whether the one fits the other.

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// transcript is what members said. Its methods may be called from any goroutine.
type transcript struct {
	mu   sync.Mutex
	said map[string]map[string][]saying // by room and user: number n is at n-1
}

type saying struct {
	at      time.Time
	outcome outcomeOf
}

type outcomeOf byte

const (
	unknown outcomeOf = iota // no answer, perhaps since the connection ended
	taken
	refused
)

func newTranscript() *transcript { return &transcript{said: map[string]map[string][]saying{}} }

// next is the number of user's next saying in room.
func (t *transcript) next(room, user string) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.said[room] == nil {
		t.said[room] = map[string][]saying{}
	}
	t.said[room][user] = append(t.said[room][user], saying{at: time.Now()})
	return len(t.said[room][user])
}

// settle notes what became of a saying.
func (t *transcript) settle(room, user string, number int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.said[room][user][number-1].outcome = refused
	if ok {
		t.said[room][user][number-1].outcome = taken
	}
}

// count is how much was said, and how much of it has that outcome.
func (t *transcript) count(which outcomeOf) (all, those int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, users := range t.said {
		for _, list := range users {
			all += len(list)
			for _, s := range list {
				if s.outcome == which {
					those++
				}
			}
		}
	}
	return all, those
}

// noteKind is what a note of a member's record is about.
type noteKind byte

const (
	joined  noteKind = iota // for the first time
	heard                   // number of user
	hole                    // something may be missing here, which the member knows
	cameIn                  // user, by a presence event
	wentOut                 // the same
	foreign                 // a message that no member has sent
)

// note is one line of what a member heard in a room.
type note struct {
	at     time.Time
	kind   noteKind
	user   string
	number int
	why    string
}

// lateHole is how much later than the message behind a hole a member may be told of it: a node tells others what it
// said without the bus as soon as the bus is back, and new messages may be faster.
const lateHole = 5 * time.Second

// check says what is wrong with a record of room: each user's numbers in their order, none twice, and none missing that
// was said after the member had joined and was taken, but where it knew of a hole; of presence events no two alike.
func (t *transcript) check(room string, record []note) (wrong []error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := checking{room: room, said: t.said[room], record: record, last: map[string]int{}, lastAt: map[string]int{}, present: map[string]noteKind{}}
	for i, n := range record {
		switch n.kind {
		case joined:
			c.begin(i)
		case heard:
			c.hear(i, n)
		case cameIn, wentOut:
			if before, known := c.present[n.user]; known && before == n.kind {
				c.fail("%s comes or goes twice, at note %d", n.user, i)
			}
			c.present[n.user] = n.kind
		case hole:
			clear(c.present)
		case foreign:
			c.fail("%q of %q is heard, which nobody here has said", n.why, n.user)
		}
	}
	if c.begun {
		for user, list := range c.said {
			c.complete(user, len(list)+1, len(record), time.Time{})
		}
	}
	return c.wrong
}

// checking goes through one record.
type checking struct {
	room    string
	said    map[string][]saying
	record  []note
	begun   bool
	last    map[string]int // by user: the last number that was heard, or that was said before the member had joined
	lastAt  map[string]int // and where in the record
	present map[string]noteKind
	wrong   []error
}

func (c *checking) fail(format string, args ...any) {
	c.wrong = append(c.wrong, fmt.Errorf(c.room+": "+format, args...))
}

// begin takes all that was said before for what the member need not have heard.
func (c *checking) begin(i int) {
	c.begun = true
	for user, list := range c.said {
		n := 0
		for n < len(list) && list[n].at.Before(c.record[i].at) {
			n++
		}
		if _, heardBefore := c.last[user]; !heardBefore {
			c.last[user], c.lastAt[user] = n, i
		}
	}
}

func (c *checking) hear(i int, n note) {
	switch {
	case n.number < 1 || n.number > len(c.said[n.user]):
		c.fail("number %d of %s is heard, which was never said", n.number, n.user)
		return
	case n.number <= c.last[n.user] && c.record[c.lastAt[n.user]].kind == heard:
		c.fail("number %d of %s is heard behind %d", n.number, n.user, c.last[n.user])
		return
	}
	c.complete(n.user, n.number, i, n.at)
	c.last[n.user], c.lastAt[n.user] = n.number, i
}

// complete looks for what is missing of user before number, which note i is about.
func (c *checking) complete(user string, number, i int, at time.Time) {
	for missing := c.last[user] + 1; missing < number; missing++ {
		if c.said[user][missing-1].outcome == taken {
			if !c.knows(c.lastAt[user], i, at) {
				c.fail("number %d of %s is missing behind %d, and nothing was told of it (it was said at %s)", missing, user,
					c.last[user], c.said[user][missing-1].at.Format("15:04:05.000"))
			}
			return
		}
	}
}

// knows reports whether the member was told of a hole behind note from, and soon enough after note to.
func (c *checking) knows(from, to int, at time.Time) bool {
	for i, n := range c.record[from:] {
		if n.kind == hole {
			return from+i < to || n.at.Sub(at) < lateHole
		}
	}
	return false
}

// agree waits until the records of all members fit what was said.
func (t *transcript) agree(tb testing.TB, members []*member) (messages int) {
	tb.Helper()
	var wrong []error
	for end := time.Now().Add(agreeWithin); ; time.Sleep(100 * time.Millisecond) {
		wrong, messages = wrong[:0], 0
		for _, m := range members {
			for room, record := range m.records() {
				for _, err := range t.check(room, record) {
					wrong = append(wrong, fmt.Errorf("%s on %s: %w", m.user, m.on(), err))
				}
				messages += len(record)
			}
		}
		if len(wrong) == 0 {
			return messages
		}
		if time.Now().After(end) {
			break
		}
	}
	tb.Errorf("%d faults in what was heard", len(wrong))
	for _, err := range wrong[:min(len(wrong), 10)] {
		tb.Error(err)
	}
	return messages
}

// agreeWithin is how long what was said may take to be heard everywhere.
const agreeWithin = 20 * time.Second

// TestTranscript shows the check what it is there to find. Without it, a check that finds nothing would pass for a bus
// that loses nothing.
func TestTranscript(t *testing.T) {
	begin := time.Now()
	told := func(kind noteKind, number int, after time.Duration) note {
		return note{kind: kind, user: "ada", number: number, at: begin.Add(after)}
	}
	for _, c := range []struct {
		name   string
		record []note
		want   string
	}{
		{"everything", []note{told(joined, 0, 0), told(heard, 1, 2), told(heard, 2, 3), told(heard, 4, 4), told(heard, 5, 5)}, ""},
		{"what was refused is heard", []note{told(joined, 0, 0), told(heard, 1, 2), told(heard, 2, 3), told(heard, 3, 3), told(heard, 4, 4), told(heard, 5, 5)}, ""},
		{"twice", []note{told(joined, 0, 0), told(heard, 1, 2), told(heard, 1, 3)}, "heard behind 1"},
		{"out of order", []note{told(joined, 0, 0), told(heard, 2, 2), told(heard, 1, 3)}, "heard behind 2"},
		{"out of order behind a hole", []note{told(joined, 0, 0), told(heard, 2, 2), told(hole, 0, 2), told(heard, 1, 3)}, "heard behind 2"},
		{"the first is missing", []note{told(joined, 0, 0), told(heard, 2, 2)}, "number 1 of ada is missing"},
		{"one in between is missing", []note{told(joined, 0, 0), told(heard, 1, 2), told(heard, 4, 4), told(heard, 5, 4)}, "number 2 of ada is missing"},
		{"the last is missing", []note{told(joined, 0, 0), told(heard, 1, 2), told(heard, 2, 2), told(heard, 4, 4)}, "number 5 of ada is missing"},
		{"missing in a hole", []note{told(joined, 0, 0), told(heard, 1, 2), told(hole, 0, 3), told(heard, 5, 4)}, ""},
		{"missing before a hole that was told soon", []note{told(joined, 0, 0), told(heard, 1, 2), told(heard, 4, 3), told(hole, 0, 4), told(heard, 5, 5)}, ""},
		{"missing before a hole that was told late", []note{told(joined, 0, 0), told(heard, 1, 2), told(heard, 4, 3), told(hole, 0, lateHole*2)}, "number 2 of ada is missing"},
		{"missing behind a hole", []note{told(joined, 0, 0), told(hole, 0, 1), told(heard, 1, 2), told(heard, 4, 3), told(heard, 5, 3)}, "number 2 of ada is missing"},
		{"joined late", []note{told(joined, 0, time.Hour)}, ""},
		{"never said", []note{told(joined, 0, 0), told(heard, 6, 2)}, "never said"},
		{"said by nobody", []note{told(joined, 0, time.Hour), told(foreign, 0, time.Hour)}, "nobody here"},
		{"comes twice", []note{told(joined, 0, time.Hour), told(cameIn, 0, 0), told(cameIn, 0, 1)}, "twice"},
		{"comes again", []note{told(joined, 0, time.Hour), told(cameIn, 0, 0), told(wentOut, 0, 1), told(cameIn, 0, 1)}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			said := newTranscript()
			for number := 1; number <= 5; number++ {
				said.next("r", "ada")
				said.settle("r", "ada", number, number != 3)
			}
			wrong := errors.Join(said.check("r", c.record)...)
			if c.want == "" && wrong != nil || c.want != "" && (wrong == nil || !strings.Contains(wrong.Error(), c.want)) {
				t.Errorf("%v, want %q", wrong, c.want)
			}
		})
	}
}
