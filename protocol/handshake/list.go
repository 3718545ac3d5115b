// Comma-separated lists of tokens, as Connection, Upgrade and Sec-WebSocket-Protocol are (RFC 9110 section 5.6.1).

package handshake

import "bytes"

var comma = []byte{','}

// list walks the elements of a comma-separated list of tokens in one field value. Empty elements are passed over,
// as the RFC asks of a recipient; anything else that is not all of the class makes the list malformed.
type list struct {
	rest      []byte
	class     uint8
	malformed bool
}

// next returns the next element, or nil at the end or when the list is malformed.
func (l *list) next() []byte {
	for len(l.rest) > 0 {
		element, rest, _ := bytes.Cut(l.rest, comma)
		l.rest = rest
		element = trimSpace(element)
		if len(element) == 0 {
			continue
		}
		if !allOf(element, l.class) {
			l.rest, l.malformed = nil, true
			return nil
		}
		return element
	}
	return nil
}
