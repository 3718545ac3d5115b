// Named cases for the pool: class borders, what is kept, what is counted, and that nothing allocates.

package bufpool

import (
	"bytes"
	"testing"
)

func TestClassBorders(t *testing.T) {
	cases := []struct {
		name    string
		n       int
		wantCap int
		label   string
	}{
		{"negative", -1, 64, "64B"},
		{"nothing", 0, 64, "64B"},
		{"one", 1, 64, "64B"},
		{"smallest class, full", 64, 64, "64B"},
		{"one more", 65, 128, "128B"},
		{"below a border", 4095, 4096, "4KiB"},
		{"at a border", 4096, 4096, "4KiB"},
		{"above a border", 4097, 8192, "8KiB"},
		{"largest class, full", 128 << 10, 128 << 10, "128KiB"},
		{"large", 128<<10 + 1, 136 << 10, "large"},
		{"large, whole pages", 256 << 10, 256 << 10, "large"},
		{"large, one more", 256<<10 + 1, 264 << 10, "large"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := New(1 << 20)
			b := p.Get(c.n)
			if len(b) != 0 || cap(b) != c.wantCap {
				t.Fatalf("Get(%d): len %d cap %d, want 0 and %d", c.n, len(b), cap(b), c.wantCap)
			}
			for _, class := range p.Classes() {
				want := 0
				if class.Label == c.label {
					want = 1
				}
				if class.InUse != want {
					t.Errorf("class %s: %d in use, want %d", class.Label, class.InUse, want)
				}
			}
			if p.InUse() != 1 || p.InUseBytes() != int64(c.wantCap) {
				t.Errorf("in use %d, %d bytes", p.InUse(), p.InUseBytes())
			}
			p.Put(b)
			if p.InUse() != 0 || p.InUseBytes() != 0 {
				t.Errorf("in use %d, %d bytes after Put", p.InUse(), p.InUseBytes())
			}
			wantFree := c.wantCap
			if c.label == "large" {
				wantFree = 0
			}
			if p.FreeBytes() != wantFree {
				t.Errorf("%d bytes free after Put, want %d", p.FreeBytes(), wantFree)
			}
		})
	}
}

func TestBufferServesAgain(t *testing.T) {
	p := New(1 << 20)
	first := append(p.Get(100), "old"...)
	p.Put(first)
	again := p.Get(128)
	if &again[:1][0] != &first[0] || len(again) != 0 {
		t.Fatal("the buffer put back was not the one handed out next, at length 0")
	}
	if p.FreeBytes() != 0 {
		t.Fatalf("%d bytes free, want none", p.FreeBytes())
	}
	if p.free[classFor(128)][:1][0] != nil {
		t.Fatal("the pool still points to a buffer that is handed out")
	}
	if other := p.Get(64); cap(other) != 64 {
		t.Fatalf("cap %d for 64 bytes", cap(other))
	}
}

func TestMaxFree(t *testing.T) {
	p := New(256)
	var out [][]byte
	for _, n := range []int{128, 128, 64, 64} {
		out = append(out, p.Get(n))
	}
	// 128 and 128 fit exactly.
	for i, want := range []int{128, 256, 256, 256} {
		p.Put(out[i])
		if p.FreeBytes() != want {
			t.Fatalf("%d bytes free after %d puts, want %d", p.FreeBytes(), i+1, want)
		}
	}
	if p.InUse() != 0 {
		t.Fatalf("%d in use", p.InUse())
	}
	p.Trim()
	if p.FreeBytes() != 0 || p.reuse(classFor(128)) != nil {
		t.Fatal("Trim left something")
	}

	none := New(-1)
	none.Put(none.Get(64))
	if none.FreeBytes() != 0 || none.InUse() != 0 {
		t.Fatalf("a pool that keeps nothing has %d bytes free", none.FreeBytes())
	}
}

func TestForeignSlicesAreIgnored(t *testing.T) {
	p := New(1 << 20)
	b, big := p.Get(4096), p.Get(256<<10)
	for _, foreign := range [][]byte{
		nil, {}, make([]byte, 63), make([]byte, 100), make([]byte, 32), make([]byte, 128<<10+1), b[1:1], big[1:1],
	} {
		p.Put(foreign)
		if p.FreeBytes() != 0 || p.InUse() != 2 || p.InUseBytes() != 4096+256<<10 {
			t.Fatalf("Put of cap %d: %d bytes free, %d in use", cap(foreign), p.FreeBytes(), p.InUse())
		}
	}
}

func TestForeignSliceOfAnUnusedClass(t *testing.T) {
	if checked {
		t.Skip("panics under loopcheck")
	}
	p := New(1 << 20)
	p.Put(make([]byte, 64))
	p.Put(make([]byte, 256<<10))
	if p.FreeBytes() != 0 || p.InUse() != 0 || p.InUseBytes() != 0 {
		t.Fatalf("%d bytes free, %d in use", p.FreeBytes(), p.InUse())
	}
}

func TestGrow(t *testing.T) {
	cases := []struct {
		name    string
		have    int // capacity asked for at first; 0 = start from nil
		text    string
		n       int
		moves   bool
		wantCap int
	}{
		{"from nil", 0, "", 10, true, 64},
		{"from nil, nothing", 0, "", 0, false, 0},
		{"has the room", 64, "abc", 61, false, 64},
		{"one too many", 64, "abc", 62, true, 128},
		{"several classes", 64, "abc", 5000, true, 8192},
		{"nothing", 64, "abc", 0, false, 64},
		{"negative", 64, "abc", -5, false, 64},
		{"into large", 128 << 10, "abc", 128 << 10, true, 160 << 10},
		{"large by a little, takes a quarter", 256 << 10, "abc", 256 << 10, true, 320 << 10},
		{"large by much", 256 << 10, "abc", 1 << 20, true, 1<<20 + page},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := New(1 << 20)
			var b []byte
			if c.have > 0 {
				b = append(p.Get(c.have), c.text...)
			}
			grown := p.Grow(b, c.n)
			if string(grown) != c.text || cap(grown) != c.wantCap {
				t.Fatalf("contents %q, cap %d, want %q and %d", grown, cap(grown), c.text, c.wantCap)
			}
			if cap(b) > 0 && c.moves == (&grown[:1][0] == &b[:1][0]) {
				t.Fatalf("moved: %v, want %v", !c.moves, c.moves)
			}
			if p.InUseBytes() != int64(c.wantCap) {
				t.Fatalf("%d bytes in use, want %d", p.InUseBytes(), c.wantCap)
			}
		})
	}
}

// Appending in small steps far into the large class must not copy everything for each step.
func TestGrowIsAmortised(t *testing.T) {
	p := New(1 << 20)
	var b []byte
	moves, capacity := 0, 0
	for range 2 << 20 / 16 {
		b = append(p.Grow(b, 16), "0123456789abcdef"...)
		if cap(b) != capacity {
			capacity = cap(b)
			moves++
		}
	}
	if moves > 30 {
		t.Fatalf("%d moves on the way to 2 MiB", moves)
	}
	if !bytes.Equal(b, bytes.Repeat([]byte("0123456789abcdef"), 2<<20/16)) || p.InUse() != 1 {
		t.Fatalf("contents damaged, or %d in use", p.InUse())
	}
}

func TestAllocations(t *testing.T) {
	if checked {
		t.Skip("the ledger allocates")
	}
	p := New(1 << 20)
	round := func() {
		a, b := p.Get(100), p.Get(20_000)
		b = p.Grow(append(b, "some bytes"...), 60_000)
		_ = p.Classes()
		p.Put(a)
		p.Put(b)
	}
	round()
	if allocs := testing.AllocsPerRun(1000, round); allocs != 0 {
		t.Fatalf("%v allocations a round, want none", allocs)
	}
}

// BenchmarkGetPut is too good where the cache counts: it is always the same buffer.
func BenchmarkGetPut(b *testing.B) {
	p := New(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		p.Put(p.Get(1500))
	}
}
