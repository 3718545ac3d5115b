// Header lines: name, colon, value (RFC 9112 section 5), and what the headers that count may say.

package handshake

import "bytes"

// field is a header that roost reads; all others are only checked for their grammar.
type field uint8

const (
	// A request has these once at most.
	fieldHost field = iota
	fieldOrigin
	fieldAuthorization
	fieldKey
	fieldUserAgent
	numSingle

	// These may come several times, or are counted because they must not.
	fieldConnection
	fieldUpgrade
	fieldVersion
	fieldProtocol
	fieldExtensions
	fieldForwardedFor
	fieldForwarded

	// These announce a body.
	fieldContentLength
	fieldTransferEncoding

	fieldOther
)

// fieldOf recognises a header's name. Names differ in length enough that one comparison decides nearly always.
func fieldOf(name []byte) field {
	var word string
	var f field
	switch len(name) {
	case 4:
		word, f = "host", fieldHost
	case 6:
		word, f = "origin", fieldOrigin
	case 7:
		word, f = "upgrade", fieldUpgrade
	case 9:
		word, f = "forwarded", fieldForwarded
	case 10:
		if lower(name[0]) == 'c' {
			word, f = "connection", fieldConnection
		} else {
			word, f = "user-agent", fieldUserAgent
		}
	case 13:
		word, f = "authorization", fieldAuthorization
	case 14:
		word, f = "content-length", fieldContentLength
	case 15:
		word, f = "x-forwarded-for", fieldForwardedFor
	case 17:
		if lower(name[0]) == 's' {
			word, f = "sec-websocket-key", fieldKey
		} else {
			word, f = "transfer-encoding", fieldTransferEncoding
		}
	case 21:
		word, f = "sec-websocket-version", fieldVersion
	case 22:
		word, f = "sec-websocket-protocol", fieldProtocol
	case 24:
		word, f = "sec-websocket-extensions", fieldExtensions
	default:
		return fieldOther
	}
	if !equalFold(name, word) {
		return fieldOther
	}
	return f
}

// header judges one header line, which begins at g.line. A folded line (obs-fold) begins with a space, which is no
// token, and is refused like any other name that is none.
func (g *progress) header(line []byte, lim *Limits) Refusal {
	g.headers++
	if int(g.headers) > lim.Headers {
		return HeadersTooLarge
	}
	colon := 0
	for colon < len(line) && charset[line[colon]]&isToken != 0 {
		colon++
	}
	if colon == 0 || colon == len(line) || line[colon] != ':' || !isFieldValue(line[colon+1:]) {
		return Malformed
	}
	f := fieldOf(line[:colon])
	if f == fieldOther {
		return Accepted
	}
	value := trimSpaceLeft(line[colon+1:])
	from := g.line + uint32(len(line)-len(value))
	if f != fieldVersion {
		// A version with space behind it is a probe, not a client's: it is kept, and is then not "13".
		value = trimSpaceRight(value)
	}
	return g.note(f, value, span{from, from + uint32(len(value))})
}

// note keeps a header's value, or refuses it.
func (g *progress) note(f field, value []byte, at span) Refusal {
	switch {
	case f == fieldTransferEncoding:
		return Malformed // an upgrade has no body, and its end is what smuggling is about
	case f == fieldContentLength:
		// Some clients say that they send nothing. Saying it twice is what only a smuggler does.
		if g.lengths++; g.lengths > 1 || string(value) != "0" {
			return Malformed
		}
	case f < numSingle:
		if g.single[f].present() || f == fieldHost && !isHost(value) {
			return Malformed
		}
		g.single[f] = at
	default:
		if g.repeatCount == maxRepeated {
			return HeadersTooLarge
		}
		g.repeat[g.repeatCount] = repeatedLine{f, at}
		g.repeatCount++
	}
	return Accepted
}

// nextRepeat is the index of the first line of field f from index i on, or -1.
func (g *progress) nextRepeat(f field, i int) int {
	for ; i < g.repeatCount; i++ {
		if g.repeat[i].field == f {
			return i
		}
	}
	return -1
}

// repeats is how many lines of field f there are.
func (g *progress) repeats(f field) (n int) {
	for _, line := range g.repeat[:g.repeatCount] {
		if line.field == f {
			n++
		}
	}
	return n
}

// isHost reports whether h is a host and perhaps a port: RFC 9110 section 7.2 without what no client sends
// (userinfo, percent signs, an empty host or port).
func isHost(h []byte) bool {
	if len(h) == 0 || len(h) > maxHostBytes {
		return false
	}
	name, port, ok := splitPort(h)
	if !ok || len(port) > 0 && portNumber(port) == 0 {
		return false
	}
	if name[0] == '[' {
		return true // splitPort looked inside
	}
	return allOf(name, isHostName)
}

// splitPort cuts the port, empty if there is none, off a host. It is false if either is empty though announced, or
// if brackets are not those of an IPv6 literal.
func splitPort(h []byte) (name, port []byte, ok bool) {
	end := 0
	if len(h) > 0 && h[0] == '[' {
		end = bytes.IndexByte(h, ']') + 1
		if end <= len("[]") || !allOf(h[1:end-1], isIPv6) {
			return nil, nil, false
		}
	} else if end = bytes.IndexByte(h, ':'); end < 0 {
		end = len(h)
	}
	name, port = h[:end], h[end:]
	if len(port) == 0 {
		return name, nil, len(name) > 0
	}
	return name, port[1:], len(name) > 0 && port[0] == ':' && len(port) > 1
}

// portNumber is the port in decimal digits, without leading zeros; 0 if it is none.
func portNumber(port []byte) int {
	if len(port) == 0 || len(port) > 5 || port[0] == '0' {
		return 0
	}
	n := 0
	for _, c := range port {
		if c < '0' || c > '9' {
			return 0
		}
		n = n*10 + int(c-'0')
	}
	if n > 65535 {
		return 0
	}
	return n
}
