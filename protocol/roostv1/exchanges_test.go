package roostv1

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/roost-ws/roost/protocol"
)

// exchanges say what each line of the files in testdata means. In a file, "> " begins what a client sends,
// "< " what the server sends, "#" a remark; the README's examples are these files. A *protocol.Command here is
// what a client's line decodes to; a *protocol.Reply or *protocol.Push is what encodes to a server's line.
var exchanges = map[string][]any{
	"welcome.txt": {
		&protocol.Push{Type: protocol.Welcome, Connection: "n1-4f2a", User: "ada", Node: "n1", Heartbeat: 30,
			Expires: 1767225600, Rooms: []string{"chat.lobby", "chat.dev"}},
		&protocol.Push{Type: protocol.Welcome, Connection: "n1-4f2b", User: "bob", Node: "n1", Heartbeat: 30},
	},
	"join.txt": {
		&protocol.Command{Type: protocol.Join, ID: []byte("1"), Room: []byte("chat.lobby")},
		&protocol.Reply{Type: protocol.Joined, ID: []byte("1"), Room: "chat.lobby"},
		&protocol.Command{Type: protocol.Join, ID: []byte(`"second"`), Room: []byte("news.today")},
		&protocol.Reply{Type: protocol.Joined, ID: []byte(`"second"`), Room: "news.today",
			Position: protocol.Position{Epoch: "k3Zq"}},
		&protocol.Command{Type: protocol.Leave, ID: []byte("3"), Room: []byte("chat.lobby")},
		&protocol.Reply{Type: protocol.Left, ID: []byte("3"), Room: "chat.lobby"},
	},
	"resume.txt": {
		&protocol.Command{Type: protocol.Join, ID: []byte("1"), Room: []byte("news.today"), HasSince: true,
			Since: protocol.Position{Epoch: "k3Zq", Offset: 40}},
		&protocol.Reply{Type: protocol.Joined, ID: []byte("1"), Room: "news.today",
			Position: protocol.Position{Epoch: "k3Zq", Offset: 42}, HasRecovered: true, Recovered: true,
			Messages: []protocol.Push{
				{Data: []byte(`{"headline":"Rain"}`), From: "desk", Position: protocol.Position{Offset: 41}, Time: 1764000000123},
				{Data: []byte(`{"headline":"Sun"}`), Position: protocol.Position{Offset: 42}, Time: 1764000001456},
			}},
		&protocol.Command{Type: protocol.Join, ID: []byte("2"), Room: []byte("news.today"), HasSince: true,
			Since: protocol.Position{Epoch: "old", Offset: 7}},
		&protocol.Reply{Type: protocol.Joined, ID: []byte("2"), Room: "news.today",
			Position: protocol.Position{Epoch: "k3Zq", Offset: 42}, HasRecovered: true},
		&protocol.Push{Type: protocol.Gap, Room: "news.today", Position: protocol.Position{Epoch: "k3Zq", Offset: 45}},
		&protocol.Push{Type: protocol.Gap, Room: "chat.lobby"},
	},
	"publish.txt": {
		&protocol.Command{Type: protocol.Publish, ID: []byte("7"), Room: []byte("chat.lobby"),
			Data: []byte(`{"text": "hi  there", "n": 1.0}`)},
		&protocol.Reply{Type: protocol.Published, ID: []byte("7"), Room: "chat.lobby"},
		&protocol.Push{Type: protocol.Message, Room: "chat.lobby", Data: []byte(`{"text": "hi  there", "n": 1.0}`),
			From: "ada", Time: 1764000000123},
		&protocol.Command{Type: protocol.Publish, ID: []byte("8"), Room: []byte("news.today"), Data: []byte(`"Snow"`), NoEcho: true},
		&protocol.Reply{Type: protocol.Published, ID: []byte("8"), Room: "news.today",
			Position: protocol.Position{Epoch: "k3Zq", Offset: 43}},
		&protocol.Command{Type: protocol.Publish, Room: []byte("chat.lobby"), Data: []byte("null")},
		&protocol.Push{Type: protocol.Message, Room: "news.today", Data: []byte("[1,2]"),
			Position: protocol.Position{Epoch: "k3Zq", Offset: 44}},
	},
	"kinds.txt": {
		&protocol.Push{Type: protocol.Message, Room: "sensors", Data: []byte("21.5 \"C\"\n"), Kind: protocol.Text, From: "probe"},
		&protocol.Push{Type: protocol.Message, Room: "sensors", Data: []byte{0, 0xff, 0x10, 0x80}, Kind: protocol.Binary, From: "probe"},
		&protocol.Push{Type: protocol.Message, Room: "sensors", Kind: protocol.Text},
	},
	"presence.txt": {
		&protocol.Command{Type: protocol.Presence, ID: []byte("4"), Room: []byte("chat.lobby")},
		&protocol.Reply{Type: protocol.PresenceList, ID: []byte("4"), Room: "chat.lobby", Total: 2,
			Users: []protocol.PresentUser{{User: "ada", Connections: 2}, {User: "bob", Connections: 1}}},
		&protocol.Push{Type: protocol.MemberJoined, Room: "chat.lobby", User: "eve"},
		&protocol.Push{Type: protocol.MemberLeft, Room: "chat.lobby", User: "bob"},
		&protocol.Command{Type: protocol.Presence, ID: []byte("5"), Room: []byte("empty")},
		&protocol.Reply{Type: protocol.PresenceList, ID: []byte("5"), Room: "empty"},
	},
	"history.txt": {
		&protocol.Command{Type: protocol.History, ID: []byte("5"), Room: []byte("news.today"), Limit: 1, HasSince: true,
			Since: protocol.Position{Epoch: "k3Zq", Offset: 40}},
		&protocol.Reply{Type: protocol.HistoryList, ID: []byte("5"), Room: "news.today",
			Position: protocol.Position{Epoch: "k3Zq", Offset: 42},
			Messages: []protocol.Push{{Data: []byte(`{"headline":"Rain"}`), From: "desk",
				Position: protocol.Position{Offset: 41}, Time: 1764000000123}}},
		&protocol.Command{Type: protocol.History, ID: []byte("6"), Room: []byte("chat.lobby")},
		&protocol.Reply{Type: protocol.HistoryList, ID: []byte("6"), Room: "chat.lobby"},
	},
	"ping.txt": {
		&protocol.Command{Type: protocol.Ping, ID: []byte("9")},
		&protocol.Reply{Type: protocol.Pong, ID: []byte("9")},
		&protocol.Command{Type: protocol.Ping},
	},
	"refresh.txt": {
		&protocol.Push{Type: protocol.Expiring, In: 60},
		&protocol.Command{Type: protocol.Refresh, ID: []byte("10"), Token: []byte("eyJhbGciOiJIUzI1NiJ9.e30.c2ln")},
		&protocol.Reply{Type: protocol.Refreshed, ID: []byte("10"), Expires: 1767229200},
	},
	"errors.txt": {
		&protocol.Command{Type: protocol.Publish, ID: []byte("11"), Room: []byte("news.today"), Data: []byte("1")},
		&protocol.Reply{Type: protocol.Failed, ID: []byte("11"), Code: protocol.Forbidden, Detail: "the token allows no publishing here"},
		&protocol.Command{Type: protocol.Publish, ID: []byte("12"), Room: []byte("chat.lobby"), Data: []byte("1")},
		&protocol.Reply{Type: protocol.Failed, ID: []byte("12"), Code: protocol.RateLimited, Detail: "too many publications", RetryAfter: 1500},
		&protocol.Reply{Type: protocol.Failed, Code: protocol.BadRequest, Detail: sayNotJSON},
	},
	"shutdown.txt": {
		&protocol.Push{Type: protocol.Shutdown, In: 7},
	},
}

func TestGoldenExchanges(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) != len(exchanges) {
		t.Fatalf("%d files for %d exchanges, error %v", len(paths), len(exchanges), err)
	}
	codec := New()
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			lines := readExchange(t, path)
			steps := exchanges[filepath.Base(path)]
			if len(lines) != len(steps) {
				t.Fatalf("the file has %d messages, the table %d", len(lines), len(steps))
			}
			for i, step := range steps {
				checkStep(t, codec, lines[i], step)
			}
		})
	}
}

// checkStep compares one line, mark included, with what the table says about it.
func checkStep(t *testing.T, codec *Codec, line string, step any) {
	t.Helper()
	mark, text := line[:2], line[2:]
	var got []byte
	switch step := step.(type) {
	case *protocol.Command:
		var cmd protocol.Command
		if code, detail := codec.Decode([]byte(text), false, &cmd); code != protocol.NoError {
			t.Errorf("%s\nrefused: %s", text, detail)
		} else if mark != "> " || !reflect.DeepEqual(cmd, *step) {
			t.Errorf("%s\ngot  %+v\nwant %+v", line, cmd, *step)
		}
		return
	case *protocol.Reply:
		got = codec.AppendReply(nil, step)
	case *protocol.Push:
		var form protocol.Form
		if got, form = codec.AppendPush(nil, step); form != protocol.TextMessage {
			t.Errorf("%s\ntravels in form %d", line, form)
		}
	}
	if mark != "< " || string(got) != text {
		t.Errorf("got  < %s\nwant %s", got, line)
	}
	if !json.Valid(got) {
		t.Errorf("no JSON: %s", got)
	}
}

func readExchange(t testing.TB, path string) (lines []string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "> "), strings.HasPrefix(line, "< "):
			lines = append(lines, line)
		case line != "" && line[0] != '#':
			t.Fatalf("%s: what is %q", path, line)
		}
	}
	return lines
}

// TestExchangesCoverTheProtocol keeps the table complete when the protocol gains a word.
func TestExchangesCoverTheProtocol(t *testing.T) {
	commands := map[protocol.CommandType]bool{}
	replies := map[protocol.ReplyType]bool{}
	pushes := map[protocol.PushType]bool{}
	for _, steps := range exchanges {
		for _, step := range steps {
			switch step := step.(type) {
			case *protocol.Command:
				commands[step.Type] = true
			case *protocol.Reply:
				replies[step.Type] = true
			case *protocol.Push:
				pushes[step.Type] = true
			}
		}
	}
	for c := protocol.Join; c <= protocol.Refresh; c++ {
		if !commands[c] {
			t.Errorf("no exchange has command %d", c)
		}
	}
	for r := protocol.Joined; r <= protocol.Failed; r++ {
		if !replies[r] {
			t.Errorf("no exchange has reply %d", r)
		}
	}
	for p := protocol.Welcome; p <= protocol.Shutdown; p++ {
		if !pushes[p] {
			t.Errorf("no exchange has push %d", p)
		}
	}
}
