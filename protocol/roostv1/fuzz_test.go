package roostv1

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/roost-ws/roost/protocol"
)

// FuzzDecode holds Decode against encoding/json, which is laxer about duplicates and depth and otherwise has to
// agree about what JSON is, and sends what was decoded out again.
func FuzzDecode(f *testing.F) {
	for path := range exchanges {
		for _, line := range readExchange(f, filepath.Join("testdata", path)) {
			f.Add([]byte(line[2:]))
		}
	}
	for _, msg := range []string{`{"type":"publish","room":"a","data":[{"a":1,"a":2}]}`, `{"id":"\ud800","type":"ping"}`, `[1] 2`,
		`{"type":"\u0070ing"}`, `{"type":"publish","room":"a","data": "[[\"" }`, strings.Repeat("[", 70),
		strings.Repeat(`{"a":[`, 32) + strings.Repeat("]}", 32), strings.Repeat(`["[",{"a":`, 33) + "1" + strings.Repeat("}]", 33)} {
		f.Add([]byte(msg))
	}
	used := New()
	f.Fuzz(func(t *testing.T, msg []byte) {
		if !utf8.Valid(msg) {
			t.Skip("the framing lets no such text message through")
		}
		before := bytes.Clone(msg)
		var cmd protocol.Command
		code, detail := used.Decode(msg, false, &cmd)
		if !bytes.Equal(msg, before) {
			t.Fatalf("changed its input to %q", msg)
		}
		var again protocol.Command
		if c, d := New().Decode(msg, false, &again); c != code || d != detail || !bytes.Equal(again.ID, cmd.ID) {
			t.Fatalf("a used codec says %v %q, a fresh one %v %q", code, detail, c, d)
		}
		checkAcceptance(t, msg, code, detail)
		if cmd.ID != nil && (!within(cmd.ID, msg) || !json.Valid(cmd.ID) || len(cmd.ID) > maxIDBytes) {
			t.Fatalf("id %q", cmd.ID)
		}
		if code != protocol.NoError {
			return
		}
		if cmd.Type == protocol.Publish {
			checkPublish(t, msg, &cmd)
		} else if cmd.Data != nil {
			t.Fatalf("command %d has data %q", cmd.Type, cmd.Data)
		}
	})
}

func checkAcceptance(t *testing.T, msg []byte, code protocol.ErrorCode, detail string) {
	valid := json.Valid(msg)
	switch {
	case (code == protocol.NoError) != (detail == "") || code != protocol.NoError && code != protocol.BadRequest:
		t.Fatalf("code %v with %q", code, detail)
	case code == protocol.NoError && !valid:
		t.Fatal("accepted what is no JSON")
	case detail == sayNotJSON && valid:
		t.Fatal("took JSON for none")
	case detail == sayNotObject && (!valid || bytes.TrimSpace(msg)[0] == '{'):
		t.Fatal("took an object, or no JSON, for another value")
	case valid && (detail == sayTooDeep) != (depthOf(msg) > maxDepth):
		t.Fatalf("nested %d levels deep", depthOf(msg))
	}
}

// depthOf is how deep valid JSON is nested.
func depthOf(msg []byte) (deepest int) {
	depth, decoder := 0, json.NewDecoder(bytes.NewReader(msg))
	decoder.UseNumber() // a float would stop at 1e999
	for {
		token, err := decoder.Token()
		switch {
		case err != nil:
			return deepest
		case token == json.Delim('['), token == json.Delim('{'):
			depth++
			deepest = max(deepest, depth)
		case token == json.Delim(']'), token == json.Delim('}'):
			depth--
		}
	}
}

// checkPublish makes sure that the data is the sender's own bytes, and that others get just these.
func checkPublish(t *testing.T, msg []byte, cmd *protocol.Command) {
	if !within(cmd.Data, msg) || !json.Valid(cmd.Data) {
		t.Fatalf("data %q", cmd.Data)
	}
	var envelope struct{ Data json.RawMessage }
	if err := json.Unmarshal(msg, &envelope); err == nil && !strings.Contains(strings.ToLower(string(msg)), `\u`) &&
		bytes.Count(bytes.ToLower(msg), []byte(`"data"`)) == 1 && !bytes.Equal(envelope.Data, cmd.Data) {
		t.Fatalf("data %q, encoding/json reads %q", cmd.Data, envelope.Data)
	}
	push := protocol.Push{Type: protocol.Message, Room: string(cmd.Room), Data: cmd.Data, Kind: cmd.Kind, From: "u"}
	out, form := Encoder{}.AppendPush(nil, &push)
	var heard struct {
		Type, Room, From string
		Data             json.RawMessage
	}
	if err := json.Unmarshal(out, &heard); err != nil || form != protocol.TextMessage {
		t.Fatalf("%v: %s", err, out)
	}
	if heard.Type != "message" || heard.Room != push.Room || heard.From != "u" || !bytes.Equal(heard.Data, cmd.Data) {
		t.Fatalf("sent %s\nheard %s", msg, out)
	}
}

// within reports whether part is a slice of whole's memory.
func within(part, whole []byte) bool {
	if len(part) == 0 {
		return true
	}
	for i := range whole {
		if &whole[i] == &part[0] {
			return len(part) <= len(whole)-i
		}
	}
	return false
}

// FuzzAppendPush: no name or text, however strange, gets out of its JSON string or comes back changed.
func FuzzAppendPush(f *testing.F) {
	f.Add("chat.lobby", "ada", []byte("hello"), int64(1), uint64(2))
	f.Add(`"`, "\\\x00\u2028", []byte("\x7f\"}"), int64(0), uint64(0))
	f.Add("\xff", "\xed\xa0\x80", []byte("a\xc0"), int64(-1), uint64(1)<<63)
	f.Fuzz(func(t *testing.T, room, from string, data []byte, time int64, offset uint64) {
		for _, kind := range []protocol.Kind{protocol.Text, protocol.Binary} {
			p := protocol.Push{Type: protocol.Message, Room: room, From: from, Data: data, Kind: kind, Time: time,
				Position: protocol.Position{Offset: offset}}
			out, _ := Encoder{}.AppendPush(nil, &p)
			var heard struct {
				Room, From, Data string
				Time             int64
				Offset           uint64
			}
			if err := json.Unmarshal(out, &heard); err != nil || !utf8.Valid(out) {
				t.Fatalf("%v: %q", err, out)
			}
			if heard.Time != time || heard.Offset != offset || heard.From != mended(from) || heard.Room != mended(room) ||
				kind == protocol.Text && heard.Data != mended(string(data)) {
				t.Fatalf("%+v became %s", p, out)
			}
		}
	})
}

// mended is text with a replacement character for each byte that is no UTF-8.
func mended(text string) string { return string([]rune(text)) }
