// Query parameters: name=value joined by '&', each percent-encoded as forms are (WHATWG URL section 5).

package handshake

import (
	"bytes"
	"iter"
)

// The parameters roost reads. Names are compared decoded, as every library that might write or check them does.
const (
	paramRoom    = "room"
	paramToken   = "token"
	paramAttempt = "attempt"
)

// QueryValue returns the value of the first parameter with the name, as sent, and how many parameters have it.
// The value of a parameter without '=' is empty. Parse has refused a request with two of "token" or "attempt".
func (r *Request) QueryValue(name string) (value []byte, count int) {
	for rest := r.RawQuery; len(rest) > 0; {
		var key, v []byte
		if key, v, rest = nextParam(rest); isParam(key, name) {
			if count++; count == 1 {
				value = v
			}
		}
	}
	return value, count
}

// Rooms are the values of the room parameters in their order, decoded; no two are equal, but none is known to be a
// legal name. A room is good until the next one, or as long as the head if it needed no decoding: it is decoded
// into scratch, which is grown if it has to be.
func (r *Request) Rooms(scratch []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) { r.eachRoom(scratch, yield) }
}

func (r *Request) eachRoom(scratch []byte, yield func([]byte) bool) {
	for rest := r.RawQuery; len(rest) > 0; {
		var key, v []byte
		if key, v, rest = nextParam(rest); !isParam(key, paramRoom) {
			continue
		}
		if isEncoded(v) {
			scratch = AppendDecoded(scratch[:0], v)
			v = scratch
		}
		if !yield(v) {
			return
		}
	}
}

// AppendDecoded appends the decoded form of a query value to dst. The value has to be one of a parsed Request,
// whose escapes are known to be whole.
func AppendDecoded(dst, value []byte) []byte {
	for i := 0; i < len(value); {
		var c byte
		c, i = decodeAt(value, i)
		dst = append(dst, c)
	}
	return dst
}

// nextParam cuts the first parameter off a query.
func nextParam(query []byte) (key, value, rest []byte) {
	end := bytes.IndexByte(query, '&')
	if end < 0 {
		end = len(query)
	} else {
		rest = query[end+1:]
	}
	param := query[:end:end]
	if eq := bytes.IndexByte(param, '='); eq >= 0 {
		return param[:eq:eq], param[eq+1:], rest
	}
	return param, param[end:], rest
}

// uniqueParams reports whether a query, its escapes checked, has no more parameters than are looked at, at most one
// token and one attempt, and no room twice. The last or the first of two never wins silently.
func uniqueParams(query []byte) bool {
	params, tokens, attempts, rooms := 0, 0, 0, 0
	for rest := query; len(rest) > 0; {
		var key []byte
		key, _, rest = nextParam(rest)
		switch {
		case isParam(key, paramRoom):
			rooms++
		case isParam(key, paramToken):
			tokens++
		case isParam(key, paramAttempt):
			attempts++
		}
		if params++; params > maxQueryParams || tokens > 1 || attempts > 1 {
			return false
		}
	}
	return rooms < 2 || uniqueRooms(query)
}

// uniqueRooms compares the rooms of a query by hash first: all pairs are compared, and most differ.
func uniqueRooms(query []byte) bool {
	var hashes [maxQueryParams]uint32
	var values [maxQueryParams][]byte
	n := 0
	for rest := query; len(rest) > 0; {
		var key, v []byte
		if key, v, rest = nextParam(rest); !isParam(key, paramRoom) {
			continue
		}
		h := hashDecoded(v)
		for i, other := range hashes[:n] {
			if h == other && equalDecoded(v, values[i]) {
				return false
			}
		}
		hashes[n], values[n] = h, v
		n++
	}
	return true
}

// isParam reports whether a parameter's name, decoded, is name.
func isParam(key []byte, name string) bool {
	if len(key) == len(name) {
		return string(key) == name // an encoded name is longer than what it means
	}
	if !isEncoded(key) {
		return false
	}
	at := 0
	for i := 0; i < len(key); at++ {
		var c byte
		if c, i = decodeAt(key, i); at == len(name) || c != name[at] {
			return false
		}
	}
	return at == len(name)
}

// isEncoded reports whether decoding v changes it.
func isEncoded(v []byte) bool {
	return bytes.IndexByte(v, '%') >= 0 || bytes.IndexByte(v, '+') >= 0
}

// decodeAt returns the byte that v means at index i and the index of what follows.
func decodeAt(v []byte, i int) (c byte, next int) {
	switch v[i] {
	case '%':
		return byte(unhex(v[i+1])<<4 | unhex(v[i+2])), i + 3
	case '+':
		return ' ', i + 1
	}
	return v[i], i + 1
}

func equalDecoded(a, b []byte) bool {
	i, j := 0, 0
	for i < len(a) && j < len(b) {
		var ca, cb byte
		ca, i = decodeAt(a, i)
		if cb, j = decodeAt(b, j); ca != cb {
			return false
		}
	}
	return i == len(a) && j == len(b)
}

// hashDecoded is FNV-1a over the decoded bytes. Values made to collide cost a comparison each, no more.
func hashDecoded(v []byte) uint32 {
	h := uint32(2166136261)
	for i := 0; i < len(v); {
		var c byte
		c, i = decodeAt(v, i)
		h = (h ^ uint32(c)) * 16777619
	}
	return h
}
