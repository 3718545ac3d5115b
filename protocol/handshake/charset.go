// Byte classes of the grammars that meet in a request head, and the few byte-level comparisons on them.

package handshake

import (
	"encoding/binary"
	"strings"
)

// The classes a byte can belong to. A byte's classes are bits of charset, so a scan is one load and one AND.
const (
	// isToken is tchar of RFC 9110 section 5.6.2.
	isToken uint8 = 1 << iota
	// isProtocol is isToken and '/', for the elements of Upgrade.
	isProtocol
	// isPath is pchar of RFC 3986 and '/'; the two digits behind a '%' are checked apart.
	isPath
	// isQuery is the RFC's query and what browsers leave bare in one all the same.
	isQuery
	// isHostName is what a registered name or an IPv4 address in Host is made of; sub-delims and percent
	// signs are legal in the RFC and in no host that exists.
	isHostName
	// isIPv6 is what stands between the brackets of an IPv6 literal. Zones are for local use only.
	isIPv6
	// isToken68 is the credential of RFC 9110 section 11.2, without the padding.
	isToken68
	// isBase64 is the standard alphabet of RFC 4648 section 4.
	isBase64
)

const (
	digits     = "0123456789"
	letters    = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	unreserved = letters + digits + "-._~"
	pchars     = unreserved + "!$&'()*+,;=" + ":@" + "%"
)

var charset = buildCharset()

func buildCharset() (set [256]uint8) {
	mark := func(class uint8, chars string) {
		for _, c := range []byte(chars) {
			set[c] |= class
		}
	}
	mark(isToken, letters+digits+"!#$%&'*+-.^_`|~")
	mark(isProtocol, letters+digits+"!#$%&'*+-.^_`|~"+"/")
	mark(isPath, pchars+"/")
	mark(isQuery, pchars+"/?"+`[]{}|^\`+"`")
	mark(isHostName, letters+digits+"-._~")
	mark(isIPv6, digits+"abcdefABCDEF:.")
	mark(isToken68, unreserved+"+/")
	mark(isBase64, letters+digits+"+/")
	return set
}

// allOf reports whether every byte of b is of the class.
func allOf(b []byte, class uint8) bool {
	for _, c := range b {
		if charset[c]&class == 0 {
			return false
		}
	}
	return true
}

// isFieldValue reports whether b holds nothing but HTAB, SP, visible bytes and obs-text (RFC 9110 section 5.5).
// It looks at eight bytes at a time: values are most of a head, and hardly ever have a byte below SP.
func isFieldValue(b []byte) bool {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for len(b) >= 8 {
		w := binary.LittleEndian.Uint64(b)
		belowSpace := (w - ones*' ') &^ w
		del := w ^ ones*0x7f
		isDel := (del - ones) &^ del
		if (belowSpace|isDel)&highs != 0 && !isFieldValueSlow(b[:8]) {
			return false
		}
		b = b[8:]
	}
	return isFieldValueSlow(b)
}

func isFieldValueSlow(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// trimSpace takes the optional whitespace (SP, HTAB) off both ends.
func trimSpace(b []byte) []byte { return trimSpaceRight(trimSpaceLeft(b)) }

func trimSpaceLeft(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	return b
}

func trimSpaceRight(b []byte) []byte {
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// lower folds an ASCII letter. Bytes outside ASCII stay what they are: a Kelvin sign is no k here.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c + ('a' - 'A')
	}
	return c
}

// equalFold reports whether b is word, which has to be in lower case, in any ASCII case.
func equalFold(b []byte, word string) bool {
	if len(b) != len(word) {
		return false
	}
	for i := range b {
		if lower(b[i]) != word[i] {
			return false
		}
	}
	return true
}

// unhex is the value of a hexadecimal digit, or -1.
func unhex(c byte) int { return strings.IndexByte("0123456789abcdef", lower(c)) }
