//go:build linux

package engine

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
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
		t.Skip("needs 18,000 connections")
	}
	const few, many, most = 2000, 18000, 640
	s, addr := tokenServer(t, nil)
	child := enginetest.StartChild(t, "", enginetest.Spec{
		Addrs: []string{addr}, Connections: many, Path: "/ws?room=room-{i%1000}", Subprotocols: []string{"roost.v1"},
		User: "user-{i}", Rooms: []string{"**"},
	})
	open := func(from, to int) {
		if stats, err := child.Open(from, to, time.Minute); err != nil || stats.Open != to {
			t.Fatalf("opened %d of %d: %v", stats.Open, to, err)
		}
	}
	open(0, few)
	atFew := resident(t, true)
	open(few, many)
	asItStands := resident(t, false)
	atMany := resident(t, true)
	slope := float64(atMany-atFew) / (many - few)
	t.Logf("%d connections: resident %.1f MB; a connection: %.0f B after a collection, %.0f B as it stood, %d B of them ours",
		s.Connections(), float64(atMany)/1e6, slope, float64(asItStands-atFew)/(many-few), connBytes)
	if slope > most && !raceEnabled {
		t.Errorf("a connection costs %.0f B, want at most %d", slope, most)
	}
	if f := os.Getenv("ROOST_HEAP_PROFILE"); f != "" {
		writeHeapProfile(t, f)
	}
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
