package reactor

// The way out: messages with stamps, control frames, and what a socket does not take.

import (
	"encoding/binary"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"github.com/roost-ws/roost/protocol/frame"
)

// appendMessage appends a frame with a measured message of connection c to dst.
func (l *loop) appendMessage(dst []byte, c *conn, sequence uint32, due int64) []byte {
	i := l.number(c)
	stamp{l.run, uint32(i), sequence, due}.put((*[stampSize]byte)(l.payload))
	body := l.payload
	if len(l.message) > 0 {
		l.text = l.names.expand(l.text[:0], l.message, i, l.payload)
		body = l.text
	}
	op := ws.OpBinary
	if l.textFrame {
		op = ws.OpText
	}
	l.sent++
	return frame.AppendMasked(dst, true, 0, op, l.maskKey(), body)
}

// maskKey is a fresh key (RFC 6455, section 5.3). A key of zero would spare both sides work that real clients cause.
func (l *loop) maskKey() (key [4]byte) {
	binary.LittleEndian.PutUint32(key[:], uint32(l.random.Uint64())|1)
	return key
}

// sendText sends a message that is not measured.
func (l *loop) sendText(c *conn, text []byte) {
	l.sent++
	l.outgoing = frame.AppendMasked(l.outgoing[:0], true, 0, ws.OpText, l.maskKey(), text)
	l.send(c, l.outgoing)
}

func (l *loop) sendControl(c *conn, op ws.OpCode, body []byte) {
	l.outgoing = frame.AppendMasked(l.outgoing[:0], true, 0, op, l.maskKey(), body)
	l.send(c, l.outgoing)
}

// send writes p, which is whole frames and is not kept. What the socket does not take waits. If the connection turns
// out to be gone, it ends.
func (l *loop) send(c *conn, p []byte) {
	if c.phase == closed {
		return
	}
	if c.blocked() {
		c.side.out = append(l.pool.Grow(c.side.out, len(p)), p...)
		return
	}
	n, errno := rawWrite(c.fd, p)
	switch {
	case errno == unix.EAGAIN, errno == unix.EINTR:
	case errno != 0:
		l.end(c, causeOf(errno))
		return
	}
	if n < len(p) {
		l.aside(c).out = append(l.pool.Get(len(p)-n), p[n:]...)
		l.watch(c, unix.EPOLL_CTL_MOD)
	}
}

// hangUp begins the closing handshake (RFC 6455, section 7.1.2) on a connection that is ready. The task is told once
// the server has closed the socket, or has not for as long as opening may take.
func (l *loop) hangUp(c *conn) {
	l.open--
	c.phase = closing
	l.deadlines = append(l.deadlines, appointment{l.now + l.timeout, c.slot, c.gen})
	l.sendControl(c, ws.OpClose, normalClosure)
}

var normalClosure = binary.BigEndian.AppendUint16(nil, uint16(ws.StatusNormalClosure))

// aside is c's memory beside the line that each connection has.
func (l *loop) aside(c *conn) *side {
	if c.side == nil {
		c.side = new(side)
	}
	return c.side
}

// tidy gives that memory back once there is nothing in it.
func (c *conn) tidy() {
	if c.side != nil && c.side.head == nil && c.side.out == nil {
		c.side = nil
	}
}

// flush writes what waits, and lets the task write what is due since.
func (l *loop) flush(c *conn) {
	l.now = Now()
	if c.blocked() {
		n, errno := rawWrite(c.fd, c.side.out[c.side.taken:])
		switch {
		case errno == unix.EAGAIN, errno == unix.EINTR:
			return
		case errno != 0:
			l.end(c, causeOf(errno))
			return
		}
		if c.side.taken += n; c.side.taken < len(c.side.out) {
			return
		}
		l.pool.Put(c.side.out)
		c.side.out, c.side.taken = nil, 0
		c.tidy()
	}
	gen := c.gen
	if l.watch(c, unix.EPOLL_CTL_MOD); c.gen == gen && c.owed > 0 {
		l.task.writable(l, c)
	}
}
