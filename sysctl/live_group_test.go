package sysctl

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// ownGroup moves this process into a new control group below its own, with a limit of memory, until the test ends.
func ownGroup(t *testing.T, limit uint64) {
	t.Helper()
	g := findGroups(tree("/"))
	if len(g.memory) == 0 {
		t.Skip("there is no memory controller here")
	}
	above := g.memory[0]
	group := filepath.Join(above, fmt.Sprintf("roost-test-%d", os.Getpid()))
	if err := os.Mkdir(group, 0o755); err != nil {
		t.Skipf("control groups can't be made here: %v", err)
	}
	move := func(to string) error {
		return os.WriteFile(filepath.Join(to, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0)
	}
	t.Cleanup(func() {
		if err := move(above); err != nil {
			t.Errorf("leaving the group: %v", err)
		}
		if err := os.Remove(group); err != nil {
			t.Errorf("removing the group: %v", err)
		}
	})
	name := "memory.max"
	if g.version == 1 {
		name = "memory.limit_in_bytes"
	}
	if err := os.WriteFile(filepath.Join(group, name), []byte(strconv.FormatUint(limit, 10)), 0); err != nil {
		t.Skipf("a group's memory can't be limited here: %v", err)
	}
	if err := move(group); err != nil {
		t.Skipf("a process can't be moved into a group here: %v", err)
	}
}

// TestLiveGroup: the limit of a real group is found, and what the kernel charges it for sockets is what the forecast
// takes for them.
func TestLiveGroup(t *testing.T) {
	if !inNamespace(t, unix.CLONE_NEWNET) {
		return
	}
	const limit = 900 << 20
	up(t)
	ownGroup(t, limit)
	f := Read("/", properProcess)
	if f.Cgroup.Memory != known(limit) || !f.Cgroup.MemoryUsed.Known || f.Cgroup.MemoryUsed.Value > limit/2 {
		t.Errorf("in a group of %d bytes: %+v", limit, f.Cgroup)
	}
	if row := find(t, Check(f, proper), "cgroup_memory"); row.Verdict != Fail || !strings.Contains(row.Have, "left of 944 MB") {
		t.Errorf("%+v", row)
	}
	sampler := NewSampler("/")
	before := sampler.Sample()
	if !before.GroupObjects.Known {
		t.Skip("this group's share is not told")
	}
	sockets := connect(t, 4000)
	now := sampler.Sample()
	each := float64(now.GroupObjects.Value-before.GroupObjects.Value) / float64(sockets)
	if uncharged := socketObject(t); !sampler.byGroup && uncharged > 0 {
		// Of the accepted half the socket itself is not in the group's figure.
		t.Logf("the group counts %.0f bytes a socket, without %.0f of each second one", each, uncharged)
		each += uncharged / 2
	}
	t.Logf("%d sockets: %.0f bytes of the kernel each", sockets, each)
	if each < kernelPerSocket*0.9 || each > kernelPerSocket*1.1 {
		t.Errorf("%.0f bytes each, want within a tenth of %d", each, kernelPerSocket)
	}
	// What a node would say by itself, of both ends of all connections. Buffers are left out: where they are not told
	// by group they are those of the whole machine, on which others may be busy.
	was, is := sampler.KernelMemory(before), sampler.KernelMemory(now)
	was.Buffers, is.Buffers = 0, 0
	if share, ok := is.PerConnection(was, sockets); !ok || share < kernelPerSocket*0.9 || share > kernelPerSocket*1.1 {
		t.Errorf("by %q a socket takes %.0f bytes, %v", is.Source, share, ok)
	}
}

// socketObject is what the kernel allocates for a TCP socket itself, with its part of what is left over in a slab.
func socketObject(t *testing.T) float64 {
	t.Helper()
	text, _ := tree("/").read("/proc/slabinfo")
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) > 5 && fields[0] == "TCP" {
			return float64(parseFigure(fields[3]).Value)
		}
	}
	return 0
}

// connect opens connections over loopback, both ends in this process, and returns how many sockets that are.
func connect(t *testing.T, connections int) int {
	t.Helper()
	return connectTo(t, "127.0.0.1:8080", connections)
}

func connectTo(t *testing.T, address string, connections int) int {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	dial := net.Dialer{KeepAlive: -1}
	for range connections {
		client, err := dial.DialContext(t.Context(), "tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		server, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = client.Close(), server.Close() })
	}
	return 2 * connections
}
