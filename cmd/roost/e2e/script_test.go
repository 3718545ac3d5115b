package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// scriptWithin is above what the longest script needs on a busy machine; its cases have limits of their own.
const scriptWithin = time.Minute

// outcome is what a script writes about one of its cases (testdata/kit/suite.mjs).
type outcome struct {
	Name  string `json:"name"`
	Error string `json:"error"`
}

// runScript runs a script of testdata against s and shows each of its cases as a subtest.
func runScript(t *testing.T, s *server, name string, env ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), scriptWithin)
	defer cancel()
	script := exec.CommandContext(ctx, program(t, "node"), filepath.Join("testdata", name))
	// Playwright ends the browser when it gets this signal, and would leave it behind if it were killed.
	script.Cancel = func() error { return script.Process.Signal(syscall.SIGTERM) }
	script.WaitDelay = 10 * time.Second
	home := t.TempDir()
	script.Env = environment(append(env,
		"ROOST_AUTH_HMAC_SECRET="+hmacSecret, "ROOST_E2E_ADDRESS="+s.address, "ROOST_E2E_PID="+strconv.Itoa(s.pid),
		"ROOST_E2E_ADMIN="+s.admin, "HOME="+home, "TMPDIR="+home)...)
	var said bytes.Buffer
	script.Stderr = &said
	told, err := script.Output()

	cases := 0
	for lines := bufio.NewScanner(bytes.NewReader(told)); lines.Scan(); cases++ {
		var o outcome
		if err := json.Unmarshal(lines.Bytes(), &o); err != nil {
			t.Fatalf("%s wrote %q: %v", name, lines.Text(), err)
		}
		t.Run(o.Name, func(t *testing.T) {
			if o.Error != "" {
				t.Error(o.Error)
			}
		})
	}
	if err != nil || cases == 0 {
		t.Errorf("%s told of %d cases and ended with %v", name, cases, err)
	}
	if t.Failed() && said.Len() > 0 {
		t.Logf("%s said:\n%s", name, said.String())
	}
}
