package admin

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestRoutes(t *testing.T) {
	p := open(t, setup{})
	for path, allowed := range map[string]string{
		"/api/publish": "POST", "/api/broadcast": "POST", "/api/disconnect": "POST", "/api/drain": "POST",
		"/api/rooms": "GET, HEAD", "/api/users/a": "GET, HEAD", "/api/stats": "GET, HEAD",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "get"} {
			if strings.Contains(allowed, method) {
				continue
			}
			if method == "HEAD" {
				if got := p.ask(method, path, ""); got.status != 405 || got.header.Get("Allow") != allowed {
					t.Errorf("%s %s: %d %v", method, path, got.status, got.header)
				}
				continue
			}
			if got := p.refused(405, "method_not_allowed", method, path, ""); got.header.Get("Allow") != allowed {
				t.Errorf("%s %s: Allow %q, want %q", method, path, got.header.Get("Allow"), allowed)
			}
		}
	}
	for _, path := range []string{
		"/x", "/api", "/api/", "/api/stats/", "//api/stats", "/api//stats", "/./api/stats", "/api/../metrics", "/metrics/", "/metrics/..",
		"/%61pi/stats", "/api%2fstats", "/api/%73tats", "/API/stats", "/api/users", "/api/rooms/a", "/api/rooms/a/presence/b", "/api/rooms/a/x",
		"/../../etc/passwd", "/..%2f..%2fetc/passwd", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/heap", "/debug/vars",
		"/healthz%00", "/favicon.ico", "/console/", "/console", "/console/index.html", "/console/x.js", "/console/..%2fclient%2froost.js", "/console/../client/roost.js",
		"/client/roost.js", "/console/%2e%2e", "/ws", "/raw/a", "/api/users/%2e%2e/%2e%2e/stats",
	} {
		p.refused(404, "not_found", "GET", path, "")
	}
}

func TestHealth(t *testing.T) {
	p := open(t, setup{})
	p.expect(200, "ok", "GET", "/healthz", "")
	p.expect(200, "ready", "GET", "/readyz", "")
	p.node.Drain(nil)
	p.expect(200, "ok", "GET", "/healthz", "")
	p.expect(404, "draining", "GET", "/readyz", "")
}

func TestProfiles(t *testing.T) {
	p := open(t, setup{admin: withKey})
	key := "Authorization: Bearer " + testKey
	for path, status := range map[string]int{"/debug/pprof/": 200, "/debug/pprof/goroutine?debug=1": 200, "/debug/pprof/heap": 200, "/debug/pprof/allocs": 200,
		"/debug/pprof/trace?seconds=0.01": 200, "/debug/pprof/cmdline": 404, "/debug/pprof/nothing": 404, "/debug/vars": 404} {
		got := p.ask("GET", path, "", key)
		if got.status != status || strings.Contains(got.body, "admin.test\x00") {
			t.Errorf("%s: %d %.100s", path, got.status, got.body)
		}
	}
}

// FuzzPath looks for a path that panics, that reaches a guarded route past the guard, or that takes a room or a user
// apart in two ways.
func FuzzPath(f *testing.F) {
	for _, path := range []string{"/", "/api/users/a%2fb", "/api/rooms/a/presence", "/%61pi/stats", "//", "/api/users/%", "/debug/pprof/x", "*"} {
		f.Add(path)
	}
	a := &Admin{}
	a.routes = a.table(true)
	f.Fuzz(func(t *testing.T, path string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		found, allowed := a.find(r, path)
		if found != nil && (isGuarded(found.pattern) != isGuarded(path) || allowed != "") {
			t.Errorf("%q leads to %s", path, found.pattern)
		}
		if found != nil && found.pattern == "/api/users/{user}" && (r.PathValue("user") == "" || strings.Count(path, "/") != 3) {
			t.Errorf("%q is user %q", path, r.PathValue("user"))
		}
	})
}
