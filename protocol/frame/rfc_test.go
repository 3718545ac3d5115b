package frame

// The RFC as a table: what the groups 1 to 7, 9 and 10 of the Autobahn suite ask of a server, each case at
// several segmentations of the stream and from both sides of the connection.

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// wire is one frame of a case; raw replaces all of it.
type wire struct {
	fin     bool
	rsv     byte
	op      ws.OpCode
	payload string
	raw     []byte
}

func text(s string) wire            { return wire{fin: true, op: ws.OpText, payload: s} }
func binaryFrame(s string) wire     { return wire{fin: true, op: ws.OpBinary, payload: s} }
func ping(s string) wire            { return wire{fin: true, op: ws.OpPing, payload: s} }
func pong(s string) wire            { return wire{fin: true, op: ws.OpPong, payload: s} }
func first(s string) wire           { return wire{op: ws.OpText, payload: s} }
func more(s string) wire            { return wire{op: ws.OpContinuation, payload: s} }
func last(s string) wire            { return wire{fin: true, op: ws.OpContinuation, payload: s} }
func control(s string) wire         { return wire{fin: true, op: ws.OpClose, payload: s} }
func reserved(w wire, r byte) wire  { w.rsv = r; return w }
func opcode(op byte, s string) wire { return wire{fin: true, op: ws.OpCode(op), payload: s} }
func unfinished(w wire) wire        { w.fin = false; return w }
func raw(b ...byte) wire            { return wire{raw: b} }

func closing(code ws.StatusCode, reason string) wire {
	return control(string(binary.BigEndian.AppendUint16(nil, uint16(code))) + reason)
}

// append renders w as a client's (masked) or a server's frame.
func (w wire) append(dst []byte, masked bool) []byte {
	if w.raw != nil {
		return append(dst, w.raw...)
	}
	if masked {
		return AppendMasked(dst, w.fin, w.rsv, w.op, [4]byte{0x37, 0xfa, 0x21, 0x3d}, []byte(w.payload))
	}
	start := len(dst)
	dst = Append(dst, w.op, []byte(w.payload))
	if !w.fin {
		dst[start] &^= finBit
	}
	dst[start] |= w.rsv << 4
	return dst
}

// Expected events.
func isText(s string) seen   { return seen{kind: Message, op: ws.OpText, payload: s} }
func isBinary(s string) seen { return seen{kind: Message, op: ws.OpBinary, payload: s} }
func isPing(s string) seen   { return seen{kind: Ping, payload: s} }
func isPong(s string) seen   { return seen{kind: Pong, payload: s} }
func isClose(code ws.StatusCode, reason string) seen {
	return seen{kind: Close, code: code, reason: reason, payload: closing(code, reason).payload}
}

// place names the byte of the last frame that proves the violation: payload byte n, or, if header, header byte n.
// The zero place is the stream's last byte.
type place struct {
	header bool
	n      int
	set    bool
}

func inHeader(n int) place  { return place{true, n, true} }
func inPayload(n int) place { return place{false, n, true} }

type rfcCase struct {
	name   string
	frames []wire
	events []seen
	err    Error
	at     place
	lim    Limits // zero sizes are replaced by generous ones
	open   bool   // the stream ends inside a message
	server bool   // only read as a client's stream: the case is about masking, or written in raw bytes
}

// stream renders the case and says after how many bytes the verdict has to be there.
func (c *rfcCase) stream(masked bool) (b []byte, verdict int) {
	var start int
	for _, w := range c.frames {
		start = len(b)
		b = w.append(b, masked)
	}
	if !c.at.set {
		return b, len(b)
	}
	if c.at.header {
		return b, start + c.at.n + 1
	}
	return b, len(b) - len(c.frames[len(c.frames)-1].payload) + c.at.n + 1
}

func (c *rfcCase) limits() *Limits {
	lim := c.lim
	if lim.MessageBytes == 0 {
		lim.MessageBytes = 16 << 20
	}
	if lim.Fragments == 0 {
		lim.Fragments = 1 << 20
	}
	return &lim
}

// run feeds the case at many segmentations and compares.
func (c *rfcCase) run(t *testing.T, masked bool) {
	lim := c.limits()
	lim.ClientSide = !masked
	stream, verdict := c.stream(masked)
	rng := rand.New(rand.NewPCG(1, uint64(len(stream))))
	cuts := map[string]func(int) int{"whole": whole}
	if len(stream) < 5000 || masked && len(stream) < 70_000 {
		cuts["bytewise"] = bytewise
	}
	for _, n := range []int{2, 5, 64, 256, 997, 1024, 4096, 65536} {
		if n < len(stream) && len(stream)/n < 2000 {
			cuts[fmt.Sprint("pieces of ", n)] = chop(n)
		}
	}
	for i := range 4 {
		longest := 1 + len(stream)>>(3*i)
		cuts[fmt.Sprint("random ", i)] = func(int) int { return 1 + rng.IntN(longest) }
	}
	if len(stream) <= 64 {
		for at := 1; at < len(stream); at++ {
			cuts[fmt.Sprint("split at ", at)] = func(left int) int {
				if left == len(stream) {
					return at
				}
				return left
			}
		}
	}
	for name, cut := range cuts {
		got := feed(t, stream, lim, cut)
		if !slices.Equal(got.events, c.events) {
			t.Errorf("%s: events\n got %v\nwant %v", name, got.events, c.events)
		}
		var want error
		if c.err != 0 {
			want = c.err
		}
		if got.err != want {
			t.Errorf("%s: error %v, want %v", name, got.err, want)
		}
		if name == "bytewise" && got.used != verdict {
			t.Errorf("verdict after %d of %d bytes, want it after %d", got.used, len(stream), verdict)
		}
		if c.err == 0 && got.idle == c.open {
			t.Errorf("%s: idle = %v at the end", name, got.idle)
		}
		if most := lim.payload(lim.Deflate) + maxControl; got.peak > most {
			t.Errorf("%s: held %d bytes, more than %d", name, got.peak, most)
		}
	}
}

func TestRFC(t *testing.T) {
	groups := []struct {
		name  string
		cases []rfcCase
	}{
		{"1 echo", echoCases()},
		{"2 ping and pong", pingCases()},
		{"3 reserved bits", reservedBitCases()},
		{"4 opcodes", opcodeCases()},
		{"5 fragmentation", fragmentationCases()},
		{"6 utf-8", utf8Cases()},
		{"7 close", closeCases()},
		{"9 limits and performance", limitCases()},
		{"10 auto-fragmentation", autoFragmentationCases()},
		{"12 compressed", compressedCases()},
		{"masks and lengths", headerCases()},
	}
	names := map[string]bool{}
	for _, g := range groups {
		t.Run(g.name, func(t *testing.T) {
			for _, c := range g.cases {
				if names[g.name+c.name] {
					t.Errorf("two cases named %q", c.name)
				}
				names[g.name+c.name] = true
				t.Run(c.name, func(t *testing.T) {
					c.run(t, true)
					if !c.server {
						c.run(t, false)
					}
				})
			}
		})
	}
}

// pattern is n bytes of text in which each stretch looks different.
func pattern(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%d,", i)
	}
	return b.String()[:n]
}

func echoCases() (cases []rfcCase) {
	for _, n := range []int{0, 1, 7, 125, 126, 127, 128, 255, 256, 65535, 65536, 65537} {
		s := pattern(n)
		odd := strings.Repeat("\xfe", n)
		cases = append(cases,
			rfcCase{name: fmt.Sprintf("text of %d", n), frames: []wire{text(s)}, events: []seen{isText(s)}},
			rfcCase{name: fmt.Sprintf("binary of %d", n), frames: []wire{binaryFrame(odd)}, events: []seen{isBinary(odd)}})
	}
	return append(cases, rfcCase{name: "several in a row",
		frames: []wire{text("a"), binaryFrame(""), text(""), text(pattern(126)), binaryFrame("\x00")},
		events: []seen{isText("a"), isBinary(""), isText(""), isText(pattern(126)), isBinary("\x00")}})
}

func pingCases() []rfcCase {
	ten := rfcCase{name: "ten pings"}
	for i := range 10 {
		s := fmt.Sprintf("payload-%d", i)
		ten.frames = append(ten.frames, ping(s))
		ten.events = append(ten.events, isPing(s))
	}
	full := pattern(125)
	return []rfcCase{
		{name: "empty", frames: []wire{ping("")}, events: []seen{isPing("")}},
		{name: "text payload", frames: []wire{ping("Hello, world!")}, events: []seen{isPing("Hello, world!")}},
		{name: "payload need not be utf-8", frames: []wire{ping("\x00\xff\xfe\xfd\xfc\xfb\x00\xff")}, events: []seen{isPing("\x00\xff\xfe\xfd\xfc\xfb\x00\xff")}},
		{name: "125 bytes", frames: []wire{ping(full)}, events: []seen{isPing(full)}},
		{name: "126 bytes", frames: []wire{ping(pattern(126))}, err: ErrControlTooLong, at: inHeader(1)},
		{name: "65536 bytes", frames: []wire{ping(pattern(65536))}, err: ErrControlTooLong, at: inHeader(1)},
		{name: "unsolicited pong", frames: []wire{pong("")}, events: []seen{isPong("")}},
		{name: "unsolicited pong with payload, then ping", frames: []wire{pong("x"), ping("y")}, events: []seen{isPong("x"), isPing("y")}},
		{name: "pong of 126 bytes", frames: []wire{pong(pattern(126))}, err: ErrControlTooLong, at: inHeader(1)},
		ten,
		{name: "larger than the message limit", frames: []wire{ping(full)}, events: []seen{isPing(full)}, lim: Limits{MessageBytes: 10}},
	}
}

func reservedBitCases() (cases []rfcCase) {
	for r := byte(1); r < 8; r++ {
		for _, f := range []struct {
			name string
			wire wire
		}{
			{"text", text("Hello")}, {"binary", binaryFrame("Hello")}, {"ping", ping("Hello")}, {"pong", pong("")},
			{"close", closing(1000, "")}, {"first fragment", first("Hello")},
		} {
			cases = append(cases, rfcCase{name: fmt.Sprintf("%03b on %s", r, f.name), frames: []wire{text("ok"), reserved(f.wire, r)},
				events: []seen{isText("ok")}, err: ErrReservedBits, at: inHeader(0)})
		}
		cases = append(cases,
			rfcCase{name: fmt.Sprintf("%03b on continuation", r), frames: []wire{first("a"), reserved(last("b"), r)},
				err: ErrReservedBits, at: inHeader(0)},
			rfcCase{name: fmt.Sprintf("%03b on continuation, deflate", r), frames: []wire{reserved(first("a"), rsv1), reserved(last("b"), r)},
				err: ErrReservedBits, at: inHeader(0), lim: Limits{Deflate: true}},
			rfcCase{name: fmt.Sprintf("%03b on ping, deflate", r), frames: []wire{reserved(ping("a"), r)},
				err: ErrReservedBits, at: inHeader(0), lim: Limits{Deflate: true}})
		if r != rsv1 {
			cases = append(cases, rfcCase{name: fmt.Sprintf("%03b on text, deflate", r), frames: []wire{reserved(text("a"), r)},
				err: ErrReservedBits, at: inHeader(0), lim: Limits{Deflate: true}})
		}
	}
	return cases
}

func opcodeCases() (cases []rfcCase) {
	for _, op := range []byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		cases = append(cases,
			rfcCase{name: fmt.Sprintf("%d empty", op), frames: []wire{opcode(op, "")}, err: ErrBadOpcode, at: inHeader(0)},
			rfcCase{name: fmt.Sprintf("%d with payload", op), frames: []wire{opcode(op, "reserved opcode payload")}, err: ErrBadOpcode, at: inHeader(0)},
			rfcCase{name: fmt.Sprintf("%d not final", op), frames: []wire{unfinished(opcode(op, "x"))}, err: ErrBadOpcode, at: inHeader(0)},
			rfcCase{name: fmt.Sprintf("%d after text", op), frames: []wire{text("Hello, world!"), opcode(op, "")},
				events: []seen{isText("Hello, world!")}, err: ErrBadOpcode, at: inHeader(0)},
			rfcCase{name: fmt.Sprintf("%d inside a message", op), frames: []wire{first("a"), opcode(op, "")}, err: ErrBadOpcode, at: inHeader(0)})
	}
	return cases
}

func fragmentationCases() []rfcCase {
	return []rfcCase{
		{name: "fragmented ping", frames: []wire{unfinished(ping("frag"))}, err: ErrControlFragmented, at: inHeader(0)},
		{name: "fragmented pong", frames: []wire{unfinished(pong("frag"))}, err: ErrControlFragmented, at: inHeader(0)},
		{name: "fragmented close", frames: []wire{unfinished(closing(1000, ""))}, err: ErrControlFragmented, at: inHeader(0)},
		{name: "two fragments", frames: []wire{first("fragment1"), last("fragment2")}, events: []seen{isText("fragment1fragment2")}},
		{name: "two fragments of binary", frames: []wire{unfinished(binaryFrame("\xff")), last("\xfe")}, events: []seen{isBinary("\xff\xfe")}},
		{name: "ping between", frames: []wire{first("fragment1"), ping("ping"), last("fragment2")},
			events: []seen{isPing("ping"), isText("fragment1fragment2")}},
		{name: "pong and empty ping between", frames: []wire{first("a"), pong("x"), ping(""), more("b"), ping("y"), last("c")},
			events: []seen{isPong("x"), isPing(""), isPing("y"), isText("abc")}},
		{name: "full ping between large fragments", frames: []wire{first(pattern(300)), ping(pattern(125)), more(pattern(5000)), ping(pattern(125)), last("c")},
			events: []seen{isPing(pattern(125)), isPing(pattern(125)), isText(pattern(300) + pattern(5000) + "c")}},
		{name: "close between", frames: []wire{first("a"), closing(1001, "bye")}, events: []seen{isClose(1001, "bye")}, open: true},
		{name: "continuation without start", frames: []wire{last("non-continuation payload")}, err: ErrUnexpectedContinuation, at: inHeader(0)},
		{name: "open continuation without start", frames: []wire{more("x")}, err: ErrUnexpectedContinuation, at: inHeader(0)},
		{name: "continuation after text", frames: []wire{text("Hello"), last("x")}, events: []seen{isText("Hello")}, err: ErrUnexpectedContinuation, at: inHeader(0)},
		{name: "continuation after a fragmented message", frames: []wire{first("a"), last("b"), last("c")},
			events: []seen{isText("ab")}, err: ErrUnexpectedContinuation, at: inHeader(0)},
		{name: "text inside a message", frames: []wire{first("fragment1"), text("fragment2")}, err: ErrExpectedContinuation, at: inHeader(0)},
		{name: "binary inside a message", frames: []wire{first("a"), more("b"), unfinished(binaryFrame("c"))}, err: ErrExpectedContinuation, at: inHeader(0)},
		{name: "text inside a message, after a ping", frames: []wire{first("a"), ping("p"), text("b")},
			events: []seen{isPing("p")}, err: ErrExpectedContinuation, at: inHeader(0)},
		{name: "all fragments empty", frames: []wire{first(""), more(""), last("")}, events: []seen{isText("")}},
		{name: "only the middle is not empty", frames: []wire{first(""), more("middle"), last("")}, events: []seen{isText("middle")}},
		{name: "only the last is not empty", frames: []wire{first(""), more(""), last("end")}, events: []seen{isText("end")}},
		{name: "message never ends", frames: []wire{first("a"), more("b")}, open: true},
		{name: "message of empty fragments never ends", frames: []wire{first(""), more("")}, open: true},
		{name: "fragmented, whole, fragmented", frames: []wire{first("a"), last("b"), text("c"), unfinished(binaryFrame("d")), last("e")},
			events: []seen{isText("ab"), isText("c"), isBinary("de")}},
	}
}

func compressedCases() []rfcCase {
	deflate := Limits{Deflate: true}
	odd := "\xf2H\xcd\xc9\xc9\x07\x00\xff"
	return []rfcCase{
		{name: "text is not checked for utf-8", frames: []wire{reserved(text(odd), rsv1)}, lim: deflate,
			events: []seen{{kind: Message, op: ws.OpText, compressed: true, payload: odd}}},
		{name: "fragmented text is not checked either", frames: []wire{reserved(first(odd), rsv1), ping("p"), last(odd)}, lim: deflate,
			events: []seen{isPing("p"), {kind: Message, op: ws.OpText, compressed: true, payload: odd + odd}}},
		{name: "binary", frames: []wire{reserved(binaryFrame(odd), rsv1)}, lim: deflate,
			events: []seen{{kind: Message, op: ws.OpBinary, compressed: true, payload: odd}}},
		{name: "the next message is plain again", frames: []wire{reserved(text(odd), rsv1), text("plain")}, lim: deflate,
			events: []seen{{kind: Message, op: ws.OpText, compressed: true, payload: odd}, isText("plain")}},
		{name: "plain text is still checked", frames: []wire{reserved(text(odd), rsv1), text("\xff")}, lim: deflate,
			events: []seen{{kind: Message, op: ws.OpText, compressed: true, payload: odd}}, err: ErrInvalidUTF8},
		{name: "RSV1 on the last fragment alone", frames: []wire{first("a"), reserved(last("b"), rsv1)}, lim: deflate,
			err: ErrReservedBits, at: inHeader(0)},
		{name: "a plain fragmented message, then a compressed one", frames: []wire{first("a"), last("b"), reserved(text(odd), rsv1)}, lim: deflate,
			events: []seen{isText("ab"), {kind: Message, op: ws.OpText, compressed: true, payload: odd}}},
		{name: "nothing in it", frames: []wire{reserved(text(""), rsv1)}, lim: deflate,
			events: []seen{{kind: Message, op: ws.OpText, compressed: true}}},
		{name: "as long as the limit allows in its compressed form", frames: []wire{reserved(text(pattern(106)), rsv1)},
			lim: Limits{Deflate: true, MessageBytes: 80}, events: []seen{{kind: Message, op: ws.OpText, compressed: true, payload: pattern(106)}}},
		{name: "one above", frames: []wire{reserved(text(pattern(107)), rsv1)}, lim: Limits{Deflate: true, MessageBytes: 80},
			err: ErrTooBig, at: inHeader(1)},
		{name: "fragments as long as the limit allows", frames: []wire{reserved(first(pattern(60)), rsv1), more(pattern(40)), last(pattern(6))},
			lim: Limits{Deflate: true, MessageBytes: 80}, events: []seen{{kind: Message, op: ws.OpText, compressed: true, payload: pattern(60) + pattern(40) + pattern(6)}}},
		{name: "fragments one above", frames: []wire{reserved(first(pattern(60)), rsv1), more(pattern(40)), last(pattern(7))},
			lim: Limits{Deflate: true, MessageBytes: 80}, err: ErrTooBig, at: inHeader(1)},
		{name: "a plain one has no more than the limit", frames: []wire{reserved(text(odd), rsv1), text(pattern(81))}, lim: Limits{Deflate: true, MessageBytes: 80},
			events: []seen{{kind: Message, op: ws.OpText, compressed: true, payload: odd}}, err: ErrTooBig, at: inHeader(1)},
		{name: "RSV1 on a ping inside of a compressed message", frames: []wire{reserved(first(odd), rsv1), reserved(ping("a"), rsv1)}, lim: deflate,
			err: ErrReservedBits, at: inHeader(0)},
	}
}
