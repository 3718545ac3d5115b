package deflate

import (
	"bytes"
	"fmt"
	"testing"
)

func TestDeflate(t *testing.T) {
	d := NewDeflater(0)
	var f Inflater
	for _, kind := range kinds {
		for _, n := range []int{1, 16, 64, 255, 256, 512, 1000, 4096, 32767, 32768, 65535, 65536, 131072} {
			src := kind.make(n)
			before := bytes.Clone(src)
			got, ok := d.Deflate([]byte("prefix"), src)
			if !bytes.HasPrefix(got, []byte("prefix")) || !bytes.Equal(src, before) {
				t.Fatalf("%s of %d: dst or src was changed", kind.name, n)
			}
			compressed := got[len("prefix"):]
			if !ok {
				if len(compressed) != 0 || kind.name != "noise" && n > 1000 {
					t.Errorf("%s of %d: %d bytes, not compressed", kind.name, n, len(compressed))
				}
				continue
			}
			if len(compressed) >= n || bytes.HasSuffix(compressed, []byte(tail)) {
				t.Errorf("%s of %d: %d bytes, ending in %x", kind.name, n, len(compressed), compressed[max(0, len(compressed)-4):])
			}
			if byStd, ok := inflateByStd(compressed, n); !ok || !bytes.Equal(byStd, src) {
				t.Errorf("%s of %d: compress/flate says %d bytes, %v", kind.name, n, len(byStd), ok)
			}
			if ours, err := f.Inflate(nil, compressed, n); err != nil || !bytes.Equal(ours, src) {
				t.Errorf("%s of %d: %d bytes, %v", kind.name, n, len(ours), err)
			}
		}
	}
}

func TestDeflateDeclines(t *testing.T) {
	long := bytes.Repeat([]byte("a"), 256)
	for _, c := range []struct {
		name      string
		threshold int
		src       []byte
		want      bool
	}{
		{"empty", 0, nil, false},
		{"one byte", 0, []byte("a"), false},
		{"at the threshold", 256, long, true},
		{"below the threshold", 257, long, false},
		{"noise", 0, noise(5000), false},
		{"much noise", 0, noise(200_000), false},
		{"noise, then silence", 0, append(noise(5000), make([]byte, 5000)...), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := NewDeflater(c.threshold)
			dst := append(make([]byte, 0, 1<<18), "prefix"...)
			got, ok := d.Deflate(dst, c.src)
			if ok != c.want || !ok && string(got) != "prefix" {
				t.Errorf("%d bytes, %v", len(got), ok)
			}
			// A message that was given up must not be in the way of the next one.
			got, ok = d.Deflate(nil, bytes.Repeat(long, 4))
			if plain, whole := inflateByStd(got, 1024); !ok || !whole || !bytes.Equal(plain, bytes.Repeat(long, 4)) {
				t.Errorf("the next message: %d bytes, %v", len(got), ok)
			}
		})
	}
}

// TestDeflateKeepsNoState wants the same bytes for the same message, whatever went before: the window is empty each
// time, which is what lets one frame serve all members of a room.
func TestDeflateKeepsNoState(t *testing.T) {
	message := kinds[0].make(2000)
	want, _ := NewDeflater(0).Deflate(nil, message)
	d := NewDeflater(0)
	for i, before := range [][]byte{nil, message, noise(70_000), kinds[2].make(100_000), message[:500]} {
		d.Deflate(nil, before)
		if got, ok := d.Deflate(nil, message); !ok || !bytes.Equal(got, want) {
			t.Errorf("behind message %d: %d bytes, %v; want %d", i, len(got), ok, len(want))
		}
	}
	if d.out.dst != nil {
		t.Error("keeps the last destination")
	}
}

// TestRatio holds the level to what it was chosen for.
func TestRatio(t *testing.T) {
	d := NewDeflater(0)
	for _, c := range []struct {
		n     int
		ratio float64
	}{{256, 0.9}, {512, 0.75}, {4096, 0.40}, {65536, 0.32}} {
		t.Run(fmt.Sprint(c.n), func(t *testing.T) {
			got, ok := d.Deflate(nil, kinds[0].make(c.n))
			if ratio := float64(len(got)) / float64(c.n); !ok || ratio > c.ratio {
				t.Errorf("%.3f, more than %v", ratio, c.ratio)
			}
			t.Logf("%d of %d", len(got), c.n)
		})
	}
}
