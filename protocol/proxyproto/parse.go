package proxyproto

// Parse: which version the first bytes announce, and what all headers have in common.

import "net/netip"

// Limits bounds a header.
type Limits struct {
	// HeaderBytes bounds a whole header of version 2, what is appended to it (TLVs) included; 0 is
	// [DefaultHeaderBytes], and more than [MaxHeaderBytes] is that. A version 1 header has 107 bytes at most whatever
	// is written here.
	HeaderBytes int
}

const (
	// DefaultHeaderBytes is what the smallest segment carries that every host has to take, and so what a header is
	// meant to fit in (section 2).
	DefaultHeaderBytes = 536
	// MaxHeaderBytes is room for a certificate's names and a provider's own fields.
	MaxHeaderBytes = 4 << 10
)

func (l *Limits) headerBytes() int {
	if l.HeaderBytes <= 0 {
		return DefaultHeaderBytes
	}
	return min(l.HeaderBytes, MaxHeaderBytes)
}

// Kind is what a header says about the connection that it begins.
type Kind uint8

const (
	// Proxied is a client's connection, and the header has its addresses.
	Proxied Kind = iota + 1
	// Local is a connection of the sender's own, a health check in most cases: its peer is its peer
	// (version 2, command LOCAL).
	Local
	// Unknown is somebody's connection, but the header does not say whose: UNKNOWN in version 1, in version 2 an
	// address or transport that is unspecified, or a Unix socket. A receiver may treat it as Local or close it.
	Unknown
)

// Header is what a PROXY header says. It has no pointer into the bytes that it was read from.
type Header struct {
	// Version is 1 or 2.
	Version uint8
	Kind    Kind
	// Source is the client, Destination the address that it connected to. Both are good only if Kind is Proxied,
	// and the zero AddrPort otherwise. An IPv4-mapped address is given as the IPv4 address.
	Source, Destination netip.AddrPort
}

// Parse reads the header at the begin of p, which is the begin of a connection. It answers in one of three ways:
//
//   - n > 0: the header is p[:n], and h says what it says. What follows in p is the client's.
//   - err is an [Error]: the connection is to be closed. n is 0.
//   - neither: more bytes are needed. Call again with the same bytes and those that came since. With as many bytes
//     as l allows there, and 107, it is one of the other two.
//
// A verdict comes with the byte that makes it certain, with two exceptions: an address or port of version 1 is judged
// when the byte behind it is there (a byte that no address has, or one too many, at once), and what follows the
// 16 fixed bytes of version 2 when all of it is there (section 2.2 asks for that). More bytes never change a
// verdict, so it is the same for every way of cutting the bytes into segments. A call looks at all the
// bytes it is given; a whole header that comes in single bytes costs tens of microseconds in sum.
func Parse(p []byte, l *Limits) (h Header, n int, err error) {
	if len(p) == 0 {
		return Header{}, 0, nil
	}
	var e Error
	switch p[0] {
	case start1[0]:
		h, n, e = parse1(p)
	case start2[0]:
		h, n, e = parse2(p, l.headerBytes())
	default:
		e = ErrNotProxy
	}
	switch {
	case e != 0:
		return Header{}, 0, e
	case n == 0:
		return Header{}, 0, nil
	}
	return h, n, nil
}

// startsWith reports whether p begins with word, as far as it goes; whole is false if p is shorter and may still.
func startsWith(p []byte, word string) (whole, possible bool) {
	n := min(len(p), len(word))
	possible = string(p[:n]) == word[:n]
	return possible && n == len(word), possible
}

// addrPort is an address as the rest of roost knows it.
func addrPort(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a.Unmap(), port) }
