package admin

// What is open to everybody who reaches the port: figures, health, and the list of routes.

import (
	"bytes"
	"fmt"
	"html"
	"net/http"
	"strings"
)

const plainText = "text/plain; charset=utf-8"

// metrics answers with every figure of the node. It is written to memory first, so that a slow scraper holds
// nothing but bytes.
func (a *Admin) metrics(w http.ResponseWriter, _ *http.Request) {
	var b bytes.Buffer
	a.node.WriteMetrics(&b)
	send(w, http.StatusOK, "text/plain; version=0.0.4; charset=utf-8", b.Bytes())
}

func (a *Admin) healthz(w http.ResponseWriter, _ *http.Request) {
	send(w, http.StatusOK, plainText, []byte("ok\n"))
}

func (a *Admin) readyz(w http.ResponseWriter, _ *http.Request) {
	status, body := a.node.Readiness()
	send(w, status, plainText, []byte(body))
}

// index is a page that lists the routes, without a script, an image or a style.
func (a *Admin) index(w http.ResponseWriter, _ *http.Request) {
	var b bytes.Buffer
	b.WriteString("<!DOCTYPE html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>roost</title>\n" +
		"<h1>roost: the operator's port</h1>\n<p>" + html.EscapeString(a.access()) + "</p>\n<table>\n")
	for _, route := range a.routes {
		path := html.EscapeString(route.pattern)
		if route.method == http.MethodGet && !strings.Contains(path, "{") {
			path = `<a href="` + path + `">` + path + `</a>`
		}
		fmt.Fprintf(&b, "<tr><td>%s<td>%s<td>%s\n", route.method, path, html.EscapeString(route.summary))
	}
	b.WriteString("</table>\n</html>\n")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; connect-src ws: wss:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
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
