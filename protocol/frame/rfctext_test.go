package frame

// Group 6 of the RFC table: UTF-8 in text messages, and how early a violation is told.

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// kosme is the word of Markus Kuhn's UTF-8 test file, in two- and three-byte sequences.
const kosme = "\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5"

func utf8Cases() []rfcCase {
	cases := []rfcCase{
		{name: "empty", frames: []wire{text("")}, events: []seen{isText("")}},
		{name: "three empty fragments", frames: []wire{first(""), more(""), last("")}, events: []seen{isText("")}},
		{name: "long valid text", frames: []wire{text("Hello-µ@ßöäüàá-UTF-8!!")}, events: []seen{isText("Hello-µ@ßöäüàá-UTF-8!!")}},
		{name: "fragments at code point borders", frames: []wire{first("Hello-µ@ßöä"), last("üàá-UTF-8!!")},
			events: []seen{isText("Hello-µ@ßöäüàá-UTF-8!!")}},
		{name: "four bytes over four fragments with pings", frames: []wire{first("\xf0"), ping("1"), more("\x90"), more("\x80"), ping("2"), last("\x80")},
			events: []seen{isPing("1"), isPing("2"), isText("\U00010000")}},
		{name: "a code point split around an empty fragment", frames: []wire{first("\xe2\x82"), more(""), last("\xac")}, events: []seen{isText("€")}},
		{name: "binary is not checked", frames: []wire{binaryFrame("\xff\xfe")}, events: []seen{isBinary("\xff\xfe")}},
		{name: "fragmented binary is not checked", frames: []wire{{op: 2, payload: "\xff"}, last("\xc0")}, events: []seen{isBinary("\xff\xc0")}},

		// Early failure (6.3, 6.4): the verdict comes with the offending byte, though the message is not complete.
		{name: "early, in the first fragment", frames: []wire{first(kosme + "\xed\xa0\x80")}, err: ErrInvalidUTF8, at: inPayload(len(kosme) + 1)},
		{name: "early, in the middle of a whole frame", frames: []wire{text(kosme + "\xf4\x90\x80\x80edited")}, err: ErrInvalidUTF8, at: inPayload(len(kosme) + 1)},
		{name: "early, first byte of the second fragment", frames: []wire{first(kosme + "\xf4"), more("\x90")}, err: ErrInvalidUTF8, at: inPayload(0)},
		{name: "early, second byte of the second fragment", frames: []wire{first(kosme), more("\xf4\x90\x80")}, err: ErrInvalidUTF8, at: inPayload(1)},
		{name: "early, before the ping that follows", frames: []wire{ping("a"), first("\xc0")}, events: []seen{isPing("a")}, err: ErrInvalidUTF8, at: inPayload(0)},
		{name: "early, deep in a large frame", frames: []wire{text(strings.Repeat("é", 5000) + "\xff" + strings.Repeat("é", 5000))},
			err: ErrInvalidUTF8, at: inPayload(10000)},

		// Truncation: certain only at the end of the message.
		{name: "truncated whole frame", frames: []wire{text("\xe2\x82")}, err: ErrInvalidUTF8},
		{name: "truncated last fragment", frames: []wire{first("a"), last("\xf0\x90\x80")}, err: ErrInvalidUTF8},
		{name: "truncated, found by an empty last fragment", frames: []wire{first("\xe2\x82"), last("")}, err: ErrInvalidUTF8},
		{name: "state does not leak into the next message", frames: []wire{first("\xe2\x82"), last("\xac"), text("ok"), first("ok"), last("é")},
			events: []seen{isText("€"), isText("ok"), isText("oké")}},
	}
	for _, s := range sequences {
		cases = append(cases, sequenceCases(s.name, s.bytes, s.at)...)
	}
	return cases
}

// sequences are the classic byte sequences; at is the byte that makes an invalid one certain, -1 for a valid one.
// A truncated sequence is certain with the end of the message: at is then its length.
var sequences = []struct {
	name  string
	bytes string
	at    int
}{
	{"kosme", kosme, -1},
	{"first of two bytes", "\xc2\x80", -1},
	{"first of three bytes", "\xe0\xa0\x80", -1},
	{"first of four bytes", "\xf0\x90\x80\x80", -1},
	{"last of one byte", "\x7f", -1},
	{"last of two bytes", "\xdf\xbf", -1},
	{"last of three bytes", "\xef\xbf\xbf", -1},
	{"last of four bytes", "\xf4\x8f\xbf\xbf", -1},
	{"NUL", "\x00", -1},
	{"before the surrogates", "\xed\x9f\xbf", -1},
	{"after the surrogates", "\xee\x80\x80", -1},
	{"replacement character", "\xef\xbf\xbd", -1},
	{"non-character U+FFFE", "\xef\xbf\xbe", -1},
	{"non-character U+1FFFF", "\xf0\x9f\xbf\xbf", -1},
	{"byte order mark", "\xef\xbb\xbf", -1},
	{"first of five bytes", "\xf8\x88\x80\x80\x80", 0},
	{"first of six bytes", "\xfc\x84\x80\x80\x80\x80", 0},
	{"beyond U+10FFFF", "\xf4\x90\x80\x80", 1},
	{"lead byte f5", "\xf5\x80\x80\x80", 0},
	{"last of 21 bits", "\xf7\xbf\xbf\xbf", 0},
	{"lone continuation 80", "\x80", 0},
	{"lone continuation bf", "\xbf", 0},
	{"two continuations", "\x80\xbf", 0},
	{"many continuations", "\x80\x81\x82\x83\x84\x85\x86\x87", 0},
	{"lead of two, then space", "\xc3\x20", 1},
	{"lead of three, then space", "\xe1\x20", 1},
	{"lead of four, then space", "\xf1\x20", 1},
	{"three bytes, last missing, then text", "\xe2\x82x", 2},
	{"four bytes, last missing, then text", "\xf1\x80\x80x", 3},
	{"two leads", "\xc3\xc3", 1},
	{"fe", "\xfe", 0},
	{"ff", "\xff", 0},
	{"fe fe ff ff", "\xfe\xfe\xff\xff", 0},
	{"overlong slash in two bytes", "\xc0\xaf", 0},
	{"overlong slash in three bytes", "\xe0\x80\xaf", 1},
	{"overlong slash in four bytes", "\xf0\x80\x80\xaf", 1},
	{"overlong slash in five bytes", "\xf8\x80\x80\x80\xaf", 0},
	{"longest overlong of two bytes", "\xc1\xbf", 0},
	{"longest overlong of three bytes", "\xe0\x9f\xbf", 1},
	{"longest overlong of four bytes", "\xf0\x8f\xbf\xbf", 1},
	{"overlong NUL", "\xc0\x80", 0},
	{"first high surrogate", "\xed\xa0\x80", 1},
	{"last high surrogate", "\xed\xaf\xbf", 1},
	{"first low surrogate", "\xed\xb0\x80", 1},
	{"last low surrogate", "\xed\xbf\xbf", 1},
	{"surrogate pair", "\xed\xa0\x80\xed\xb0\x80", 1},
	{"two bytes truncated", "\xc3", 1},
	{"three bytes truncated to one", "\xe1", 1},
	{"three bytes truncated to two", "\xe1\x80", 2},
	{"four bytes truncated to one", "\xf1", 1},
	{"four bytes truncated to two", "\xf1\x80", 2},
	{"four bytes truncated to three", "\xf1\x80\x80", 3},
}

// sequenceCases puts a sequence behind text in a whole frame, and in one fragment for each of its bytes.
func sequenceCases(name, s string, at int) []rfcCase {
	if valid := utf8.ValidString(s); valid != (at < 0) {
		panic("the table is wrong about " + name)
	}
	one := rfcCase{name: name + ", in one frame", frames: []wire{text("abc" + s)}}
	each := rfcCase{name: name + ", a fragment a byte", frames: []wire{first("abc")}}
	for i := range len(s) {
		if i == at {
			each.frames = append(each.frames, more(s[i:i+1]))
			break
		}
		each.frames = append(each.frames, more(s[i:i+1]))
	}
	switch {
	case at < 0:
		one.events = []seen{isText("abc" + s)}
		each.frames = append(each.frames, last(""))
		each.events = one.events
	case at < len(s):
		one.err, one.at = ErrInvalidUTF8, inPayload(3+at)
		each.err = ErrInvalidUTF8
	default: // truncated
		one.err = ErrInvalidUTF8
		each.frames = append(each.frames, last(""))
		each.err = ErrInvalidUTF8
	}
	return []rfcCase{one, each, {
		name: fmt.Sprintf("%s, as a close reason", name), frames: []wire{closing(1000, s)},
		err: one.err, events: closeEvents(at, s)}}
}

// closeEvents expects a close with reason s unless at marks it as invalid.
func closeEvents(at int, s string) []seen {
	if at >= 0 {
		return nil
	}
	return []seen{isClose(1000, s)}
}
