// X-Forwarded-For and Forwarded (RFC 7239): whose request it is that a proxy passed on.

package handshake

import (
	"bytes"
	"net/netip"

	"github.com/roost-ws/roost/protocol/clientaddr"
)

// ClientAddr is the address of the client whose request this is. peer is who sent it: the connection's peer, or the
// source that a PROXY header named. trust are the proxies whose word about addresses is believed.
//
// A peer that is not trusted is the client, whatever its headers say. From one that is, the walk goes from the end of
// the header, where that peer wrote who sent it the request, towards the begin, and on only as long as the address
// at hand is trusted itself: the first that is not is the client, and what stands before it is the client's own
// text. If all are trusted the first of the list is the client. An element that is no address (unknown, an
// obfuscated name such as _hidden, one without for=, anything malformed) ends the walk too, and the client is the
// trusted address that wrote it: it did not say who it was. Empty elements are passed over.
//
// X-Forwarded-For is taken if there is one, Forwarded only if there is none; they are never mixed. Proxies pass on
// the one that they do not write themselves, so it has to be taken away from what clients send. Several lines of
// a header are one list (RFC 9110 section 5.3).
//
// The address is without a port and without a zone, and an IPv4-mapped one is the IPv4 address. It is good after
// Parse completed the head. It does not allocate, and its cost grows with the header's length alone.
func (r *Request) ClientAddr(peer netip.Addr, trust *clientaddr.Trust) netip.Addr {
	client := peer.Unmap().WithZone("")
	walk, read := r.ForwardedFor(), readForwardedFor
	if r.progress.repeats(fieldForwardedFor) == 0 {
		walk, read = r.Forwarded(), readForwarded
	}
	for trust.Contains(client) {
		element := walk.Prev()
		if element == nil {
			break
		}
		a, ok := read(element)
		if !ok {
			break
		}
		client = a.Unmap()
	}
	return client
}

// ForwardedFor walks X-Forwarded-For from its end, which the nearest proxy wrote, to its begin, which anybody may
// have written: a caller goes on only while the address it has is a proxy's that it trusts. [Request.ClientAddr]
// is that caller.
func (r *Request) ForwardedFor() ForwardedWalk {
	return ForwardedWalk{request: r, field: fieldForwardedFor, line: r.progress.repeatCount}
}

// Forwarded walks Forwarded as [Request.ForwardedFor] walks X-Forwarded-For.
func (r *Request) Forwarded() ForwardedWalk {
	return ForwardedWalk{request: r, field: fieldForwarded, line: r.progress.repeatCount}
}

// ForwardedWalk is a walk over X-Forwarded-For or Forwarded, last element first.
type ForwardedWalk struct {
	request *Request
	field   field
	line    int
	rest    []byte
}

// Prev returns the element before, or nil at the begin; empty ones are left out. It may be any text without a comma,
// or, of Forwarded, without one outside quotes. It points into the head.
func (w *ForwardedWalk) Prev() []byte {
	for {
		for len(w.rest) > 0 {
			comma := w.lastComma()
			element := trimSpace(w.rest[comma+1:])
			w.rest = w.rest[:max(comma, 0)]
			if len(element) > 0 {
				return element
			}
		}
		if w.line == 0 {
			return nil
		}
		w.line--
		if w.request.progress.repeat[w.line].field == w.field {
			w.rest = w.request.repeated(w.line)
		}
	}
}

// lastComma is the index of the last comma between elements of the rest, or -1.
func (w *ForwardedWalk) lastComma() int {
	if w.field == fieldForwarded {
		return lastUnquoted(w.rest, ',')
	}
	return bytes.LastIndexByte(w.rest, ',')
}

// lastUnquoted is the index of the last c in b outside quoted strings (RFC 9110 section 5.6.4), or -1. It reads from
// the end, so that a quote left open by whoever wrote the begin does not swallow what a proxy put behind it.
func lastUnquoted(b []byte, c byte) int {
	quoted := false
	for i := len(b) - 1; i >= 0; i-- {
		switch {
		case b[i] == '"':
			quoted = !quoted || escapes(b[:i])%2 == 1
		case b[i] == c && !quoted:
			return i
		}
	}
	return -1
}

// escapes is how many backslashes b ends with.
func escapes(b []byte) (n int) {
	for n < len(b) && b[len(b)-1-n] == '\\' {
		n++
	}
	return n
}

// readForwardedFor reads an element of X-Forwarded-For, which no RFC describes: an address, an IPv6 one in brackets or
// not, with a port or not. Proxies write all of these.
func readForwardedFor(element []byte) (a netip.Addr, ok bool) {
	if a, ok = clientaddr.Parse(element); ok {
		return a, true
	}
	return readNode(element)
}

// readForwarded reads the address in an element of Forwarded: pairs of a token and a value, which is a token or a
// quoted string, with semicolons between them (RFC 7239 section 4). There has to be one for=; the others are only looked
// at for their grammar. Space around a semicolon is not in the grammar, but proxies put it there.
func readForwarded(element []byte) (a netip.Addr, ok bool) {
	found := false
	for rest := element; len(rest) > 0; {
		semicolon := lastUnquoted(rest, ';')
		pair := trimSpace(rest[semicolon+1:])
		rest = rest[:max(semicolon, 0)]
		if len(pair) == 0 {
			continue
		}
		name, value, is := bytes.Cut(pair, equals)
		if !is || len(name) == 0 || !allOf(name, isToken) {
			return netip.Addr{}, false
		}
		if value, is = unquote(value); !is {
			return netip.Addr{}, false
		}
		if !equalFold(name, "for") {
			continue
		}
		if a, ok = readNode(value); !ok || found {
			return netip.Addr{}, false
		}
		found = true
	}
	return a, found
}

var equals = []byte{'='}

// unquote returns what stands in a value that is a token or a quoted string. Escapes are left as they are: nothing
// that is read here needs one.
func unquote(value []byte) (inside []byte, ok bool) {
	if len(value) == 0 || value[0] != '"' {
		return value, len(value) > 0 && allOf(value, isToken)
	}
	end := 1
	for end < len(value) && value[end] != '"' {
		if value[end] == '\\' {
			end++
		}
		end++
	}
	if end != len(value)-1 {
		return nil, false
	}
	return value[1:end], true
}

// readNode reads a node that is an address (RFC 7239 section 6): IPv4, or IPv6 in brackets, and perhaps a port, which
// may be obfuscated.
func readNode(node []byte) (a netip.Addr, ok bool) {
	name, port, ok := splitPort(node)
	if !ok || len(port) > 0 && portNumber(port) == 0 && !isObfuscated(port) {
		return netip.Addr{}, false
	}
	if name[0] == '[' {
		a, ok = clientaddr.Parse(name[1 : len(name)-1])
		return a, ok && a.Is6()
	}
	return clientaddr.Parse(name) // it has no colon
}

// isObfuscated reports whether b is an identifier that a proxy made up, which begins with an underscore.
func isObfuscated(b []byte) bool {
	return len(b) > 1 && b[0] == '_' && allOf(b, isHostName) && bytes.IndexByte(b, '~') < 0
}
