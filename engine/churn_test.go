//go:build linux

package engine

// Connections that come and go by the thousand: nothing of them may stay.

import (
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/enginetest"
)

// footprint is what the process holds besides what the server counts.
type footprint struct {
	goroutines, files int
	memory            int64
}

func footprintNow(t *testing.T) footprint {
	t.Helper()
	runtime.GC()
	debug.FreeOSMemory()
	m, errMemory := enginetest.ReadMemory(0)
	files, errFiles := enginetest.OpenFiles(0)
	if errMemory != nil || errFiles != nil {
		t.Fatal(errMemory, errFiles)
	}
	return footprint{runtime.NumGoroutine(), files, m.RssAnon}
}

// TestChurn opens and closes connections in every way there is, in the middle of whatever they may be doing, and
// then looks for what is left. ROOST_SOAK=1 makes it a million turns.
func TestChurn(t *testing.T) {
	const each = 1000
	turns := 20
	switch {
	case os.Getenv("ROOST_SOAK") == "1":
		turns = 1000
	case testing.Short():
		turns = 3
	}
	s, addr := serve(t, func(o *Options) {
		verifying(t, o, nil)
		o.Limits.ConnectionsPerIP, o.Limits.ConnectionsPerUser = 100_000, 100_000 // so that both are counted
		o.Limits.HandshakeTimeout = 2 * time.Second
	})
	child := enginetest.StartChild(t, "", enginetest.Spec{
		Addrs: []string{addr}, Connections: each, Path: "/ws?room=churn-{i%40}&room=own-{i}", Subprotocols: []string{"roost.v1"},
		User: "user-{i%700}", Rooms: []string{"**"}, InFlight: 128,
		AfterOpen: []string{`{"type":"join","room":"more-{i%90}","id":{i}}`, `{"type":"publish","room":"churn-{i%40}","id":1,"data":"{i}"}`},
	})
	half := enginetest.TextFrame([]byte(`{"type":"publish","room":"never"}`))
	partial := enginetest.StartSwarm(t, enginetest.Config{
		Addrs: []string{addr}, N: 50, Mode: enginetest.PartialHead, HeadBytes: 60, Source: enginetest.SpreadSources(100, 10_000),
		Head: func(int) []byte { return []byte(goodHead) },
	})
	var warm footprint
	for turn := range turns {
		if err := partial.OpenAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		if st, err := child.Open(0, 0, time.Minute); err != nil || st.Open != each {
			t.Fatalf("turn %d: %v, %+v", turn, err, st)
		}
		if err := child.Send(200, 600, half[:9+turn%20]); err != nil {
			t.Fatal(err)
		}
		for _, part := range []struct {
			from, to int
			kind     enginetest.CloseKind
		}{{0, 300, enginetest.CloseRST}, {300, 500, enginetest.CloseFIN}, {500, each, enginetest.CloseClean}} {
			if st, err := child.Close(part.from, part.to, part.kind, time.Minute); err != nil {
				t.Fatalf("turn %d: %v, %+v", turn, err, st)
			}
		}
		if err := partial.CloseAll(t.Context(), enginetest.CloseRST); err != nil {
			t.Fatal(err)
		}
		if turn == 2 {
			mustBeEmpty(t, s)
			warm = footprintNow(t)
		}
	}
	mustBeEmpty(t, s)
	var end footprint
	if !comesTrue(func() bool {
		end = footprintNow(t)
		return end.goroutines <= warm.goroutines && end.files <= warm.files
	}) {
		t.Errorf("after %d turns: %+v, was %+v", turns*each, end, warm)
	}
	if grown := end.memory - warm.memory; grown > 8<<20 && !raceEnabled {
		t.Errorf("memory grew by %d bytes", grown)
	}
	f := scrape(s)
	if f["roost_handshakes_total"] != float64(turns*each) || f["roost_outbound_bytes"] != 0 || f["roost_buffers_in_use"] != 0 {
		t.Errorf("%v handshakes, %v bytes wait, %v buffers in use", f["roost_handshakes_total"], f["roost_outbound_bytes"], f["roost_buffers_in_use"])
	}
	t.Logf("%d turns: %+v, was %+v; closes %v gone, %v normal, %v reconnects", turns*each, end, warm, f[closedSeries("peer_gone")],
		f[closedSeries("normal")], f["roost_reconnects_total"])
	newBystander(t, addr, enginetest.Options{Token: enginetest.Token(t, "eve", time.Hour, "**")}).mustBeServed()
}
