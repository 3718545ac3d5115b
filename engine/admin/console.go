package admin

// The console page and the browser client: files out of memory, the same for everybody. They hold no figure and no
// secret; what the page shows it asks for like any other client of this port.

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"path"
	"strings"
)

//go:embed client/roost.js client/roost.d.ts console
var files embed.FS

// pagePolicy lets the page load what is served here, talk to this port and to WebSockets anywhere, since the clients'
// port is another origin, and build its parts without ever writing HTML.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self' ws: wss:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// contentTypes are those of the files, by extension. TypeScript's has to be said, because ".ts" is also a video.
var contentTypes = map[string]string{
	".js":  "text/javascript; charset=utf-8",
	".ts":  "application/typescript; charset=utf-8",
	".css": "text/css; charset=utf-8",
	".svg": "image/svg+xml",
}

var page = template.Must(template.ParseFS(files, "console/index.html"))

// listedRoute is a route as the page lists it.
type listedRoute struct {
	Method, Pattern, Summary string
	Link                     bool
}

// index is the console page. It also lists the routes, for who has no browser.
func (a *Admin) index(w http.ResponseWriter, _ *http.Request) {
	listed := make([]listedRoute, len(a.routes))
	for i, r := range a.routes {
		listed[i] = listedRoute{r.method, r.pattern, r.summary, r.method == http.MethodGet && !strings.Contains(r.pattern, "{")}
	}
	var b bytes.Buffer
	if err := page.Execute(&b, struct {
		Access string
		Routes []listedRoute
	}{a.access(), listed}); err != nil {
		a.log.Error("the console page can't be written", "error", err)
		a.fail(w, &failure{status: http.StatusInternalServerError, code: "internal", message: "internal error"})
		return
	}
	w.Header().Set("Content-Security-Policy", pagePolicy)
	send(w, http.StatusOK, "text/html; charset=utf-8", b.Bytes())
}

// access says who may use the guarded routes.
func (a *Admin) access() string {
	switch {
	case a.key != nil:
		return "What is below /api/ and /debug/ needs the header Authorization: Bearer with the key."
	case a.loopback:
		return "There is no key: what is below /api/ and /debug/ answers this machine only."
	}
	return "There is no key and this address is not loopback: what is below /api/ and /debug/ is off."
}

// consoleFile is one of the files that the page is made of, the page itself excepted.
func (a *Admin) consoleFile(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("file")
	if _, ok := contentTypes[path.Ext(name)]; !ok {
		name = "" // finds nothing
	}
	a.file(w, "console/"+name)
}

// clientFile makes a route of a file of the browser client. Pages of any origin may load it, so that one can be
// written against a node without copying the client first.
func (a *Admin) clientFile(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		a.file(w, "client/"+name)
	}
}

// file answers with an embedded file. embed.FS knows no way out of itself: a name with dots in it finds nothing.
func (a *Admin) file(w http.ResponseWriter, name string) {
	b, err := files.ReadFile(name)
	if err != nil {
		a.fail(w, &failure{status: http.StatusNotFound, code: "not_found", message: "there is nothing at this path"})
		return
	}
	send(w, http.StatusOK, contentTypes[path.Ext(name)], b)
}
