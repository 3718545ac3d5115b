//go:build linux

package enginetest

import (
	"time"

	"golang.org/x/sys/unix"
)

// This file ends connections of a swarm, by either side, and counts the end exactly once.

// closeRange starts to close the loop's connections of a range. Those that are not open yet are reset.
func (l *loop) closeRange(from, to int, kind CloseKind) {
	l.span(from, to, func(_ int, c *slot) {
		c.dismissed = true
		switch {
		case c.state == queued:
			l.stats.Pending--
			c.state = unused
		case c.fd < 0:
		case c.state != opened || kind == CloseRST:
			l.reset(c)
		case kind == CloseFIN:
			c.local = true
			if err := unix.Shutdown(int(c.fd), unix.SHUT_WR); err != nil {
				l.finish(c, EndRST)
			}
		case !c.sentClose:
			c.sentClose, c.local = true, true
			l.write(c, CloseFrame(1000, ""))
		}
	})
}

// reset ends a connection with a RST; it does nothing for one that is not connected.
func (l *loop) reset(c *slot) {
	if c.fd < 0 {
		return
	}
	c.local = true
	// Without the option the end is a FIN, which is the worst that an error here can mean.
	unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	l.finish(c, EndLocal)
}

// fail ends a connection that got no usable answer.
func (l *loop) fail(c *slot, cause string) {
	l.stats.Failed[cause]++
	l.unsettle(c)
	l.closed(c, EndLocal)
}

// finish ends a connection in whatever state it is.
func (l *loop) finish(c *slot, end End) {
	switch {
	case c.state == opened:
		l.stats.Open--
		l.stats.Ends[end]++
		if c.code == 0 && !c.local {
			c.code = 1006
		}
		if c.code != 0 {
			l.stats.Closed[int(c.code)]++
		}
		l.echoLost(c)
	case c.status != 0:
		l.stats.Refused[int(c.status)]++
		l.unsettle(c)
	default:
		l.stats.Failed[string(end)]++
		l.unsettle(c)
	}
	l.closed(c, end)
}

// unsettle takes a connection that never opened out of its phase.
func (l *loop) unsettle(c *slot) {
	if c.state == silent {
		l.stats.Silent--
		return
	}
	l.settled()
}

// closed gives everything back. The generation makes events of the old socket void.
func (l *loop) closed(c *slot, end End) {
	if c.fd >= 0 {
		unix.Close(int(c.fd))
	}
	l.stats.Ended++
	c.fd, c.state, c.end, c.endedAt = -1, ended, end, time.Now().UnixNano()
	if c.closedAt == 0 {
		c.closedAt = c.endedAt
	}
	c.gen++
	c.in, c.out, c.seq, c.writing = nil, nil, nil, false
	l.mayReturn(c)
}
