package engine

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// A panic on a loop is a bug of ours, and the loop carries connections that have nothing to do with it. So the
// places that act for one connection, or on one letter, are fenced: what panics there ends that connection with
// 1011, is counted (roost_panics_total) and logged with its stack, and the turn goes on. A panic anywhere else
// still ends the process: of a walk or a flush nobody could say what it left undone.

// contain ends a fenced piece of work that panicked; c is the connection that it was about, nil if none. It has to
// be the deferred function itself.
func (l *Loop) contain(c *Conn) {
	cause := recover()
	if cause == nil {
		return
	}
	l.count.panics++
	l.server.log.Error("panic on a loop, contained", "loop", l.index, "cause", harmlessCause(cause), "stack", string(debug.Stack()))
	l.spare.Release(l.bufs)
	if c == nil || c.phase == phaseFree {
		return
	}
	if a := c.act; a != nil && a.in != nil {
		a.in.Release(l.bufs)
		l.assemblers.put(a.in)
		a.in = nil
	}
	switch c.phase {
	case phaseOpen:
		c.closeUnread(l, CloseInternal) // the rest of what it sent is lost
	case phaseDead:
	default:
		c.hangUp(l, true)
	}
}

// harmlessCause is what may be logged of a panic's value: the runtime's own words, and of anything else the type,
// since it may hold what a client sent.
func harmlessCause(cause any) string {
	if e, ok := cause.(runtime.Error); ok {
		return e.Error()
	}
	return fmt.Sprintf("a value of type %T", cause)
}

// trafficFenced is onTraffic with a fence around it.
func (c *Conn) trafficFenced(l *Loop, p []byte) {
	defer l.contain(c)
	c.onTraffic(l, p)
}

// readNextFenced is readNext with a fence around it.
func (c *Conn) readNextFenced(l *Loop) (read bool) {
	defer l.contain(c)
	return c.readNext(l)
}

// readFenced reads one letter with a fence around it. The connection that a verdict was for is ended with it.
func (l *Loop) readFenced(x *letter) {
	var c *Conn
	if x.kind == letterAuthorized {
		c = l.conns.find(x.handle)
	}
	defer l.contain(c)
	l.read(x)
}

// fireFenced is a timer with a fence around it.
func (l *Loop) fireFenced(slot uint32) {
	defer l.contain(l.conns.at(slot))
	l.fire(slot)
}
