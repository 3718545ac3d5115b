package admin

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/fanout"
)

var v1 = enginetest.Options{Subprotocols: []string{"roost.v1"}}

// openClient is a roost.v1 client that has heard its welcome, and what that said.
func (p *port) openClient(path string, o enginetest.Options) (*enginetest.Client, map[string]any) {
	p.t.Helper()
	c := enginetest.Dial(p.t, p.client, path, o)
	return c, c.ExpectType("welcome")
}

func TestPublishReachesEveryDialect(t *testing.T) {
	p := open(t, setup{})
	raw := enginetest.Dial(t, p.client, "/raw/chat", enginetest.Options{})
	member, _ := p.openClient("/ws?room=chat", v1)
	other, _ := p.openClient("/ws?room=elsewhere", v1)
	for _, data := range []string{
		`{"n":1.0,"big":12345678901234567890, "e":1E+2}`, `"caf\u00e9 \ud800 </script>"`, `"é"`, `null`, `""`, `[ 1 ,2 ]`, `-0`,
		strings.Repeat("[", 62) + strings.Repeat("]", 62), `"` + strings.Repeat("x", 60<<10) + `"`,
	} {
		p.expect(200, `{"offset":0,"epoch":""}`, "POST", "/api/publish", `{"room":"chat","data": `+data+` }`)
		raw.ExpectText(data)
		op, message := member.ReadMessage()
		if op != ws.OpText || !strings.Contains(string(message), `"data":`+data) || strings.Contains(string(message), `"from"`) {
			t.Errorf("%.200s: %.200s", data, message)
		}
	}
	other.ExpectNothing()
}

func TestPublishAnswersWithThePosition(t *testing.T) {
	p := open(t, setup{})
	p.expect(200, `{"offset":1152921504606846976,"epoch":"e1"}`, "POST", "/api/publish", `{"data":1,"room":"odd.kept"}`)
	if got := p.broker.last; len(got) != 1 || got[0].Kind != fanout.JSON || got[0].Node != "test" || got[0].Time == 0 || got[0].From != "" {
		t.Errorf("published %+v", got)
	}
}

func TestPublishRefused(t *testing.T) {
	p := open(t, setup{port: func(a *Admin) { a.answer = 50 * time.Millisecond }})
	member, _ := p.openClient("/ws?room=a", v1)
	for name, c := range map[string]struct {
		body   string
		status int
		code   string
		says   string
	}{
		"no body":             {"", 400, "bad_request", "not a JSON object"},
		"not JSON":            {"{", 400, "bad_request", "byte 1"},
		"null":                {"null", 400, "bad_request", "not a JSON object"},
		"a list":              {`[{"room":"a","data":1}]`, 400, "bad_request", "not a JSON object"},
		"trailing garbage":    {`{"room":"a","data":1} x`, 400, "bad_request", "byte 22"},
		"two objects":         {`{"room":"a","data":1}{"room":"a","data":1}`, 400, "bad_request", "byte 21"},
		"unknown member":      {`{"room":"a","data":1,"form":"b"}`, 400, "bad_request", `unknown member \"form\"`},
		"long unknown member": {`{"` + strings.Repeat("<é>", 1000) + `":1}`, 400, "bad_request", "..."},
		"other case":          {`{"Room":"a","data":1}`, 400, "bad_request", `unknown member \"Room\"`},
		"room twice":          {`{"room":"a","room":"b","data":1}`, 400, "bad_request", "twice"},
		"name in data twice":  {`{"room":"a","data":{"x":1,"x":2}}`, 400, "bad_request", "twice"},
		"room is a number":    {`{"room":1,"data":1}`, 400, "bad_request", `\"room\"`},
		"no data":             {`{"room":"a"}`, 400, "bad_request", "data is missing"},
		"not UTF-8":           {"{\"room\":\"a\",\"data\":\"\xff\"}", 400, "bad_request", "UTF-8"},
		"deep":                {`{"room":"a","data":` + strings.Repeat("[", 64) + strings.Repeat("]", 64) + `}`, 400, "bad_request", "64 levels"},
		"very deep":           {`{"room":"a","data":` + strings.Repeat("[", 500_000), 400, "bad_request", "64 levels"},
		"no room":             {`{"data":1}`, 400, "bad_room", ""},
		"room null":           {`{"room":null,"data":1}`, 400, "bad_room", ""},
		"room with a star":    {`{"room":"*","data":1}`, 400, "bad_room", ""},
		"room with a newline": {`{"room":"a\nb","data":1}`, 400, "bad_room", ""},
		"room too long":       {`{"room":"` + strings.Repeat("a", 129) + `","data":1}`, 400, "bad_room", ""},
		"broker is busy":      {`{"room":"odd.busy","data":1}`, 503, "unavailable", "busy"},
		"broker is mute":      {`{"room":"odd.mute","data":1}`, 503, "unavailable", "may still be delivered"},
		"broker is broken":    {`{"room":"odd.broken","data":1}`, 503, "unavailable", "nothing was published"},
	} {
		t.Run(name, func(t *testing.T) {
			p := *p
			p.t = t
			got := p.refused(c.status, c.code, "POST", "/api/publish", c.body)
			if !strings.Contains(got.body, c.says) || len(got.body) > 300 || strings.Contains(got.body, "canary") {
				t.Errorf("answer %s", got.body)
			}
			if retry := got.header.Get("Retry-After"); (retry != "") != (c.status == 503 && name != "broker is mute") {
				t.Errorf("Retry-After %q", retry)
			}
		})
	}
	member.ExpectNothing()
	if log := p.log.String(); strings.Count(log, "level=WARN") != 2 {
		t.Errorf("log %s", log)
	}
}

func TestBroadcast(t *testing.T) {
	p := open(t, setup{port: func(a *Admin) { a.answer = 50 * time.Millisecond }})
	a, _ := p.openClient("/ws?room=a", v1)
	b := enginetest.Dial(t, p.client, "/raw/b", enginetest.Options{})
	p.expect(200, `{"failed":0,"results":[{"room":"b","offset":0,"epoch":""},{"room":"a","offset":0,"epoch":""}]}`,
		"POST", "/api/broadcast", `{"rooms":["b","a"],"data":{"x": 1}}`)
	a.ExpectType("message")
	b.ExpectText(`{"x": 1}`)

	got := p.ask("POST", "/api/broadcast", `{"rooms":["odd.busy","a","odd.mute","odd.kept"],"data":2}`)
	for _, part := range []string{`"failed":2`, `{"room":"odd.busy","error":{"code":"unavailable"`, `{"room":"a","offset":0,"epoch":""}`,
		`{"room":"odd.mute","error":{"code":"unavailable"`, `{"room":"odd.kept","offset":1152921504606846976,"epoch":"e1"}`} {
		if got.status != 200 || !strings.Contains(got.body, part) {
			t.Errorf("%d %s, want %s", got.status, got.body, part)
		}
	}
	a.ExpectType("message")

	many := func(n int) string {
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf(`"a.%d"`, i)
		}
		return `{"data":1,"rooms":[` + strings.Join(names, ",") + `]}`
	}
	if got := p.ask("POST", "/api/broadcast", many(maxBroadcast)); got.status != 200 || strings.Count(got.body, `"offset"`) != maxBroadcast {
		t.Errorf("%d %.200s", got.status, got.body)
	}
	p.refused(400, "bad_request", "POST", "/api/broadcast", many(maxBroadcast+1))
	p.refused(400, "bad_request", "POST", "/api/broadcast", `{"rooms":[],"data":1}`)
	p.refused(400, "bad_request", "POST", "/api/broadcast", `{"data":1}`)
	p.refused(400, "bad_request", "POST", "/api/broadcast", `{"rooms":["a"]}`)
	p.refused(400, "bad_request", "POST", "/api/broadcast", `{"rooms":["a","b","a"],"data":1}`)
	p.refused(400, "bad_request", "POST", "/api/broadcast", `{"rooms":"a","data":1}`)
	p.refused(400, "bad_room", "POST", "/api/broadcast", `{"rooms":["a","a b"],"data":1}`)
	p.refused(503, "unavailable", "POST", "/api/broadcast", `{"rooms":["odd.busy","odd.broken"],"data":1}`)
	a.ExpectNothing()
}

func TestPublishAfterTheNodeHasStopped(t *testing.T) {
	p := open(t, setup{port: func(a *Admin) { a.answer = 200 * time.Millisecond }})
	if err := p.node.Stop(); err != nil {
		t.Fatal(err)
	}
	p.refused(503, "unavailable", "POST", "/api/publish", `{"room":"a","data":1}`)
	p.refused(503, "unavailable", "POST", "/api/disconnect", `{"user":"a"}`)
	p.refused(503, "unavailable", "POST", "/api/disconnect", `{"connection":"test:1"}`)
	p.refused(503, "unavailable", "GET", "/api/rooms", "")
	p.refused(503, "unavailable", "GET", "/api/users/a", "")
	for _, path := range []string{"/metrics", "/healthz", "/api/stats"} {
		if got := p.ask(http.MethodGet, path, ""); got.status != 200 {
			t.Errorf("%s: %d", path, got.status)
		}
	}
}
