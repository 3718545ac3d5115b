package e2e

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hmacSecret signs this run's tokens.
const hmacSecret = "end-to-end tests sign with this, which is no secret"

const (
	readyWithin = 15 * time.Second
	// endWithin is above any drain that a test configures.
	endWithin = 20 * time.Second
)

// server is a roost process. Only the test that started it uses it.
type server struct {
	address string // host:port of the clients' side
	admin   string // and of the operator's
	pid     int
	process *exec.Cmd
	log     bytes.Buffer // complete once ended is closed
	ended   chan struct{}
	err     error // how the process ended, once ended is closed
}

// start runs roost serve with settings, each key=value, until the test is over; it must then end with code 0.
func start(t *testing.T, settings ...string) *server {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	// Between the choice of a free port and its use somebody else may take it.
	for try := 1; ; try++ {
		s, err := launch(t, path, settings)
		if err == nil {
			return s
		}
		if try == 3 || !strings.Contains(err.Error(), "address already in use") {
			t.Fatal(err)
		}
	}
}

func launch(t *testing.T, path string, settings []string) (*server, error) {
	s := &server{address: freeAddress(t), admin: freeAddress(t), ended: make(chan struct{})}
	for _, setting := range settings {
		if address, given := strings.CutPrefix(setting, "listen="); given { // several nodes may share a port
			s.address = address
		}
	}
	s.process = exec.Command(path, "serve", "--admin.listen="+s.admin)
	for _, setting := range append([]string{"listen=" + s.address}, slices.DeleteFunc(slices.Clone(settings), isListen)...) {
		s.process.Args = append(s.process.Args, "--"+setting)
	}
	s.process.Dir = t.TempDir()
	s.process.Env = environment("ROOST_AUTH_HMAC_SECRET=" + hmacSecret)
	s.process.Stdout, s.process.Stderr = &s.log, &s.log
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	s.pid = s.process.Process.Pid
	go func() {
		s.err = s.process.Wait()
		close(s.ended)
	}()
	if err := s.awaitReady(t.Context()); err != nil {
		_ = s.process.Process.Kill()
		<-s.ended
		return nil, fmt.Errorf("%w; it said:\n%s", err, s.log.String())
	}
	t.Cleanup(func() { s.stop(t) })
	return s, nil
}

func isListen(setting string) bool { return strings.HasPrefix(setting, "listen=") }

// awaitReady polls /readyz on the operator's side: clients' may insist on a PROXY header.
func (s *server) awaitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.admin+"/readyz", nil)
		if err != nil {
			return err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close()
			if response.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-again.C:
		case <-s.ended:
			return fmt.Errorf("roost serve ended before it was ready: %v", s.err)
		case <-ctx.Done():
			return fmt.Errorf("roost serve is not ready after %v", readyWithin)
		}
	}
}

// stop ends the process as an operator would, and what it logged is shown if anything went wrong.
func (s *server) stop(t *testing.T) {
	t.Helper()
	_ = s.process.Process.Signal(syscall.SIGTERM) // an error means that it has ended, which the next line sees
	select {
	case <-s.ended:
		if s.err != nil {
			t.Errorf("roost serve ended with %v instead of code 0", s.err)
		}
	case <-time.After(endWithin):
		t.Errorf("roost serve runs %v after SIGTERM", endWithin)
		_ = s.process.Process.Kill()
		<-s.ended
	}
	if t.Failed() {
		t.Logf("roost serve said:\n%s", s.log.String())
	}
}

// freeAddress is a loopback address that nobody listened on a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// environment is this process's, less what would configure roost, with more.
func environment(more ...string) []string {
	var kept []string
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "ROOST_") {
			kept = append(kept, variable)
		}
	}
	return append(kept, more...)
}
