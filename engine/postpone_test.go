//go:build linux

package engine

// Compressed messages that wait for their turn: order, ends, rates and bounds are what they would be without a wait, and
// turns are fair. A loop without effort is made by saying so and keeping the pacer's byte back.

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/engine/ratelimit"
	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/protocol"
)

// onLoops runs f on each loop.
func onLoops(t testing.TB, s *Server, f func(l *Loop)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.each(ctx, func(l *Loop, done func()) { f(l); done() }); err != nil {
		t.Fatalf("asking the loops: %v", err)
	}
}

// tire spends so much of each loop's effort, and no share comes until rest.
func tire(t testing.TB, s *Server, effort int64) {
	t.Helper()
	tired := make([]bool, len(s.loops))
	if !comesTrue(func() bool {
		onLoops(t, s, func(l *Loop) {
			if !tired[l.index] && !l.pacer.asked { // else its byte is on its way, and would undo this
				l.effort, l.pacer.asked, tired[l.index] = effort, true, true
			}
		})
		return !slices.Contains(tired, false)
	}) {
		t.Fatal("the pacer's byte does not come back")
	}
}

func rest(t testing.TB, s *Server) {
	t.Helper()
	onLoops(t, s, func(l *Loop) { l.pacer.asked = false; l.pacer.ring() })
}

// frames are masked frames behind one another.
func frames(all ...enginetest.Frame) (b []byte) {
	for _, f := range all {
		b = enginetest.AppendFrame(b, f, true)
	}
	return b
}

// waiting waits until so many connections wait.
func waiting(t testing.TB, s *Server, want int) {
	t.Helper()
	if now := 0; !comesTrue(func() bool { now = levelsOf(t, s).waiting; return now == want }) {
		t.Fatalf("%d connections wait, want %d", now, want)
	}
}

func TestPostponed(t *testing.T) {
	s, addr := serve(t, func(o *Options) { compressing(o); o.Loops = 1; o.Limits.MessageTimeout = 300 * time.Millisecond })
	squeezed := func(text string) enginetest.Frame { return compressedFrame(ws.OpText, squeeze(t, []byte(text))) }
	plain := func(text string) enginetest.Frame {
		return enginetest.Frame{Fin: true, Op: ws.OpText, Payload: []byte(text)}
	}
	goodbye := enginetest.Frame{Fin: true, Op: ws.OpClose, Payload: []byte{1000 >> 8, 1000 & 0xff}}
	whole := frames(squeezed("half of it"))
	unmasked := enginetest.AppendFrame(nil, plain("x"), false)
	for _, c := range []struct {
		name        string
		sent        []byte
		meanwhile   func(t *testing.T, c *enginetest.Client)
		left        int // connections that still wait then
		heard       []string
		closed      int
		behind      []byte // is sent after the wait
		heardBehind []string
	}{
		{name: "one", sent: frames(squeezed("a")), left: 1, heard: []string{"a"}},
		{name: "order is kept", sent: frames(squeezed("a"), plain("b"), squeezed("c"), plain("d")), left: 1, heard: []string{"a", "b", "c", "d"}},
		{name: "more comes meanwhile", sent: frames(squeezed("a")), left: 1, heard: []string{"a", "b", "c"},
			meanwhile: func(_ *testing.T, c *enginetest.Client) { c.SendRaw(frames(plain("b"), squeezed("c"))) }},
		{name: "a ping does not wait", sent: frames(squeezed("a")), left: 1, heard: []string{"a"},
			meanwhile: func(_ *testing.T, c *enginetest.Client) { c.ExpectNothing() }},
		{name: "a close frame behind", sent: frames(squeezed("a"), squeezed("b"), goodbye), left: 1, heard: []string{"a", "b"}, closed: 1000},
		{name: "a close frame within a message", left: 1, heard: []string{"a"}, closed: 1000,
			sent: frames(squeezed("a"), enginetest.Frame{Op: ws.OpText, Payload: []byte("b")}, goodbye)},
		{name: "data behind a close frame", sent: frames(squeezed("a"), goodbye, squeezed("b")), left: 1, heard: []string{"a"}, closed: 1000},
		{name: "half of a message behind", sent: append(frames(squeezed("a")), whole[:9]...), left: 1, heard: []string{"a"},
			behind: whole[9:], heardBehind: []string{"half of it"}},
		{name: "nobody is slow who waits", sent: frames(squeezed("a")), left: 1, heard: []string{"a"},
			meanwhile: func(t *testing.T, _ *enginetest.Client) { ticksPass(t, s, 2*ticks(s.limits.MessageTimeout)) }},
		{name: "slow behind one that waits", sent: append(frames(squeezed("a")), whole[:9]...), closed: 4408,
			meanwhile: func(_ *testing.T, c *enginetest.Client) { c.ExpectClose(4408) }},
		{name: "a violation behind", sent: append(frames(squeezed("a")), unmasked...), closed: 1002},
		{name: "what is broken is found in its turn", sent: frames(squeezed("a"), compressedFrame(ws.OpText, []byte("no")), squeezed("b")), left: 1,
			heard: []string{"a"}, closed: 1007},
		{name: "gone meanwhile", sent: frames(squeezed("a"), squeezed("b")),
			meanwhile: func(t *testing.T, c *enginetest.Client) { c.Reset(); waiting(t, s, 0) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := enginetest.Dial(t, addr, "/raw/waits", offering("permessage-deflate", enginetest.Options{}))
			member := enginetest.Dial(t, addr, "/raw/waits", enginetest.Options{}) // hears the last words, too
			before := scrape(s)
			tire(t, s, effortShare)
			client.SendRaw(c.sent)
			grew(t, s, before, 1, "roost_postponed_total")
			if c.meanwhile != nil {
				c.meanwhile(t, client)
			}
			member.ExpectNothing()
			waiting(t, s, c.left)
			rest(t, s)
			for _, text := range c.heard {
				member.ExpectText(text)
			}
			if c.behind != nil {
				client.SendRaw(c.behind)
			}
			for _, text := range c.heardBehind {
				member.ExpectText(text)
			}
			member.ExpectNothing()
			if c.closed != 0 && c.closed != 4408 {
				client.ExpectClose(c.closed)
			}
			client.Close()
			member.Close()
			mustBeEmpty(t, s)
		})
	}
}

// ticksPass waits until each loop has seen so many ticks.
func ticksPass(t testing.TB, s *Server, n uint32) {
	t.Helper()
	from := s.tickAt(s.clock())
	if !comesTrue(func() bool { return s.tickAt(s.clock()) > from+n }) {
		t.Fatal("time stands still")
	}
	onLoops(t, s, func(l *Loop) { l.stir() })
	before := scrape(s)["roost_loop_lag_seconds_count"]
	if !comesTrue(func() bool { return scrape(s)["roost_loop_lag_seconds_count"] >= before+float64(len(s.loops)) }) {
		t.Fatal("no tick came")
	}
}

// TestNotPostponed: who sends nothing compressed waits for nothing, not even where it was agreed on.
func TestNotPostponed(t *testing.T) {
	s, addr := serve(t, compressing)
	one := newBystander(t, addr, enginetest.Options{})
	other := newBystander(t, addr, offering("permessage-deflate", enginetest.Options{}))
	tire(t, s, effortMost)
	one.mustBeServed()
	other.mustBeServed()
	waiting(t, s, 0)
}

// TestPostponedAboveTheRate: what waits has a claim on the rate, and what is above it is refused without a wait.
func TestPostponedAboveTheRate(t *testing.T) {
	const burst = 3
	s, addr := serve(t, func(o *Options) { compressing(o); o.Limits.Messages = ratelimit.NewRate(0.01, burst) })
	message := compressedFrame(ws.OpText, squeeze(t, []byte("hello")))
	limited := `roost_rate_limited_total{kind="messages"}`
	before := scrape(s)
	c := enginetest.Dial(t, addr, "/raw/spent", offering("permessage-deflate", enginetest.Options{}))
	tire(t, s, effortShare)
	c.SendRaw(frames(slices.Repeat([]enginetest.Frame{message}, burst+2)...))
	grew(t, s, before, 2, limited)
	waiting(t, s, 1)
	rest(t, s)
	for range burst {
		c.ExpectText("hello")
	}
	c.SendFrame(message, true)
	grew(t, s, before, 3, limited)
	c.ExpectNothing()
}

// TestTooMuchWaits: a client that sends on and on while it waits is closed, and nothing of it is kept.
func TestTooMuchWaits(t *testing.T) {
	s, addr := serve(t, compressing)
	for _, c := range []struct {
		name    string
		message enginetest.Frame
	}{
		{"large messages", enginetest.Frame{Fin: true, Op: ws.OpBinary, Payload: make([]byte, 60<<10)}},
		{"small messages", enginetest.Frame{Fin: true, Op: ws.OpBinary}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := scrape(s)
			client := enginetest.Dial(t, addr, "/raw/much", offering("permessage-deflate", enginetest.Options{}))
			tire(t, s, effortShare)
			client.SendFrame(compressedFrame(ws.OpText, squeeze(t, []byte("hello"))), true)
			most := readBytes + s.limits.MessageBytes
			client.SendRaw(frames(slices.Repeat([]enginetest.Frame{c.message}, most/(len(c.message.Payload)+postponedOverhead)+1)...))
			client.ExpectClose(1013)
			grew(t, s, before, 1, closedSeries("overload"))
			waiting(t, s, 0)
			rest(t, s)
			client.Close()
			mustBeEmpty(t, s)
		})
	}
}

// TestSentAsItIs: where compression has taken far too long, a publication is sent as it is, and compressed again later.
func TestSentAsItIs(t *testing.T) {
	s, addr := serve(t, func(o *Options) { compressing(o); o.Loops = 1 })
	c := enginetest.Dial(t, addr, "/raw/plain", offering("permessage-deflate", enginetest.Options{}))
	text := strings.Repeat("long and dull ", 40)
	hear := func(rsv byte) {
		t.Helper()
		s.Publish("plain", []byte(text), fanout.Text, nil)
		if f := c.ReadFrame(); f.Rsv != rsv || rsv == 0 && string(f.Payload) != text || rsv != 0 && unsqueeze(t, f.Payload) != text {
			t.Errorf("RSV %d, want %d: %q", f.Rsv, rsv, f.Payload)
		}
	}
	hear(4)
	tire(t, s, effortMost)
	hear(0)
	rest(t, s)
	effort := effortMost
	if !comesTrue(func() bool { onLoops(t, s, func(l *Loop) { effort = l.effort }); return effort < effortMost }) {
		t.Fatal("the share does not come")
	}
	hear(4)
}

// dear is a codec with which each message takes a loop's whole share, and which remembers what was read.
type dear struct {
	protocol.Codec
	server *Server
	read   []string
}

func (d *dear) Decode(message []byte, bin bool, c *protocol.Command) (protocol.ErrorCode, string) {
	d.read = append(d.read, string(message))
	d.server.epoch = d.server.epoch.Add(-time.Duration(effortShare))
	return d.Codec.Decode(message, bin, c)
}

// TestTurnsAreFair: connections that wait have a turn each, first come first served, however much they have sent.
func TestTurnsAreFair(t *testing.T) {
	s, l, r := looseLoop(t, "fair", 4)
	s.limits.Messages = ratelimit.Rate{}
	codec := &dear{Codec: l.codecs[dialectRawDeflate], server: s}
	l.codecs[dialectRawDeflate] = codec
	l.effort = effortShare
	for i, name := range []string{"a", "b", "c", "d"} {
		c := l.conns.at(r.members[i] &^ memberFlags)
		c.rights, c.dialect = s.anonymous.Rights, dialectRawDeflate
		var input []byte
		for n := range 3 - i {
			input = append(input, frames(compressedFrame(ws.OpText, squeeze(t, fmt.Appendf(nil, "%s%d", name, n))))...)
		}
		l.begin()
		c.onTraffic(l, input)
		l.finish(c)
	}
	if len(codec.read) > 0 || len(l.waiting) != 3 {
		t.Fatalf("%d connections wait, %v was read", len(l.waiting), codec.read)
	}
	for range 6 {
		had := len(codec.read)
		l.resume()
		if len(codec.read) != had+1 {
			t.Fatalf("a share was good for %d messages", len(codec.read)-had)
		}
	}
	l.resume()
	if want := []string{"a0", "b0", "c0", "a1", "b1", "a2"}; !slices.Equal(codec.read, want) || len(l.waiting) > 0 {
		t.Errorf("read %v, want %v; %d connections wait", codec.read, want, len(l.waiting))
	}
}

// TestDearMessages: connections that send as dear messages as there are, all at once, are served in the shares that
// the pacer gives, each in order, and somebody else meanwhile.
func TestDearMessages(t *testing.T) {
	const clients, messages = 8, 7
	s, addr := serve(t, func(o *Options) { compressing(o); o.Loops = 1 })
	other := newBystander(t, addr, enginetest.Options{})
	before := scrape(s)
	var text bytes.Buffer
	for i := 0; text.Len() < 60<<10; i++ {
		fmt.Fprintf(&text, `{"user":"u%d","text":"message number %d of them"},`, i*7919%1000, i*104729%100003)
	}
	text.Truncate(60 << 10)
	var all [clients]*enginetest.Client
	for i := range all {
		all[i] = enginetest.Dial(t, addr, fmt.Sprintf("/raw/dear.%d", i), offering("permessage-deflate", enginetest.Options{}))
	}
	for i, c := range all {
		var input []byte
		for n := range messages {
			input = append(input, frames(compressedFrame(ws.OpText, squeeze(t, fmt.Appendf(nil, "%d %d %s", i, n, text.Bytes()))))...)
		}
		c.SendRaw(append(input, frames(enginetest.Frame{Fin: true, Op: ws.OpClose, Payload: []byte{1000 >> 8, 1000 & 0xff}})...))
	}
	other.mustBeServed()
	for i, c := range all {
		for n := range messages - 1 { // the last goes to those who stay
			f := c.ReadFrame()
			got := string(f.Payload)
			if f.Rsv == 4 {
				got = unsqueeze(t, f.Payload)
			}
			if want := fmt.Sprintf("%d %d %s", i, n, text.Bytes()); got != want {
				t.Fatalf("client %d heard %.20q of %d bytes, want message %d", i, got, len(got), n)
			}
		}
		c.ExpectClose(1000)
		c.Close()
	}
	if scrape(s)["roost_postponed_total"] == before["roost_postponed_total"] {
		t.Error("nobody had to wait")
	}
	other.client.Close()
	mustBeEmpty(t, s)
}

// TestOneMessageMayWait: the first message that waits is as large as messages may be, in a sender's longest form.
func TestOneMessageMayWait(t *testing.T) {
	s, addr := serve(t, func(o *Options) { compressing(o); o.Limits.MessageBytes = 1 << 20; o.Limits.OutboundBytes = 4 << 20 })
	const block = 48
	data := bytes.Repeat([]byte("x"), (1<<20)/block*block)
	var payload []byte // stored blocks (RFC 1951 section 3.2.4), and the begin of an empty one
	for i := 0; i < len(data); i += block {
		payload = append(append(payload, 0, block, 0, ^byte(block), 0xff), data[i:i+block]...)
	}
	payload = append(payload, 0)
	if len(payload) <= readBytes+s.limits.MessageBytes {
		t.Fatalf("%d bytes prove nothing", len(payload))
	}
	member := enginetest.Dial(t, addr, "/raw/large", enginetest.Options{})
	c := enginetest.Dial(t, addr, "/raw/large", offering("permessage-deflate", enginetest.Options{}))
	tire(t, s, effortShare)
	c.SendFrame(compressedFrame(ws.OpBinary, payload), true)
	waiting(t, s, 1)
	rest(t, s)
	member.ExpectBinary(data)
}
