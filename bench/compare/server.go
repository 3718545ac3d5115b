package compare

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/roost-ws/roost/bench"
	"github.com/roost-ws/roost/bench/load"
	"github.com/roost-ws/roost/bench/probe"
)

// Server is how one of the compared servers is started and talked to.
//
// Its command must write "listening HOST:PORT" as its first line, serve until its standard input ends, and on
// SIGUSR1 return the memory it does not need to the system and write the line "collected".
type Server struct {
	bench.Server
	// Start is the program and its arguments.
	Start []string
	// Echo and Room are the paths, templates as in bench.Target: every message comes back to its sender; every
	// message goes to all members of the room.
	Echo, Room string
	// Headers, Subprotocols and Tokens are what clients send in the handshake.
	Headers, Subprotocols, Tokens []string
}

// target is how clients reach the server at an address under a path.
func (s *Server) target(address, path string, payload int) bench.Target {
	return bench.Target{
		Addresses:    []string{address},
		Sources:      "127.0.0.0/8",
		Path:         path,
		Headers:      s.Headers,
		Subprotocols: s.Subprotocols,
		Tokens:       s.Tokens,
		PayloadBytes: payload,
	}
}

const (
	startTimeout   = 20 * time.Second
	collectTimeout = 20 * time.Second
	stopTimeout    = 10 * time.Second
)

// process is a server that runs.
type process struct {
	name    string
	cmd     *exec.Cmd
	stdin   io.Closer
	lines   chan string // of standard output; closed at its end
	stderr  *tail
	address string
}

// startServer starts a server bound to processors, with so many threads that run Go code (GOMAXPROCS).
func startServer(ctx context.Context, s *Server, cpus []int, procs int) (*process, error) {
	cmd := exec.CommandContext(ctx, s.Start[0], s.Start[1:]...)
	cmd.Env = append(os.Environ(), "GOMAXPROCS="+strconv.Itoa(procs))
	p := &process{name: s.Name, cmd: cmd, lines: make(chan string, 16), stderr: &tail{}}
	cmd.Stderr = p.stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", s.Name, err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s: %w", s.Name, err)
	}
	p.stdin = stdin
	if err := load.StartOn(cmd, cpus); err != nil {
		return nil, fmt.Errorf("starting %s: %w", s.Name, err)
	}
	go p.read(stdout)
	line, err := p.line(startTimeout)
	if err == nil {
		var ok bool
		if p.address, ok = strings.CutPrefix(line, "listening "); !ok {
			err = fmt.Errorf("its first line is %q, not listening HOST:PORT", line)
		}
	}
	if err != nil {
		p.stop()
		return nil, fmt.Errorf("starting %s (%s): %w%s", s.Name, strings.Join(s.Start, " "), err, p.stderr.quoted())
	}
	return p, nil
}

// read passes lines on until the output ends. Lines that nobody waits for beyond some are dropped.
func (p *process) read(stdout io.Reader) {
	defer close(p.lines)
	in := bufio.NewScanner(stdout)
	for in.Scan() {
		select {
		case p.lines <- in.Text():
		default:
		}
	}
}

func (p *process) line(timeout time.Duration) (string, error) {
	select {
	case line, ok := <-p.lines:
		if !ok {
			return "", errors.New("it ended")
		}
		return line, nil
	case <-time.After(timeout):
		return "", fmt.Errorf("it said nothing for %v", timeout)
	}
}

// collect makes the server give back the memory that it does not need.
func (p *process) collect() error {
	if err := p.cmd.Process.Signal(syscall.SIGUSR1); err != nil {
		return fmt.Errorf("asking %s to collect: %w", p.name, err)
	}
	for {
		line, err := p.line(collectTimeout)
		switch {
		case err != nil:
			return fmt.Errorf("asking %s to collect: %w%s", p.name, err, p.stderr.quoted())
		case line == "collected":
			return nil
		}
	}
}

// cpu is the processor time used so far; 0 if the server is gone, which the run itself reports.
func (p *process) cpu() time.Duration {
	used, _ := probe.CPU(p.cmd.Process.Pid)
	return used
}

// stop ends the server: by the end of its input, and if that is not heeded, by force.
func (p *process) stop() {
	_ = p.stdin.Close()
	kill := time.AfterFunc(stopTimeout, func() { _ = p.cmd.Process.Kill() })
	for range p.lines { // Wait must not begin before the pipe has been read
	}
	_ = p.cmd.Wait()
	kill.Stop()
}

// tail keeps the end of what a server wrote to standard error.
type tail struct {
	mu   sync.Mutex
	last []byte
}

const tailBytes = 2 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.last = append(t.last, b...)
	if over := len(t.last) - tailBytes; over > 0 {
		t.last = append(t.last[:0], t.last[over:]...)
	}
	return len(b), nil
}

// quoted is what was kept, to stand behind an error; empty if nothing was.
func (t *tail) quoted() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if text := strings.TrimSpace(string(t.last)); text != "" {
		return "; it wrote: " + text
	}
	return ""
}
