package roostv1

import (
	"reflect"
	"strings"
	"testing"

	"github.com/roost-ws/roost/protocol"
)

func TestDecodeAccepts(t *testing.T) {
	deep := strings.Repeat("[", maxDepth-1) + strings.Repeat("]", maxDepth-1)
	brackets := `"` + strings.Repeat(`[{\"`, 100) + `"`
	flat := "[" + strings.Repeat("[],{},", 100) + `"]}"]`
	longID := `"` + strings.Repeat("i", maxIDBytes-2) + `"`
	longToken := strings.Repeat("t", maxTokenBytes)
	publish := func(data string) protocol.Command {
		return protocol.Command{Type: protocol.Publish, Room: []byte("a"), Data: []byte(data)}
	}
	ping := func(id string) protocol.Command {
		return protocol.Command{Type: protocol.Ping, ID: []byte(id)}
	}
	cases := []struct {
		name, msg string
		want      protocol.Command
	}{
		{"white space everywhere", " \t\r\n{ \"type\" :\n\"ping\" , \"id\":\t1 } \n", ping("1")},
		{"data keeps its white space", "{\"type\":\"publish\",\"room\":\"a\",\"data\": [ 1 ,\n2 ] }", publish("[ 1 ,\n2 ]")},
		{"data before type", `{"data":{"a":1},"room":"a","type":"publish"}`, publish(`{"a":1}`)},
		{"data is null", `{"type":"publish","room":"a","data":null}`, publish("null")},
		{"data is false", `{"type":"publish","room":"a","data":false}`, publish("false")},
		{"data is a number as written", `{"type":"publish","room":"a","data":-0.10e+0400}`, publish("-0.10e+0400")},
		{"data escapes stay", `{"type":"publish","room":"a","data":"\u0041\/"}`, publish(`"\u0041\/"`)},
		{"data with a lone surrogate", `{"type":"publish","room":"a","data":"\ud83d"}`, publish(`"\ud83d"`)},
		{"data as deep as allowed", `{"type":"publish","room":"a","data":` + deep + `}`, publish(deep)},
		{"data of brackets in a string", `{"type":"publish","room":"a","data":` + brackets + `}`, publish(brackets)},
		{"data of many flat arrays", `{"type":"publish","room":"a","data":` + flat + `}`, publish(flat)},
		{"echo true", `{"type":"publish","room":"a","data":1,"echo":true}`, publish("1")},
		{"escaped room", `{"type":"leave","room":"\u0061\u002e\"b"}`, protocol.Command{Type: protocol.Leave, Room: []byte(`a."b`)}},
		{"escaped names and type", `{"\u0074ype":"le\u0061ve","r\u006fom":"\u0062"}`, protocol.Command{Type: protocol.Leave, Room: []byte("b")}},
		{"empty room is for CheckRoom", `{"type":"leave","room":""}`, protocol.Command{Type: protocol.Leave, Room: []byte{}}},
		{"number id as written", `{"type":"ping","id":-1.50E2}`, ping("-1.50E2")},
		{"string id keeps its escapes", `{"type":"ping","id":"\u00e9\""}`, ping(`"\u00e9\""`)},
		{"empty string id", `{"type":"ping","id":""}`, ping(`""`)},
		{"longest id", `{"type":"ping","id":` + longID + `}`, ping(longID)},
		{"unknown members", `{"v":2,"type":"ping","id":1,"trace":{"a":[1]},"":null}`, ping("1")},
		{"a server's members mean nothing", `{"type":"publish","room":"a","data":1,"from":"root","offset":99,"time":1,"node":"x"}`, publish("1")},
		{"members of other types are not looked at", `{"type":"ping","id":1,"room":5,"since":5,"echo":5,"limit":"x","token":5}`, ping("1")},
		{"names are case sensitive", `{"type":"ping","id":1,"TYPE":"join","Id":2}`, ping("1")},
		{"largest offset", `{"type":"join","room":"a","since":{"offset":18446744073709551615,"epoch":"","x":1}}`,
			protocol.Command{Type: protocol.Join, Room: []byte("a"), HasSince: true, Since: protocol.Position{Offset: 1<<64 - 1}}},
		{"escaped epoch", `{"type":"join","room":"a","since":{"epoch":"\u0065","offset":0}}`,
			protocol.Command{Type: protocol.Join, Room: []byte("a"), HasSince: true, Since: protocol.Position{Epoch: "e"}}},
		{"largest limit", `{"type":"history","id":1,"room":"a","limit":2147483647}`,
			protocol.Command{Type: protocol.History, ID: []byte("1"), Room: []byte("a"), Limit: 1<<31 - 1}},
		{"longest token", `{"type":"refresh","token":"` + longToken + `"}`,
			protocol.Command{Type: protocol.Refresh, Token: []byte(longToken)}},
		{"token that is shorter than it looks", `{"type":"refresh","token":"` + strings.Repeat(`\u0074`, maxTokenBytes) + `"}`,
			protocol.Command{Type: protocol.Refresh, Token: []byte(longToken)}},
	}
	codec := New()
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			cmd := protocol.Command{NoEcho: true, HasSince: true, Limit: 9, Token: []byte("old")}
			code, detail := codec.Decode([]byte(tc.msg), false, &cmd)
			if code != protocol.NoError || detail != "" {
				t.Fatalf("refused: %v, %s", code, detail)
			}
			if !reflect.DeepEqual(cmd, tc.want) {
				t.Errorf("got  %+v\nwant %+v", cmd, tc.want)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	long := strings.Repeat("x", maxIDBytes-1)
	cases := []struct {
		name, msg, detail, id string
	}{
		// What is no JSON at all.
		{"empty", "", sayNotJSON, ""},
		{"white space only", " \n", sayNotJSON, ""},
		{"text", "hello", sayNotJSON, ""},
		{"byte order mark", "\ufeff{}", sayNotJSON, ""},
		{"cut short", `{"type":"ping","id":1`, sayNotJSON, ""},
		{"cut in a string", `{"id":1,"type":"pi`, sayNotJSON, "1"},
		{"garbage after it", `{"type":"ping","id":1}x`, sayNotJSON, "1"},
		{"two objects", `{"type":"ping","id":1}{"type":"ping"}`, sayNotJSON, "1"},
		{"two lines", "{\"type\":\"ping\"}\n{\"type\":\"ping\"}", sayNotJSON, ""},
		{"comma at the end", `{"type":"ping","id":1,}`, sayNotJSON, ""},
		{"comma at the beginning", `{,"type":"ping"}`, sayNotJSON, ""},
		{"no colon", `{"type" "ping"}`, sayNotJSON, ""},
		{"no value", `{"id":1,"type":}`, sayNotJSON, "1"},
		{"single quotes", `{'type':'ping'}`, sayNotJSON, ""},
		{"bare name", `{type:"ping"}`, sayNotJSON, ""},
		{"number as a name", `{1:2}`, sayNotJSON, ""},
		{"comment", `{"type":"ping"/**/}`, sayNotJSON, ""},
		{"NaN", `{"type":"publish","id":1,"room":"a","data":NaN}`, sayNotJSON, "1"},
		{"leading zero", `{"type":"ping","id":01}`, sayNotJSON, ""},
		{"plus sign", `{"type":"ping","id":+1}`, sayNotJSON, ""},
		{"control character in a string", "{\"type\":\"leave\",\"room\":\"a\nb\"}", sayNotJSON, ""},
		{"unknown escape", `{"type":"leave","room":"\x61"}`, sayNotJSON, ""},
		{"form feed as white space", "{\f}", sayNotJSON, ""},
		{"broken inside data", `{"id":1,"type":"publish","room":"a","data":[1,}`, sayNotJSON, "1"},
		{"array that is broken", `[1`, sayNotJSON, ""},
		{"array and garbage", `[1] 2`, sayNotJSON, ""},
		// JSON, but not a message.
		{"array", `[{"type":"ping"}]`, sayNotObject, ""},
		{"string", `"ping"`, sayNotObject, ""},
		{"number", ` 5 `, sayNotObject, ""},
		{"null", `null`, sayNotObject, ""},
		{"type twice", `{"id":1,"type":"ping","type":"join","room":"a"}`, sayDuplicate, "1"},
		{"type twice, once escaped", `{"id":1,"type":"ping","typ\u0065":"join"}`, sayDuplicate, "1"},
		{"id twice", `{"id":1,"id":2,"type":"ping"}`, sayDuplicate, "1"},
		{"name twice inside data", `{"id":1,"type":"publish","room":"a","data":[{"a":1,"a":2}]}`, sayDuplicate, "1"},
		{"name twice inside since", `{"id":1,"type":"join","room":"a","since":{"epoch":"a","epoch":"b","offset":1}}`, sayDuplicate, "1"},
		{"unknown name twice", `{"x":1,"x":1,"type":"ping"}`, sayDuplicate, ""},
		{"too deep", `{"id":1,"type":"publish","room":"a","data":` + strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth) + `}`, sayTooDeep, ""},
		{"too deep in objects", strings.Repeat(`{"a":`, maxDepth) + `{}` + strings.Repeat("}", maxDepth), sayTooDeep, ""},
		{"bomb of brackets", strings.Repeat("[", 1<<16), sayTooDeep, ""},
		{"bomb behind strings", `["\"[","\\",` + strings.Repeat(`[`, 1<<10), sayTooDeep, ""},
		// Types.
		{"no type", `{"id":1,"room":"a"}`, sayNoType, "1"},
		{"empty object", `{}`, sayNoType, ""},
		{"type is a number", `{"id":1,"type":1}`, sayNoType, "1"},
		{"type is null", `{"id":1,"type":null}`, sayNoType, "1"},
		{"type is an array", `{"id":1,"type":["ping"]}`, sayNoType, "1"},
		{"type is empty", `{"id":1,"type":""}`, sayType, "1"},
		{"type in capitals", `{"id":1,"type":"PING"}`, sayType, "1"},
		{"type with a space", `{"id":1,"type":"ping "}`, sayType, "1"},
		{"unknown type", `{"id":1,"type":"rpc"}`, sayType, "1"},
		{"type with a lone surrogate", `{"id":1,"type":"\ud800"}`, sayType, "1"},
		// Ids.
		{"id is null", `{"type":"ping","id":null}`, sayID, ""},
		{"id is true", `{"type":"ping","id":true}`, sayID, ""},
		{"id is an object", `{"type":"ping","id":{}}`, sayID, ""},
		{"id is an array", `{"type":"ping","id":[1]}`, sayID, ""},
		{"id is too long a string", `{"type":"ping","id":"` + long + `"}`, sayID, ""},
		{"id is too long a number", `{"type":"ping","id":1` + strings.Repeat("0", maxIDBytes) + `}`, sayID, ""},
		{"id is wrong before type is", `{"type":5,"id":null}`, sayID, ""},
		{"presence without id", `{"type":"presence","room":"a"}`, sayNoID, ""},
		{"history without id", `{"type":"history","room":"a"}`, sayNoID, ""},
		// Rooms.
		{"join without room", `{"type":"join","id":1}`, sayRoom, "1"},
		{"leave without room", `{"type":"leave","id":1}`, sayRoom, "1"},
		{"publish without room", `{"type":"publish","id":1,"data":1}`, sayRoom, "1"},
		{"presence without room", `{"type":"presence","id":1}`, sayRoom, "1"},
		{"history without room", `{"type":"history","id":1}`, sayRoom, "1"},
		{"room is a number", `{"type":"join","id":1,"room":7}`, sayRoom, "1"},
		{"room is null", `{"type":"join","id":1,"room":null}`, sayRoom, "1"},
		{"room is a list", `{"type":"join","id":1,"room":["a","b"]}`, sayRoom, "1"},
		// Publishing.
		{"publish without data", `{"type":"publish","id":1,"room":"a"}`, sayNoData, "1"},
		{"echo is null", `{"type":"publish","id":1,"room":"a","data":1,"echo":null}`, sayEcho, "1"},
		{"echo is a number", `{"type":"publish","id":1,"room":"a","data":1,"echo":0}`, sayEcho, "1"},
		{"echo is a string", `{"type":"publish","id":1,"room":"a","data":1,"echo":"false"}`, sayEcho, "1"},
		// Positions.
		{"since is null", `{"type":"join","id":1,"room":"a","since":null}`, saySince, "1"},
		{"since is a number", `{"type":"join","id":1,"room":"a","since":5}`, saySince, "1"},
		{"since is an array", `{"type":"join","id":1,"room":"a","since":["e",5]}`, saySince, "1"},
		{"since is empty", `{"type":"join","id":1,"room":"a","since":{}}`, saySince, "1"},
		{"since without offset", `{"type":"join","id":1,"room":"a","since":{"epoch":"e"}}`, saySince, "1"},
		{"since without epoch", `{"type":"join","id":1,"room":"a","since":{"offset":1}}`, saySince, "1"},
		{"since in a history query", `{"type":"history","id":1,"room":"a","since":5}`, saySince, "1"},
		{"epoch is a number", `{"type":"join","id":1,"room":"a","since":{"epoch":1,"offset":1}}`, sayEpoch, "1"},
		{"epoch is too long", `{"type":"join","id":1,"room":"a","since":{"epoch":"` + strings.Repeat("e", maxEpochBytes+1) + `","offset":1}}`, sayEpoch, "1"},
		{"offset is negative", `{"type":"join","id":1,"room":"a","since":{"epoch":"e","offset":-1}}`, sayOffset, "1"},
		{"offset is a fraction", `{"type":"join","id":1,"room":"a","since":{"epoch":"e","offset":1.5}}`, sayOffset, "1"},
		{"offset has an exponent", `{"type":"join","id":1,"room":"a","since":{"epoch":"e","offset":1e3}}`, sayOffset, "1"},
		{"offset is too large", `{"type":"join","id":1,"room":"a","since":{"epoch":"e","offset":18446744073709551616}}`, sayOffset, "1"},
		{"offset is a string", `{"type":"join","id":1,"room":"a","since":{"epoch":"e","offset":"1"}}`, sayOffset, "1"},
		// Limits.
		{"limit is negative", `{"type":"history","id":1,"room":"a","limit":-1}`, sayLimit, "1"},
		{"limit is a fraction", `{"type":"history","id":1,"room":"a","limit":1.0}`, sayLimit, "1"},
		{"limit is a string", `{"type":"history","id":1,"room":"a","limit":"5"}`, sayLimit, "1"},
		{"limit is null", `{"type":"history","id":1,"room":"a","limit":null}`, sayLimit, "1"},
		{"limit is too large", `{"type":"history","id":1,"room":"a","limit":2147483648}`, sayLimit, "1"},
		// Tokens.
		{"no token", `{"type":"refresh","id":1}`, sayToken, "1"},
		{"token is empty", `{"type":"refresh","id":1,"token":""}`, sayToken, "1"},
		{"token is a number", `{"type":"refresh","id":1,"token":5}`, sayToken, "1"},
		{"token is too long", `{"type":"refresh","id":1,"token":"` + strings.Repeat("t", maxTokenBytes+1) + `"}`, sayTokenBytes, "1"},
	}
	codec := New()
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			var cmd protocol.Command
			code, detail := codec.Decode([]byte(tc.msg), false, &cmd)
			if code != protocol.BadRequest || detail != tc.detail {
				t.Errorf("got %v, %q, want %q", code, detail, tc.detail)
			}
			if string(cmd.ID) != tc.id {
				t.Errorf("id %q, want %q", cmd.ID, tc.id)
			}
		})
	}
}

// TestServersTypesAreRefused: no client can make the server repeat its own news, say a false drain notice.
func TestServersTypesAreRefused(t *testing.T) {
	codec := New()
	for _, word := range []string{"welcome", "message", "member_joined", "member_left", "gap", "expiring", "error",
		"shutdown", "joined", "left", "published", "pong", "refreshed"} {
		var cmd protocol.Command
		msg := `{"id":1,"type":"` + word + `","room":"a","data":1,"reconnectIn":1}`
		if code, detail := codec.Decode([]byte(msg), false, &cmd); code != protocol.BadRequest || detail != sayType {
			t.Errorf("%s: got %v, %q", word, code, detail)
		}
	}
}

func TestBinaryIsRefused(t *testing.T) {
	cmd := protocol.Command{ID: []byte("old")}
	code, detail := New().Decode([]byte(`{"type":"ping","id":1}`), true, &cmd)
	if code != protocol.BadRequest || detail != sayBinary || cmd.ID != nil {
		t.Errorf("got %v, %q, id %q", code, detail, cmd.ID)
	}
}

// TestScratchIsGivenBack: one message full of escapes must not cost the loop its memory for ever.
func TestScratchIsGivenBack(t *testing.T) {
	codec, cmd := New(), protocol.Command{}
	big := `{"type":"leave","room":"` + strings.Repeat(`\u0061`, 1<<16) + `"}`
	if code, detail := codec.Decode([]byte(big), false, &cmd); code != protocol.NoError || len(cmd.Room) != 1<<16 {
		t.Fatalf("got %v, %s, a room of %d bytes", code, detail, len(cmd.Room))
	}
	codec.Decode([]byte(`{"type":"ping"}`), false, &cmd)
	if cap(codec.scratch) > keptScratch {
		t.Errorf("still holds %d bytes", cap(codec.scratch))
	}
}

func TestDecodeAllocations(t *testing.T) {
	cases := []struct {
		name, msg string
		want      float64
	}{
		{"publish", benchPublish, 0},
		{"join", `{"type":"join","id":1,"room":"chat.lobby"}`, 0},
		{"join since", `{"type":"join","id":1,"room":"chat.lobby","since":{"epoch":"k3Zq","offset":40}}`, 1},
		{"escapes", `{"type":"leave","id":1,"room":"chat\u002elobby"}`, 0},
		{"refresh", `{"type":"refresh","token":"eyJhbGciOiJIUzI1NiJ9.e30.c2ln"}`, 0},
		{"ping", `{"type":"ping","id":1}`, 0},
		{"wrong member", `{"type":"join","id":1,"room":5}`, 0},
	}
	codec := New()
	for _, tc := range cases {
		var cmd protocol.Command
		msg := []byte(tc.msg)
		if n := testing.AllocsPerRun(100, func() { codec.Decode(msg, false, &cmd) }); n > tc.want {
			t.Errorf("%s: %v allocations, want at most %v", tc.name, n, tc.want)
		}
	}
}
