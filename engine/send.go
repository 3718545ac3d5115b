package engine

import (
	"syscall"
	"unsafe"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"github.com/roost-ws/roost/protocol"
	"github.com/roost-ws/roost/protocol/frame"
)

// headroomBytes is left free in front of a payload that is encoded before its length is known.
const headroomBytes = 10

// headroom reserves memory of this turn with room for a frame header in front.
func (l *Loop) headroom() []byte { return l.arena.reserve(512)[:headroomBytes] }

// seal writes the frame header into the headroom in front of an encoded payload and returns the frame.
func seal(b []byte, form protocol.Form) []byte { return sealAs(b, form, false) }

// sealAs is seal for a payload that is compressed, or not.
func sealAs(b []byte, form protocol.Form, compressed bool) []byte {
	op := ws.OpText
	if form == protocol.BinaryMessage {
		op = ws.OpBinary
	}
	n := len(b) - headroomBytes
	start := headroomBytes - frame.HeaderSize(n)
	if compressed {
		frame.AppendCompressedHeader(b[start:start], op, n)
	} else {
		frame.AppendHeader(b[start:start], op, n)
	}
	return b[start:]
}

// sealed is the frame in a buffer that seal has been through.
func sealed(b []byte) []byte { return b[headroomBytes-frame.HeaderSize(len(b)-headroomBytes):] }

// controlFrameBytes is room for any control frame.
const controlFrameBytes = 2 + ws.MaxControlFramePayloadSize

// commitSealed is seal for a payload in the arena's reserve: the memory stays taken until the turn's end.
func (l *Loop) commitSealed(b []byte, form protocol.Form) []byte {
	return seal(l.arena.commit(b), form)
}

// reply answers a command of c.
func (l *Loop) reply(c *Conn, r protocol.Reply) {
	l.answer = r // the codec is behind an interface: what it is pointed to must be on the heap already
	b := l.codecs[c.dialect].AppendReply(l.headroom(), &l.answer)
	if len(b) > headroomBytes {
		l.count.sent++
		c.control(l, l.commitSealed(b, protocol.TextMessage))
	}
}

// tell pushes to c alone something that no policy may drop.
func (l *Loop) tell(c *Conn, p protocol.Push) {
	l.notice = p
	b, form := l.codecs[c.dialect].AppendPush(l.headroom(), &l.notice)
	if form != protocol.NoMessage {
		l.count.sent++
		c.control(l, l.commitSealed(b, form))
	}
}

// control queues frames that are never dropped: answers, notices, pings, close. b is good until the turn's end.
func (c *Conn) control(l *Loop, b []byte) {
	c.queue(l, b)
	if c.act != nil {
		c.act.mixed = true
	}
	if c.flags&flagBacklogged != 0 && c.phase == phaseOpen && c.waiting() > 2*l.limits.OutboundBytes {
		l.evict(c, CloseSlowConsumer)
	}
}

// publications queues a batch of a room for one member, without what the batch excuses it from.
func (c *Conn) publications(l *Loop, r *Room, b *batch) {
	if spans := b.except[c.slot]; len(spans) > 0 {
		c.publicationsExcept(l, r, b, spans)
		return
	}
	c.deliverTo(l, r, b.bytes, b.ends, 0)
}

// publicationsExcept queues the pieces between the spans, which are in order.
func (c *Conn) publicationsExcept(l *Loop, r *Room, b *batch, spans []span) {
	from, first := 0, 0
	piece := func(to int) {
		last := first
		for last < len(b.ends) && int(b.ends[last]) <= to {
			last++
		}
		if to > from {
			c.deliverTo(l, r, b.bytes[from:to], b.ends[first:last], from)
		}
		first = last
	}
	for _, s := range spans {
		piece(min(s.from, len(b.bytes)))
		from = min(s.to, len(b.bytes))
		for first < len(b.ends) && int(b.ends[first]) <= from {
			first++
		}
	}
	piece(len(b.bytes))
}

// deliverTo queues whole publications for c; ends are where each ends, counted from base. A client that can't
// keep up gets what its room's policy leaves.
func (c *Conn) deliverTo(l *Loop, r *Room, b []byte, ends []uint32, base int) {
	if c.phase != phaseOpen {
		return
	}
	if c.flags&flagBacklogged != 0 && !c.admit(l, r, b, ends, base) {
		return
	}
	l.count.deliveries += uint64(len(ends))
	if c.flags&flagDirty == 0 && c.flags&flagBacklogged == 0 {
		b = c.writeAhead(l, b)
	}
	c.queue(l, b)
}

// writeAhead tries to send b at once, for a member that is sent nothing else in this turn, and returns what is left:
// a large room's members would else each be looked up twice. Whatever goes wrong is left to the flush, which meets it
// again: a walk is no place to close a connection in.
func (c *Conn) writeAhead(l *Loop, b []byte) []byte {
	n, errno := rawWrite(c.gc.Fd(), b)
	if errno != 0 {
		return b
	}
	l.count.writes++
	l.count.sentBytes += uint64(n)
	return b[n:]
}

// queue adds b to what c is sent at the end of this turn. Neighbours in memory become one piece.
func (c *Conn) queue(l *Loop, b []byte) {
	if len(b) == 0 || c.phase == phaseDead {
		return
	}
	a := c.busy(l)
	switch {
	case a.queued == 0:
		a.out = b
	case len(a.outs) == 0 && adjacent(a.out, b):
		a.out = a.out[:len(a.out)+len(b)]
	case len(a.outs) > 0 && adjacent(a.outs[len(a.outs)-1], b):
		last := &a.outs[len(a.outs)-1]
		*last = (*last)[:len(*last)+len(b)]
	default:
		a.outs = append(a.outs, b)
	}
	a.queued += len(b)
	l.markDirty(c)
}

// adjacent reports whether b follows a in the same memory, so that both can be written as one.
func adjacent(a, b []byte) bool {
	return cap(a)-len(a) >= len(b) && unsafe.SliceData(b) == unsafe.SliceData(a[len(a):len(a)+1])
}

func (l *Loop) markDirty(c *Conn) {
	if c.flags&flagDirty == 0 {
		c.flags |= flagDirty
		l.dirty = append(l.dirty, c.slot)
	}
}

// flush writes what this turn has for each connection, in one write each.
func (l *Loop) flush() {
	l.evictAll()
	for _, slot := range l.dirty {
		if c := l.conns.at(slot); c.flags&flagDirty != 0 {
			c.flags &^= flagDirty
			c.write(l)
		}
	}
	l.dirty = l.dirty[:0]
	l.arena.reset()
	l.landAll()
}

// landAll settles the batches whose last member has been written.
func (l *Loop) landAll() {
	if len(l.landed) == 0 {
		return
	}
	now := l.server.clock()
	for i := range l.landed {
		if since := l.landed[i].since; since != 0 {
			l.server.metrics.delivery.Update(float64(now-since) / 1e9)
		}
		l.bufs.Put(l.landed[i].bytes)
		l.landed[i] = landing{}
	}
	l.landed = l.landed[:0]
}

// write sends what is queued and then does what was to happen after it.
func (c *Conn) write(l *Loop) {
	if a := c.act; a != nil && a.queued > 0 {
		out := l.gatherOut(a)
		mixed := a.mixed
		a.out, a.queued, a.mixed = nil, 0, false
		l.count.sentBytes += uint64(len(out))
		gen := c.gen
		c.writeOut(l, out, mixed)
		if c.gen != gen || c.phase == phaseFree {
			return // the write failed and gnet has closed the connection
		}
	}
	if c.flags&flagBacklogged == 0 {
		c.afterWrite(l)
	}
	c.rest(l)
}

// gatherOut makes one slice of everything queued. Several pieces are copied together: for messages of the usual
// size that costs less than a gather-write's bookkeeping.
func (l *Loop) gatherOut(a *activity) []byte {
	if len(a.outs) == 0 {
		return a.out
	}
	l.joinBuf = append(l.joinBuf[:0], a.out...)
	for i, b := range a.outs {
		l.joinBuf = append(l.joinBuf, b...)
		a.outs[i] = nil
	}
	a.outs = a.outs[:0]
	out := l.joinBuf
	if cap(l.joinBuf) > arenaChunk {
		l.joinBuf = nil
	}
	return out
}

// writeOut is the only place that writes to a socket. The first try goes to the kernel past Go's scheduler: the
// socket never blocks, so telling the scheduler that this thread might is a cost without a use. What the kernel
// would not take, gnet keeps and sends when it can.
func (c *Conn) writeOut(l *Loop, out []byte, mixed bool) {
	if c.flags&flagBacklogged == 0 {
		l.count.writes++
		n, errno := rawWrite(c.gc.Fd(), out)
		switch {
		case errno == 0 && n == len(out):
			return
		case errno == unix.EAGAIN:
			n = 0
		case errno != 0:
			c.broken(l, ClosePeerGone)
			return
		}
		rest := out[n:]
		if c.phase == phaseOpen && l.held+int64(len(rest)) > l.heldMost && (!mixed || len(rest) > overloadGrace) {
			if rest = c.overflow(l, out, n, mixed); c.phase != phaseOpen {
				return
			}
		}
		if out = rest; len(out) == 0 {
			return
		}
	}
	_, _ = c.gc.Write(out) // a failure comes as OnClose
	if c.phase != phaseFree && c.phase != phaseDead {
		c.backlogged(l, len(out))
	}
}

// broken ends a connection that can't be written to any more, or must not.
func (c *Conn) broken(l *Loop, reason CloseReason) {
	if c.phase == phaseOpen {
		c.retire(l, reason)
	}
	c.hangUp(l, true)
}

// rawWrite is send(2) on a non-blocking socket, without the scheduler: write(2) would come to the same by way of the
// file layer, which costs some percent more.
func rawWrite(fd int, b []byte) (int, syscall.Errno) {
	for {
		n, _, errno := syscall.RawSyscall6(syscall.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)),
			unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL, 0, 0)
		if errno != unix.EINTR {
			return int(n), errno
		}
	}
}

// afterWrite does what waited for the last byte to be with the kernel.
func (c *Conn) afterWrite(l *Loop) {
	switch {
	case c.flags&flagHangUp != 0:
		c.hangUp(l, false)
	case c.flags&flagShutWrite != 0:
		c.flags &^= flagShutWrite
		_ = unix.Shutdown(c.gc.Fd(), unix.SHUT_WR)
	}
}
