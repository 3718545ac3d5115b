//go:build linux

package enginetest

import (
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"
)

// This file is one connection of a swarm on its loop: what it holds, and how bytes go in and out.

type slotState uint8

const (
	unused slotState = iota
	queued
	connecting
	shaking // request sent, answer due
	silent  // partial request sent
	opened
	ended
)

// slot is one connection. It holds a buffer only while a frame is incomplete or a write is pending.
type slot struct {
	fd        int32
	index     int32 // position in loop.slots
	gen       int32 // tells events of an earlier socket in this slot
	state     slotState
	sentClose bool
	local     bool // we ended it
	dismissed bool // the caller ended it
	writing   bool // EPOLLOUT is asked for
	end       End
	status    uint16
	code      uint16
	retry     uint16 // Retry-After of a refusal, in seconds
	flooded   int32  // how much of Config.Flood has been sent in this round of it
	messages  int64
	openedAt  int64 // Unix nanoseconds, as are the next two
	closedAt  int64
	endedAt   int64
	in        []byte
	out       []byte
	seq       *sequence // only after a first frame that is not a whole message
}

func (c *slot) event(i int) CloseEvent {
	return CloseEvent{Index: i, Status: int(c.status), Code: int(c.code), End: c.end, OpenedAt: unixTime(c.openedAt),
		ClosedAt: unixTime(c.closedAt), EndedAt: unixTime(c.endedAt)}
}

func unixTime(nanos int64) time.Time {
	if nanos == 0 {
		return time.Time{}
	}
	return time.Unix(0, nanos)
}

// connected sends the request once the socket is connected.
func (l *loop) connected(c *slot) {
	errno, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		l.fail(c, cause(err))
		return
	}
	if errno != 0 {
		l.fail(c, cause(unix.Errno(errno)))
		return
	}
	head := l.swarm.cfg.Head(l.number(c))
	c.state = shaking
	if l.swarm.cfg.Mode == PartialHead {
		head = head[:min(max(l.swarm.cfg.HeadBytes, 0), len(head))]
		c.state = silent
		l.settled()
		l.stats.Silent++
	}
	l.watch(c)
	if l.write(c, head); c.state == silent {
		l.leave(c)
	}
}

// settled ends the pending phase of a connection.
func (l *loop) settled() {
	l.stats.Pending--
	l.inFlight--
}

// watch asks epoll for what the connection's state wants to know.
func (l *loop) watch(c *slot) {
	events := uint32(unix.EPOLLIN)
	if c.state == opened {
		switch l.swarm.cfg.Mode {
		case NeverRead:
			events = unix.EPOLLRDHUP
		case SlowRead:
			events = 0 // the timer reads; errors are reported all the same
		}
	}
	if c.writing {
		events |= unix.EPOLLOUT
	}
	event := unix.EpollEvent{Events: events, Fd: c.index, Pad: c.gen}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_MOD, int(c.fd), &event); err != nil {
		l.finish(c, EndLocal)
	}
}

// readable takes what has arrived: one read, so that no connection starves the others.
func (l *loop) readable(c *slot, events uint32) {
	if c.state == opened && l.swarm.cfg.Mode == NeverRead {
		if events&unix.EPOLLERR != 0 {
			l.finish(c, EndRST)
		} else if events&(unix.EPOLLRDHUP|unix.EPOLLHUP) != 0 {
			l.finish(c, EndFIN)
		}
		return
	}
	if c.state == opened && l.swarm.cfg.Mode == SlowRead && events&(unix.EPOLLERR|unix.EPOLLHUP) == 0 {
		return
	}
	l.read(c, l.buf)
}

// read reads once into buf and takes it apart.
func (l *loop) read(c *slot, buf []byte) {
	n, err := unix.Read(int(c.fd), buf)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case err != nil:
		l.finish(c, EndRST)
		return
	case n == 0:
		l.finish(c, EndFIN)
		return
	}
	data := buf[:n]
	if len(c.in) > 0 {
		c.in = append(c.in, data...)
		data = c.in
	}
	used := l.consume(c, data)
	switch {
	case c.fd < 0:
	case used == len(data):
		c.in = nil
	case len(c.in) > 0:
		c.in = c.in[used:]
	default:
		c.in = append([]byte(nil), data[used:]...)
	}
}

// write sends b, or keeps what the kernel does not take until it is writable. b is not kept.
func (l *loop) write(c *slot, b []byte) {
	if len(c.out) > 0 {
		c.out = append(c.out, b...)
		return
	}
	n, err := unix.Write(int(c.fd), b)
	if err != nil && err != unix.EAGAIN && err != unix.EINTR {
		// A socket that the server has closed takes no more, but what it said may still be there to read.
		if err != unix.EPIPE {
			l.finish(c, EndRST)
		}
		return
	}
	if n = max(n, 0); n < len(b) {
		c.out = append(c.out, b[n:]...)
		c.writing = true
		l.watch(c)
	}
}

// flush goes on with a write that did not fit, or with a flood.
func (l *loop) flush(c *slot) {
	if len(c.out) == 0 && c.state == opened && len(l.swarm.cfg.Flood) > 0 {
		l.flood(c)
		return
	}
	pending := c.out
	c.out = nil
	l.write(c, pending)
	if c.fd >= 0 && len(c.out) == 0 && c.writing && (c.state != opened || len(l.swarm.cfg.Flood) == 0) {
		c.writing = false
		l.watch(c)
	}
}

// sendFrame sends what a test wants sent.
func (l *loop) sendFrame(c *slot, frame []byte) {
	if c.state != opened || c.sentClose {
		l.stats.Unsent++
		return
	}
	l.stats.Sent++
	l.write(c, frame)
}

// control sends a control frame of the connection's own.
func (l *loop) control(c *slot, op ws.OpCode, payload []byte) {
	l.scratch = AppendFrame(l.scratch[:0], Frame{Fin: true, Op: op, Payload: payload}, true)
	l.write(c, l.scratch)
}
