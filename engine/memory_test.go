//go:build linux

package engine

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/auth"
	"github.com/roost-ws/roost/engine/enginetest"
)

// tokenServer is a server that checks the swarm's tokens.
func tokenServer(t testing.TB, edit func(*Options)) (*Server, string) {
	t.Helper()
	v, err := auth.New(auth.Options{HMACSecret: []byte(enginetest.Secret), CacheEntries: 8192, Leeway: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return serve(t, func(o *Options) {
		o.Verifier = v
		o.Limits.Connections = 0
		if edit != nil {
			edit(o)
		}
	})
}

// resident is this process's anonymous memory, after a collection if forced.
func resident(t testing.TB, forced bool) uint64 {
	t.Helper()
	if forced {
		runtime.GC()
		debug.FreeOSMemory()
	}
	m, err := enginetest.ReadMemory(0)
	if err != nil {
		t.Fatal(err)
	}
	return uint64(m.RSS)
}

// TestMemoryPerConnection measures what one more connection costs in resident memory, with a token and in one of
// 1,000 rooms, as the slope between few and many connections.
func TestMemoryPerConnection(t *testing.T) {
	if testing.Short() {
		t.Skip("needs 19,000 connections")
	}
	const few, many, all, most = 2000, 18000, 19000, 640
	idle := startIdle(t, all)
	idle.open(0, few)
	atFew := resident(t, true)
	idle.open(few, many)
	asItStands := resident(t, false)
	atMany := resident(t, true)
	slope := float64(atMany-atFew) / (many - few)
	t.Logf("%d connections: resident %.1f MB; a connection: %.0f B after a collection, %.0f B as it stood, %d B of them ours",
		idle.server.Connections(), float64(atMany)/1e6, slope, float64(asItStands-atFew)/(many-few), connBytes)
	if slope > most && !raceEnabled {
		t.Errorf("a connection costs %.0f B, want at most %d", slope, most)
	}
	if f := os.Getenv("ROOST_HEAP_PROFILE"); f != "" {
		writeHeapProfile(t, f)
	}
	idle.open(many, all)
}

// TestManyIdle holds as many idle connections as ROOST_CONNECTIONS says, for as long as ROOST_HOLD says, with a ping
// each as often as ROOST_HEARTBEAT says (30s), and tells what they cost. It is for a machine with a descriptor limit
// to match, and for a slow one to be patient with: a heartbeat longer than the run leaves connections alone.
func TestManyIdle(t *testing.T) {
	all, err := strconv.Atoi(os.Getenv("ROOST_CONNECTIONS"))
	if err != nil {
		t.Skip("ROOST_CONNECTIONS does not say how many")
	}
	hold, _ := time.ParseDuration(os.Getenv("ROOST_HOLD"))
	idle := startIdle(t, all)
	before, slabBefore := resident(t, true), slabBytes()
	begun := time.Now()
	step := max(all/20, 1000)
	for n := 0; n < all; n += step {
		idle.open(n, min(n+step, all))
		t.Logf("%d connections after %v", idle.server.Connections(), time.Since(begun).Round(time.Second))
	}
	used, err := enginetest.ReadCPU(0)
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(hold)
	after, _ := enginetest.ReadCPU(0)
	asItStands := resident(t, false)
	forced := resident(t, true)
	each := func(b uint64) float64 { return (float64(b) - float64(before)) / float64(all) }
	t.Logf("%d idle connections: resident %.1f MB, a connection %.0f B as it stands, %.0f B after a collection; kernel slab %.0f B a socket",
		idle.server.Connections(), float64(forced)/1e6, each(asItStands), each(forced), float64(slabBytes()-slabBefore)/float64(2*all))
	if hold > 0 {
		t.Logf("processor while they idled: %.2f us a second a connection, %d of %d still open",
			float64(after.Sub(used).Run.Microseconds())/hold.Seconds()/float64(all), idle.server.Connections(), all)
	}
	if idle.server.Connections() != all {
		t.Errorf("%d connections are open, want %d", idle.server.Connections(), all)
	}
	begun = time.Now()
	if _, err := idle.child.Close(0, 0, enginetest.CloseRST, time.Hour); err != nil {
		t.Fatal(err)
	}
	for idle.server.Connections() > 0 {
		time.Sleep(10 * time.Millisecond)
	}
	t.Logf("all closed %v after the first", time.Since(begun).Round(time.Millisecond))
}

// idleSwarm is a server that checks tokens and a process of idle clients in rooms.
type idleSwarm struct {
	t      *testing.T
	server *Server
	child  *enginetest.Child
}

func startIdle(t *testing.T, connections int) *idleSwarm {
	t.Helper()
	debug.SetGCPercent(GCPercent) // as a node sets it
	s, addr := tokenServer(t, func(o *Options) {
		o.Heartbeat, _ = time.ParseDuration(os.Getenv("ROOST_HEARTBEAT"))
	})
	return &idleSwarm{t, s, enginetest.StartChild(t, "", enginetest.Spec{
		InFlight: 64, Addrs: []string{addr}, Connections: connections, Path: "/ws?room=room-{i%1000}", Subprotocols: []string{"roost.v1"},
		User: "user-{i}", Rooms: []string{"**"}, TTL: 24 * time.Hour, ReportEvery: time.Second,
	})}
}

// open opens connections from one number up to another.
func (i *idleSwarm) open(from, to int) {
	i.t.Helper()
	if stats, err := i.child.Open(from, to, time.Hour); err != nil || stats.Open != to {
		i.t.Fatalf("%d are open, want %d: %v %+v", stats.Open, to, err, stats)
	}
}

// slabBytes is the kernel's memory for small objects, sockets among them, of the whole machine.
func slabBytes() uint64 {
	text, _ := os.ReadFile("/proc/meminfo")
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Slab:"); ok {
			kib, _ := strconv.ParseUint(strings.Fields(rest)[0], 10, 64)
			return kib << 10
		}
	}
	return 0
}

func writeHeapProfile(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := pprof.WriteHeapProfile(f); err != nil {
		t.Fatal(err)
	}
}
