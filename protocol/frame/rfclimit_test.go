package frame

// Groups 7, 9 and 10 of the RFC table, and the header's own rules: close frames, sizes, fragment counts, masks.

import (
	"fmt"
	"strings"

	"github.com/gobwas/ws"
)

func closeCases() []rfcCase {
	reason := strings.Repeat("*", 123)
	cases := []rfcCase{
		{name: "empty", frames: []wire{control("")}, events: []seen{{kind: Close, code: ws.StatusNoStatusRcvd}}},
		{name: "one byte", frames: []wire{control("a")}, err: ErrBadClose},
		{name: "code alone", frames: []wire{closing(1000, "")}, events: []seen{isClose(1000, "")}},
		{name: "code and reason", frames: []wire{closing(1000, "Hello World!")}, events: []seen{isClose(1000, "Hello World!")}},
		{name: "reason of 123 bytes", frames: []wire{closing(1000, reason)}, events: []seen{isClose(1000, reason)}},
		{name: "reason of 124 bytes", frames: []wire{closing(1000, reason+"*")}, err: ErrControlTooLong, at: inHeader(1)},
		{name: "bad code before bad reason", frames: []wire{closing(999, "\xff")}, err: ErrBadClose},
		{name: "after a message", frames: []wire{text("a"), closing(1000, "")}, events: []seen{isText("a"), isClose(1000, "")}},
		{name: "after a ping", frames: []wire{ping("a"), closing(1000, "")}, events: []seen{isPing("a"), isClose(1000, "")}},
	}
	for _, code := range []ws.StatusCode{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014,
		3000, 3999, 4000, 4401, 4999} {
		cases = append(cases,
			rfcCase{name: fmt.Sprintf("valid code %d", code), frames: []wire{closing(code, "")}, events: []seen{isClose(code, "")}},
			rfcCase{name: fmt.Sprintf("valid code %d with reason", code), frames: []wire{closing(code, "why")}, events: []seen{isClose(code, "why")}})
	}
	for _, code := range []ws.StatusCode{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999} {
		cases = append(cases,
			rfcCase{name: fmt.Sprintf("invalid code %d", code), frames: []wire{closing(code, "")}, err: ErrBadClose},
			rfcCase{name: fmt.Sprintf("invalid code %d with reason", code), frames: []wire{closing(code, "why")}, err: ErrBadClose})
	}
	return cases
}

func limitCases() []rfcCase {
	cases := []rfcCase{
		{name: "exactly the limit", frames: []wire{text(pattern(100))}, events: []seen{isText(pattern(100))}, lim: Limits{MessageBytes: 100}},
		{name: "one above, 7-bit length", frames: []wire{text(pattern(101))}, err: ErrTooBig, at: inHeader(1), lim: Limits{MessageBytes: 100}},
		{name: "one above, 16-bit length", frames: []wire{text(pattern(301))}, err: ErrTooBig, at: inHeader(3), lim: Limits{MessageBytes: 300}},
		{name: "sure from half of a 16-bit length", frames: []wire{text(pattern(512))}, err: ErrTooBig, at: inHeader(2), lim: Limits{MessageBytes: 300}},
		{name: "one above, 64-bit length", frames: []wire{text(pattern(65537))}, err: ErrTooBig, at: inHeader(9), lim: Limits{MessageBytes: 65536}},
		{name: "sum exactly the limit", frames: []wire{first(pattern(60)), last(pattern(40))}, events: []seen{isText(pattern(60) + pattern(40))}, lim: Limits{MessageBytes: 100}},
		{name: "sum one above", frames: []wire{first(pattern(60)), more(pattern(40)), last("x")}, err: ErrTooBig, at: inHeader(1), lim: Limits{MessageBytes: 100}},
		{name: "empty fragment at the limit", frames: []wire{first(pattern(100)), last("")}, events: []seen{isText(pattern(100))}, lim: Limits{MessageBytes: 100}},
		{name: "the sum starts anew", frames: []wire{first(pattern(60)), last(pattern(40)), text(pattern(100))},
			events: []seen{isText(pattern(60) + pattern(40)), isText(pattern(100))}, lim: Limits{MessageBytes: 100}},
		{name: "2^32", frames: []wire{raw(0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0)}, err: ErrTooBig, at: inHeader(5), server: true},
		{name: "2^63-1", frames: []wire{raw(0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)}, err: ErrTooBig, at: inHeader(2), server: true},
		{name: "2^63-1 on a continuation", frames: []wire{first("a"), raw(0x80, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)}, err: ErrTooBig, at: inHeader(2), server: true},
		{name: "as many fragments as allowed", frames: []wire{first("a"), more("b"), last("c")}, events: []seen{isText("abc")}, lim: Limits{Fragments: 3}},
		{name: "one fragment too many", frames: []wire{first("a"), more("b"), more("c"), last("d")}, err: ErrTooManyFragments,
			at: inHeader(0), lim: Limits{Fragments: 3}},
		{name: "pings do not count", frames: []wire{first("a"), ping(""), ping(""), ping(""), last("b")},
			events: []seen{isPing(""), isPing(""), isPing(""), isText("ab")}, lim: Limits{Fragments: 2}},
		{name: "the count starts anew", frames: []wire{first("a"), last("b"), first("c"), last("d")}, events: []seen{isText("ab"), isText("cd")}, lim: Limits{Fragments: 2}},
		{name: "a whole message with one fragment allowed", frames: []wire{text("a")}, events: []seen{isText("a")}, lim: Limits{Fragments: 1}},
		{name: "a flood of empty fragments", frames: append([]wire{first("")}, repeat(more(""), 64)...), err: ErrTooManyFragments,
			at: inHeader(0), lim: Limits{Fragments: 64}},
	}
	for _, n := range []int{1 << 16, 1 << 18, 1 << 20} {
		s := pattern(n)
		cases = append(cases,
			rfcCase{name: fmt.Sprintf("text of %d", n), frames: []wire{text(s)}, events: []seen{isText(s)}},
			rfcCase{name: fmt.Sprintf("binary of %d", n), frames: []wire{binaryFrame(s)}, events: []seen{isBinary(s)}})
	}
	s := pattern(1 << 16)
	for _, n := range []int{64, 256, 1024, 4096, 16384, 65535} {
		cases = append(cases, rfcCase{name: fmt.Sprintf("fragments of %d", n), frames: split(s, n), events: []seen{isText(s)}})
	}
	return cases
}

func autoFragmentationCases() []rfcCase {
	s := pattern(65536)
	accents := strings.Repeat("aé€😀", 6553)
	return []rfcCase{
		{name: "65536 in frames of 1300", frames: split(s, 1300), events: []seen{isText(s)}},
		{name: "non-ASCII in frames of 1300, which cut code points", frames: split(accents, 1300), events: []seen{isText(accents)}},
		{name: "in frames of 1300 with the limit just so", frames: split(s, 1300), events: []seen{isText(s)}, lim: Limits{MessageBytes: 65536, Fragments: 51}},
	}
}

func headerCases() []rfcCase {
	hello := "Hello"
	key := [4]byte{0, 0, 0, 0}
	return []rfcCase{
		{name: "zero mask", frames: []wire{raw(AppendMasked(nil, true, 0, ws.OpText, key, []byte(hello))...)}, events: []seen{isText(hello)}, server: true},
		{name: "unmasked text", frames: []wire{raw(Append(nil, ws.OpText, []byte(hello))...)}, err: ErrUnmasked, at: inHeader(1), server: true},
		{name: "unmasked empty text", frames: []wire{raw(Append(nil, ws.OpText, nil)...)}, err: ErrUnmasked, server: true},
		{name: "unmasked ping", frames: []wire{raw(AppendPing(nil, nil)...)}, err: ErrUnmasked, server: true},
		{name: "unmasked continuation", frames: []wire{first("a"), raw(0x80, 0x00)}, err: ErrUnmasked, server: true},
		{name: "16-bit length of 0", frames: []wire{raw(0x82, 0xfe, 0, 0)}, err: ErrNonMinimalLength, server: true},
		{name: "16-bit length of 125", frames: []wire{raw(0x82, 0xfe, 0, 125)}, err: ErrNonMinimalLength, server: true},
		{name: "64-bit length of 0", frames: []wire{raw(0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 0)}, err: ErrNonMinimalLength, at: inHeader(7), server: true},
		{name: "64-bit length of 125", frames: []wire{raw(0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 125)}, err: ErrNonMinimalLength, at: inHeader(7), server: true},
		{name: "64-bit length of 65535", frames: []wire{raw(0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff)}, err: ErrNonMinimalLength, at: inHeader(7), server: true},
		{name: "64-bit length with the top bit", frames: []wire{raw(0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 1)}, err: ErrBadLength, at: inHeader(2), server: true},
		{name: "64-bit length of all ones", frames: []wire{raw(0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)}, err: ErrBadLength, at: inHeader(2), server: true},
		{name: "ping with a 16-bit length", frames: []wire{raw(0x89, 0xfe, 0, 5)}, err: ErrControlTooLong, at: inHeader(1), server: true},
		{name: "ping with a 64-bit length", frames: []wire{raw(0x89, 0xff, 0x80)}, err: ErrControlTooLong, at: inHeader(1), server: true},
		{name: "header never ends", frames: []wire{raw(0x82, 0xff, 0, 0)}, open: true, server: true},
		{name: "mask never ends", frames: []wire{raw(0x82, 0x85, 1, 2, 3)}, open: true, server: true},
		{name: "payload never starts", frames: []wire{raw(0x82, 0x85, 1, 2, 3, 4)}, open: true, server: true},
		{name: "ping never ends", frames: []wire{raw(0x89, 0x85, 1, 2, 3, 4, 5)}, open: true, server: true},
	}
}

// repeat is n times w.
func repeat(w wire, n int) []wire {
	frames := make([]wire, n)
	for i := range frames {
		frames[i] = w
	}
	return frames
}

// split cuts s into a message of frames with n bytes each.
func split(s string, n int) []wire {
	frames := []wire{first(s[:n])}
	for s = s[n:]; len(s) > n; s = s[n:] {
		frames = append(frames, more(s[:n]))
	}
	return append(frames, last(s))
}
