package e2e

import (
	"os"
	"slices"
	"testing"
)

// TestClient drives roost.js, the browser client, in Node: against real nodes that come and go, and against one that
// only says what a script has it say.
func TestClient(t *testing.T) {
	outside(t)
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, slices.Concat(prompt, []string{"dev"})...)
	for _, script := range []string{"live", "scripted", "package"} {
		t.Run(script, func(t *testing.T) {
			runScript(t, s, "client/"+script+".mjs", "ROOST_E2E_PROGRAM="+path)
		})
	}
}

// TestConsole looks at the operator's page in Chromium, and loads the client from there into pages of other origins.
// ROOST_E2E_SCREENSHOTS names a folder for pictures of what it saw.
func TestConsole(t *testing.T) {
	outside(t)
	chromium := "ROOST_E2E_CHROMIUM=" + program(t, "chromium")
	pictures := "ROOST_E2E_SCREENSHOTS=" + os.Getenv("ROOST_E2E_SCREENSHOTS")
	t.Run("dev", func(t *testing.T) {
		s := start(t, slices.Concat(prompt, roomy, []string{"dev", "heartbeat.interval=1s"})...)
		runScript(t, s, "browser/console.mjs", chromium, pictures, "ROOST_E2E_ORIGIN="+servePage(t))
	})
	t.Run("with a key", func(t *testing.T) {
		s := start(t, slices.Concat(prompt, []string{"admin.key=" + consoleKey, "origins=*"})...)
		runScript(t, s, "browser/console_key.mjs", chromium, pictures, "ROOST_E2E_KEY="+consoleKey)
	})
}

// consoleKey is the operator's key of the nodes under test.
const consoleKey = "the-key-of-end-to-end-tests"
