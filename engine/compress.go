package engine

import (
	"time"
	"unicode/utf8"

	"github.com/gobwas/ws"

	"github.com/roost-ws/roost/engine/ratelimit"
	"github.com/roost-ws/roost/protocol"
	"github.com/roost-ws/roost/protocol/deflate"
	"github.com/roost-ws/roost/protocol/frame"
	"github.com/roost-ws/roost/protocol/handshake"
)

// permessage-deflate (RFC 7692), never with a context that outlives a message: nothing is kept for a connection, and a
// publication is compressed once for all members. Only publications are: an answer is small, and it must not stand
// in one compressed message with what others chose (the size would tell).

// CompressionOptions say whether and from which size on messages are compressed.
type CompressionOptions struct {
	On        bool
	Threshold int
}

// negotiate answers the extensions that a client offered. The answer is good for this turn.
func (l *Loop) negotiate(r *handshake.Request) ([]byte, deflate.Verdict) {
	if !l.server.compression.On {
		return nil, deflate.Declined
	}
	answer, verdict := deflate.Negotiate(l.arena.reserve(256), r.Extensions(nil))
	return l.arena.commit(answer), verdict
}

// dialectOf is what a connection speaks that asked for t.
func dialectOf(t target, deflates bool) dialect {
	d := dialectV1
	if t == targetRaw {
		d = dialectRaw
	}
	if deflates {
		d += dialectV1Deflate
	}
	return d
}

// maxKept bounds what a large message leaves behind.
const maxKept = 128 << 10

// spent reports whether a message is above its rate whatever it says, and so not worth inflating: a few bytes may
// inflate to as much as a message may have, which costs a hundred times what refusing it does. What waits for its turn
// is above no rate, and has a claim on it.
func (c *Conn) spent(l *Loop) (wait time.Duration, spent bool) {
	a := c.busy(l)
	messages, controls := a.messages, a.controls // copies: what is taken from them is not gone
	n := 1 + len(a.postponed)
	ok, wait := messages.TakeN(l.limits.Messages, l.now, n)
	if !ok && c.dialect.plain() == dialectV1 {
		ok, _ = controls.TakeN(l.limits.Controls, l.now, n)
	}
	if wait == ratelimit.Never {
		wait = 0 // as soon as what waits has been read
	}
	return wait, !ok
}

// inflate is a compressed message's payload, as long as nothing else is inflated on this loop. It is false if the
// connection is being closed because there is none.
func (c *Conn) inflate(l *Loop, ev *frame.Event) ([]byte, bool) {
	var out []byte
	var err error
	if mayBeDear(ev) {
		out, err = l.takeInflated()
	} else {
		if cap(l.inflated) > maxKept {
			l.inflated = nil
		}
		out, err = l.inflater.Inflate(l.inflated[:0], ev.Payload, l.limits.MessageBytes)
		l.inflated = out
	}
	switch {
	case err == nil && ev.Op == ws.OpText && !utf8.Valid(out):
		c.close(l, CloseInvalidText)
	case err == nil:
		return out, true
	default:
		fault, _ := err.(deflate.Error)
		l.count.inflateErrors[fault]++
		if fault == deflate.ErrTooLarge {
			c.close(l, CloseTooBig)
		} else {
			c.close(l, CloseInvalidText)
		}
	}
	return nil, false
}

// deflate appends the compressed form of a frame that seal has been through, headroom and all. It appends nothing if
// the frame is better sent as it is, or there is no effort left for it.
func (l *Loop) deflate(dst, whole []byte, form protocol.Form) []byte {
	if len(whole) == 0 || l.effort >= effortMost {
		return dst
	}
	defer l.spend(l.server.clock())
	b, smaller := l.deflater.Deflate(append(dst, make([]byte, headroomBytes)...), whole[headroomBytes:])
	if !smaller {
		return dst
	}
	l.count.compressed++
	sealAs(b, form, true)
	return b
}

// finished is the frame of an encoded publication in one dialect. It is good until the next one is finished.
func (l *Loop) finished(to dialect, b []byte, form protocol.Form) []byte {
	if to.deflates() {
		if cap(l.deflated) > maxKept {
			l.deflated = nil
		}
		if l.deflated = l.deflate(l.deflated[:0], b, form); len(l.deflated) > 0 {
			return sealed(l.deflated)
		}
	}
	return seal(b, form)
}
