package admin

// What is open to everybody who reaches the port, beside the console's files: figures and health.

import (
	"bytes"
	"net/http"
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
