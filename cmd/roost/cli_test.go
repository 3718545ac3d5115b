package main

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"

	"github.com/roost-ws/roost/engine/enginetest"
)

// TestMain puts a copy of this binary that runs as roost into the PATH of all tests of this package, and one that is
// a process of clients.
func TestMain(m *testing.M) {
	if os.Getenv("GORACE") == "" {
		// The race detector has every process linger for a second at its end, and there are a hundred here.
		_ = os.Setenv("GORACE", "atexit_sleep_ms=0")
	}
	perf = os.Getenv("ROOST_PERF") == "1"
	_ = os.Unsetenv("ROOST_PERF")
	testscript.Main(m, map[string]func(){"roost": main, "swarm": func() { os.Exit(enginetest.Main(nil)) }})
}

// TestScripts runs the real binary over testdata/*.txtar. Standard error is only ever searched, never compared as
// a whole: on some machines the metrics library writes a line of its own there before anything of ours runs.
func TestScripts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0") // without SO_REUSEPORT, as another program would
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = taken.Close() })
	testscript.Run(t, testscript.Params{
		Dir:  "testdata",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		Setup: func(e *testscript.Env) error {
			e.Setenv("TAKEN", taken.Addr().String())
			e.Setenv("GORACE", os.Getenv("GORACE"))
			return nil
		},
		RequireUniqueNames: true,
	})
}

// exits runs a command that must end with the given exit code: exits 2 roost serve.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits code command...")
	}
	if args[1] == "exec" {
		args = append(args[:1], args[2:]...)
	}
	code := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// TestEveryCommandShowsAnExample: an error names a command's first example, so there has to be one.
func TestEveryCommandShowsAnExample(t *testing.T) {
	var look func(*cobra.Command)
	look = func(c *cobra.Command) {
		if c.Short == "" || c.Example == "" && !c.FParseErrWhitelist.UnknownFlags && !c.Hidden {
			t.Errorf("%s: no description or no example", c.CommandPath())
		}
		for _, sub := range c.Commands() {
			look(sub)
		}
	}
	look(newRoot())
}
