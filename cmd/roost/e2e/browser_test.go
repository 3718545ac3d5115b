package e2e

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

func TestBrowser(t *testing.T) {
	outside(t)
	chromium := program(t, "chromium")
	app, stranger := servePage(t), servePage(t)
	for _, c := range []struct {
		script   string
		settings []string
	}{
		{"refuse_http", append(roomy, "heartbeat.interval=1s", "heartbeat.timeout=2s")},
		{"refuse_close", []string{"auth.refuse=close"}},
	} {
		t.Run(c.script, func(t *testing.T) {
			s := start(t, slices.Concat(prompt, []string{"origins=" + app}, c.settings)...)
			runScript(t, s, "browser/"+c.script+".mjs",
				"ROOST_E2E_CHROMIUM="+chromium, "ROOST_E2E_ORIGIN="+app, "ROOST_E2E_OTHER_ORIGIN="+stranger)
		})
	}
}

// servePage serves the page that opens WebSockets and returns its origin, which is another for each call.
func servePage(t *testing.T) string {
	t.Helper()
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeFile(w, r, "testdata/browser/page.html")
	}))
	t.Cleanup(site.Close)
	return site.URL
}
