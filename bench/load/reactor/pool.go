package reactor

// Memory for what is not whole yet.

import "math/bits"

// poolKept is how many free buffers of each size the pool keeps, and poolLargest the largest size: the rest goes
// back to the collector.
const (
	poolKept    = 1024
	poolLargest = 16 // 64 KiB
)

// pool lends buffers of sizes that are powers of two. Its zero value is ready. It is the frame.Buffers of the loop's
// assemblers.
type pool struct {
	free [poolLargest + 1][][]byte
}

// Get returns a slice with room for n bytes.
func (p *pool) Get(n int) []byte {
	size := bits.Len(uint(max(n, 1) - 1))
	if size > poolLargest {
		return make([]byte, 0, n)
	}
	free := p.free[size]
	if len(free) == 0 {
		return make([]byte, 0, 1<<size)
	}
	b := free[len(free)-1]
	p.free[size] = free[:len(free)-1]
	return b
}

// Put takes back what Get or Grow gave.
func (p *pool) Put(b []byte) {
	size := bits.Len(uint(cap(b))) - 1
	if size < 0 || size > poolLargest || len(p.free[size]) >= poolKept {
		return
	}
	p.free[size] = append(p.free[size], b[:0])
}

// Grow returns b with room for n more bytes.
func (p *pool) Grow(b []byte, n int) []byte {
	if cap(b)-len(b) >= n {
		return b
	}
	grown := append(p.Get(max(len(b)+n, 2*cap(b))), b...)
	p.Put(b)
	return grown
}
