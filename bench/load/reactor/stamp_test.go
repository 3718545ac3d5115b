package reactor

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestStamp(t *testing.T) {
	for _, s := range []stamp{
		{},
		{1, 2, 3, 4},
		{0xffffffff, 0xffffffff, 0xffffffff, math.MaxInt64},
		{0x9a0f1b2c, 0xdeadbeef, 0x00c0ffee, 0x0123456789abcdef},
		{run: 1, due: -1}, // no clock shows it, but it is kept
	} {
		var p [stampSize]byte
		s.put(&p)
		if got := stampOf(&p); got != s {
			t.Errorf("%+v came back as %+v from %q", s, got, p)
		}
		want := fmt.Sprintf("roost-at%08x%08x%08x%016x", s.run, s.sender, s.sequence, uint64(s.due))
		if string(p[:]) != want {
			t.Errorf("%+v is %q, want %q", s, p, want)
		}
		if runWord(&p) != wordOf(s.run) {
			t.Errorf("%+v: the run's word differs", s)
		}
		if strings.ContainsAny(string(p[:]), "\"\\<>&\u2028") {
			t.Errorf("%q has characters that JSON may escape", p)
		}
	}
	for range 1000 {
		v := rand.Uint32()
		var p [8]byte
		if putHex(p[:], v); string(p[:]) != fmt.Sprintf("%08x", v) || hex(p[:]) != v {
			t.Fatalf("%08x is written %q and read %08x", v, p, hex(p[:]))
		}
	}
}

func TestFindStamp(t *testing.T) {
	var raw [stampSize]byte
	stamp{1, 2, 3, 4}.put(&raw)
	s := string(raw[:])
	for _, tc := range []struct {
		name, message string
		hint, want    int
	}{
		{"alone", s, 0, 0},
		{"padded", s + "xxxx", 0, 0},
		{"in JSON, first time", `{"data":"` + s + `"}`, 0, 9},
		{"in JSON, where it was", `{"data":"` + s + `"}`, 9, 9},
		{"moved since", `{"offset":10,"data":"` + s + `"}`, 9, 21},
		{"hint beyond the end", s, 1000, 0},
		{"hint close to the end", "ab" + s, 3, 2},
		{"none", strings.Repeat("x", 100), 0, -1},
		{"too short", s[:stampSize-1], 0, -1},
		{"marker at the end", strings.Repeat("x", 60) + "roost-at", 0, -1},
		{"empty", "", 0, -1},
	} {
		if got := findStamp([]byte(tc.message), tc.hint); got != tc.want {
			t.Errorf("%s: found at %d, want %d", tc.name, got, tc.want)
		}
	}
}

func FuzzFindStamp(f *testing.F) {
	var raw [stampSize]byte
	stamp{1, 2, 3, 4}.put(&raw)
	f.Add([]byte("abc"), 3)
	f.Add(append([]byte("x"), raw[:]...), 1)
	f.Fuzz(func(t *testing.T, p []byte, hint int) {
		if hint < 0 || hint > 1<<30 {
			return
		}
		at := findStamp(p, hint)
		if at < 0 {
			if i := bytes.Index(p, marker); i >= 0 && i+stampSize <= len(p) {
				t.Fatalf("a stamp at %d was not found", i)
			}
			return
		}
		_ = stampOf((*[stampSize]byte)(p[at:])) // whatever the digits are
		if !bytes.HasPrefix(p[at:], marker) {
			t.Fatalf("what is at %d is no stamp", at)
		}
	})
}
