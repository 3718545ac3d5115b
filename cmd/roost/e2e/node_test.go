package e2e

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// roomy are limits that no script meets by talking.
var roomy = []string{"rate.messages=1000", "rate.burst=1000"}

// prompt lets a server end at once when its test is over.
var prompt = []string{"drain.grace=0s", "drain.window=0s"}

func TestNode(t *testing.T) {
	outside(t)
	const origin = "https://app.example"
	minted := mint(t, "--user=minted", "--rooms=minted")
	for _, c := range []struct {
		script   string
		settings []string
	}{
		{"handshake", slices.Concat(prompt, []string{"origins=" + origin})},
		{"refuse_close", slices.Concat(prompt, []string{"auth.refuse=close"})},
		{"dev", slices.Concat(prompt, []string{"dev"})},
		{"rooms", slices.Concat(prompt, roomy)},
		{"messages", slices.Concat(prompt, roomy)},
		{"raw", slices.Concat(prompt, roomy)},
		{"heartbeat", slices.Concat(prompt, []string{"heartbeat.interval=1s", "heartbeat.timeout=2s"})},
		{"drain", slices.Concat(roomy, []string{"drain.grace=1s", "drain.window=500ms", "drain.reconnect_in=10s"})},
	} {
		t.Run(c.script, func(t *testing.T) {
			s := start(t, c.settings...)
			runScript(t, s, "node/"+c.script+".mjs", "ROOST_E2E_ORIGIN="+origin, "ROOST_E2E_MINTED="+minted)
		})
	}
}

// mint is what roost token mint prints.
func mint(t *testing.T, flags ...string) string {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), path, append([]string{"token", "mint"}, flags...)...)
	command.Env = environment("ROOST_AUTH_HMAC_SECRET=" + hmacSecret)
	token, err := command.Output()
	if err != nil {
		t.Fatalf("roost token mint: %v", err)
	}
	return strings.TrimSpace(string(token))
}
