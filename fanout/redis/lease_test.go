package redis_test

import (
	"strings"
	"testing"

	"github.com/roost-ws/roost/fanout/fanouttest"
	"github.com/roost-ws/roost/fanout/redis"
	"github.com/roost-ws/roost/fanout/redis/redistest"
)

func named(node string) func(*redis.Options) { return func(o *redis.Options) { o.Node = node } }

// The second node of a name does not start, and starts when the first is gone.
func TestTwoNodesOfOneName(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	first := open(t, "redis://"+server.Addr, named("a:b {c}"))
	if err := first.Start(fanouttest.NewLedger().Hearing()); err != nil {
		t.Fatal(err)
	}
	second := open(t, "redis://"+server.Addr, named("a:b {c}"))
	err := second.Start(fanouttest.NewLedger().Hearing())
	if err == nil || !strings.HasPrefix(err.Error(), `node: another node called "a:b {c}"`) {
		t.Errorf("the second node of a name: %v", err)
	}
	if second.Up() {
		t.Error("a broker that did not start is up")
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	// What stays is when the server lived, which says something of its data as long as there is any.
	if got := server.Do("KEYS", "*"); got != "roost:lives" {
		t.Errorf("the node left %q behind, want roost:lives alone", got)
	}
	third := open(t, "redis://"+server.Addr, named("a:b {c}"))
	if err := third.Start(fanouttest.NewLedger().Hearing()); err != nil {
		t.Errorf("the name is not free: %v", err)
	}
	_ = third.Close()
}

// A name that Redis lost is taken again; one that somebody else has meanwhile is not, and the log says so.
func TestLostName(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	log := &lines{}
	b := open(t, "redis://"+server.Addr, named("n"), func(o *redis.Options) { o.Log = log.logger() })
	if err := b.Start(fanouttest.NewLedger().Hearing()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	holder := server.Do("GET", "roost:node:n")
	if holder == "" {
		t.Fatal("the name is not taken")
	}
	server.Do("DEL", "roost:node:n")
	redistest.Wait(t, "the name is taken again", func() bool { return server.Do("GET", "roost:node:n") == holder })
	server.Do("SET", "roost:node:n", "somebody else")
	redistest.Wait(t, "the log says so", func() bool { return strings.Contains(log.String(), "another node has taken") })
	if got := server.Do("GET", "roost:node:n"); got != "somebody else" {
		t.Errorf("the name is held by %q now", got)
	}
	if !b.Up() {
		t.Error("the node stopped serving")
	}
	_ = b.Close()
	if got := server.Do("GET", "roost:node:n"); got != "somebody else" {
		t.Errorf("the node gave back what is not its own: %q", got)
	}
}
