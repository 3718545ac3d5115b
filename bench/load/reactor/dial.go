package reactor

// How connections come about: addresses, sockets, the handshake and its deadline.

import (
	"fmt"
	"math"
	"net/netip"

	"golang.org/x/sys/unix"
)

// sources is the range that connections' own addresses are taken from.
type sources struct {
	first netip.Addr
	count uint64 // 0: the kernel chooses
}

// newSources reads a range such as 127.0.0.0/8; empty leaves the choice to the kernel.
func newSources(prefix string) (sources, error) {
	if prefix == "" {
		return sources{}, nil
	}
	p, err := netip.ParsePrefix(prefix)
	if err != nil {
		return sources{}, fmt.Errorf("source addresses: %w", err)
	}
	p = p.Masked()
	free := p.Addr().BitLen() - p.Bits()
	if free < 2 {
		return sources{p.Addr(), 1 << free}, nil
	}
	// The first and the last address of a range are no host's; 2^24 different ones are plenty.
	return sources{p.Addr().Next(), 1<<min(free, 24) - 2}, nil
}

// of is connection i's own address.
func (s *sources) of(i int) netip.Addr {
	add := uint64(i) % s.count
	if s.first.Is4() {
		b := s.first.As4()
		v := uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
		v += uint32(add)
		return netip.AddrFrom4([4]byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
	}
	b := s.first.As16()
	for k := 15; add > 0 && k >= 0; k-- {
		add += uint64(b[k])
		b[k] = byte(add)
		add >>= 8
	}
	return netip.AddrFrom16(b)
}

// dial starts to connect c, which must be closed. It ends connecting or, the task told, closed.
func (l *loop) dial(c *conn) {
	i := l.number(c)
	c.at, c.phase = l.now, connecting
	c.greetings = uint16(min(l.setup.Target.Greetings, math.MaxUint16))
	if l.setup.Profile != nil {
		c.kind = uint8(l.setup.Profile.kindOf(i))
	}
	l.dialing++
	to := l.targets[i%len(l.targets)].addr
	fd, err := unix.Socket(family(to.Addr()), unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		l.dialing--
		c.phase = closed
		l.fail(c, causeOf(errnoOf(err)), 0)
		return
	}
	c.fd = int32(fd)
	if err := l.prepare(c, i); err != nil {
		l.end(c, causeOf(errnoOf(err)))
		return
	}
	if err := unix.Connect(fd, socketAddress(to)); err != nil && err != unix.EINPROGRESS {
		l.end(c, causeOf(errnoOf(err)))
		return
	}
	l.deadlines = append(l.deadlines, appointment{l.now + l.timeout, c.slot, c.gen})
	l.watch(c, unix.EPOLL_CTL_ADD)
}

// prepare sets what has to be set before connect.
func (l *loop) prepare(c *conn, i int) error {
	fd := int(c.fd)
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
		return err
	}
	if p := l.setup.Profile; p != nil && p.Kinds[c.kind].ReceiveBuffer > 0 {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, p.Kinds[c.kind].ReceiveBuffer); err != nil {
			return err
		}
	}
	if l.sources.count == 0 {
		return nil
	}
	// Without this option bind takes a port for the address alone and runs out of them, where connect only needs
	// one that is free towards the target.
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1); err != nil {
		return err
	}
	return unix.Bind(fd, socketAddress(netip.AddrPortFrom(l.sources.of(i), 0)))
}

func family(a netip.Addr) int {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

func socketAddress(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

// connected sends the upgrade request, or learns why it can't.
func (l *loop) connected(c *conn) {
	l.now = Now()
	errno, err := unix.GetsockoptInt(int(c.fd), unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil || errno != 0 {
		l.end(c, causeOf(unix.Errno(errno)))
		return
	}
	c.phase = shaking
	i := l.number(c)
	var key [keySize]byte
	l.outgoing = l.request.append(l.outgoing[:0], &l.names, i, l.targets[i%len(l.targets)].text, l.key(c, key[:0]))
	gen := c.gen
	l.send(c, l.outgoing)
	if c.gen == gen {
		l.watch(c, unix.EPOLL_CTL_MOD)
	}
}

// key appends c's Sec-WebSocket-Key.
func (l *loop) key(c *conn, dst []byte) []byte {
	return appendKey(dst, l.seed, uint64(c.slot)<<32|uint64(c.gen))
}

// answered reads the answer to the upgrade request from the front of p and returns what follows it; nil while it is
// not whole, and when it opens nothing.
func (l *loop) answered(c *conn, p []byte) []byte {
	kept := 0
	if c.side != nil && len(c.side.head) > 0 {
		kept = len(c.side.head)
		c.side.head = append(l.pool.Grow(c.side.head, len(p)), p...)
		p = c.side.head
	}
	a, size, err := parseAnswer(p)
	switch {
	case err != nil:
		l.end(c, causeBadAnswer)
		return nil
	case size == 0:
		if kept == 0 {
			l.aside(c).head = append(l.pool.Get(len(p)), p...)
		}
		return nil
	case a.status != 101:
		l.release(c, true)
		l.fail(c, causeOfStatus(a.status), int64(a.retryAfter))
		return nil
	}
	i := l.number(c)
	var key [keySize]byte
	if l.text = l.request.appendOffer(l.text[:0], &l.names, i); !a.opens(l.key(c, key[:0]), l.text) {
		l.end(c, causeBadAnswer)
		return nil
	}
	gen := c.gen
	if l.opened(c); c.gen != gen {
		return nil
	}
	rest := p[size:]
	if kept > 0 {
		// The buffer goes back below; what is behind the answer moves to where input usually is.
		rest = l.in[:copy(l.in, rest)]
		l.pool.Put(c.side.head)
		c.side.head = nil
		c.tidy()
	}
	return rest
}

// opened sends the first messages and waits for the greetings.
func (l *loop) opened(c *conn) {
	c.phase = greeting
	if l.slow(c) {
		l.readings.add(appointment{l.now, c.slot, c.gen})
		l.watch(c, unix.EPOLL_CTL_MOD)
		l.soon()
	}
	gen, i := c.gen, l.number(c)
	for _, t := range l.first {
		l.text = l.names.expand(l.text[:0], t, i, nil)
		l.sendText(c, l.text)
	}
	if c.gen == gen && c.greetings == 0 {
		l.ready(c)
	}
}

// ready ends the opening of a connection.
func (l *loop) ready(c *conn) {
	c.phase, c.attempt = ready, 0
	l.dialing--
	l.open++
	l.task.ready(l, c)
	l.soon()
}

// expire fails attempts that took too long. All have the same time, so they lapse in the order they began.
func (l *loop) expire() {
	for len(l.deadlines) > 0 {
		d := l.deadlines[0]
		c := &l.conns[d.slot]
		pending := c.gen == d.gen && c.phase != ready
		if pending && d.at > l.now {
			return
		}
		l.deadlines = l.deadlines[1:]
		if pending {
			l.end(c, causeTimeout)
		}
	}
	l.deadlines = nil
}
