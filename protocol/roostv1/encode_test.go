package roostv1

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"

	"github.com/roost-ws/roost/protocol"
)

func TestAppendPushEdges(t *testing.T) {
	cases := []struct {
		name string
		push protocol.Push
		want string
	}{
		{"text that needs escapes",
			protocol.Push{Type: protocol.Message, Room: "a", Data: []byte("\"\\\b\f\n\r\t\x00\x1f\x7f</script>\u2028"), Kind: protocol.Text},
			`{"type":"message","room":"a","data":"\"\\\b\f\n\r\t\u0000\u001f` + "\x7f</script>\u2028" + `"}`},
		{"text that is no UTF-8",
			protocol.Push{Type: protocol.Message, Room: "a", Data: []byte("a\xffb"), Kind: protocol.Text},
			`{"type":"message","room":"a","data":"a` + "\ufffd" + `b"}`},
		{"text that is JSON stays a string",
			protocol.Push{Type: protocol.Message, Room: "a", Data: []byte(`{"a":1}`), Kind: protocol.Text},
			`{"type":"message","room":"a","data":"{\"a\":1}"}`},
		{"empty binary", protocol.Push{Type: protocol.Message, Room: "a", Kind: protocol.Binary},
			`{"type":"message","room":"a","data":""}`},
		{"padded binary", protocol.Push{Type: protocol.Message, Room: "a", Data: []byte{0xfb, 0xff}, Kind: protocol.Binary},
			`{"type":"message","room":"a","data":"+/8="}`},
		{"JSON that is missing", protocol.Push{Type: protocol.Message, Room: "a"},
			`{"type":"message","room":"a","data":null}`},
		{"user name that tries to get out",
			protocol.Push{Type: protocol.Message, Room: "a", Data: []byte("1"), From: `x","offset":9,"y":"` + "\n"},
			`{"type":"message","room":"a","data":1,"from":"x\",\"offset\":9,\"y\":\"\n"}`},
		{"largest figures",
			protocol.Push{Type: protocol.Message, Room: "a", Data: []byte("1"), Time: 1<<63 - 1, Position: protocol.Position{Offset: 1<<64 - 1}},
			`{"type":"message","room":"a","data":1,"offset":18446744073709551615,"time":9223372036854775807}`},
		{"anonymous user", protocol.Push{Type: protocol.Welcome, Connection: "c", Node: "n"},
			`{"type":"welcome","connection":"c","user":"","node":"n","heartbeat":0}`},
		{"at once", protocol.Push{Type: protocol.Shutdown}, `{"type":"shutdown","reconnectIn":0}`},
		{"offset without epoch", protocol.Push{Type: protocol.Gap, Room: "a", Position: protocol.Position{Offset: 3}},
			`{"type":"gap","room":"a","offset":3}`},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			out, form := New().AppendPush([]byte("head "), &tc.push)
			if form != protocol.TextMessage || string(out) != "head "+tc.want {
				t.Errorf("form %d\ngot  %s\nwant head %s", form, out, tc.want)
			}
			if !json.Valid(out[len("head "):]) {
				t.Error("no JSON")
			}
		})
	}
}

func TestAppendReplyEdges(t *testing.T) {
	cases := []struct {
		name  string
		reply protocol.Reply
		want  string
	}{
		{"recovered, nothing missed", protocol.Reply{Type: protocol.Joined, ID: []byte("1"), Room: "a", HasRecovered: true, Recovered: true,
			Position: protocol.Position{Epoch: "e", Offset: 4}},
			`{"type":"joined","id":1,"room":"a","epoch":"e","offset":4,"recovered":true}`},
		{"token without end", protocol.Reply{Type: protocol.Refreshed, ID: []byte("1")}, `{"type":"refreshed","id":1}`},
		{"code of no word", protocol.Reply{Type: protocol.Failed, Code: 200}, `{"type":"error","code":"internal","message":""}`},
		{"no id", protocol.Reply{Type: protocol.Pong}, `{"type":"pong"}`},
		{"messages are of the answer's room", protocol.Reply{Type: protocol.HistoryList, ID: []byte(`"x"`), Room: "a",
			Messages: []protocol.Push{{Type: protocol.Gap, Room: "b", Data: []byte("1")}}},
			`{"type":"history","id":"x","room":"a","messages":[{"type":"message","room":"a","data":1}]}`},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if out := New().AppendReply([]byte("head "), &tc.reply); string(out) != "head "+tc.want {
				t.Errorf("\ngot  %s\nwant head %s", out, tc.want)
			}
		})
	}
}

func TestUnknownTypesSayNothing(t *testing.T) {
	codec := New()
	for _, n := range []uint8{0, 200} {
		out, form := codec.AppendPush([]byte("head"), &protocol.Push{Type: protocol.PushType(n), Room: "a"})
		if form != protocol.NoMessage || string(out) != "head" {
			t.Errorf("push %d: form %d, %q", n, form, out)
		}
		if out := codec.AppendReply([]byte("head"), &protocol.Reply{Type: protocol.ReplyType(n), Room: "a"}); string(out) != "head" {
			t.Errorf("reply %d: %q", n, out)
		}
	}
}

func TestEncodeAllocatesNothing(t *testing.T) {
	dst := make([]byte, 0, 4096)
	var codec protocol.Codec = New()
	for name, steps := range exchanges {
		for i, step := range steps {
			var run func()
			switch step := step.(type) {
			case *protocol.Reply:
				run = func() { codec.AppendReply(dst, step) }
			case *protocol.Push:
				run = func() { codec.AppendPush(dst, step) }
			default:
				continue
			}
			if n := testing.AllocsPerRun(20, run); n != 0 {
				t.Errorf("%s, message %d: %v allocations, want none", name, i, n)
			}
		}
	}
}

// TestEncoderServesManyGoroutines means something under the race detector: one Codec decodes on its loop while
// others encode with it.
func TestEncoderServesManyGoroutines(t *testing.T) {
	codec := New()
	push := &protocol.Push{Type: protocol.Message, Room: "a", Data: []byte("1"), From: strings.Repeat("é", 20)}
	want, _ := codec.AppendPush(nil, push)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 200 {
				if out, _ := codec.AppendPush(nil, push); string(out) != string(want) {
					t.Errorf("got %s", out)
				}
				codec.AppendReply(nil, &protocol.Reply{Type: protocol.Published, Room: "a"})
			}
		})
	}
	var cmd protocol.Command
	for range 200 {
		codec.Decode([]byte(benchPublish), false, &cmd)
	}
	wg.Wait()
}
