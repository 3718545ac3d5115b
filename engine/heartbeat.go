package engine

import (
	"encoding/binary"
	"time"

	"github.com/roost-ws/roost/protocol"
	"github.com/roost-ws/roost/protocol/frame"
	"github.com/roost-ws/roost/protocol/handshake"
)

const (
	// pingBytes is the payload of our pings: when they were sent, so that the pong tells the round trip and
	// nothing has to be remembered for it.
	pingBytes = 8
	// expiryNotice is how long before its token ends a client is told so.
	expiryNotice = 30 * time.Second
)

// advance is one tick: timers, slow clients, the drain, and the counters for whoever scrapes. posted is when
// the ticker sent it, so the difference to now is how far behind this loop is.
func (l *Loop) advance(posted int64) {
	l.tickSent.Store(0)
	l.server.metrics.loopLag.Update(float64(l.now-posted) / 1e9)
	l.readWall()
	l.pingFrame = nil
	l.wheel.Advance(l.tick, l.fireTimer)
	l.pingFrame = nil // its memory is the turn's
	l.watchSlow()
	l.drainSome()
	if l.tick >= l.trimAt {
		l.trimAt = l.tick + trimEvery
		l.bufs.Trim()
	}
	l.tallied.store(l)
	l.tickDue.Store(l.nextTick())
}

// nextTick is when this loop wants to hear of the time again: with the next one while anything is going on that
// has a deadline of its own, and otherwise with the next burst of heartbeats. Each wake-up of an idle process
// costs more than what there is to do in it.
func (l *Loop) nextTick() uint32 {
	calm := !l.stirred && l.conns.open == l.opened && len(l.slow) == 0 &&
		l.assemblers.lent <= 1 && l.server.state.Load() == stateServing
	l.stirred = false
	if !calm {
		return l.tick + 1
	}
	return l.beatAt(l.tick + 1)
}

// stir notes that there is something for the next tick to look at, and has it come with the next tenth of a second
// if the loop had meant to sleep longer.
func (l *Loop) stir() {
	l.stirred = true
	if l.tickDue.Load() > l.tick+1 {
		l.server.tickAgain(l, l.tick+1)
	}
}

// readWall looks at the wall clock, which may jump: only tokens and timestamps go by it.
func (l *Loop) readWall() {
	wall := l.server.wall()
	l.unix, l.wallAhead = wall.Unix(), wall.UnixNano()-l.server.clock()
}

// trimEvery is how often, in ticks, unused buffers go back to the collector.
const trimEvery = 600

// arm sets c's one timer to its earliest deadline. Activity does not move it: it only notes a time, and the
// deadline is looked at again when it comes.
func (c *Conn) arm(l *Loop) {
	due := c.nextPing
	if c.flags&flagPinged != 0 {
		due = min(due, c.lastSeen+l.server.idleTicks)
	}
	if c.act != nil && c.act.in != nil {
		due = min(due, c.act.inSince+ticks(l.limits.MessageTimeout))
	}
	if c.expires != 0 {
		left := int64(c.expires) - l.unix
		if c.flags&flagExpiring == 0 {
			left -= int64(expiryNotice / time.Second)
		}
		if left < (int64(due)-int64(l.tick))/int64(ticksPerSecond)+1 {
			due = l.tick + uint32(max(left, 0))*ticksPerSecond
		}
	}
	if end, ok := l.ages.due(c.slot); ok {
		due = min(due, end)
	}
	l.wheel.Schedule(c.slot, due)
}

const ticksPerSecond = uint32(time.Second / tickEvery)

// fire is a timer that has come: which deadline that is depends on the phase.
func (l *Loop) fire(slot uint32) {
	c := l.conns.at(slot)
	switch c.phase {
	case phaseProxy:
		c.turnAway(l, CloseProxyTimeout)
	case phaseHandshake, phaseAuthorizing:
		c.tooSlow(l)
	case phaseOpen:
		c.beat(l)
	case phaseClosing, phaseLinger:
		c.hangUp(l, true)
	}
}

// tooSlow ends a handshake that has taken its time. Who sent nothing at all is owed no answer.
func (c *Conn) tooSlow(l *Loop) {
	if c.act == nil || c.act.head == nil {
		c.reason = CloseHandshakeTimeout
		l.count.closes[CloseHandshakeTimeout]++
		l.count.refused[handshake.TooSlow]++
		c.hangUp(l, true)
		return
	}
	l.count.refused[handshake.TooSlow]++
	c.linger(l, CloseHandshakeTimeout, l.arena.commit(handshake.TooSlow.Append(l.arena.reserve(512), retryAfter)))
}

// beat looks at the deadlines of an open connection, the one that ends it first.
func (c *Conn) beat(l *Loop) {
	switch {
	case c.expires != 0 && l.unix >= int64(c.expires):
		c.close(l, CloseTokenExpired)
		return
	case c.flags&flagPinged != 0 && l.tick-c.lastSeen >= l.server.idleTicks:
		l.endSilent(c) // who was not asked because this loop came late is not silent
		return
	case c.act != nil && c.act.in != nil && l.tick-c.act.inSince >= ticks(l.limits.MessageTimeout):
		c.closeUnread(l, CloseSlowMessage) // it is in the middle of a frame, and would say goodbye within it
		return
	}
	if end, ok := l.ages.due(c.slot); ok && l.tick >= end {
		l.sendAway(c, 1, CloseMaxAge)
		return
	}
	if c.expires != 0 && c.flags&flagExpiring == 0 && int64(c.expires)-l.unix <= int64(expiryNotice/time.Second) {
		c.flags |= flagExpiring
		l.tell(c, protocol.Push{Type: protocol.Expiring, In: int(int64(c.expires) - l.unix)})
	}
	if l.tick >= c.nextPing {
		c.nextPing = l.beatAt(l.tick + ticks(l.server.heartbeat))
		c.control(l, l.ping())
		c.flags |= flagPinged
		l.count.pings++
	}
	c.rest(l)
	c.arm(l)
}

// burst is how many pings a loop sends at once rather than wake up again for the next ones: two milliseconds' work.
const burst = 256

// beatAt moves a heartbeat a little later, so that those of up to a second leave together as long as that makes a
// small burst. Their pongs come together too, and a machine with mostly idle connections wakes up for a few bursts
// a second instead of for each connection alone, which costs more than the ping.
func (l *Loop) beatAt(due uint32) uint32 {
	interval := ticks(l.server.heartbeat)
	perTick := uint32(l.opened)/max(interval, 1) + 1
	group := min(max(burst/perTick, 1), ticksPerSecond, max(interval/8, 1))
	return (due + group - 1) / group * group
}

// endSilent closes a peer that has shown no sign of life. The close frame is a courtesy to one that only lost
// the way here; nothing is waited for, and the kernel is told to keep nothing.
func (l *Loop) endSilent(c *Conn) {
	c.close(l, CloseNoPong)
	l.wheel.Schedule(c.slot, l.after(time.Second))
}

// ping is this turn's ping frame, the same for all connections that are due in it.
func (l *Loop) ping() []byte {
	if l.pingFrame == nil {
		var stamp [pingBytes]byte
		binary.BigEndian.PutUint64(stamp[:], uint64(l.now))
		l.pingFrame = l.arena.commit(frame.AppendPing(l.arena.reserve(controlFrameBytes), stamp[:]))
	}
	return l.pingFrame
}
