package deflate

// Allocation tests, what one of each holds, and benchmarks. The benchmarks would be wrong about caches: the tables of
// one Deflater are larger than the second level, and stay in it here as they may not on a loop with other work.

import (
	"fmt"
	"testing"

	"github.com/roost-ws/roost/protocol/deflate/deflatetest"
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

// BenchmarkInflateSlowly is what the pauses cost.
func BenchmarkInflateSlowly(b *testing.B) {
	for _, n := range []int{4096, 65536} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var f Inflater
			src, dst := compressByStd(b, kinds[0].make(n), 6), make([]byte, 0, n)
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				if got, err := f.InflateSlowly(dst, src, n, func() bool { return true }); err != nil || len(got) != n {
					b.Fatal(len(got), err)
				}
			}
		})
	}
}

// BenchmarkInflateHostile is 64 KiB of what costs most and gives nothing: code tables, each for a block without a
// byte. It is given up when it has cost far more than it gave, and what it costs until then is measured.
func BenchmarkInflateHostile(b *testing.B) {
	for name, src := range map[string][]byte{"many tables": deflatetest.CodeTables(65500), "large tables": deflatetest.LargeCodeTables(65500)} {
		b.Run(name, func(b *testing.B) {
			var f Inflater
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				if got, err := f.Inflate(nil, src, 1<<16); err != ErrCorrupt || len(got) != 0 {
					b.Fatal(len(got), err)
				}
			}
		})
	}
}
