// Package bufpool lends byte buffers to the connections of one event loop, in size classes.
//
// A connection holds a buffer only while it has something to keep: half a message, or bytes its client is slow
// to take. When it is done the buffer goes back and serves the next connection of the same loop, so a busy loop
// allocates nothing and an idle connection holds nothing.
//
// Classes are the powers of two from 64 B to 128 KiB. What is larger is allocated for the occasion and left to
// the collector afterwards: it is rare, and would push everything else out of the pool.
//
// All calls belong to the loop's goroutine. There is no lock and nothing blocks. Buffers are not cleared: a
// caller gets length 0 and must not look behind what it has written. A buffer belongs to the caller from Get to
// Put; one that is never put back is collected like any slice, but is counted as in use for good.
//
// Under the build tag loopcheck the pool panics when a buffer is put back that is not handed out (twice, most
// likely) or was written to after it was put back, and fills what comes back with 0xDB, so that a late reader
// is noticed.
package bufpool

import "math/bits"

const (
	minShift = 6  // smallest class: 64 B
	maxShift = 17 // largest class: 128 KiB
	maxClass = 1 << maxShift
	large    = maxShift - minShift + 1 // index of the class of everything above

	// page is the unit in which Go's runtime hands out large memory: rounding to less would waste the rest.
	page = 8 << 10
)

// ClassCount is the number of classes, the one named "large" included.
const ClassCount = large + 1

var labels = [ClassCount]string{
	"64B", "128B", "256B", "512B", "1KiB", "2KiB", "4KiB", "8KiB", "16KiB", "32KiB", "64KiB", "128KiB", "large",
}

// Class is what a pool knows of one size class, for a metric.
type Class struct {
	Label string // capacity of its buffers, "64B" to "128KiB", or "large"
	InUse int    // buffers handed out and not returned
}

// Pool is the buffers of one loop.
type Pool struct {
	maxFree    int
	free       [large][][]byte // each of length 0
	freeBytes  int
	inUse      [ClassCount]int
	inUseBytes int64
	ledger     ledger // empty without loopcheck
}

// New returns an empty pool that keeps at most maxFree bytes for reuse, over all classes; what comes back above
// that goes to the collector. With a maxFree of 0 or less it keeps nothing.
func New(maxFree int) *Pool { return &Pool{maxFree: maxFree} }

// Get returns a buffer of length 0 and a capacity of at least n bytes, which the caller owns until Put. A
// caller that outgrows it calls Grow: append would silently replace it by a slice that is not the pool's.
func (p *Pool) Get(n int) []byte {
	c := classFor(n)
	p.inUse[c]++
	b := p.reuse(c)
	if b == nil {
		size := 1 << (minShift + c)
		if c == large {
			size = (n + page - 1) &^ (page - 1)
		}
		b = make([]byte, 0, size)
	}
	p.inUseBytes += int64(cap(b))
	p.ledger.handOut(b)
	return b
}

// reuse takes the latest free buffer of class c, which is the likeliest to be in the processor's cache, or nil.
func (p *Pool) reuse(c int) []byte {
	if c == large || len(p.free[c]) == 0 {
		return nil
	}
	last := len(p.free[c]) - 1
	b := p.free[c][last]
	p.free[c][last] = nil // or the pool would keep it alive after its owner let it go
	p.free[c] = p.free[c][:last]
	p.freeBytes -= cap(b)
	p.ledger.reuse(b)
	return b
}

// Put takes back a buffer that came from Get or Grow of this pool, with its full capacity; the caller and
// everyone it gave the bytes to must have forgotten them. A slice whose capacity is that of no class (nil, a
// part of a buffer, one replaced by append) is ignored.
func (p *Pool) Put(b []byte) {
	c := classOf(cap(b))
	if c < 0 {
		return
	}
	p.ledger.giveBack(b)
	if p.inUse[c] == 0 {
		return // can't be ours: none of this class is handed out
	}
	p.inUse[c]--
	p.inUseBytes -= int64(cap(b))
	if c == large || cap(b) > p.maxFree-p.freeBytes {
		return
	}
	p.free[c] = append(p.free[c], b[:0])
	p.freeBytes += cap(b)
}

// Grow returns a buffer with b's contents and room for n more bytes. That is b itself if it has the room;
// otherwise b goes back to the pool, and every other slice of it is as dead as after Put. A nil b is fine.
func (p *Pool) Grow(b []byte, n int) []byte {
	if n <= cap(b)-len(b) {
		return b
	}
	need := len(b) + n
	if need > maxClass {
		// Classes double; above them a reserve of a quarter keeps many small steps from copying all each time.
		need = max(need, cap(b)+cap(b)/4)
	}
	grown := append(p.Get(need), b...)
	p.Put(b)
	return grown
}

// InUse is the number of buffers handed out and not returned.
func (p *Pool) InUse() int {
	sum := 0
	for _, n := range p.inUse {
		sum += n
	}
	return sum
}

// InUseBytes is the sum of the capacities of the buffers handed out and not returned.
func (p *Pool) InUseBytes() int64 { return p.inUseBytes }

// FreeBytes is the sum of the capacities of the buffers kept for reuse.
func (p *Pool) FreeBytes() int { return p.freeBytes }

// Classes returns the count of each class, smallest first. The labels and their places never change, so that
// the classes of several loops can be added up index by index.
func (p *Pool) Classes() [ClassCount]Class {
	var classes [ClassCount]Class
	for c := range classes {
		classes[c] = Class{Label: labels[c], InUse: p.inUse[c]}
	}
	return classes
}

// Trim hands everything that is free to the collector, for a loop that has become quiet. It also is the way out
// when free buffers of sizes that nobody wants any more fill maxFree.
func (p *Pool) Trim() {
	clear(p.free[:])
	p.freeBytes = 0
}

// classFor is the smallest class that holds n bytes.
func classFor(n int) int {
	switch {
	case n <= 1<<minShift:
		return 0
	case n > maxClass:
		return large
	}
	return bits.Len(uint(n-1)) - minShift
}

// classOf is the class whose buffers have exactly this capacity, or -1.
func classOf(capacity int) int {
	switch {
	case capacity > maxClass && capacity%page == 0:
		return large
	case capacity < 1<<minShift || capacity > maxClass || capacity&(capacity-1) != 0:
		return -1
	}
	return bits.TrailingZeros(uint(capacity)) - minShift
}
