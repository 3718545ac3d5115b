package engine

// The end of a token, and what a new one does to an open connection.

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/auth"
	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/engine/ratelimit"
)

// TestTokenEnds: a client is told before its token ends, and closed when it has. The clocks are the test's.
func TestTokenEnds(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	s, addr := serve(t, func(o *Options) {
		verifying(t, o, func(a *auth.Options) { a.Now = clock })
		o.Wall = clock
		o.Heartbeat = 200 * time.Millisecond
	})
	other := newBystander(t, addr, enginetest.Options{Token: enginetest.Token(t, "eve", 24*time.Hour, "**")})
	before := scrape(s)
	ends := dialV1(t, addr, "/ws?room=a", v1As(enginetest.Token(t, "ada", 100*time.Second, "**")))
	refreshes := dialV1(t, addr, "/ws?room=a", v1As(enginetest.Token(t, "bob", 100*time.Second, "**")))
	ends.ExpectNothing()
	ahead.Store(int64(75 * time.Second))
	for _, c := range []*enginetest.Client{ends, refreshes} {
		if in, _ := c.ExpectType("expiring")["in"].(float64); in < 20 || in > 26 {
			t.Errorf("expiring in %v s", in)
		}
	}
	refreshes.SendText(`{"type":"refresh","id":1,"token":"` + enginetest.Token(t, "bob", time.Hour, "**") + `"}`)
	refreshes.ExpectType("refreshed")
	ends.SendText(`{"type":"publish","room":"a","data":"to the end","id":1}`)
	ends.ExpectType("published")
	ends.ExpectType("message")
	ahead.Store(int64(101 * time.Second))
	ends.ExpectClose(4401)
	ends.ExpectEnd()
	grew(t, s, before, 1, closedSeries("token_expired"))
	refreshes.ExpectType("message")
	refreshes.ExpectNothing()
	other.mustBeServed()

	// One that has less left than the notice is told at once.
	short := enginetest.TokenClaims(t, map[string]any{"sub": "ada", "exp": clock().Add(2 * time.Second).Unix(), "rooms": []string{"**"}})
	c := dialV1(t, addr, "/ws", v1As(short))
	c.ExpectType("expiring")
	ahead.Add(int64(3 * time.Second))
	c.ExpectClose(4401)
}

// TestTokenEndsAtStart: the first connection of a server's life has an end like any other.
func TestTokenEndsAtStart(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("waits for the end of a token")
	}
	token := enginetest.Token(t, "ada", 2*time.Second, "**")
	_, addr := serve(t, func(o *Options) { verifying(t, o, nil) })
	c := dialV1(t, addr, "/ws", v1As(token))
	c.ExpectType("expiring")
	c.ExpectClose(4401)
}

// TestRefresh is what a new token does to an open connection.
func TestRefresh(t *testing.T) {
	keys := newSigner(t)
	s, addr := serve(t, func(o *Options) {
		verifying(t, o, func(a *auth.Options) { a.PublicKeys = keys.public })
		o.Limits.Controls = ratelimit.Rate{}
	})
	wide := enginetest.Token(t, "ada", time.Hour, "a", "b", "c")
	narrow := enginetest.Token(t, "ada", 2*time.Hour, "b")
	other := newBystander(t, addr, enginetest.Options{Token: enginetest.Token(t, "eve", time.Hour, "**")})
	refresh := func(c *enginetest.Client, token string) {
		c.SendText(`{"type":"refresh","id":1,"token":"` + token + `"}`)
	}
	t.Run("lost rooms are left", func(t *testing.T) {
		c := dialV1(t, addr, "/ws?room=a&room=b&room=c", v1As(wide))
		settles(t, s, 4, "roost_members")
		refresh(c, narrow)
		left := map[any]bool{}
		var expires float64
		for range 3 {
			switch m := c.ReadJSON(); m["type"] {
			case "left":
				left[m["room"]] = true
			case "refreshed":
				expires, _ = m["expires"].(float64)
			default:
				t.Errorf("heard %v", m)
			}
		}
		if !left["a"] || !left["c"] || time.Until(time.Unix(int64(expires), 0)) < 119*time.Minute {
			t.Errorf("left %v, expires %v", left, expires)
		}
		settles(t, s, 2, "roost_members")
		c.SendText(`{"type":"publish","room":"b","data":1,"id":2}`)
		c.ExpectType("published")
		c.ExpectType("message")
		c.SendText(`{"type":"join","room":"a","id":3}`)
		if e := c.ExpectType("error"); e["code"] != "forbidden" {
			t.Errorf("%v", e)
		}
		c.CloseHandshake(1000)
	})
	t.Run("through the pool", func(t *testing.T) {
		c := dialV1(t, addr, "/ws?room=b", v1As(narrow))
		refresh(c, keys.token(t, "ada"))
		c.ExpectType("refreshed")
		c.SendText(`{"type":"join","room":"z","id":3}`)
		c.ExpectType("joined")
		c.CloseHandshake(1000)
	})
	for name, token := range map[string]string{"another user": enginetest.Token(t, "bob", time.Hour, "**"), "another user, through the pool": keys.token(t, "bob")} {
		t.Run(name, func(t *testing.T) {
			before := scrape(s)
			c := dialV1(t, addr, "/ws?room=b", v1As(narrow))
			refresh(c, token)
			c.ExpectClose(4401)
			grew(t, s, before, 1, closedSeries("token_refused"))
		})
	}
	t.Run("a bad token changes nothing", func(t *testing.T) {
		before := scrape(s)
		c := dialV1(t, addr, "/ws?room=b", v1As(narrow))
		for _, bad := range []string{"nonsense", enginetest.Token(t, "ada", -time.Hour, "**"), keys.token(t, "ada")[:60]} {
			refresh(c, bad)
			if e := c.ExpectType("error"); e["code"] != "forbidden" {
				t.Errorf("%v", e)
			}
		}
		grew(t, s, before, 1, tokenSeries("expired"))
		c.SendText(`{"type":"publish","room":"b","data":1}`)
		c.ExpectType("message")
		c.CloseHandshake(1000)
	})
	other.mustBeServed()
}

// TestRefreshDuringStop: tokens that are on their way to the pool when the server stops do it no harm.
func TestRefreshDuringStop(t *testing.T) {
	keys := newSigner(t)
	for range 5 {
		s, addr := serve(t, func(o *Options) {
			verifying(t, o, func(a *auth.Options) { a.HMACSecret, a.PublicKeys = nil, keys.public })
			o.Limits.Controls = ratelimit.Rate{}
		})
		command := enginetest.TextFrame([]byte(`{"type":"refresh","token":"` + keys.token(t, "ada") + `"}`))
		var refreshing sync.WaitGroup
		var clients []*enginetest.Client
		for range 4 {
			clients = append(clients, dialV1(t, addr, "/ws", v1As(keys.token(t, "ada"))))
		}
		for _, c := range clients {
			refreshing.Go(func() {
				for {
					if _, err := c.NetConn().Write(command); err != nil {
						return
					}
				}
			})
			go func() {
				for {
					if _, _, err := c.Receive(); err != nil {
						return
					}
				}
			}()
		}
		time.Sleep(20 * time.Millisecond) // so that the pool's queue is full at the end
		if err := s.Stop(); err != nil {
			t.Error(err)
		}
		refreshing.Wait()
	}
}
