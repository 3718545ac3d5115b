package engine

// Users who are shut out while their tokens are in order.

import (
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/auth"
	"github.com/roost-ws/roost/engine/enginetest"
)

func TestRefuseUser(t *testing.T) {
	s, addr := serve(t, func(o *Options) { verifying(t, o, func(a *auth.Options) { a.CacheEntries = 100 }) })
	as := func(user string) enginetest.Options { return v1As(enginetest.Token(t, user, time.Hour, "**")) }
	ada, bob := as("ada"), as("bob")
	first, other := dialV1(t, addr, "/ws", ada), dialV1(t, addr, "/ws", bob)
	before := scrape(s)
	if err := s.RefuseUser("ada", time.Hour); err != nil {
		t.Fatal(err)
	}
	if n, err := s.DisconnectUser(t.Context(), "ada", 0, ""); n != 1 || err != nil {
		t.Errorf("%d connections closed, %v", n, err)
	}
	first.ExpectClose(4409)
	// The very token that was good a moment ago, which the cache remembers, and a new one.
	enginetest.DialRefused(t, addr, "/ws", ada, 401)
	enginetest.DialRefused(t, addr, "/ws", as("ada"), 401)
	grew(t, s, before, 2, tokenSeries("revoked"))
	dialV1(t, addr, "/ws", as("bob")).CloseHandshake(1000)
	other.SendJSON(map[string]any{"type": "ping", "id": 1})
	other.ExpectType("pong")
	if err := s.RefuseUser("ada", 0); err != nil {
		t.Fatal(err)
	}
	dialV1(t, addr, "/ws", ada).CloseHandshake(1000)
}

// TestRefreshOfRefusedUser: an order that comes while a client is connected does not end it by itself, but its next
// token does.
func TestRefreshOfRefusedUser(t *testing.T) {
	s, addr := serve(t, func(o *Options) { verifying(t, o, nil) })
	client := dialV1(t, addr, "/ws", v1As(enginetest.Token(t, "ada", time.Hour, "**")))
	if err := s.RefuseUser("ada", time.Hour); err != nil {
		t.Fatal(err)
	}
	client.SendJSON(map[string]any{"type": "refresh", "id": 1, "token": enginetest.Token(t, "ada", 2*time.Hour, "**")})
	client.ExpectClose(4401)
}
