package redis_test

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/fanout/fanouttest"
	"github.com/roost-ws/roost/fanout/redis"
	"github.com/roost-ws/roost/fanout/redis/redistest"
)

// scene is two nodes on one bus: one publishes without pause in a few rooms, the other listens. Half of the rooms keep
// a history.
type scene struct {
	t         *testing.T
	ledger    *fanouttest.Ledger
	publisher *redis.Broker
	listener  *redis.Broker
	hearing   *fanouttest.Hearing
	stopped   atomic.Bool
	all       sync.WaitGroup
}

var sceneRooms = []string{"plain.0", "plain.1", "kept.0", "kept.1"}

func keepsSome(room string) fanout.Retention {
	if strings.HasPrefix(room, "kept") {
		return fanout.Retention{Size: 100, TTL: time.Minute}
	}
	return fanout.Retention{}
}

// impatient is how long brokers under test wait for Redis.
const impatient = time.Second

func startScene(t *testing.T, url string, change ...func(*redis.Options)) *scene {
	t.Helper()
	s := &scene{t: t, ledger: fanouttest.NewLedger()}
	change = append([]func(*redis.Options){func(o *redis.Options) { o.Retention, o.Timeout = keepsSome, impatient }}, change...)
	s.publisher, s.listener = open(t, url, change...), open(t, url, change...)
	s.hearing = s.ledger.Hearing()
	for _, start := range []struct {
		b    *redis.Broker
		sink fanout.Sink
	}{{s.publisher, s.ledger.Hearing()}, {s.listener, s.hearing}} {
		if err := start.b.Start(start.sink); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = start.b.Close() })
	}
	for _, room := range sceneRooms {
		subscribe(t, s.listener, room)
	}
	for publisher := range 2 {
		for _, room := range sceneRooms {
			s.all.Go(func() { s.publish(room, strconv.Itoa(publisher)) })
		}
	}
	t.Cleanup(s.stop)
	s.heard("the scene begins", 10)
	return s
}

func (s *scene) publish(room, publisher string) {
	flow(&s.stopped, func(done func()) {
		s.ledger.Publish(s.publisher, room, publisher, func(err error) {
			if err != nil && !errors.Is(err, redis.ErrDown) && !errors.Is(err, fanout.ErrBusy) && !errors.Is(err, fanout.ErrClosed) {
				s.t.Errorf("publishing in %q: %v", room, err)
			}
			done()
		})
	})
}

// flow publishes until it is stopped, with at most 16 publications on their way, and waits for those.
func flow(stopped *atomic.Bool, publish func(done func())) {
	window := make(chan struct{}, 16)
	for !stopped.Load() {
		window <- struct{}{}
		publish(func() { <-window })
		time.Sleep(200 * time.Microsecond) // a rate, not a wait
	}
	for range cap(window) {
		window <- struct{}{}
	}
}

func (s *scene) stop() {
	s.stopped.Store(true)
	s.all.Wait()
}

// heard waits until every room has heard so many publications more.
func (s *scene) heard(what string, more int) {
	s.t.Helper()
	want := map[string]int{}
	for _, room := range sceneRooms {
		n, _ := s.hearing.Heard(room)
		want[room] = n + more
	}
	redistest.Wait(s.t, what+": all rooms are heard", func() bool {
		for room, n := range want {
			if got, _ := s.hearing.Heard(room); got < n {
				return false
			}
		}
		return true
	})
}

// gaps counts the gaps of the room with the fewest.
func (s *scene) gaps() int {
	least := 1 << 30
	for _, room := range sceneRooms {
		_, n := s.hearing.Heard(room)
		least = min(least, n)
	}
	return least
}

// check ends the scene and holds what was heard against what was published.
func (s *scene) check() {
	s.t.Helper()
	s.stop()
	for _, room := range sceneRooms {
		for _, err := range s.hearing.Check(room) {
			s.t.Errorf("%q: %v", room, err)
		}
		all, taken := s.ledger.Sent(room)
		heard, gaps := s.hearing.Heard(room)
		s.t.Logf("%q: %d published, %d taken, %d heard, %d gaps", room, all, taken, heard, gaps)
	}
}

func subscribe(t testing.TB, b *redis.Broker, rooms ...string) {
	t.Helper()
	answers := make(chan error, len(rooms))
	for _, room := range rooms {
		b.Subscribe(room, func(err error) { answers <- err })
	}
	for range rooms {
		select {
		case err := <-answers:
			if err != nil {
				t.Fatalf("Subscribe: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Fatal("a Subscribe is not answered")
		}
	}
}

// outcome is a completion.
type outcome chan error

func (o outcome) Published(_ fanout.Position, err error) { o <- err }

func publish(t testing.TB, b *redis.Broker, room, text string) error {
	t.Helper()
	done := make(outcome, 1)
	b.Publish(&fanout.Publication{Room: room, Kind: fanout.Text, Data: []byte(text)}, done)
	select {
	case err := <-done:
		return err
	case <-time.After(20 * time.Second):
		t.Fatal("a Publish has no outcome")
		return nil
	}
}

// clients returns the ids of the nodes' connections that are subscribed, or of those that are not.
func clients(server *redistest.Server, subscribed bool) []string {
	var ids []string
	for line := range strings.Lines(server.Do("CLIENT", "LIST")) {
		fields := strings.Fields(line)
		if strings.Contains(line, " name=roost ") && strings.Contains(line, " sub=0 psub=0 ssub=0 ") != subscribed {
			ids = append(ids, strings.TrimPrefix(fields[0], "id="))
		}
	}
	return ids
}

// Every fault is made while publications flow. Afterwards all rooms are heard again, each was told of a gap, and what was
// heard is in order with no hole outside the gaps.
func TestFaults(t *testing.T) {
	for _, c := range []struct {
		name   string
		noGaps bool
		fault  func(t *testing.T, server *redistest.Server, s *scene)
	}{
		{name: "subscriber connection killed", fault: func(t *testing.T, server *redistest.Server, _ *scene) {
			for _, id := range clients(server, true) {
				server.Do("CLIENT", "KILL", "ID", id)
			}
		}},
		{name: "all connections killed, three times", fault: func(t *testing.T, server *redistest.Server, s *scene) {
			for i := range 3 {
				server.Do("CLIENT", "KILL", "TYPE", "pubsub")
				server.Do("CLIENT", "KILL", "TYPE", "normal")
				redistest.Wait(t, "the rooms have a gap", func() bool { return s.gaps() > i })
				s.heard("after a kill", 5)
			}
		}},
		{name: "redis killed and restarted", fault: func(_ *testing.T, server *redistest.Server, _ *scene) {
			server.Kill()
			server.Restart()
		}},
		{name: "redis away for a while", fault: func(t *testing.T, server *redistest.Server, s *scene) {
			server.Kill()
			redistest.Wait(t, "both nodes notice", func() bool { return !s.publisher.Up() && !s.listener.Up() })
			if err := publish(t, s.publisher, "plain.0", "x"); !errors.Is(err, redis.ErrDown) {
				t.Errorf("publishing while redis is away: %v, want ErrDown", err)
			}
			refused := make(chan error, 1)
			s.listener.Subscribe("plain.9", func(err error) { refused <- err })
			if err := <-refused; !errors.Is(err, redis.ErrDown) {
				t.Errorf("subscribing while redis is away: %v, want ErrDown", err)
			}
			server.Restart()
			redistest.Wait(t, "both nodes are up", func() bool { return s.publisher.Up() && s.listener.Up() })
		}},
		{name: "redis silent", fault: func(t *testing.T, server *redistest.Server, s *scene) {
			server.Pause()
			redistest.Wait(t, "both nodes notice", func() bool { return !s.publisher.Up() && !s.listener.Up() })
			server.Continue()
		}},
		{name: "redis silent for a moment", noGaps: true, fault: func(t *testing.T, server *redistest.Server, s *scene) {
			server.Do("CLIENT", "PAUSE", "100", "ALL")
		}},
		{name: "scripts forgotten", noGaps: true, fault: func(t *testing.T, server *redistest.Server, s *scene) {
			for range 5 {
				server.Do("SCRIPT", "FLUSH")
				s.heard("after a flush", 20)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := redistest.Start(t)
			s := startScene(t, "redis://"+server.Addr)
			c.fault(t, server, s)
			if !c.noGaps {
				redistest.Wait(t, "the rooms have a gap", func() bool { return s.gaps() > 0 })
			}
			s.heard("afterwards", 20)
			s.check()
		})
	}
}

// A node that can't keep up is cut off by Redis, which tells it so by closing the connection.
func TestCutOffForBeingSlow(t *testing.T) {
	server := redistest.Start(t, "client-output-buffer-limit pubsub 262144 0 0")
	b := open(t, "redis://"+server.Addr)
	sink := &stuckSink{Hearing: fanouttest.NewLedger().Hearing(), inside: make(chan struct{}), release: make(chan struct{})}
	if err := b.Start(sink); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	subscribe(t, b, "slow", "other")
	server.Do("PUBLISH", "roost:room:slow", `{"roomId":"slow","content":1}`)
	<-sink.inside
	big := strings.Repeat("x", 100_000)
	redistest.Wait(t, "redis cuts the node off", func() bool {
		server.Do("PUBLISH", "roost:room:slow", `{"roomId":"slow","content":"`+big+`"}`)
		return len(clients(server, true)) == 0
	})
	close(sink.release)
	redistest.Wait(t, "both rooms have a gap", func() bool {
		_, slow := sink.Heard("slow")
		_, other := sink.Heard("other")
		return slow > 0 && other > 0
	})
}

// stuckSink blocks in its first publication until it is released.
type stuckSink struct {
	*fanouttest.Hearing
	once            sync.Once
	inside, release chan struct{}
}

func (s *stuckSink) HandlePublication(p *fanout.Publication) {
	s.once.Do(func() {
		close(s.inside)
		<-s.release
	})
	s.Hearing.HandlePublication(p)
}

// A server that is made a replica takes publications still and passes them on to nobody.
func TestDemotedMasterIsLeft(t *testing.T) {
	other, server := redistest.Start(t), redistest.Start(t)
	b := open(t, "redis://"+server.Addr, func(o *redis.Options) { o.Timeout = impatient })
	if err := b.Start(fanouttest.NewLedger().Hearing()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	host, port, _ := strings.Cut(other.Addr, ":")
	server.Do("REPLICAOF", host, port)
	redistest.Wait(t, "the node notices", func() bool { return !b.Up() })
	server.Do("REPLICAOF", "NO", "ONE")
	redistest.Wait(t, "the node is back", b.Up)
}

// Ten thousand rooms are heard again soon after Redis is back.
func TestManyRoomsComeBack(t *testing.T) {
	const count = 10_000
	server := redistest.Start(t)
	for _, kept := range []bool{false, true} {
		t.Run(fmt.Sprintf("history %v", kept), func(t *testing.T) {
			retention := fanout.Retention{}
			if kept {
				retention = fanout.Retention{Size: 10, TTL: time.Minute}
			}
			b := open(t, "redis://"+server.Addr, keep(retention))
			hearing := fanouttest.NewLedger().Hearing()
			if err := b.Start(hearing); err != nil {
				t.Fatal(err)
			}
			defer func() { _ = b.Close() }()
			rooms := make([]string, count)
			for i := range rooms {
				rooms[i] = fmt.Sprintf("many.%d", i)
			}
			began := time.Now()
			subscribe(t, b, rooms...)
			t.Logf("%d rooms subscribed in %s", count, time.Since(began))
			server.Restart()
			began = time.Now()
			redistest.Wait(t, "every room has its gap", func() bool { return b.Stats().Gaps == count })
			t.Logf("%d rooms subscribed again %s after the restart", count, time.Since(began))
			for _, room := range rooms {
				if _, gaps := hearing.Heard(room); gaps != 1 {
					t.Fatalf("%q has %d gaps", room, gaps)
				}
			}
			if got := server.Do("PUBSUB", "NUMSUB", "roost:room:many.0", "roost:room:many.9999"); got != "roost:room:many.0 1 roost:room:many.9999 1" {
				t.Errorf("redis says %q", got)
			}
		})
	}
}
