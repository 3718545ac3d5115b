package admin

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine"
	"github.com/roost-ws/roost/engine/auth"
	"github.com/roost-ws/roost/engine/enginetest"
)

// withTokens makes a node that tells users apart.
func withTokens(t testing.TB) func(*engine.Options) {
	return func(o *engine.Options) {
		v, err := auth.New(auth.Options{HMACSecret: []byte(enginetest.Secret)})
		if err != nil {
			t.Fatal(err)
		}
		o.Verifier = v
	}
}

// as is a client's options with a token of user.
func as(t testing.TB, user string) enginetest.Options {
	o := v1
	o.Token = enginetest.Token(t, user, time.Hour, "**")
	return o
}

func TestDisconnect(t *testing.T) {
	p := open(t, setup{node: withTokens(t)})
	for name, c := range map[string]struct {
		rest   string // of the body
		code   int
		reason string
	}{
		"plain":          {``, 4409, "disconnected"},
		"with a code":    {`,"code":4000`, 4000, "disconnected"},
		"with a reason":  {`,"reason":"gone é"`, 4409, "gone é"},
		"normal":         {`,"code":1000,"reason":"bye"`, 1000, "bye"},
		"longest reason": {`,"code":4999,"reason":"` + strings.Repeat("x", 123) + `"`, 4999, strings.Repeat("x", 123)},
		"nulls":          {`,"code":null,"reason":null`, 4409, "disconnected"},
	} {
		t.Run(name, func(t *testing.T) {
			p := *p
			p.t = t
			first, welcome := p.openClient("/ws", as(t, "ann"))
			second, _ := p.openClient("/ws?room=a", as(t, "ann"))
			other, _ := p.openClient("/ws", as(t, "bob"))
			body := fmt.Sprintf(`{"connection":%q%s}`, welcome["connection"], c.rest)
			p.expect(200, `{"disconnected":1}`, "POST", "/api/disconnect", body)
			if reason := first.ExpectClose(c.code); reason != c.reason {
				t.Errorf("reason %q, want %q", reason, c.reason)
			}
			p.expect(200, `{"disconnected":0}`, "POST", "/api/disconnect", body)
			second.ExpectNothing()
			third, _ := p.openClient("/ws", as(t, "ann"))
			p.expect(200, `{"disconnected":2}`, "POST", "/api/disconnect", `{"user":"ann"`+c.rest+`}`)
			for _, gone := range []*enginetest.Client{second, third} {
				if reason := gone.ExpectClose(c.code); reason != c.reason {
					t.Errorf("reason %q, want %q", reason, c.reason)
				}
			}
			other.ExpectNothing()
			other.CloseHandshake(1000)
		})
	}
}

// The registered codes above those of the RFC, which the strict client does not know.
func TestDisconnectWithRegisteredCodes(t *testing.T) {
	p := open(t, setup{})
	for _, code := range []int{1012, 1013} {
		c, _ := p.openClient("/ws", v1)
		p.expect(200, `{"disconnected":1}`, "POST", "/api/disconnect", fmt.Sprintf(`{"user":"anonymous","code":%d,"reason":"r"}`, code))
		if reason := c.ExpectClose(code); reason != "r" {
			t.Errorf("%d: reason %q", code, reason)
		}
	}
}

func TestDisconnectRefused(t *testing.T) {
	p := open(t, setup{})
	member, _ := p.openClient("/ws", v1)
	for _, body := range []string{
		`{}`, `{"user":""}`, `{"user":"anonymous","connection":"test:1"}`, `{"user":7}`, `{"users":["anonymous"]}`,
		`{"user":"anonymous","reason":"` + strings.Repeat("x", 124) + `"}`,
		`{"user":"anonymous","reason":"` + strings.Repeat("é", 62) + `"}`,
		`{"user":"anonymous","code":"1000"}`, `{"user":"anonymous","code":1000.5}`, `{"user":"anonymous","code":1e99}`,
	} {
		p.refused(400, "bad_request", "POST", "/api/disconnect", body)
	}
	for _, code := range []int{-1, 0, 1, 999, 1004, 1005, 1006, 1014, 1015, 1016, 2999, 5000, 65535, 65536 + 1000} {
		p.refused(400, "bad_request", "POST", "/api/disconnect", fmt.Sprintf(`{"user":"anonymous","code":%d}`, code))
	}
	for _, connection := range []string{"x", ":", "test:", "test:!", "other:1", "test:zzzzzzzzzzzzzzzzzzzz", "test:1", "test:zzzzzzzzzzz"} {
		p.expect(200, `{"disconnected":0}`, "POST", "/api/disconnect", fmt.Sprintf(`{"connection":%q}`, connection))
	}
	p.expect(200, `{"disconnected":0}`, "POST", "/api/disconnect", `{"user":"nobody"}`)
	member.ExpectNothing()
}

func TestUser(t *testing.T) {
	p := open(t, setup{node: withTokens(t)})
	type answer struct {
		User        string       `json:"user"`
		Total       int          `json:"total"`
		Connections []connection `json:"connections"`
		Next        string       `json:"next"`
	}
	for _, user := range []string{"ann", "a/b?c#d", "..", "ü ü", "50%"} {
		path := "/api/users/" + url.PathEscape(user)
		if user == ".." {
			path = "/api/users/%2e%2e"
		}
		var nobody, all, one answer
		p.get(path, &nobody)
		if nobody.User != user || nobody.Total != 0 || nobody.Connections == nil || len(nobody.Connections) != 0 {
			t.Errorf("%s: %+v", path, nobody)
		}
		before := time.Now()
		_, welcome := p.openClient("/ws?room=x&room=a", as(t, user))
		p.openClient("/ws", as(t, user))
		p.openClient("/ws", as(t, "other"+user))
		p.get(path, &all)
		if all.Total != 2 || len(all.Connections) != 2 {
			t.Fatalf("%s: %+v", path, all)
		}
		i := slices.IndexFunc(all.Connections, func(x connection) bool { return x.Connection == welcome["connection"] })
		if i < 0 {
			t.Fatalf("%v is not in %+v", welcome["connection"], all)
		}
		got := all.Connections[i]
		slices.Sort(got.Rooms)
		want := connection{Connection: got.Connection, Address: "127.0.0.1", Rooms: []string{"a", "x"}, Expires: got.Expires}
		if !reflect.DeepEqual(got, want) || got.Expires < before.Add(time.Hour-time.Minute).Unix() {
			t.Errorf("%+v, want %+v", got, want)
		}
		if rest := all.Connections[1-i]; len(rest.Rooms) != 0 {
			t.Errorf("%+v", rest)
		}
		p.get(path+"?limit=1", &one)
		if one.Total != 2 || len(one.Connections) != 1 || one.Next != one.Connections[0].Connection {
			t.Errorf("%+v", one)
		}
		var rest answer
		p.get(path+"?limit=1&after="+url.QueryEscape(one.Next), &rest)
		if rest.Total != 2 || len(rest.Connections) != 1 || rest.Next != "" || rest.Connections[0].Connection == one.Next {
			t.Errorf("after %+v: %+v", one, rest)
		}
	}
	for _, path := range []string{"/api/users/%ff", "/api/users/a?limit=0", "/api/users/a?limit=x", "/api/users/a?limit=1001",
		"/api/users/a?limit=-1", "/api/users/a?limit=1&limit=2", "/api/users/a?size=1", "/api/users/a?limit=%zz", "/api/users/a?limit="} {
		p.refused(400, "bad_request", "GET", path, "")
	}
	p.refused(404, "not_found", "GET", "/api/users/", "")
	p.refused(404, "not_found", "GET", "/api/users/a/b", "")
}

func TestUserWithoutExpiry(t *testing.T) {
	p := open(t, setup{})
	p.openClient("/ws", v1)
	if got := p.ask("GET", "/api/users/anonymous", ""); !strings.Contains(got.body, `"rooms":[]}`) {
		t.Errorf("%s", got.body)
	}
}

func TestRooms(t *testing.T) {
	p := open(t, setup{})
	type page struct {
		Rooms []roomMembers `json:"rooms"`
		Next  string        `json:"next"`
	}
	p.expect(200, `{"rooms":[]}`, "GET", "/api/rooms", "")
	var want []roomMembers
	for i := range 25 {
		name := fmt.Sprintf("room.%02d", i)
		want = append(want, roomMembers{name, 1 + i%3})
		for range 1 + i%3 {
			enginetest.Dial(t, p.client, "/raw/"+name, enginetest.Options{}).ExpectNothing()
		}
	}
	member, _ := p.openClient("/ws?room=room.00", v1)
	member.ExpectNothing()
	want[0].Members++
	for _, limit := range []int{1, 5, 10, 24, 25, 26, 1000} {
		var got []roomMembers
		after, pages := "", 0
		for {
			var p1 page
			p.get(fmt.Sprintf("/api/rooms?limit=%d&after=%s", limit, url.QueryEscape(after)), &p1)
			got = append(got, p1.Rooms...)
			pages++
			if p1.Next == "" {
				break
			}
			after = p1.Next
		}
		if !slices.Equal(got, want) || pages != (25+limit-1)/limit {
			t.Errorf("limit %d, %d pages: %v, want %v", limit, pages, got, want)
		}
	}
	p.expect(200, `{"rooms":[]}`, "GET", "/api/rooms?after=zzz", "")
	for _, query := range []string{"limit=0", "limit=1001", "after=a&after=b", "before=a", "after=%", "a;b"} {
		p.refused(400, "bad_request", "GET", "/api/rooms?"+query, "")
	}
	for _, what := range []string{"presence", "history"} {
		p.refused(400, "bad_room", "GET", "/api/rooms/room%2f/"+what, "")
		p.refused(404, "not_found", "GET", "/api/rooms//"+what, "")
	}
}

func TestStats(t *testing.T) {
	p := open(t, setup{})
	p.openClient("/ws?room=a", v1)
	p.expect(200, `{"offset":0,"epoch":""}`, "POST", "/api/publish", `{"room":"a","data":1}`)
	type answer struct {
		Node   nodeStats   `json:"node"`
		Listen []string    `json:"listen"`
		Peers  []peerStats `json:"peers"`
	}
	// A loop's figures are as of its last tick, a tenth of a second ago at most.
	var got answer
	for end := time.Now().Add(5 * time.Second); got.Node.Members != 1 || got.Node.Deliveries != 1; {
		if time.Now().After(end) {
			t.Fatalf("%+v", got)
		}
		got = answer{}
		p.get("/api/stats", &got)
	}
	n := got.Node
	if n.Node != "test" || n.Connections != 1 || n.MaxConnections != 1000 || n.Loops != 2 || n.Rooms != 1 || n.Publications != 1 ||
		n.Handshakes != 1 || n.Draining || got.Peers == nil || !slices.Equal(got.Listen, []string{p.client}) {
		t.Errorf("%+v", got)
	}
}

func TestDrain(t *testing.T) {
	p := open(t, setup{})
	for _, body := range []string{`{"grace":1}`, `x`} {
		p.refused(400, "bad_request", "POST", "/api/drain", body)
	}
	p.refused(405, "method_not_allowed", "GET", "/api/drain", "")
	p.refused(415, "unsupported_media_type", "POST", "/api/drain", "", "Content-Type:")
	if n := p.drains.Load(); n != 0 {
		t.Fatalf("drained %d times by refused requests", n)
	}
	for _, body := range []string{``, `{}`, ``} {
		p.expect(202, `{"draining":true}`, "POST", "/api/drain", body)
	}
	if n := p.drains.Load(); n != 1 {
		t.Errorf("drained %d times", n)
	}
}
