package engine

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/roost-ws/roost/fanout"
)

const (
	// roomCallFresh is how old an answer about a room may be: a room that everybody asks about is counted once a second.
	roomCallFresh = time.Second
	// roomCallSlice is how many members a loop counts in one turn: well below a millisecond.
	roomCallSlice = 1024
	// roomCallRooms is how many answers are remembered, roomCallUsers how many users one of them names.
	roomCallRooms = 256
	roomCallUsers = 100_000
)

// roomCall counts who is in a room of this node by asking the loops, and remembers the answers for a moment. Any
// goroutine.
type roomCall struct {
	mu      sync.Mutex
	answers map[string]*roomAnswer
}

// roomAnswer is who is in one room. Until it is complete, those who asked wait in it.
type roomAnswer struct {
	asked   time.Time
	waiting []func() // nil once it is complete

	mu     sync.Mutex // guards what the loops write: counts and missing
	counts map[string]int
	loops  int // that have not answered

	users []fanout.PresentUser // sorted
	total int
}

// ask answers at once if it was asked a moment ago, or else when every loop has counted.
func (q *roomCall) ask(s *Server, room string, limit int, done func([]fanout.PresentUser, int, error)) {
	q.mu.Lock()
	a := q.answers[room]
	if a != nil && (a.waiting != nil || time.Since(a.asked) < roomCallFresh) {
		tell := func() { done(a.users[:min(limit, len(a.users))], a.total, nil) }
		if a.waiting == nil {
			q.mu.Unlock()
			tell()
			return
		}
		a.waiting = append(a.waiting, tell)
		q.mu.Unlock()
		return
	}
	if q.answers == nil {
		q.answers = make(map[string]*roomAnswer)
	}
	q.makeRoom()
	if len(q.answers) >= roomCallRooms {
		q.mu.Unlock()
		done(nil, 0, fanout.ErrBusy)
		return
	}
	a = &roomAnswer{asked: time.Now(), counts: make(map[string]int), loops: len(s.loops)}
	a.waiting = []func(){func() { done(a.users[:min(limit, len(a.users))], a.total, nil) }}
	q.answers[room] = a
	q.mu.Unlock()
	for _, l := range s.loops {
		l.mailbox.post(letter{kind: letterCall, call: func(l *Loop) { l.callRoom(q, a, room, 0, 0) }})
	}
}

// makeRoom forgets answers that are too old, if there are many. mu is held.
func (q *roomCall) makeRoom() {
	if len(q.answers) < roomCallRooms {
		return
	}
	for room, a := range q.answers {
		if a.waiting == nil && time.Since(a.asked) >= roomCallFresh {
			delete(q.answers, room)
		}
	}
}

// callRoom counts the members that this loop has in a room, a slice a turn.
func (l *Loop) callRoom(q *roomCall, a *roomAnswer, room string, d dialect, from int) {
	a.mu.Lock()
	for budget := roomCallSlice; d < numDialects; d, from = d+1, 0 {
		r := l.rooms[d][room]
		if r == nil {
			continue
		}
		to := min(from+budget, len(r.members))
		for _, m := range r.members[min(from, to):to] {
			a.counts[l.conns.at(m&^memberFlags).user]++
		}
		if budget -= to - min(from, to); to < len(r.members) {
			a.mu.Unlock()
			l.mailbox.post(letter{kind: letterCall, call: func(l *Loop) { l.callRoom(q, a, room, d, to) }})
			return
		}
	}
	a.loops--
	last := a.loops == 0
	a.mu.Unlock()
	if last {
		go q.complete(a) // sorting a large room is no work for a loop
	}
}

// complete makes the answer of what was counted and gives it to everybody who waits.
func (q *roomCall) complete(a *roomAnswer) {
	a.users = make([]fanout.PresentUser, 0, len(a.counts))
	for user, n := range a.counts {
		a.users = append(a.users, fanout.PresentUser{User: user, Connections: n})
	}
	a.counts = nil
	slices.SortFunc(a.users, func(x, y fanout.PresentUser) int { return strings.Compare(x.User, y.User) })
	a.total = len(a.users)
	if len(a.users) > roomCallUsers {
		a.users = slices.Clone(a.users[:roomCallUsers])
	}
	q.mu.Lock()
	waiting := a.waiting
	a.waiting = nil
	q.mu.Unlock()
	for _, tell := range waiting {
		tell()
	}
}
