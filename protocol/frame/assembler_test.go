package frame

// What an Assembler holds, for how long, and that it can serve one stream after another.

import (
	"bytes"
	"strings"
	"testing"
	"unsafe"

	"github.com/gobwas/ws"
)

var testKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

func TestAssemblerSize(t *testing.T) {
	if size := unsafe.Sizeof(Assembler{}); size > 96 {
		t.Errorf("an Assembler has %d bytes", size)
	}
}

// TestMemoryFollowsReceivedBytes announces much and sends little.
func TestMemoryFollowsReceivedBytes(t *testing.T) {
	lim := &Limits{MessageBytes: 1 << 20, Fragments: 64}
	message := AppendMasked(nil, true, 0, ws.OpBinary, testKey, make([]byte, 1<<16))
	cases := []struct {
		name   string
		stream []byte
		most   int
	}{
		{"header only", message[:14], 0},
		{"1 byte of 64 KiB", message[:15], 64},
		{"10 bytes of 64 KiB", message[:24], 64},
		{"1000 bytes of 64 KiB", message[:1014], 2000},
		{"40000 bytes of 64 KiB", message[:40014], 1 << 16},
		{"10 bytes of 20", AppendMasked(nil, true, 0, ws.OpBinary, testKey, make([]byte, 20))[:16], 20},
		{"3 bytes of a ping of 4", AppendMasked(nil, true, 0, ws.OpPing, testKey, make([]byte, 4))[:9], 4},
		{"3 bytes of a ping of 125", AppendMasked(nil, true, 0, ws.OpPing, testKey, make([]byte, 125))[:9], 64},
		{"a first fragment of 10 bytes", AppendMasked(nil, false, 0, ws.OpBinary, testKey, make([]byte, 10)), 64},
		{"64 empty fragments", bytes.Join([][]byte{AppendMasked(nil, false, 0, ws.OpBinary, testKey, nil),
			bytes.Repeat(AppendMasked(nil, false, 0, ws.OpContinuation, testKey, nil), 63)}, nil), 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			for name, cut := range map[string]func(int) int{"whole": whole, "bytewise": bytewise, "pieces of 100": chop(100)} {
				got := feed(t, c.stream, lim, cut)
				if got.err != nil || got.idle || len(got.events) != 0 {
					t.Fatalf("%s: %+v", name, got)
				}
				if got.peak > c.most {
					t.Errorf("%s: held %d bytes, want at most %d", name, got.peak, c.most)
				}
			}
		})
	}
}

// TestGrowthIsAmortized counts how often a large message that comes byte by byte moves to a larger buffer.
func TestGrowthIsAmortized(t *testing.T) {
	lim := &Limits{MessageBytes: 1 << 16, Fragments: 64}
	stream := AppendMasked(nil, false, 0, ws.OpBinary, testKey, make([]byte, 1000))
	for range 62 {
		stream = AppendMasked(stream, false, 0, ws.OpContinuation, testKey, make([]byte, 1000))
	}
	var a Assembler
	pool := newTestPool(t)
	for i := range stream {
		if _, _, err := a.Next(stream[i:i+1], lim, pool); err != nil {
			t.Fatal(err)
		}
	}
	if pool.gets > 12 {
		t.Errorf("%d buffers for 62000 bytes", pool.gets)
	}
	a.Release(pool)
	pool.empty()
}

// TestPayloadOnLoan checks when the buffer of an event's payload goes back.
func TestPayloadOnLoan(t *testing.T) {
	lim := &Limits{MessageBytes: 1000, Fragments: 64}
	for _, c := range []struct {
		name string
		op   ws.OpCode
	}{{"message", ws.OpText}, {"ping", ws.OpPing}, {"pong", ws.OpPong}} {
		t.Run(c.name, func(t *testing.T) {
			var a Assembler
			pool := newTestPool(t)
			stream := AppendMasked(nil, true, 0, c.op, testKey, []byte("payload in pieces"))
			for _, piece := range [][]byte{stream[:12], stream[12:]} {
				ev, rest, err := a.Next(piece, lim, pool)
				if err != nil || len(rest) != 0 {
					t.Fatal(rest, err)
				}
				if ev.Kind != None && string(ev.Payload) != "payload in pieces" {
					t.Fatalf("payload %q", ev.Payload)
				}
			}
			if !a.Idle() || len(pool.out) != 1 {
				t.Fatalf("idle %v, %d buffers out", a.Idle(), len(pool.out))
			}
			if ev, _, err := a.Next(nil, lim, pool); ev.Kind != None || err != nil {
				t.Fatal(ev, err)
			}
			pool.empty()
		})
	}
}

// TestPayloadIsNotCopied checks that a whole frame is handed out from the bytes given to Next.
func TestPayloadIsNotCopied(t *testing.T) {
	lim := &Limits{MessageBytes: 1000, Fragments: 64}
	var a Assembler
	pool := newTestPool(t)
	stream := AppendMasked(nil, true, 0, ws.OpText, testKey, []byte("whole"))
	for split := range 7 { // also when only the header came in two pieces
		p := bytes.Clone(stream)
		if _, _, err := a.Next(p[:split:split], lim, pool); err != nil {
			t.Fatal(err)
		}
		ev, _, err := a.Next(p[split:], lim, pool)
		if err != nil || string(ev.Payload) != "whole" || &ev.Payload[0] != &p[6] {
			t.Fatalf("split at %d: %v, %v", split, ev, err)
		}
	}
	if pool.gets != 0 {
		t.Errorf("%d buffers used", pool.gets)
	}
}

// TestReleaseAnywhere ends a stream after each of its bytes and reuses the Assembler.
func TestReleaseAnywhere(t *testing.T) {
	lim := &Limits{MessageBytes: 1000, Fragments: 64}
	stream := AppendMasked(nil, false, 0, ws.OpText, testKey, []byte("first\xe2"))
	stream = AppendMasked(stream, true, 0, ws.OpPing, testKey, []byte("ping"))
	stream = AppendMasked(stream, true, 0, ws.OpContinuation, testKey, []byte("\x82\xac"))
	stream = AppendMasked(stream, true, 0, ws.OpClose, testKey, []byte{0x03, 0xe8})
	var a Assembler
	pool := newTestPool(t)
	for end := range len(stream) + 1 {
		for p := bytes.Clone(stream[:end]); len(p) > 0; p = p[1:] {
			if _, _, err := a.Next(p[:1:1], lim, pool); err != nil {
				t.Fatal(err)
			}
		}
		a.Release(pool)
		pool.empty()
		if !a.Idle() || a.headSize != 0 || a.lent != lentNone || a.message != nil || a.control != nil {
			t.Fatalf("after %d bytes: not as new: %+v", end, a)
		}
		p := AppendMasked(nil, true, 0, ws.OpText, testKey, []byte("next stream"))
		if ev, _, err := a.Next(p, lim, pool); err != nil || string(ev.Payload) != "next stream" {
			t.Fatalf("after %d bytes: %v, %v", end, ev, err)
		}
	}
}

// TestLimitsMayChange lowers the limit under a message that is already above it.
func TestLimitsMayChange(t *testing.T) {
	var a Assembler
	pool := newTestPool(t)
	lim := &Limits{MessageBytes: 100, Fragments: 64}
	p := AppendMasked(nil, false, 0, ws.OpText, testKey, []byte(strings.Repeat("x", 50)))
	if _, _, err := a.Next(p, lim, pool); err != nil {
		t.Fatal(err)
	}
	lim.MessageBytes = 10
	if _, _, err := a.Next(AppendMasked(nil, true, 0, ws.OpContinuation, testKey, nil), lim, pool); err != ErrTooBig {
		t.Errorf("error %v", err)
	}
	a.Release(pool)
	pool.empty()
}

func TestTextPrefix(t *testing.T) {
	for _, s := range sequences {
		for end := range len(s.bytes) + 1 {
			// A prefix is good as long as it lacks the byte that proves it wrong.
			want := s.at < 0 || end <= s.at
			if tail, ok := textPrefix([]byte("abc" + s.bytes[:end])); ok != want || tail > 3 {
				t.Errorf("%s, %d bytes: %d, %v, want %v", s.name, end, tail, ok, want)
			}
		}
	}
}
