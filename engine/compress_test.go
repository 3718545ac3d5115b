package engine

// permessage-deflate on real sockets: what is negotiated, what comes in, what goes out, and that a broadcast is
// compressed once.

import (
	"bytes"
	"compress/flate"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/engine/ratelimit"
	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/protocol/deflate"
)

// offering is a client that offers permessage-deflate.
func offering(extension string, o enginetest.Options) enginetest.Options {
	o.Header = http.Header{"Sec-Websocket-Extensions": {extension}}
	return o
}

func compressing(o *Options) { o.Compression = CompressionOptions{On: true, Threshold: 64} }

// squeeze is the payload of a compressed message, made by the standard library.
func squeeze(t testing.TB, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(text)
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff"))
}

func unsqueeze(t testing.TB, payload []byte) string {
	t.Helper()
	out, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(payload), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))))
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func compressedFrame(op ws.OpCode, payload []byte) enginetest.Frame {
	return enginetest.Frame{Fin: true, Rsv: 4, Op: op, Payload: payload}
}

func TestCompressionNegotiated(t *testing.T) {
	_, on := serve(t, compressing)
	_, off := serve(t, nil)
	for _, c := range []struct {
		name, addr, offer, answer string
		status                    int
	}{
		{"plain", on, "permessage-deflate", "permessage-deflate; server_no_context_takeover; client_no_context_takeover", 101},
		{"small server window", on, "permessage-deflate; server_max_window_bits=10", "", 101},
		{"second offer", on, "permessage-deflate; server_max_window_bits=10, permessage-deflate", "permessage-deflate; server_no_context_takeover; client_no_context_takeover", 101},
		{"other extension", on, "x-webkit-deflate-frame", "", 101},
		{"broken grammar", on, "permessage-deflate;;", "", 400},
		{"switched off", off, "permessage-deflate", "", 101},
		{"switched off, broken grammar", off, "permessage-deflate;;", "", 101},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := offering(c.offer, enginetest.Options{})
			client := enginetest.DialRaw(t, c.addr, o)
			client.SendRaw(enginetest.UpgradeHead(c.addr, "/raw/x", o))
			if c.status != 101 {
				if a := client.ReadHTTP(); a.Status != c.status {
					t.Errorf("answered %d, want %d", a.Status, c.status)
				}
				return
			}
			head := upgradeAnswer(t, client)
			_, got, _ := strings.Cut(head, "Sec-WebSocket-Extensions: ")
			got, _, _ = strings.Cut(got, "\r\n")
			if !strings.HasPrefix(head, "HTTP/1.1 101 ") || got != c.answer {
				t.Errorf("answered %q, want %q", head, c.answer)
			}
		})
	}
}

// TestCompressedRoom: members with and without compression hear the same, each in its own form, and what is not worth
// it is sent plain.
func TestCompressedRoom(t *testing.T) {
	s, addr := serve(t, compressing)
	squeezed := enginetest.Dial(t, addr, "/raw/mixed", offering("permessage-deflate", enginetest.Options{}))
	plain := enginetest.Dial(t, addr, "/raw/mixed", enginetest.Options{})
	for _, text := range []string{"short", strings.Repeat("long and dull ", 40)} {
		for _, from := range []*enginetest.Client{squeezed, plain} {
			if from == squeezed {
				from.SendFrame(compressedFrame(ws.OpText, squeeze(t, []byte(text))), true)
			} else {
				from.SendText(text)
			}
			plain.ExpectText(text)
			f := squeezed.ReadFrame()
			got := string(f.Payload)
			if f.Rsv == 4 {
				got = unsqueeze(t, f.Payload)
			}
			if got != text || (f.Rsv == 4) != (len(text) > 64) {
				t.Errorf("RSV %d, %q, want %q", f.Rsv, got, text)
			}
		}
	}
	// In fragments, of which only the first says that the message is compressed.
	payload := squeeze(t, []byte(strings.Repeat("in pieces ", 50)))
	squeezed.SendFrame(enginetest.Frame{Rsv: 4, Op: ws.OpText, Payload: payload[:3]}, true)
	squeezed.SendFrame(enginetest.Frame{Fin: true, Op: ws.OpContinuation, Payload: payload[3:]}, true)
	plain.ExpectText(strings.Repeat("in pieces ", 50))
	squeezed.Close()
	plain.Close()
	mustBeEmpty(t, s)
}

// TestCompressedAttacks are rows E1 to E3, and text that is none once it is inflated.
func TestCompressedAttacks(t *testing.T) {
	s, addr := serve(t, func(o *Options) { compressing(o); o.Limits.MessageBytes = 64 << 10 })
	other := newBystander(t, addr, offering("permessage-deflate", enginetest.Options{}))
	bomb := squeeze(t, make([]byte, 8<<20))
	for _, c := range []struct {
		name   string
		frames []enginetest.Frame
		code   int
		reason string
	}{
		{"E1 a bomb", []enginetest.Frame{compressedFrame(ws.OpBinary, bomb)}, 1009, "too_big"},
		{"E2 a bomb in fragments", []enginetest.Frame{
			{Rsv: 4, Op: ws.OpBinary, Payload: bomb[:len(bomb)/2]},
			{Fin: true, Op: ws.OpContinuation, Payload: bomb[len(bomb)/2:]}}, 1009, "too_big"},
		{"E3 a compressed continuation", []enginetest.Frame{
			{Rsv: 4, Op: ws.OpText, Payload: []byte("a")}, {Fin: true, Rsv: 4, Op: ws.OpContinuation, Payload: []byte("b")}}, 1002, "protocol"},
		{"E3 a compressed ping", []enginetest.Frame{{Fin: true, Rsv: 4, Op: ws.OpPing}}, 1002, "protocol"},
		{"not compressed at all", []enginetest.Frame{compressedFrame(ws.OpText, []byte("plain text"))}, 1007, "invalid_text"},
		{"no UTF-8 inside", []enginetest.Frame{compressedFrame(ws.OpText, squeeze(t, []byte("\xff\xfe")))}, 1007, "invalid_text"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := scrape(s)
			client := enginetest.Dial(t, addr, "/raw/attacked", offering("permessage-deflate", enginetest.Options{}))
			for _, f := range c.frames {
				client.SendFrame(f, true)
			}
			client.ExpectClose(c.code)
			grew(t, s, before, 1, closedSeries(c.reason))
			other.mustBeServed()
		})
	}
}

// TestNotInflatedAboveTheRate: what is above its rate whatever it says is refused as it came, and so a bomb is not even
// looked at (E1).
func TestNotInflatedAboveTheRate(t *testing.T) {
	const burst = 3
	s, addr := serve(t, func(o *Options) {
		compressing(o)
		o.Limits.Messages, o.Limits.Controls = ratelimit.NewRate(0.01, burst), ratelimit.NewRate(0.01, burst)
	})
	good, bomb := compressedFrame(ws.OpText, squeeze(t, []byte("hello"))), compressedFrame(ws.OpText, squeeze(t, make([]byte, 1<<20)))
	tooLarge := fmt.Sprintf("roost_inflate_errors_total{reason=%q}", deflate.ErrTooLarge.Reason())
	before := scrape(s)
	c := enginetest.Dial(t, addr, "/raw/spent", offering("permessage-deflate", enginetest.Options{}))
	for range burst {
		c.SendFrame(good, true)
		c.ExpectText("hello")
	}
	c.SendFrame(bomb, true)
	grew(t, s, before, 1, `roost_rate_limited_total{kind="messages"}`)
	c.Close()

	// A command may be about anything: only what neither bucket would let through is refused unread.
	v := dialV1(t, addr, "/ws", offering("permessage-deflate", v1))
	for range burst {
		v.SendFrame(compressedFrame(ws.OpText, squeeze(t, []byte(`{"type":"publish","id":1,"room":"nobodys","data":1}`))), true)
		v.ExpectType("error")
	}
	for range burst {
		v.SendFrame(compressedFrame(ws.OpText, squeeze(t, []byte(`{"type":"ping","id":1}`))), true)
		v.ExpectType("pong")
	}
	v.SendFrame(bomb, true)
	if e := v.ExpectType("error"); e["code"] != "rate_limited" {
		t.Errorf("%v", e)
	}
	grew(t, s, before, 0, tooLarge)
	v.Close()
}

// TestCompressedOnce: a publication to many members is compressed once, on whichever loops they are.
func TestCompressedOnce(t *testing.T) {
	members := 9000 // both ends of each connection are in this process
	if testing.Short() || raceEnabled {
		members = 500
	}
	s, addr := serve(t, func(o *Options) { compressing(o); o.Limits.Connections = members })
	o := offering("permessage-deflate", enginetest.Options{})
	swarm := enginetest.StartSwarm(t, enginetest.Config{
		Addrs: []string{addr}, N: members,
		Head: func(int) []byte { return enginetest.UpgradeHead(addr, "/raw/all", o) }, Extended: true,
	})
	if err := swarm.OpenAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := scrape(s)
	const publications = 3
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for i := range publications { // one by one, or on a busy machine some might be sent as they are
		s.Publish("all", fmt.Appendf(nil, "%d %s", i, strings.Repeat("told to everybody ", 20)), fanout.Text, nil)
		if err := swarm.WaitFor(ctx, func(st *enginetest.Stats) bool { return st.Messages >= int64((i+1)*members) }); err != nil {
			t.Fatalf("%v: %+v", err, swarm.Stats())
		}
	}
	grew(t, s, before, publications, "roost_compressed_total")
}
