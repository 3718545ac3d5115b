package main

import (
	"net/http"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/enginetest"
)

// betweenRefreshes is the least time from one request for a key set to the next.
const betweenRefreshes = 10 * time.Second

// expectAdmitted checks that a real client gets in with a token.
func expectAdmitted(t *testing.T, p *process, token string) {
	t.Helper()
	o := speaksV1
	o.Token = token
	c := enginetest.Dial(t, p.clients, "/ws?room=lobby", o)
	if w := c.ExpectType("welcome"); w["user"] != "alice" {
		t.Errorf("welcome %v", w)
	}
	c.Close()
}

// awaitAdmitted asks for a connection until it is granted; up to then each answer has to be status.
func awaitAdmitted(t *testing.T, p *process, token string, status int) {
	t.Helper()
	for over := time.Now().Add(betweenRefreshes + patience); ; time.Sleep(100 * time.Millisecond) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.clients+"/ws", nil)
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range map[string]string{
			"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
			"Sec-WebSocket-Protocol": "roost.v1", "Authorization": "Bearer " + token,
		} {
			request.Header.Set(name, value)
		}
		answer, err := http.DefaultTransport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = answer.Body.Close()
		switch {
		case answer.StatusCode == http.StatusSwitchingProtocols:
			return
		case answer.StatusCode != status:
			t.Fatalf("answer %d, want %d until the key is there", answer.StatusCode, status)
		case time.Now().After(over):
			t.Fatalf("still %d", status)
		}
	}
}

// expectRestraint checks that the key set was asked for so often, and never in short succession.
func expectRestraint(t *testing.T, i *issuer, times int) {
	t.Helper()
	asked := i.asked()
	if len(asked) != times {
		t.Errorf("the key set was asked for %d times, want %d", len(asked), times)
	}
	for n := 1; n < len(asked); n++ {
		if pause := asked[n].Sub(asked[n-1]); pause < betweenRefreshes-time.Second/10 {
			t.Errorf("the key set was asked for after %v", pause)
		}
	}
}

// TestServeWithKeySet: the keys are there when serving begins, and a new one is found by the first token that it
// signed, though not more often than every 10 s.
func TestServeWithKeySet(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a second refresh")
	}
	t.Parallel()
	i := startIssuer(t)
	p := serveNode(t, append(shortly, "--auth.jwks_url", i.address+"?token=canary")...)
	old := i.token()
	expectAdmitted(t, p, old)
	expectRestraint(t, i, 1)

	i.rotate()
	awaitAdmitted(t, p, i.token(), http.StatusUnauthorized)
	expectAdmitted(t, p, i.token())
	o := speaksV1
	o.Token = old
	enginetest.DialRefused(t, p.clients, "/ws", o, http.StatusUnauthorized)
	expectRestraint(t, i, 2)

	if _, figures := get(t, p.admin, "/metrics"); !strings.Contains(figures, "\nroost_jwks_keys 1\n") {
		t.Error("no figures")
	}
	p.signal(syscall.SIGTERM)
	p.mustExit(0)
	if log := p.log(); strings.Contains(log, "canary") || strings.Contains(log, old) || strings.Count(log, "keys have been fetched") != 2 {
		t.Error("the log has a query or a token in it, or does not say twice that there are new keys")
	}
}

// TestServeBeforeItsKeys: a node without keys serves, and says of each token that it cannot tell.
func TestServeBeforeItsKeys(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a second refresh")
	}
	t.Parallel()
	i := startIssuer(t)
	i.setDown(true)
	p := serveNode(t, append(shortly, "--auth.issuers", "[{issuer: 'https://login.example.com', jwks_url: '"+i.address+"'}]")...)
	o := speaksV1
	o.Token = i.token()
	if a := enginetest.DialRefused(t, p.clients, "/ws", o, http.StatusServiceUnavailable); a.Header.Get("Retry-After") == "" {
		t.Errorf("no Retry-After in %v", a.Header)
	}
	enginetest.DialRefused(t, p.clients, "/ws", speaksV1, http.StatusUnauthorized)
	for _, address := range []string{p.clients, p.admin} {
		if status, _ := get(t, address, "/readyz"); status != http.StatusOK {
			t.Errorf("%s is not ready: %d", address, status)
		}
	}

	i.setDown(false)
	awaitAdmitted(t, p, i.token(), http.StatusServiceUnavailable)
	expectAdmitted(t, p, i.token())
	expectRestraint(t, i, 2)
	log := p.log()
	for _, message := range []string{"keys cannot be fetched and there are none, tokens are answered 503", "keys have been fetched"} {
		if strings.Count(log, message) != 1 {
			t.Errorf("the log does not say once: %s", message)
		}
	}
}

func TestExplainFetchesKeys(t *testing.T) {
	i := startIssuer(t)
	token := i.token()
	for _, c := range []struct {
		name string
		down bool
		args []string
		code int
		want string
	}{
		{"an address", false, []string{"--auth.jwks_url", i.address}, 0, `accepted: user "alice"`},
		{"issuers", false, []string{"--auth.issuers", "[{issuer: x, jwks_url: '" + i.address + "?x'}, {issuer: 'https://login.example.com', jwks_url: '" + i.address + "'}]"},
			0, `accepted: user "alice"`},
		{"no answer", true, []string{"--auth.jwks_url", i.address}, 1,
			`refused (no_keys): its kid is "0" and its alg is RS256; of keys, auth.jwks_url has 0 of use, and the last attempt to fetch it ended with: refused`},
	} {
		t.Run(c.name, func(t *testing.T) {
			i.setDown(c.down)
			cmd := exec.CommandContext(t.Context(), "roost", append([]string{"token", "explain"}, c.args...)...)
			cmd.Stdin = strings.NewReader(token)
			said, err := cmd.Output()
			if code := cmd.ProcessState.ExitCode(); code != c.code || !strings.Contains(string(said), c.want) {
				t.Errorf("%d, %v: %s", code, err, said)
			}
			if strings.Contains(string(said), token) {
				t.Error("the token is repeated")
			}
		})
	}
}
