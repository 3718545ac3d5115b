package deflate

// The grammar of Sec-WebSocket-Extensions (RFC 6455 section 9.1). httphead reads it too, but takes "a b" for "b",
// passes over a ';' or '=' with nothing behind it and reads some quoted pairs as other bytes.

import "github.com/gobwas/httphead"

// cursor reads a header's value from the left. Space may stand between any two of its elements (RFC 2616 section 2.1,
// which RFC 6455 builds on).
type cursor struct{ rest []byte }

// space skips spaces and tabs.
func (c *cursor) space() {
	for len(c.rest) > 0 && (c.rest[0] == ' ' || c.rest[0] == '\t') {
		c.rest = c.rest[1:]
	}
}

// take skips b, with space on both sides, and reports whether it was there. Space is skipped in any case.
func (c *cursor) take(b byte) bool {
	c.space()
	if len(c.rest) == 0 || c.rest[0] != b {
		return false
	}
	c.rest = c.rest[1:]
	c.space()
	return true
}

// token reads as many token characters as there are, perhaps none.
func (c *cursor) token() []byte {
	n := 0
	for n < len(c.rest) && httphead.OctetTypes[c.rest[n]].IsToken() {
		n++
	}
	token := c.rest[:n]
	c.rest = c.rest[n:]
	return token
}

// offer reads one extension with its parameters and the space behind it. It is false if the grammar is broken.
func (c *cursor) offer() (o offer, ok bool) {
	name := c.token()
	if len(name) == 0 {
		return offer{}, false
	}
	o.deflate = string(name) == extension
	for c.take(';') {
		name := c.token()
		if len(name) == 0 {
			return offer{}, false
		}
		var value []byte
		var scratch [maxValue]byte
		if c.take('=') {
			if value = c.value(scratch[:0]); len(value) == 0 {
				return offer{}, false
			}
		}
		o.param(name, value)
	}
	return o, true
}

// maxValue is how much of a value is looked at: one byte more than any that is legal here has.
const maxValue = 3

// value reads a token, or a quoted string of which a token is left without quotes and backslashes, and appends the
// begin of it, up to maxValue bytes, to dst. It appends nothing if there is none, or something else.
func (c *cursor) value(dst []byte) []byte {
	if len(c.rest) == 0 || c.rest[0] != '"' {
		token := c.token()
		return append(dst, token[:min(len(token), maxValue)]...)
	}
	for i := 1; i < len(c.rest); i++ {
		b := c.rest[i]
		switch {
		case b == '"':
			c.rest = c.rest[i+1:]
			return dst
		case b == '\\' && i+1 < len(c.rest):
			i++
			b = c.rest[i]
		}
		if !httphead.OctetTypes[b].IsToken() {
			return nil
		}
		if len(dst) < maxValue {
			dst = append(dst, b)
		}
	}
	return nil
}
