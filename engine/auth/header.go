// Taking a token apart and reading its header, before any cryptography.

package auth

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
)

// headerScratch holds the decoded header of nearly every token, so that reading one needs no heap.
const headerScratch = 512

var base64url = base64.RawURLEncoding.Strict()

// parts are the three sections of a compact token (RFC 7515 section 3.1), still in base64url.
type parts struct{ header, claims, signature []byte }

// split cuts a token at its two dots. It refuses every byte outside the base64url alphabet, since Go's
// decoder skips line breaks even when strict, and one token must not have two spellings.
func split(token []byte) (parts, bool) {
	for _, c := range token {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '.':
		default:
			return parts{}, false
		}
	}
	first := bytes.IndexByte(token, '.')
	last := bytes.LastIndexByte(token, '.')
	if first <= 0 || last == first || last == first+1 || bytes.IndexByte(token[first+1:last], '.') >= 0 {
		return parts{}, false
	}
	return parts{token[:first], token[first+1 : last], token[last+1:]}, true
}

// header is what this package heeds of a token's header.
type header struct {
	algorithm []byte // the unquoted alg; empty if absent or no string
	keyID     []byte // the unquoted kid; empty if absent, empty or no string
	badKeyID  bool   // kid is no string (RFC 7515 section 4.1.4), or there are two
	critical  bool   // crit is present, whatever it holds
}

// readHeader decodes one header part, using scratch while that is large enough; the algorithm and the key's
// name point into it. A bad kid is noted and not refused, since only a KeySet ever looks at it.
func readHeader(part, scratch []byte) (header, Refusal) {
	document, err := base64url.AppendDecode(scratch[:0], part)
	if err != nil || !json.Valid(document) {
		return header{}, RefusedMalformed
	}
	walk, ok := membersOf(document)
	if !ok {
		return header{}, RefusedMalformed
	}
	var h header
	named, keyed := false, false
	for {
		name, value, left, more := walk.next()
		if !more {
			return h, 0
		}
		walk = left
		switch string(name) {
		case "alg":
			if named {
				return header{}, RefusedMalformed
			}
			named = true
			h.algorithm, _ = unquoted(value)
		case "kid":
			text, isText := unquoted(value)
			h.keyID, h.badKeyID = text, keyed || !isText
			keyed = true
		case "crit":
			h.critical = true
		}
	}
}

// unquoted returns the string that value writes, and whether it is one. An escape in an alg is legal JSON and
// never seen in earnest; it is decoded all the same, so that this reading and the JWT library's never differ.
func unquoted(value []byte) ([]byte, bool) {
	if len(value) < 2 || value[0] != '"' {
		return nil, false
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return value[1 : len(value)-1], true
	}
	text, ok := textOf(value)
	return []byte(text), ok
}
