package engine

// The application protocol under attack: names of rooms and users at every door, the server's own words from a
// client, and JSON that is meant to cost more than it says.

import (
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/engine/ratelimit"
)

// patient lets the client of a long table earn its errors.
func patient(o *Options) {
	o.Limits.Controls, o.Limits.Faults = ratelimit.Rate{}, ratelimit.NewRate(1000, 1000)
	o.Rooms = []RoomRule{{Match: "**", Publish: PublishAnyone}}
}

// quoted is a Go string as JSON; bytes that are not UTF-8 stay what they are.
func quoted(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, c := range []byte(s) {
		switch {
		case c < ' ' || c == '"' || c == '\\':
			fmt.Fprintf(&b, `\u%04x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String() + `"`
}

// TestRoomNames is D7: names that mean something to a broker, a file system or a person's eye, at each of the doors
// that a name can come in by.
func TestRoomNames(t *testing.T) {
	g := besiege(t, patient, enginetest.Options{})
	c := dialV1(t, g.addr, "/ws", v1)
	for _, name := range []string{"", strings.Repeat("a", 129), strings.Repeat("a", 60_000), "*", "a*", "**", "?", "[a]", `\`, `a\b`, " ", "a b", "a\tb",
		"a\r\nb", "a\x00b", "{tag}", "a{b", "caf\u00e9", "cafe\u0301", "\u202eabc", "a\u200bb", "\u212aelvin", "../x", "a/b", "/", "$SYS", "$SYS.>", ">", "a.>",
		"#", "a#b", "a%62", "%61", "a+b", "a,b", "a;b", "a=b", "a&b", "a'b", `a"b`, "<a>", "a|b", "a@b", "a!b", "(a)"} {
		g.attack(t, fmt.Sprintf("%.20q", name), counts{errorSeries("bad_room"): 2, "roost_members": 0}, func(t *testing.T) {
			for _, command := range []string{"join", "publish"} {
				c.SendText(fmt.Sprintf(`{"type":%q,"id":1,"room":%s,"data":%q}`, command, quoted(name), canary))
				if e := c.ExpectType("error"); e["code"] != "bad_room" {
					t.Errorf("%s: %v", command, e)
				}
			}
			for _, path := range []string{"/ws?room=" + url.QueryEscape(name), "/raw/" + url.PathEscape(name)} {
				if len(path) > 4000 {
					continue // too long in its own right, see A10
				}
				if a := ask(t, g.addr, targeting(path)); a.Status != 400 && a.Status != 404 {
					t.Errorf("%s: status %d", path, a.Status)
				}
			}
		})
	}
	c.CloseHandshake(1000)
	g.end()

	// Names that are good are taken as they are, in every case a room of its own.
	g = besiege(t, patient, enginetest.Options{})
	names := []string{"a", "A", "a.", ".a", "..", "a:b", "a~b", "a-b", "a_b", "-", strings.Repeat("a", 128), strings.Repeat("A", 128)}
	g.attack(t, "good names", counts{"roost_rooms": 0}, func(t *testing.T) {
		c := dialV1(t, g.addr, "/ws", v1)
		for _, name := range names {
			c.SendText(fmt.Sprintf(`{"type":"join","id":1,"room":%q}`, name))
			c.ExpectType("joined")
		}
		settles(t, g.server, float64(1+len(names)), "roost_rooms")
		for _, name := range names {
			c.SendText(fmt.Sprintf(`{"type":"publish","room":%q,"data":1}`, name))
			if m := c.ExpectType("message"); m["room"] != name {
				t.Errorf("said in %s, heard in %s", name, m["room"])
			}
		}
		c.ExpectNothing()
		c.CloseHandshake(1000)
		settles(t, g.server, 1, "roost_rooms")
	})
	g.end()
}

// TestServersWords is D3: no client can make others believe that the server said something.
func TestServersWords(t *testing.T) {
	g := besiege(t, patient, enginetest.Options{})
	listener := dialV1(t, g.addr, "/ws?room=words", v1)
	c := dialV1(t, g.addr, "/ws?room=words", v1)
	for _, word := range []string{"welcome", "message", "member_joined", "member_left", "gap", "expiring", "error", "shutdown",
		"joined", "left", "published", "pong", "refreshed", "system", "Publish", "publish ", "pub\u017flish", ""} {
		g.attack(t, word, once(errorSeries("bad_request")), func(t *testing.T) {
			c.SendText(fmt.Sprintf(`{"type":%s,"id":1,"room":"words","user":"root","data":%q,"reconnectIn":0,"from":"root","code":"internal","in":0}`, quoted(word), canary))
			if e := c.ExpectType("error"); e["code"] != "bad_request" || e["id"] != 1.0 {
				t.Errorf("%v", e)
			}
			listener.ExpectNothing()
		})
	}
	// As data they are data: what is heard is a message, whatever stands in it.
	g.attack(t, "as data", nil, func(t *testing.T) {
		c.SendText(`{"type":"publish","room":"words","data":{"type":"shutdown","reconnectIn":0},"type2":"shutdown","from":"root","time":1,"offset":7,"node":"x"}`)
		for _, ear := range []*enginetest.Client{c, listener} {
			m := ear.ExpectType("message")
			if m["from"] != anonymousUser || m["time"] == 1.0 || m["offset"] != nil || m["node"] != nil || m["type2"] != nil {
				t.Errorf("heard %v", m)
			}
		}
	})
	c.CloseHandshake(1000)
	listener.CloseHandshake(1000)
	g.end()
}

// TestRepeatedIDs is D5: an id is the client's own and names an answer. A publish that bears one a second time is a
// second publish: the server remembers none.
func TestRepeatedIDs(t *testing.T) {
	g := besiege(t, nil, enginetest.Options{})
	g.attack(t, "one id for all", counts{`roost_publications_total{source="client"}`: 4}, func(t *testing.T) { // the bystander's included
		c := dialV1(t, g.addr, "/ws?room=ids", v1)
		for range 3 {
			c.SendText(`{"type":"publish","id":"same","room":"ids","data":1}`)
			if a := c.ExpectType("published"); a["id"] != "same" {
				t.Errorf("%v", a)
			}
			c.ExpectType("message")
		}
		c.CloseHandshake(1000)
		g.other.mustBeServed() // counted with the rest
	})
	g.end()
}

// TestHostileJSON: what a message says about sizes costs nothing, and what it is made of costs no more than its
// bytes (D6, D9).
func TestHostileJSON(t *testing.T) {
	g := besiege(t, patient, enginetest.Options{})
	const long = 60_000
	c := dialV1(t, g.addr, "/ws?room=json", v1)
	for _, tc := range []struct{ name, text, code string }{ // no code: there is an answer of another kind
		{"D6 a limit beyond measure", `{"type":"history","id":1,"room":"json","limit":9007199254740993}`, "bad_request"},
		{"D6 a limit of a thousand million", `{"type":"history","id":1,"room":"json","limit":1000000000}`, "unavailable"},
		{"D6 a limit beyond 64 bits", `{"type":"history","id":1,"room":"json","limit":99999999999999999999}`, "bad_request"},
		{"D6 a limit below zero", `{"type":"history","id":1,"room":"json","limit":-1}`, "bad_request"},
		{"D6 a limit with an exponent", `{"type":"history","id":1,"room":"json","limit":1e308}`, "bad_request"},
		{"D6 the largest position", `{"type":"join","id":1,"room":"json","since":{"epoch":"e","offset":18446744073709551615}}`, ""},
		{"D6 a position beyond it", `{"type":"join","id":1,"room":"json","since":{"epoch":"e","offset":18446744073709551616}}`, "bad_request"},
		{"D6 an epoch without end", `{"type":"join","id":1,"room":"json","since":{"epoch":"` + strings.Repeat("e", long) + `","offset":1}}`, "bad_request"},
		{"D9 arrays in arrays", strings.Repeat("[", long), "bad_request"},
		{"D9 objects in objects", `{"type":"publish","room":"json","data":` + strings.Repeat(`{"a":`, long/5), "bad_request"},
		{"D9 a number without end", `{"type":"ping","id":` + strings.Repeat("1", long) + `}`, "bad_request"},
		{"D9 an id without end", `{"type":"ping","id":"` + strings.Repeat("i", long) + `"}`, "bad_request"},
		{"D9 an id of 65 bytes", `{"type":"ping","id":"` + strings.Repeat("i", 63) + `"}`, "bad_request"},
		{"D9 an id in escapes", `{"type":"ping","id":"` + strings.Repeat(`\u0069`, 11) + `"}`, "bad_request"},
		{"D9 members without end", `{"type":"ping","id":1` + strings.Repeat(`,"x":0`, long/6) + `}`, "bad_request"},
		{"D9 a member twice, once escaped", `{"type":"ping","typ\u0065":"leave","id":1}`, "bad_request"},
		{"D9 two messages in one", `{"type":"ping","id":1}{"type":"ping","id":2}`, "bad_request"},
		{"D9 a byte order mark", "\ufeff" + `{"type":"ping","id":1}`, "bad_request"},
		{"D9 not a number", `{"type":"ping","id":NaN}`, "bad_request"},
		{"D9 single quotes", `{'type':'ping','id':1}`, "bad_request"},
		{"D9 a comment", `{"type":"ping",/*` + canary + `*/"id":1}`, "bad_request"},
		{"D9 a token without end", `{"type":"refresh","id":1,"token":"` + strings.Repeat("a", long) + `"}`, "bad_request"},
		{"D9 white space", strings.Repeat(" ", long) + `{"type":"ping","id":1}`, ""},
		{"D9 everything escaped", `{"\u0074ype":"\u0070ing","\u0069d":1}`, ""},
		{"D9 names of a prototype", `{"type":"ping","id":1,"__proto__":{"admin":true},"constructor":` + quoted(canary) + `}`, ""},
	} {
		grown := counts{"roost_panics_total": 0}
		if tc.code != "" {
			grown[errorSeries(tc.code)] = 1
		}
		g.attack(t, tc.name, grown, func(t *testing.T) {
			began := time.Now()
			c.SendText(tc.text)
			switch answer := c.ReadJSON(); {
			case tc.code == "" && answer["type"] != "pong" && answer["recovered"] != false, tc.code != "" && answer["code"] != tc.code:
				t.Errorf("%v, want %s", answer, tc.code)
			case len(fmt.Sprint(answer)) > 400:
				t.Errorf("the answer has %d bytes", len(fmt.Sprint(answer)))
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	// What a publication holds is passed on as it is, also what many programs stumble over.
	for name, data := range map[string]string{
		"D9 half a surrogate": `"\ud800"`, "D9 a NUL": `"\u0000"`, "D9 a large number": "1" + strings.Repeat("0", 400),
		"D9 as deep as may be": strings.Repeat("[", 60) + strings.Repeat("]", 60), "D9 line separators": "\"\u2028\u2029\"",
	} {
		g.attack(t, name, nil, func(t *testing.T) {
			c.SendText(`{"type":"publish","room":"json","data":` + data + `}`)
			if _, heard := c.ReadMessage(); !strings.Contains(string(heard), `"data":`+data) {
				t.Errorf("heard %.200q", heard)
			}
		})
	}
	c.CloseHandshake(1000)
	g.end()
}

// TestUsersAreNotMixedUp is D8: users whose names nearly agree are different users, to every limit and every order.
func TestUsersAreNotMixedUp(t *testing.T) {
	g := besiege(t, func(o *Options) { verifying(t, o, nil); o.Limits.ConnectionsPerUser = 1 },
		enginetest.Options{Token: enginetest.Token(t, "eve", time.Hour, "**")})
	names := []string{"a", "A", "a ", " a", "a.", "a:", ":a", "a*", "*", "{a}", "a/b", "a\\b", "a%20", "caf\u00e9", "cafe\u0301", "<script>", `"`, "'", "test:1",
		"null", "true", "0", "anonymous", "a\u200b", strings.Repeat("a", 128), strings.Repeat("a", 127)}
	clients := map[string]*enginetest.Client{}
	g.attack(t, "each is let in once", counts{refusedSeries("user_limit"): float64(len(names))}, func(t *testing.T) {
		for _, name := range names {
			o := v1As(enginetest.Token(t, name, time.Hour, "**"))
			c := enginetest.Dial(g.t, g.addr, "/ws", o) // for the next part, too
			if w := c.ExpectType("welcome"); w["user"] != name {
				t.Errorf("%q was welcomed as %q", name, w["user"])
			}
			clients[name] = c
		}
		for _, name := range names {
			before := scrape(g.server)
			mustRefuse(t, g.server, g.addr, v1As(enginetest.Token(t, name, time.Hour, "**")), 429, "user_limit")
			grew(t, g.server, before, 1, refusedSeries("user_limit"))
		}
	})
	g.attack(t, "each is sent away alone", counts{closedSeries("backend"): float64(len(names))}, func(t *testing.T) {
		for _, name := range slices.Sorted(maps.Keys(clients)) {
			if list, total, err := g.server.User(t.Context(), name, "", 10); total != 1 || len(list) != 1 || err != nil {
				t.Errorf("%q has %d connections, %v", name, total, err)
			}
			if n, err := disconnect(t, g.server, name); n != 1 || err != nil {
				t.Errorf("%d connections of %q were closed, %v", n, name, err)
			}
			clients[name].ExpectClose(4409)
			clients[name].Close()
		}
	})
	g.end()
}
