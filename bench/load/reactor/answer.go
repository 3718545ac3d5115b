package reactor

// The server's half of the opening handshake, RFC 6455 section 4.1: what it answers.

import (
	"bytes"
	"errors"
	"strconv"
	"time"
)

// mostHead bounds the head of an answer, in bytes.
const mostHead = 16 << 10

var errBadAnswer = errors.New("malformed answer to an upgrade request")

// answer is the head of an HTTP answer. Slices point into it.
type answer struct {
	status int
	// retryAfter is how long a refused client is asked to wait; 0 if it is not, or until a date instead of a time.
	retryAfter  time.Duration
	upgrade     bool // to websocket
	connection  bool // Upgrade is among its options
	extensions  bool // one was chosen
	accept      []byte
	subprotocol []byte
}

var (
	headEnd       = []byte("\r\n\r\n")
	lineEnd       = []byte("\r\n")
	statusVersion = []byte("HTTP/1.1 ")
)

// parseAnswer reads the head at the front of p. A size of 0 with a nil error means that p ends before it; else the
// first frame begins at p[size]. The verdict does not depend on how the bytes were cut. It keeps nothing.
func parseAnswer(p []byte) (a answer, size int, err error) {
	known := min(len(p), len(statusVersion))
	if !bytes.Equal(p[:known], statusVersion[:known]) {
		return answer{}, 0, errBadAnswer
	}
	end := bytes.Index(p[:min(len(p), mostHead)], headEnd)
	if end < 0 {
		if len(p) >= mostHead {
			return answer{}, 0, errBadAnswer
		}
		return answer{}, 0, nil
	}
	line, rest, _ := bytes.Cut(p[:end], lineEnd)
	line = line[len(statusVersion):]
	if len(line) < 3 || len(line) > 3 && line[3] != ' ' {
		return answer{}, 0, errBadAnswer
	}
	if a.status, err = strconv.Atoi(string(line[:3])); err != nil || a.status < 100 {
		return answer{}, 0, errBadAnswer
	}
	for len(rest) > 0 {
		line, rest, _ = bytes.Cut(rest, lineEnd)
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(name) == 0 || !a.header(name, bytes.TrimSpace(value)) {
			return answer{}, 0, errBadAnswer
		}
	}
	return a, end + len(headEnd), nil
}

// header notes one header; false if it contradicts an earlier one.
func (a *answer) header(name, value []byte) bool {
	if value == nil {
		value = []byte{} // there, though empty
	}
	is := func(want string) bool { return len(name) == len(want) && bytes.EqualFold(name, []byte(want)) }
	switch {
	case is("Upgrade"):
		a.upgrade = bytes.EqualFold(value, []byte("websocket"))
	case is("Connection"):
		a.connection = a.connection || hasToken(value, []byte("upgrade"))
	case is("Sec-WebSocket-Accept"):
		if a.accept != nil {
			return false
		}
		a.accept = value
	case is("Sec-WebSocket-Protocol"):
		if a.subprotocol != nil {
			return false
		}
		a.subprotocol = value
	case is("Sec-WebSocket-Extensions"):
		a.extensions = true
	case is("Retry-After"):
		if seconds, err := strconv.ParseUint(string(value), 10, 31); err == nil {
			a.retryAfter = time.Duration(seconds) * time.Second
		}
	}
	return true
}

// opens says whether a makes a connection open that was asked for with key and offered these subprotocols, in the
// form of the header. Choosing none of them is legal (section 4.1, step 6, leaves it to the client).
func (a *answer) opens(key, offer []byte) bool {
	var want [acceptSize]byte
	return a.upgrade && a.connection && !a.extensions &&
		bytes.Equal(a.accept, appendAccept(want[:0], key)) &&
		(a.subprotocol == nil || len(a.subprotocol) > 0 && hasExactly(offer, a.subprotocol))
}

// hasToken says whether a comma-separated list has the token, in any case.
func hasToken(list, token []byte) bool {
	for len(list) > 0 {
		var one []byte
		one, list, _ = bytes.Cut(list, []byte(","))
		if bytes.EqualFold(bytes.TrimSpace(one), token) {
			return true
		}
	}
	return false
}

// hasExactly is hasToken where case counts, as it does in the names of subprotocols.
func hasExactly(list, token []byte) bool {
	for len(list) > 0 {
		var one []byte
		one, list, _ = bytes.Cut(list, []byte(","))
		if bytes.Equal(bytes.TrimSpace(one), token) {
			return true
		}
	}
	return false
}
