package e2e

// Calls of a backend that has nothing but a client of Redis, in very many rooms at once: which of them have come back,
// and how soon. Members who talk can't find that out, since to talk in ten thousand rooms takes as long as they may.

import (
	"encoding/json"
	"slices"
	"strconv"
	"testing"
	"time"
)

const (
	// callEvery is how long between two calls in a room that nobody listened to, and callAgain in one that both nodes did.
	callEvery = 100 * time.Millisecond
	callAgain = time.Second
	// lookEvery is how long between two looks at what was heard, which is how fine the time is that calls are heard after.
	lookEvery = 25 * time.Millisecond
)

// callBegins is what the data of a call begins with, before its number.
const callBegins = "call "

// callNumber reads a call.
func callNumber(data json.RawMessage) (number int, ok bool) {
	var text string
	if json.Unmarshal(data, &text) != nil || len(text) <= len(callBegins) || text[:len(callBegins)] != callBegins {
		return 0, false
	}
	number, err := strconv.Atoi(text[len(callBegins):])
	return number, err == nil
}

// called is the last call that the member heard in room.
func (m *member) called(room string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.places[room].called
}

// calling is a room in which a call is not heard by all yet.
type calling struct {
	room    string
	members []*member
	next    time.Time // when to call there again
}

// called waits until all members have heard a call in all their rooms, and says how long after since. A room is called
// again until it is: where nobody has subscribed yet Redis says so, and the call has cost next to nothing.
func (p *pair) called(t *testing.T, since time.Time) time.Duration {
	t.Helper()
	p.calls++
	content := `","content":"` + callBegins + strconv.Itoa(p.calls) + `"}`
	var open []*calling
	for room, mates := range p.here {
		open = append(open, &calling{room: room, members: slices.Concat(mates, p.there[room])})
	}
	for ; ; time.Sleep(lookEvery) {
		open = slices.DeleteFunc(open, func(c *calling) bool {
			c.members = slices.DeleteFunc(c.members, func(m *member) bool { return m.called(c.room) == p.calls })
			return len(c.members) == 0
		})
		took := time.Since(since)
		switch {
		case len(open) == 0:
			return took
		case took > heardAgainWithin+heardAgainLate:
			t.Fatalf("%d rooms do not hear the bus %v after Redis is back: %s in %s", len(open), took, open[0].members[0].user, open[0].room)
		}
		p.callIn(t, open, content)
	}
}

// callIn calls in those rooms whose time it is.
func (p *pair) callIn(t *testing.T, open []*calling, content string) {
	t.Helper()
	now := time.Now()
	var due []*calling
	var commands [][]string
	for _, c := range open {
		if now.After(c.next) {
			due = append(due, c)
			commands = append(commands, []string{"PUBLISH", "roost:room:" + c.room, `{"roomId":"` + c.room + content})
		}
	}
	for i, listening := range p.bus.DoAll(commands) {
		if due[i].next = now.Add(callEvery); listening == strconv.Itoa(len(p.nodes)) {
			due[i].next = now.Add(callAgain)
		}
	}
}
