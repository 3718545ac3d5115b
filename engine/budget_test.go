package engine

// The budget of handshakes that each address has, and the memory mark.

import (
	"net/netip"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/engine/ratelimit"
)

func TestHandshakesPerAddress(t *testing.T) {
	s, addr := serve(t, func(o *Options) { verifying(t, o, nil); o.Limits.HandshakesPerIP = 0.01 })
	other := newBystander(t, addr, enginetest.Options{SourceIP: "127.0.0.8", Token: enginetest.Token(t, "eve", time.Hour, "**")})
	from := enginetest.Options{SourceIP: "127.0.0.9", Token: "no.token.at-all"}
	before := scrape(s)
	enginetest.DialRefused(t, addr, "/ws", from, 401)
	// The budget is spent, and by a token that was refused: the next one is not even looked at.
	mustRefuse(t, s, addr, from, 429, "address_rate")
	grew(t, s, before, 1, refusedSeries("token"))
	other.mustBeServed()
}

func TestBudgets(t *testing.T) {
	b := budgets{rate: ratelimit.NewRate(1, 2)}
	now := int64(time.Hour)
	a := netip.MustParseAddr("192.0.2.1")
	for i, want := range []bool{true, true, false} {
		if got := b.take(a, now); got != want {
			t.Errorf("handshake %d: %v", i+1, got)
		}
	}
	if !b.take(netip.MustParseAddr("192.0.2.2"), now) {
		t.Error("one address pays for another")
	}
	if !b.take(a, now+int64(time.Second)) {
		t.Error("the budget does not refill")
	}
}

// TestBudgetsAreBounded: more addresses than the table holds, all within a moment. Nothing grows beyond the bound,
// and newcomers share what is left rather than being let through.
func TestBudgetsAreBounded(t *testing.T) {
	b := budgets{rate: ratelimit.NewRate(1, 1)}
	now, through := int64(time.Hour), 0
	const addresses = 4 * 64 * maxBudgets
	for i := range addresses {
		if b.take(netip.AddrFrom4([4]byte{byte(i >> 24), byte(i >> 16), byte(i >> 8), byte(i)}), now) {
			through++
		}
	}
	held := 0
	for i := range b.shards {
		held += len(b.shards[i].m)
	}
	if most := 64 * maxBudgets; held > most || through > most+64 {
		t.Errorf("%d addresses are held and %d let through, of at most %d", held, through, most)
	}
	// Once their budgets are whole again, room is made for others.
	now += int64(time.Minute)
	if !b.take(netip.MustParseAddr("2001:db8::1"), now) || !b.take(netip.MustParseAddr("2001:db8::1"), now+int64(time.Minute)) {
		t.Error("there is no room for a newcomer after a minute")
	}
}

func TestMemoryMark(t *testing.T) {
	s, addr := serve(t, func(o *Options) { o.Limits.Memory = 1 << 50 })
	other := newBystander(t, addr, enginetest.Options{})
	if used := s.memoryInUse(); used < 1<<20 || used > 1<<40 {
		t.Errorf("%d bytes are in use", used)
	}
	s.lookAtMemory(1<<50 + 1)
	mustRefuse(t, s, addr, enginetest.Options{}, 503, "memory")
	other.mustBeServed()
	s.lookAtMemory(1 << 50)
	newBystander(t, addr, enginetest.Options{}).mustBeServed()
}

// TestMemoryMarkIsWatched: the mark is far below what a process takes, so the node shuts its door by itself.
func TestMemoryMarkIsWatched(t *testing.T) {
	s, addr := serve(t, func(o *Options) { o.Limits.Memory = 1 })
	if !comesTrue(s.admission.overMemory.Load) {
		t.Fatal("nobody looked at the memory")
	}
	mustRefuse(t, s, addr, enginetest.Options{}, 503, "memory")
}
