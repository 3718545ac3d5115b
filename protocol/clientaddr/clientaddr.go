// Package clientaddr knows what an address says about a client: which peers are balancers whose word about other
// addresses is believed, what counts as one address for a limit, and what an address in text is.
//
// It owns these three rules and no protocol. PROXY headers are read by package proxyproto, X-Forwarded-For and
// Forwarded by package handshake; both take an address in text from here, so that they cannot differ.
//
// Everything here is pure or immutable and may be called from any goroutine. Nothing waits, allocates after
// [NewTrust], keeps the caller's bytes, or asks a resolver: a name is no address.
package clientaddr

import "net/netip"

// Trust is the set of peers whose word about somebody else's address is believed, in practice the balancers'
// networks. It never changes. A nil Trust and the zero one trust nobody.
type Trust struct {
	networks []netip.Prefix
}

// NewTrust makes a Trust of these networks and keeps none of the caller's memory. Bits beyond a network's length
// do not count. An IPv4-mapped network (::ffff:10.0.0.0/104) is the IPv4 network that it maps; no other IPv6
// network holds an IPv4 address, not even ::/0. The zero Prefix holds nothing.
func NewTrust(networks []netip.Prefix) *Trust {
	t := &Trust{networks: make([]netip.Prefix, 0, len(networks))}
	for _, n := range networks {
		const mapping = 96 // bits of ::ffff:0:0/96
		if n.Addr().Is4In6() && n.Bits() >= mapping {
			n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-mapping)
		}
		if n.IsValid() {
			t.networks = append(t.networks, n.Masked())
		}
	}
	return t
}

// Contains reports whether a is one of the peers. An IPv4-mapped address is the IPv4 address, and a zone does not
// count: a network that is written without one is meant on every interface. The zero Addr, which is the peer of a
// Unix socket, is not trusted.
func (t *Trust) Contains(a netip.Addr) bool {
	if t == nil {
		return false
	}
	a = a.Unmap().WithZone("")
	for _, n := range t.networks {
		if n.Contains(a) {
			return true
		}
	}
	return false
}

// LimitKey is what counts as one address for limits: an IPv4 address, mapped or not, is itself, an IPv6 address is
// the first of its /64, since that is the least a subscriber has whole and may take any address of. The zero Addr
// is itself. Keys of the two families never meet.
func LimitKey(a netip.Addr) netip.Addr {
	a = a.Unmap()
	if !a.Is6() {
		return a
	}
	network, _ := a.Prefix(64) // drops the zone; fails on no IPv6 address
	return network.Addr()
}
