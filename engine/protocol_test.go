package engine

// RFC 6455 on real sockets: what an open connection answers to frames, legal and not.

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/protocol/frame"
)

// piece is one masked frame.
func piece(fin bool, op ws.OpCode, payload string) []byte {
	return enginetest.AppendFrame(nil, enginetest.Frame{Fin: fin, Op: op, Payload: []byte(payload)}, true)
}

// reserved is a masked frame with reserved bits.
func reserved(rsv byte, op ws.OpCode) []byte {
	return enginetest.AppendFrame(nil, enginetest.Frame{Fin: true, Rsv: rsv, Op: op, Payload: []byte("x")}, true)
}

// announced is the header of a masked frame with its length in the form of 1, 2 or 8 bytes, and nothing behind it.
func announced(op ws.OpCode, form int, length uint64) []byte {
	b := []byte{0x80 | byte(op)}
	switch form {
	case 1:
		b = append(b, 0x80|byte(length))
	case 2:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(length))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), length)
	}
	return append(b, 1, 2, 3, 4)
}

func join(pieces ...[]byte) []byte { return bytes.Join(pieces, nil) }

// fragmented is a message in n frames of one byte.
func fragmented(n int) []byte {
	all := piece(n == 1, ws.OpText, "a")
	for i := 2; i <= n; i++ {
		all = append(all, piece(i == n, ws.OpContinuation, "a")...)
	}
	return all
}

// violations are streams that break the framing: the close code that answers them and the words that are counted.
var violations = []struct {
	name   string
	stream []byte
	code   int
	fault  frame.Error
	reason CloseReason
}{
	{"B1 unmasked", enginetest.AppendFrame(nil, enginetest.Frame{Fin: true, Op: ws.OpText, Payload: []byte("x")}, false), 1002, frame.ErrUnmasked, CloseProtocol},
	{"B2 RSV1", reserved(4, ws.OpText), 1002, frame.ErrReservedBits, CloseProtocol},
	{"B2 RSV2", reserved(2, ws.OpText), 1002, frame.ErrReservedBits, CloseProtocol},
	{"B2 RSV3 on a ping", reserved(1, ws.OpPing), 1002, frame.ErrReservedBits, CloseProtocol},
	{"B2 opcode 3", piece(true, 3, "x"), 1002, frame.ErrBadOpcode, CloseProtocol},
	{"B2 opcode 7", piece(true, 7, "x"), 1002, frame.ErrBadOpcode, CloseProtocol},
	{"B2 opcode 11", piece(true, 11, "x"), 1002, frame.ErrBadOpcode, CloseProtocol},
	{"B2 opcode 15", piece(true, 15, "x"), 1002, frame.ErrBadOpcode, CloseProtocol},
	{"B3 16-bit form of 5", append(announced(ws.OpText, 2, 5), "hello"...), 1002, frame.ErrNonMinimalLength, CloseProtocol},
	{"B3 64-bit form of 200", announced(ws.OpText, 8, 200), 1002, frame.ErrNonMinimalLength, CloseProtocol},
	{"B4 most significant bit", announced(ws.OpText, 8, 1<<63|5), 1002, frame.ErrBadLength, CloseProtocol},
	{"B4 the largest length", announced(ws.OpText, 8, 1<<63-1), 1009, frame.ErrTooBig, CloseTooBig},
	{"B4 4 GiB", announced(ws.OpBinary, 8, 1<<32), 1009, frame.ErrTooBig, CloseTooBig},
	{"B5 one more than allowed", announced(ws.OpText, 8, 64<<10+1), 1009, frame.ErrTooBig, CloseTooBig},
	{"B5 one more than allowed in all", join(piece(false, ws.OpText, strings.Repeat("a", 60<<10)), piece(false, ws.OpContinuation, strings.Repeat("a", 4<<10+1))), 1009, frame.ErrTooBig, CloseTooBig},
	{"B7 ping of 126 bytes", announced(ws.OpPing, 2, 126), 1002, frame.ErrControlTooLong, CloseProtocol},
	{"B7 close of 126 bytes", announced(ws.OpClose, 2, 126), 1002, frame.ErrControlTooLong, CloseProtocol},
	{"B7 fragmented ping", piece(false, ws.OpPing, "x"), 1002, frame.ErrControlFragmented, CloseProtocol},
	{"B8 continuation of nothing", piece(true, ws.OpContinuation, "x"), 1002, frame.ErrUnexpectedContinuation, CloseProtocol},
	{"B8 message inside a message", join(piece(false, ws.OpText, "x"), piece(true, ws.OpText, "y")), 1002, frame.ErrExpectedContinuation, CloseProtocol},
	{"B9 overlong", piece(true, ws.OpText, "\xc0\xaf"), 1007, frame.ErrInvalidUTF8, CloseInvalidText},
	{"B9 surrogate", piece(true, ws.OpText, "\xed\xa0\x80"), 1007, frame.ErrInvalidUTF8, CloseInvalidText},
	{"B9 beyond Unicode", piece(true, ws.OpText, "\xf4\x90\x80\x80"), 1007, frame.ErrInvalidUTF8, CloseInvalidText},
	{"B9 ends in a code point", piece(true, ws.OpText, "a\xe2\x82"), 1007, frame.ErrInvalidUTF8, CloseInvalidText},
	{"B9 broken across fragments, at once", join(piece(false, ws.OpText, "a\xe2\x82"), piece(false, ws.OpContinuation, "a")), 1007, frame.ErrInvalidUTF8, CloseInvalidText},
	{"C1 one fragment too many", fragmented(65), 1008, frame.ErrTooManyFragments, ClosePolicy},
	{"C1 empty fragments", append(piece(false, ws.OpText, ""), bytes.Repeat(piece(false, ws.OpContinuation, ""), 64)...), 1008, frame.ErrTooManyFragments, ClosePolicy},
	{"close of one byte", piece(true, ws.OpClose, "\x03"), 1002, frame.ErrBadClose, CloseProtocol},
	{"close with text that is not UTF-8", piece(true, ws.OpClose, "\x03\xe8\xff"), 1007, frame.ErrInvalidUTF8, CloseInvalidText},
}

func TestFramingViolations(t *testing.T) {
	s, addr := serve(t, nil)
	other := newBystander(t, addr, enginetest.Options{})
	cases := slices.Clone(violations)
	for _, code := range []uint16{0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 65535} {
		if frame.ValidCloseCode(ws.StatusCode(code)) {
			continue
		}
		c := violations[0]
		c.name, c.fault = fmt.Sprintf("close with %d", code), frame.ErrBadClose
		c.stream = piece(true, ws.OpClose, string(binary.BigEndian.AppendUint16(nil, code)))
		cases = append(cases, c)
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			before := scrape(s)
			for _, seg := range segmentations {
				c := enginetest.Dial(t, addr, "/raw/violations", enginetest.Options{NoCloseReply: true})
				if len(tc.stream) > 1024 && seg.name == "bytes" {
					continue
				}
				seg.send(t, s, c, tc.stream)
				c.ExpectClose(tc.code)
				c.ExpectEOF()
			}
			n := float64(len(segmentations))
			if len(tc.stream) > 1024 {
				n--
			}
			grew(t, s, before, n, frameSeries(tc.fault.Reason()))
			grew(t, s, before, n, closedSeries(tc.reason.String()))
			other.mustBeServed()
		})
	}
	other.client.Close()
	mustBeEmpty(t, s)
}

// TestTooBigAndSent: who announces too much and sends it as well must still be able to read why it was closed.
func TestTooBigAndSent(t *testing.T) {
	s, addr := serve(t, nil)
	other := newBystander(t, addr, enginetest.Options{})
	before := scrape(s)
	const turns = 20
	for range turns {
		c := enginetest.Dial(t, addr, "/raw/big", enginetest.Options{})
		c.SendText(strings.Repeat("a", 1<<20))
		c.ExpectClose(1009)
		if end := c.ExpectEnd(); end != enginetest.EndFIN {
			t.Fatalf("ended with %s: on other systems than Linux that throws the close frame away", end)
		}
	}
	grew(t, s, before, turns, closedSeries("too_big"))
	other.mustBeServed()
}

// TestLegalFrames: streams that are fine, and the messages and pongs that answer them.
func TestLegalFrames(t *testing.T) {
	limit := strings.Repeat("m", 64<<10)
	big := strings.Repeat("\u20ac", 20000)
	s, addr := serve(t, nil)
	other := newBystander(t, addr, enginetest.Options{})
	for _, tc := range []struct {
		name   string
		stream []byte
		want   []string // "t:" text, "b:" binary, "p:" pong
	}{
		{"text", piece(true, ws.OpText, "hello"), []string{"t:hello"}},
		{"empty text", piece(true, ws.OpText, ""), []string{"t:"}},
		{"binary", piece(true, ws.OpBinary, "\x00\xff"), []string{"b:\x00\xff"}},
		{"empty binary", piece(true, ws.OpBinary, ""), []string{"b:"}},
		{"125, 126 and 65,535 bytes", join(piece(true, ws.OpText, limit[:125]), piece(true, ws.OpText, limit[:126]), piece(true, ws.OpText, limit[:65535])),
			[]string{"t:" + limit[:125], "t:" + limit[:126], "t:" + limit[:65535]}},
		{"a message at the limit", piece(true, ws.OpText, limit), []string{"t:" + limit}},
		{"fragments at the limit", join(piece(false, ws.OpText, limit[:60000]), piece(true, ws.OpContinuation, limit[60000:])), []string{"t:" + limit}},
		{"64 fragments", fragmented(64), []string{"t:" + strings.Repeat("a", 64)}},
		{"fragments with pings between", join(piece(false, ws.OpText, "a"), piece(true, ws.OpPing, "1"), piece(false, ws.OpContinuation, ""),
			piece(true, ws.OpPing, ""), piece(true, ws.OpContinuation, "b")), []string{"p:1", "p:", "t:ab"}},
		{"a code point across fragments", join(piece(false, ws.OpText, "\xe2"), piece(false, ws.OpContinuation, "\x82"), piece(true, ws.OpContinuation, "\xac")),
			[]string{"t:\u20ac"}},
		{"much text of three bytes", piece(true, ws.OpText, big), []string{"t:" + big}},
		{"several messages in one segment", join(piece(true, ws.OpText, "1"), piece(true, ws.OpBinary, "2"), piece(true, ws.OpPing, "3"), piece(true, ws.OpText, "4")),
			[]string{"t:1", "b:2", "p:3", "t:4"}},
		{"a ping of 125 bytes", piece(true, ws.OpPing, limit[:125]), []string{"p:" + limit[:125]}},
		{"pongs that nobody asked for", join(piece(true, ws.OpPong, ""), piece(true, ws.OpPong, "12345678"), piece(true, ws.OpText, "x")), []string{"t:x"}},
		{"B14 mask of zeros", append([]byte{0x81, 0x81, 0, 0, 0, 0}, 'x'), []string{"t:x"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			for _, seg := range segmentations {
				if len(tc.stream) > 4096 && seg.name == "bytes" {
					continue
				}
				c := enginetest.Dial(t, addr, "/raw/legal", enginetest.Options{})
				seg.send(t, s, c, tc.stream)
				mustAnswer(t, c, seg.name, tc.want)
				c.CloseHandshake(1000)
			}
			other.mustBeServed()
		})
	}
	other.client.Close()
	mustBeEmpty(t, s)
}

// mustAnswer reads what a legal stream is answered. Messages keep their order, and so do pongs; a pong may pass
// messages, since the room's walk comes last in a turn.
func mustAnswer(t *testing.T, c *enginetest.Client, how string, want []string) {
	t.Helper()
	sort := func(all []string) (messages, pongs []string) {
		for _, one := range all {
			if one[0] == 'p' {
				pongs = append(pongs, one)
			} else {
				messages = append(messages, one)
			}
		}
		return messages, pongs
	}
	var got []string
	for range want {
		switch f := c.ReadFrame(); f.Op {
		case ws.OpText:
			got = append(got, "t:"+string(f.Payload))
		case ws.OpBinary:
			got = append(got, "b:"+string(f.Payload))
		case ws.OpPong:
			got = append(got, "p:"+string(f.Payload))
		default:
			t.Fatalf("%s: opcode %d", how, f.Op)
		}
	}
	gotMessages, gotPongs := sort(got)
	wantMessages, wantPongs := sort(want)
	if !slices.Equal(gotMessages, wantMessages) || !slices.Equal(gotPongs, wantPongs) {
		t.Errorf("%s: %.200q, want %.200q", how, got, want)
	}
	c.ExpectNothing()
}

// TestCloseCodes: a close frame is answered with its own code, and the server is the one that ends TCP.
func TestCloseCodes(t *testing.T) {
	s, addr := serve(t, nil)
	other := newBystander(t, addr, enginetest.Options{})
	codes := []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4401, 4999}
	before := scrape(s)
	for _, code := range codes {
		for _, path := range []string{"/raw/closing", "/ws?room=closing"} {
			c := enginetest.Dial(t, addr, path, v1)
			c.SendClose(code, "a reason")
			c.ExpectClose(code)
			c.ExpectEOF()
		}
	}
	c := enginetest.Dial(t, addr, "/raw/closing", enginetest.Options{})
	c.SendClose(0, "")
	c.ExpectClose(1005) // nothing in it, as in ours
	c.ExpectEOF()
	grew(t, s, before, float64(2*len(codes)+1), closedSeries("normal"))
	other.mustBeServed()
	other.client.Close()
	mustBeEmpty(t, s)
}

// TestAfterClose: what comes behind a close frame is not looked at (B12).
func TestAfterClose(t *testing.T) {
	s, addr := serve(t, nil)
	listener := enginetest.Dial(t, addr, "/raw/late", enginetest.Options{})
	for _, behind := range [][]byte{piece(true, ws.OpText, "too late"), piece(true, ws.OpPing, "too late"), []byte("\xff\xff\xff")} {
		before := scrape(s)
		c := enginetest.Dial(t, addr, "/raw/late", enginetest.Options{NoCloseReply: true})
		c.SendRaw(append(enginetest.CloseFrame(1000, ""), behind...))
		f := c.ReadFrame()
		if f.Op != ws.OpClose || f.CloseCode() != 1000 {
			t.Fatalf("answered with opcode %d %q", f.Op, f.Payload)
		}
		c.ExpectEOF()
		grew(t, s, before, 1, closedSeries("normal"))
	}
	listener.SendText("only this")
	listener.ExpectText("only this")
	listener.ExpectNothing()
}

// TestBinaryOnV1 is B10: the dialect has text only.
func TestBinaryOnV1(t *testing.T) {
	s, addr := serve(t, nil)
	before := scrape(s)
	c := dialV1(t, addr, "/ws", v1)
	c.SendBinary([]byte(`{"type":"ping"}`))
	c.ExpectClose(1003)
	c.ExpectEOF()
	grew(t, s, before, 1, closedSeries("data_kind"))
}

// TestGoneInEveryPhase: a reset or a FIN, wherever it comes, frees everything exactly once (G3).
func TestGoneInEveryPhase(t *testing.T) {
	s, addr := serve(t, nil)
	other := newBystander(t, addr, enginetest.Options{})
	ends := map[string]func(*enginetest.Client){
		"reset": (*enginetest.Client).Reset,
		"fin":   (*enginetest.Client).CloseWrite,
	}
	frames := piece(true, ws.OpText, "hello")
	for name, end := range ends {
		for _, tc := range []struct {
			phase  string
			sent   []byte
			reason string
		}{
			{"before the head", nil, "handshake_gone"},
			{"in the head", []byte(goodHead[:50]), "handshake_gone"},
			{"after the head", []byte(goodHead), "peer_gone"},
			{"in a frame's header", append([]byte(goodHead), frames[:1]...), "peer_gone"},
			{"in a frame's payload", append([]byte(goodHead), frames[:8]...), "peer_gone"},
			{"in a message", append([]byte(goodHead), piece(false, ws.OpText, "hello")...), "peer_gone"},
			{"in a refusal", []byte(targeting("/nowhere")), "refused"},
		} {
			t.Run(name+" "+tc.phase, func(t *testing.T) {
				before := scrape(s)
				c := enrolled(t, s, addr, enginetest.Options{})
				c.SendRaw(tc.sent)
				round(t, s)
				end(c)
				grew(t, s, before, 1, closedSeries(tc.reason))
				c.Close()
				settles(t, s, 1, "roost_connections")
			})
		}
	}
	other.mustBeServed()
	other.client.Close()
	mustBeEmpty(t, s)
}
