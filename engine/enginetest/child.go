//go:build linux

package enginetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"
)

// This file is the parent's side of a swarm in a process of its own.

// childEnv in the environment makes [MaybeChild] run a swarm.
const childEnv = "ROOST_SWARM_CHILD"

// MaybeChild runs [Main] and ends the process if this process was started as a [Child]; otherwise it does
// nothing. A test binary calls it first thing in TestMain.
func MaybeChild() {
	if os.Getenv(childEnv) == "1" {
		os.Exit(Main(nil))
	}
}

// commandTimeout bounds a command beyond the time that it is given to do its work.
const commandTimeout = 5 * time.Second

// Child is a swarm in another process, with its own descriptor limit and its own processor time. Its methods
// may be called from any goroutine and wait for the answer of the other process.
type Child struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	log   *Log
	gone  chan struct{} // closed when it has ended

	sending sync.Mutex // guards writes to stdin; apart from mu, since a full pipe blocks them

	mu      sync.Mutex // guards the rest
	lastID  int
	waiting map[int]chan *event
	latest  Stats
}

// StartChild starts a swarm as a process of its own: binary, a program that calls [Main], or, if that is
// empty, this test binary again, whose TestMain calls [MaybeChild]. It is stopped when tb ends.
func StartChild(tb testing.TB, binary string, spec Spec) *Child {
	tb.Helper()
	if binary == "" {
		var err error
		if binary, err = os.Executable(); err != nil {
			tb.Fatalf("start a swarm process: %v", err)
		}
	}
	c := &Child{cmd: exec.Command(binary), log: new(Log), gone: make(chan struct{}), waiting: map[int]chan *event{}}
	c.cmd.Env = append(os.Environ(), childEnv+"=1")
	c.cmd.Stderr = c.log
	stdin, errIn := c.cmd.StdinPipe()
	stdout, errOut := c.cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		tb.Fatalf("start a swarm process: %v", err)
	}
	c.stdin = stdin
	if err := c.cmd.Start(); err != nil {
		tb.Fatalf("start a swarm process: %v", err)
	}
	tb.Cleanup(c.Stop)
	ready := make(chan *event, 1)
	c.waiting[0] = ready // "ready" has no id
	go c.listen(stdout)
	if err := json.NewEncoder(stdin).Encode(&spec); err != nil {
		tb.Fatalf("start a swarm process: %v: %s", err, c.log)
	}
	if _, err := c.await(ready, commandTimeout); err != nil {
		tb.Fatalf("start a swarm process: %v", err)
	}
	return c
}

// listen hands events to those who wait for them, until the process ends.
func (c *Child) listen(stdout io.Reader) {
	defer close(c.gone)
	// The exit code was already told by the answers; Wait gives the process back to the kernel and collects
	// the rest of its standard error.
	defer c.cmd.Wait()
	lines := json.NewDecoder(stdout)
	for {
		e := new(event)
		if err := lines.Decode(e); err != nil {
			return
		}
		c.mu.Lock()
		if e.Stats != nil {
			c.latest = *e.Stats
		}
		if e.Event != "stats" && c.waiting[e.ID] != nil {
			c.waiting[e.ID] <- e
			delete(c.waiting, e.ID)
		}
		c.mu.Unlock()
	}
}

func (c *Child) await(answer chan *event, timeout time.Duration) (*event, error) {
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	select {
	case e := <-answer:
		if e.Error != "" {
			return e, fmt.Errorf("swarm process: %s", e.Error)
		}
		return e, nil
	case <-c.gone:
		return nil, fmt.Errorf("swarm process is gone: %s", c.log)
	case <-timer.C:
		return nil, fmt.Errorf("swarm process has not answered within %v: %s", timeout, c.log)
	}
}

// call sends one command and waits for its answer, which is not nil unless the process is gone or stuck.
func (c *Child) call(cmd command) (*event, error) {
	answer := make(chan *event, 1)
	c.mu.Lock()
	c.lastID++
	cmd.ID = c.lastID
	c.waiting[cmd.ID] = answer
	c.mu.Unlock()
	c.sending.Lock()
	err := json.NewEncoder(c.stdin).Encode(&cmd)
	c.sending.Unlock()
	if err != nil {
		return nil, fmt.Errorf("swarm process: %w: %s", err, c.log)
	}
	return c.await(answer, cmd.Timeout+commandTimeout)
}

// Pid is the process's id, for [ReadCPU].
func (c *Child) Pid() int { return c.cmd.Process.Pid }

// Open opens the connections from <= i < to (to 0: all) and waits, for at most timeout, until none of them
// is pending.
func (c *Child) Open(from, to int, timeout time.Duration) (Stats, error) {
	return c.stats(command{Op: "open", From: from, To: to, Timeout: timeout})
}

// Send sends a frame on the connections from <= i < to (to 0: all).
func (c *Child) Send(from, to int, frame []byte) error {
	_, err := c.call(command{Op: "send", From: from, To: to, Frame: frame})
	return err
}

// SendText sends a text message, a template as in [Spec], on the connections from <= i < to (to 0: all).
func (c *Child) SendText(from, to int, text string) error {
	_, err := c.call(command{Op: "send", From: from, To: to, Text: text})
	return err
}

// Close closes the connections from <= i < to (to 0: all) and waits, for at most timeout, until they ended.
func (c *Child) Close(from, to int, kind CloseKind, timeout time.Duration) (Stats, error) {
	return c.stats(command{Op: "close", From: from, To: to, Kind: kind, Timeout: timeout})
}

// Stats asks for the counters.
func (c *Child) Stats() (Stats, error) { return c.stats(command{Op: "stats"}) }

func (c *Child) stats(cmd command) (Stats, error) {
	e, err := c.call(cmd)
	if e == nil || e.Stats == nil {
		return Stats{}, err
	}
	return *e.Stats, err
}

// Latest is what the process reported last, without asking; it is at most about 200 ms old.
func (c *Child) Latest() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.latest.clone()
}

// WaitFor asks for the counters again and again until they satisfy done, for at most timeout. The last
// counters come back with either result.
func (c *Child) WaitFor(timeout time.Duration, done func(*Stats) bool) (Stats, error) {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for deadline := time.Now().Add(timeout); ; <-ticker.C {
		st, err := c.Stats()
		if err != nil || done(&st) {
			return st, err
		}
		if time.Now().After(deadline) {
			return st, fmt.Errorf("swarm process: not as expected within %v: %+v", timeout, st)
		}
	}
}

// Echo runs cfg as [Swarm.Echo] does, but sends text, a template as in [Spec], as text messages; cfg.Frame is
// not used.
func (c *Child) Echo(text string, cfg EchoConfig) (*EchoResult, error) {
	e, err := c.call(command{Op: "echo", From: cfg.From, To: cfg.To, Text: text, Match: cfg.Match, InFlight: cfg.InFlight, Every: cfg.Every,
		Warmup: cfg.Warmup, Duration: cfg.Duration, Timeout: cfg.Warmup + cfg.Duration + 2*DefaultTimeout})
	if e == nil {
		return nil, err
	}
	return e.Echo, err
}

// Closes lists the ended connections, see [Swarm.Closes].
func (c *Child) Closes() ([]CloseEvent, error) {
	e, err := c.call(command{Op: "closes"})
	if err != nil {
		return nil, err
	}
	return e.Closes, nil
}

// Received is the number of data messages of each connection, see [Swarm.Received].
func (c *Child) Received() ([]int64, error) {
	e, err := c.call(command{Op: "received"})
	if err != nil {
		return nil, err
	}
	return e.Received, nil
}

// Delays is the histogram of [Swarm.Delays].
func (c *Child) Delays() (*Histogram, error) {
	e, err := c.call(command{Op: "delays"})
	if err != nil {
		return nil, err
	}
	return e.Delays, nil
}

// Kill ends the process at once; the kernel ends its connections.
func (c *Child) Kill() { c.cmd.Process.Kill() }

// Stop ends the process: its connections are reset. It may be called twice.
func (c *Child) Stop() {
	c.stdin.Close()
	timer := time.AfterFunc(commandTimeout, c.Kill)
	defer timer.Stop()
	<-c.gone
}
