//go:build linux

package engine

import (
	"bytes"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/engine/ratelimit"
	"github.com/roost-ws/roost/fanout"
)

// mallocs is how many objects this process has allocated so far.
func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// TestServingAllocates pins what one message costs the collector, from the socket through the room and back. The
// clients are in another process; what the ticks of the same time allocate is counted too.
func TestServingAllocates(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for _, c := range []struct {
		name, path, text, match string
		most                    float64
	}{
		{"raw", "/raw/echo-{i}", strings.Repeat("x", echoPayload), "", 0.02},
		{"roost.v1 without id", "/ws?room=r-{i}", `{"type":"publish","room":"r-{i}","data":{"text":"hello"}}`, `"type":"message"`, 0.02},
		{"roost.v1 with id", "/ws?room=r-{i}", `{"type":"publish","room":"r-{i}","id":7,"data":1}`, `"type":"message"`, 0.02},
		{"roost.v1 ping", "/ws", `{"type":"ping","id":7}`, `"type":"pong"`, 0.02},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, addr := serve(t, func(o *Options) { o.Limits.Controls = ratelimit.Rate{} })
			spec := enginetest.Spec{Addrs: []string{addr}, Connections: 20, Path: c.path}
			if !strings.HasPrefix(c.path, "/raw/") {
				spec.Subprotocols = []string{"roost.v1"}
			}
			child := enginetest.StartChild(t, "", spec)
			if stats, err := child.Open(0, 0, time.Minute); err != nil || stats.Open != 20 {
				t.Fatalf("%+v %v", stats, err)
			}
			echo := enginetest.EchoConfig{InFlight: 2, Duration: 500 * time.Millisecond, Match: c.match}
			if _, err := child.Echo(c.text, echo); err != nil { // warms the pools
				t.Fatal(err)
			}
			before := mallocs()
			result, err := child.Echo(c.text, echo)
			if err != nil {
				t.Fatal(err)
			}
			each := float64(mallocs()-before) / float64(result.Messages)
			t.Logf("%d messages, %.4f allocations each", result.Messages, each)
			if result.Messages < 1000 || each > c.most {
				t.Errorf("%.4f allocations a message over %d, want at most %v", each, result.Messages, c.most)
			}
		})
	}
}

// TestBusyRoomCoalesces publishes faster than single writes could serve: what comes during a walk has to share
// the next, and nothing may be lost.
func TestBusyRoomCoalesces(t *testing.T) {
	measures(t)
	const members, perSecond, seconds = 1000, 1000, 3
	s, addr := serve(t, nil)
	child := enginetest.StartChild(t, "", enginetest.Spec{Addrs: []string{addr}, Connections: members, Path: "/raw/busy"})
	if stats, err := child.Open(0, 0, time.Minute); err != nil || stats.Open != members {
		t.Fatalf("%+v %v", stats, err)
	}
	before := s.totals()
	payload := bytes.Repeat([]byte("x"), echoPayload)
	pace := time.NewTicker(10 * time.Millisecond)
	defer pace.Stop()
	for range seconds * 100 {
		<-pace.C
		for range perSecond / 100 {
			s.Publish("busy", payload, fanout.Text, nil)
		}
	}
	const want = members * perSecond * seconds
	if stats, err := child.WaitFor(time.Minute, func(s *enginetest.Stats) bool { return s.Messages >= want }); err != nil {
		t.Fatalf("%d of %d arrived: %v", stats.Messages, want, err)
	}
	if !comesTrue(func() bool { return s.totals().deliveries-before.deliveries == want }) {
		t.Errorf("%d deliveries were counted, want %d", s.totals().deliveries-before.deliveries, want)
	}
	after := s.totals()
	writes := after.writes - before.writes
	t.Logf("%d deliveries in %d writes: %.1f publications a write", want, writes, float64(want)/float64(writes))
	if writes*4 > want {
		t.Errorf("%.1f publications a write, want at least 4", float64(want)/float64(writes))
	}
	if n := after.dropped; n != before.dropped {
		t.Errorf("deliveries were dropped: %v", n)
	}
}

// TestEchoBesideFanout measures how long others wait while a large room is served on their loop.
func TestEchoBesideFanout(t *testing.T) {
	measures(t)
	const members, most = 18000, 10 * time.Millisecond
	server := startServer(t, "roost")
	room := enginetest.StartChild(t, "", enginetest.Spec{Addrs: []string{server.addr}, Connections: members,
		Path: everybody, CPUs: []int{1 % runtime.NumCPU()}})
	if stats, err := room.Open(0, 0, time.Minute); err != nil || stats.Open != members {
		t.Fatalf("%+v %v", stats, err)
	}
	others := enginetest.StartChild(t, "", enginetest.Spec{Addrs: []string{server.addr}, Connections: 20,
		Path: "/raw/other-{i}", FirstSource: 100, CPUs: []int{1 % runtime.NumCPU()}})
	if _, err := others.Open(0, 0, time.Minute); err != nil {
		t.Fatal(err)
	}
	enginetest.Hurry(others.Pid(), -20)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for n := int64(1); ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			_ = room.SendText(0, 1, strings.Repeat("x", echoPayload))
			_, _ = room.WaitFor(10*time.Second, func(s *enginetest.Stats) bool { return s.Messages >= n*members })
		}
	}()
	var p99 []time.Duration
	for range 3 {
		result, err := others.Echo("hello", enginetest.EchoConfig{InFlight: 1, Duration: 2 * time.Second})
		if err != nil {
			t.Fatal(err)
		}
		p99 = append(p99, result.Latency.Quantile(0.99))
	}
	close(stop)
	<-stopped
	slices.Sort(p99)
	t.Logf("p99 of an echo beside publications to %d members: %v", members, p99)
	if p99[1] > most {
		t.Errorf("p99 %v, want at most %v", p99[1], most)
	}
}
