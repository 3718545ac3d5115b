package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/roost-ws/roost/bench/probe"
)

// capacity is the part of roost tune check --json that this test is about.
type capacity struct {
	Stops []struct {
		Cause       string
		Connections uint64
	}
	Memory struct{ Base, User, Kernel float64 }
}

// TestCapacity holds what roost tune check forecasts for this machine against a node with that many connections: the
// end by descriptors is the one that the node itself has, and the memory is what the node and the kernel then take.
func TestCapacity(t *testing.T) {
	if testing.Short() || fraction > 1 {
		t.Skip("needs 18,000 connections, of a node as it ships")
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	connections := int(min(limit.Max, 20_000)) - 2000
	if connections < 5000 {
		t.Skipf("a descriptor limit of %d leaves too few connections to measure", limit.Max)
	}
	s := start(t, "auth.mode=anonymous", "origins=*")
	// Whether connections are tracked, which costs memory, shows where there is one.
	one, err := net.Dial("tcp", s.address)
	if err != nil {
		t.Fatal(err)
	}
	forecast := tuneCheck(t, connections)
	_ = one.Close()
	for _, stop := range forecast.Stops {
		if most := uint64(s.figure(t, "roost_capacity_connections")); stop.Cause == "descriptors" && stop.Connections != most {
			t.Errorf("the forecast is %d, the node holds %d", stop.Connections, most)
		}
	}
	g := newGroup(t, s.pid)
	before := g.charged()
	idle(t, s, connections, g)
	charged := g.charged() - before
	resident, err := probe.Resident(s.pid)
	if err != nil {
		t.Fatal(err)
	}
	compare(t, "resident", float64(resident), forecast.Memory.Base+forecast.Memory.User)
	if g == nil {
		t.Log("the kernel's share is not compared: no control group of this test's own")
		return
	}
	// Both ends are in the group, and each is as large as the other.
	compare(t, "kernel", (charged+g.uncharged(connections))/2, forecast.Memory.Kernel)
}

// compare fails when a measured figure is not within a tenth of the one that was forecast.
func compare(t *testing.T, what string, measured, forecast float64) {
	t.Helper()
	t.Logf("%s: %.1f MB, forecast %.1f MB", what, measured/1e6, forecast/1e6)
	if math.Abs(measured-forecast) > forecast/10 {
		t.Errorf("%s: %.0f bytes, forecast %.0f", what, measured, forecast)
	}
}

// tuneCheck runs roost tune check. Its exit code says what it thinks of this machine, which is not the question here.
func tuneCheck(t *testing.T, connections int) *capacity {
	t.Helper()
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	out, runErr := exec.Command(path, "tune", "check", "--json", "--connections", strconv.Itoa(connections)).Output()
	c := &capacity{}
	if err := json.Unmarshal(out, c); err != nil || c.Memory.User == 0 {
		t.Fatalf("%v, %v:\n%s", err, runErr, out)
	}
	return c
}

// idle opens connections in 1,000 rooms from a process in g, and leaves them alone until the test ends. It returns
// once all are open.
func idle(t *testing.T, s *server, connections int, g *group) {
	t.Helper()
	path, _ := binary() // there is one, or the server would not run
	load := exec.Command("sh", append([]string{"-c", g.joining() + `exec "$@"`, "sh"}, path, "bench", "load", "--scenario", "idle",
		"--url", "ws://"+s.address+"/ws?room={room}", "--rooms", "1000", "--subprotocol", "roost.v1", "--workers", "1",
		"--connections", strconv.Itoa(connections), "--duration", "10m")...)
	var said bytes.Buffer
	load.Stdout, load.Stderr = &said, &said
	if err := load.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = load.Process.Kill() // its worker ends with it
		_ = load.Wait()
		g.leave(t)
	})
	for deadline := time.Now().Add(2 * time.Minute); s.connections(t) < connections; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d connections are open, want %d", s.connections(t), connections)
		}
	}
}

// group is a control group of a test's own, so that what others do meanwhile is not counted. Its methods do nothing
// on nil, which is a machine that has none to give.
type group struct {
	folder, above string
	counter       string // the file that counts the kernel's objects
}

// newGroup makes a group below this process's and moves a process there. Version 1 alone: in version 2 a group with
// processes of its own can't have one below it that counts.
func newGroup(t *testing.T, pid int) *group {
	t.Helper()
	membership, _ := os.ReadFile("/proc/self/cgroup")
	for line := range strings.Lines(string(membership)) {
		_, path, ok := strings.Cut(strings.TrimSpace(line), ":memory:")
		if !ok {
			continue
		}
		above := filepath.Join("/sys/fs/cgroup/memory", path)
		g := &group{folder: filepath.Join(above, fmt.Sprintf("roost-e2e-%d", os.Getpid())), above: above}
		g.counter = filepath.Join(g.folder, "memory.kmem.usage_in_bytes")
		if os.Mkdir(g.folder, 0o755) != nil {
			return nil
		}
		if err := os.WriteFile(filepath.Join(g.folder, "cgroup.procs"), []byte(strconv.Itoa(pid)), 0); err != nil {
			_ = os.Remove(g.folder)
			return nil
		}
		return g
	}
	return nil
}

// joining is shell that moves its process into the group.
func (g *group) joining() string {
	if g == nil {
		return ""
	}
	return "echo $$ > '" + filepath.Join(g.folder, "cgroup.procs") + "' && "
}

// charged is what the kernel holds for the group, without the sockets that were accepted.
func (g *group) charged() float64 {
	if g == nil {
		return 0
	}
	text, _ := os.ReadFile(g.counter)
	n, _ := strconv.ParseFloat(strings.TrimSpace(string(text)), 64)
	return n
}

// uncharged is the part of accepted sockets that version 1 counts for nobody: the socket without file and inode.
func (g *group) uncharged(accepted int) float64 {
	slabs, _ := os.ReadFile("/proc/slabinfo")
	for line := range strings.Lines(string(slabs)) {
		if fields := strings.Fields(line); len(fields) > 3 && fields[0] == "TCP" {
			each, _ := strconv.ParseFloat(fields[3], 64)
			return each * float64(accepted)
		}
	}
	return 0
}

// leave moves who is left out of the group and removes it.
func (g *group) leave(t *testing.T) {
	if g == nil {
		return
	}
	processes, _ := os.ReadFile(filepath.Join(g.folder, "cgroup.procs"))
	for _, pid := range strings.Fields(string(processes)) {
		_ = os.WriteFile(filepath.Join(g.above, "cgroup.procs"), []byte(pid), 0) // it may end at this moment
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		err := os.Remove(g.folder)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Errorf("removing the test's control group: %v", err)
			return
		}
	}
}
