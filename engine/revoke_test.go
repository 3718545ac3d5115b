package engine

// Users who are shut out while their tokens are in order.

import (
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/auth"
	"github.com/roost-ws/roost/engine/enginetest"
)

// disconnect orders a user away and returns how many connections that were.
func disconnect(t *testing.T, s *Server, user string) (int, error) {
	o, err := s.Disconnect(t.Context(), Order{User: user})
	return o.Disconnected, err
}

// refuseUser shuts a user out without disconnecting anybody.
func refuseUser(s *Server, user string, how time.Duration) error {
	return s.refuse(refusal{By: auth.RevokedUser, Value: user, Until: time.Now().Add(how).Unix()})
}

func TestRefuseUser(t *testing.T) {
	s, addr := serve(t, func(o *Options) { verifying(t, o, func(a *auth.Options) { a.CacheEntries = 100 }) })
	as := func(user string) enginetest.Options { return v1As(enginetest.Token(t, user, time.Hour, "**")) }
	ada, bob := as("ada"), as("bob")
	first, other := dialV1(t, addr, "/ws", ada), dialV1(t, addr, "/ws", bob)
	before := scrape(s)
	if err := refuseUser(s, "ada", time.Hour); err != nil {
		t.Fatal(err)
	}
	if n, err := disconnect(t, s, "ada"); n != 1 || err != nil {
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
	if err := refuseUser(s, "ada", 0); err != nil {
		t.Fatal(err)
	}
	dialV1(t, addr, "/ws", ada).CloseHandshake(1000)
}

// TestRefreshOfRefusedUser: an order that comes while a client is connected does not end it by itself, but its next
// token does.
func TestRefreshOfRefusedUser(t *testing.T) {
	s, addr := serve(t, func(o *Options) { verifying(t, o, nil) })
	client := dialV1(t, addr, "/ws", v1As(enginetest.Token(t, "ada", time.Hour, "**")))
	if err := refuseUser(s, "ada", time.Hour); err != nil {
		t.Fatal(err)
	}
	client.SendJSON(map[string]any{"type": "refresh", "id": 1, "token": enginetest.Token(t, "ada", 2*time.Hour, "**")})
	client.ExpectClose(4401)
}

// TestRevoke ends the connections whose tokens bear a sid or jti, and refuses those tokens from then on.
func TestRevoke(t *testing.T) {
	s, addr := serve(t, func(o *Options) { verifying(t, o, nil) })
	as := func(sid, jti string) enginetest.Options {
		return v1As(enginetest.TokenClaims(t, map[string]any{"sub": "ada", "exp": time.Now().Add(time.Hour).Unix(), "sid": sid, "jti": jti, "rooms": []string{"**"}}))
	}
	until := time.Now().Add(time.Hour).Unix()
	for _, c := range []struct {
		name  string
		order Order
		ends  int
	}{
		{"a session", Order{Session: "s1", RefuseUntil: until}, 2},
		{"a token", Order{Token: "t3", RefuseUntil: until}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			clients := map[string]*enginetest.Client{}
			for token, sid := range map[string]string{"t1": "s1", "t2": "s1", "t3": "s2", "t4": "s2"} {
				if c.order.Token != "" && sid == "s1" {
					continue // ended and refused by the case before
				}
				clients[token] = dialV1(t, addr, "/ws", as(sid, token))
			}
			o, err := s.Disconnect(t.Context(), c.order)
			if o.Disconnected != c.ends || err != nil {
				t.Errorf("%+v, %v, want %d ended", o, err, c.ends)
			}
			for token, client := range clients {
				switch token {
				case "t1", "t2":
					client.ExpectClose(4409)
					enginetest.DialRefused(t, addr, "/ws", as("s1", token), 401)
				case "t3":
					if c.order.Token != "" {
						client.ExpectClose(4409)
						enginetest.DialRefused(t, addr, "/ws", as("s2", token), 401)
						continue
					}
					client.CloseHandshake(1000)
				default:
					client.CloseHandshake(1000)
				}
			}
		})
	}
	if o, err := s.Disconnect(t.Context(), Order{Session: "none"}); o.Disconnected != 0 || err != nil {
		t.Errorf("an unknown session: %+v, %v", o, err)
	}
	settles(t, s, 0, "roost_connections")
	for _, l := range s.loops {
		if len(l.marks) > 0 {
			t.Errorf("loop %d still has marks of %d tokens", l.index, len(l.marks))
		}
	}
}
