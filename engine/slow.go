package engine

import (
	"math"

	"github.com/gobwas/ws"

	"github.com/roost-ws/roost/protocol"
	"github.com/roost-ws/roost/protocol/frame"
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
	l.stir()
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

// overloadGrace is what a client may still let wait when the node is at its total: an answer, a notice of a gap.
const overloadGrace = 4 << 10

// overflow is for a write that the kernel took in part while the loop already holds what it may for slow clients.
// A client whose rooms all let it miss something keeps the rest of the frame that was cut and is told of a gap
// later; any other is closed, without a close frame, because there is no place for one in the middle of a frame.
// It returns what is still to be written.
func (c *Conn) overflow(l *Loop, out []byte, sent int, mixed bool) []byte {
	if mixed || !c.mayMiss(l) {
		c.broken(l, CloseOverload)
		return nil
	}
	end, behind := cutFrames(out, sent)
	l.count.deliveries -= uint64(behind)
	l.count.dropped[dropSlow] += uint64(behind)
	c.backlogged(l, 0)
	s := c.act.slow
	if s.missed == nil {
		s.missed = make(map[uint32][]byte)
	}
	for m := range c.memberships() {
		if _, known := s.missed[m.room]; !known {
			s.missed[m.room] = nil
		}
	}
	return out[sent:end]
}

// mayMiss reports whether c is in rooms and all of them rather leave something out than close a slow member.
func (c *Conn) mayMiss(l *Loop) bool {
	for m := range c.memberships() {
		if l.roomTable[m.room].rule.SlowConsumer == Disconnect {
			return false
		}
	}
	return c.first.room != 0
}

// cutFrames looks at frames of ours of which the first bytes are sent: where the one that is cut ends, and how many
// stand whole behind it.
func cutFrames(out []byte, sent int) (end, behind int) {
	for at := 0; at < len(out); {
		h, size, err := frame.ParseHeader(out[at:], ws.StateClientSide, math.MaxInt64)
		if err != nil || size == 0 {
			return len(out), 0
		}
		next := at + size + int(h.Length)
		if at < sent {
			end = next
		} else {
			behind++
		}
		at = next
	}
	return end, behind
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
