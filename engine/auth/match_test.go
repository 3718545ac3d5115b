package auth

import "testing"

func TestMatchPattern(t *testing.T) {
	for _, c := range []struct {
		pattern, room string
		want          bool
	}{
		{"chat", "chat", true},
		{"chat", "chats", false},
		{"chat.*", "chat.a", true},
		{"chat.*", "chat.a.b", false},
		{"chat.**", "chat.a.b", true},
		{"**", "anything", true},
	} {
		if err := CheckPattern(c.pattern); err != nil {
			t.Errorf("CheckPattern(%q) = %v", c.pattern, err)
		}
		if got := MatchPattern(c.pattern, c.room); got != c.want {
			t.Errorf("MatchPattern(%q, %q) = %v, want %v", c.pattern, c.room, got, c.want)
		}
	}
	if CheckPattern("a.**.b") == nil {
		t.Error("** in the middle was let through")
	}
	if n := testing.AllocsPerRun(100, func() { MatchPattern("chat.*", "chat.a") }); n != 0 {
		t.Errorf("MatchPattern allocates %v times", n)
	}
}
