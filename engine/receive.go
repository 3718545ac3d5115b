package engine

import (
	"encoding/binary"
	"time"

	"github.com/gobwas/ws"

	"github.com/roost-ws/roost/protocol"
	"github.com/roost-ws/roost/protocol/frame"
)

// receive turns bytes of an open connection into frames, messages and commands. A connection between two
// messages is read by the loop's spare assembler; one that leaves something unfinished keeps it.
func (c *Conn) receive(l *Loop, p []byte) {
	kept := c.act != nil && c.act.in != nil
	a := l.spare
	if kept {
		a = c.act.in
	}
	fresh := !kept
	limits := &l.frames
	if c.dialect.deflates() {
		limits = &l.framesDeflate
	}
	for {
		ev, rest, err := a.Next(p, limits, l.bufs)
		if err != nil {
			fault, _ := err.(frame.Error)
			c.violated(l, fault)
			break
		}
		if ev.Kind == frame.None {
			break
		}
		p = rest
		if ev.Kind == frame.Message || !a.Open() {
			fresh = true // a control frame within a message is no new begin of it
		}
		c.event(l, &ev)
		if ev.Kind == frame.Close || c.phase != phaseOpen && c.phase != phaseClosing {
			break
		}
	}
	c.settle(l, a, kept, fresh)
}

// settle leaves the assembler where it belongs after a read: with the connection only while it holds something.
func (c *Conn) settle(l *Loop, a *frame.Assembler, kept, fresh bool) {
	over := c.phase != phaseOpen && c.phase != phaseClosing || c.flags&flagHangUp != 0 || c.closeWaits()
	if over {
		a.Release(l.bufs)
	}
	switch {
	case over || a.Idle():
		if kept {
			c.act.in = nil
			l.assemblers.put(a)
			c.rest(l)
		}
		return
	case !kept:
		c.busy(l).in = a
		l.spare = l.assemblers.get()
	}
	if fresh {
		c.act.inSince = l.tick
		if c.phase == phaseOpen {
			c.arm(l)
		}
	}
}

// violated answers a breach of the framing.
func (c *Conn) violated(l *Loop, fault frame.Error) {
	if c.phase != phaseOpen {
		c.hangUp(l, true)
		return
	}
	l.count.violations[fault]++
	c.closeUnread(l, frameReason(fault))
}

func (c *Conn) event(l *Loop, ev *frame.Event) {
	if c.phase == phaseClosing && ev.Kind != frame.Close {
		return // RFC 6455 section 5.5.1: what comes after our close frame is not ours to answer
	}
	switch ev.Kind {
	case frame.Message:
		l.stir()
		l.count.received++
		c.readOrPostpone(l, ev)
	case frame.Ping:
		if ok, _ := c.busy(l).controls.Take(l.limits.Controls, l.now); !ok {
			l.count.rateLimited[limitedControls]++
			c.fault(l, CloseRateLimited)
			return
		}
		c.control(l, l.arena.commit(frame.AppendPong(l.arena.reserve(controlFrameBytes), ev.Payload)))
	case frame.Pong:
		if l.asked {
			l.asked = false
			c.pong(l, ev.Payload)
		}
	case frame.Close:
		if c.waits() {
			c.postpone(l, ev)
			return
		}
		c.answerClose(l, ev.CloseCode)
	}
}

// readOrPostpone reads a message now or lets it wait for its turn. Compressed ones above their rate are refused.
func (c *Conn) readOrPostpone(l *Loop, ev *frame.Event) {
	if ev.Compressed {
		if wait, spent := c.spent(l); spent {
			l.limited(c, nil, limitedMessages, wait)
			return
		}
	}
	if c.waits() || ev.Compressed && l.effort >= effortShare || mayBeDear(ev) && !c.inflateSlowly(l, ev) {
		c.postpone(l, ev)
		return
	}
	c.read(l, ev)
}

// read reads a whole message. All that a compressed one takes is effort: what it inflates to has to be decoded, too. A
// dear one has been inflated already.
func (c *Conn) read(l *Loop, ev *frame.Event) {
	if !ev.Compressed {
		c.message(l, ev.Op == ws.OpBinary, ev.Payload)
		return
	}
	began, before := l.server.clock(), l.effort
	if payload, ok := c.inflate(l, ev); ok {
		c.message(l, ev.Op == ws.OpBinary, payload)
	}
	l.effort = before // what was compressed meanwhile is a part of it
	l.spend(began)
}

// message hands one whole message to the dialect and its command to dispatch.
func (c *Conn) message(l *Loop, bin bool, payload []byte) {
	if bin && c.dialect.plain() == dialectV1 {
		c.close(l, CloseDataKind)
		return
	}
	cmd := &l.command
	cmd.Reset()
	code, detail := l.codecs[c.dialect].Decode(payload, bin, cmd)
	if code != protocol.NoError {
		l.fail(c, cmd.ID, code, detail, 0)
		c.fault(l, CloseTooManyErrors)
		return
	}
	l.dispatch(c, cmd)
}

// pong measures the round trip of a ping of ours: its payload is the time it was sent. It is called for the first pong
// after a ping: one that nobody asked for (RFC 6455 section 5.5.3 allows them) is a sign of life and no measurement.
func (c *Conn) pong(l *Loop, payload []byte) {
	if len(payload) != pingBytes {
		return
	}
	sent := int64(binary.BigEndian.Uint64(payload))
	if took := l.now - sent; took >= 0 && took < int64(time.Minute) {
		l.server.metrics.pingRTT.Update(float64(took) / 1e9)
	}
}

// fault is one thing a client did wrong. It may do so now and then; who keeps at it is closed.
func (c *Conn) fault(l *Loop, reason CloseReason) {
	if c.phase != phaseOpen {
		return
	}
	if ok, _ := c.busy(l).faults.Take(l.limits.Faults, l.now); !ok {
		c.close(l, reason)
	}
}
