//go:build linux

package engine

import (
	"bufio"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/engine/ratelimit"
	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/protocol/frame"
	"github.com/roost-ws/roost/protocol/handshake"
)

// Servers whose processor time is measured run in processes of their own, pinned to one processor; the client's
// process is pinned to the other. What is compared is always a ratio of two such servers in one run.

// serverVariable makes this test binary one of the servers below.
const serverVariable = "ROOST_TEST_SERVER"

// maybeServer serves instead of testing, until standard input ends.
func maybeServer() {
	kind := os.Getenv(serverVariable)
	if kind == "" {
		return
	}
	pinOnce()
	runtime.GOMAXPROCS(1)
	var err error
	switch kind {
	case "roost":
		err = runRoost()
	case "bare":
		err = runBare()
	default:
		err = fmt.Errorf("no server %q", kind)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_, _ = io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// pinOnce binds the process to processor 0. The runtime has threads already that would keep their own mask, so
// the process starts itself anew under it.
func pinOnce() {
	const pinned = "ROOST_TEST_PINNED"
	if os.Getenv(pinned) != "" || runtime.NumCPU() < 2 {
		return
	}
	runtime.LockOSThread()
	var set unix.CPUSet
	set.Set(0)
	if unix.SchedSetaffinity(0, &set) != nil {
		return
	}
	self, err := os.Executable()
	if err == nil {
		_ = unix.Exec(self, os.Args, append(os.Environ(), pinned+"=1"))
	}
}

func runRoost() error {
	debug.SetGCPercent(GCPercent)
	limits := DefaultLimits()
	limits.Messages, limits.Controls = ratelimit.Rate{}, ratelimit.Rate{}
	s, err := New(Options{Listen: []string{"127.0.0.1:0"}, Loops: 1, Node: "perf", Broker: fanout.NewMemory(),
		Limits: limits, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	if err := s.Start(); err != nil {
		return err
	}
	fmt.Println(s.Addresses()[0])
	return nil
}

// bareEcho is an echo on gnet that knows nothing of WebSocket: after a handshake it answers each 131 bytes, which is
// what a masked frame of 125 bytes takes, with the same 127 bytes. It reads no frame and unmasks nothing. For the
// connections of one path it is a plain loop of writes instead.
type bareEcho struct {
	gnet.BuiltinEventEngine
	ready   chan struct{}
	members []int
}

const echoPayload = 125

var bareAnswers = func() []byte {
	var b []byte
	for range 1024 {
		b = frame.Append(b, ws.OpText, make([]byte, echoPayload))
	}
	return b
}()

func (e *bareEcho) OnBoot(gnet.Engine) gnet.Action { close(e.ready); return gnet.None }

func (e *bareEcho) OnTraffic(c gnet.Conn) gnet.Action {
	p, _ := c.Next(-1)
	if c.Context() == nil {
		var r handshake.Request
		limits := handshake.DefaultLimits()
		if n, _ := r.Parse(p, &limits); n == 0 {
			return gnet.Close
		}
		all := string(r.Path) == everybody
		if all {
			e.members = append(e.members, c.Fd())
		}
		c.SetContext(all)
		_, _ = c.Write(handshake.AppendSwitching(nil, r.Key, nil, nil))
		return gnet.None
	}
	const in, out = 6 + echoPayload, 2 + echoPayload
	if c.Context() == true {
		for _, fd := range e.members {
			_, _ = unix.Write(fd, bareAnswers[:out])
		}
		return gnet.None
	}
	_, _ = c.Write(bareAnswers[:len(p)/in*out])
	return gnet.None
}

// everybody is the path whose connections all hear what one of them sends.
const everybody = "/raw/everybody"

func runBare() error {
	l, err := openListener("127.0.0.1:0")
	if err != nil {
		return err
	}
	address := l.Addr().String()
	l.Close()
	e := &bareEcho{ready: make(chan struct{})}
	go func() {
		if err := gnet.Run(e, "tcp://"+address, gnet.WithNumEventLoop(1), gnet.WithReuseAddr(true),
			gnet.WithLogger(engineLog{slog.New(slog.DiscardHandler)})); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}()
	<-e.ready
	fmt.Println(address)
	return nil
}

// serverProcess is one of those servers.
type serverProcess struct {
	pid  int
	addr string
}

func startServer(t testing.TB, kind string) *serverProcess {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), serverVariable+"="+kind)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("server %s did not start: %v", kind, err)
	}
	return &serverProcess{pid: cmd.Process.Pid, addr: line[:len(line)-1]}
}

// cpu is the processor time that the server has used so far.
func (p *serverProcess) cpu(t testing.TB) time.Duration {
	t.Helper()
	c, err := enginetest.ReadCPU(p.pid)
	if err != nil {
		t.Fatal(err)
	}
	return c.Run
}

// echoCost is the server's processor time for one echoed message of 125 bytes, 100 connections with inFlight
// messages each.
func echoCost(t *testing.T, kind string, connections, inFlight int) time.Duration {
	t.Helper()
	server := startServer(t, kind)
	child := enginetest.StartChild(t, "", enginetest.Spec{Addrs: []string{server.addr}, Connections: connections,
		Path: "/raw/echo-{i}", CPUs: []int{1 % runtime.NumCPU()}})
	if stats, err := child.Open(0, 0, time.Minute); err != nil || stats.Open != connections {
		t.Fatalf("%s: %+v %v", kind, stats, err)
	}
	payload := string(slices.Repeat([]byte("x"), echoPayload))
	before := server.cpu(t)
	result, err := child.Echo(payload, enginetest.EchoConfig{InFlight: inFlight, Duration: 2 * time.Second})
	if err != nil || result.Messages == 0 {
		t.Fatalf("%s: %v", kind, err)
	}
	cost := (server.cpu(t) - before) / time.Duration(result.Messages)
	child.Stop()
	t.Logf("%-6s %3d in flight: %8.0f msg/s, %v CPU a message", kind, inFlight, float64(result.Messages)/2, cost)
	return cost
}

// TestEchoCost compares an echo through a room of one with an echo on bare gnet.
func TestEchoCost(t *testing.T) {
	measures(t)
	const most = 1.15
	var ratios []float64
	for range 3 {
		bare := echoCost(t, "bare", 100, 1)
		ours := echoCost(t, "roost", 100, 1)
		ratios = append(ratios, float64(ours)/float64(bare))
	}
	slices.Sort(ratios)
	t.Logf("ratios %.2f, median %.2f", ratios, ratios[1])
	if ratios[1] > most {
		t.Errorf("an echo costs %.2f times a bare one, want at most %.2f", ratios[1], most)
	}
}

// fanoutCost is the server's processor time for one publication of 125 bytes to all members, a member.
func fanoutCost(t *testing.T, kind string, members int) time.Duration {
	t.Helper()
	server := startServer(t, kind)
	child := enginetest.StartChild(t, "", enginetest.Spec{Addrs: []string{server.addr}, Connections: members,
		Path: everybody, CPUs: []int{1 % runtime.NumCPU()}})
	if stats, err := child.Open(0, 0, time.Minute); err != nil || stats.Open != members {
		t.Fatalf("%s: %+v %v", kind, stats, err)
	}
	payload := string(slices.Repeat([]byte("x"), echoPayload))
	const publications = 5
	before := server.cpu(t)
	for i := range publications {
		if err := child.SendText(0, 1, payload); err != nil {
			t.Fatal(err)
		}
		want := int64((i + 1) * members)
		if stats, err := child.WaitFor(time.Minute, func(s *enginetest.Stats) bool { return s.Messages >= want }); err != nil {
			t.Fatalf("%s: %d of %d: %v", kind, stats.Messages, want, err)
		}
	}
	cost := (server.cpu(t) - before) / time.Duration(publications*members)
	child.Stop()
	t.Logf("%-6s %d members: %v CPU a delivery", kind, members, cost)
	return cost
}

// TestFanoutCost compares one publication to 18,000 members with a plain loop of writes over as many sockets.
func TestFanoutCost(t *testing.T) {
	measures(t)
	const members, most = 18000, 1.15
	var ratios []float64
	for range 3 {
		plain := fanoutCost(t, "bare", members)
		ours := fanoutCost(t, "roost", members)
		ratios = append(ratios, float64(ours)/float64(plain))
	}
	slices.Sort(ratios)
	t.Logf("ratios %.2f, median %.2f", ratios, ratios[1])
	if ratios[1] > most {
		t.Errorf("a delivery costs %.2f times a plain write, want at most %.2f", ratios[1], most)
	}
}

// measures skips a test whose verdict is about speed unless it is asked for: a busy neighbour is no fault of the code.
func measures(t *testing.T) {
	t.Helper()
	if !speedCounts() {
		t.Skip("measures speed: set ROOST_PERF=1 on a quiet machine, as make bench does")
	}
}

// speedCounts says whether verdicts about speed are wanted.
func speedCounts() bool { return os.Getenv("ROOST_PERF") == "1" && !raceEnabled }
