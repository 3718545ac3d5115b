package main

import (
	"bytes"
	"compress/flate"
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/roost-ws/roost/engine"
	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/protocol/deflate/deflatetest"
)

// flood is something that an attacker does at full speed, and where it shows that it was done.
type flood struct {
	name   string
	spec   enginetest.Spec
	series string // that grows by at least so many a second
	least  float64
}

// movedMost is what a flood may add to the p99 of those who behave.
const movedMost = 10 * time.Millisecond

// evil is a client with a good token that comes back as soon as it is sent away.
func evil(n int, path string, s enginetest.Spec) enginetest.Spec {
	s.Connections, s.Path, s.User, s.Rooms = n, path, "eve-{i}", []string{"**"}
	if !strings.HasPrefix(path, "/raw/") {
		s.Subprotocols = []string{"roost.v1"}
	}
	return s
}

// frames are so many masked frames behind one another.
func frames(n int, f func(i int) []byte) (all []byte) {
	for i := range n {
		all = append(all, f(i)...)
	}
	return all
}

func masked(f enginetest.Frame) []byte { return enginetest.AppendFrame(nil, f, true) }

// squeezed is the payload of a compressed message.
func squeezed(t testing.TB, message []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, flate.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = w.Write(message)
	_ = w.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte("\x00\x00\xff\xff"))
}

// floods are the attacks of the list (engine/attack_test.go) that work by their number.
func floods(t testing.TB, keys *signer) []flood {
	const some, many = 16, 64
	bearer := func(token string) map[string]string {
		return map[string]string{"Authorization": "Bearer " + token[:len(token)-8] + "AAAAAAAA"}
	}
	deflates := map[string]string{"Sec-WebSocket-Extensions": "permessage-deflate"}
	hello := enginetest.TextFrame([]byte("hello"))
	pieces := append(masked(enginetest.Frame{Op: ws.OpText, Payload: []byte("a")}), frames(60, func(int) []byte {
		return masked(enginetest.Frame{Op: ws.OpContinuation, Payload: []byte("b")})
	})...)
	pieces = append(pieces, masked(enginetest.Frame{Fin: true, Op: ws.OpContinuation})...)
	bomb := func(n int) []byte {
		return masked(enginetest.Frame{Fin: true, Rsv: 4, Op: ws.OpBinary, Payload: squeezed(t, make([]byte, n))})
	}
	// What it inflates to has to be decoded, number by number.
	dear := masked(enginetest.Frame{Fin: true, Rsv: 4, Op: ws.OpText, Payload: squeezed(t,
		fmt.Appendf(nil, `{"type":"publish","room":"eve-1","data":[0%s]}`, strings.Repeat(",0", 30<<10)))})
	// Blocks of nothing but code tables, which turn out to be no message when they have cost enough.
	tables := masked(enginetest.Frame{Fin: true, Rsv: 4, Op: ws.OpText,
		Payload: deflatetest.CodeTables(60 << 10)})
	refused := func(reason string) string { return fmt.Sprintf("roost_handshakes_refused_total{reason=%q}", reason) }
	closed := func(reason string) string { return fmt.Sprintf("roost_closes_total{reason=%q}", reason) }
	limited := func(kind string) string { return fmt.Sprintf("roost_rate_limited_total{kind=%q}", kind) }
	slow := []byte("GET /ws HTTP/1.1\r\nHost: h\r\nCookie: ")
	all := []flood{
		{"slow heads", enginetest.Spec{Connections: 2000, InFlight: 2000, Mode: enginetest.PartialHead, Raw: slow, HeadBytes: len(slow),
			SlowBytes: 1, SlowEvery: 20 * time.Millisecond}, refused("too_slow"), 200},
		{"bad heads", enginetest.Spec{Connections: many, Raw: []byte("GET /ws HTTP/1.1\r\nHost : h\r\n\r\n")}, refused("malformed"), 500},
		{"bad HS256 tokens", enginetest.Spec{Connections: many, Path: "/ws", Header: bearer(enginetest.Token(t, "eve", time.Hour))}, refused("token"), 500},
		{"bad RS256 tokens", enginetest.Spec{Connections: many, Path: "/ws", Header: bearer(keys.token("eve"))}, refused("token"), 500},
		{"come and go", evil(many, "/ws?room=lobby", enginetest.Spec{Leave: enginetest.CloseRST}), "roost_handshakes_total", 500},
		{"come and say nothing", enginetest.Spec{Connections: many, Mode: enginetest.PartialHead, Raw: slow, Leave: enginetest.CloseRST}, closed("handshake_gone"), 500},
		{"pings", evil(some, "/raw/eve-{i}", enginetest.Spec{Flood: frames(500, func(int) []byte {
			return masked(enginetest.Frame{Fin: true, Op: ws.OpPing, Payload: bytes.Repeat([]byte("p"), 125)})
		})}), limited("controls"), 500},
		{"tiny fragments", evil(some, "/raw/eve-{i}", enginetest.Spec{Flood: pieces}), limited("messages"), 100},
		{"messages", evil(some, "/raw/eve-{i}", enginetest.Spec{Flood: frames(500, func(int) []byte { return hello })}), limited("messages"), 500},
		{"joining and leaving", evil(some, "/ws", enginetest.Spec{Flood: frames(200, func(i int) []byte {
			return append(enginetest.TextFrame(fmt.Appendf(nil, `{"type":"join","id":1,"room":"eve.%d"}`, i)),
				enginetest.TextFrame(fmt.Appendf(nil, `{"type":"leave","id":2,"room":"eve.%d"}`, i))...)
		})}), limited("controls"), 100},
		{"bombs", evil(some, "/raw/eve-{i}", enginetest.Spec{Header: deflates, Extended: true, Flood: bomb(4 << 20)}), closed("too_big"), 100},
		{"all but bombs", evil(some, "/raw/eve-{i}", enginetest.Spec{Header: deflates, Extended: true,
			Flood: frames(20, func(int) []byte { return bomb(60 << 10) })}), limited("messages"), 100},
		{"dear messages", evil(some, "/ws?room=eve-{i}", enginetest.Spec{Header: deflates, Extended: true,
			Flood: frames(20, func(int) []byte { return dear })}), limited("messages"), 100},
		{"code tables", evil(some, "/raw/eve-{i}", enginetest.Spec{Header: deflates, Extended: true, Flood: tables}), closed("overload"), 10},
		// The last, because memory that it leaves behind goes back to the system only in time.
		{"never reads in a busy room", evil(many, "/raw/busy", enginetest.Spec{Mode: enginetest.NeverRead, ReceiveBuffer: 4096,
			Flood: enginetest.BinaryFrame(bytes.Repeat([]byte("x"), 32<<10))}), closed("slow_consumer"), 20},
	}
	for i := range all {
		s := &all[i].spec
		s.Return, s.FirstSource, s.PerSource, s.NoPong, s.NoCloseReply = enginetest.ReturnAtOnce, 5000, 1, true, true
	}
	return all
}

// budget is what a flood may cost a node in memory, whatever it is: of each attacker at most a head, then a message,
// what waits for its turn if it is compressed, and what waits for it if it does not read, all of which has its limit; and what a room may gather for its next walk. Twice
// that, because buffers double as they grow and the collector leaves its share of garbage. The last part does not grow
// with attackers: what loops keep of buffers, caches, the heap of a node that is not idle.
func (f *flood) budget() int64 {
	l := engine.DefaultLimits()
	each, shared := l.HeadBytes, 0
	if len(f.spec.Flood) > 0 {
		each, shared = each+l.MessageBytes, l.BatchBytes
	}
	if f.spec.Mode == enginetest.NeverRead {
		each += l.OutboundBytes
	}
	if f.spec.Extended {
		each += 64<<10 + l.MessageBytes
	}
	return 2*int64(f.spec.Connections*each+shared) + 16<<20
}

// TestFloods: what one attacker does at full speed is counted, costs no more memory than is said of it, and does not
// keep those waiting who behave on the same loop.
func TestFloods(t *testing.T) {
	if testing.Short() {
		t.Skip("needs half a minute")
	}
	rounds, lasts, least := 1, time.Second/2, 0.0
	if measures() {
		rounds, lasts, least = 3, time.Second, 1.0
	}
	keys := newSigner(t)
	b := besiege(t, 50, append(keys.args, "--rate.messages", "20", "--compression.mode", "on",
		"--limits.handshake_timeout", "1s")...)
	b.echo(time.Second) // warms the node up
	rest := b.resident()
	for _, f := range floods(t, keys) {
		t.Run(f.name, func(t *testing.T) {
			var quiet, under []time.Duration
			for range rounds {
				quiet = append(quiet, b.echo(lasts).Quantile(0.99))
				under = append(under, b.under(t, f, lasts, rest, max(1, least*f.least*lasts.Seconds())).Quantile(0.99))
			}
			slices.Sort(under)
			moved := under[rounds/2] - slices.Min(quiet)
			t.Logf("p99 of an echo: %v before, %v in the flood", quiet, under)
			if moved > movedMost && measures() {
				t.Errorf("p99 of an echo moved by %v, want at most %v", moved, movedMost)
			}
		})
	}
	b.guests.Stop()
	b.signal(syscall.SIGTERM)
	b.mustExit(0)
}

// under is the guests' echo in a flood, which has to be counted least times and to stay within its budget of memory
// above rest.
func (b *besieged) under(t *testing.T, f flood, lasts time.Duration, rest int64, least float64) *enginetest.Histogram {
	t.Helper()
	before := b.figures()
	attacker := b.crowd(f.spec)
	defer attacker.Stop()
	go func() { _, _ = attacker.Open(0, 0, time.Hour) }()
	began := time.Now()
	for b.figures()[f.series] == before[f.series] {
		if time.Since(began) > patience {
			t.Fatalf("%s does not grow", f.series)
		}
		time.Sleep(20 * time.Millisecond)
	}
	peak, watched, done := int64(0), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(watched)
		look := time.NewTicker(20 * time.Millisecond)
		defer look.Stop()
		for {
			if m, err := enginetest.ReadMemory(b.cmd.Process.Pid); err == nil {
				peak = max(peak, m.RssAnon)
			}
			select {
			case <-done:
				return
			case <-look.C:
			}
		}
	}()
	h := b.echo(lasts)
	close(done)
	<-watched
	took := time.Since(began)
	after := b.figures()
	attacker.Stop()
	for over := time.Now().Add(patience); b.figures()["roost_connections"] > before["roost_connections"]; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(over) {
			t.Fatal("attackers stay")
		}
	}
	grown := after[f.series] - before[f.series]
	bound := f.budget()
	t.Logf("%s +%.0f/s, memory at most +%.1f MB of %.1f MB, echo %v", f.series, grown/took.Seconds(), float64(peak-rest)/1e6, float64(bound)/1e6, h)
	if grown < least {
		t.Errorf("%s grew by %v, want at least %v", f.series, grown, least)
	}
	if peak-rest > bound && !raceEnabled {
		t.Errorf("memory grew from %d to %d bytes, want at most %d more", rest, peak, bound)
	}
	if after["roost_panics_total"] > 0 {
		t.Error("something panicked")
	}
	return h
}
