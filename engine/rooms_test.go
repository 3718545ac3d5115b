package engine

// The roost.v1 protocol and rooms on real sockets: golden exchanges, errors by code, and rooms whose members speak
// different dialects.

import (
	"encoding/json"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/engine/ratelimit"
	"github.com/roost-ws/roost/fanout"
)

func TestWelcome(t *testing.T) {
	s, addr := serve(t, func(o *Options) { verifying(t, o, nil); o.Heartbeat = 17 * time.Second })
	token := enginetest.Token(t, "ada", time.Hour, "chat.*")
	c := enginetest.Dial(t, addr, "/?room=chat.a&room=chat.%62&attempt=2", v1As(token))
	if c.Subprotocol != "roost.v1" {
		t.Errorf("subprotocol %q", c.Subprotocol)
	}
	w := c.ExpectType("welcome")
	if !reflect.DeepEqual(w["rooms"], []any{"chat.a", "chat.b"}) || w["user"] != "ada" || w["node"] != "test" || w["heartbeat"] != 17.0 {
		t.Errorf("welcome %v", w)
	}
	if left := time.Until(time.Unix(int64(w["expires"].(float64)), 0)); left < 59*time.Minute || left > 61*time.Minute {
		t.Errorf("the token expires in %v", left)
	}
	id := w["connection"].(string)
	if again := dialV1(t, addr, "/ws", v1As(token)); again == nil || !strings.HasPrefix(id, "test:") {
		t.Errorf("connection %q", id)
	}
	for _, room := range []string{"chat.a", "chat.b"} {
		c.SendText(`{"type":"publish","room":"` + room + `","data":1}`)
		c.ExpectType("message")
	}
	settles(t, s, 1, "roost_reconnects_total")
	settles(t, s, 2, "roost_members")
	settles(t, s, 2, "roost_rooms")
}

// TestGoldenExchanges replays the protocol's own examples. What needs history is taken out of what they expect.
func TestGoldenExchanges(t *testing.T) {
	for _, file := range []string{"join", "ping", "publish"} {
		t.Run(file, func(t *testing.T) {
			text, err := os.ReadFile("../protocol/roostv1/testdata/" + file + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			s, addr := serve(t, func(o *Options) { verifying(t, o, nil) })
			path := "/ws"
			if file == "publish" {
				path = "/ws?room=chat.lobby&room=news.today"
			}
			c := dialV1(t, addr, path, v1As(enginetest.Token(t, "ada", time.Hour, "**")))
			for line := range strings.Lines(string(text)) {
				line = strings.TrimSpace(line)
				switch {
				case strings.HasPrefix(line, "> "):
					c.SendText(line[2:])
					if strings.Contains(line, `"data":null`) {
						c.ExpectType("message") // the example is about the answer that does not come
					}
				case strings.HasPrefix(line, "< "):
					mustHear(t, s, c, line[2:])
				}
			}
			c.ExpectNothing()
		})
	}
}

// mustHear reads the next message and compares it with an example's.
func mustHear(t *testing.T, s *Server, c *enginetest.Client, example string) {
	t.Helper()
	var want map[string]any
	if err := json.Unmarshal([]byte(example), &want); err != nil {
		t.Fatal(err)
	}
	if want["type"] == "message" && want["from"] == nil {
		data, _ := json.Marshal(want["data"])
		s.Publish(want["room"].(string), data, fanout.JSON, nil)
	}
	got := c.ReadJSON()
	for _, history := range []string{"offset", "epoch"} {
		delete(want, history)
	}
	if got["type"] == "message" {
		now := float64(time.Now().UnixMilli())
		if at, _ := got["time"].(float64); at < now-60e3 || at > now+1e3 {
			t.Errorf("time %v, want about %v", got["time"], now)
		}
		delete(got, "time")
		delete(want, "time")
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("have %v, want %v", got, want)
	}
}

// TestErrors: each code that one node can answer with, its count, and that the connection stays open.
func TestErrors(t *testing.T) {
	s, addr := serve(t, func(o *Options) {
		verifying(t, o, nil)
		o.Limits.RoomsPerConnection = 2
		o.Limits.RoomBytes = 20
		o.Limits.Controls = ratelimit.NewRate(1000, 1000)
		o.Rooms = []RoomRule{{Match: "news.**", Publish: PublishBackend}, {Match: "open.**", Publish: PublishAnyone}}
	})
	other := newBystander(t, addr, enginetest.Options{Token: enginetest.Token(t, "eve", time.Hour, "**")})
	token := enginetest.TokenClaims(t, map[string]any{"sub": "ada", "exp": time.Now().Add(time.Hour).Unix(),
		"rooms": []string{"chat.*", "news.*", "open.*"}, "rooms_read": []string{"read.*"}})
	c := dialV1(t, addr, "/ws?room=chat.a&room=news.a", v1As(token))
	for _, tc := range []struct{ name, text, code string }{
		{"no JSON", `nonsense`, "bad_request"},
		{"an array", `[]`, "bad_request"},
		{"no type", `{"id":1}`, "bad_request"},
		{"unknown type", `{"type":"dance","id":1}`, "bad_request"},
		{"a name twice", `{"type":"ping","id":1,"type":"leave"}`, "bad_request"},
		{"a server's type", `{"type":"shutdown","id":1,"reconnectIn":0}`, "bad_request"},
		{"a server's message", `{"type":"message","id":1,"room":"chat.a","data":1}`, "bad_request"},
		{"no room", `{"type":"join","id":1}`, "bad_request"},
		{"no data", `{"type":"publish","id":1,"room":"chat.a"}`, "bad_request"},
		{"an id that is an object", `{"type":"ping","id":{}}`, "bad_request"},
		{"too deep", `{"type":"publish","room":"chat.a","data":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, "bad_request"},
		{"empty room", `{"type":"join","id":1,"room":""}`, "bad_room"},
		{"room with a space", `{"type":"join","id":1,"room":"a b"}`, "bad_room"},
		{"room with a star", `{"type":"join","id":1,"room":"chat.*"}`, "bad_room"},
		{"room with a line end", `{"type":"join","id":1,"room":"a\r\nb"}`, "bad_room"},
		{"room with NUL", `{"type":"join","id":1,"room":"a\u0000"}`, "bad_room"},
		{"room beyond ASCII", `{"type":"join","id":1,"room":"caf\u00e9"}`, "bad_room"},
		{"long room", `{"type":"join","id":1,"room":"chat.aaaaaaaaaaaaaaaaaaaaaaaa"}`, "bad_room"},
		{"publish to a bad room", `{"type":"publish","id":1,"room":">","data":1}`, "bad_room"},
		{"join without the right", `{"type":"join","id":1,"room":"secret"}`, "forbidden"},
		{"publish without the right", `{"type":"publish","id":1,"room":"secret","data":1}`, "forbidden"},
		{"publish with the right to read", `{"type":"publish","id":1,"room":"read.a","data":1}`, "forbidden"},
		{"publish where the backend does", `{"type":"publish","id":1,"room":"news.a","data":1}`, "forbidden"},
		{"publish without joining", `{"type":"publish","id":1,"room":"chat.b","data":1}`, "not_joined"},
		{"leave without joining", `{"type":"leave","id":1,"room":"chat.b"}`, "not_joined"},
		{"one room too many", `{"type":"join","id":1,"room":"chat.b"}`, "too_many_rooms"},
		{"presence without the right", `{"type":"presence","id":1,"room":"secret"}`, "forbidden"},
		{"presence of a bad room", `{"type":"presence","id":1,"room":"a b"}`, "bad_room"},
		{"history without the right", `{"type":"history","id":1,"room":"secret"}`, "forbidden"},
		{"history of a bad room", `{"type":"history","id":1,"room":"a b"}`, "bad_room"},
		{"history", `{"type":"history","id":1,"room":"chat.a"}`, "unavailable"},
		{"one room too many from a position", `{"type":"join","id":1,"room":"chat.c","since":{"epoch":"e","offset":1}}`, "too_many_rooms"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := scrape(s)
			c.SendText(tc.text)
			e := c.ExpectType("error")
			if e["code"] != tc.code || e["message"] == "" {
				t.Errorf("error %v, want %s", e, tc.code)
			}
			if wantID := strings.Contains(tc.text, `"id":1`); wantID != (e["id"] == 1.0) {
				t.Errorf("id %v", e["id"])
			}
			grew(t, s, before, 1, errorSeries(tc.code))
			c.SendText(`{"type":"publish","room":"chat.a","data":"still open","from":"root","time":1,"node":"x"}`)
			if m := c.ExpectType("message"); m["data"] != "still open" || m["from"] != "ada" || m["node"] != nil || m["time"] == 1.0 {
				t.Errorf("message %v", m)
			}
		})
	}
	c.SendText(`{"type":"publish","id":2,"room":"open.a","data":1}`) // anyone may, without joining
	c.ExpectType("published")
	c.SendText(`{"type":"join","id":3,"room":"chat.a"}`) // a member already
	c.ExpectType("joined")
	c.ExpectNothing()
	settles(t, s, 3, "roost_members") // and the bystander's one
	other.mustBeServed()
}

// TestRates: what is above a rate is answered with the time to wait, and counted by kind.
func TestRates(t *testing.T) {
	s, addr := serve(t, func(o *Options) {
		o.Limits.Messages = ratelimit.NewRate(1, 3)
		o.Limits.Controls = ratelimit.NewRate(1, 3)
	})
	other := dialV1(t, addr, "/ws?room=quiet", v1)
	for _, tc := range []struct{ kind, text, answer string }{
		{"messages", `{"type":"publish","room":"fast","data":1,"id":1,"echo":false}`, "published"},
		{"controls", `{"type":"ping","id":1}`, "pong"},
	} {
		before := scrape(s)
		c := dialV1(t, addr, "/ws?room=fast", v1)
		for range 3 {
			c.SendText(tc.text)
			c.ExpectType(tc.answer)
		}
		c.SendText(tc.text)
		e := c.ExpectType("error")
		if wait, _ := e["retry_after"].(float64); e["code"] != "rate_limited" || wait < 1 || wait > 1000 {
			t.Errorf("%s: %v", tc.kind, e)
		}
		grew(t, s, before, 1, `roost_rate_limited_total{kind="`+tc.kind+`"}`)
		grew(t, s, before, 1, errorSeries("rate_limited"))
		c.CloseHandshake(1000)
	}
	other.SendText(`{"type":"publish","room":"quiet","data":1,"id":1}`)
	other.ExpectType("published")
	other.ExpectType("message")

	// A dialect without answers drops what is above the rate; the rest goes on.
	before := scrape(s)
	raw := enginetest.Dial(t, addr, "/raw/fast", enginetest.Options{})
	for _, text := range []string{"1", "2", "3", "4"} {
		raw.SendText(text)
	}
	for _, text := range []string{"1", "2", "3"} {
		raw.ExpectText(text)
	}
	grew(t, s, before, 1, `roost_rate_limited_total{kind="messages"}`)
}

// TestFaultBudgets: who keeps at it is closed, with the code that says what was wrong.
func TestFaultBudgets(t *testing.T) {
	const budget = 5
	s, addr := serve(t, func(o *Options) {
		verifying(t, o, nil)
		o.Limits.Faults = ratelimit.NewRate(0.01, budget)
		o.Limits.Messages = ratelimit.NewRate(0.01, 1)
		o.Limits.Controls = ratelimit.NewRate(0.01, 40)
	})
	other := newBystander(t, addr, enginetest.Options{Token: enginetest.Token(t, "eve", time.Hour, "**")})
	token := enginetest.Token(t, "ada", time.Hour, "mine")
	for _, tc := range []struct {
		name, text string
		more       int // of them that are no fault yet
		code       int
		reason     CloseReason
	}{
		{"nonsense", `nonsense`, 0, 1008, CloseTooManyErrors},
		{"bad rooms", `{"type":"join","room":"*"}`, 0, 1008, CloseTooManyErrors},
		{"rooms not joined", `{"type":"leave","room":"x"}`, 0, 1008, CloseTooManyErrors},
		{"forbidden rooms", `{"type":"join","room":"yours"}`, 0, 4403, CloseForbidden},
		{"too many messages", `{"type":"publish","room":"mine","data":1,"echo":false}`, 1, 4429, CloseRateLimited},
		{"too many controls", `{"type":"ping"}`, 40, 4429, CloseRateLimited},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := scrape(s)
			c := dialV1(t, addr, "/ws?room=mine", v1As(token))
			for range tc.more + budget + 1 {
				c.SendText(tc.text)
			}
			c.ExpectClose(tc.code)
			grew(t, s, before, 1, closedSeries(tc.reason.String()))
		})
	}
	t.Run("pings of the protocol below", func(t *testing.T) {
		before := scrape(s)
		c := enginetest.Dial(t, addr, "/raw/mine", enginetest.Options{Token: token})
		for range 40 + budget + 1 {
			c.SendPing("flood")
		}
		c.ExpectClose(4429)
		grew(t, s, before, 1, closedSeries("rate_limited"))
		grew(t, s, before, budget+1, `roost_rate_limited_total{kind="controls"}`)
	})
	t.Run("churn of rooms", func(t *testing.T) {
		before := scrape(s)
		c := dialV1(t, addr, "/ws", v1As(enginetest.Token(t, "ada", time.Hour, "**")))
		for i := range 23 {
			room := string(rune('a' + i))
			c.SendText(`{"type":"join","room":"churn.` + room + `"}`)
			c.SendText(`{"type":"leave","room":"churn.` + room + `"}`)
		}
		c.ExpectClose(4429)
		grew(t, s, before, 1, closedSeries("rate_limited"))
	})
	other.mustBeServed() // the one message that its rate allows
	other.client.Close()
	mustBeEmpty(t, s)
}

// TestMixedDialects: members of one room hear each other whatever they speak.
func TestMixedDialects(t *testing.T) {
	s, addr := serve(t, func(o *Options) { o.Loops = 1 })
	raw := enginetest.Dial(t, addr, "/raw/mix", enginetest.Options{})
	js := dialV1(t, addr, "/ws?room=mix", v1)
	elsewhere := dialV1(t, addr, "/ws?room=other", v1)
	for _, tc := range []struct{ data, text string }{
		{`{"a": 1.0,  "b":[ ]}`, `{"a": 1.0,  "b":[ ]}`},
		{`"text"`, `"text"`},
		{`null`, `null`},
		{`"\u00e9\n"`, `"\u00e9\n"`},
	} {
		js.SendText(`{"type":"publish","room":"mix","data":` + tc.data + `,"id":1}`)
		js.ExpectType("published")
		if op, heard := js.ReadMessage(); op != 1 || !strings.Contains(string(heard), `"data":`+tc.data+`,`) {
			t.Errorf("%s came back as %s", tc.data, heard)
		}
		raw.ExpectText(tc.text)
	}
	js.SendText(`{"type":"publish","room":"mix","data":"unheard by me","echo":false}`)
	raw.ExpectText(`"unheard by me"`)
	for _, tc := range []struct {
		send func(string)
		sent string
		data string
	}{
		{raw.SendText, `say "hi" \`, `say "hi" \`},
		{raw.SendText, ``, ``},
		{raw.SendText, `{"type":"shutdown","reconnectIn":0}`, `{"type":"shutdown","reconnectIn":0}`},
		{func(b string) { raw.SendBinary([]byte(b)) }, "\x00\xff\x10\x80", "AP8QgA=="},
		{func(b string) { raw.SendBinary([]byte(b)) }, "", ""},
	} {
		tc.send(tc.sent)
		if _, echo := raw.ReadMessage(); string(echo) != tc.sent {
			t.Errorf("%q came back as %q", tc.sent, echo)
		}
		if m := js.ExpectType("message"); m["data"] != tc.data || m["room"] != "mix" || m["from"] != "anonymous" {
			t.Errorf("%q was heard as %v", tc.sent, m)
		}
	}
	s.Publish("mix", []byte(`{"from":"backend"}`), fanout.JSON, nil)
	raw.ExpectText(`{"from":"backend"}`)
	js.ExpectType("message")
	js.SendText(`{"type":"leave","room":"mix","id":1}`)
	js.ExpectType("left")
	raw.SendText("alone")
	raw.ExpectText("alone")
	js.ExpectNothing()
	elsewhere.ExpectNothing()
	settles(t, s, 2, "roost_rooms")
	settles(t, s, 1, `roost_publications_total{source="api"}`)
}

// TestBackendOrders: the orders of the operator's port reach the right connections.
func TestBackendOrders(t *testing.T) {
	s, addr := serve(t, func(o *Options) { verifying(t, o, nil) })
	dial := func(user string) (*enginetest.Client, string) {
		c := enginetest.Dial(t, addr, "/ws?room=a&room=b", v1As(enginetest.Token(t, user, time.Hour, "**")))
		return c, c.ExpectType("welcome")["connection"].(string)
	}
	first, firstID := dial("ada")
	second, _ := dial("ada")
	other, _ := dial("eve")
	before := scrape(s)
	list, total, err := s.User(t.Context(), "ada", "", 10)
	if err != nil || total != 2 || len(list) != 2 || !reflect.DeepEqual(list[0].Rooms, []string{"a", "b"}) {
		t.Errorf("ada has %d connections: %+v, %v", total, list, err)
	}
	if rooms, err := s.Rooms(t.Context(), "", 10); err != nil || !reflect.DeepEqual(rooms, []RoomInfo{{"a", 3}, {"b", 3}}) {
		t.Errorf("rooms %v, %v", rooms, err)
	}
	if found, err := s.DisconnectConnection(t.Context(), firstID, 4001, "enough"); !found || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
	if reason := first.ExpectClose(4001); reason != "enough" {
		t.Errorf("reason %q", reason)
	}
	first.ExpectEnd()
	if found, _ := s.DisconnectConnection(t.Context(), firstID, 0, ""); found {
		t.Error("found again")
	}
	if n, err := disconnect(t, s, "ada"); n != 1 || err != nil {
		t.Errorf("%d connections of ada closed, %v", n, err)
	}
	second.ExpectClose(4409)
	grew(t, s, before, 2, closedSeries("backend"))
	other.SendText(`{"type":"publish","room":"a","data":1}`)
	other.ExpectType("message")
}
