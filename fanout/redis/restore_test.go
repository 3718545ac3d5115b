package redis_test

// Rooms that keep history miss nothing that was acknowledged, whatever becomes of Redis, as long as it keeps a file or
// has a replica: what members of two nodes hear through their Routers, and what a page says of what they missed.

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/fanout/redis/redistest"
)

func TestNothingIsMissed(t *testing.T) {
	one := func(fault func(*redistest.Server, *street)) func(*testing.T) {
		return func(t *testing.T) {
			server := redistest.Start(t, "appendonly yes")
			s := openStreet(t, "redis://"+server.Addr, "a", "b")
			fault(server, s)
			s.goesOn("in the end")
			s.check()
		}
	}
	t.Run("killed and restarted five times", one(func(server *redistest.Server, s *street) {
		for range 5 {
			server.Kill()
			server.Restart()
			s.goesOn("after a restart")
		}
	}))
	t.Run("connections killed", one(func(server *redistest.Server, s *street) {
		for range 5 {
			server.Do("CLIENT", "KILL", "TYPE", "pubsub")
			server.Do("CLIENT", "KILL", "TYPE", "normal")
			s.goesOn("after a kill")
		}
	}))
	t.Run("silent", one(func(server *redistest.Server, s *street) {
		server.Pause()
		redistest.Wait(s.t, "both nodes notice", func() bool { return !s.houses[0].broker.Up() && !s.houses[1].broker.Up() })
		server.Continue()
	}))
	t.Run("sentinel failover", func(t *testing.T) {
		t.Parallel()
		g := redistest.StartSentinel(t)
		s := openStreet(t, "redis+sentinel://"+g.Addresses()+"/"+g.Name, "a", "b")
		first := g.Master()
		for _, server := range g.Servers {
			server.Matures()
		}
		first.Kill()
		redistest.Wait(t, "the replica is the master", func() bool { return g.Master() != first })
		s.goesOn("after the failover")
		s.check()
	})
	t.Run("cluster failover", func(t *testing.T) {
		t.Parallel()
		g := redistest.StartCluster(t, 3, 1)
		s := openStreet(t, "redis+cluster://"+g.Addresses(), "a", "b")
		layout := s.houses[0].broker.Layout()
		victim := g.Owner(layout.Slot(layout.Part("a")))
		g.Replica(victim).Matures()
		victim.Kill()
		redistest.Wait(t, "a node notices", func() bool { return !s.houses[0].broker.Up() })
		s.goesOn("after the failover")
		s.check()
	})
	t.Run("moved slots", func(t *testing.T) {
		t.Parallel()
		g := redistest.StartCluster(t, 3, 0)
		s := openStreet(t, "redis+cluster://"+g.Addresses(), "a", "b")
		layout := s.houses[0].broker.Layout()
		for _, server := range g.Servers {
			server.Matures()
		}
		for range 3 {
			g.Move(layout.Slot(layout.Part("a")))
			s.goesOn("after a move")
		}
		s.check()
	})
}

// Redis comes back without the last of what it had acknowledged. The node that published it publishes it again: those
// who heard it are not bothered, those who did not find it behind where they stood.
func TestLostTailIsRestored(t *testing.T) {
	server := redistest.Start(t, "appendonly yes")
	url := "redis://" + server.Addr
	publisher, other := openHouse(t, url, "a"), openHouse(t, url, "a")
	say := func(from, to int) {
		for i := from; i <= to; i++ {
			if err := publish(t, publisher.broker, "a", "p/"+strconv.Itoa(i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	both := func(what string, n int) {
		for _, h := range []*house{publisher, other} {
			redistest.Wait(t, what, func() bool { return h.count("a") >= n })
		}
	}
	say(1, 10)
	both("all is heard", 10)
	start := other.page(t, "a", fanout.Query{Limit: 10})
	server.Kill()
	server.LoseTail(1000)
	server.Restart()
	redistest.Wait(t, "it is restored", func() bool { return publisher.broker.Stats().Restored > 0 })
	say(11, 12)
	both("all is heard", 12)
	lost := int(publisher.broker.Stats().Restored)
	if lost > 9 {
		t.Fatalf("%d of 10 publications were lost: the test cuts off too much", lost)
	}
	for i, h := range []*house{publisher, other} {
		h.inOrder(t, "a")
		if h.mu.Lock(); len(h.gaps) > 0 || len(h.heard["a"]) != 12 {
			t.Errorf("node %d heard %q and was told of %d gaps", i, h.heard["a"], len(h.gaps))
		}
		h.mu.Unlock()
	}
	for since := range uint64(11) {
		page := other.page(t, "a", fanout.Query{HasSince: true, Since: fanout.Position{Epoch: start.Position.Epoch, Offset: since}, Limit: 100})
		var got, want []string
		for _, p := range page.Publications {
			got = append(got, string(p.Data))
		}
		for i := int(since) + 1; i <= 12; i++ {
			want = append(want, "p/"+strconv.Itoa(i))
		}
		if !page.Complete || !page.Follows || !slices.Equal(got, want) {
			t.Errorf("since %d of 10, %d of them lost and restored: %q, complete %v", since, lost, got, page.Complete)
		}
	}
}

// A replica that was started when everything had been said long ago is as good as any, as soon as it has been there for
// a while: so servers are upgraded one after the other.
func TestQuietRoomOutlivesAYoungReplica(t *testing.T) {
	t.Parallel()
	g := redistest.StartSentinel(t)
	h := openHouse(t, "redis+sentinel://"+g.Addresses()+"/"+g.Name, "a")
	for i := 1; i <= 3; i++ {
		if err := publish(t, h.broker, "a", "p/"+strconv.Itoa(i)); err != nil {
			t.Fatal(err)
		}
	}
	before := h.page(t, "a", fanout.Query{Limit: 10})
	replica := g.Servers[1]
	replica.Kill()
	replica.Restart()
	redistest.Wait(t, "the replica follows its master again", replica.Follows)
	replica.Matures()
	g.FailOver()
	redistest.Wait(t, "the node is on the replica", func() bool { return replica.IsMaster() && h.broker.Up() && h.broker.Stats().Reconnects > 0 })
	page := h.page(t, "a", fanout.Query{HasSince: true, Since: fanout.Position{Epoch: before.Position.Epoch, Offset: 1}, Limit: 10})
	if !page.Complete || len(page.Publications) != 2 || len(h.gaps) > 0 {
		t.Errorf("since 1 of 3: %+v, %d gaps", page, len(h.gaps))
	}
}

// What a stream is worth after a restart depends on what the server keeps.
func TestRestart(t *testing.T) {
	for _, c := range []struct {
		name     string
		settings []string
		stop     func(*redistest.Server)
		goesOn   bool
	}{
		{"a file of every command", []string{"appendonly yes"}, (*redistest.Server).Kill, true},
		{"a snapshot when it is stopped", []string{"save 3600 1"}, (*redistest.Server).Stop, false},
		{"nothing", nil, (*redistest.Server).Kill, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := redistest.Start(t, c.settings...)
			h := openHouse(t, "redis://"+server.Addr)
			for range 3 {
				if err := publish(t, h.broker, "a", "x"); err != nil {
					t.Fatal(err)
				}
			}
			before := h.page(t, "a", fanout.Query{Limit: 10})
			if before.Position.Offset != 3 || len(before.Publications) != 3 {
				t.Fatalf("three publications make %+v", before)
			}
			c.stop(server)
			server.Restart()
			redistest.Wait(t, "the node is back", func() bool { return h.broker.Up() && h.broker.Stats().Reconnects > 0 })
			since := h.page(t, "a", fanout.Query{HasSince: true, Since: before.Position, Limit: 10})
			after := h.page(t, "a", fanout.Query{Limit: 10})
			if same := after.Position.Epoch == before.Position.Epoch; same != c.goesOn || since.Complete != c.goesOn {
				t.Errorf("the epoch is the same %v, nothing was missed %v; want %v", same, since.Complete, c.goesOn)
			}
			if c.goesOn && (len(after.Publications) != 3 || after.Position.Offset <= before.Position.Offset) || !c.goesOn && len(after.Publications) > 0 {
				t.Errorf("after the restart the stream is %+v, before %+v", after, before)
			}
			if err := publish(t, h.broker, "a", "x"); err != nil {
				t.Fatal(err)
			}
			if last := h.page(t, "a", fanout.Query{HasSince: true, Since: after.Position, Limit: 10}); len(last.Publications) != 1 || !last.Complete ||
				last.Publications[0].Position.Offset != after.Position.Offset+1 {
				t.Errorf("the next publication makes %+v, behind %+v", last, after.Position)
			}
		})
	}
}

// More is lost than a node keeps to restore it. Who had heard it is not bothered; who had not is told.
func TestLossOfTheForgottenIsTold(t *testing.T) {
	const size, count = 600 << 10, 12
	server := redistest.Start(t, "appendonly yes")
	h := openHouse(t, "redis://"+server.Addr, "a")
	for i := 1; i <= count; i++ {
		if err := publish(t, h.broker, "a", "p/"+strconv.Itoa(i)+strings.Repeat(" ", size)); err != nil {
			t.Fatal(err)
		}
	}
	redistest.Wait(t, "all is heard", func() bool { return h.count("a") == count })
	start := h.page(t, "a", fanout.Query{})
	server.Kill()
	server.LoseTail((count - 2) * size)
	server.Restart()
	redistest.Wait(t, "it is restored", func() bool { return h.broker.Stats().Restored > 0 })
	if err := publish(t, h.broker, "a", "p/13"); err != nil {
		t.Fatal(err)
	}
	redistest.Wait(t, "it goes on", func() bool { return h.count("a") > count })
	h.mu.Lock()
	if len(h.gaps) > 0 || len(h.heard["a"]) != count+1 {
		t.Errorf("who had heard it hears %d publications and %d gaps", len(h.heard["a"]), len(h.gaps))
	}
	h.mu.Unlock()
	for since, whole := range map[uint64]bool{2: false, 4: false, count - 1: true, count: true} {
		page := h.page(t, "a", fanout.Query{HasSince: true, Since: fanout.Position{Epoch: start.Position.Epoch, Offset: since}, Limit: 100})
		if page.Complete != whole || page.Follows != whole || whole && len(page.Publications) != count+1-int(since) {
			t.Errorf("since %d of %d: %d publications, complete %v, follows %v", since, count, len(page.Publications), page.Complete, page.Follows)
		}
	}
}
