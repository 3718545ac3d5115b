// The upgrade itself: what RFC 6455 section 4.2.1 asks of a request's headers.

package handshake

import "strings"

// CheckUpgrade reports whether a parsed request is a WebSocket handshake of version 13, in this order: Connection
// and Upgrade ask for it (else [NotUpgrade]), the version is there (else [Malformed]) and is 13 and nothing more
// (else [Version]), the key is 16 bytes in strict base64 (else [Malformed]). It does not allocate.
func (r *Request) CheckUpgrade() Refusal {
	g := &r.progress
	// A second Upgrade line would be a second protocol, for a proxy that reads one line only.
	if !r.hasElement(fieldConnection, isToken, "upgrade") ||
		g.repeats(fieldUpgrade) != 1 || !r.hasElement(fieldUpgrade, isProtocol, "websocket") {
		return NotUpgrade
	}
	switch g.repeats(fieldVersion) {
	case 0:
		return Malformed
	case 1:
		if string(r.repeated(g.nextRepeat(fieldVersion, 0))) != "13" {
			return Version
		}
	default:
		return Version
	}
	if !isKey(r.Key) {
		return Malformed
	}
	return Accepted
}

// hasElement reports whether word, in any case, is an element of the lists in all lines of field f. A line that is
// no list makes it false whatever the others say.
func (r *Request) hasElement(f field, class uint8, word string) bool {
	found := false
	for i := r.progress.nextRepeat(f, 0); i >= 0; i = r.progress.nextRepeat(f, i+1) {
		elements := list{rest: r.repeated(i), class: class}
		for element := elements.next(); element != nil; element = elements.next() {
			found = found || equalFold(element, word)
		}
		if elements.malformed {
			return false
		}
	}
	return found
}

// isKey reports whether key is the base64 form of 16 bytes. The last letter before the padding carries two bits
// only, so there are four that it can be.
func isKey(key []byte) bool {
	return len(key) == keyBytes && string(key[22:]) == "==" &&
		allOf(key[:22], isBase64) && strings.IndexByte("AQgw", key[21]) >= 0
}
