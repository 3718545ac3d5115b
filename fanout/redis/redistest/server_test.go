package redistest

import (
	"strconv"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestServerEndsAndReturns(t *testing.T) {
	s := Start(t)
	if got := s.Do("SET", "a", "1"); got != "OK" {
		t.Errorf("SET answered %q", got)
	}
	if got := s.Do("MGET", "a", "b"); got != "1 " {
		t.Errorf("MGET answered %q", got)
	}
	s.Pause()
	if s.answers() {
		t.Error("it answers while it is paused")
	}
	s.Continue()
	s.Restart()
	if got := s.Do("EXISTS", "a"); got != "0" {
		t.Errorf("EXISTS answered %q after the restart, which should have emptied it", got)
	}
	s.Stop()
	if err := s.Try("PING").Error(); err == nil {
		t.Error("it answers after Stop")
	}
}

func TestServerKeepsItsFile(t *testing.T) {
	s := Start(t, "appendonly yes")
	s.Do("SET", "a", "1")
	s.Restart()
	if got := s.Do("GET", "a"); got != "1" {
		t.Errorf("GET answered %q after the restart", got)
	}
}

func TestSentinelFailsOver(t *testing.T) {
	g := StartSentinel(t)
	first := g.Master()
	if first != g.Servers[0] {
		t.Fatal("the first server is not the master")
	}
	first.Kill()
	Wait(t, "the replica is the master", func() bool {
		return g.Master() != first && g.Servers[1].IsMaster()
	})
	first.Restart()
	g.FailOver()
	Wait(t, "the first is the master again", func() bool { return first.IsMaster() && g.Master() == first })
}

func TestClusterHasAllSlots(t *testing.T) {
	g := StartCluster(t, 3, 0)
	owners := map[*Server]bool{}
	for slot := 0; slot < 16384; slot += 1024 {
		owners[g.Owner(slot)] = true
	}
	if len(owners) != 3 || owners[nil] {
		t.Errorf("the slots have %d owners", len(owners))
	}
	slot, err := strconv.Atoi(g.Servers[0].Do("CLUSTER", "KEYSLOT", "a"))
	if err != nil {
		t.Fatal(err)
	}
	before := g.Owner(slot)
	before.Do("SET", "a", "1")
	g.Move(slot)
	if after := g.Owner(slot); after == before || after.Do("GET", "a") != "1" {
		t.Errorf("%s had the slot, %s has it, and not what was in it", before.Addr, after.Addr)
	}
}
