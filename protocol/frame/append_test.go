package frame

// What is appended, against gobwas/ws and against this package's own reader.

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

func TestAppendSizes(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 70000} {
		payload := []byte(pattern(n))
		var want bytes.Buffer
		if err := ws.WriteFrame(&want, ws.NewBinaryFrame(payload)); err != nil {
			t.Fatal(err)
		}
		got := Append([]byte("kept"), ws.OpBinary, payload)
		if string(got) != "kept"+want.String() {
			t.Errorf("%d bytes: Append and ws.WriteFrame differ", n)
		}
		if len(got)-4-n != HeaderSize(n) {
			t.Errorf("%d bytes: header of %d, HeaderSize %d", n, len(got)-4-n, HeaderSize(n))
		}

		want.Reset()
		if err := ws.WriteFrame(&want, ws.MaskFrameWith(ws.NewFrame(ws.OpText, false, payload), testKey)); err != nil {
			t.Fatal(err)
		}
		if got := AppendMasked(nil, false, 0, ws.OpText, testKey, payload); !bytes.Equal(got, want.Bytes()) {
			t.Errorf("%d bytes: AppendMasked and ws.WriteFrame differ", n)
		}
		compressed := AppendCompressed(nil, ws.OpText, payload)
		if plain := Append(nil, ws.OpText, payload); compressed[0] != plain[0]|0x40 || !bytes.Equal(compressed[1:], plain[1:]) {
			t.Errorf("%d bytes: AppendCompressed starts with %x", n, compressed[:2])
		}
	}
}

func TestAppendControl(t *testing.T) {
	full := pattern(125)
	cases := []struct {
		name string
		got  []byte
		want string
	}{
		{"empty ping", AppendPing(nil, nil), "\x89\x00"},
		{"ping", AppendPing(nil, []byte("hi")), "\x89\x02hi"},
		{"pong", AppendPong([]byte("kept"), []byte("hi")), "kept\x8a\x02hi"},
		{"ping of 125", AppendPing(nil, []byte(full)), "\x89\x7d" + full},
		{"ping of 126 is cut", AppendPing(nil, []byte(pattern(126))), "\x89\x7d" + full},
		{"pong of 126 is cut", AppendPong(nil, []byte(pattern(126))), "\x8a\x7d" + full},
		{"close", AppendClose(nil, 1000, ""), "\x88\x02\x03\xe8"},
		{"close with reason", AppendClose([]byte("kept"), 1001, "bye"), "kept\x88\x05\x03\xe9bye"},
		{"close without code", AppendClose(nil, 0, "ignored"), "\x88\x00"},
		{"close with 1005", AppendClose(nil, ws.StatusNoStatusRcvd, "ignored"), "\x88\x00"},
		{"close with 1006", AppendClose(nil, ws.StatusAbnormalClosure, ""), "\x88\x00"},
		{"close with 1013", AppendClose(nil, 1013, ""), "\x88\x02\x03\xf5"},
		{"close, reason of 123", AppendClose(nil, 1000, full[:123]), "\x88\x7d\x03\xe8" + full[:123]},
		{"close, reason of 124", AppendClose(nil, 1000, full[:124]), "\x88\x7d\x03\xe8" + full[:123]},
		{"close, code point at the cut", AppendClose(nil, 1000, full[:122]+"é"), "\x88\x7c\x03\xe8" + full[:122]},
		{"close, reason not UTF-8", AppendClose(nil, 1000, "a\xffb"), "\x88\x07\x03\xe8a\uFFFDb"},
	}
	for _, c := range cases {
		if string(c.got) != c.want {
			t.Errorf("%s: %q, want %q", c.name, c.got, c.want)
		}
	}
}

// TestAppendCloseIsReadable reads back what AppendClose makes of any code and of reasons of any length.
func TestAppendCloseIsReadable(t *testing.T) {
	lim := &Limits{ClientSide: true}
	for code := 0; code <= 0xffff; code += 1 + code/5000*97 {
		got := feed(t, AppendClose(nil, ws.StatusCode(code), "why"), lim, whole)
		if got.err != nil || len(got.events) != 1 || got.events[0].kind != Close {
			t.Fatalf("code %d: %+v", code, got)
		}
		want := ws.StatusCode(code)
		if !ValidCloseCode(want) {
			want = ws.StatusNoStatusRcvd
		}
		if got.events[0].code != want {
			t.Fatalf("code %d came as %d", code, got.events[0].code)
		}
	}
	for n := range 80 {
		for _, r := range []string{"a", "é", "€", "😀", "\xff", "\xf0\x9f"} {
			reason := strings.Repeat("x", n) + strings.Repeat(r, 80)
			got := feed(t, AppendClose(nil, 1000, reason), lim, whole)
			if got.err != nil || len(got.events) != 1 {
				t.Fatalf("%d+%q: %+v", n, r, got)
			}
			kept := got.events[0].reason
			if utf8.ValidString(reason) && (!strings.HasPrefix(reason, kept) || len(kept) < min(len(reason), 120)) {
				t.Fatalf("%d+%q: reason came as %q", n, r, kept)
			}
		}
	}
}

func ExampleAppendMasked() {
	b := AppendMasked(nil, true, 0, ws.OpText, [4]byte{0x37, 0xfa, 0x21, 0x3d}, []byte("Hello"))
	fmt.Printf("% x\n", b) // the masked example of RFC 6455, section 5.7
	// Output: 81 85 37 fa 21 3d 7f 9f 4d 51 58
}
