package frame

// Allocation tests and benchmarks of the way in and the way out. The benchmarks would be wrong about caches: one
// connection's bytes and state stay in the first level here, while a loop with many connections fetches them.

import (
	"testing"

	"github.com/gobwas/ws"
)

// recycler is the smallest pool: one free buffer.
type recycler struct{ free []byte }

func (r *recycler) Get(n int) []byte {
	b := r.free
	r.free = nil
	if cap(b) < n {
		b = make([]byte, 0, max(n, 1<<16))
	}
	return b
}

func (r *recycler) Put(b []byte) { r.free = b }

func (r *recycler) Grow(b []byte, n int) []byte {
	return append(make([]byte, 0, len(b)+n), b...)
}

var benchLimits = &Limits{MessageBytes: 1 << 16, Fragments: 64}

// drain reads all events of p and says how many there were.
func drain(tb testing.TB, a *Assembler, p []byte, bufs Buffers) (n int) {
	for {
		ev, rest, err := a.Next(p, benchLimits, bufs)
		if err != nil {
			tb.Fatal(err)
		}
		if ev.Kind == None {
			return n
		}
		n++
		p = rest
	}
}

func TestAllocations(t *testing.T) {
	var a Assembler
	bufs := &recycler{free: make([]byte, 0, 1<<16)}
	message := AppendMasked(nil, true, 0, ws.OpText, testKey, []byte(pattern(125)))
	large := AppendMasked(nil, true, 0, ws.OpBinary, testKey, []byte(pattern(5000)))
	pingFrame := AppendMasked(nil, true, 0, ws.OpPing, testKey, []byte("ping"))
	closeFrame := AppendMasked(nil, true, 0, ws.OpClose, testKey, []byte("\x03\xe8a reason of more than thirty-two bytes"))
	unmasked := Append(nil, ws.OpText, nil)
	p := make([]byte, 1<<16)
	out := make([]byte, 0, 1<<16)
	cases := []struct {
		name string
		run  func()
	}{
		{"message", func() { drain(t, &a, p[:copy(p, message)], bufs) }},
		{"large message", func() { drain(t, &a, p[:copy(p, large)], bufs) }},
		{"ping", func() { drain(t, &a, p[:copy(p, pingFrame)], bufs) }},
		{"close", func() { drain(t, &a, p[:copy(p, closeFrame)], bufs) }},
		{"message in pieces", func() {
			n := copy(p, message)
			drain(t, &a, p[:50], bufs)
			drain(t, &a, p[50:n], bufs)
		}},
		{"error", func() {
			if _, _, err := a.Next(p[:copy(p, unmasked)], benchLimits, bufs); err != ErrUnmasked {
				t.Fatal(err)
			}
			a.Release(bufs)
		}},
		{"append", func() { out = Append(out[:0], ws.OpText, message) }},
		{"append close", func() { out = AppendClose(out[:0], 1013, "slow consumer") }},
		{"append masked", func() { out = AppendMasked(out[:0], true, 0, ws.OpText, testKey, message) }},
	}
	for _, c := range cases {
		if n := testing.AllocsPerRun(100, c.run); n != 0 {
			t.Errorf("%s: %v allocations", c.name, n)
		}
	}
}

func BenchmarkParseHeader(b *testing.B) {
	for _, c := range []struct {
		name string
		in   []byte
	}{
		{"7-bit", AppendMasked(nil, true, 0, ws.OpText, testKey, make([]byte, 125))},
		{"16-bit", AppendMasked(nil, true, 0, ws.OpText, testKey, make([]byte, 1000))},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, size, err := ParseHeader(c.in, ws.StateServerSide, 1<<16); size == 0 || err != nil {
					b.Fatal(size, err)
				}
			}
		})
	}
}

// benchmarkRead reads stream, in pieces of n bytes, again and again. A zero mask would spare the unmasking, and
// reading unmasks in place, so the stream is copied each time; BenchmarkCopy is that share.
func benchmarkRead(b *testing.B, stream []byte, n, events int) {
	var a Assembler
	bufs := &recycler{}
	p := make([]byte, len(stream))
	b.SetBytes(int64(len(stream)))
	b.ReportAllocs()
	for b.Loop() {
		copy(p, stream)
		got := 0
		for rest := p; len(rest) > 0; {
			piece := rest[:min(n, len(rest))]
			rest = rest[len(piece):]
			got += drain(b, &a, piece, bufs)
		}
		if got != events {
			b.Fatalf("%d events", got)
		}
	}
}

func BenchmarkMessage125(b *testing.B) {
	stream := AppendMasked(nil, true, 0, ws.OpText, testKey, []byte(pattern(125)))
	benchmarkRead(b, stream, len(stream), 1)
}

func BenchmarkMessage125x16(b *testing.B) {
	var stream []byte
	for range 16 {
		stream = AppendMasked(stream, true, 0, ws.OpText, testKey, []byte(pattern(125)))
	}
	benchmarkRead(b, stream, len(stream), 16)
}

func BenchmarkMessage16K(b *testing.B) {
	stream := AppendMasked(nil, true, 0, ws.OpBinary, testKey, []byte(pattern(1<<14)))
	benchmarkRead(b, stream, len(stream), 1)
}

func BenchmarkSplitPayload(b *testing.B) {
	stream := AppendMasked(nil, true, 0, ws.OpText, testKey, []byte(pattern(125)))
	benchmarkRead(b, stream, 66, 1)
}

func BenchmarkCopy(b *testing.B) {
	stream := AppendMasked(nil, true, 0, ws.OpText, testKey, []byte(pattern(125)))
	p := make([]byte, len(stream))
	for b.Loop() {
		copy(p, stream)
	}
}

func BenchmarkMask125(b *testing.B) {
	p := []byte(pattern(125))
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		mask(p, 0x3d21fa37)
	}
}

func BenchmarkAppend125(b *testing.B) {
	payload := []byte(pattern(125))
	out := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		out = Append(out[:0], ws.OpText, payload)
	}
}
