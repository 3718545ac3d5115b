package reactor

// The way in: bytes become frames, frames messages, and messages are measured.

import (
	"encoding/binary"
	"math"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"github.com/roost-ws/roost/protocol/frame"
)

// incoming is what a server may send: no load generator should refuse a server's messages for their size, but an
// endless one is a fault.
var incoming = frame.Limits{MessageBytes: 64 << 20, Fragments: math.MaxInt32, ClientSide: true}

// readable reads once, at most some bytes. What is left shows in the next events, after those of others.
func (l *loop) readable(c *conn, most int) {
	n, errno := rawRead(c.fd, l.in[:min(most, len(l.in))])
	switch {
	case errno == unix.EAGAIN, errno == unix.EINTR:
		return
	case errno != 0:
		l.end(c, causeOf(errno))
		return
	case n == 0:
		l.end(c, causeEnd)
		return
	}
	l.now = Now()
	l.input(c, l.in[:n])
}

// input takes what has been read on c.
func (l *loop) input(c *conn, p []byte) {
	gen := c.gen
	if c.phase == shaking {
		if p = l.answered(c, p); p == nil {
			return
		}
	}
	if c.asm != nil {
		p = l.assemble(c, p)
	}
	for len(p) > 0 && c.gen == gen {
		if head, n := wholeMessage(p); head > 0 {
			l.received++
			l.data(c, p[head:head+n])
			p = p[head+n:]
		} else {
			p = l.assemble(c, p)
		}
	}
	if c.gen == gen && c.owed > 0 && !c.blocked() {
		l.task.writable(l, c)
	}
}

// wholeMessage is the fast way through most input: if p begins with an unfragmented, unmasked data frame that is all
// there, head is its header's size and n its payload's. Everything else, faults among it, is for the assembler.
func wholeMessage(p []byte) (head, n int) {
	const fin, text, binaryOp = 0x80, byte(ws.OpText), byte(ws.OpBinary)
	if len(p) < 4 || p[0] != fin|text && p[0] != fin|binaryOp {
		return 0, 0
	}
	switch head, n = 2, int(p[1]); {
	case n < 126:
	case n == 126:
		if head, n = 4, int(binary.BigEndian.Uint16(p[2:])); n < 126 {
			return 0, 0 // not the shortest form
		}
	default:
		return 0, 0 // masked, or so long that the saving does not count
	}
	if len(p) < head+n {
		return 0, 0
	}
	return head, n
}

// assemble has the assembler take the next event from p, or all of p into something that is not whole. It returns
// what is left.
func (l *loop) assemble(c *conn, p []byte) []byte {
	asm := c.asm
	if asm == nil {
		asm = l.spare()
	}
	gen := c.gen
	event, rest, err := asm.Next(p, &incoming, &l.pool)
	if c.asm == nil {
		c.asm = asm
	}
	if err != nil {
		l.end(c, causeProtocol)
		return nil
	}
	switch event.Kind {
	case frame.Message:
		l.received++
		l.data(c, event.Payload)
	case frame.Ping:
		l.pings++
		l.sendControl(c, ws.OpPong, event.Payload)
	case frame.Close:
		l.closeFrame(c, event)
	}
	if c.gen != gen {
		return nil
	}
	if asm.Idle() {
		// Also when a payload is on loan: that ends with the next call, for whichever connection.
		c.asm = nil
		l.assemblers = append(l.assemblers, asm)
	}
	return rest
}

// spare is an assembler that nobody uses.
func (l *loop) spare() *frame.Assembler {
	n := len(l.assemblers)
	if n == 0 {
		return new(frame.Assembler)
	}
	asm := l.assemblers[n-1]
	l.assemblers = l.assemblers[:n-1]
	return asm
}

// data takes one message.
func (l *loop) data(c *conn, p []byte) {
	if c.phase != ready {
		l.greeted(c)
		return
	}
	if l.runWord == 0 {
		return
	}
	at := findStamp(p, int(c.stampAt))
	if at < 0 {
		return
	}
	c.stampAt = uint32(at)
	for {
		s := (*[stampSize]byte)(p[at:])
		if runWord(s) == l.runWord {
			l.task.stamped(l, c, s)
		}
		// Some servers put several messages of their own protocol into one of WebSocket.
		p = p[at+stampSize:]
		if len(p) < len(l.payload) || c.phase != ready {
			return
		}
		if at = findStamp(p, 0); at < 0 {
			return
		}
	}
}

// greeted counts a message that came before c was ready.
func (l *loop) greeted(c *conn) {
	if c.phase != greeting {
		return // the closing handshake has begun
	}
	if c.greetings--; c.greetings == 0 {
		l.ready(c)
	}
}

// closeFrame answers the server's close frame (RFC 6455, section 5.5.1), or takes it as the answer to ours.
func (l *loop) closeFrame(c *conn, event frame.Event) {
	if c.phase == closing {
		return // the server closes the socket next (section 7.1.1)
	}
	gen := c.gen
	if l.sendControl(c, ws.OpClose, event.Payload[:min(2, len(event.Payload))]); c.gen != gen {
		return
	}
	l.end(c, causeOfClose(event.CloseCode))
}

// readingsEach is how often a slow reader reads.
const readingsEach = 50 * time.Millisecond

// readSlowly lets those slow readers read whose time has come.
func (l *loop) readSlowly() {
	for l.readings.next() <= l.now {
		a := l.readings.take()
		c := &l.conns[a.slot]
		if c.gen != a.gen {
			continue
		}
		// Fewer bytes than one for each time are a longer time.
		most, each := l.setup.Profile.Kinds[c.kind].ReadBytes, int64(time.Second)
		for most >= 100 && each > int64(readingsEach) {
			most, each = most/2, each/2
		}
		if a.at += each; a.at <= l.now {
			a.at = l.now + each // it has been late: it does not hurry afterwards
		}
		l.readings.add(a)
		l.readable(c, most)
	}
}
