package deflate

// Allocation tests, what one of each holds, and benchmarks. The benchmarks would be wrong about caches: the tables of
// one Deflater are larger than the second level, and stay in it here as they may not on a loop with other work.

import (
	"fmt"
	"math/bits"
	"slices"
	"testing"
)

func TestAllocations(t *testing.T) {
	d := NewDeflater(64)
	var f Inflater
	dst, back := make([]byte, 0, 1<<18), make([]byte, 0, 1<<18)
	run := func(name string, work func()) {
		t.Helper()
		if n := testing.AllocsPerRun(10, work); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	for _, kind := range kinds {
		for _, n := range []int{64, 512, 4096, 65536} {
			src := kind.make(n)
			compressed := compressByStd(t, src, 6)
			run(fmt.Sprintf("deflate %s of %d", kind.name, n), func() { d.Deflate(dst, src) })
			run(fmt.Sprintf("inflate %s of %d", kind.name, n), func() {
				if got, err := f.Inflate(back, compressed, n); err != nil || len(got) != n {
					t.Fatal(len(got), err)
				}
			})
		}
	}
	two, bad := bomb(t, 2), []byte("not compressed")
	run("too large", func() {
		if _, err := f.Inflate(back, two, 1000); err != ErrTooLarge {
			t.Fatal(err)
		}
	})
	run("corrupt", func() {
		if _, err := f.Inflate(back, bad, 1000); err != ErrCorrupt {
			t.Fatal(err)
		}
	})
	offers := []byte(`x; y="z", permessage-deflate; server_max_window_bits=9, permessage-deflate; client_max_window_bits="1\5"`)
	run("negotiate", func() {
		if _, v := Negotiate(dst, offers); v != Accepted {
			t.Fatal(v)
		}
	})
}

// TestMemory holds what is said of the memory of one of each, and that they have none before their first message.
func TestMemory(t *testing.T) {
	dst := make([]byte, 0, 1<<16)
	src := kinds[0].make(4096)
	compressed := compressByStd(t, src, 6)
	fixedOnce(t)
	for _, c := range []struct {
		name string
		most uint64
		work func()
	}{
		{"Deflater, new", 256, func() { NewDeflater(256).Deflate(dst, src[:255]) }},
		{"Deflater", 1100 << 10, func() { NewDeflater(256).Deflate(dst, src) }},
		{"Inflater", 64 << 10, func() { new(Inflater).Inflate(dst, compressed, 4096) }},
	} {
		before := allocated()
		c.work()
		spent := allocated() - before
		t.Logf("%s: %d bytes", c.name, spent)
		if spent > c.most {
			t.Errorf("%s: %d bytes, more than %d", c.name, spent, c.most)
		}
	}
}

// fixedOnce has the library make the tables that all of its readers and writers share.
func fixedOnce(t *testing.T) {
	compressed, _ := NewDeflater(0).Deflate(nil, kinds[0].make(1000))
	if _, err := new(Inflater).Inflate(nil, compressed, 1000); err != nil {
		t.Fatal(err)
	}
}

func BenchmarkDeflate(b *testing.B) {
	for _, n := range []int{128, 256, 512, 4096, 65536} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			d := NewDeflater(0)
			src, dst := kinds[0].make(n), make([]byte, 0, n+64)
			var got []byte
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				got, _ = d.Deflate(dst, src)
			}
			b.ReportMetric(float64(len(got))/float64(n), "ratio")
		})
	}
}

// BenchmarkDeflateNoise is a message that is given up.
func BenchmarkDeflateNoise(b *testing.B) {
	d := NewDeflater(0)
	src, dst := noise(4096), make([]byte, 0, 8192)
	b.SetBytes(4096)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := d.Deflate(dst, src); ok {
			b.Fatal("compressed")
		}
	}
}

func BenchmarkInflate(b *testing.B) {
	for _, n := range []int{16, 128, 512, 4096, 65536} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var f Inflater
			src, dst := compressByStd(b, kinds[0].make(n), 6), make([]byte, 0, n)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				if got, err := f.Inflate(dst, src, n); err != nil || len(got) != n {
					b.Fatal(len(got), err)
				}
			}
		})
	}
}

// BenchmarkInflateHostile is 64 KiB of what costs most and gives nothing: code tables, each for a block without a
// byte. It is given up when it has cost far more than it gave, and what it costs until then is measured.
func BenchmarkInflateHostile(b *testing.B) {
	for _, c := range []struct {
		name  string
		block func(*bitWriter)
	}{
		{"many tables", func(w *bitWriter) { w.emptyDynamicBlock(1) }},
		{"large tables", (*bitWriter).largeTables},
	} {
		b.Run(c.name, func(b *testing.B) {
			var f Inflater
			var w bitWriter
			for len(w.b) < 65500 {
				c.block(&w)
			}
			w.storedHeader()
			b.SetBytes(int64(len(w.b)))
			b.ReportAllocs()
			for b.Loop() {
				if got, err := f.Inflate(nil, w.b, 1<<16); err != ErrCorrupt || len(got) != 0 {
					b.Fatal(len(got), err)
				}
			}
		})
	}
}

// bitWriter writes DEFLATE by hand, least bit first (RFC 1951 section 3.1.1).
type bitWriter struct {
	b       []byte
	pending uint64
	n       uint
}

func (w *bitWriter) bits(v uint64, n uint) {
	w.pending |= v << w.n
	for w.n += n; w.n >= 8; w.n -= 8 {
		w.b = append(w.b, byte(w.pending))
		w.pending >>= 8
	}
}

// emptyDynamicBlock is the shortest block with tables of its own: one code for its end, and one distance, the last of
// so many.
func (w *bitWriter) emptyDynamicBlock(distances uint64) {
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
func (w *bitWriter) largeTables() {
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

// storedHeader is what a flush ends with, up to the bytes that tail is.
func (w *bitWriter) storedHeader() {
	w.bits(0, 3)
	w.bits(0, (8-w.n)%8)
}
