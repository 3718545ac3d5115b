package engine

import (
	"iter"

	"github.com/roost-ws/roost/protocol/frame"
)

// What a compressed message costs can't be seen before it is inflated: one of 64 KiB that is made of nothing but code
// tables takes 20 ms and then turns out to be broken. So one that may take more than a loop's share is inflated on a
// coroutine, a goroutine that runs only while the loop waits for it inside of more, and comes back to the loop every
// 0.1 ms. When the share is spent it stays where it is until its connection's next turn. A loop has one of these at a
// time; connections whose message would be the second wait.

// dearBytes is the size from which on a compressed message may take a good part of a share.
const dearBytes = 1 << 10

func mayBeDear(ev *frame.Event) bool { return ev.Compressed && len(ev.Payload) > dearBytes }

// inflation is the inflating of one message. Loop only.
type inflation struct {
	of      handle
	more    func() (struct{}, bool)
	stop    func()
	payload []byte
	err     error
	done    bool
}

// inflateSlowly goes on with inflating a message of c, or begins to, as long as there is effort for it. It is true when
// that is done; c.inflate then has the payload. The message may be moved between two calls.
func (c *Conn) inflateSlowly(l *Loop, ev *frame.Event) bool {
	switch i := l.inflation; {
	case i == nil:
		l.inflation = l.newInflation(c, ev.Payload)
	case i.of != c.handle(l):
		return false
	}
	began := l.server.clock()
	for i := l.inflation; !i.done && l.effort < effortShare; {
		_, more := i.more()
		i.done = !more
		now := l.server.clock()
		l.spend(began)
		began = now
	}
	return l.inflation.done
}

// newInflation reads no more of src once more was called for the first time.
func (l *Loop) newInflation(c *Conn, src []byte) *inflation {
	if cap(l.slowlyInflated) > maxKept {
		l.slowlyInflated = nil
	}
	i := &inflation{of: c.handle(l)}
	i.more, i.stop = iter.Pull(func(yield func(struct{}) bool) {
		i.payload, i.err = l.slowInflater.InflateSlowly(l.slowlyInflated[:0], src, l.limits.MessageBytes,
			func() bool { return yield(struct{}{}) })
	})
	return i
}

// takeInflated is what came out of a message that inflateSlowly is done with. It is good until the next one is begun.
func (l *Loop) takeInflated() ([]byte, error) {
	i := l.inflation
	l.inflation, l.slowlyInflated = nil, i.payload
	i.stop()
	return i.payload, i.err
}

// forgetInflation gives up what is being inflated for c.
func (c *Conn) forgetInflation(l *Loop) {
	if l.inflation != nil && l.inflation.of == c.handle(l) {
		l.endInflation()
	}
}

func (l *Loop) endInflation() {
	if l.inflation != nil {
		l.inflation.stop()
		l.inflation = nil
	}
}
