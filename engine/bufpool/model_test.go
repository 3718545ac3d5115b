// The pool against a list of what is handed out: no two owners ever share a byte, and the counts are right.

package bufpool

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

// loan is a buffer that the model holds, filled to its capacity with a mark of its own.
type loan struct {
	buf  []byte
	mark byte
}

func (l *loan) fill() {
	l.buf = l.buf[:cap(l.buf)]
	l.buf[0] = l.mark
	for done := 1; done < len(l.buf); done *= 2 {
		copy(l.buf[done:], l.buf[:done])
	}
}

func (l *loan) intact(n int) bool {
	return bytes.Count(l.buf[:n], []byte{l.mark}) == n
}

func TestModel(t *testing.T) {
	sizes := rapid.OneOf(rapid.IntRange(0, 600), rapid.IntRange(0, 160<<10))
	rapid.Check(t, func(t *rapid.T) {
		maxFree := rapid.IntRange(0, 100_000).Draw(t, "maxFree")
		p := New(maxFree)
		var loans []*loan
		marks := byte(0)
		t.Repeat(map[string]func(*rapid.T){
			"get": func(t *rapid.T) {
				n := sizes.Draw(t, "n")
				marks++
				l := &loan{buf: p.Get(n), mark: marks}
				if len(l.buf) != 0 || cap(l.buf) < n {
					t.Fatalf("Get(%d): len %d cap %d", n, len(l.buf), cap(l.buf))
				}
				l.fill()
				loans = append(loans, l)
			},
			"put": func(t *rapid.T) {
				if len(loans) == 0 {
					t.Skip("nothing handed out")
				}
				i := rapid.IntRange(0, len(loans)-1).Draw(t, "loan")
				p.Put(loans[i].buf)
				loans = append(loans[:i], loans[i+1:]...)
			},
			"grow": func(t *rapid.T) {
				if len(loans) == 0 {
					t.Skip("nothing handed out")
				}
				l := loans[rapid.IntRange(0, len(loans)-1).Draw(t, "loan")]
				used := rapid.IntRange(0, cap(l.buf)).Draw(t, "used")
				n := sizes.Draw(t, "n")
				l.buf = p.Grow(l.buf[:used], n)
				if len(l.buf) != used || cap(l.buf) < used+n || !l.intact(used) {
					t.Fatalf("Grow(%d bytes, %d): len %d cap %d, or other contents", used, n, len(l.buf), cap(l.buf))
				}
				l.fill()
			},
			"trim": func(*rapid.T) { p.Trim() },
			"": func(t *rapid.T) {
				check(t, p, loans, maxFree)
			},
		})
	})
}

func check(t *rapid.T, p *Pool, loans []*loan, maxFree int) {
	var inUse [ClassCount]int
	inUseBytes := int64(0)
	for _, l := range loans {
		if !l.intact(len(l.buf)) {
			t.Fatalf("someone else wrote into a buffer of %d bytes", cap(l.buf))
		}
		inUse[classOf(cap(l.buf))]++
		inUseBytes += int64(cap(l.buf))
	}
	for c, class := range p.Classes() {
		if class.InUse != inUse[c] {
			t.Fatalf("class %s: %d in use, want %d", class.Label, class.InUse, inUse[c])
		}
	}
	free := 0
	for _, stack := range p.free {
		for _, b := range stack {
			free += cap(b)
		}
	}
	if p.InUse() != len(loans) || p.InUseBytes() != inUseBytes || p.FreeBytes() != free || free > maxFree {
		t.Fatalf("in use %d (%d bytes), want %d (%d); free %d, want %d of at most %d",
			p.InUse(), p.InUseBytes(), len(loans), inUseBytes, p.FreeBytes(), free, maxFree)
	}
}
