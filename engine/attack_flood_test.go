//go:build linux

package engine

// Floods: what thousands do at once, or one does without end. Each is bounded here; what they show is that memory
// and the others' service do not follow.

import (
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/engine/ratelimit"
)

// heapInUse is the heap after a collection.
func heapInUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// horde is clients that do the same.
func horde(t *testing.T, config enginetest.Config) *enginetest.Swarm {
	t.Helper()
	swarm := enginetest.StartSwarm(t, config)
	if err := swarm.OpenAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	return swarm
}

// dialling are the heads of clients that want the same.
func dialling(addr, path string, o enginetest.Options) func(int) []byte {
	return func(int) []byte { return enginetest.UpgradeHead(addr, path, o) }
}

// TestManySlowHeads: two thousand heads that do not end, and as many sockets that say nothing. They cost little, are
// gone when their time is over, not sooner and not later, and nobody else waits for it (A11).
func TestManySlowHeads(t *testing.T) {
	t.Parallel()
	each, limit := 2000, 2*time.Second
	if testing.Short() || raceEnabled {
		each = 500
	}
	g := besiege(t, func(o *Options) { o.Limits.HandshakeTimeout, o.Limits.Connections = limit, 6000 }, enginetest.Options{})
	both := float64(2 * each)
	g.attack(t, "begun and silent", counts{refusedSeries("too_slow"): both, closedSeries("handshake_timeout"): both}, func(t *testing.T) {
		before, began, accepted := heapInUse(), time.Now(), g.server.acceptor.accepted.Load()
		head := with("Cookie: " + canary + strings.Repeat("c", 300) + "\r\n")
		begun := horde(t, enginetest.Config{Addrs: []string{g.addr}, N: each, Mode: enginetest.PartialHead, HeadBytes: 400,
			Head: func(int) []byte { return []byte(head) }})
		silent := horde(t, enginetest.Config{Addrs: []string{g.addr}, N: each, Mode: enginetest.PartialHead,
			Source: enginetest.SpreadSources(100, 10_000), Head: func(int) []byte { return nil }})
		round(t, g.server)
		g.other.mustBeServed()
		if perHead := (heapInUse() - before) / int64(2*each); perHead > 4<<10 && time.Since(began) < limit {
			t.Errorf("each takes %d bytes of heap, its client's included", perHead)
		}
		gone := func(st *enginetest.Stats) bool { return st.Ended == each }
		// The acceptors take their time with so many that are not let in: each one's time runs from there.
		if !comesTrue(func() bool { return g.server.acceptor.accepted.Load() >= accepted+uint64(2*each) }) {
			t.Fatal("they are not all accepted")
		}
		last := time.Now()
		for _, swarm := range []*enginetest.Swarm{begun, silent} {
			if err := swarm.WaitFor(t.Context(), gone); err != nil {
				t.Fatal(err)
			}
		}
		if took, late := time.Since(began), time.Since(last); took < limit-tickEvery || late > limit+2*time.Second {
			t.Errorf("all were gone after %v, and %v after the last was accepted, want %v and little more", took, late, limit)
		}
		if st := begun.Stats(); st.Refused[408] != each {
			t.Errorf("%v of %d heads were answered 408: %+v", st.Refused[408], each, st)
		}
	})
	g.end()
}

// TestAnnouncedLengths: hundreds of messages announce all that they may have and send next to nothing. Memory is
// taken for what has come (B5, B6).
func TestAnnouncedLengths(t *testing.T) {
	t.Parallel()
	const n, limit = 500, time.Second
	g := besiege(t, func(o *Options) {
		// Their close frames are read as part of what they announced, so that they are cut off.
		o.Limits.MessageTimeout, o.Limits.CloseTimeout = limit, 100*time.Millisecond
	}, enginetest.Options{})
	g.attack(t, "64 KiB", counts{closedSeries("slow_message"): n}, func(t *testing.T) {
		swarm := horde(t, enginetest.Config{Addrs: []string{g.addr}, N: n, Head: dialling(g.addr, "/raw/announced", enginetest.Options{})})
		before := heapInUse()
		swarm.SendRange(0, n, append(announced(ws.OpBinary, 8, 64<<10), 'x'))
		if !comesTrue(func() bool { return levelsOf(t, g.server).buffers >= n/2 }) {
			t.Error("nothing was begun")
		}
		if each := (heapInUse() - before) / n; each > 2<<10 {
			t.Errorf("each takes %d bytes for a byte that came", each)
		}
		if err := swarm.WaitFor(t.Context(), func(st *enginetest.Stats) bool { return st.Closed[4408] == n }); err != nil {
			t.Errorf("%v: %+v", err, swarm.Stats())
		}
	})
	g.end()
}

// TestPingFlood: pings above the rate are not answered, and who keeps at it is closed (C3).
func TestPingFlood(t *testing.T) {
	const burst, faults, flood = 50, 10, 20_000
	g := besiege(t, func(o *Options) {
		o.Limits.Controls, o.Limits.Faults = ratelimit.NewRate(0.01, burst), ratelimit.NewRate(0.01, faults)
	}, enginetest.Options{})
	g.attack(t, "with 125 bytes", counts{closedSeries("rate_limited"): 1, `roost_rate_limited_total{kind="controls"}`: faults + 1}, func(t *testing.T) {
		c := enginetest.Dial(t, g.addr, "/raw/pings", enginetest.Options{NoCloseReply: true})
		ping := piece(true, ws.OpPing, strings.Repeat("p", 125))
		some := strings.Repeat(string(ping), 1000)
		for range flood / 1000 {
			c.SendRaw([]byte(some))
		}
		pongs := 0
		f := c.ReadFrame()
		for ; f.Op == ws.OpPong; f = c.ReadFrame() {
			pongs++
		}
		if pongs != burst || f.Op != ws.OpClose || f.CloseCode() != 4429 {
			t.Errorf("%d pongs, then opcode %d %q", pongs, f.Op, f.Payload)
		}
		c.Reset()
	})
	g.end()
}

// TestNeverReadsAnswers: who asks and asks and reads no answer has its own queue only, and is closed for it (C16).
func TestNeverReadsAnswers(t *testing.T) {
	const n, bound = 10, 32 << 10
	for name, command := range map[string][]byte{
		"pings":      piece(true, ws.OpPing, strings.Repeat("p", 125)),
		"commands":   enginetest.TextFrame([]byte(`{"type":"ping","id":"` + strings.Repeat("i", 60) + `"}`)),
		"own echoes": enginetest.TextFrame([]byte(`{"type":"publish","room":"own","data":"` + strings.Repeat("d", 500) + `"}`)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := besiege(t, func(o *Options) {
				o.Limits.Controls = ratelimit.Rate{}
				o.Limits.OutboundBytes, o.Limits.CloseTimeout = bound, 300*time.Millisecond
			}, enginetest.Options{})
			g.attack(t, "never reads", counts{closedSeries("slow_consumer"): n, "roost_slow_consumers_total": n}, func(t *testing.T) {
				swarm := horde(t, enginetest.Config{Addrs: []string{g.addr}, N: n, Mode: enginetest.NeverRead, ReceiveBuffer: 4096,
					Head: dialling(g.addr, "/ws?room=own", v1)})
				most := 0.0
				some := []byte(strings.Repeat(string(command), 200))
				for i := 0; scrape(g.server)[closedSeries("slow_consumer")] < n; i++ {
					if i > 3000 {
						t.Fatal("they are never too slow")
					}
					swarm.SendRange(0, n, some)
					round(t, g.server)
					most = max(most, scrape(g.server)["roost_outbound_bytes"])
				}
				// A turn's answers and a close frame come on top of what may wait.
				if most > n*(2*bound+256<<10) {
					t.Errorf("%v bytes waited for %d clients", most, n)
				}
				settles(t, g.server, 1, "roost_connections")
				settles(t, g.server, 0, "roost_outbound_bytes")
			})
			g.end()
		})
	}
}

// TestManyRooms: one connection has as many rooms as it may have, and asking for more and more ends it (C9).
func TestManyRooms(t *testing.T) {
	const rooms, faults = 16, 20
	g := besiege(t, func(o *Options) {
		o.Limits.RoomsPerConnection = rooms
		o.Limits.Controls, o.Limits.Faults = ratelimit.Rate{}, ratelimit.NewRate(0.01, faults)
	}, enginetest.Options{})
	g.attack(t, "a thousand", counts{closedSeries("too_many_errors"): 1, errorSeries("too_many_rooms"): faults + 1}, func(t *testing.T) {
		c := dialV1(t, g.addr, "/ws", v1)
		for i := range 1000 {
			c.SendText(fmt.Sprintf(`{"type":"join","id":%d,"room":"%s-%d"}`, i, canary, i))
		}
		for range rooms {
			c.ExpectType("joined")
		}
		for range faults + 1 {
			if e := c.ExpectType("error"); e["code"] != "too_many_rooms" {
				t.Errorf("%v", e)
			}
		}
		c.ExpectClose(1008)
		c.Reset()
	})
	settles(t, g.server, 1, "roost_rooms")
	settles(t, g.server, 1, "roost_members")
	g.end()
}

// TestQueryFlood: what has to be looked up is bounded like any other command (C14).
func TestQueryFlood(t *testing.T) {
	const burst, faults = 20, 10
	g := besiege(t, func(o *Options) {
		o.Limits.Controls, o.Limits.Faults = ratelimit.NewRate(0.01, burst), ratelimit.NewRate(0.01, faults)
	}, enginetest.Options{})
	for _, query := range []string{`{"type":"presence","id":1,"room":"a"}`, `{"type":"history","id":1,"room":"a","limit":1000000}`} {
		g.attack(t, strings.Split(query, `"`)[3], counts{closedSeries("rate_limited"): 1, errorSeries("rate_limited"): faults + 1}, func(t *testing.T) {
			c := dialV1(t, g.addr, "/ws?room=a", v1)
			for range 1000 {
				c.SendText(query)
			}
			c.ExpectClose(4429)
			c.Reset()
		})
	}
	g.end()
}

// TestUselessConnection: it talks now and then, is in no room, and would stay for ever. A maximum age ends it like
// any other connection (C15).
func TestUselessConnection(t *testing.T) {
	t.Parallel()
	g := besiege(t, func(o *Options) {
		o.Limits.MaxAge, o.Heartbeat = 1500*time.Millisecond, 500*time.Millisecond
	}, enginetest.Options{})
	g.attack(t, "talks to itself", counts{closedSeries("max_age"): 2}, func(t *testing.T) {
		c := dialV1(t, g.addr, "/ws", v1)
		c.SetTimeout(patience)
		talk := time.NewTicker(100 * time.Millisecond)
		defer talk.Stop()
		for range 10 { // less than its age
			c.SendText(`{"type":"ping","id":1}`)
			c.ExpectType("pong")
			<-talk.C
		}
		c.ExpectClose(1001)
		c.Reset()
		// The bystander is as old; another one takes its place.
		g.other.client.ExpectClose(1001)
		g.other.client.Close()
		settles(t, g.server, 0, "roost_connections")
		g.other = newBystander(g.t, g.addr, enginetest.Options{})
	})
	g.end()
}

// TestCloseStorm: a whole room goes at once. The rest of it hears the next word as soon as ever (G4).
func TestCloseStorm(t *testing.T) {
	n := 2000
	if testing.Short() || raceEnabled {
		n = 500
	}
	g := besiege(t, nil, enginetest.Options{})
	kinds := map[string]enginetest.CloseKind{"resets": enginetest.CloseRST, "ends": enginetest.CloseFIN}
	for name, kind := range kinds {
		g.attack(t, name, counts{closedSeries("peer_gone"): float64(n)}, func(t *testing.T) {
			swarm := horde(t, enginetest.Config{Addrs: []string{g.addr}, N: n, Head: dialling(g.addr, "/ws?room=storm", v1)})
			last := dialV1(t, g.addr, "/ws?room=storm", v1)
			if err := swarm.CloseAll(t.Context(), kind); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			last.SendText(`{"type":"publish","room":"storm","data":1}`)
			last.ExpectType("message")
			g.other.mustBeServed()
			if took := time.Since(began); took > time.Second {
				t.Errorf("in the storm an echo takes %v", took)
			}
			settles(t, g.server, 2, "roost_connections")
			settles(t, g.server, 2, "roost_members")
			last.CloseHandshake(1000)
		})
	}
	g.end()
}

// TestLogStaysShort: bad handshakes, frames and tokens by the hundred are counted and not logged (H10).
func TestLogStaysShort(t *testing.T) {
	g := besiege(t, func(o *Options) {
		verifying(t, o, nil)
		o.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	}, enginetest.Options{Token: enginetest.Token(t, "eve", time.Hour, "**")})
	token := enginetest.Token(t, "ada", time.Hour, "**")
	for _, tc := range []struct{ name, sent string }{
		{"malformed", with(canary + " : x\r\n")},
		{"unauthorized", goodHead},
		{"nowhere", targeting("/" + canary)},
		{"a bad frame", bearer("/raw/a", token) + "\xff\xff" + canary},
		{"a bad address", with("X-Forwarded-For: " + canary + "\r\n")},
	} {
		g.attack(t, tc.name, counts{"roost_panics_total": 0}, func(t *testing.T) {
			const n = 300
			logged := len(g.log.String())
			horde(t, enginetest.Config{Addrs: []string{g.addr}, N: n, Head: func(int) []byte { return []byte(tc.sent) }}).Stop()
			if lines := strings.Count(g.log.String()[logged:], "\n"); lines > 10 {
				t.Errorf("%d attacks make %d lines of log", n, lines)
			}
		})
	}
	settles(t, g.server, 1, "roost_connections")
	g.end()
}

// TestSeriesAreConstant: whatever names clients choose, there is no figure more than before (H8).
func TestSeriesAreConstant(t *testing.T) {
	g := besiege(t, func(o *Options) { verifying(t, o, nil); o.Limits.Controls = ratelimit.Rate{} },
		enginetest.Options{Token: enginetest.Token(t, "eve", time.Hour, "**")})
	before := len(scrape(g.server))
	g.attack(t, "rooms, users, paths, subprotocols", nil, func(t *testing.T) {
		for i := range 20 {
			user := fmt.Sprintf("%s-%d", canary, i)
			c := dialV1(t, g.addr, "/ws?room="+user, v1As(enginetest.Token(t, user, time.Hour, "**")))
			for k := range 50 {
				c.SendText(fmt.Sprintf(`{"type":"join","id":1,"room":"%s.%d"}`, user, k))
				c.ExpectType("joined")
			}
			c.Reset()
			ask(t, g.addr, targeting("/"+user))
			ask(t, g.addr, with("Sec-WebSocket-Protocol: "+user+"\r\n"))
		}
	})
	settles(t, g.server, 1, "roost_connections")
	if after := len(scrape(g.server)); after != before {
		t.Errorf("%d series before, %d after", before, after)
	}
	g.end()
}
