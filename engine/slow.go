package engine

import (
	"github.com/roost-ws/roost/protocol"
)

// SlowConsumerPolicy is what happens to a member that can't keep up with its rooms.
type SlowConsumerPolicy uint8

const (
	// Disconnect closes it with 1013.
	Disconnect SlowConsumerPolicy = iota
	// DropNewest leaves out what does not fit and tells the gap afterwards.
	DropNewest
	// KeepLatest leaves out what does not fit but for the newest publication of each room, and tells the gap.
	KeepLatest
)

// slowState is a client that can't keep up: gnet holds bytes for it that the kernel would not take.
type slowState struct {
	counted  int    // bytes waiting when last looked; part of Loop.held
	progress uint32 // tick at which the client last took some

	missed map[uint32][]byte // rooms with a hole, by id; with KeepLatest the newest publication of each
}

func (s *slowState) forget(room uint32) { delete(s.missed, room) }

// waiting is what is held for c and not yet with the kernel. Loop only.
func (c *Conn) waiting() int {
	n := c.gc.OutboundBuffered()
	if c.act != nil {
		n += c.act.queued
	}
	return n
}

// backlogged notes that gnet now holds n bytes more for c.
func (c *Conn) backlogged(l *Loop, n int) {
	a := c.busy(l)
	if a.slow == nil {
		a.slow = &slowState{progress: l.tick}
		c.flags |= flagBacklogged
		l.count.slowConsumers++
	}
	if c.flags&flagWatched == 0 {
		c.flags |= flagWatched
		l.slow = append(l.slow, c.handle(l))
	}
	l.held += int64(n)
	a.slow.counted += n
}

// admit decides whether a slow client may be given more, and remembers what it misses if not.
func (c *Conn) admit(l *Loop, r *Room, b []byte, ends []uint32, base int) bool {
	waiting := c.waiting()
	if waiting == 0 {
		c.caughtUp(l)
		return true
	}
	full := waiting+len(b) > l.limits.OutboundBytes
	overload := l.held+int64(len(b)) > l.heldMost
	s := c.act.slow
	_, hole := s.missed[r.id]
	if !full && !overload && !hole {
		return true
	}
	if r.rule.SlowConsumer == Disconnect {
		if overload && !full {
			l.evict(c, CloseOverload)
		} else {
			l.evict(c, CloseSlowConsumer)
		}
		return false
	}
	if s.missed == nil {
		s.missed = make(map[uint32][]byte)
	}
	l.count.dropped[dropSlow] += uint64(len(ends))
	var newest []byte
	if r.rule.SlowConsumer == KeepLatest && len(ends) > 0 {
		from := 0
		if len(ends) > 1 {
			from = int(ends[len(ends)-2]) - base
		}
		newest = append(s.missed[r.id][:0], b[from:]...)
	}
	s.missed[r.id] = newest
	return false
}

// caughtUp ends c's time as a slow client: it is told of the holes and given what was kept for it.
func (c *Conn) caughtUp(l *Loop) {
	s := c.act.slow
	l.held -= int64(s.counted)
	c.act.slow = nil
	c.flags &^= flagBacklogged
	if c.phase != phaseOpen {
		l.markDirty(c) // what waited for the last byte can happen now
		return
	}
	for id, newest := range s.missed {
		r := l.roomTable[id]
		l.count.gaps++
		l.tell(c, protocol.Push{Type: protocol.Gap, Room: r.name})
		if newest != nil {
			l.count.deliveries++
			c.queue(l, newest)
		}
	}
	l.markDirty(c)
}

// watchSlow looks at every slow client once a tick: which have caught up, which make no progress.
func (l *Loop) watchSlow() {
	kept := l.slow[:0]
	for _, h := range l.slow {
		c := l.conns.find(h)
		if c == nil {
			continue
		}
		if c.flags&flagBacklogged == 0 {
			c.flags &^= flagWatched
			continue
		}
		s := c.act.slow
		now := c.gc.OutboundBuffered()
		if now == 0 {
			c.flags &^= flagWatched
			c.caughtUp(l)
			continue
		}
		if now < s.counted {
			s.progress = l.tick
		}
		l.held += int64(now - s.counted)
		s.counted = now
		kept = append(kept, h)
		if l.tick-s.progress >= ticks(l.limits.OutboundStall) && c.phase == phaseOpen {
			l.evict(c, CloseStalled)
		}
	}
	l.slow = kept
}

// evict closes c before this turn's writes, but not in the middle of the walk that found it too slow.
func (l *Loop) evict(c *Conn, reason CloseReason) {
	if c.phase == phaseOpen {
		l.evicted = append(l.evicted, eviction{handle: c.handle(l), reason: reason})
	}
}

type eviction struct {
	handle handle
	reason CloseReason
}

func (l *Loop) evictAll() {
	for i := 0; i < len(l.evicted); i++ {
		if c := l.conns.find(l.evicted[i].handle); c != nil {
			c.close(l, l.evicted[i].reason)
		}
	}
	l.evicted = l.evicted[:0]
}
