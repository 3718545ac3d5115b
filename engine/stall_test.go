package engine

import (
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/enginetest"
)

// TestHungLoop: idle or busy, all loops answer; one that hangs shows, while the others go on.
func TestHungLoop(t *testing.T) {
	s, addr := serve(t, nil)
	if !comesTrue(func() bool { return s.Stalled() == 0 }) {
		t.Fatalf("stalled for %v", s.Stalled())
	}
	c := enginetest.Dial(t, addr, "/raw/a", enginetest.Options{})
	hung, resume := make(chan struct{}), make(chan struct{})
	release := func() {
		if resume != nil {
			close(resume)
			resume = nil
		}
	}
	defer release()
	wait := resume
	other := s.loops[0]
	if s.loops[0].population.Load() > 0 { // c's loop must go on
		other = s.loops[1]
	}
	other.mailbox.post(letter{kind: letterCall, call: func(*Loop) { close(hung); <-wait }})
	<-hung
	if !comesTrue(func() bool { return s.Stalled() > 100*time.Millisecond }) {
		t.Fatalf("a loop hangs, and is stalled for %v", s.Stalled())
	}
	before := s.Stalled()
	c.SendText("hello")
	c.ExpectText("hello")
	if now := s.Stalled(); now < before {
		t.Errorf("stalled for %v, and then for %v, although nothing was answered", before, now)
	}
	release()
	if !comesTrue(func() bool { return s.Stalled() == 0 }) {
		t.Errorf("the loop goes on, and is stalled for %v", s.Stalled())
	}
}
