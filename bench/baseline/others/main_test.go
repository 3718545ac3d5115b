package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// exceptions are cases that a library does not pass, whoever uses it.
var exceptions = map[string]string{
	"nbio/echo of nothing": "nbio does not report empty messages (v1.6.8, websocket.Conn.Parse)",
}

// TestCases runs every case against every engine.
func TestCases(t *testing.T) {
	for _, e := range engines {
		t.Run(e.name, func(t *testing.T) {
			if raceEnabled && e.name == "nbio" {
				t.Skip("nbio keeps what it does from the race detector, which then takes its order for a race")
			}
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			ctx, end := context.WithCancel(context.Background())
			served := make(chan error, 1)
			go func() { served <- e.serve(ctx, l, options{queue: 256}) }()
			for _, c := range cases {
				t.Run(c.name, func(t *testing.T) {
					if why := exceptions[e.name+"/"+c.name]; why != "" {
						t.Skip(why)
					}
					c.run(t, l.Addr().String())
				})
			}
			end()
			select {
			case err := <-served:
				if err != nil {
					t.Errorf("serve: %v", err)
				}
			case <-time.After(patience):
				t.Error("it did not end")
			}
		})
	}
}

// TestMain lets the test binary be the program, so that the process can be tested without another build.
func TestMain(m *testing.M) {
	if os.Getenv("OTHERS_RUN") != "" {
		if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), "OTHERS_RUN=1")
	return cmd
}

// TestProcess is the contract with who starts a server.
func TestProcess(t *testing.T) {
	for _, e := range engines {
		for _, ending := range []string{"input ends", "SIGTERM"} {
			t.Run(e.name+" "+ending, func(t *testing.T) {
				cmd := program(t, "--engine", e.name, "--listen", "127.0.0.1:0", "--gomaxprocs", "1")
				stdin, stdout := pipes(t, cmd)
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				kill := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
				defer kill.Stop()
				lines := bufio.NewScanner(stdout)
				lines.Scan()
				address, ok := strings.CutPrefix(lines.Text(), "listening ")
				if !ok {
					t.Fatalf("the first line is %q", lines.Text())
				}
				c := dial(t, address, "/raw/process") // a member does not keep it from ending
				c.send(ws.OpText, []byte("hello"))
				c.expect(ws.OpText, []byte("hello"))
				_ = cmd.Process.Signal(syscall.SIGUSR1)
				if lines.Scan(); lines.Text() != "collected" {
					t.Errorf("got line %q, want collected", lines.Text())
				}
				if ending == "SIGTERM" {
					_ = cmd.Process.Signal(syscall.SIGTERM)
				} else {
					_ = stdin.Close()
				}
				if lines.Scan() {
					t.Errorf("one line too many: %q", lines.Text())
				}
				if err := cmd.Wait(); err != nil {
					t.Errorf("it ended with %v", err)
				}
			})
		}
	}
}

func pipes(t *testing.T, cmd *exec.Cmd) (io.WriteCloser, io.ReadCloser) {
	t.Helper()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	return stdin, stdout
}

func TestVersion(t *testing.T) {
	var out bytes.Buffer
	if err := run([]string{"--version"}, strings.NewReader(""), &out); err != nil {
		t.Fatal(err)
	}
	info, _ := debug.ReadBuildInfo()
	found := 0
	for _, m := range info.Deps {
		for _, e := range engines {
			if e.module == m.Path {
				found++
				if want := e.name + " " + e.module + " " + m.Version + "\n"; !strings.Contains(out.String(), want) {
					t.Errorf("no line %q in\n%s", want, out.String())
				}
			}
		}
	}
	if found != len(engines) {
		t.Errorf("%d libraries are in this binary, want %d", found, len(engines))
	}
}

func TestUnknownEngine(t *testing.T) {
	err := run([]string{"--engine", "none"}, strings.NewReader(""), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "gorilla, coder, gws, nbio") {
		t.Errorf("got %v, want the names of those there are", err)
	}
}
