package enginetest

import (
	"bytes"
	"testing"

	"github.com/gobwas/ws"
)

// TestAppendFrame reads back with gobwas/ws what AppendFrame wrote.
func TestAppendFrame(t *testing.T) {
	for _, size := range []int{0, 1, 125, 126, 0xffff, 0x10000} {
		for _, masked := range []bool{true, false} {
			payload := bytes.Repeat([]byte{0xa5}, size)
			wire := AppendFrame(nil, Frame{Fin: size%2 == 0, Rsv: 5, Op: ws.OpBinary, Payload: payload}, masked)
			h, err := ws.ReadHeader(bytes.NewReader(wire))
			if err != nil || h.Fin != (size%2 == 0) || h.Rsv != 5 || h.OpCode != ws.OpBinary || h.Masked != masked || h.Length != int64(size) {
				t.Fatalf("%d bytes: header %+v, error %v", size, h, err)
			}
			got := bytes.Clone(wire[len(wire)-size:])
			if masked {
				ws.Cipher(got, h.Mask, 0)
			}
			if !bytes.Equal(got, payload) {
				t.Errorf("%d bytes: payload differs", size)
			}
		}
	}
}

// receiveOne is what a swarm does for each small message.
func receiveOne(wire []byte) int {
	f, n, err := parseFrame(wire)
	if err != nil {
		return 0
	}
	if _, message, whole, err := new(sequence).add(f); err != nil || !whole || len(message) != len(f.Payload) {
		return 0
	}
	return n
}

func TestReceiveAllocatesNothing(t *testing.T) {
	wire := AppendFrame(nil, Frame{Fin: true, Op: ws.OpText, Payload: bytes.Repeat([]byte("x"), 125)}, false)
	if n := testing.AllocsPerRun(100, func() {
		if receiveOne(wire) != len(wire) {
			t.Fatal("not received")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkReceive is the swarm's own share of receiving; the kernel's is about a hundred times as much, so
// it says little about how fast a swarm is.
func BenchmarkReceive(b *testing.B) {
	wire := AppendFrame(nil, Frame{Fin: true, Op: ws.OpText, Payload: bytes.Repeat([]byte("x"), 125)}, false)
	b.ReportAllocs()
	for b.Loop() {
		receiveOne(wire)
	}
}
