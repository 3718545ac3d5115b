package redis_test

import (
	"errors"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/fanout/fanouttest"
	"github.com/roost-ws/roost/fanout/redis"
	"github.com/roost-ws/roost/fanout/redis/redistest"
)

// Under Sentinel a master is killed, and another is cut off in its sleep and wakes up as a replica.
func TestSentinelFailover(t *testing.T) {
	t.Parallel()
	g := redistest.StartSentinel(t)
	s := startScene(t, "redis+sentinel://"+g.Addresses()+"/"+g.Name)
	first := g.Master()
	first.Pause()
	redistest.Wait(t, "the replica is the master", func() bool { return g.Master() != first })
	redistest.Wait(t, "the rooms have a gap", func() bool { return s.gaps() > 0 })
	s.heard("after the failover", 20)
	first.Continue()
	redistest.Wait(t, "the old master follows the new one", first.Follows)
	gaps := s.gaps()
	g.Master().Kill()
	redistest.Wait(t, "the rooms have a gap", func() bool { return s.gaps() > gaps })
	s.heard("after the second failover", 20)
	s.check()
}

func TestSentinelRefuses(t *testing.T) {
	t.Parallel()
	g := redistest.StartSentinel(t)
	b := open(t, "redis+sentinel://u:s3cret@"+g.Addresses()+"/other", func(o *redis.Options) { o.Timeout = impatient })
	err := b.Start(fanouttest.NewLedger().Hearing())
	if err == nil || !strings.Contains(err.Error(), "watches no master of that name") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("Start: %v", err)
	}
}

func TestCluster(t *testing.T) {
	g := redistest.StartCluster(t, 3, 0)
	url := "redis+cluster://" + g.Addresses()
	fanouttest.RunBroker(t, func(t *testing.T) fanout.Broker { return open(t, url) }, fanouttest.OneBus)
	fanouttest.RunHistory(t, func(t *testing.T, retention func(string) fanout.Retention) fanouttest.HistoryBroker {
		for _, s := range g.Servers {
			s.Do("FLUSHALL")
		}
		return open(t, url, func(o *redis.Options) { o.Retention = retention })
	}, fanouttest.OneBus)
	t.Run("partitions", func(t *testing.T) { partitionsAreWhereRedisSays(t, g, url) })
	t.Run("moved slots", func(t *testing.T) { slotsMove(t, g, url) })
	t.Run("subscribing while a slot moves", func(t *testing.T) { subscribingWhileASlotMoves(t, g, url) })
}

// A backend computes the channel by Redis's own command.
func partitionsAreWhereRedisSays(t *testing.T, g *redistest.Cluster, url string) {
	b := open(t, url)
	hearing := fanouttest.NewLedger().Hearing()
	if err := b.Start(hearing); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	for _, room := range []string{"a", "chat.1", "x:y", strings.Repeat("~", 128)} {
		subscribe(t, b, room)
		slot, err := strconv.Atoi(g.Servers[0].Do("CLUSTER", "KEYSLOT", room))
		if err != nil {
			t.Fatal(err)
		}
		channel := "roost:room:{" + strconv.Itoa(slot%64) + "}:" + room
		slot, err = strconv.Atoi(g.Servers[0].Do("CLUSTER", "KEYSLOT", channel))
		if err != nil {
			t.Fatal(err)
		}
		if got := g.Owner(slot).Do("SPUBLISH", channel, `{"roomId":"`+room+`","content":1}`); got != "1" {
			t.Errorf("%q: %s nodes heard what a backend published", room, got)
		}
		redistest.Wait(t, room+" is heard", func() bool { n, _ := hearing.Heard(room); return n == 1 })
	}
}

// The slots of two rooms are moved to other masters while publications flow, and back again.
func slotsMove(t *testing.T, g *redistest.Cluster, url string) {
	s := startScene(t, url)
	for round := range 2 {
		gaps := map[string]int{}
		for _, room := range []string{"plain.0", "kept.0"} {
			_, gaps[room] = s.hearing.Heard(room)
			layout := s.listener.Layout()
			g.Move(layout.Slot(layout.Part(room)))
		}
		for room, n := range gaps {
			redistest.Wait(t, room+" has a gap", func() bool { _, now := s.hearing.Heard(room); return now > n })
		}
		s.heard("after move "+strconv.Itoa(round+1), 20)
	}
	s.check()
}

// Rooms of one partition are subscribed while its slot goes around; whoever is refused tries again. In the end each of
// them is heard.
func subscribingWhileASlotMoves(t *testing.T, g *redistest.Cluster, url string) {
	const rooms, moves = 400, 6
	b := open(t, url)
	hearing := fanouttest.NewLedger().Hearing()
	if err := b.Start(hearing); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	layout := b.Layout()
	var names []string
	for i := 0; len(names) < rooms; i++ {
		if name := "moving." + strconv.Itoa(i); layout.Part(name) == 7 {
			names = append(names, name)
		}
	}
	var done atomic.Int64
	subscribed := make(chan int, 1)
	go func() {
		refused := 0
		for i, name := range names {
			done.Store(int64(i))
			for {
				answer := make(chan error, 1)
				b.Subscribe(name, func(err error) { answer <- err })
				if <-answer == nil {
					break
				}
				refused++
				time.Sleep(time.Millisecond) // as a client would
			}
		}
		done.Store(rooms)
		subscribed <- refused
	}()
	for i := range int64(moves) {
		redistest.Wait(t, "some rooms are subscribed", func() bool { return done.Load() >= i*rooms/moves })
		g.Move(layout.Slot(7))
	}
	t.Logf("%d rooms are subscribed, after %d refusals", rooms, <-subscribed)
	redistest.Wait(t, "all rooms are heard", func() bool {
		silent := 0
		for _, name := range names {
			if n, _ := hearing.Heard(name); n == 0 {
				silent++
				_ = publish(t, b, name, "x") // refused while the broker learns of the last move
			}
		}
		return silent == 0
	})
}

// A master of a cluster is killed and its replica takes over; the other rooms go on.
func TestClusterFailover(t *testing.T) {
	t.Parallel()
	g := redistest.StartCluster(t, 3, 1)
	s := startScene(t, "redis+cluster://"+g.Addresses())
	layout := s.listener.Layout()
	room := "kept.0"
	victim := g.Owner(layout.Slot(layout.Part(room)))
	victim.Kill()
	redistest.Wait(t, "the room has a gap", func() bool { _, gaps := s.hearing.Heard(room); return gaps > 0 })
	s.heard("after the failover", 20)
	victim.Restart()
	s.heard("after the old master is back", 20)
	redistest.Wait(t, "both nodes are up", func() bool { return s.publisher.Up() && s.listener.Up() })
	s.check()
}

func TestClusterRefuses(t *testing.T) {
	server := redistest.Start(t)
	b := open(t, "redis+cluster://u@"+server.Addr, func(o *redis.Options) { o.Timeout = impatient })
	if err := b.Start(fanouttest.NewLedger().Hearing()); err == nil || !strings.Contains(err.Error(), "refuses the user") && !strings.Contains(err.Error(), "cluster") {
		t.Errorf("Start on a server that is no cluster: %v", err)
	}
	if err := b.Close(); !errors.Is(err, fanout.ErrClosed) {
		t.Errorf("Close: %v", err)
	}
}
