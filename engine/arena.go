package engine

// arena is memory for what one turn says: replies and frames are encoded into it, written at the end of the
// turn, and the whole of it is used again for the next one. Loop only.
type arena struct {
	chunk []byte   // the one in use; its length is what is taken
	full  [][]byte // kept alive until reset because pieces of them wait to be written
}

// arenaChunk is enough for the replies of nearly every turn.
const arenaChunk = 64 << 10

// reserve returns an empty slice with room for n bytes and more. Append to it, then commit the result.
func (a *arena) reserve(n int) []byte {
	if cap(a.chunk)-len(a.chunk) < n {
		if len(a.chunk) > 0 {
			a.full = append(a.full, a.chunk)
		}
		a.chunk = make([]byte, 0, max(n, arenaChunk))
	}
	return a.chunk[len(a.chunk):len(a.chunk):cap(a.chunk)]
}

// commit keeps b, which was appended to the last reserved slice, until reset. One that outgrew its reserve has
// moved to memory of its own and needs nothing.
func (a *arena) commit(b []byte) []byte {
	rest := a.chunk[len(a.chunk):cap(a.chunk)]
	if len(b) > 0 && len(rest) > 0 && &b[0] == &rest[0] {
		a.chunk = a.chunk[:len(a.chunk)+len(b)]
	}
	return b
}

// reset frees everything reserved. Nothing of it may be waiting any more.
func (a *arena) reset() {
	clear(a.full)
	a.full = a.full[:0]
	if cap(a.chunk) > arenaChunk {
		a.chunk = nil
	}
	a.chunk = a.chunk[:0]
}
