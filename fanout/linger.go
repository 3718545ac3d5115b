package fanout

// How a room that nobody here wants any more stays subscribed for a while: people reload pages, and subscribing and
// unsubscribing is what costs a bus, not the idle subscription.

import (
	"sync/atomic"
	"time"
)

// minSweep bounds how often the sweep runs when Linger is very short.
const minSweep = time.Millisecond

// startLinger puts u on its shard's list. The shard's lock is held.
func (r *Router) startLinger(s *shard, u *unsettled) {
	u.phase = lingering
	if s.lingering.add(u, r.now()+r.linger) == 1 {
		select {
		case r.wake <- struct{}{}:
		default: // a wake-up is already waiting
		}
	}
}

// sweep is the Router's one goroutine: it ends subscriptions whose time has run out. It looks eight times in a
// linger time, so a room stays up to an eighth longer than asked, and sleeps while no room lingers.
func (r *Router) sweep() {
	every := max(r.linger/8, minSweep)
	timer := time.NewTimer(every)
	defer timer.Stop()
	for {
		var tick <-chan time.Time
		// The counter decides, not what a walk over the shards saw: a room may start to linger behind the walk.
		if r.lingering.Load() > 0 {
			timer.Reset(every)
			tick = timer.C
		}
		select {
		case <-tick:
			r.expire(r.now())
		case <-r.wake:
		case <-r.stop:
			return
		}
	}
}

// expire unsubscribes every room that was to linger until now or earlier.
func (r *Router) expire(now time.Duration) {
	for i := range r.shards {
		s := &r.shards[i]
		for {
			s.mu.Lock()
			u := s.lingering.first
			if u == nil || u.until > now {
				s.mu.Unlock()
				break
			}
			s.lingering.remove(u)
			u.phase = expired
			r.settle(s, u, nobody)
		}
	}
}

// now is the time since the Router was made, by the monotonic clock.
func (r *Router) now() time.Duration { return time.Since(r.born) }

// lingerList is a shard's rooms that wait for their time to run out, the first to end in front. Every room lingers
// equally long, so adding at the end keeps it sorted. The shard's lock guards it.
type lingerList struct {
	first, last *unsettled
	total       *atomic.Int64 // rooms in the lists of all shards
}

// add puts u at the end, to stay until the given time, and returns how many rooms now linger in all shards.
func (l *lingerList) add(u *unsettled, until time.Duration) int64 {
	u.until, u.before, u.after = until, l.last, nil
	if l.last == nil {
		l.first = u
	} else {
		l.last.after = u
	}
	l.last = u
	return l.total.Add(1)
}

// remove takes u out, wherever in the list it is.
func (l *lingerList) remove(u *unsettled) {
	if u.before == nil {
		l.first = u.after
	} else {
		u.before.after = u.after
	}
	if u.after == nil {
		l.last = u.before
	} else {
		u.after.before = u.before
	}
	u.before, u.after = nil, nil
	l.total.Add(-1)
}
