package proxyproto

// Version 1: one line of text (section 2.1).

import (
	"net/netip"
	"strings"

	"github.com/roost-ws/roost/protocol/clientaddr"
)

const (
	start1 = "PROXY "

	// What follows it, with the byte that has to be behind where there is only one.
	tcp4    = "TCP4 "
	tcp6    = "TCP6 "
	unknown = "UNKNOWN"

	maxLine1 = 107 // with its CRLF; only an UNKNOWN line can reach it

	addressChars   = "0123456789abcdefABCDEF:."
	maxAddressText = len("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")
	portChars      = "0123456789"
	maxPortText    = len("65535")
)

func parse1(p []byte) (h Header, n int, e Error) {
	if whole, possible := startsWith(p, start1); !possible {
		return h, 0, ErrNotProxy
	} else if !whole {
		return h, 0, 0
	}
	protocol := p[len(start1):]
	for _, word := range [...]string{tcp4, tcp6, unknown} {
		whole, possible := startsWith(protocol, word)
		switch {
		case !possible:
			continue
		case !whole:
			return h, 0, 0
		case word == unknown:
			n, e = unknownLine(p)
			return Header{Version: 1, Kind: Unknown}, n, e
		}
		l := line{p: p, at: len(start1) + len(word), is4: word == tcp4}
		return l.header()
	}
	return h, 0, ErrFamily
}

// unknownLine finds the end of an UNKNOWN line. What it holds is to be ignored, but for a CR or LF that is not the
// end: another reader might see the end there.
func unknownLine(p []byte) (n int, e Error) {
	at := len(start1) + len(unknown)
	if len(p) > at && p[at] != ' ' && p[at] != '\r' {
		return 0, ErrFamily
	}
	const lastCR = maxLine1 - len("\r\n")
	for i, c := range p[at:min(len(p), lastCR+1)] {
		switch {
		case c == '\n':
			return 0, ErrLine
		case c != '\r':
		case at+i+1 == len(p):
			return 0, 0
		case p[at+i+1] != '\n':
			return 0, ErrLine
		default:
			return at + i + len("\r\n"), 0
		}
	}
	if len(p) > lastCR {
		return 0, ErrTooLong
	}
	return 0, 0
}

// line reads the four fields of a line that has addresses. After a fault, or when the bytes are not all there, it
// reads no more, so that one check at the end does for all.
type line struct {
	p     []byte
	at    int
	is4   bool
	fault Error
	short bool
}

func (l *line) header() (h Header, n int, e Error) {
	source, destination := l.address(), l.address()
	sourcePort, destinationPort := l.port(' '), l.port('\r')
	switch {
	case l.fault != 0 || l.short:
	case l.at == len(l.p):
		l.short = true
	case l.p[l.at] != '\n':
		l.fault = ErrLine
	}
	if l.fault != 0 || l.short {
		return h, 0, l.fault
	}
	return Header{
		Version: 1, Kind: Proxied,
		Source: addrPort(source, sourcePort), Destination: addrPort(destination, destinationPort),
	}, l.at + len("\n"), 0
}

// address reads an address of the line's family. One of IPv6 may end in dotted decimal, which the specification does
// not name, but which is how an IPv4-mapped address is written by inet_ntop, and so by senders.
func (l *line) address() (a netip.Addr) {
	text := l.field(' ', addressChars, maxAddressText)
	if text == nil {
		return a
	}
	a, ok := clientaddr.Parse(text)
	if !ok || a.Is4() != l.is4 {
		l.fault = ErrLine
	}
	return a
}

// port reads a decimal number up to 65535 without leading zeros.
func (l *line) port(end byte) (port uint16) {
	text := l.field(end, portChars, maxPortText)
	if text == nil {
		return 0
	}
	value := 0
	for _, c := range text {
		value = value*10 + int(c-'0')
	}
	if len(text) == 0 || len(text) > 1 && text[0] == '0' || value > 0xffff {
		l.fault = ErrLine
	}
	return uint16(value)
}

// field returns the bytes up to the next end, which are at most longest of these chars, or nil if there are none.
func (l *line) field(end byte, chars string, longest int) []byte {
	if l.fault != 0 || l.short {
		return nil
	}
	rest := l.p[l.at:]
	for i, c := range rest[:min(len(rest), longest+1)] {
		if c == end {
			l.at += i + 1
			return rest[:i]
		}
		if strings.IndexByte(chars, c) < 0 || i == longest {
			l.fault = ErrLine
			return nil
		}
	}
	l.short = true
	return nil
}
