//go:build linux

package enginetest

import (
	"encoding/binary"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// This file starts connections: the queue, the pace, the source addresses and non-blocking connect.

// connectionsPerSource stays well below the 28,232 ports of Linux' default ip_local_port_range, so that the
// kernel finds a free one at once even while old ones are in TIME_WAIT.
const connectionsPerSource = 10_000

// SpreadSources gives each run of perSource connections its own address of 127.0.0.0/8, from 127.1.0.1 +
// first on. Swarms that run at the same time take different first addresses.
func SpreadSources(first, perSource int) func(i int) netip.Addr {
	return func(i int) netip.Addr {
		var b [4]byte
		binary.BigEndian.PutUint32(b[:], 0x7f010001+uint32(first+i/max(perSource, 1)))
		return netip.AddrFrom4(b)
	}
}

// enqueue puts the loop's connections of a range on the dial queue, unless they are connected.
func (l *loop) enqueue(from, to int) {
	if len(l.queue) == 0 {
		l.paceStart, l.paced = time.Now(), 0
	}
	l.span(from, to, func(i int, c *slot) {
		if c.fd >= 0 || c.state == queued {
			return
		}
		if c.state == ended {
			l.stats.Ended--
		}
		*c = slot{fd: -1, index: c.index, gen: c.gen + 1, state: queued, messages: c.messages}
		l.stats.Pending++
		l.queue = append(l.queue, i)
	})
}

// dialQueued starts as many connections as the bounds allow.
func (l *loop) dialQueued(now time.Time) {
	for len(l.queue) > 0 && l.inFlight < l.share(l.swarm.cfg.InFlight) && l.due(now) {
		i := l.queue[0]
		if l.queue = l.queue[1:]; len(l.queue) == 0 {
			l.queue = nil
		}
		if c := l.slot(i); c.state == queued {
			l.paced++
			l.inFlight++
			l.dial(i, c)
		}
	}
}

// share is this loop's part of a bound for the whole swarm.
func (l *loop) share(total int) int { return max(1, total/l.swarm.cfg.Loops) }

// due says whether the pace allows one more connection now.
func (l *loop) due(now time.Time) bool {
	rate := l.swarm.cfg.Rate
	return rate <= 0 || float64(l.paced) <= now.Sub(l.paceStart).Seconds()*float64(rate)/float64(l.swarm.cfg.Loops)
}

// dial creates the socket and starts to connect. It ends in state connecting or ended.
func (l *loop) dial(i int, c *slot) {
	c.state = connecting
	target := l.swarm.addrs[i%len(l.swarm.addrs)]
	family := unix.AF_INET
	if target.Addr().Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		l.fail(c, cause(err))
		return
	}
	c.fd = int32(fd)
	if err := l.prepare(i, fd); err != nil {
		l.fail(c, cause(err))
		return
	}
	switch err := unix.Connect(fd, sockaddr(target.Addr(), int(target.Port()))); err {
	case nil, unix.EINPROGRESS:
	default:
		l.fail(c, cause(err))
		return
	}
	event := unix.EpollEvent{Events: unix.EPOLLOUT, Fd: c.index, Pad: c.gen}
	if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &event); err != nil {
		l.fail(c, cause(err))
	}
}

// prepare sets the options that have to be set before connect.
func (l *loop) prepare(i, fd int) error {
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	if size := l.swarm.cfg.ReceiveBuffer; size > 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, size); err != nil {
			return err
		}
	}
	if l.swarm.cfg.Source == nil {
		return nil
	}
	source := l.swarm.cfg.Source(i)
	if !source.IsValid() {
		return nil
	}
	// Without this option bind would take a port for the address alone and run out of them, where connect
	// only needs one that is free towards the target.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	return unix.Bind(fd, sockaddr(source, 0))
}

func sockaddr(addr netip.Addr, port int) unix.Sockaddr {
	if addr.Is4() {
		return &unix.SockaddrInet4{Addr: addr.As4(), Port: port}
	}
	return &unix.SockaddrInet6{Addr: addr.As16(), Port: port}
}

// cause names a failure of connecting in Stats.Failed.
func cause(err error) string {
	if errno, ok := err.(unix.Errno); ok {
		return unix.ErrnoName(errno)
	}
	return err.Error()
}
