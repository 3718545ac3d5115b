//go:build linux

package engine

// Rooms that change while a publication is on its way to their members.

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/fanout"
)

// TestLeavingDuringAWalk: nearly all members of a large room go at once while it is being told something. Those that
// stay hear everything exactly once.
func TestLeavingDuringAWalk(t *testing.T) {
	const stay, turns, parts, each = 40, 5, 4, 10
	members := 2000
	if testing.Short() {
		members = 1000
	}
	s, addr := serve(t, func(o *Options) { o.Loops = 1 })
	heard := make([][]int, stay)
	swarm := enginetest.StartSwarm(t, enginetest.Config{
		Addrs: []string{addr}, N: members,
		Head: func(int) []byte { return enginetest.UpgradeHead(addr, "/raw/walked", enginetest.Options{}) },
		OnMessage: func(i int, _ ws.OpCode, text []byte) {
			if i < stay {
				n, _ := strconv.Atoi(string(text))
				heard[i] = append(heard[i], n)
			}
		},
	})
	said := 0
	for range turns {
		if err := swarm.OpenAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		size := (members - stay) / parts
		for part := range parts {
			for range each {
				s.Publish("walked", strconv.AppendInt(nil, int64(said), 10), fanout.Text, nil)
				said++
			}
			from := stay + part*size
			if err := swarm.CloseRange(t.Context(), from, from+size, enginetest.CloseRST); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := swarm.WaitFor(t.Context(), func(*enginetest.Stats) bool {
		return slices.Min(swarm.Received()[:stay]) >= int64(said)
	}); err != nil {
		t.Fatal(err)
	}
	swarm.Stop()
	for i, all := range heard {
		if len(all) != said {
			t.Errorf("member %d heard %d of %d", i, len(all), said)
		}
		for k, n := range all {
			if n != k {
				t.Fatalf("member %d heard %d where %d was due", i, n, k)
			}
		}
	}
	mustBeEmpty(t, s)
}

// TestBurstIntoARoom: more than a room may gather comes at once, again and again, while clients join. Everybody reads
// whole messages in order, and everybody who missed some is told so at the place where they are missing.
func TestBurstIntoARoom(t *testing.T) {
	const first, later, bursts, each = 200, 200, 8, 60
	s, addr := serve(t, func(o *Options) {
		o.Loops, o.Limits.BatchBytes, o.Limits.OutboundBytes = 1, 64<<10, 20<<10
		o.Limits.OutboundTotal, o.Limits.OutboundStall = 64<<20, time.Minute // who reads may be slow at it
		o.SlowConsumer = KeepLatest
	})
	type member struct {
		last, gaps int
		wrong      string
	}
	members := make([]member, first+later)
	pad := strings.Repeat("p", 2000)
	swarm := enginetest.StartSwarm(t, enginetest.Config{
		Addrs: []string{addr}, N: first + later, Marks: []string{"last"},
		Head: func(int) []byte { return enginetest.UpgradeHead(addr, "/ws?room=burst", v1) },
		OnMessage: func(i int, _ ws.OpCode, text []byte) {
			var e struct {
				Type string
				Data struct {
					N   int
					Pad string
				}
			}
			m := &members[i]
			err := json.Unmarshal(text, &e)
			switch {
			case err != nil || e.Type == "message" && e.Data.Pad != pad:
				m.wrong = fmt.Sprintf("%v in %.80q", err, text)
			case e.Type == "gap":
				m.gaps++
				m.last = min(m.last, -m.last) // numbers may jump here
			case e.Type == "message":
				if m.last > 0 && e.Data.N != m.last+1 || m.last < 0 && e.Data.N <= -m.last {
					m.wrong = fmt.Sprintf("%d after %d", e.Data.N, m.last)
				}
				m.last = e.Data.N
			}
		},
	})
	if err := swarm.Open(t.Context(), 0, first); err != nil {
		t.Fatal(err)
	}
	joined := make(chan error, 1)
	go func() { joined <- swarm.Open(t.Context(), first, first+later) }()
	said := 0
	for range bursts {
		// On the loop, so that all of them are gathered in one turn.
		if err := s.each(t.Context(), func(_ *Loop, done func()) {
			for range each {
				said++
				s.Publish("burst", fmt.Appendf(nil, `{"N":%d,"Pad":%q}`, said, pad), fanout.JSON, nil)
			}
			done()
		}); err != nil {
			t.Fatal(err)
		}
		round(t, s)
	}
	if err := <-joined; err != nil {
		t.Fatal(err)
	}
	// One more, which everybody hears once the rest is through.
	settles(t, s, 0, "roost_buffers_in_use")
	said++
	s.Publish("burst", fmt.Appendf(nil, `{"N":%d,"Pad":%q,"last":true}`, said, pad), fanout.JSON, nil)
	if err := swarm.WaitFor(t.Context(), func(st *enginetest.Stats) bool {
		return st.Marked["last"] >= first+later || st.Open < first+later
	}); err != nil {
		t.Fatal(err)
	}
	st := swarm.Stats()
	swarm.Stop()
	if st.Open != first+later || st.Violations > 0 {
		t.Errorf("%d of %d are open, %d breaches of framing: %s", st.Open, first+later, st.Violations, st.Violation)
	}
	gaps := 0
	for i, m := range members {
		gaps += m.gaps
		if m.wrong != "" {
			t.Fatalf("member %d: %s", i, m.wrong)
		}
		if i < first && m.gaps == 0 {
			t.Errorf("member %d was never told that it missed something", i)
		}
	}
	if dropped := scrape(s)[`roost_deliveries_dropped_total{reason="room_batch"}`]; dropped == 0 {
		t.Error("nothing was dropped, so this proves nothing")
	}
	t.Logf("%d publications, %d gaps told", said, gaps)
	mustBeEmpty(t, s)
}
