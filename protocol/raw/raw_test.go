package raw

import (
	"bytes"
	"testing"

	"github.com/roost-ws/roost/protocol"
)

// payloads are messages that a codec which looks at its input would spoil.
var payloads = []struct {
	name string
	data []byte
}{
	{"empty", []byte{}},
	{"plain", []byte("23.5")},
	{"looks like a command", []byte(`{"type":"join","room":"a"}`)},
	{"white space", []byte(" \r\n\t")},
	{"zero bytes", []byte{0, 0, 0}},
	{"high bytes", []byte{0xff, 0xfe, 0x80}},
}

func TestDecode(t *testing.T) {
	for _, tc := range payloads {
		for _, binary := range []bool{false, true} {
			t.Run(tc.name, func(t *testing.T) {
				cmd := protocol.Command{Room: []byte("old"), ID: []byte("1"), NoEcho: true, Limit: 3}
				if code, detail := (Codec{}).Decode(tc.data, binary, &cmd); code != protocol.NoError || detail != "" {
					t.Fatalf("refused: %v %q", code, detail)
				}
				kind := protocol.Text
				if binary {
					kind = protocol.Binary
				}
				if cmd.Type != protocol.Publish || cmd.Kind != kind || !bytes.Equal(cmd.Data, tc.data) {
					t.Errorf("got %+v", cmd)
				}
				if cmd.Room != nil || cmd.ID != nil || cmd.NoEcho || cmd.Limit != 0 {
					t.Errorf("left over from the message before: %+v", cmd)
				}
			})
		}
	}
}

func TestAppendPushMessage(t *testing.T) {
	forms := []struct {
		kind protocol.Kind
		form protocol.Form
	}{
		{protocol.JSON, protocol.TextMessage},
		{protocol.Text, protocol.TextMessage},
		{protocol.Binary, protocol.BinaryMessage},
	}
	for _, tc := range payloads {
		for _, f := range forms {
			p := protocol.Push{Type: protocol.Message, Room: "a", Data: tc.data, Kind: f.kind, From: "u", Time: 1}
			out, form := Codec{}.AppendPush([]byte("head "), &p)
			if form != f.form || string(out) != "head "+string(tc.data) {
				t.Errorf("%s, kind %d: form %d, %q", tc.name, f.kind, form, out)
			}
		}
	}
}

func TestHasNoWordForTheRest(t *testing.T) {
	for push := protocol.Welcome; push <= protocol.Shutdown; push++ {
		if push == protocol.Message {
			continue
		}
		p := protocol.Push{Type: push, Room: "a", User: "u", Data: []byte("x")}
		if out, form := (Codec{}).AppendPush([]byte("head"), &p); form != protocol.NoMessage || string(out) != "head" {
			t.Errorf("push %d: form %d, %q", push, form, out)
		}
	}
	for reply := protocol.Joined; reply <= protocol.Failed; reply++ {
		r := protocol.Reply{Type: reply, ID: []byte("1"), Room: "a", Code: protocol.Forbidden}
		if out := (Codec{}).AppendReply([]byte("head"), &r); string(out) != "head" {
			t.Errorf("reply %d: %q", reply, out)
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	var codec protocol.Codec = Codec{}
	var cmd protocol.Command
	msg, dst := []byte("23.5"), make([]byte, 0, 64)
	p := protocol.Push{Type: protocol.Message, Room: "a", Data: msg, Kind: protocol.Text}
	r := protocol.Reply{Type: protocol.Published, Room: "a"}
	if n := testing.AllocsPerRun(100, func() {
		codec.Decode(msg, false, &cmd)
		codec.AppendPush(dst, &p)
		codec.AppendReply(dst, &r)
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

// FuzzRoundTrip: what one client sends is what every other client gets, in the same form.
func FuzzRoundTrip(f *testing.F) {
	for _, tc := range payloads {
		f.Add(tc.data, false)
		f.Add(tc.data, true)
	}
	f.Fuzz(func(t *testing.T, msg []byte, binary bool) {
		var cmd protocol.Command
		if code, _ := (Codec{}).Decode(msg, binary, &cmd); code != protocol.NoError {
			t.Fatalf("refused with %v", code)
		}
		out, form := Codec{}.AppendPush(nil, &protocol.Push{Type: protocol.Message, Data: cmd.Data, Kind: cmd.Kind})
		if !bytes.Equal(out, msg) || (form == protocol.BinaryMessage) != binary || form == protocol.NoMessage {
			t.Fatalf("sent %q, got %q in form %d", msg, out, form)
		}
	})
}
