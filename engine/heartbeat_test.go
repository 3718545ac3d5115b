//go:build linux

package engine

// Heartbeats on real sockets: who answers stays, who does not is gone in time.

import (
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/roost-ws/roost/engine/enginetest"
)

func TestHeartbeat(t *testing.T) {
	t.Parallel()
	const interval, timeout = 200 * time.Millisecond, 200 * time.Millisecond
	s, addr := serve(t, func(o *Options) { o.Heartbeat, o.HeartbeatTimeout = interval, timeout })
	before := scrape(s)
	began := time.Now()
	dead := enginetest.Dial(t, addr, "/raw/dead", enginetest.Options{NoPong: true})
	talks := enginetest.Dial(t, addr, "/raw/talks", enginetest.Options{NoPong: true})
	answers := answering(t, addr)

	pings := 0
	for f := dead.ReadFrame(); f.Op != ws.OpClose; f = dead.ReadFrame() {
		if f.Op != ws.OpPing {
			t.Fatalf("opcode %d", f.Op)
		}
		pings++
		talks.SendText("a sign of life")
	}
	took := time.Since(began)
	if earliest, latest := interval+timeout-tickEvery, interval+timeout+time.Second; took < earliest || took > latest {
		t.Errorf("closed after %v, want %v to %v", took, earliest, latest)
	}
	if pings == 0 {
		t.Error("closed without a ping")
	}
	grew(t, s, before, 1, closedSeries("no_pong"))

	// One that answers stays for as long as it does, and so does one that sends something else.
	for time.Since(began) < 3*(interval+timeout) {
		talks.ReadFrame() // a ping, or what it said
		talks.SendText("another one")
		time.Sleep(30 * time.Millisecond) // its pace
	}
	talks.SendPing("still there")
	talks.ExpectPong("still there")
	if st := answers.Stats(); st.Open != 1 || st.Pings < 3 {
		t.Errorf("the one that answers: %+v", st)
	}
	if rtt := scrape(s)["roost_ping_rtt_seconds_count"] - before["roost_ping_rtt_seconds_count"]; rtt < 2 {
		t.Errorf("%v round trips measured", rtt)
	}
	if sent := scrape(s)["roost_pings_total"] - before["roost_pings_total"]; sent < 4 {
		t.Errorf("%v pings sent", sent)
	}
	settles(t, s, 2, "roost_connections")
}

// answering is one client that does nothing but answer.
func answering(t *testing.T, addr string) *enginetest.Swarm {
	t.Helper()
	swarm := enginetest.StartSwarm(t, enginetest.Config{
		Addrs: []string{addr}, N: 1,
		Head: func(int) []byte { return enginetest.UpgradeHead(addr, "/raw/answers", enginetest.Options{}) },
	})
	if err := swarm.OpenAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	return swarm
}

// TestDeadPeerReads: the close of a silent peer says 4408, and its socket does not wait for an answer.
func TestDeadPeerReads(t *testing.T) {
	t.Parallel()
	s, addr := serve(t, func(o *Options) {
		o.Heartbeat, o.HeartbeatTimeout, o.Limits.CloseTimeout = 200*time.Millisecond, 100*time.Millisecond, time.Minute
	})
	other := answering(t, addr)
	c := enginetest.Dial(t, addr, "/raw/dead", enginetest.Options{NoPong: true, NoCloseReply: true})
	if reason := c.ExpectClose(4408); reason == "" {
		t.Error("closed without a reason")
	}
	settles(t, s, 1, "roost_connections")
	if st := other.Stats(); st.Open != 1 {
		t.Errorf("the one that answers: %+v", st)
	}
	newBystander(t, addr, enginetest.Options{}).mustBeServed()
}
