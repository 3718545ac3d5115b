//go:build linux

package engine

// Slow and hostile clients: each ends with its own reason, none takes memory beyond its bound, and nobody else
// notices.

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/fanout"
)

// flood is a room that a test talks to, with one member that keeps up.
type flood struct {
	t      *testing.T
	server *Server
	room   string
	member *enginetest.Client
	said   int
}

const floodBytes = 8 << 10

func newFlood(t *testing.T, s *Server, addr, room string) *flood {
	return &flood{t: t, server: s, room: room, member: dialV1(t, addr, "/ws?room="+room, v1)}
}

// say publishes n times and waits after each for the member that keeps up, which must hear every one in order.
func (f *flood) say(n int) {
	f.t.Helper()
	for range n {
		data := fmt.Sprintf(`{"n":%d,"pad":%q}`, f.said, strings.Repeat("x", floodBytes))
		f.server.Publish(f.room, []byte(data), fanout.JSON, nil)
		if got := numberOf(f.member.ExpectType("message")); got != f.said {
			f.t.Fatalf("the member that keeps up heard %d, want %d", got, f.said)
		}
		f.said++
	}
}

func numberOf(message map[string]any) int {
	data, _ := message["data"].(map[string]any)
	n, _ := data["n"].(float64)
	return int(n)
}

// sayUntil says more until done holds.
func (f *flood) sayUntil(done func() bool) {
	f.t.Helper()
	for range 2000 {
		if done() {
			return
		}
		f.say(1)
	}
	f.t.Fatal("the flood changed nothing")
}

// slowRules are a room for each policy.
var slowRules = []RoomRule{
	{Match: "cut.**", SlowConsumer: Disconnect},
	{Match: "drop.**", SlowConsumer: DropNewest},
	{Match: "keep.**", SlowConsumer: KeepLatest},
}

func slowServer(t *testing.T, edit func(*Options)) (*Server, string) {
	return serve(t, func(o *Options) {
		o.Rooms = slowRules
		o.Limits.OutboundBytes = 64 << 10
		o.Limits.OutboundStall = 30 * time.Second
		if edit != nil {
			edit(o)
		}
	})
}

// TestSlowConsumerDisconnect: a member that does not read is closed once more waits for it than may.
func TestSlowConsumerDisconnect(t *testing.T) {
	s, addr := slowServer(t, nil)
	other := newBystander(t, addr, enginetest.Options{})
	before := scrape(s)
	slow := dialV1(t, addr, "/ws?room=cut.a", v1)
	f := newFlood(t, s, addr, "cut.a")
	f.sayUntil(func() bool { return s.totals().closes[CloseSlowConsumer] > 0 })
	other.mustBeServed()
	grew(t, s, before, 1, closedSeries("slow_consumer"))
	grew(t, s, before, 1, "roost_slow_consumers_total")
	settles(t, s, 2, "roost_members")
	// It reads again in time: what was held, in order, and then why.
	heard := 0
	for {
		_, text, err := slow.Receive()
		if err != nil {
			closed, ok := err.(*enginetest.ClosedError)
			if !ok || closed.Code != 1013 || closed.Reason == "" {
				t.Errorf("ended with %v", err)
			}
			break
		}
		var m map[string]any
		if json.Unmarshal(text, &m) != nil || m["type"] != "message" || numberOf(m) != heard {
			t.Fatalf("heard %.100s, want %d", text, heard)
		}
		heard++
	}
	if heard == 0 || heard > f.said {
		t.Errorf("heard %d of %d", heard, f.said)
	}
	slow.ExpectEnd()
	f.say(3)
	settles(t, s, 0, "roost_outbound_bytes")
	f.member.Close()
	other.client.Close()
	mustBeEmpty(t, s)
}

// TestSlowConsumerSkips: a member that falls behind misses publications, is told so in its stream, and then hears
// everything again. With keep_latest the newest one that it missed comes with the notice.
func TestSlowConsumerSkips(t *testing.T) {
	for _, tc := range []struct {
		room string
		kept int
	}{{"drop.a", 0}, {"keep.a", 1}} {
		t.Run(tc.room, func(t *testing.T) {
			s, addr := slowServer(t, nil)
			other := newBystander(t, addr, enginetest.Options{})
			before := scrape(s)
			slow := dialV1(t, addr, "/ws?room="+tc.room+"&room=cut.quiet", v1)
			f := newFlood(t, s, addr, tc.room)
			f.sayUntil(func() bool { return scrape(s)[`roost_deliveries_dropped_total{reason="slow_consumer"}`] >= 20 })
			last := f.said - 1
			other.mustBeServed()
			if held := scrape(s)["roost_outbound_bytes"]; held <= 0 || held > 64<<10 {
				t.Errorf("%v bytes wait for it", held)
			}
			heard := 0
			for {
				m := slow.ReadJSON()
				if m["type"] == "gap" {
					if m["room"] != tc.room {
						t.Errorf("%v", m)
					}
					break
				}
				if n := numberOf(m); n != heard {
					t.Fatalf("heard %d, want %d", n, heard)
				}
				heard++
			}
			if tc.kept == 1 {
				if n := numberOf(slow.ExpectType("message")); n != last {
					t.Errorf("kept %d, want the newest, %d", n, last)
				}
			}
			grew(t, s, before, float64(f.said-heard), `roost_deliveries_dropped_total{reason="slow_consumer"}`)
			grew(t, s, before, 1, "roost_gaps_total")
			for range 5 {
				f.say(1)
				if n := numberOf(slow.ExpectType("message")); n != f.said-1 {
					t.Errorf("heard %d, want %d", n, f.said-1)
				}
			}
			slow.ExpectNothing()
			settles(t, s, 0, "roost_outbound_bytes")
			slow.CloseHandshake(1000)
			f.member.Close()
			other.client.Close()
			mustBeEmpty(t, s)
		})
	}
}

// TestSlowConsumerOverload: all slow clients together have a bound, too.
func TestSlowConsumerOverload(t *testing.T) {
	const total = 256 << 10
	s, addr := slowServer(t, func(o *Options) {
		o.Limits.OutboundBytes, o.Limits.OutboundTotal, o.Loops = 128<<10, total, 1
	})
	before := scrape(s)
	var slow []*enginetest.Client
	for range 10 {
		c := dialV1(t, addr, "/ws?room=cut.a", v1)
		slow = append(slow, c)
	}
	f := newFlood(t, s, addr, "cut.a")
	most := 0.0
	f.sayUntil(func() bool {
		now := scrape(s)
		most = max(most, now["roost_outbound_bytes"])
		return now[closedSeries("overload")] > before[closedSeries("overload")]
	})
	// One batch for each may already be under way when the bound is reached.
	if most > total+10*floodBytes {
		t.Errorf("%v bytes waited, the bound is %d", most, total)
	}
	f.say(5)
	for _, c := range slow {
		c.Reset()
	}
	settles(t, s, 0, "roost_outbound_bytes")
}

// TestStalled: who takes nothing for too long is closed, however little waits for it.
func TestStalled(t *testing.T) {
	t.Parallel()
	s, addr := slowServer(t, func(o *Options) {
		o.Limits.OutboundBytes, o.Limits.OutboundStall = 16<<20, 500*time.Millisecond
		o.Limits.CloseTimeout = 300 * time.Millisecond
	})
	before := scrape(s)
	dialV1(t, addr, "/ws?room=drop.a", v1) // and reads nothing more
	f := newFlood(t, s, addr, "drop.a")
	f.sayUntil(func() bool { return scrape(s)["roost_slow_consumers_total"] > before["roost_slow_consumers_total"] })
	grew(t, s, before, 1, closedSeries("stalled"))
	// It never answers, so the socket is taken from it (B13, G6).
	settles(t, s, 1, "roost_connections")
	settles(t, s, 0, "roost_outbound_bytes")
	f.say(1)
}

// TestReadsAByteASecond: progress that is not worth the name does not save a client (C7).
func TestReadsAByteASecond(t *testing.T) {
	t.Parallel()
	s, addr := slowServer(t, func(o *Options) {
		o.Limits.OutboundBytes, o.Limits.OutboundStall = 16<<20, 400*time.Millisecond
		o.Limits.CloseTimeout = 300 * time.Millisecond
	})
	before := scrape(s)
	swarm := enginetest.StartSwarm(t, enginetest.Config{
		Addrs: []string{addr}, N: 20, Mode: enginetest.SlowRead, SlowBytes: 1, SlowEvery: time.Second, ReceiveBuffer: 4096,
		Head: func(int) []byte { return enginetest.UpgradeHead(addr, "/raw/drop.a", enginetest.Options{}) },
	})
	if err := swarm.OpenAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	f := newFlood(t, s, addr, "drop.a")
	f.sayUntil(func() bool { return scrape(s)["roost_slow_consumers_total"] >= before["roost_slow_consumers_total"]+20 })
	grew(t, s, before, 20, closedSeries("stalled"))
	settles(t, s, 1, "roost_connections")
	f.say(1)
}

// TestSlowMessages: a message that begins must end in time, however it dawdles (B6).
func TestSlowMessages(t *testing.T) {
	t.Parallel()
	const limit = 500 * time.Millisecond
	s, addr := serve(t, func(o *Options) { o.Limits.MessageTimeout = limit })
	other := newBystander(t, addr, enginetest.Options{})
	whole := enginetest.TextFrame([]byte(strings.Repeat("a", 64<<10-1)))
	before := scrape(s)
	began := time.Now()
	var dawdlers []*enginetest.Client
	for _, begin := range [][]byte{
		whole[:1],                // of a header
		whole[:30<<10],           // half a frame
		piece(false, 1, "begin"), // a fragment
		whole[:8],                // and a byte at a time
	} {
		c := enginetest.Dial(t, addr, "/raw/slow", enginetest.Options{})
		c.SendRaw(begin)
		dawdlers = append(dawdlers, c)
	}
	for i := 8; time.Since(began) < limit+tickEvery; i++ {
		dawdlers[3].SendRaw(whole[i : i+1])
		time.Sleep(50 * time.Millisecond) // the attack itself
	}
	for _, c := range dawdlers {
		c.ExpectClose(4408)
		if took := time.Since(began); took > limit+time.Second {
			t.Errorf("closed after %v, want %v and little more", took, limit)
		}
	}
	grew(t, s, before, 4, closedSeries("slow_message"))
	t.Run("each in time", func(t *testing.T) {
		// Never between two messages, yet no message is old.
		c := enginetest.Dial(t, addr, "/raw/slow", enginetest.Options{})
		one := enginetest.TextFrame([]byte("0123456789"))
		c.SendRaw(one[:3])
		for began := time.Now(); time.Since(began) < 2*limit; {
			c.SendRaw(one[3:])
			c.SendRaw(one[:3])
			c.ExpectText("0123456789")
			time.Sleep(20 * time.Millisecond) // a pace, not a wait
		}
		c.SendRaw(one[3:])
		c.ExpectText("0123456789")
		c.CloseHandshake(1000)
	})
	other.mustBeServed()
	other.client.Close()
	mustBeEmpty(t, s)
}

// TestNeverAnswersClose: a peer that ignores our close frame is cut off, and its place is free (B13, G6).
func TestNeverAnswersClose(t *testing.T) {
	t.Parallel()
	s, addr := serve(t, func(o *Options) { o.Limits.CloseTimeout = 300 * time.Millisecond })
	other := newBystander(t, addr, enginetest.Options{})
	before := scrape(s)
	c := enginetest.Dial(t, addr, "/ws", enginetest.Options{Subprotocols: v1.Subprotocols, NoCloseReply: true})
	c.ExpectType("welcome")
	c.SendBinary([]byte("no"))
	c.ExpectClose(1003)
	began := time.Now()
	for time.Since(began) < 100*time.Millisecond {
		c.SendText("not the answer")
	}
	c.ExpectEnd()
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("cut off after %v", took)
	}
	grew(t, s, before, 1, closedSeries("data_kind"))
	other.mustBeServed()
	other.client.Close()
	mustBeEmpty(t, s)
}

// TestFloodLeavesOthersAlone: hundreds of clients that never read, in a room that never stops talking, change
// neither the memory bound nor what others wait for their echo (C6).
func TestFloodLeavesOthersAlone(t *testing.T) {
	if testing.Short() {
		t.Skip("measures for some seconds")
	}
	const bad, good, bound = 300, 20, 4 << 20
	s, addr := slowServer(t, func(o *Options) { o.Limits.OutboundTotal = bound })
	echoes := enginetest.StartSwarm(t, enginetest.Config{
		Addrs: []string{addr}, N: good,
		Head: func(i int) []byte {
			return enginetest.UpgradeHead(addr, fmt.Sprintf("/raw/echo.%d", i), enginetest.Options{})
		},
	})
	if err := echoes.OpenAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	measure := func() time.Duration {
		r, err := echoes.Echo(t.Context(), enginetest.EchoConfig{Duration: 400 * time.Millisecond,
			Frame: func(int) []byte { return enginetest.TextFrame([]byte("echo")) }})
		if err != nil || r.Lost > 0 {
			t.Fatalf("echoes: %v, %v", r, err)
		}
		return r.Latency.Quantile(0.99)
	}
	deaf := enginetest.StartSwarm(t, enginetest.Config{
		Addrs: []string{addr}, N: bad, Mode: enginetest.NeverRead, ReceiveBuffer: 4096,
		Head: func(int) []byte { return enginetest.UpgradeHead(addr, "/raw/drop.flood", enginetest.Options{}) },
	})
	if err := deaf.OpenAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	quiet := measure()
	quit, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		beat := time.NewTicker(2 * time.Millisecond)
		defer beat.Stop()
		data := []byte(strings.Repeat("f", 4<<10))
		for {
			select {
			case <-quit:
				return
			case <-beat.C:
				s.Publish("drop.flood", data, fanout.Text, nil)
			}
		}
	}()
	defer func() { close(quit); <-stopped }()
	if !comesTrue(func() bool { return scrape(s)[`roost_deliveries_dropped_total{reason="slow_consumer"}`] > 10000 }) {
		t.Fatal("the flood does not reach the bounds")
	}
	filled, err := enginetest.ReadMemory(0)
	if err != nil {
		t.Fatal(err)
	}
	// A busy machine can spoil some measurements, not all of them.
	moved := time.Duration(0)
	for range 8 {
		if moved = measure() - quiet; moved < 10*time.Millisecond {
			break
		}
		quiet = min(quiet, measure())
	}
	if limit := 10 * time.Millisecond; moved > limit && !raceEnabled {
		t.Errorf("p99 of the others' echo moved by %v from %v, want less than %v", moved, quiet, limit)
	}
	now := scrape(s)
	if held := now["roost_outbound_bytes"]; held > bad*64<<10 {
		t.Errorf("%v bytes wait for %d clients, each may let 64 KiB wait", held, bad)
	}
	after, err := enginetest.ReadMemory(0)
	if err != nil {
		t.Fatal(err)
	}
	if grown := after.RssAnon - filled.RssAnon; grown > 16<<20 {
		t.Errorf("memory grew by %d bytes while the flood went on", grown)
	}
	t.Logf("p99 %v, moved by %v; %v bytes wait, %v deliveries dropped, memory %+d bytes", quiet, moved,
		now["roost_outbound_bytes"], now[`roost_deliveries_dropped_total{reason="slow_consumer"}`], after.RssAnon-filled.RssAnon)
	if st := deaf.Stats(); st.Open != bad {
		t.Errorf("%d of %d clients that never read are open: %v", st.Open, bad, st.Closed)
	}
}
