package engine

// The maximum age of connections: they are sent away within the last fifth of it, not all at once, and told when to
// come back.

import (
	"slices"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/enginetest"
)

func TestMaxAge(t *testing.T) {
	const most, clients = 2 * time.Second, 40
	s, addr := serve(t, func(o *Options) {
		o.Limits.MaxAge = most
		o.Heartbeat, o.HeartbeatTimeout = time.Second, time.Minute // an idle loop looks at its timers as often as its heartbeats want
	})
	before := scrape(s)
	type life struct {
		took time.Duration
		told bool
	}
	lives := make(chan life, clients)
	for range clients {
		c := dialV1(t, addr, "/ws?room=aged", v1)
		began := time.Now()
		c.SetTimeout(most + patience)
		go func() {
			var l life
			for {
				_, text, err := c.Receive()
				if err != nil {
					l.took = time.Since(began)
					lives <- l
					return
				}
				l.told = l.told || string(text) == `{"type":"shutdown","reconnectIn":1}`
			}
		}()
	}
	var took []time.Duration
	for range clients {
		l := <-lives
		if !l.told {
			t.Error("a client was not told to reconnect")
		}
		took = append(took, l.took)
	}
	slices.Sort(took)
	// Measured from after the welcome, so a little may be missing; late is the machine's affair, early is ours.
	if took[0] < most*7/10 {
		t.Errorf("a connection lived for %v only", took[0])
	}
	if spread := took[clients-1] - took[0]; spread < most/10 {
		t.Errorf("all went within %v", spread)
	}
	grew(t, s, before, clients, closedSeries("max_age"))
	mustBeEmpty(t, s)
}

func TestNoMaxAge(t *testing.T) {
	s, addr := serve(t, nil)
	newBystander(t, addr, enginetest.Options{}).mustBeServed()
	if err := s.each(t.Context(), func(l *Loop, done func()) {
		if l.ages != nil {
			t.Error("ages are kept without a limit")
		}
		done()
	}); err != nil {
		t.Fatal(err)
	}
}
