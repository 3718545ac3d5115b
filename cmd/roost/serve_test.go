package main

import (
	"context"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/enginetest"
)

var speaksV1 = enginetest.Options{Subprotocols: []string{"roost.v1"}, Timeout: patience}

// shortly makes a drain that begins at once and is over as soon as clients have read their close frame.
var shortly = []string{"--drain.grace", "0s", "--drain.window", "0s"}

// never makes a drain that without hurry outlasts any test: nobody is sent away before the end of the window.
var never = []string{"--drain.grace", "0s", "--drain.window", "1h"}

// expectSentAway is what a drained client sees: shutdown, close 1001, an orderly end.
func expectSentAway(t *testing.T, c *enginetest.Client) {
	t.Helper()
	shutdown := c.WaitType("shutdown")
	if in, ok := shutdown["reconnectIn"].(float64); !ok || in < 1 {
		t.Errorf("shutdown %v", shutdown)
	}
	c.ExpectClose(1001)
	c.ExpectEOF()
}

func TestServeDev(t *testing.T) {
	p := serveNode(t, append(shortly, "--dev")...)
	a := enginetest.Dial(t, p.clients, "/ws?room=lobby", speaksV1)
	b := enginetest.Dial(t, p.clients, "/ws?room=lobby", speaksV1)
	a.ExpectType("welcome")
	b.ExpectType("welcome")
	a.SendText(`{"type":"publish","room":"lobby","data":"hello"}`)
	if m := b.ExpectType("message"); m["data"] != "hello" {
		t.Errorf("message %v", m)
	}
	a.ExpectType("message")
	for _, address := range []string{p.clients, p.admin} {
		if status, _ := get(t, address, "/readyz"); status != http.StatusOK {
			t.Errorf("%s is not ready: %d", address, status)
		}
	}

	p.signal(syscall.SIGHUP)
	p.await("SIGHUP changes nothing: the configuration is read at start alone")
	a.SendText(`{"type":"ping","id":1}`)
	a.ExpectType("pong")

	p.signal(syscall.SIGTERM)
	expectSentAway(t, a)
	expectSentAway(t, b)
	p.mustExit(0)
	p.await("stopped")
	for _, line := range []string{
		`ws = new WebSocket("ws://` + p.clients + `/ws?room=lobby", "roost.v1"); ws.onmessage`,
		`ws.send(JSON.stringify({type: "publish", room: "lobby", data: "hello"}))`,
		`npx wscat -c ws://` + p.clients + `/raw/lobby`,
		`http://` + p.admin + `/`,
	} {
		if !strings.Contains(p.stdout.String(), line) {
			t.Errorf("standard output lacks %q:\n%s", line, &p.stdout)
		}
	}

	// The server closed first, so its sockets are in TIME_WAIT; the port is free all the same.
	again := launch(t, append(shortly, "--dev", "--listen", p.clients, "--admin.listen", p.admin)...)
	again.await("serving")
}

func TestServeWithTokens(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("0123456789abcdef0123456789abcdef\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := serveNode(t, append(shortly, "--auth.hmac_secret_file", secret)...)
	minted, err := exec.CommandContext(t.Context(), "roost", "token", "mint", "--secret-file", secret, "--user", "alice", "--rooms", "lobby").Output()
	if err != nil {
		t.Fatal(err)
	}
	token := strings.TrimSpace(string(minted))
	o := speaksV1
	enginetest.DialRefused(t, p.clients, "/ws", o, http.StatusUnauthorized)
	o.Token = token
	c := enginetest.Dial(t, p.clients, "/ws?room=lobby", o)
	if w := c.ExpectType("welcome"); w["user"] != "alice" {
		t.Errorf("welcome %v", w)
	}
	if p.stdout.String() != "" {
		t.Errorf("standard output without --dev: %s", &p.stdout)
	}

	p.signal(syscall.SIGQUIT) // Go's own: prints the goroutines and exits with 2
	p.mustExit(2)
	p.awaitText("goroutine ")
	if log := p.log(); strings.Contains(log, "0123456789abcdef") || strings.Contains(log, token) {
		t.Error("the dump holds a secret")
	}
}

func TestDrainSpreadsClients(t *testing.T) {
	clients, window := 10_000, 5*time.Second
	if testing.Short() || raceEnabled {
		clients, window = 300, time.Second
	}
	p := serveNode(t, "--dev", "--drain.grace", "0s", "--drain.window", window.String(), "--drain.reconnect_in", "2s")
	ctx, cancel := context.WithTimeout(t.Context(), patience+4*window)
	defer cancel()
	swarm := enginetest.StartSwarm(t, enginetest.Config{
		Addrs: []string{p.clients}, N: clients, Marks: []string{`"type":"shutdown"`},
		Head: func(int) []byte { return enginetest.UpgradeHead(p.clients, "/ws?room=lobby", speaksV1) },
	})
	if err := swarm.OpenAll(ctx); err != nil || swarm.Stats().Open != clients {
		t.Fatalf("%d open: %v", swarm.Stats().Open, err)
	}

	p.signal(syscall.SIGTERM)
	p.await("draining")
	if status, _ := get(t, p.admin, "/readyz"); status != http.StatusNotFound {
		t.Errorf("a draining node is ready: %d", status)
	}
	enginetest.DialRefused(t, p.clients, "/ws", speaksV1, http.StatusServiceUnavailable)
	if status, body := get(t, p.admin, "/metrics"); status != http.StatusOK || !strings.Contains(body, "roost_connections") {
		t.Errorf("metrics in a drain: %d", status)
	}
	if err := swarm.WaitFor(ctx, func(s *enginetest.Stats) bool { return s.Ended == clients }); err != nil {
		t.Fatal(err)
	}
	p.mustExit(0)

	st := swarm.Stats()
	if st.Closed[1001] != clients || st.Ends[enginetest.EndFIN] != clients || st.Marked[`"type":"shutdown"`] != int64(clients) || st.Violations != 0 {
		t.Errorf("closed %v, ends %v, told %v, violations %d", st.Closed, st.Ends, st.Marked, st.Violations)
	}
	var closes []time.Time
	for _, c := range swarm.Closes() {
		closes = append(closes, c.ClosedAt)
	}
	slices.SortFunc(closes, time.Time.Compare)
	// The first wave leaves a tick after the window begins, the last by its end; a busy machine only adds.
	spread := closes[clients-1].Sub(closes[0])
	if spread < window*7/10 {
		t.Errorf("all clients were sent away within %v, the window is %v", spread, window)
	}
	uneven := 0.0 // Kolmogorov and Smirnov's distance from an even distribution
	for i, at := range closes {
		uneven = max(uneven, math.Abs(float64(at.Sub(closes[0]))/float64(spread)-float64(i)/float64(clients)))
	}
	t.Logf("%d clients were sent away within %v, %.3f from evenly", clients, spread, uneven)
	if uneven > 0.15 {
		t.Errorf("closes are %.3f from even, want less than 0.15", uneven)
	}
}

func TestSecondSignalHurries(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(s.String(), func(t *testing.T) {
			p := serveNode(t, append(never, "--dev")...)
			c := enginetest.Dial(t, p.clients, "/ws", speaksV1)
			c.ExpectType("welcome")
			p.signal(s)
			p.await("draining")
			c.ExpectNothing()
			p.signal(s)
			expectSentAway(t, c)
			p.mustExit(0)
			p.await("asked to hurry")
		})
	}
}

// TestDrainByAPI: the request takes the road of SIGTERM, but is not one: the first signal after it does not hurry.
func TestDrainByAPI(t *testing.T) {
	p := serveNode(t, append(never, "--dev")...)
	c := enginetest.Dial(t, p.clients, "/ws", speaksV1)
	c.ExpectType("welcome")
	if status, body := ask(t, http.MethodPost, p.admin, "/api/drain"); status/100 != 2 {
		t.Fatalf("drain: %d %s", status, body)
	}
	p.await("draining")
	p.signal(syscall.SIGTERM)
	p.await("asked to end")
	c.ExpectNothing()
	p.signal(syscall.SIGTERM)
	expectSentAway(t, c)
	p.mustExit(0)
}

func TestSignalDuringStart(t *testing.T) {
	args := []string{"--dev", "--listen", "127.0.0.1:0", "--admin.listen", "127.0.0.1:0", "--log.level", "debug"}
	t.Run("before anything", func(t *testing.T) {
		p := launch(t, args...)
		p.signal(syscall.SIGTERM)
		if code := p.wait(); code != 0 && code != -int(syscall.SIGTERM) {
			t.Errorf("exit code %d", code)
		}
	})
	t.Run("while it is built", func(t *testing.T) {
		p := launch(t, args...)
		p.await("starting")
		p.signal(syscall.SIGTERM)
		p.mustExit(0)
	})
	t.Run("twice", func(t *testing.T) {
		p := launch(t, args...)
		p.await("starting")
		p.signal(syscall.SIGTERM)
		p.signal(syscall.SIGTERM)
		p.mustExit(0)
	})
}

// TestNobodyReadsTheLog: a log that has lost its reader (SIGPIPE) does not end the node.
func TestNobodyReadsTheLog(t *testing.T) {
	p := serveNode(t, append(shortly, "--dev")...)
	c := enginetest.Dial(t, p.clients, "/ws", speaksV1)
	c.ExpectType("welcome")
	if err := p.stderr.Close(); err != nil {
		t.Fatal(err)
	}
	p.signal(syscall.SIGPIPE)
	p.signal(syscall.SIGTERM) // logged, into the broken pipe
	expectSentAway(t, c)
	p.mustExit(0)
}
