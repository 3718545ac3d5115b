package main

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/bench"
)

// benchServer runs roost bench serve until the test ends and returns its address.
func benchServer(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("roost", append([]string{"bench", "serve"}, args...)...)
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	t.Cleanup(func() {
		stdin.Close()
		kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		_, _ = io.Copy(io.Discard, stdout)
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening ")
	if err != nil || !ok {
		t.Fatalf("the first line is %q: %v", line, err)
	}
	return address
}

// benchLoad runs a scenario and returns what it wrote as JSON.
func benchLoad(t *testing.T, args ...string) *bench.Run {
	t.Helper()
	cmd := exec.Command("roost", append([]string{"bench", "load", "--json", "-"}, args...)...)
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, said.String())
	}
	var r bench.Run
	if err := json.Unmarshal(out, &r); err != nil {
		t.Fatal(err)
	}
	if len(r.Ended) > 0 {
		t.Errorf("connections ended: %v", r.Ended)
	}
	return &r
}

// TestBenchLoad runs each scenario on each engine.
func TestBenchLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real processes for some seconds")
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("0a1b2c3d4e5f60718293a4b5c6d7e8f90a1b2c3d4e5f6071"), 0o600); err != nil {
		t.Fatal(err)
	}
	token, err := exec.Command("roost", "token", "mint", "--secret-file", secret, "--user", "ada", "--rooms", "**").Output()
	if err != nil {
		t.Fatal(err)
	}
	tokens := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(tokens, token, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, engine := range []struct {
		name, echo   string
		serve, offer []string
	}{
		{"goroutine", "/echo", []string{"--engine", "goroutine"}, nil},
		{"roost", "/raw/echo-{i}", []string{"--engine", "roost", "--auth.hmac_secret_file", secret},
			[]string{"--subprotocol", "roost.v1", "--subprotocol", "token.{token}", "--token-file", tokens}},
	} {
		t.Run(engine.name, func(t *testing.T) {
			address := benchServer(t, engine.serve...)
			run := func(path string, args ...string) *bench.Run {
				t.Helper()
				args = append(args, "--url", "ws://"+address+path, "--warmup", "50ms", "--duration", "300ms")
				return benchLoad(t, append(args, engine.offer...)...)
			}
			if r := run("/raw/all", "--scenario", "idle", "--connections", "50"); r.Open.Opened != 50 {
				t.Errorf("idle: %+v", r.Open)
			}
			if r := run(engine.echo, "--scenario", "echo", "--connections", "10", "--in-flight", "4"); r.Echo.Received == 0 || r.Echo.Disorder > 0 {
				t.Errorf("echo: %+v", r.Echo)
			}
			if r := run("/raw/all", "--scenario", "fanout", "--connections", "20", "--rate", "50"); r.Fanout.Deliveries != r.Fanout.Publications*20 || r.Fanout.Lost > 0 {
				t.Errorf("fanout: %+v", r.Fanout)
			}
			if r := run(engine.echo, "--scenario", "churn", "--connections", "4"); r.Churn.Turns == 0 || len(r.Churn.Failures) > 0 {
				t.Errorf("churn: %+v", r.Churn)
			}
			if r := run("/raw/all", "--scenario", "storm", "--connections", "50", "--duration", "20s"); r.Storm.Back != 50 {
				t.Errorf("storm: %+v", r.Storm)
			}
		})
	}
}

// TestBenchCompare makes a small report with the command that users type.
func TestBenchCompare(t *testing.T) {
	if testing.Short() {
		t.Skip("runs real processes for some seconds")
	}
	dir := t.TempDir()
	compare := func(more ...string) (string, error) {
		args := append([]string{"bench", "compare", "--servers", "roost,goroutine", "--parts", "echo", "--short", "--rounds", "1", "--out", dir}, more...)
		out, err := exec.Command("roost", args...).Output()
		return string(out), err
	}
	out, err := compare()
	if err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(dir, "report.html")
	if !strings.HasSuffix(out, page+"\n") || !strings.Contains(out, "| figure | roost | goroutine |") {
		t.Errorf("it wrote %s", out)
	}
	for _, name := range []string{"report.html", "report.md", "report.json"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	// One round can't be worse than another one beyond doubt.
	if out, err := compare("--against", dir); err != nil || !strings.Contains(out, "echo-1-cpu") && !strings.Contains(out, "Echo, 1 in flight") {
		t.Errorf("against itself: %v: %s", err, out)
	}
}

// TestStormUnderRateLimit: clients that are refused because too many come in one second come back when Retry-After says,
// and nobody is lost.
func TestStormUnderRateLimit(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for a Retry-After of some seconds")
	}
	address := benchServer(t, "--engine", "roost", "--limits.handshakes_per_second", "40")
	r := benchLoad(t, "--scenario", "storm", "--url", "ws://"+address+"/raw/all", "--connections", "60", "--open-rate", "30", "--duration", "60s")
	if r.Storm.Cut != 60 || r.Storm.Back != 60 || r.Storm.Refusals["status 503"] == 0 {
		t.Errorf("%+v", r.Storm)
	}
}
