package admin

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// guardedPaths are one of each kind: there, not there, and there with another method.
var guardedPaths = []string{"/api/stats", "/api/nothing", "/api/publish", "/api/rooms/a/presence", "/api/users/ann", "/debug/pprof/", "/debug/pprof/heap"}

func withKey(o *Options) { o.Key, o.Pprof = testKey, true }

func TestKey(t *testing.T) {
	p := open(t, setup{admin: withKey})
	for name, headers := range map[string][]string{
		"none":             nil,
		"wrong":            {"Authorization: Bearer wrong"},
		"empty":            {"Authorization: Bearer "},
		"no scheme":        {"Authorization: " + testKey},
		"scheme alone":     {"Authorization: Bearer"},
		"other scheme":     {"Authorization: Basic " + testKey},
		"a prefix":         {"Authorization: Bearer " + testKey[:len(testKey)-1]},
		"longer":           {"Authorization: Bearer " + testKey + "x"},
		"other case":       {"Authorization: Bearer " + strings.ToUpper(testKey)},
		"twice":            {"Authorization: Bearer " + testKey, "Authorization: Bearer " + testKey},
		"two in one":       {"Authorization: Bearer " + testKey + ", Bearer " + testKey},
		"in another place": {"X-Api-Key: " + testKey, "Cookie: key=" + testKey},
	} {
		t.Run(name, func(t *testing.T) {
			p := *p
			p.t = t
			for _, path := range guardedPaths {
				got := p.refused(401, "unauthorized", "GET", path, "", headers...)
				if got.header.Get("WWW-Authenticate") != "Bearer" || strings.Contains(got.body, testKey) {
					t.Errorf("%v %s", got.header, got.body)
				}
			}
			p.refused(401, "unauthorized", "GET", "/api/stats?key="+testKey, "", headers...)
			p.refused(401, "unauthorized", "POST", "/api/drain", "", headers...)
			c := p.dialTCP() // is refused before a byte of its body has come
			_, _ = io.WriteString(c, "POST /api/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 104857600\r\n"+strings.Join(append(headers, ""), "\r\n")+"\r\n")
			got, _ := readAnswerOnly(t, c)
			checkRefused(t, got, 401, "unauthorized")
			p.refused(401, "unauthorized", "OPTIONS", "/api/publish", "", headers...)
		})
	}
	if p.drains.Load() != 0 {
		t.Error("drained without the key")
	}
	for _, headers := range [][]string{
		{"Authorization: Bearer " + testKey}, {"Authorization: bearer  " + testKey},
		{"Authorization: Bearer " + testKey, "Host: roost.internal", "X-Forwarded-For: 10.0.0.1"},
		{"Authorization: Bearer " + testKey, "Host: roost.internal", "Origin: https://roost.internal", "Sec-Fetch-Site: same-origin"},
	} {
		if got := p.ask("GET", "/api/stats", "", headers...); got.status != 200 {
			t.Errorf("%q: %d %s", headers, got.status, got.body)
		}
		p.expect(200, `{"offset":0,"epoch":""}`, "POST", "/api/publish", `{"room":"a","data":1}`, headers...)
		p.refused(404, "not_found", "GET", "/api/nothing", "", headers...)
	}
	if log := p.log.String(); strings.Contains(log, testKey) {
		t.Errorf("the log has the key: %s", log)
	}
}

func TestOpenRoutesNeedNothing(t *testing.T) {
	for name, admin := range map[string]func(*Options){
		"with a key": withKey, "without one": nil, "not loopback": func(o *Options) { o.Listen = ":0" },
	} {
		t.Run(name, func(t *testing.T) {
			p := open(t, setup{admin: admin})
			for _, path := range []string{"/", "/console/app.js", "/roost.js", "/metrics", "/healthz", "/readyz"} {
				for _, method := range []string{"GET", "HEAD"} {
					got := p.ask(method, path, "", "Host: anything.example", "X-Forwarded-For: 10.0.0.1")
					if got.status != 200 || (got.body == "") != (method == "HEAD") || got.header.Get("Content-Length") == "" {
						t.Errorf("%s %s: %d %v", method, path, got.status, got.header)
					}
				}
				got := p.refused(405, "method_not_allowed", "POST", path, "")
				if got.header.Get("Allow") != "GET, HEAD" {
					t.Errorf("Allow %q", got.header.Get("Allow"))
				}
			}
		})
	}
}

// What a browser can be made to send, and what a proxy beside the node sends, against a port without a key.
func TestWithoutKey(t *testing.T) {
	p := open(t, setup{})
	_, number, _ := net.SplitHostPort(p.Addr().String())
	here := "127.0.0.1:" + number
	for name, c := range map[string]struct {
		headers []string
		post    int // status of a POST; GETs differ where get is set
		get     int
	}{
		"plain":                       {nil, 200, 200},
		"localhost":                   {[]string{"Host: LocalHost:" + number}, 200, 200},
		"no port":                     {[]string{"Host: localhost"}, 200, 200},
		"IPv6":                        {[]string{"Host: [::1]:" + number}, 200, 200},
		"IPv6 without port":           {[]string{"Host: [::1]"}, 200, 200},
		"another loopback address":    {[]string{"Host: 127.9.9.9"}, 200, 200},
		"mapped address":              {[]string{"Host: [::ffff:127.0.0.1]:80"}, 200, 200},
		"own page":                    {[]string{"Origin: http://" + here, "Sec-Fetch-Site: same-origin"}, 200, 200},
		"typed in":                    {[]string{"Sec-Fetch-Site: none"}, 200, 200},
		"rebound name":                {[]string{"Host: evil.example:" + number}, 403, 403},
		"rebound, same origin":        {[]string{"Host: evil.example", "Origin: http://evil.example", "Sec-Fetch-Site: same-origin"}, 403, 403},
		"name like ours":              {[]string{"Host: localhost.evil.example"}, 403, 403},
		"address like ours":           {[]string{"Host: 127.0.0.1.evil.example"}, 403, 403},
		"other address":               {[]string{"Host: 10.0.0.1"}, 403, 403},
		"any address":                 {[]string{"Host: 0.0.0.0"}, 403, 403},
		"short address":               {[]string{"Host: 127.1"}, 403, 403},
		"number":                      {[]string{"Host: 2130706433"}, 403, 403},
		"passed on":                   {[]string{"X-Forwarded-For: 10.0.0.1"}, 403, 403},
		"passed on, X-Real-IP":        {[]string{"X-Real-IP: 10.0.0.1"}, 403, 403},
		"passed on, RFC 7239":         {[]string{"Forwarded: for=10.0.0.1"}, 403, 403},
		"page elsewhere":              {[]string{"Origin: https://evil.example", "Sec-Fetch-Site: cross-site"}, 403, 403},
		"page elsewhere, old browser": {[]string{"Origin: https://evil.example"}, 403, 403},
		"page without origin":         {[]string{"Origin: null"}, 403, 403},
		"page on another port":        {[]string{"Origin: http://127.0.0.1:1", "Sec-Fetch-Site: same-site"}, 403, 403},
		"page on localhost":           {[]string{"Origin: http://localhost:" + number}, 403, 403},
		"two origins":                 {[]string{"Origin: http://" + here, "Origin: https://evil.example"}, 403, 403},
		"link elsewhere":              {[]string{"Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"}, 403, 403},
		"form":                        {[]string{"Content-Type:", "Content-Type: application/x-www-form-urlencoded"}, 415, 200},
		"text form":                   {[]string{"Content-Type:", "Content-Type: text/plain"}, 415, 200},
		"no type":                     {[]string{"Content-Type:"}, 415, 200},
		"two types":                   {[]string{"Content-Type: text/plain"}, 415, 200},
		"type like JSON":              {[]string{"Content-Type:", "Content-Type: application/jsonp"}, 415, 200},
		"JSON in UTF-8":               {[]string{"Content-Type:", "Content-Type: Application/JSON; charset=UTF-8"}, 200, 200},
		"JSON in UTF-16":              {[]string{"Content-Type:", "Content-Type: application/json; charset=utf-16"}, 415, 200},
		"broken type":                 {[]string{"Content-Type:", "Content-Type: application/json; ="}, 415, 200},
	} {
		t.Run(name, func(t *testing.T) {
			p := *p
			p.t = t
			got := p.ask("POST", "/api/publish", `{"room":"a","data":1}`, c.headers...)
			if got.status != c.post {
				t.Errorf("POST: %d %s, want %d", got.status, got.body, c.post)
			}
			if c.post != 200 {
				checkRefused(t, got, c.post, map[int]string{403: "forbidden", 415: "unsupported_media_type"}[c.post])
			}
			if got := p.ask("GET", "/api/stats", "", c.headers...); got.status != c.get {
				t.Errorf("GET: %d %s, want %d", got.status, got.body, c.get)
			}
			if c.get == 403 {
				p.refused(403, "forbidden", "OPTIONS", "/api/publish", "", c.headers...)
			}
		})
	}
}

func TestPeerMustBeLoopback(t *testing.T) {
	p := open(t, setup{})
	for peer, status := range map[string]int{
		"127.0.0.1:9": 200, "[::1]:9": 200, "[::ffff:127.0.0.1]:9": 200, "10.0.0.1:9": 403, "[fe80::1%eth0]:9": 403, "[::ffff:10.0.0.1]:9": 403, "": 403, "@": 403,
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost/api/stats", nil)
		r.RemoteAddr = peer
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if w.Code != status {
			t.Errorf("%s: %d %s, want %d", peer, w.Code, w.Body, status)
		}
	}
}

func TestApiIsOffWithoutKeyWhereOthersReachIt(t *testing.T) {
	p := open(t, setup{admin: func(o *Options) { o.Listen, o.Pprof = "0.0.0.0:0", true }})
	for _, path := range guardedPaths {
		p.refused(403, "forbidden", "GET", path, "")
	}
	p.refused(403, "forbidden", "POST", "/api/drain", "")
	if !strings.Contains(p.log.String(), "the API is off") {
		t.Errorf("log %s", p.log.String())
	}
	keyed := open(t, setup{admin: func(o *Options) { o.Listen, o.Key = "0.0.0.0:0", testKey }})
	if got := keyed.ask("GET", "/api/stats", "", "Authorization: Bearer "+testKey); got.status != 200 {
		t.Errorf("%d %s", got.status, got.body)
	}
}

func TestGuardedRoutesAreBelowGuardedPaths(t *testing.T) {
	p := open(t, setup{admin: withKey})
	free := ""
	for _, route := range p.routes {
		if !isGuarded(route.pattern) {
			free += fmt.Sprintln(route.method, route.pattern)
		}
	}
	if want := "GET /\nGET /console/{file}\nGET /roost.js\nGET /roost.d.ts\nGET /metrics\nGET /healthz\nGET /readyz\n"; free != want {
		t.Errorf("open routes:\n%s want\n%s", free, want)
	}
}
