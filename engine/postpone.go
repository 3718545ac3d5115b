package engine

import (
	"slices"
	"time"

	"github.com/roost-ws/roost/protocol/frame"
)

// Compression costs a loop a hundred times what a message costs otherwise, and how much is the sender's choice: a few
// bytes may inflate to as much as a message may have. So a loop has only so much effort for it between two bytes of its
// pacer, which is as long as it takes to look at every socket once. When that is spent, connections that send
// compressed messages wait for their turn, first come first served. What they send behind the first of these waits with
// it, so that commands stay in order, and a close frame behind them; what is above its rate is refused at once.
//
// What goes out need not be compressed, so it never waits: where too much of it comes together, it is sent as it is.

const (
	// effortShare is the effort after which compressed messages wait. It adds to everybody's round trip, and so does
	// the message that passes it, which may take a millisecond; it is worth many times the pacer's byte.
	effortShare = int64(500 * time.Microsecond)
	// effortMost is the effort after which nothing is compressed, reached where other loops or nodes have many large
	// publications for this one: no connection could be made to wait for those.
	effortMost = 4 * effortShare
	// postponedOverhead is about what a message that waits takes beside its payload.
	postponedOverhead = 128
)

// spend counts what was begun at a time of the server's clock as effort.
func (l *Loop) spend(began int64) {
	l.effort += l.server.clock() - began
	if l.effort >= effortShare {
		l.pacer.ring()
	}
}

// waits reports whether something that c sent waits for c's turn.
func (c *Conn) waits() bool { return c.act != nil && len(c.act.postponed) > 0 }

// closeWaits reports whether c has said goodbye, and what it said before waits.
func (c *Conn) closeWaits() bool {
	return c.waits() && c.act.postponed[len(c.act.postponed)-1].Kind == frame.Close
}

// postpone keeps a message or close frame of c for its turn. gnet reads every socket, so a client can't be held back:
// one that sends on until more waits than a read brings and a message is closed.
func (c *Conn) postpone(l *Loop, ev *frame.Event) {
	a := c.busy(l)
	if c.waits() && a.postponedBytes+len(ev.Payload)+postponedOverhead > readBytes+l.limits.MessageBytes {
		c.close(l, CloseOverload)
		return
	}
	if !c.waits() {
		l.waiting = append(l.waiting, c.slot)
		l.count.postponed++
		l.pacer.ring()
	}
	kept := *ev
	kept.Payload = append(l.bufs.Get(len(ev.Payload)), ev.Payload...)
	kept.CloseReason = nil
	a.postponed = append(a.postponed, kept)
	a.postponedBytes += len(ev.Payload) + postponedOverhead
}

// resume gives connections their turns, as many as there is effort for: the pacer's byte has come back. Who has not
// got enough of it waits again, behind the others.
func (l *Loop) resume() {
	l.effort = 0
	if len(l.waiting) == 0 {
		return
	}
	l.begin()
	l.readMail()
	n := 0
	for ; n < len(l.waiting) && l.effort < effortShare; n++ {
		slot := l.waiting[n]
		if l.waiting[n] = 0; slot == 0 {
			continue
		}
		c := l.conns.at(slot)
		for c.waits() && l.effort < effortShare && c.readNextFenced(l) {
			l.readMail() // what it published may be there to be compressed, and is a part of its turn
		}
		if c.waits() {
			l.waiting = append(l.waiting, slot)
		}
	}
	l.waiting = slices.DeleteFunc(slices.Delete(l.waiting, 0, n), func(slot uint32) bool { return slot == 0 })
	if len(l.waiting) > 0 {
		l.pacer.ring()
	}
	l.finish(nil)
}

// readNext reads the first thing that waits of what c sent, and reports false if it has to wait on.
func (c *Conn) readNext(l *Loop) bool {
	if first := &c.act.postponed[0]; mayBeDear(first) && !c.inflateSlowly(l, first) {
		return false
	}
	ev := c.nextPostponed()
	defer l.bufs.Put(ev.Payload)
	if ev.Kind == frame.Close {
		c.answerClose(l, ev.CloseCode)
	} else {
		c.read(l, &ev)
	}
	c.rest(l)
	return true
}

// nextPostponed takes the first thing that waits out of its queue.
func (c *Conn) nextPostponed() frame.Event {
	a := c.act
	ev := a.postponed[0]
	a.postponed[0] = frame.Event{}
	a.postponed = a.postponed[1:]
	if a.postponedBytes -= len(ev.Payload) + postponedOverhead; len(a.postponed) == 0 {
		a.postponed = nil
	}
	return ev
}

// forgetPostponed drops what waits of a connection that is open no more.
func (c *Conn) forgetPostponed(l *Loop) {
	c.forgetInflation(l)
	if !c.waits() {
		return
	}
	for c.waits() {
		l.bufs.Put(c.nextPostponed().Payload)
	}
	if i := slices.Index(l.waiting, c.slot); i >= 0 {
		l.waiting[i] = 0 // resume may be on its way through the list
	}
}
