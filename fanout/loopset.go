package fanout

// A set of event loops in four machine words: copied, compared and walked without allocating.

import "math/bits"

// MaxLoops is how many loops a [LoopSet] can name: loops 0 to MaxLoops-1.
const MaxLoops = 256

// LoopSet is a set of this node's event loops. It is a plain value: assignment copies it and == compares it. The
// zero LoopSet is empty. It has no lock of its own.
type LoopSet [MaxLoops / 64]uint64

// Add puts loop into the set. A loop outside 0 to MaxLoops-1 is a mistake of the program and panics.
func (s *LoopSet) Add(loop int) { s[uint(loop)/64] |= 1 << (uint(loop) % 64) }

// Remove takes loop out of the set; one that is not in it, or can't be, changes nothing.
func (s *LoopSet) Remove(loop int) {
	if uint(loop) < MaxLoops {
		s[uint(loop)/64] &^= 1 << (uint(loop) % 64)
	}
}

// Has reports whether loop is in the set; false for a number no loop can have.
func (s *LoopSet) Has(loop int) bool {
	return uint(loop) < MaxLoops && s[uint(loop)/64]&(1<<(uint(loop)%64)) != 0
}

// Empty reports whether no loop is in the set.
func (s *LoopSet) Empty() bool { return s[0]|s[1]|s[2]|s[3] == 0 }

// Len counts the loops in the set.
func (s *LoopSet) Len() int {
	return bits.OnesCount64(s[0]) + bits.OnesCount64(s[1]) + bits.OnesCount64(s[2]) + bits.OnesCount64(s[3])
}

// Next returns the lowest loop in the set that is greater than after, or -1 when there is none. Begin with -1:
//
//	for loop := set.Next(-1); loop >= 0; loop = set.Next(loop) {
//		...
//	}
//
// Loops are visited in rising order. Adding to or removing from the set during the walk is allowed; only what lies
// ahead of the walk is still seen.
func (s *LoopSet) Next(after int) int {
	from := uint(max(after, -1) + 1)
	if from >= MaxLoops {
		return -1
	}
	word := from / 64
	rest := s[word] >> (from % 64) << (from % 64)
	for rest == 0 {
		if word++; word == uint(len(s)) {
			return -1
		}
		rest = s[word]
	}
	return int(word)*64 + bits.TrailingZeros64(rest)
}
