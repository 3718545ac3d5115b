package engine

// The node's limits on connections, handshakes and users, on real sockets: what is above is refused with a time to
// come back, what is below goes on, and a place that is given up is free again.

import (
	"fmt"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/engine/ratelimit"
)

// mustRefuse dials and wants a refusal with Retry-After, counted under its reason.
func mustRefuse(t *testing.T, s *Server, addr string, o enginetest.Options, status int, reason string) {
	t.Helper()
	before := scrape(s)
	c := enginetest.DialRaw(t, addr, o)
	c.SendRaw(enginetest.UpgradeHead(addr, "/ws", o))
	if a := c.ReadHTTP(); a.Status != status || a.End != enginetest.EndFIN || a.Header.Get("Retry-After") == "" {
		t.Errorf("answered %d %v, ended with %s, want %d and when to come back", a.Status, a.Header, a.End, status)
	}
	c.Close()
	grew(t, s, before, 1, refusedSeries(reason))
}

func TestConnectionsPerAddress(t *testing.T) {
	s, addr := serve(t, func(o *Options) { o.Limits.ConnectionsPerIP = 3 })
	other := newBystander(t, addr, enginetest.Options{SourceIP: "127.0.0.8"})
	from := enginetest.Options{SourceIP: "127.0.0.9"}
	var held []*enginetest.Client
	for range 3 {
		held = append(held, enginetest.Dial(t, addr, "/ws", from))
	}
	mustRefuse(t, s, addr, from, 429, "address_limit")
	other.mustBeServed()
	held[0].Reset()
	settles(t, s, 3, "roost_connections")
	held[0] = enginetest.Dial(t, addr, "/ws", from)
	mustRefuse(t, s, addr, from, 429, "address_limit")
	// Sockets that never say anything count as well.
	settles(t, s, 4, "roost_connections")
	held[1].CloseHandshake(1000)
	settles(t, s, 3, "roost_connections")
	enrolled(t, s, addr, from)
	mustRefuse(t, s, addr, from, 429, "address_limit")
}

func TestConnectionsPerUser(t *testing.T) {
	s, addr := serve(t, func(o *Options) { verifying(t, o, nil); o.Limits.ConnectionsPerUser = 2 })
	as := func(user string) enginetest.Options { return v1As(enginetest.Token(t, user, time.Hour, "**")) }
	other := newBystander(t, addr, enginetest.Options{Token: enginetest.Token(t, "eve", time.Hour, "**")})
	first := dialV1(t, addr, "/ws", as("ada"))
	second := dialV1(t, addr, "/ws", as("ada"))
	mustRefuse(t, s, addr, as("ada"), 429, "user_limit")
	dialV1(t, addr, "/ws", as("bob"))
	other.mustBeServed()
	first.CloseHandshake(1000)
	dialV1(t, addr, "/ws", as("ada"))
	second.Reset()
	settles(t, s, 3, "roost_connections")
	dialV1(t, addr, "/ws", as("ada"))
	mustRefuse(t, s, addr, as("ada"), 429, "user_limit")
}

func TestHandshakesPerSecond(t *testing.T) {
	s, addr := serve(t, func(o *Options) { o.Limits.HandshakesPerSecond = 10 })
	other := newBystander(t, addr, enginetest.Options{})
	before := scrape(s)
	status := map[int]int{}
	began := time.Now()
	for range 40 {
		c := enginetest.DialRaw(t, addr, enginetest.Options{})
		c.SendRaw([]byte(goodHead))
		if answer := string(readHeadOnly(t, c)); answer[9:12] == "101" {
			status[101]++
		} else {
			status[503]++
		}
		c.Close()
	}
	most := 10 + int(time.Since(began).Seconds()*10) + 1
	if status[101] > most || status[101] < 5 || status[503] == 0 {
		t.Errorf("answered %v in %v, want at most %d let in", status, time.Since(began), most)
	}
	grew(t, s, before, float64(status[503]), refusedSeries("rate"))
	other.mustBeServed()
	// It is a rate: a moment later there is room again.
	if !comesTrue(func() bool {
		c := enginetest.DialRaw(t, addr, enginetest.Options{})
		defer c.Close()
		c.SendRaw([]byte(goodHead))
		return string(readHeadOnly(t, c))[9:12] == "101"
	}) {
		t.Error("nobody is let in any more")
	}
}

// readHeadOnly reads an answer up to the end of its head.
func readHeadOnly(t *testing.T, c *enginetest.Client) []byte {
	t.Helper()
	_ = c.NetConn().SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 1024)
	n, err := c.NetConn().Read(buf)
	if err != nil || n < 12 {
		t.Fatalf("answered %q, %v", buf[:n], err)
	}
	return buf[:n]
}

// TestRateOfUser: with one bucket for a user, it does not help to have several connections.
func TestRateOfUser(t *testing.T) {
	s, addr := serve(t, func(o *Options) {
		verifying(t, o, nil)
		o.Limits.Messages, o.Limits.SharedRate = ratelimit.NewRate(0.1, 6), true
	})
	as := func(user string) enginetest.Options { return v1As(enginetest.Token(t, user, time.Hour, "**")) }
	before := scrape(s)
	var mine []*enginetest.Client
	for i := range 3 {
		mine = append(mine, dialV1(t, addr, fmt.Sprintf("/ws?room=r%d", i), as("ada")))
	}
	other := dialV1(t, addr, "/ws?room=other", as("bob"))
	answers := map[any]int{}
	for round := range 4 {
		for i, c := range mine {
			c.SendText(fmt.Sprintf(`{"type":"publish","room":"r%d","id":%d,"data":1,"echo":false}`, i, round))
			answers[c.ReadJSON()["type"]]++
		}
	}
	if answers["published"] != 6 || answers["error"] != 6 {
		t.Errorf("answers %v, want 6 of each", answers)
	}
	grew(t, s, before, 6, `roost_rate_limited_total{kind="messages"}`)
	for range 6 {
		other.SendText(`{"type":"publish","room":"other","id":1,"data":1,"echo":false}`)
		other.ExpectType("published")
	}
	// The bucket goes with the user's last connection, not before.
	mine[0].CloseHandshake(1000)
	again := dialV1(t, addr, "/ws?room=r0", as("ada"))
	again.SendText(`{"type":"publish","room":"r0","id":1,"data":1,"echo":false}`)
	again.ExpectType("error")
}

// TestFull: above the cap of connections a node answers 503, but a health check as ever.
func TestFull(t *testing.T) {
	s, addr := serve(t, func(o *Options) { o.Limits.Connections = 5 })
	other := newBystander(t, addr, enginetest.Options{})
	var held []*enginetest.Client
	for range 4 {
		held = append(held, enginetest.Dial(t, addr, "/ws", v1))
	}
	for range 3 {
		mustRefuse(t, s, addr, enginetest.Options{}, 503, "full")
	}
	if a := ask(t, addr, "GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n"); a.Status != 200 {
		t.Errorf("healthz answers %d", a.Status)
	}
	if a := ask(t, addr, "GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n"); a.Status != 200 {
		t.Errorf("readyz answers %d", a.Status)
	}
	if a := ask(t, addr, "nonsense\r\n\r\n"); a.Status != 400 {
		t.Errorf("nonsense answers %d", a.Status)
	}
	other.mustBeServed()
	settles(t, s, 5, "roost_connections")
	held[0].CloseHandshake(1000)
	settles(t, s, 4, "roost_connections")
	dialV1(t, addr, "/ws", v1)
	mustRefuse(t, s, addr, enginetest.Options{}, 503, "full")
}
