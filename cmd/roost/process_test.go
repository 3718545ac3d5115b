package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/enginetest"
)

// This file runs the real binary as a node and waits for what it says; serve_test.go says what it must do.

// patience bounds every wait for a process: far more than any of them takes.
const patience = 20 * time.Second

// process is a roost serve that runs.
type process struct {
	tb     testing.TB
	cmd    *exec.Cmd
	stderr *os.File // our end of its standard error
	exited chan struct{}

	// clients and admin are the addresses it announced.
	clients, admin string

	stdout enginetest.Log

	mu    sync.Mutex
	said  chan struct{} // closed and replaced at each new line
	lines []logLine
}

// logLine is a line of the log; of other lines only the text is there.
type logLine struct {
	Level, Msg string
	Listen     []string
	Admin      string
	text       string
}

// launch starts roost serve and returns at once. The process is killed when the test ends.
func launch(tb testing.TB, args ...string) *process {
	tb.Helper()
	return launchAs(tb, func(*exec.Cmd) {}, args...)
}

// launchAs is launch, with anything of the command changed by edit before it starts.
func launchAs(tb testing.TB, edit func(*exec.Cmd), args ...string) *process {
	tb.Helper()
	ours, theirs, err := os.Pipe()
	if err != nil {
		tb.Fatal(err)
	}
	p := &process{tb: tb, stderr: ours, exited: make(chan struct{}), said: make(chan struct{})}
	p.cmd = exec.Command("roost", append([]string{"serve", "--log.format", "json"}, args...)...)
	p.cmd.Stderr, p.cmd.Stdout = theirs, &p.stdout
	edit(p.cmd)
	if err := p.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	_ = theirs.Close()
	listened := make(chan struct{})
	go func() {
		defer close(listened)
		p.listen(ours)
	}()
	go func() {
		_ = p.cmd.Wait() // its outcome is in ProcessState
		close(p.exited)
	}()
	tb.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.exited
		_ = ours.Close()
		<-listened
		if tb.Failed() {
			tb.Logf("standard error of the node:\n%s", p.log())
		}
	})
	return p
}

// serveNode is launch, and waits until clients can connect. The addresses are free ones unless args say otherwise.
func serveNode(tb testing.TB, args ...string) *process {
	tb.Helper()
	p := launch(tb, append([]string{"--listen", "127.0.0.1:0", "--admin.listen", "127.0.0.1:0"}, args...)...)
	line := p.await("serving")
	p.clients, p.admin = line.Listen[0], line.Admin
	return p
}

func (p *process) listen(from io.Reader) {
	for lines := bufio.NewScanner(from); lines.Scan(); {
		line := logLine{text: lines.Text()}
		_ = json.Unmarshal(lines.Bytes(), &line)
		p.mu.Lock()
		p.lines = append(p.lines, line)
		close(p.said)
		p.said = make(chan struct{})
		p.mu.Unlock()
	}
}

// await returns the first line of the log with that message, as soon as there is one.
func (p *process) await(message string) logLine {
	p.tb.Helper()
	return p.awaitLine(message, func(l logLine) bool { return l.Msg == message })
}

// awaitText is await for a line that holds text, of the log or not.
func (p *process) awaitText(text string) {
	p.tb.Helper()
	p.awaitLine(text, func(l logLine) bool { return strings.Contains(l.text, text) })
}

func (p *process) awaitLine(what string, is func(logLine) bool) logLine {
	p.tb.Helper()
	over := time.After(patience)
	for {
		p.mu.Lock()
		i := slices.IndexFunc(p.lines, is)
		if i >= 0 {
			defer p.mu.Unlock()
			return p.lines[i]
		}
		said := p.said
		p.mu.Unlock()
		select {
		case <-said:
		case <-over:
			p.tb.Fatalf("the node has not said %q", what)
		}
	}
}

// log is everything on standard error so far.
func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var b bytes.Buffer
	for _, l := range p.lines {
		fmt.Fprintln(&b, l.text)
	}
	return b.String()
}

func (p *process) signal(s os.Signal) {
	p.tb.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.tb.Fatalf("signal %v: %v", s, err)
	}
}

// wait waits for the end and returns the exit code, or minus the signal that killed the process.
func (p *process) wait() int {
	p.tb.Helper()
	select {
	case <-p.exited:
	case <-time.After(patience):
		p.tb.Fatal("the node does not exit")
	}
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return -int(status.Signal())
	}
	return p.cmd.ProcessState.ExitCode()
}

// mustExit is wait for one exit code.
func (p *process) mustExit(code int) {
	p.tb.Helper()
	if got := p.wait(); got != code {
		p.tb.Fatalf("exit code %d, want %d", got, code)
	}
}

// get asks address for path and returns status and body.
func get(tb testing.TB, address, path string) (int, string) {
	tb.Helper()
	return ask(tb, http.MethodGet, address, path)
}

func ask(tb testing.TB, method, address, path string) (int, string) {
	tb.Helper()
	request, err := http.NewRequestWithContext(tb.Context(), method, "http://"+address+path, nil)
	if err != nil {
		tb.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Close = true // so that no idle connection counts as one of the node's
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		tb.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		tb.Fatal(err)
	}
	return answer.StatusCode, string(body)
}
