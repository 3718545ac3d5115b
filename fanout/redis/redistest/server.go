// Package redistest runs real Redis servers for tests: one, a master under Sentinel, a cluster; all on loopback, in the
// test's own directory, writing nothing that outlives it.
//
// Its functions are for the test's own goroutine, and fail the test rather than return an error. Every server ends with
// its test, and with the process should that die. Under -short the tests that ask for one are skipped; without the
// programs they fail and name the Debian package.
package redistest

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"
)

// patience is how long anything may take that has to happen. Only a failing test waits as long.
const patience = 20 * time.Second

// Server is one redis-server. Addr stays the same when it is restarted, and what it held is gone then, unless the test
// asked for appendonly.
type Server struct {
	Addr string

	t       testing.TB
	program string
	dir     string
	config  string // path of the configuration file
	process *os.Process
	ended   chan struct{} // closed when process has ended
}

// Start starts a server with the default configuration, nothing saved, and settings as they stand in redis.conf.
func Start(t testing.TB, settings ...string) *Server {
	t.Helper()
	needs(t, "redis-server", "redis-server")
	return start(t, "redis-server", settings)
}

// needs skips the test under -short, and fails it when a program is missing.
func needs(t testing.TB, program, debianPackage string) {
	t.Helper()
	if testing.Short() {
		t.Skipf("%s is not started under -short", program)
	}
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("this test needs the command %s: install the Debian package %s", program, debianPackage)
	}
}

func start(t testing.TB, program string, settings []string) *Server {
	t.Helper()
	for range 20 {
		port := freePort(t)
		s := &Server{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), t: t, program: program, dir: t.TempDir()}
		s.config = filepath.Join(s.dir, "redis.conf")
		lines := []string{"bind 127.0.0.1", "port " + strconv.Itoa(port), "dir " + s.dir, "daemonize no",
			"logfile " + s.log(), "loglevel notice"}
		if program == "redis-server" {
			lines = append(lines, `save ""`, "appendonly no", "repl-diskless-sync-delay 0")
		}
		lines = append(lines, settings...)
		if err := os.WriteFile(s.config, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Kill)
		if s.run() {
			return s
		}
	}
	t.Fatalf("%s found no free port", program)
	return nil
}

// freePort returns a port that is free now, with the one 10000 above it that a cluster's bus takes. Both are below the
// range from which outgoing connections take theirs, so that a server that was stopped finds its port again.
func freePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 10240 + rand.IntN(12000) // #nosec G404: any will do
		if isFree(port) && isFree(port+10000) {
			return port
		}
	}
	t.Fatal("no port is free")
	return 0
}

func isFree(port int) bool {
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func (s *Server) log() string { return filepath.Join(s.dir, "redis.log") }

// run starts the process and waits until it answers. It reports false when somebody else has its port.
func (s *Server) run() bool {
	s.t.Helper()
	started := make(chan error)
	ended := make(chan struct{})
	go func() {
		// The kernel ends the server when the thread that started it ends, so that thread has to wait with it.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(ended)
		cmd := exec.Command(s.program, s.config) // #nosec G204: the program is one of two
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		err := cmd.Start()
		s.process = cmd.Process
		started <- err
		if err == nil {
			_ = cmd.Wait() // most are killed
		}
	}()
	if err := <-started; err != nil {
		s.t.Fatalf("starting %s: %v", s.program, err)
	}
	s.ended = ended
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		select {
		case <-s.ended:
			log, _ := os.ReadFile(s.log())
			if bytes.Contains(log, []byte("Address already in use")) {
				return false
			}
			s.t.Fatalf("%s ended at once: %s", s.program, log)
		default:
		}
		if s.answers() {
			return true
		}
		if time.Now().After(deadline) {
			log, _ := os.ReadFile(s.log())
			s.t.Fatalf("%s does not answer: %s", s.program, log)
		}
	}
}

// answers reports whether it accepts a connection and says anything to a PING; an error is an answer too.
func (s *Server) answers() bool {
	conn, err := net.DialTimeout("tcp", s.Addr, time.Second)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if _, err := conn.Write([]byte("PING\r\n")); err != nil {
		return false
	}
	n, _ := conn.Read(make([]byte, 64))
	return n > 0
}

// Stop asks the server to end and waits until it has.
func (s *Server) Stop() { s.end(syscall.SIGTERM) }

// Kill ends the server at once, also while it is paused.
func (s *Server) Kill() { s.end(syscall.SIGKILL) }

func (s *Server) end(signal syscall.Signal) {
	s.t.Helper()
	if s.ended == nil {
		return
	}
	_ = s.process.Signal(signal) // it may have ended by itself
	select {
	case <-s.ended:
	case <-time.After(patience):
		s.t.Errorf("%s does not end", s.program)
	}
}

// Restart ends the server if it runs, and starts it again on the same address.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	for deadline := time.Now().Add(patience); !s.run(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("the port of %s is taken", s.Addr)
		}
	}
}

// Matures waits until the server has been running for 6 s. That is how long a node takes to be sure that a server which
// takes over was there already when the other one still lived.
func (s *Server) Matures() {
	s.t.Helper()
	Wait(s.t, s.Addr+" has been running for a while", func() bool {
		for line := range strings.Lines(s.Do("INFO", "server")) {
			if digits, ok := strings.CutPrefix(strings.TrimSpace(line), "uptime_in_seconds:"); ok {
				seconds, err := strconv.Atoi(digits)
				return err == nil && seconds >= 6
			}
		}
		return false
	})
}

// LoseTail cuts bytes off the end of the file of commands that a server with appendonly keeps, as a loss of power may. The
// server must not be running.
func (s *Server) LoseTail(bytes int64) {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.dir, "appendonlydir", "*.incr.aof"))
	if err != nil || len(files) != 1 {
		s.t.Fatalf("the server has the files %q, want one", files)
	}
	info, err := os.Stat(files[0])
	if err != nil {
		s.t.Fatal(err)
	}
	if err := os.Truncate(files[0], max(0, info.Size()-bytes)); err != nil {
		s.t.Fatal(err)
	}
}

// Pause stops the process where it is: its connections stay open and nothing is answered, until Continue.
func (s *Server) Pause() { s.signal(syscall.SIGSTOP) }

// Continue ends a Pause.
func (s *Server) Continue() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(signal syscall.Signal) {
	s.t.Helper()
	if err := s.process.Signal(signal); err != nil {
		s.t.Fatalf("%s: %v", signal, err)
	}
}

// client connects, as user default without a password.
func (s *Server) client() (rueidis.Client, error) {
	return rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.Addr}, ForceSingleClient: true,
		DisableCache: true, DisableRetry: true, PipelineMultiplex: -1, RingScaleEachConn: 4, ClientSetInfo: rueidis.DisableClientSetInfo,
		ReadBufferEachConn: 4096, WriteBufferEachConn: 4096})
}

// Try sends one command on a connection of its own.
func (s *Server) Try(args ...string) rueidis.RedisResult {
	client, err := s.client()
	if client != nil {
		defer client.Close()
	}
	if err != nil {
		return rueidis.NewErrorResult(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return client.Do(ctx, client.B().Arbitrary(args...).Build())
}

// Do is Try for a command that has to succeed. Numbers come as digits, lists with a space between their parts, nil as
// the empty string.
func (s *Server) Do(args ...string) string {
	s.t.Helper()
	return s.DoAll([][]string{args})[0]
}

// DoAll is Do for many commands, all sent before the first answer is read.
func (s *Server) DoAll(commands [][]string) []string {
	s.t.Helper()
	if len(commands) == 0 {
		return nil
	}
	client, err := s.client()
	if client != nil {
		defer client.Close()
	}
	if err != nil {
		s.t.Fatalf("%s: %v", strings.Join(commands[0], " "), err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	built := make(rueidis.Commands, len(commands))
	for i, args := range commands {
		built[i] = client.B().Arbitrary(args...).Build()
	}
	answers := make([]string, len(commands))
	for i, answer := range client.DoMulti(ctx, built...) {
		message, err := answer.ToMessage()
		if err != nil && !rueidis.IsRedisNil(err) {
			s.t.Fatalf("%s: %v", strings.Join(commands[i], " "), err)
		}
		answers[i] = text(message)
	}
	return answers
}

func text(m rueidis.RedisMessage) string {
	if m.IsNil() {
		return ""
	}
	if list, err := m.ToArray(); err == nil {
		parts := make([]string, len(list))
		for i := range list {
			parts[i] = text(list[i])
		}
		return strings.Join(parts, " ")
	}
	if n, err := m.AsInt64(); err == nil {
		return strconv.FormatInt(n, 10)
	}
	if v, err := m.ToAny(); err == nil {
		return fmt.Sprint(v)
	}
	return ""
}

// Wait waits until condition holds, and fails the test, saying what it waited for, when it never does.
func Wait(t testing.TB, what string, condition func() bool) {
	t.Helper()
	if !Comes(condition) {
		t.Fatalf("waited in vain until %s", what)
	}
}

// Comes waits until condition holds, and reports false when it never does.
func Comes(condition func() bool) bool {
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}
