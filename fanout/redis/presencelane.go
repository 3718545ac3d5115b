package redis

// The queue of one server, and the goroutine that writes what is in it: batches of commands, at most one for each room
// and each user, so that the order of a room's changes does not depend on how commands travel.

import (
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/roost-ws/roost/fanout"
)

// presenceOp is what a change is about.
type presenceOp uint8

const (
	opEnter presenceOp = iota
	opLeave
	opRefresh // also without users, to take out whose time is over
	opOnline
	opOffline
)

// presenceChange is one call, or a part of a Refresh, that waits to be written.
type presenceChange struct {
	room, user string
	users      []fanout.PresentUser
	op         presenceOp
	announce   bool
}

// weight is what the change counts for the queue's bound.
func (c *presenceChange) weight() int { return max(1, len(c.users)) }

const (
	// maxChanges is how many users one call of a script changes, so that Redis is not held up by it.
	maxChanges = 500
	// maxCommands is how many commands are sent at once, which is also how much is lost with one answer.
	maxCommands = 256
	// retryPause is how long to wait for a connection that broke before its commands are sent once more, and
	// how long a server that is away is left alone.
	retryPause = 50 * time.Millisecond
	// logPause is how often the log may hear that a server is away.
	logPause = 10 * time.Second
)

// presenceLane is one server's queue. Two goroutines read lists, one writes.
type presenceLane struct {
	p      *Presence
	client rueidis.Client // set by Start
	asked  chan *roomList // lists that are to be read
	filled chan struct{}  // holds one when queue is not empty

	mu      sync.Mutex // guards:
	queue   []presenceChange
	pending int // the weight of queue and of what is being written

	// Of the goroutine that writes:
	spare []presenceChange // the queue before, to be used again
	said  presenceSaid
	down  bool
	// When the log last heard that the server is away, and whether it is to hear when that ends.
	logged time.Time
	told   bool
}

func newPresenceLane(p *Presence) *presenceLane {
	return &presenceLane{p: p, asked: make(chan *roomList, maxAsked), filled: make(chan struct{}, 1),
		said: newPresenceSaid(p.o.TTL, &p.counters.overlooked)}
}

// push adds c to the queue, or drops and counts it.
func (l *presenceLane) push(c presenceChange) {
	if l.p.life.Load() != presenceOpen {
		return
	}
	l.mu.Lock()
	full := l.pending+c.weight() > l.p.o.MaxPending
	if !full {
		l.queue = append(l.queue, c)
		l.pending += c.weight()
	}
	l.mu.Unlock()
	if full {
		l.p.counters.full.Add(uint64(c.weight()))
		return
	}
	select {
	case l.filled <- struct{}{}:
	default:
	}
}

func (l *presenceLane) waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.pending
}

// take returns what waits, and leaves an empty queue.
func (l *presenceLane) take() []presenceChange {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.queue
	l.queue, l.spare = l.spare[:0], nil
	return taken
}

// write is the goroutine that writes. When the presence closes it writes what waits, takes out what was said, and ends.
func (l *presenceLane) write() {
	defer func() {
		if l.down {
			l.p.counters.down.Add(-1)
		}
	}()
	for {
		select {
		case <-l.filled:
			l.writeAll(l.take())
		case <-l.p.stop:
			if l.p.abandons.Load() {
				return
			}
			l.writeAll(l.take())
			l.forget()
			return
		}
	}
}

// writeAll writes the changes, batch by batch. One that closes does not wait for a server that is away.
func (l *presenceLane) writeAll(changes []presenceChange) {
	for rest := changes; len(rest) > 0; {
		if l.p.life.Load() == presenceClosed && (l.down || l.p.abandons.Load()) {
			l.giveUp(rest)
			break
		}
		b := newPresenceBatch(l)
		n, weight := 0, 0
		for n < len(rest) && b.add(&rest[n]) {
			weight += rest[n].weight()
			n++
		}
		failed := b.send()
		l.settle(b, weight, failed)
		rest = rest[n:]
	}
	clear(changes)
	if cap(changes) <= 1<<14 { // one flood does not cost its memory for ever
		l.spare = changes[:0]
	}
}

// giveUp counts changes that are not written any more.
func (l *presenceLane) giveUp(changes []presenceChange) {
	lost := 0
	for i := range changes {
		lost += changes[i].weight()
	}
	l.mu.Lock()
	l.pending -= lost
	l.mu.Unlock()
	l.p.counters.failed.Add(uint64(lost))
}

// settle counts what came of a batch.
func (l *presenceLane) settle(b *presenceBatch, weight, failed int) {
	l.mu.Lock()
	l.pending -= weight
	l.mu.Unlock()
	l.p.counters.written.Add(uint64(weight - failed))
	l.p.counters.failed.Add(uint64(failed))
	for _, c := range b.sweepOn {
		l.push(c)
	}
	if l.down {
		l.pause()
	}
}

// pause waits for a moment, or until the presence closes.
func (l *presenceLane) pause() {
	select {
	case <-time.After(retryPause):
	case <-l.p.stop:
	}
}

// reached notes whether the server answered, and logs when that changes, but not again and again.
func (l *presenceLane) reached(err error) {
	down := err != nil
	if down == l.down {
		return
	}
	l.down = down
	switch {
	case down:
		l.p.counters.down.Add(1)
		if now := time.Now(); now.Sub(l.logged) > logPause {
			l.logged, l.told = now, true
			l.p.o.Log.Warn("presence can't be written to redis", "error", err)
		}
	default:
		l.p.counters.down.Add(-1)
		if l.told {
			l.told = false
			l.p.o.Log.Info("presence can be written to redis again")
		}
	}
}
