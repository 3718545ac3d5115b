package admin

// Which request gets to which route. The table is our own and not http.ServeMux's, because that redirects paths it
// wants to clean and answers 404 and 405 in plain text; here both are errors of the API like any other.

import (
	"fmt"
	"net/http"
	"net/url"
	"reflect"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
)

// route is one thing the port answers to.
type route struct {
	method  string // a GET answers HEAD too
	pattern string // compared segment by segment; {name} takes one that is not empty
	summary string // for the list of routes
	serve   http.HandlerFunc
}

// apiFunc answers one API request: a value that becomes JSON, or a failure.
type apiFunc func(*http.Request) (any, *failure)

// table is every route there is.
func (a *Admin) table(profiles bool) []route {
	routes := []route{
		{"GET", "/", "the console: this page", a.index},
		{"GET", "/console/{file}", "what the console is made of", a.consoleFile},
		{"GET", "/roost.js", "the client for browsers and Node, an ES module", a.clientFile("roost.js")},
		{"GET", "/roost.d.ts", "its types", a.clientFile("roost.d.ts")},
		{"GET", "/metrics", "figures in Prometheus text format", a.metrics},
		{"GET", "/healthz", "200 while the process serves", a.healthz},
		{"GET", "/readyz", "200 ready, 404 draining, 503 broken", a.readyz},
		{"POST", "/api/publish", `{"room", "data"}: publishes in a room`, a.api(http.StatusOK, a.publish)},
		{"POST", "/api/broadcast", `{"rooms": [], "data"}: publishes the same in many rooms`, a.api(http.StatusOK, a.broadcast)},
		{"POST", "/api/disconnect", `one of {"user"}, {"sid"}, {"jti"} and {"connection"}, "code"?, "reason"?, "refuse_for"?: closes connections`, a.api(http.StatusOK, a.disconnect)},
		{"GET", "/api/rooms", "rooms with members on this node, ?after=&limit=", a.api(http.StatusOK, a.rooms)},
		{"GET", "/api/rooms/{room}/presence", "who is in a room, ?after=&limit=", a.api(http.StatusOK, a.presence)},
		{"GET", "/api/rooms/{room}/history", "what was published in a room, ?epoch=&offset=&limit=", a.api(http.StatusOK, a.history)},
		{"GET", "/api/users/{user}", "a user's connections on this node, ?limit=", a.api(http.StatusOK, a.user)},
		{"GET", "/api/stats", "this node's figures and its peers", a.api(http.StatusOK, a.stats)},
		{"POST", "/api/drain", "ends the process in order, as SIGTERM does", a.api(http.StatusAccepted, a.startDrain)},
	}
	if profiles {
		routes = append(routes,
			route{"GET", "/debug/pprof/", "profiles", a.profiles},
			route{"GET", "/debug/pprof/{profile}", "one profile", a.profile})
	}
	return routes
}

// ServeHTTP implements [http.Handler].
func (a *Admin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer a.rescue(w, r)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	path := r.URL.EscapedPath()
	guarded := isGuarded(path)
	if guarded {
		// First of all, so that who may not ask does not even learn which routes there are.
		if f := a.guard(r); f != nil {
			a.fail(w, f)
			return
		}
	}
	found, allowed := a.find(r, path)
	switch {
	case found == nil && allowed == "":
		a.fail(w, &failure{status: http.StatusNotFound, code: "not_found", message: "there is nothing at this path"})
		return
	case found == nil:
		h.Set("Allow", allowed)
		a.fail(w, &failure{status: http.StatusMethodNotAllowed, code: "method_not_allowed", message: "this path takes " + allowed})
		return
	}
	if guarded {
		select {
		case a.requests <- struct{}{}:
			defer func() { <-a.requests }()
		default:
			a.fail(w, unavailable("too many requests are under way", retrySoon))
			return
		}
	}
	found.serve(w, r)
}

// find is the route of a request, and for a path with routes for other methods only, what those are.
func (a *Admin) find(r *http.Request, path string) (found *route, allowed string) {
	for i := range a.routes {
		route := &a.routes[i]
		names, values, ok := match(route.pattern, path)
		switch {
		case !ok:
		case r.Method == route.method, r.Method == http.MethodHead && route.method == http.MethodGet:
			for i, name := range names {
				r.SetPathValue(name, values[i])
			}
			return route, ""
		case route.method == http.MethodGet:
			allowed = "GET, HEAD"
		default:
			allowed = route.method
		}
	}
	return nil, allowed
}

// match compares an escaped path with a pattern and takes out what stands for its {name} segments.
func match(pattern, path string) (names, values []string, ok bool) {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(have) {
		return nil, nil, false
	}
	for i, segment := range want {
		if !strings.HasPrefix(segment, "{") {
			if segment != have[i] {
				return nil, nil, false
			}
			continue
		}
		value, err := url.PathUnescape(have[i])
		if err != nil || value == "" {
			return nil, nil, false
		}
		names, values = append(names, strings.Trim(segment, "{}")), append(values, value)
	}
	return names, values, true
}

// api makes a route of an apiFunc. A body is read under the port's bound and must be called JSON: a web page can't
// send that to another origin without asking first, and we never answer such a question.
func (a *Admin) api(status int, f apiFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			if !isJSON(r.Header["Content-Type"]) {
				a.fail(w, &failure{status: http.StatusUnsupportedMediaType, code: "unsupported_media_type",
					message: "send Content-Type: application/json"})
				return
			}
			r.Body = http.MaxBytesReader(w, r.Body, maxBodyBytes)
		}
		answer, failed := f(r)
		if failed != nil {
			a.fail(w, failed)
			return
		}
		a.write(w, status, answer)
	}
}

// rescue turns a panic of a route into a 500 and a line in the log. The value that was thrown may quote a request,
// so that of an ordinary panic stays out of the log; the stack has no strings in it.
func (a *Admin) rescue(w http.ResponseWriter, r *http.Request) {
	thrown := recover()
	if thrown == nil {
		return
	}
	if thrown == http.ErrAbortHandler {
		panic(thrown)
	}
	what := fmt.Sprint(reflect.TypeOf(thrown))
	if err, ok := thrown.(runtime.Error); ok {
		what = err.Error()
	}
	pattern := "none"
	if i := slices.IndexFunc(a.routes, func(t route) bool { _, _, ok := match(t.pattern, r.URL.EscapedPath()); return ok }); i >= 0 {
		pattern = a.routes[i].pattern
	}
	a.log.Error("a request has panicked", "route", pattern, "panic", what, "stack", string(debug.Stack()))
	a.fail(w, &failure{status: http.StatusInternalServerError, code: "internal", message: "internal error"})
}
