// Package deflatetest makes compressed messages that no compressor makes, for tests of what they cost. It is for tests
// alone; its functions may be called by any goroutine.
package deflatetest

import (
	"math/bits"
	"slices"
)

// CodeTables is a message of about so many bytes that inflates to nothing: the shortest blocks there are that have code
// tables of their own, of which a decoder has to build one after the other.
func CodeTables(bytes int) []byte {
	return repeat(bytes, func(w *Writer) { w.EmptyDynamicBlock(1) })
}

// LargeCodeTables is as CodeTables, of fewer blocks whose tables are the largest.
func LargeCodeTables(bytes int) []byte { return repeat(bytes, (*Writer).largeTables) }

func repeat(bytes int, block func(*Writer)) []byte {
	var w Writer
	for len(w.Bytes) < bytes {
		block(&w)
	}
	w.StoredHeader()
	return w.Bytes
}

// Writer writes DEFLATE by hand, least bit first (RFC 1951 section 3.1.1). The zero Writer has written nothing.
type Writer struct {
	// Bytes are what was written, but for bits that do not fill a byte yet.
	Bytes   []byte
	pending uint64
	n       uint
}

func (w *Writer) bits(v uint64, n uint) {
	w.pending |= v << w.n
	for w.n += n; w.n >= 8; w.n -= 8 {
		w.Bytes = append(w.Bytes, byte(w.pending))
		w.pending >>= 8
	}
}

// EmptyDynamicBlock is the shortest block with tables of its own: one code for its end, and one distance, the last of
// so many.
func (w *Writer) EmptyDynamicBlock(distances uint64) {
	w.bits(0b100, 3)              // not BFINAL, dynamic
	w.bits((distances-1)<<5, 5+5) // 257 literals
	w.bits(18-4, 4)               // 18 of the lengths' codes, of which those for 18 and 1 are used
	w.bits(1<<(3*2), 3*9)         // 16 17 18 0 8 7 9 6 10
	w.bits(1<<(3*8), 3*9)         // 5 11 4 12 3 13 2 14 1
	w.bits(1|(138-11)<<1, 8)      // 138 zeros
	w.bits(1|(118-11)<<1, 8)      // 118 zeros
	w.bits(0, 1)                  // a length of 1: the end
	if distances > 11 {
		w.bits(1|(distances-1-11)<<1, 8) // zeros
	}
	w.bits(0, 1) // a length of 1: the last distance
	w.bits(0, 1) // the end
}

// largeTables is an empty block of which every table is as large as it can be: one code of 15 bits, and as many of 10
// bits as there are letters, each pair of which has the library make a second table of 64 entries.
func (w *Writer) largeTables() {
	lengths := slices.Repeat([]int{10}, 263)
	lengths[255], lengths[256] = 15, 1 // the end is a code of 1 bit
	copy(lengths[257:], []int{2, 11, 12, 13, 14, 15})
	lengths = append(lengths, 1) // one distance
	// The lengths are written in codes of their own: "the same again" in 1 bit, eight numbers in 4 bits each.
	w.bits(0b100, 3)
	w.bits(263-257|15<<10, 14)
	for _, symbol := range []int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15} {
		n := uint64(0)
		if symbol == 16 {
			n = 1
		} else if slices.Contains(largeTableLengths, symbol) {
			n = 4
		}
		w.bits(n, 3)
	}
	for i := 0; i < len(lengths); {
		length := lengths[i]
		code := 8 + slices.Index(largeTableLengths, length) // canonical: in the order of the numbers
		w.bits(uint64(bits.Reverse8(uint8(code))>>4), 4)
		again := 0
		for i++; i < len(lengths) && lengths[i] == length && again < 6; i++ {
			again++
		}
		if again < 3 {
			i -= again
			continue
		}
		w.bits(0, 1)
		w.bits(uint64(again-3), 2)
	}
	w.bits(0, 1) // the end
}

var largeTableLengths = []int{1, 2, 10, 11, 12, 13, 14, 15}

// StoredHeader is what a flush ends with, up to the four bytes that a sender cuts off (RFC 7692 section 7.2.1).
func (w *Writer) StoredHeader() {
	w.bits(0, 3)
	w.bits(0, (8-w.n)%8)
}
