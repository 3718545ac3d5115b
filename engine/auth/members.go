// Walking the members of a JSON object. encoding/json matches struct fields regardless of case, so that a
// claim "SUB" would stand in for "sub", and takes the last of two equal names in silence; a token's claims
// need the opposite of both.

package auth

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// members is what is left of one JSON object that encoding/json has already found valid. A walk stays within
// bounds on any other input, but what it yields is then meaningless.
type members []byte

// membersOf starts a walk; ok is false if document is not an object.
func membersOf(document []byte) (m members, ok bool) {
	document = skipSpace(document)
	if len(document) == 0 || document[0] != '{' {
		return nil, false
	}
	return document[1:], true
}

// next yields the next name, unescaped, the value as it is written, and what is left after them; ok is false
// at the end. It allocates only for a name that holds an escape. The slices are to be treated as read-only.
// What is left is a result and not a field so that a header may lie on its reader's stack.
func (m members) next() (name, value []byte, left members, ok bool) {
	rest := skipSpace(m)
	if len(rest) > 0 && rest[0] == ',' {
		rest = skipSpace(rest[1:])
	}
	if len(rest) == 0 || rest[0] != '"' {
		return nil, nil, nil, false
	}
	end := stringEnd(rest)
	name, rest = rest[:end], skipSpace(rest[end:])
	if len(rest) == 0 || rest[0] != ':' {
		return nil, nil, nil, false
	}
	rest = skipSpace(rest[1:])
	end = valueEnd(rest)
	value, left = rest[:end], rest[end:]
	if bytes.IndexByte(name, '\\') < 0 {
		return name[1 : len(name)-1], value, left, true
	}
	text, ok := textOf(name)
	return []byte(text), value, left, ok
}

// textOf returns the string that value writes; ok is false if value is no JSON string. Invalid UTF-8 and lone
// surrogates come out as the replacement character.
func textOf(value []byte) (text string, ok bool) {
	if len(value) < 2 || value[0] != '"' {
		return "", false
	}
	if bytes.IndexByte(value, '\\') < 0 && utf8.Valid(value) {
		return string(value[1 : len(value)-1]), true
	}
	if json.Unmarshal(bytes.Clone(value), &text) != nil {
		return "", false
	}
	return text, true
}

// listOf returns the strings of a JSON array; ok is false, and the list empty, if value is anything else. An
// array with one element of another type is anything else, though encoding/json fills the list around it.
func listOf(value []byte) (list []string, ok bool) {
	if len(value) == 0 || value[0] != '[' || json.Unmarshal(value, &list) != nil {
		return nil, false
	}
	return list, true
}

func isNull(value []byte) bool { return string(value) == "null" }

func skipSpace(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t' || b[0] == '\n' || b[0] == '\r') {
		b = b[1:]
	}
	return b
}

// stringEnd returns the length of the JSON string that b begins with, quotes included; at least 2 if b is
// valid, and never more than len(b).
func stringEnd(b []byte) int {
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
	return len(b)
}

// valueEnd returns the length of the JSON value that b begins with.
func valueEnd(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			i += stringEnd(b[i:]) - 1
		case '{', '[':
			depth++
			continue
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',', ' ', '\t', '\n', '\r':
			if depth == 0 {
				return i
			}
			continue
		default:
			continue
		}
		// A string, an object or an array has just ended.
		if depth == 0 {
			return i + 1
		}
	}
	return len(b)
}
