package handshake

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestQueryRefusals(t *testing.T) {
	params := func(n int) string {
		all := make([]string, n)
		for i := range all {
			all[i] = fmt.Sprintf("room=r%d", i)
		}
		return strings.Join(all, "&")
	}
	runRows(t, []row{
		{"A14 two rooms", get("/ws?room=a&room=b"), Accepted},
		{"A14 one room twice", get("/ws?room=a&room=b&room=a"), Malformed},
		{"A14 one room twice, once encoded", get("/ws?room=a&room=%61"), Malformed},
		{"A14 one room twice, name encoded", get("/ws?room=a&%72oom=a"), Malformed},
		{"A14 two empty rooms", get("/ws?room=&room"), Malformed},
		{"A14 rooms differ in case", get("/ws?room=a&room=A"), Accepted},
		{"A14 two attempts", get("/ws?attempt=1&attempt=1"), Malformed},
		{"A14 two tokens in the query", get("/ws?token=a&token=b"), Malformed},
		{"A14 two tokens in the query, name encoded", get("/ws?token=a&t%6Fken=b"), Malformed},
		{"A14 two of another name", get("/ws?x=1&x=1"), Accepted},
		{"A14 256 parameters", get("/ws?" + params(maxQueryParams)), Accepted},
		{"A14 257 parameters", get("/ws?" + params(maxQueryParams+1)), Malformed},
		{"A14 257 empty parameters", get("/ws?" + strings.Repeat("&", maxQueryParams+1)), Malformed},
		{"A14 10000 parameters", get("/ws?" + strings.Repeat("a&", 10000)), URITooLong},
	})
}

func TestQueryValues(t *testing.T) {
	lim := DefaultLimits()
	r, _ := judge(t, get("/ws?room=chat.1&attempt=2&&room=a%7Eb&x&y=1=2&r%6fom=c+d%2b&y=3&empty="), &lim)
	var rooms []string
	for room := range r.Rooms(make([]byte, 0, 1)) {
		rooms = append(rooms, string(room))
	}
	if want := []string{"chat.1", "a~b", "c d+"}; !slices.Equal(rooms, want) {
		t.Errorf("rooms %q, want %q", rooms, want)
	}
	for range r.Rooms(nil) {
		break
	}
	for _, q := range []struct {
		name, value string
		count       int
	}{
		{"attempt", "2", 1}, {"room", "chat.1", 3}, {"x", "", 1}, {"y", "1=2", 2}, {"empty", "", 1}, {"roo", "", 0}, {"rooms", "", 0},
	} {
		value, count := r.QueryValue(q.name)
		if string(value) != q.value || count != q.count {
			t.Errorf("%s is %q, %d times; want %q, %d", q.name, value, count, q.value, q.count)
		}
	}
	if got := AppendDecoded([]byte("="), []byte("a+%41%7e%fF")); string(got) != "=a A~\xff" {
		t.Errorf("decoded %q", got)
	}
}
