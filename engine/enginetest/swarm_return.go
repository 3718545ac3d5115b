//go:build linux

package enginetest

import (
	"container/heap"
	"math/rand/v2"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// This file is what hostile and stubborn connections of a swarm do: flood, leave at once, drip, and come back.

// Return says which connections come back after they have ended.
type Return string

const (
	// ReturnNever is the zero value.
	ReturnNever Return = ""
	// ReturnAtOnce opens every connection anew that has ended.
	ReturnAtOnce Return = "at_once"
	// ReturnAsTold opens those anew that were refused with a Retry-After, after that time and up to as much again, as
	// a well-behaved client does. Those that were told nothing stay away.
	ReturnAsTold Return = "as_told"
)

// returning is a connection that comes back.
type returning struct {
	due time.Time
	at  int32 // position in loop.slots
}

// returns has the one that is due first in front (container/heap).
type returns []returning

func (r returns) Len() int           { return len(r) }
func (r returns) Less(i, j int) bool { return r[i].due.Before(r[j].due) }
func (r returns) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *returns) Push(x any)        { *r = append(*r, x.(returning)) }
func (r *returns) Pop() any {
	last := (*r)[len(*r)-1]
	*r = (*r)[:len(*r)-1]
	return last
}

// retryAfter is the Retry-After of an answer in seconds, 0 without one.
func retryAfter(a *Answer) uint16 {
	n, _ := strconv.ParseUint(a.Header.Get("Retry-After"), 10, 16)
	return uint16(n)
}

// mayReturn notes an ended connection for its return, if there is one.
func (l *loop) mayReturn(c *slot) {
	var wait time.Duration
	switch {
	case l.quit || c.dismissed:
		return
	case l.swarm.cfg.Return == ReturnAtOnce:
	case l.swarm.cfg.Return == ReturnAsTold && c.retry > 0:
		wait = time.Duration(float64(c.retry) * (1 + rand.Float64()) * float64(time.Second))
	default:
		return
	}
	l.stats.Waiting++
	heap.Push(&l.back, returning{time.Now().Add(wait), c.index})
}

// comeBack queues those whose time has come.
func (l *loop) comeBack(now time.Time) {
	for len(l.back) > 0 && !now.Before(l.back[0].due) {
		c := &l.slots[heap.Pop(&l.back).(returning).at]
		l.stats.Waiting--
		if c.state != ended || c.dismissed {
			continue
		}
		l.stats.Returned++
		l.enqueue(l.number(c), l.number(c)+1)
	}
}

// leave ends a connection that is to end as soon as it is there.
func (l *loop) leave(c *slot) {
	switch {
	case c.fd < 0:
	case l.swarm.cfg.Leave == CloseRST:
		l.reset(c)
	case l.swarm.cfg.Leave == CloseFIN:
		c.local = true
		if err := unix.Shutdown(int(c.fd), unix.SHUT_WR); err != nil {
			l.finish(c, EndRST)
		}
	case l.swarm.cfg.Leave == CloseClean && c.state == opened:
		c.sentClose, c.local = true, true
		l.write(c, CloseFrame(1000, ""))
	}
}

// beginFlood asks to be told when the socket takes something, which is at once.
func (l *loop) beginFlood(c *slot) {
	if c.fd >= 0 && len(l.swarm.cfg.Flood) > 0 {
		c.writing = true
		l.watch(c)
	}
}

// flood sends as much as the socket takes at once. epoll tells again while it takes more.
func (l *loop) flood(c *slot) {
	all := l.swarm.cfg.Flood
	n, err := unix.Write(int(c.fd), all[c.flooded:])
	switch err {
	case nil:
		c.flooded = (c.flooded + int32(n)) % int32(len(all))
	case unix.EAGAIN, unix.EINTR:
	case unix.EPIPE: // what the server said may still be there to read
		c.writing = false
		l.watch(c)
	default:
		l.finish(c, EndRST)
	}
}

// slowly is the timer of the modes that do little at a time: SlowRead takes a little from each open connection,
// PartialHead adds a little to each head.
func (l *loop) slowly(now time.Time) {
	if l.swarm.cfg.SlowEvery <= 0 || now.Before(l.slowNext) {
		return
	}
	l.slowNext = now.Add(l.swarm.cfg.SlowEvery)
	buf := l.buf[:min(l.swarm.cfg.SlowBytes, len(l.buf))]
	l.span(0, l.swarm.cfg.N, func(_ int, c *slot) {
		switch {
		case c.state == opened && l.swarm.cfg.Mode == SlowRead:
			l.read(c, buf)
		case c.state == silent:
			for i := range buf {
				buf[i] = 'x'
			}
			l.write(c, buf)
		}
	})
}
