package fanout

// What a node does while the bus is away. Its members go on talking to each other through the node: what can't be
// published is delivered here, and rooms that can't be subscribed are heard of this node alone. When the bus is back,
// such rooms are subscribed and told of a gap, and those in which something was said are told so on the other nodes.
//
// A room that keeps history is left out of it: its publications need a place in a stream that only the bus can give.

import (
	"bytes"
	"errors"
	"sync"
	"time"
)

const (
	// offlineEvery is how often the bus is asked whether it is back while something waits for it.
	offlineEvery = 250 * time.Millisecond
	// maxUnsaid is how many rooms are remembered in which something was said; beyond, the other nodes are told that any
	// room may have missed something. maxUnheard is how many rooms may wait to be subscribed; the next fail.
	maxUnsaid, maxUnheard = 64 << 10, 256 << 10
	// catchUpBatch is how many rooms are subscribed or told of at once.
	catchUpBatch = 512
)

// offline is what a Router remembers while the bus is away. All of it may be used by any goroutine.
type offline struct {
	wake chan struct{} // holds one

	mu      sync.Mutex
	unheard map[string]struct{} // wanted, believed to be subscribed, and not subscribed
	unsaid  map[string]struct{} // something was delivered here alone
	anyRoom bool                // unsaid was not large enough
}

func newOffline() *offline {
	return &offline{wake: make(chan struct{}, 1), unheard: map[string]struct{}{}, unsaid: map[string]struct{}{}}
}

func (o *offline) rouse() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// hearLater takes a room that can't be subscribed now; false means that there are too many.
func (o *offline) hearLater(room string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.unheard) >= maxUnheard {
		return false
	}
	o.unheard[room] = struct{}{}
	o.rouse()
	return true
}

// saidHere notes that something was said in room that the other nodes have not heard.
func (o *offline) saidHere(room string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if _, known := o.unsaid[room]; !known && len(o.unsaid) >= maxUnsaid {
		o.anyRoom = true
	} else {
		o.unsaid[room] = struct{}{}
	}
	o.rouse()
}

// waits reports whether anything waits for the bus.
func (o *offline) waits() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.unheard) > 0 || len(o.unsaid) > 0 || o.anyRoom
}

// some takes at most n rooms out of a set.
func (o *offline) some(set map[string]struct{}, n int) []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var rooms []string
	for room := range set {
		if len(rooms) == n {
			break
		}
		rooms = append(rooms, room)
		delete(set, room)
	}
	return rooms
}

// mayStayLocal reports whether room goes on without the bus.
func (r *Router) mayStayLocal(room string) bool {
	return r.offline != nil && room != ControlRoom && (r.keeps == nil || !r.keeps(room))
}

// localCompletion delivers a publication on this node when the bus turns out to be away.
type localCompletion struct {
	router *Router
	p      Publication
	done   Completion
}

// Published implements [Completion].
func (c *localCompletion) Published(pos Position, err error) {
	if errors.Is(err, ErrDown) {
		c.router.offline.saidHere(c.p.Room)
		c.router.HandlePublication(&c.p)
		err = nil
	}
	if c.done != nil {
		c.done.Published(pos, err)
	}
}

// publishAway is Publish while not all of the bus can be reached.
func (r *Router) publishAway(p *Publication, done Completion) {
	if !r.mayStayLocal(p.Room) {
		r.broker.Publish(p, done)
		return
	}
	c := &localCompletion{router: r, p: *p, done: done}
	c.p.Data = bytes.Clone(p.Data)
	r.broker.Publish(p, c)
}

// catchUp waits for the bus to be back, and then subscribes and tells what was left.
func (r *Router) catchUp() {
	timer := time.NewTimer(offlineEvery)
	defer timer.Stop()
	var tick <-chan time.Time // nil while nothing waits; further things that come to wait do not put it off
	for {
		if tick == nil && r.offline.waits() {
			timer.Reset(offlineEvery)
			tick = timer.C
		}
		select {
		case <-r.stop:
			return
		case <-r.offline.wake:
		case <-tick:
			tick = nil
			r.hearAgain()
			r.tellMissed()
		}
	}
}

// hearAgain subscribes rooms that could not be subscribed. Those that still can't go back where they were.
func (r *Router) hearAgain() {
	for _, room := range r.offline.some(r.offline.unheard, catchUpBatch) {
		s := r.shard(room)
		s.mu.RLock()
		_, wanted := s.wanted[room]
		s.mu.RUnlock()
		if !wanted {
			continue
		}
		r.broker.Subscribe(room, func(err error) {
			switch {
			case err == nil:
				r.HandleGap(room, Position{})
				r.leaveIfUnwanted(room)
			case !errors.Is(err, ErrClosed):
				r.offline.hearLater(room)
			}
		})
	}
}

// leaveIfUnwanted undoes a subscription that came after the last loop had dropped the room: the Unsubscribe of that
// moment did nothing.
func (r *Router) leaveIfUnwanted(room string) {
	s := r.shard(room)
	s.mu.RLock()
	_, wanted := s.wanted[room]
	_, unsettled := s.unsettled[room]
	s.mu.RUnlock()
	if !wanted && !unsettled {
		r.broker.Unsubscribe(room)
	}
}

// tellMissed has the other nodes tell their members where something was said that they could not hear.
func (r *Router) tellMissed() {
	if !r.broker.Up() {
		return
	}
	o := r.offline
	o.mu.Lock()
	anyRoom := o.anyRoom
	o.anyRoom = false
	o.mu.Unlock()
	if anyRoom && r.control != nil {
		r.control.say(note{Type: "missed"})
	}
	for _, room := range o.some(o.unsaid, catchUpBatch) {
		r.broker.Publish(&Publication{Room: room, Kind: Missed, Node: r.name}, &missedCompletion{o, room})
	}
}

// missedCompletion tells again what could not be told.
type missedCompletion struct {
	o    *offline
	room string
}

// Published implements [Completion].
func (c *missedCompletion) Published(_ Position, err error) {
	if err != nil && !errors.Is(err, ErrClosed) {
		c.o.saidHere(c.room)
	}
}

// gapEverywhere tells every room that a loop wants.
func (r *Router) gapEverywhere() {
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.RLock()
		rooms := make([]string, 0, len(s.wanted))
		for room := range s.wanted {
			rooms = append(rooms, room)
		}
		s.mu.RUnlock()
		for _, room := range rooms {
			r.HandleGap(room, Position{})
		}
	}
}
