package engine

// Connections that are not let in yet: how many there are, and that the acceptors give way to them.

import (
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/enginetest"
)

// TestArriving: each is counted from its enrolment until it is let in, refused or gone.
func TestArriving(t *testing.T) {
	s, addr := serve(t, nil)
	expect := func(n int, when string) {
		t.Helper()
		if !comesTrue(func() bool { return s.arriving() == n }) {
			t.Errorf("%s: %d are counted, want %d", when, s.arriving(), n)
		}
	}
	var all []*enginetest.Client
	for range 4 {
		all = append(all, enrolled(t, s, addr, enginetest.Options{}))
	}
	expect(4, "connected")
	all[0].SendRaw([]byte(goodHead[:30]))
	round(t, s)
	expect(4, "half a head")
	all[0].SendRaw([]byte(goodHead[30:]))
	expect(3, "let in")
	all[1].SendRaw([]byte("nonsense\r\n\r\n"))
	expect(2, "refused")
	all[2].SendRaw([]byte(targeting("/healthz")))
	expect(1, "answered")
	all[3].Reset()
	expect(0, "gone")
	for _, c := range all {
		c.Close()
	}
	mustBeEmpty(t, s)
}

// TestAcceptorGivesWay: while too many wait to be let in each accept waits for a moment, and only for that, so that
// sockets that never say anything keep nobody out.
func TestAcceptorGivesWay(t *testing.T) {
	s, addr := serve(t, func(o *Options) { o.Loops = 1 })
	pause := func() time.Duration {
		began := time.Now()
		s.acceptor.giveWay()
		return time.Since(began)
	}
	loop := s.loops[0]
	loop.arriving.Add(arrivingMost + 1)
	for range 3 {
		if took := pause(); took < acceptPressed {
			t.Errorf("an accept waited for %v, want %v", took, acceptPressed)
		}
	}
	newBystander(t, addr, enginetest.Options{}).mustBeServed()
	loop.arriving.Add(-1)
	least := time.Hour
	for range 10 { // the processor may be somebody else's for once
		least = min(least, pause())
	}
	if least >= acceptPressed {
		t.Errorf("an accept waits for %v without need", least)
	}
	loop.arriving.Add(-arrivingMost)
}
