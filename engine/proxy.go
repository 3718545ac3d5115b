package engine

import (
	"net"
	"net/netip"

	"github.com/roost-ws/roost/protocol/handshake"
	"github.com/roost-ws/roost/protocol/proxyproto"
)

// Who a client is, as opposed to whose socket this is: behind a balancer its address comes in a PROXY header ahead
// of the request, or in the request's X-Forwarded-For or Forwarded. Either is believed of trusted peers alone; what
// counts for limits, logs and the operator's port is the address found here.

// expectProxy begins a connection's life ahead of its handshake. A peer that is not trusted is not read from: it
// could say that it is anybody.
func (c *Conn) expectProxy(l *Loop) {
	if !l.server.trusted.Contains(c.address(l)) {
		c.turnAway(l, CloseProxyUntrusted)
		return
	}
	c.phase = phaseProxy
	l.wheel.Schedule(c.slot, l.after(l.limits.ProxyTimeout))
}

// turnAway ends a connection that has not come to a handshake, without an answer: whoever is wrong there speaks
// no HTTP yet.
func (c *Conn) turnAway(l *Loop, reason CloseReason) {
	c.reason = reason
	l.count.closes[reason]++
	c.hangUp(l, true)
}

// introduce reads the PROXY header, which may come in pieces, and hands what follows to the handshake.
func (c *Conn) introduce(l *Loop, p []byte) {
	header, kept := p, false
	if a := c.act; a != nil && a.head != nil {
		a.head = append(l.bufs.Grow(a.head, len(p)), p...)
		header, kept = a.head, true
	}
	h, n, err := proxyproto.Parse(header, &l.server.proxyLimits)
	switch {
	case err != nil:
		fault, _ := err.(proxyproto.Error)
		l.count.proxyErrors[fault]++
		c.turnAway(l, CloseProxyHeader)
		return
	case n == 0 && !kept:
		c.busy(l).head = append(l.bufs.Get(len(p)), p...)
		return
	case n == 0:
		return
	case h.Kind == proxyproto.Unknown:
		// The balancer does not know its client. Its own address would be limited in place of it, and a header of
		// the client's be believed as the balancer's.
		c.turnAway(l, CloseProxyHeader)
		return
	case h.Kind == proxyproto.Proxied:
		c.setAddress(l, h.Source.Addr())
	}
	c.phase = phaseHandshake
	l.wheel.Schedule(c.slot, c.nextPing) // the handshake's deadline, from accept
	if !kept {
		if len(p) > n {
			c.shake(l, p[n:])
		}
		return
	}
	rest := l.arena.commit(append(l.arena.reserve(len(header)-n), header[n:]...))
	c.releaseHead(l)
	if len(rest) > 0 {
		c.shake(l, rest)
	}
}

// locate settles whose request this is, once its head is here, and counts the connection for that address.
func (c *Conn) locate(l *Loop, r *handshake.Request) {
	if c.flags&flagCounted != 0 {
		return
	}
	if peer := c.address(l); l.server.trusted.Contains(peer) {
		c.setAddress(l, r.ClientAddr(peer, l.server.trusted))
	}
	l.server.admission.arrive(l, c)
}

// address is the client's address, unmapped: its socket's, until a trusted peer has named another.
func (c *Conn) address(l *Loop) netip.Addr {
	if len(l.far) > 0 {
		if a, named := l.far[c.slot]; named {
			return a
		}
	}
	if a, ok := c.gc.RemoteAddr().(*net.TCPAddr); ok {
		addr, _ := netip.AddrFromSlice(a.IP)
		return addr.Unmap()
	}
	return netip.AddrFrom4(c.ip4)
}

// setAddress puts another address in the socket's place. One of IPv4 has its place in a Conn if the socket's has
// been let go of (see slim.go); others go to the side, for some fifty bytes.
func (c *Conn) setAddress(l *Loop, a netip.Addr) {
	if !a.IsValid() || a == c.address(l) {
		return
	}
	if _, held := c.gc.RemoteAddr().(*net.TCPAddr); a.Is4() && !held {
		delete(l.far, c.slot)
		c.ip4 = a.As4()
		return
	}
	if l.far == nil {
		l.far = make(map[uint32]netip.Addr)
	}
	l.far[c.slot] = a
}
