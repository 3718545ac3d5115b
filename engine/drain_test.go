//go:build linux

package engine

// The orderly end on real sockets: everybody is told, evenly over the window, nothing that was answered is lost, and
// the port is free at once.

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/roost-ws/roost/engine/enginetest"
)

// distance is how far a sorted sample of shares of a window is from being even (Kolmogorov and Smirnov).
func distance(shares []float64) float64 {
	most, n := 0.0, float64(len(shares))
	for i, x := range shares {
		most = max(most, x-float64(i)/n, float64(i+1)/n-x)
	}
	return most
}

func TestDrain(t *testing.T) {
	connections, window := 2000, 3*time.Second
	if testing.Short() {
		connections, window = 500, 2*time.Second
	}
	const grace = 300 * time.Millisecond
	s, addr := serve(t, func(o *Options) {
		o.Drain = DrainOptions{Grace: grace, Window: window, ReconnectIn: 4 * time.Second}
	})
	told := []string{`{"type":"shutdown","reconnectIn":4}`, `{"type":"shutdown","reconnectIn":5}`, `{"type":"shutdown","reconnectIn":6}`}
	swarm := enginetest.StartSwarm(t, enginetest.Config{
		Addrs: []string{addr}, N: connections, Marks: told,
		Head: func(i int) []byte { return enginetest.UpgradeHead(addr, fmt.Sprintf("/ws?room=r%d", i%50), v1) },
	})
	if err := swarm.OpenAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := scrape(s)
	drained := make(chan struct{})
	began := time.Now()
	go func() { s.Drain(nil); close(drained) }()
	if !comesTrue(s.Draining) {
		t.Fatal("not draining")
	}
	mustRefuse(t, s, addr, v1, 503, "draining")
	if a := ask(t, addr, "GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n"); a.Status != 404 {
		t.Errorf("readyz answers %d", a.Status)
	}
	if a := ask(t, addr, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"); a.Status != 200 {
		t.Errorf("healthz answers %d", a.Status)
	}
	if st := swarm.Stats(); st.Open != connections && time.Since(began) < grace-tickEvery {
		t.Errorf("%d of %d are open within the grace", st.Open, connections)
	}
	<-drained
	if took, most := time.Since(began), grace+window+time.Second; took > most {
		t.Errorf("drained in %v, want at most %v", took, most)
	}
	if n := s.Connections(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
	if err := swarm.WaitFor(t.Context(), func(st *enginetest.Stats) bool { return st.Open == 0 }); err != nil {
		t.Fatal(err)
	}
	st := swarm.Stats()
	notices := int64(0)
	for _, text := range told {
		if st.Marked[text] < int64(connections)/6 {
			t.Errorf("%s was sent %d times of %d", text, st.Marked[text], connections)
		}
		notices += st.Marked[text]
	}
	if notices != int64(connections) || st.Closed[1001] != connections || st.Ends[enginetest.EndFIN] != connections || st.Violations > 0 {
		t.Errorf("%d of %d told; %+v", notices, connections, st)
	}
	grew(t, s, before, float64(connections), closedSeries("draining"))
	var shares []float64
	for _, e := range swarm.Closes() {
		shares = append(shares, float64(e.ClosedAt.Sub(began)-grace)/float64(window))
	}
	slices.Sort(shares)
	if first, last := shares[0], shares[len(shares)-1]; first < 0 || last > 1.15 {
		t.Errorf("closes came from %.2f to %.2f of the window", first, last)
	}
	if d := distance(shares); d > 0.1 {
		t.Errorf("closes are %.3f from even, want less than 0.1", d)
	} else {
		t.Logf("closes are %.3f from even", d)
	}

	// A restart on the same port does not wait for the old connections' TIME_WAIT.
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	mustBeEmptyAfterStop(t, s)
	_, again := serve(t, func(o *Options) { o.Listen = []string{addr} })
	newBystander(t, again, enginetest.Options{}).mustBeServed()
}

// mustBeEmptyAfterStop looks at what is counted outside of the loops, which have ended.
func mustBeEmptyAfterStop(t *testing.T, s *Server) {
	t.Helper()
	for i, l := range s.loops {
		if n := l.population.Load(); n != 0 {
			t.Errorf("loop %d counts %d connections", i, n)
		}
	}
	if n := s.router.Rooms(); n != 0 {
		t.Errorf("the router knows %d rooms", n)
	}
}

// TestDrainHurry: a second order ends the waiting at once.
func TestDrainHurry(t *testing.T) {
	for _, when := range []string{"in the grace", "in the window"} {
		t.Run(when, func(t *testing.T) {
			grace := time.Hour
			if when == "in the window" {
				grace = 0
			}
			s, addr := serve(t, func(o *Options) { o.Drain = DrainOptions{Grace: grace, Window: time.Hour} })
			var clients []*enginetest.Client
			for range 50 {
				clients = append(clients, dialV1(t, addr, "/ws?room=a", v1))
			}
			hurry, drained := make(chan struct{}), make(chan struct{})
			go func() { s.Drain(hurry); close(drained) }()
			if !comesTrue(s.Draining) {
				t.Fatal("not draining")
			}
			clients[0].ExpectNothing()
			if n := s.Connections(); n != len(clients) {
				t.Errorf("%d connections before the second order", n)
			}
			began := time.Now()
			close(hurry)
			for _, c := range clients {
				c.ExpectType("shutdown")
				c.ExpectClose(1001)
				c.ExpectEOF()
			}
			<-drained
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("took %v", took)
			}
			s.Drain(nil) // a third order finds nothing to do
		})
	}
}

// TestDrainWithoutClients does not wait for anybody.
func TestDrainWithoutClients(t *testing.T) {
	s, _ := serve(t, func(o *Options) { o.Drain = DrainOptions{Grace: time.Hour, Window: time.Hour} })
	drained := make(chan struct{})
	go func() { s.Drain(nil); close(drained) }()
	select {
	case <-drained:
	case <-time.After(patience):
		t.Error("an empty node drains for an hour")
	}
}

// TestDrainDelivers: what a publisher read the answer to reaches every member before its shutdown notice.
func TestDrainDelivers(t *testing.T) {
	const members, publications = 300, 40
	s, addr := serve(t, func(o *Options) { o.Drain = DrainOptions{Window: 300 * time.Millisecond} })
	var mu sync.Mutex
	heard := make([]int, members)
	early := 0
	swarm := enginetest.StartSwarm(t, enginetest.Config{
		Addrs: []string{addr}, N: members, Marks: []string{"shutdown"},
		Head: func(int) []byte { return enginetest.UpgradeHead(addr, "/ws?room=last", v1) },
		OnMessage: func(i int, _ ws.OpCode, text []byte) {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case bytes.Contains(text, []byte(`"type":"message"`)):
				heard[i]++
			case bytes.Contains(text, []byte(`"type":"shutdown"`)) && heard[i] < publications:
				early++
			}
		},
	})
	if err := swarm.OpenAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	publisher := dialV1(t, addr, "/ws?room=last", v1)
	for i := range publications {
		publisher.SendText(fmt.Sprintf(`{"type":"publish","room":"last","id":%d,"data":%d}`, i, i))
	}
	for answered := 0; answered < publications; {
		if publisher.ReadJSON()["type"] == "published" {
			answered++
		}
	}
	hurry, drained := make(chan struct{}), make(chan struct{})
	close(hurry)
	go func() { s.Drain(hurry); close(drained) }()
	publisher.ExpectClose(1001)
	<-drained
	if err := swarm.WaitFor(t.Context(), func(st *enginetest.Stats) bool { return st.Open == 0 }); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for i, n := range heard {
		if n != publications {
			t.Errorf("member %d heard %d of %d", i, n, publications)
			break
		}
	}
	if early > 0 {
		t.Errorf("%d members were sent away before they had heard everything", early)
	}
	if st := swarm.Stats(); st.Marked["shutdown"] != members || st.Closed[1001] != members {
		t.Errorf("%+v", st)
	}
}

// TestDrainOfDifficultClients: those in the middle of something, and those that do not listen, hold nothing up.
func TestDrainOfDifficultClients(t *testing.T) {
	t.Parallel()
	s, addr := slowServer(t, func(o *Options) {
		o.Drain = DrainOptions{Window: 300 * time.Millisecond}
		o.Limits.CloseTimeout = 500 * time.Millisecond
		o.Limits.OutboundBytes = 1 << 20
	})
	half := dialV1(t, addr, "/ws", v1)
	half.SendRaw(piece(false, 1, `{"type":`))
	deaf := dialV1(t, addr, "/ws?room=drop.deaf", v1)
	f := newFlood(t, s, addr, "drop.deaf")
	f.sayUntil(func() bool { return scrape(s)["roost_slow_consumers_total"] > 0 })
	mute := enginetest.Dial(t, addr, "/raw/mute", enginetest.Options{NoCloseReply: true})
	silent := enrolled(t, s, addr, enginetest.Options{})
	begun := enrolled(t, s, addr, enginetest.Options{})
	begun.SendRaw([]byte(goodHead[:40]))
	round(t, s)
	began := time.Now()
	drained := make(chan struct{})
	go func() { s.Drain(nil); close(drained) }()
	if !comesTrue(s.Draining) {
		t.Fatal("not draining")
	}
	begun.SendRaw([]byte(goodHead[40:]))
	if a := begun.ReadHTTP(); a.Status != 503 {
		t.Errorf("status %d", a.Status)
	}
	half.ExpectType("shutdown")
	half.ExpectClose(1001)
	mute.ExpectClose(1001)
	f.member.ExpectClose(1001)
	silent.Close()
	<-drained
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("took %v", took)
	}
	if n := s.Connections(); n != 0 {
		t.Errorf("%d connections are left", n)
	}
	deaf.ExpectEnd()
	settles(t, s, 0, "roost_outbound_bytes")
}
