package fanout

// How the loops' wishes become subscriptions: one goroutine at a time works on a room, with no lock held while it
// calls the broker or a loop, so the calls for one room never race and never overtake each other.

import (
	"errors"
	"fmt"
)

// nobody is the asker of a settle that no Want waits for.
const nobody = -1

// Want says that loop has a first member in room. With ready, publications flow already, or from here on; with an
// error the room could not be subscribed, and loop wants it no longer. With neither, Local.Ready(room, loop, err)
// answers later, perhaps before Want returns, exactly once, unless Drop came first. Until then publications may be
// delivered or missed; what is delivered can be held for members who join with history. Want keeps room.
//
// Ready bears no ticket: a Ready already on its way when its loop calls Drop and Want again looks like the answer to
// the second Want. A loop avoids that by waiting for Ready before it calls Drop or Want for that room again.
func (r *Router) Want(room string, loop int) (ready bool, err error) {
	if uint(loop) >= MaxLoops {
		return false, fmt.Errorf("fanout: loop %d is not in 0 to %d", loop, MaxLoops-1)
	}
	if r.closed.Load() {
		return false, ErrClosed
	}
	s := r.shard(room)
	s.mu.Lock()
	u, ready := s.want(room, loop)
	if ready {
		s.mu.Unlock()
		return true, nil
	}
	return r.settle(s, u, loop)
}

// Drop says that the last member of loop has left room. When no loop wants it any more, the node stays subscribed
// for the linger time, in which a Want is ready at once, and then unsubscribes. Dropping what was not wanted
// changes nothing. A publication already on its way may still be delivered.
func (r *Router) Drop(room string, loop int) {
	s := r.shard(room)
	s.mu.Lock()
	u := s.drop(room, loop)
	if u == nil {
		s.mu.Unlock()
		return
	}
	r.settle(s, u, nobody)
}

// confirmed is what the broker calls when a Subscribe has an outcome.
func (r *Router) confirmed(s *shard, u *unsettled, err error) {
	if errors.Is(err, ErrDown) && r.mayStayLocal(u.room) && r.offline.hearLater(u.room) {
		err = nil
	}
	if err == nil {
		r.counters.subscribed.Add(1)
	} else {
		r.counters.subscribeFailed.Add(1)
	}
	s.mu.Lock()
	s.confirm(u, err)
	r.settle(s, u, nobody)
}

// settle does what is to be done about u, step by step, until there is nothing left or only waiting. It is entered
// with the shard's lock held, in the same critical section in which u was found or changed, and returns without it.
// When another goroutine (or a caller up this stack) works on u already, the change is left to that one. The outcome
// for asker, when it turns up here, is returned and not told through Ready.
func (r *Router) settle(s *shard, u *unsettled, asker int) (ready bool, err error) {
	if u.working {
		s.mu.Unlock()
		return false, nil
	}
	u.working = true
	for {
		if loop, outcome := u.nextToTell(); loop >= 0 {
			if loop == asker {
				ready, err, asker = outcome == nil, outcome, nobody
				continue
			}
			s.mu.Unlock()
			r.local.Ready(u.room, loop, outcome)
			s.mu.Lock()
			continue
		}
		_, wanted := s.wanted[u.room]
		switch {
		case u.phase == subscribing:
			u.working = false
			s.mu.Unlock()
			return ready, err
		case wanted && u.phase == subscribed, !wanted && u.phase == absent:
			delete(s.unsettled, u.room)
			s.mu.Unlock()
			return ready, err
		case wanted:
			r.subscribe(s, u)
		case u.phase == subscribed && r.linger > 0:
			u.working = false
			r.startLinger(s, u)
			s.mu.Unlock()
			return ready, err
		default:
			r.unsubscribe(s, u)
		}
	}
}

// subscribe calls the broker with the shard's lock let go.
func (r *Router) subscribe(s *shard, u *unsettled) {
	u.phase = subscribing
	s.mu.Unlock()
	r.broker.Subscribe(u.room, func(err error) { r.confirmed(s, u, err) })
	s.mu.Lock()
}

// unsubscribe calls the broker with the shard's lock let go.
func (r *Router) unsubscribe(s *shard, u *unsettled) {
	u.phase = unsubscribing
	s.mu.Unlock()
	r.counters.unsubscribed.Add(1)
	r.broker.Unsubscribe(u.room)
	s.mu.Lock()
	u.phase = absent
}
