package main

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roost-ws/roost/engine/enginetest"
)

// notifySocket plays the service manager's side.
type notifySocket struct {
	t    *testing.T
	conn *net.UnixConn
}

func openNotifySocket(t *testing.T) *notifySocket {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return &notifySocket{t, conn}
}

// next is the next message, an assignment a line.
func (n *notifySocket) next() string {
	n.t.Helper()
	if err := n.conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
		n.t.Fatal(err)
	}
	buf := make([]byte, 4096)
	size, err := n.conn.Read(buf)
	if err != nil {
		n.t.Fatalf("the service manager was told nothing: %v", err)
	}
	return string(buf[:size])
}

// until reads messages up to the first that has line.
func (n *notifySocket) until(line string) string {
	n.t.Helper()
	for {
		if message := n.next(); slices.Contains(strings.Split(message, "\n"), line) {
			return message
		}
	}
}

// TestServiceManagerIsTold: ready when clients can connect, alive again and again, ending with the time that takes.
func TestServiceManagerIsTold(t *testing.T) {
	socket := openNotifySocket(t)
	t.Setenv("WATCHDOG_USEC", "200000")
	p := launch(t, "--dev", "--listen", "127.0.0.1:0", "--admin.listen", "127.0.0.1:0", "--limits.connections", "100",
		"--drain.grace", "0s", "--drain.window", "1h")
	if first := socket.next(); first != "READY=1\nSTATUS=serving 0 of 100 connections" {
		t.Errorf("told first: %q", first)
	}
	line := p.await("serving")
	c := enginetest.Dial(t, line.Listen[0], "/ws", speaksV1)
	c.ExpectType("welcome")
	for range 3 {
		socket.until("WATCHDOG=1")
	}
	if alive := socket.until("STATUS=serving 1 of 100 connections"); !strings.HasSuffix(alive, "\nWATCHDOG=1") {
		t.Errorf("a sign of life is %q", alive)
	}
	p.signal(syscall.SIGTERM)
	// The hour of the window, and what an end takes beyond.
	if stopping := socket.until("STOPPING=1"); stopping != "STOPPING=1\nEXTEND_TIMEOUT_USEC=3630000000\nSTATUS=draining, 1 connections are left" {
		t.Errorf("told at the end: %q", stopping)
	}
	if alive := socket.until("STATUS=draining, 1 connections are left"); !strings.HasSuffix(alive, "\nWATCHDOG=1") {
		t.Errorf("a sign of life in a drain is %q", alive)
	}
	p.signal(syscall.SIGTERM)
	expectSentAway(t, c)
	p.mustExit(0)
}

// TestServiceManagerOfOthers: a watchdog that waits for another process is told nothing, and one with a time that
// makes no sense is refused before anything starts.
func TestServiceManagerOfOthers(t *testing.T) {
	socket := openNotifySocket(t)
	t.Setenv("WATCHDOG_USEC", "20000")
	t.Setenv("WATCHDOG_PID", "1")
	p := launch(t, append(shortly, "--dev", "--listen", "127.0.0.1:0", "--admin.listen", "127.0.0.1:0")...)
	socket.until("READY=1")
	line := p.await("serving")
	if status, _ := ask(t, http.MethodPost, line.Admin, "/api/drain"); status/100 != 2 {
		t.Fatalf("drain: %d", status)
	}
	for message := ""; !strings.HasPrefix(message, "STOPPING=1\n"); {
		if message = socket.next(); strings.Contains(message, "WATCHDOG") {
			t.Errorf("told %q", message)
		}
	}
	p.mustExit(0)

	t.Setenv("WATCHDOG_PID", "")
	t.Setenv("WATCHDOG_USEC", "soon")
	p = launch(t, "--dev", "--listen", "127.0.0.1:0", "--admin.listen", "127.0.0.1:0")
	p.mustExit(exitUsage)
	p.awaitText("error: reading WATCHDOG_USEC")
}

// TestAbortIsASignal: with GOTRACEBACK=crash the watchdog's SIGABRT ends the process by that signal, after it has said
// what all goroutines did, and not with the exit code of a bad configuration, after which the unit does not restart.
func TestAbortIsASignal(t *testing.T) {
	t.Setenv("GOTRACEBACK", "crash")
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &limit); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &syscall.Rlimit{Max: limit.Max}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Setrlimit(syscall.RLIMIT_CORE, &limit) }()
	p := serveNode(t, "--dev")
	p.signal(syscall.SIGABRT)
	if code := p.wait(); code != -int(syscall.SIGABRT) {
		t.Errorf("ended with %d", code)
	}
	p.awaitText("goroutine ")
}

// fakeFigures are a node's whose loops have not answered for as long as the test wants, one look after the other.
type fakeFigures struct{ stalled []time.Duration }

func (f *fakeFigures) Stalled() time.Duration {
	now := f.stalled[0]
	f.stalled = f.stalled[1:]
	return now
}
func (f *fakeFigures) Connections() int    { return 7 }
func (f *fakeFigures) MaxConnections() int { return 9 }

// TestWatchdogOfAHungLoop: there is no sign of life while a loop has not answered for a quarter of the time.
func TestWatchdogOfAHungLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		var log enginetest.Log
		n := &notifier{watchdog: 20 * time.Second, end: time.Minute, log: slog.New(slog.NewTextHandler(&log, nil)),
			send: func(state string) error { told = append(told, state); return nil }}
		looks := []time.Duration{0, 5 * time.Second, 5*time.Second + 1, time.Hour, 0}
		end := n.follow(&fakeFigures{looks}, nil)
		time.Sleep(time.Duration(len(looks)) * 5 * time.Second)
		synctest.Wait()
		end()
		const alive, hung = "STATUS=serving 7 of 9 connections\nWATCHDOG=1", "STATUS=serving 7 of 9 connections"
		if want := []string{alive, alive, hung, hung, alive}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
		if n := strings.Count(log.String(), "an event loop does not answer"); n != 2 {
			t.Errorf("logged %d times:\n%s", n, &log)
		}
	})
}

// TestNotifierWithoutWatchdog renews the status alone, and logs once that it is not heard.
func TestNotifierWithoutWatchdog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		var log enginetest.Log
		var broken error
		n := &notifier{end: time.Minute, log: slog.New(slog.NewTextHandler(&log, nil)),
			send: func(state string) error { told = append(told, state); return broken }}
		drain := make(chan struct{})
		end := n.follow(&fakeFigures{}, drain)
		time.Sleep(statusEvery)
		synctest.Wait()
		broken = errors.New("gone")
		close(drain)
		synctest.Wait()
		time.Sleep(2 * statusEvery)
		synctest.Wait()
		end()
		want := []string{"STATUS=serving 7 of 9 connections",
			"STOPPING=1\nEXTEND_TIMEOUT_USEC=60000000\nSTATUS=draining, 7 connections are left",
			"STATUS=draining, 7 connections are left", "STATUS=draining, 7 connections are left"}
		if !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
		if n := strings.Count(log.String(), "cannot be told"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, &log)
		}
	})
}

// TestNobodyListens: without NOTIFY_SOCKET nothing is said, whatever else is set.
func TestNobodyListens(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	t.Setenv("WATCHDOG_USEC", fmt.Sprint(time.Second.Microseconds()))
	p := serveNode(t, append(shortly, "--dev")...)
	p.signal(syscall.SIGTERM)
	p.mustExit(0)
	if log := p.log(); strings.Contains(log, "service manager") {
		t.Errorf("log:\n%s", log)
	}
}
