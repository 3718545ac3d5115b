package protocol

import (
	"reflect"
	"strings"
	"testing"
)

func TestCheckRoom(t *testing.T) {
	cases := []struct {
		name, room string
		want       bool
	}{
		{"plain", "lobby", true},
		{"every kind of character", "aZ09._~:-", true},
		{"one byte", "a", true},
		{"at the limit", strings.Repeat("r", 128), true},
		{"case counts", "Lobby", true},
		{"dots only", "..", true},
		{"leading colon", ":a", true},
		{"empty", "", false},
		{"over the limit", strings.Repeat("r", 129), false},
		{"space", "a b", false},
		{"carriage return, line feed", "a\r\n", false},
		{"zero byte", "a\x00", false},
		{"delete", "a\x7f", false},
		{"star", "chat.*", false},
		{"question mark", "chat?", false},
		{"bracket", "chat[a]", false},
		{"backslash", `a\b`, false},
		{"slash", "../a", false},
		{"NATS wildcard", "chat.>", false},
		{"NATS system subject", "$SYS", false},
		{"Redis hash tag", "{tag}", false},
		{"percent", "a%20b", false},
		{"at sign below A", "@", false},
		{"backquote below a", "`", false},
		{"composed letter", "caf\u00e9", false},
		{"decomposed letter", "cafe\u0301", false},
		{"full-width letter", "\uff41", false},
		{"zero-width joiner", "a\u200d", false},
		{"right-to-left override", "a\u202e", false},
		{"byte order mark", "\ufeffa", false},
		{"no UTF-8", "a\xff", false},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			if got := CheckRoom([]byte(tc.room), 128); got != tc.want {
				t.Errorf("CheckRoom(%q) = %v", tc.room, got)
			}
		})
	}
}

func TestErrorCodeWords(t *testing.T) {
	want := map[ErrorCode]string{
		NoError: "", BadRequest: "bad_request", BadRoom: "bad_room", Forbidden: "forbidden", NotJoined: "not_joined",
		RateLimited: "rate_limited", TooManyRooms: "too_many_rooms", TooLarge: "too_large",
		Unavailable: "unavailable", Unrecoverable: "unrecoverable", Internal: "internal",
	}
	for code, word := range want {
		if got := code.String(); got != word {
			t.Errorf("code %d is %q, want %q", code, got, word)
		}
	}
	if got := ErrorCode(len(want)).String(); got != "internal" {
		t.Errorf("a code of no word is %q", got)
	}
}

func TestCommandReset(t *testing.T) {
	c := Command{Type: Join, ID: []byte("1"), Room: []byte("a"), Data: []byte("{}"), Kind: Binary, NoEcho: true,
		Since: Position{"e", 1}, HasSince: true, Limit: 2, Token: []byte("t")}
	v := reflect.ValueOf(c)
	for i := range v.NumField() {
		if v.Field(i).IsZero() {
			t.Fatalf("the test forgets %s", v.Type().Field(i).Name)
		}
	}
	if c.Reset(); !reflect.ValueOf(c).IsZero() {
		t.Errorf("still holds %+v", c)
	}
}

func TestCheckRoomAllocatesNothing(t *testing.T) {
	room := []byte("chat.lobby")
	if n := testing.AllocsPerRun(100, func() { CheckRoom(room, 128) }); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
