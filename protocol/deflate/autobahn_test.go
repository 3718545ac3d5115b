package deflate

// Groups 12 and 13 of the Autobahn suite, made anew: a client of gobwas/ws and the standard library's DEFLATE sends
// messages to this package (behind package frame) and gets them back. Group 12 is sizes and fragments of five kinds
// of data, group 13 is the offers a client makes.

import (
	"bytes"
	"fmt"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsflate"

	"github.com/roost-ws/roost/protocol/frame"
)

// sizes are the suite's: a message's length and, if not 0, the length of the frames its compressed form is sent in.
// There are fewer messages of each than the suite's 1000.
var sizes = []struct{ n, fragment, messages int }{
	{16, 0, 20}, {64, 0, 20}, {256, 0, 10}, {1024, 0, 5}, {4096, 0, 3}, {8192, 0, 2}, {16384, 0, 1}, {32768, 0, 1}, {65536, 0, 1}, {131072, 0, 1},
	{8192, 256, 2}, {16384, 256, 1}, {32768, 256, 1}, {65536, 256, 1}, {131072, 256, 1}, {131072, 1024, 1}, {131072, 4096, 1}, {131072, 32768, 1},
}

func TestAutobahn12(t *testing.T) {
	const offer = "permessage-deflate; client_no_context_takeover; client_max_window_bits"
	loop := &loop{out: NewDeflater(0)}
	for i, kind := range kinds {
		all := kind.make(1 << 17)
		for j, size := range sizes {
			if testing.Short() && size.n > 1<<15 {
				continue
			}
			t.Run(fmt.Sprintf("12.%d.%d %s of %d in %d", i+1, j+1, kind.name, size.n, size.fragment), func(t *testing.T) {
				c := newClient(t, loop, offer)
				if !c.deflate {
					t.Fatal("not agreed on")
				}
				for k := range size.messages {
					from := k * (len(all) - size.n) / size.messages
					message := all[from : from+size.n]
					if kind.text {
						message = bytes.ToValidUTF8(message, []byte("?"))
					}
					c.echo(t, kind.text, message, size.fragment)
				}
			})
		}
	}
}

func TestAutobahn13(t *testing.T) {
	const (
		base   = "permessage-deflate; client_no_context_takeover; client_max_window_bits"
		fresh  = "; server_no_context_takeover"
		window = "; server_max_window_bits="
	)
	loop := &loop{out: NewDeflater(0)}
	for i, c := range []struct {
		name, offers string
		agreed       bool
		window       int
	}{
		{"nothing asked for", base, true, 0},
		{"no context", base + fresh, true, 0},
		{"window of 9", base + window + "9", false, 0},
		{"window of 15", base + window + "15", true, 15},
		{"no context, window of 9", base + fresh + window + "9", false, 0},
		{"no context, window of 15", base + fresh + window + "15", true, 15},
		{"one after the other", base + fresh + window + "9, " + base + fresh + ", " + base, true, 0},
		// The rest are not in the suite.
		{"client's window of 9", "permessage-deflate; client_max_window_bits=9", true, 0},
		{"nothing said of contexts", "permessage-deflate", true, 0},
		{"window of 8, then of 15", base + window + "8, " + base + window + "15", true, 15},
	} {
		for j, size := range sizes {
			if i > 0 && size.n > 1<<13 || testing.Short() && size.n > 1<<15 {
				continue
			}
			t.Run(fmt.Sprintf("13.%d.%d %s, %d in %d", i+1, j+1, c.name, size.n, size.fragment), func(t *testing.T) {
				client := newClient(t, loop, c.offers)
				if client.deflate != c.agreed || int(client.agreed.ServerMaxWindowBits) != c.window {
					t.Fatalf("agreed %v: %+v", client.deflate, client.agreed)
				}
				for range 2 {
					client.echo(t, true, kinds[0].make(size.n), size.fragment)
				}
			})
		}
	}
}

// loop is what all connections share at this end.
type loop struct {
	assembler frame.Assembler
	in        Inflater
	out       *Deflater
	inflated  []byte
}

// client is the far end of a connection, and all that is kept for it at this one: the limits.
type client struct {
	deflate bool
	agreed  wsflate.Parameters
	limits  frame.Limits
	loop    *loop
}

// newClient negotiates, and reads the answer as a client does.
func newClient(t *testing.T, loop *loop, offers string) *client {
	c := &client{loop: loop}
	answer, verdict := Negotiate(nil, []byte(offers))
	c.limits = frame.Limits{MessageBytes: 1 << 17, Fragments: 1024, Deflate: verdict == Accepted}
	if verdict != Accepted {
		return c
	}
	c.deflate = true
	options, ok := httphead.ParseOptions(answer, nil)
	if !ok || len(options) != 1 || c.agreed.Parse(options[0]) != nil || !c.agreed.ClientNoContextTakeover || !c.agreed.ServerNoContextTakeover {
		t.Fatalf("answer %q", answer)
	}
	return c
}

// echo sends a message, has it sent back, and compares.
func (c *client) echo(t *testing.T, text bool, message []byte, fragment int) {
	t.Helper()
	op := ws.OpBinary
	if text {
		op = ws.OpText
	}
	answer := bytes.NewReader(c.serve(t, c.send(t, op, message, fragment)))
	header, err := ws.ReadHeader(answer)
	if err != nil || header.OpCode != op || !header.Fin || header.Masked || header.Length != int64(answer.Len()) {
		t.Fatalf("answer %+v, %v, %d bytes", header, err, answer.Len())
	}
	got := make([]byte, answer.Len())
	answer.Read(got)
	if header.Rsv != 0 {
		plainHeader, compressed, err := wsflate.UnsetBit(header)
		plain, ok := inflateByStd(got, len(message))
		if err != nil || plainHeader.Rsv != 0 || !compressed || !c.deflate || !ok {
			t.Fatalf("compressed answer %+v, %v, message %v", header, err, ok)
		}
		got = plain
	}
	if !bytes.Equal(got, message) {
		t.Fatalf("%d bytes came back for %d", len(got), len(message))
	}
}

// send makes the client's frames: as browsers do, it compresses everything if that was agreed on.
func (c *client) send(t *testing.T, op ws.OpCode, message []byte, fragment int) []byte {
	var stream bytes.Buffer
	payload, rsv := message, byte(0)
	if c.deflate {
		payload, rsv = compressByStd(t, message, 1), ws.Rsv(true, false, false)
	}
	if fragment == 0 {
		fragment = len(payload)
	}
	for first := true; ; first = false {
		n := min(fragment, len(payload))
		f := ws.NewFrame(op, n == len(payload), bytes.Clone(payload[:n]))
		f.Header.Rsv = rsv
		if !first {
			f.Header.OpCode, f.Header.Rsv = ws.OpContinuation, 0
		}
		if err := ws.WriteFrame(&stream, ws.MaskFrameInPlace(f)); err != nil {
			t.Fatal(err)
		}
		if payload = payload[n:]; len(payload) == 0 {
			return stream.Bytes()
		}
	}
}

// serve is what a loop does: frames to message, inflated and checked, and back.
func (c *client) serve(t *testing.T, stream []byte) (answer []byte) {
	for {
		ev, rest, err := c.loop.assembler.Next(stream, &c.limits, heap{})
		if err != nil {
			t.Fatal(err)
		}
		if ev.Kind == frame.None {
			return answer
		}
		stream = rest
		message := ev.Payload
		if ev.Compressed {
			if message, err = c.loop.in.Inflate(c.loop.inflated[:0], ev.Payload, c.limits.MessageBytes); err != nil {
				t.Fatal(err)
			}
			c.loop.inflated = message
		}
		if ev.Kind != frame.Message || ev.Compressed != c.deflate || ev.Op == ws.OpText && !utf8.Valid(message) {
			t.Fatalf("event %d, compressed %v, valid text %v", ev.Kind, ev.Compressed, utf8.Valid(message))
		}
		compressed, ok := c.loop.out.Deflate(nil, message)
		if c.deflate && ok {
			answer = frame.AppendCompressed(answer, ev.Op, compressed)
		} else {
			answer = frame.Append(answer, ev.Op, message)
		}
	}
}

// heap is a pool that keeps nothing.
type heap struct{}

func (heap) Get(n int) []byte            { return make([]byte, 0, n) }
func (heap) Put([]byte)                  {}
func (heap) Grow(b []byte, n int) []byte { return append(make([]byte, 0, len(b)+n), b...) }
