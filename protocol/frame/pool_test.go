package frame

// The pool and the feeding loop which the tests share.

import (
	"fmt"
	"testing"

	"github.com/gobwas/ws"
)

// testPool is a Buffers that hands out exactly what is asked for, knows each buffer that is out, and clears what
// comes back, so that a payload used too long shows.
type testPool struct {
	tb   testing.TB
	out  map[*byte]int // capacity of each buffer that is out
	held int           // sum of them
	peak int
	gets int
}

func newTestPool(tb testing.TB) *testPool { return &testPool{tb: tb, out: map[*byte]int{}} }

func (p *testPool) Get(n int) []byte {
	if n <= 0 {
		p.tb.Fatalf("Get(%d)", n)
	}
	b := make([]byte, n)
	p.out[&b[0]] = n
	p.held += n
	p.peak = max(p.peak, p.held)
	p.gets++
	return b // not empty, so that relying on the length shows
}

func (p *testPool) Put(b []byte) {
	b = b[:cap(b)]
	if len(b) == 0 || p.out[&b[0]] != len(b) {
		p.tb.Fatalf("Put of %d bytes that are not out", len(b))
	}
	delete(p.out, &b[0])
	p.held -= len(b)
	clear(b)
}

func (p *testPool) Grow(b []byte, n int) []byte {
	if len(b)+n <= cap(b) {
		p.tb.Fatalf("Grow(%d) of %d bytes with room for %d", n, len(b), cap(b))
	}
	content := string(b)
	p.Put(b) // first, so that peak does not count both
	grown := p.Get(len(b) + n)
	return grown[:copy(grown, content)]
}

// empty fails the test unless every buffer has come back.
func (p *testPool) empty() {
	p.tb.Helper()
	if len(p.out) != 0 || p.held != 0 {
		p.tb.Fatalf("%d buffers (%d bytes) not given back", len(p.out), p.held)
	}
}

// seen is an Event in a form that can be kept and compared.
type seen struct {
	kind       EventKind
	op         ws.OpCode
	compressed bool
	payload    string
	code       ws.StatusCode
	reason     string
}

func (s seen) String() string {
	payload := s.payload
	if len(payload) > 40 {
		payload = payload[:40] + "..."
	}
	return fmt.Sprintf("{kind %d op %d rsv1 %v %d bytes %q close %d %q}",
		s.kind, s.op, s.compressed, len(s.payload), payload, s.code, s.reason)
}

// outcome is all that became of a stream.
type outcome struct {
	events []seen
	err    error
	used   int // bytes fed up to and with the piece that brought the error, else all
	idle   bool
	held   int // pool bytes held at the end, before Release
	peak   int // most pool bytes ever held
}

// feed runs stream through an Assembler in pieces of the lengths that cut returns and releases it. The bytes are
// copied, since Next writes to them; each piece is cleared once it is used up, as a loop's read buffer would be.
func feed(tb testing.TB, stream []byte, lim *Limits, cut func(left int) int) outcome {
	tb.Helper()
	var a Assembler
	var o outcome
	pool := newTestPool(tb)
	scratch := make([]byte, len(stream))
	for rest := stream; len(rest) > 0 && o.err == nil; {
		n := min(max(cut(len(rest)), 1), len(rest))
		piece := scratch[:n:n]
		copy(piece, rest)
		rest = rest[n:]
		o.used += n
		for p := piece; ; {
			ev, left, err := a.Next(p, lim, pool)
			if err != nil {
				if ev.Kind != None || left != nil {
					tb.Fatalf("event %v and %d bytes beside error %v", ev, len(left), err)
				}
				o.err = err
				break
			}
			if ev.Kind == None {
				if len(left) != 0 {
					tb.Fatalf("%d bytes left without an event", len(left))
				}
				break
			}
			if len(ev.Payload) != cap(ev.Payload) {
				tb.Fatal("payload can be appended to over what is not its own")
			}
			o.events = append(o.events, seen{ev.Kind, ev.Op, ev.Compressed, string(ev.Payload), ev.CloseCode, string(ev.CloseReason)})
			p = left
		}
		clear(piece) // nobody may look at it any more
	}
	o.idle, o.held = a.Idle(), pool.held
	if o.err == nil && o.idle && o.held != 0 {
		tb.Fatalf("idle, and yet %d bytes held", o.held)
	}
	a.Release(pool)
	pool.empty()
	if !a.Idle() {
		tb.Fatal("not idle after Release")
	}
	o.peak = pool.peak
	return o
}

// whole and bytewise are the two extreme ways to cut a stream; chop cuts pieces of n bytes.
func whole(left int) int { return left }

func bytewise(int) int { return 1 }

func chop(n int) func(int) int { return func(int) int { return n } }
