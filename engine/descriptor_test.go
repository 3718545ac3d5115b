//go:build linux

package engine

// A server that runs out of descriptors, in a process of its own because the limit is a process's: whoever is
// connected goes on, and whoever waits is served as soon as there is room.

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/roost-ws/roost/engine/enginetest"
)

// limitedEnv in the environment makes TestLimitedServer the server and not a test.
const limitedEnv = "ROOST_LIMITED_SERVER"

// descriptorLimit is the server process's, soft and hard.
const descriptorLimit = 400

// limitedServer is the test's side of the server process. Its orders are lines; answers end with an empty line.
type limitedServer struct {
	t       *testing.T
	addr    string
	in      io.Writer
	answers *bufio.Reader
	gone    chan error
}

func startLimitedServer(t *testing.T) *limitedServer {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestLimitedServer$")
	cmd.Env = append(os.Environ(), limitedEnv+"=1")
	in, errIn := cmd.StdinPipe()
	out, errOut := cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut, cmd.Start()); err != nil {
		t.Fatal(err)
	}
	p := &limitedServer{t: t, in: in, answers: bufio.NewReader(out), gone: make(chan error, 1)}
	t.Cleanup(func() {
		in.Close()
		_ = cmd.Wait()
	})
	p.addr = strings.TrimSpace(p.answer())
	return p
}

func (p *limitedServer) answer() string {
	p.t.Helper()
	var text strings.Builder
	for {
		line, err := p.answers.ReadString('\n')
		if err != nil {
			p.t.Fatalf("the server process has ended: %v after %q", err, text.String())
		}
		if line == "\n" {
			return text.String()
		}
		text.WriteString(line)
	}
}

func (p *limitedServer) order(format string, args ...any) string {
	p.t.Helper()
	if _, err := fmt.Fprintf(p.in, format+"\n", args...); err != nil {
		p.t.Fatalf("the server process has ended: %v", err)
	}
	return p.answer()
}

func (p *limitedServer) figures() figures { p.t.Helper(); return parseFigures(p.order("metrics")) }

// TestLimitedServer is the server process. As a test it does nothing.
func TestLimitedServer(t *testing.T) {
	if os.Getenv(limitedEnv) == "" {
		t.Skip("this is the server of other tests")
	}
	limit := unix.Rlimit{Cur: descriptorLimit, Max: descriptorLimit}
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	s, addr := serve(t, func(o *Options) { o.Limits.Connections = 0 })
	fmt.Printf("%s\n\n", addr)
	var files []*os.File
	orders := bufio.NewScanner(os.Stdin)
	for orders.Scan() {
		verb, argument, _ := strings.Cut(orders.Text(), " ")
		switch verb {
		case "metrics":
			var text bytes.Buffer
			s.WriteMetrics(&text)
			fmt.Print(text.String())
		case "fill":
			for {
				f, err := os.Open(os.DevNull)
				if err != nil {
					break
				}
				files = append(files, f)
			}
			for free, _ := strconv.Atoi(argument); free > 0; free-- {
				files[len(files)-1].Close()
				files = files[:len(files)-1]
			}
			fmt.Printf("%d\n", len(files))
		case "empty":
			for _, f := range files {
				f.Close()
			}
			files = nil
		}
		fmt.Println()
	}
}

// rawSwarm is n connections that each echo in a room of their own.
func rawSwarm(t *testing.T, addr string, n int) *enginetest.Swarm {
	t.Helper()
	return enginetest.StartSwarm(t, enginetest.Config{
		Addrs: []string{addr}, N: n,
		Head: func(i int) []byte {
			return enginetest.UpgradeHead(addr, fmt.Sprintf("/raw/own.%d", i), enginetest.Options{})
		},
	})
}

// mustEcho fails the test unless every one of the connections is served.
func mustEcho(t *testing.T, s *enginetest.Swarm, want int) {
	t.Helper()
	r, err := s.Echo(t.Context(), enginetest.EchoConfig{Duration: 50 * time.Millisecond,
		Frame: func(int) []byte { return enginetest.TextFrame([]byte("echo")) }})
	if err != nil || r.Lost > 0 || r.Connections != want || r.Messages < int64(want) {
		t.Fatalf("echo of %d connections: %v, %v", want, r, err)
	}
}

// TestConnectionCap: with as many connections as the descriptor limit leaves room for, more are refused, however
// many come at once.
func TestConnectionCap(t *testing.T) {
	p := startLimitedServer(t)
	const most = descriptorLimit - reserveDescriptors
	if capacity := p.figures()["roost_capacity_connections"]; capacity != most {
		t.Fatalf("the server has room for %v connections, want %d", capacity, most)
	}
	held := rawSwarm(t, p.addr, most)
	if err := held.OpenAll(t.Context()); err != nil || held.Stats().Open != most {
		t.Fatalf("%v, %+v", err, held.Stats())
	}
	for range 5 {
		if a := ask(t, p.addr, goodHead); a.Status != 503 || a.Header.Get("Retry-After") == "" {
			t.Errorf("answered %d %v", a.Status, a.Header)
		}
	}
	burst := rawSwarm(t, p.addr, 1000)
	if err := burst.OpenAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	if st := burst.Stats(); st.Opened != 0 || st.Refused[503] == 0 || st.Refused[503]+st.Failed["rst"]+st.Failed["fin"]+st.Failed["ECONNRESET"] != 1000 {
		t.Errorf("a burst of 1,000 was answered %+v", st)
	}
	mustEcho(t, held, most)
	f := p.figures()
	if f[refusedSeries("full")] != 1005 || f["roost_connections"] != most {
		t.Errorf("%v refused, %v connections", f[refusedSeries("full")], f["roost_connections"])
	}
	if err := held.CloseRange(t.Context(), 0, 50, enginetest.CloseClean); err != nil {
		t.Fatal(err)
	}
	if !comesTrue(func() bool { return p.figures()["roost_connections"] == most-50 }) {
		t.Error("closed connections are still counted")
	}
	if err := held.Open(t.Context(), 0, 50); err != nil || held.Stats().Open != most {
		t.Errorf("%v, %+v", err, held.Stats())
	}
	mustEcho(t, held, most)
}

// TestDescriptorsExhausted: somebody else in the process has taken every descriptor. Open connections do not notice,
// new ones wait, and are served when there are descriptors again.
func TestDescriptorsExhausted(t *testing.T) {
	p := startLimitedServer(t)
	held := rawSwarm(t, p.addr, 30)
	if err := held.OpenAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := p.figures()
	p.order("fill 0")
	mustEcho(t, held, 30)
	var waiting []*enginetest.Client
	for range 10 {
		c := enginetest.DialRaw(t, p.addr, enginetest.Options{})
		c.SendRaw([]byte(swapped("/ws", "/raw/waited")))
		waiting = append(waiting, c)
	}
	if !comesTrue(func() bool { return p.figures()["roost_accept_failures_total"] > before["roost_accept_failures_total"] }) {
		t.Error("no accept has failed")
	}
	mustEcho(t, held, 30)
	p.order("empty")
	for _, c := range waiting {
		awaitUpgrade(t, c)
		c.SendText("at last")
		c.ExpectText("at last")
		c.Close()
	}
	mustEcho(t, held, 30)

	// One descriptor is enough to accept, but not to enrol: that client is turned away, and no other one.
	p.order("fill 1")
	for range 5 {
		c := enginetest.DialRaw(t, p.addr, enginetest.Options{})
		c.SendRaw([]byte(goodHead))
		c.ExpectEnd()
	}
	mustEcho(t, held, 30)
	p.order("empty")
	other := newBystander(t, p.addr, enginetest.Options{})
	other.mustBeServed()
	if f := p.figures(); f["roost_connections"] != 31 {
		t.Errorf("%v connections are counted, want 31", f["roost_connections"])
	}
	if st := held.Stats(); st.Open != 30 {
		t.Errorf("%+v", st)
	}
}
