package engine

// Handshakes whose tokens wait for the verifier pool.

import (
	"bytes"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/auth"
	"github.com/roost-ws/roost/engine/enginetest"
)

// gate is a wall clock that can be stopped: whoever asks it then waits. A verifier asks for the time once for each
// token, so a closed gate holds its workers, and only them.
type gate struct {
	sync.RWMutex
	asked atomic.Int64
}

func (g *gate) now() time.Time {
	g.asked.Add(1)
	g.RLock()
	defer g.RUnlock()
	return time.Now()
}

// TestParkedHandshakes: what waits for the verifier pool is bounded in number and time, keeps what came early, and
// stops nobody else.
func TestParkedHandshakes(t *testing.T) {
	t.Parallel()
	const limit = 600 * time.Millisecond
	keys, clock := newSigner(t), new(gate)
	s, addr := serve(t, func(o *Options) {
		verifying(t, o, func(a *auth.Options) { a.HMACSecret, a.PublicKeys, a.Now = nil, keys.public, clock.now })
		o.Limits.Authorizing = 2
		o.Limits.HandshakeTimeout = limit
		o.Limits.MessageBytes = 4 << 10
	})
	other := newBystander(t, addr, enginetest.Options{Token: keys.token(t, "eve")})
	head := enginetest.UpgradeHead("h", "/raw/early", enginetest.Options{Token: keys.token(t, "ada")})
	workers := max(1, runtime.GOMAXPROCS(0)-1) // that check tokens at once

	t.Run("frames that come early", func(t *testing.T) {
		clock.Lock()
		asked := clock.asked.Load()
		c := enrolled(t, s, addr, enginetest.Options{})
		c.SendRaw(append(head, enginetest.TextFrame([]byte("with the head"))...))
		if !comesTrue(func() bool { return clock.asked.Load() > asked }) {
			t.Error("no worker has begun")
		}
		frames := join(enginetest.TextFrame([]byte("while it waits")), enginetest.TextFrame([]byte("cut in two")))
		c.SendRaw(frames[:len(frames)-4])
		round(t, s)
		c.SendRaw(frames[len(frames)-4:])
		round(t, s)
		other.mustBeServed()
		clock.Unlock()
		awaitUpgrade(t, c)
		c.ExpectText("with the head")
		c.ExpectText("while it waits")
		c.ExpectText("cut in two")
		c.CloseHandshake(1000)
	})
	t.Run("more than may wait", func(t *testing.T) {
		clock.Lock()
		before, asked := scrape(s), clock.asked.Load()
		var waiting []*enginetest.Client
		for i := range workers + 2 {
			c := enrolled(t, s, addr, enginetest.Options{})
			c.SendRaw(head)
			round(t, s)
			if i < workers && !comesTrue(func() bool { return clock.asked.Load() > asked+int64(i) }) {
				t.Error("no worker has begun")
			}
			waiting = append(waiting, c)
		}
		c := enginetest.DialRaw(t, addr, enginetest.Options{})
		c.SendRaw(head)
		if a := c.ReadHTTP(); a.Status != 503 || a.Header.Get("Retry-After") == "" {
			t.Errorf("%d %v", a.Status, a.Header)
		}
		other.mustBeServed()
		clock.Unlock()
		for _, c := range waiting {
			awaitUpgrade(t, c)
			c.CloseHandshake(1000)
		}
		grew(t, s, before, 1, refusedSeries("auth_busy"))
		grew(t, s, before, float64(workers+2), "roost_handshakes_total")
	})
	t.Run("more bytes than are kept", func(t *testing.T) {
		clock.Lock()
		before := scrape(s)
		c := enrolled(t, s, addr, enginetest.Options{})
		c.SendRaw(head)
		round(t, s)
		c.SendRaw(bytes.Repeat([]byte("x"), 32<<10))
		if a := c.ReadHTTP(); a.Status != 431 {
			t.Errorf("status %d", a.Status)
		}
		clock.Unlock()
		grew(t, s, before, 1, refusedSeries("headers_too_large"))
	})
	t.Run("longer than a handshake may take", func(t *testing.T) {
		clock.Lock()
		before := scrape(s)
		c := enrolled(t, s, addr, enginetest.Options{})
		c.SendRaw(head)
		if a := c.ReadHTTP(); a.Status != 408 {
			t.Errorf("status %d", a.Status)
		}
		clock.Unlock()
		grew(t, s, before, 1, refusedSeries("too_slow"))
	})
	t.Run("gone before the verdict", func(t *testing.T) {
		clock.Lock()
		before := scrape(s)
		c := enrolled(t, s, addr, enginetest.Options{})
		c.SendRaw(head)
		round(t, s)
		c.Reset()
		grew(t, s, before, 1, closedSeries("handshake_gone"))
		clock.Unlock()
		grew(t, s, before, 0, "roost_handshakes_total")
	})
	other.mustBeServed()
	other.client.Close()
	mustBeEmpty(t, s)
}
