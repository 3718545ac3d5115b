package frame

// Masking against the RFC's formula.

import (
	"bytes"
	"testing"
)

// maskSlowly is the RFC's formula.
func maskSlowly(p []byte, key [4]byte, offset int) {
	for i := range p {
		p[i] ^= key[(offset+i)%4]
	}
}

// TestMask compares with the formula for each alignment in memory, each offset in the mask and many lengths.
func TestMask(t *testing.T) {
	lengths := []int{254, 255, 256, 257, 258, 259, 260, 271, 272, 273, 511, 512, 513, 1000}
	for n := range 80 {
		lengths = append(lengths, n)
	}
	for _, n := range lengths {
		for align := range 16 {
			for offset := range 4 {
				checkMask(t, []byte(pattern(n + align))[align:], testKey, offset)
			}
		}
	}
	checkMask(t, []byte(pattern(1000)), [4]byte{}, 3)
	checkMask(t, []byte(pattern(1000)), [4]byte{0, 0, 0, 1}, 1)
}

// checkMask masks p in two pieces, the first of offset bytes, and compares.
func checkMask(t *testing.T, p []byte, key [4]byte, offset int) {
	t.Helper()
	offset = min(offset, len(p))
	want := bytes.Clone(p)
	maskSlowly(want, key, 0)
	next := mask(p[:offset], maskKey(key))
	end := mask(p[offset:], next)
	if !bytes.Equal(p, want) {
		t.Fatalf("%d bytes in pieces of %d and %d, key %x: wrong result", len(p), offset, len(p)-offset, key)
	}
	again := make([]byte, 4)
	maskSlowly(again, key, len(p))
	if got := make([]byte, 4); mask(got, end) != end || !bytes.Equal(got, again) {
		t.Fatalf("%d bytes: the key that follows is wrong", len(p))
	}
}

func FuzzMask(f *testing.F) {
	f.Add([]byte("Hello"), uint32(0x3d21fa37), uint16(2))
	f.Add([]byte(pattern(600)), uint32(0xff), uint16(257))
	f.Add([]byte(pattern(300)), uint32(0), uint16(1))
	f.Fuzz(func(t *testing.T, p []byte, key uint32, split uint16) {
		checkMask(t, bytes.Clone(p), [4]byte{byte(key), byte(key >> 8), byte(key >> 16), byte(key >> 24)}, int(split))
	})
}
