package frame

// Headers one by one, and the list of faults.

import (
	"testing"

	"github.com/gobwas/ws"
)

func TestParseHeader(t *testing.T) {
	const most = 1 << 20
	server, client := ws.StateServerSide, ws.StateClientSide
	key := [4]byte{1, 2, 3, 4}
	cases := []struct {
		name  string
		in    []byte
		state ws.State
		want  ws.Header
		size  int
		err   error
	}{
		{name: "nothing", state: server},
		{name: "one byte", in: []byte{0x81}, state: server},
		{name: "mask to come", in: []byte{0x81, 0x85, 1, 2, 3}, state: server},
		{name: "16-bit length to come", in: []byte{0x81, 0xfe, 1}, state: server},
		{name: "64-bit length to come", in: []byte{0x81, 0xff, 0, 0, 0, 0, 0, 1, 0}, state: server},
		{name: "64-bit length there, mask to come", in: []byte{0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3}, state: server},
		{name: "7-bit length", in: []byte{0x81, 0x85, 1, 2, 3, 4, 'x'}, state: server, size: 6,
			want: ws.Header{Fin: true, OpCode: ws.OpText, Masked: true, Mask: key, Length: 5}},
		{name: "16-bit length", in: []byte{0x02, 0xfe, 1, 0, 1, 2, 3, 4}, state: server, size: 8,
			want: ws.Header{OpCode: ws.OpBinary, Masked: true, Mask: key, Length: 256}},
		{name: "64-bit length", in: []byte{0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4}, state: server, size: 14,
			want: ws.Header{Fin: true, OpCode: ws.OpBinary, Masked: true, Mask: key, Length: 65536}},
		{name: "from a server", in: []byte{0x82, 0x05}, state: client, size: 2, want: ws.Header{Fin: true, OpCode: ws.OpBinary, Length: 5}},
		{name: "from a server, long", in: []byte{0x82, 126, 0, 126}, state: client, size: 4, want: ws.Header{Fin: true, OpCode: ws.OpBinary, Length: 126}},
		{name: "from a server, masked", in: []byte{0x82, 0x85}, state: client, err: ErrMasked},
		{name: "from a client, unmasked", in: []byte{0x82, 0x05}, state: server, err: ErrUnmasked},
		{name: "RSV1 without extension", in: []byte{0xc1}, state: server, err: ErrReservedBits},
		{name: "RSV1 with extension", in: []byte{0xc1, 0x80, 1, 2, 3, 4}, state: server | ws.StateExtended, size: 6,
			want: ws.Header{Fin: true, Rsv: rsv1, OpCode: ws.OpText, Masked: true, Mask: key}},
		{name: "RSV1 on continuation", in: []byte{0xc0}, state: server | ws.StateExtended | ws.StateFragmented, err: ErrReservedBits},
		{name: "continuation expected", in: []byte{0x81}, state: server | ws.StateFragmented, err: ErrExpectedContinuation},
		{name: "continuation", in: []byte{0x00, 0x80, 1, 2, 3, 4}, state: server | ws.StateFragmented, size: 6,
			want: ws.Header{Masked: true, Mask: key}},
		{name: "ping inside a message", in: []byte{0x89, 0x80, 1, 2, 3, 4}, state: server | ws.StateFragmented, size: 6,
			want: ws.Header{Fin: true, OpCode: ws.OpPing, Masked: true, Mask: key}},
		{name: "too big", in: []byte{0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 1}, state: server, err: ErrTooBig},
		{name: "just not too big", in: []byte{0x82, 0xff, 0, 0, 0, 0, 0, 0x10, 0, 0, 1, 2, 3, 4}, state: server, size: 14,
			want: ws.Header{Fin: true, OpCode: ws.OpBinary, Masked: true, Mask: key, Length: most}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h, size, err := ParseHeader(c.in, c.state, most)
			if h != c.want || size != c.size || err != c.err {
				t.Errorf("got %+v, %d, %v; want %+v, %d, %v", h, size, err, c.want, c.size, c.err)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	reasons := map[string]bool{"unknown": true}
	for _, e := range Errors() {
		if e.Reason() == "" || reasons[e.Reason()] {
			t.Errorf("error %d: reason %q is empty or not unique", e, e.Reason())
		}
		reasons[e.Reason()] = true
		switch e.Code() {
		case ws.StatusProtocolError, ws.StatusInvalidFramePayloadData, ws.StatusPolicyViolation, ws.StatusMessageTooBig:
		default:
			t.Errorf("%s: close code %d", e.Reason(), e.Code())
		}
		if e.Error() == "frame: " {
			t.Errorf("%s: no text", e.Reason())
		}
	}
	if len(Errors()) != 14 {
		t.Errorf("%d errors", len(Errors()))
	}
	for _, e := range []Error{0, errorEnd, 255} {
		if e.Reason() != "unknown" || e.Error() != "unknown frame error" || e.Code() != ws.StatusProtocolError {
			t.Errorf("error %d: %q, %q, %d", uint8(e), e.Reason(), e.Error(), e.Code())
		}
	}
}
