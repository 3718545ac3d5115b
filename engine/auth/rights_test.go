package auth

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

func rightsOf(rooms, roomsRead []string) *Rights { return newRights(canonical(rooms, roomsRead)) }

func TestPatterns(t *testing.T) {
	for _, c := range []struct {
		pattern  string
		match    []string
		mismatch []string
	}{
		{"chat", []string{"chat"}, []string{"", "chat.a", "cha", "chats", "Chat", "chat."}},
		{"chat.a", []string{"chat.a"}, []string{"chat", "chat.b", "chat.a.b"}},
		{"chat.*", []string{"chat.a", "chat.~:_-9"}, []string{"chat", "chat.", "chat.a.b", "chat..", "chats.a", ".a"}},
		{"*", []string{"chat", "a"}, []string{"", ".", "a.", ".a", "a.b"}},
		{"*.*", []string{"a.b"}, []string{"a", "a.", ".b", "a.b.c", "a..b"}},
		{"a.*.c", []string{"a.b.c"}, []string{"a.c", "a..c", "a.b.b.c", "a.b.c.d"}},
		{"*.x", []string{"a.x"}, []string{"x", ".x", "a.y", "a.b.x"}},
		{"chat.**", []string{"chat.a", "chat.a.b", "chat.a.", "chat.."}, []string{"chat", "chat.", "chats.a"}},
		{"a.*.**", []string{"a.b.c", "a.b.c.d"}, []string{"a.b", "a.b.", "a..c"}},
		{"**", []string{"a", "a.b.c", ".", "a..b"}, []string{""}},
		{"a..b", []string{"a..b"}, []string{"a.b", "a.x.b"}},
		{".", []string{"."}, []string{"", "..", "a.b"}},
	} {
		for _, r := range []*Rights{rightsOf([]string{c.pattern}, nil), rightsOf([]string{"zz", c.pattern, "0"}, nil)} {
			for _, room := range c.match {
				if !r.CanJoin([]byte(room)) || !r.CanPublish([]byte(room)) || !r.CanJoinString(room) || !r.CanPublishString(room) {
					t.Errorf("%s does not match %q", c.pattern, room)
				}
			}
			for _, room := range c.mismatch {
				if r.CanJoin([]byte(room)) || r.CanPublish([]byte(room)) || r.CanJoinString(room) || r.CanPublishString(room) {
					t.Errorf("%s matches %q", c.pattern, room)
				}
			}
		}
	}
}

func TestJoinAndPublish(t *testing.T) {
	for _, c := range []struct {
		name          string
		rights        *Rights
		room          string
		join, publish bool
	}{
		{"rooms", rightsOf([]string{"a"}, nil), "a", true, true},
		{"rooms_read", rightsOf(nil, []string{"a"}), "a", true, false},
		{"both", rightsOf([]string{"a"}, []string{"a", "b"}), "b", true, false},
		{"both, the same", rightsOf([]string{"a"}, []string{"a", "b"}), "a", true, true},
		{"read everything", rightsOf([]string{"a.*"}, []string{"**"}), "b", true, false},
		{"read everything, publish some", rightsOf([]string{"a.*"}, []string{"**"}), "a.b", true, true},
		{"none", rightsOf(nil, nil), "a", false, false},
		{"nil", nil, "a", false, false},
		{"all", All, "any.thing", true, true},
		{"all, no name", All, "", false, false},
	} {
		if c.rights.CanJoin([]byte(c.room)) != c.join || c.rights.CanPublish([]byte(c.room)) != c.publish {
			t.Errorf("%s: join %v, publish %v", c.name, !c.join, !c.publish)
		}
	}
}

func TestCheckPattern(t *testing.T) {
	for pattern, legal := range map[string]bool{
		"a": true, "A-z_0.9~:": true, "*": true, "**": true, "a.*": true, "*.a.**": true, "a..b": true, ".": true,
		strings.Repeat("a", 128): true, strings.Repeat("a", 129): false, "": false,
		"a*": false, "*a": false, "a.b*": false, "***": false, "**.a": false, "a.**.b": false, "**.**": false, "a**": false,
		"a b": false, "a,b": false, "a|b": false, "ü": false, "a\x00": false, "a/b": false, "[a]": false, "?": false,
	} {
		if err := checkPattern(pattern); (err == nil) != legal {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}

func TestCanonical(t *testing.T) {
	for _, c := range []struct {
		rooms, read []string
		want        string
	}{
		{nil, nil, "|"},
		{[]string{"b", "a", "b"}, nil, "a,b|"},
		{[]string{"a"}, []string{"b", "a", "b"}, "a|b"},
		{[]string{"a", "**"}, []string{"b"}, "**|"},
		{[]string{"a"}, []string{"b", "**"}, "a|**"},
	} {
		rooms := slices.Clone(c.rooms)
		if got := canonical(rooms, c.read); got != c.want || !slices.Equal(rooms, c.rooms) {
			t.Errorf("canonical(%q, %q) = %q, want %q", c.rooms, c.read, got, c.want)
		}
	}
}

// TestManyPatterns compares the look-up in a full list with asking each pattern by itself.
func TestManyPatterns(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	name := func(letters string) string {
		segments := make([]string, 1+random.IntN(3))
		for i := range segments {
			segments[i] = string(letters[random.IntN(len(letters))])
		}
		return strings.Join(segments, ".")
	}
	for range 200 {
		patterns := make([]string, random.IntN(maxPatterns))
		for i := range patterns {
			patterns[i] = name("abcde*")
		}
		r := rightsOf(patterns, nil)
		for range 50 {
			room := name("abcdef")
			want := slices.ContainsFunc(patterns, func(p string) bool { return p == room || matchWild(p, []byte(room)) })
			if r.CanJoin([]byte(room)) != want {
				t.Fatalf("%q in %q: %v, want %v", room, patterns, !want, want)
			}
		}
	}
}

// worstRights makes a search run through all of both lists.
func worstRights() (*Rights, []byte) {
	var rooms, read []string
	for i := range maxPatterns {
		rooms = append(rooms, fmt.Sprintf("*.%s.a%02d", strings.Repeat("*.", 58)+"*", i))
		read = append(read, fmt.Sprintf("*.%s.b%02d", strings.Repeat("*.", 58)+"*", i))
	}
	return rightsOf(rooms, read), []byte(strings.Repeat("x.", 60) + "c00")
}

func TestMatchingAllocatesNothing(t *testing.T) {
	worst, long := worstRights()
	some := rightsOf([]string{"a", "b", "chat.*", "news.**"}, []string{"x.*.y"})
	room, name := []byte("a.room.with.a.name.longer.than.thirty-two.bytes"), "a.room.with.a.name.longer.than.thirty-two.bytes"
	if n := testing.AllocsPerRun(100, func() {
		some.CanJoin(room)
		some.CanPublish(room)
		some.CanJoinString(name)
		some.CanPublishString(name)
		worst.CanJoin(long)
		All.CanJoin(room)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
