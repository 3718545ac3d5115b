package roostv1

import (
	"strings"
	"testing"

	"github.com/roost-ws/roost/protocol"
)

// benchPublish is a chat message of 150 bytes. What the figures would be wrong about: a loop decodes with cold
// caches between messages of other connections, here the same one comes again and again.
const benchPublish = `{"type":"publish","id":17,"room":"chat.lobby","data":{"text":"hello there, how are you today?","at":1732579200123,"tags":["a","b"],"reply_to":null}}`

func BenchmarkDecode(b *testing.B) {
	nested := `{"type":"publish","room":"a","data":[` + strings.Repeat(`{"x":1,"y":[2,3]},`, 3000) + `0]}`
	text := `{"type":"publish","room":"a","data":"` + strings.Repeat("ä quick brown fox. ", 3000) + `"}`
	for _, bm := range []struct{ name, msg string }{
		{"publish 150 B", benchPublish},
		{"join since", `{"type":"join","id":1,"room":"chat.lobby","since":{"epoch":"k3Zq","offset":40}}`},
		{"ping", `{"type":"ping","id":1}`},
		{"refused", `{"type":"shutdown","id":1}`},
		{"publish 60 KB nested", nested},
		{"publish 60 KB text", text},
		{"bomb", strings.Repeat("[", 60000)},
	} {
		b.Run(bm.name, func(b *testing.B) {
			codec, msg := New(), []byte(bm.msg)
			var cmd protocol.Command
			b.SetBytes(int64(len(msg)))
			b.ReportAllocs()
			for b.Loop() {
				codec.Decode(msg, false, &cmd)
			}
		})
	}
}

func BenchmarkAppendPush(b *testing.B) {
	push := protocol.Push{Type: protocol.Message, Room: "chat.lobby", From: "ada", Time: 1764000000123,
		Data: []byte(`{"text":"hello there, how are you today?","at":1732579200123,"tags":["a","b"],"reply_to":null}`)}
	dst := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		Encoder{}.AppendPush(dst, &push)
	}
}

func BenchmarkAppendReply(b *testing.B) {
	reply := protocol.Reply{Type: protocol.Published, ID: []byte("17"), Room: "chat.lobby", Position: protocol.Position{Offset: 43}}
	dst := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		Encoder{}.AppendReply(dst, &reply)
	}
}
