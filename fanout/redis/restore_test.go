package redis_test

// Rooms that keep history miss nothing that was acknowledged, whatever becomes of Redis, as long as it keeps a file or
// has a replica: what members of two nodes hear through their Routers, and what a page says of what they missed.

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/fanout/redis"
	"github.com/roost-ws/roost/fanout/redis/redistest"
)

// house is a node with one loop, which notes what it hears.
type house struct {
	broker *redis.Broker
	router *fanout.Router

	mu    sync.Mutex
	heard map[string][]string // by room
	gaps  []string            // rooms
	ready map[string]bool
}

func (h *house) Deliver(_ fanout.LoopSet, p *fanout.Publication) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard[p.Room] = append(h.heard[p.Room], string(p.Data))
}

func (h *house) Gap(_ fanout.LoopSet, room string, _ fanout.Position) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.gaps = append(h.gaps, room)
}

func (h *house) Ready(room string, _ int, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ready[room] = err == nil
}

func (h *house) has(room string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ready[room]
}

func (h *house) count(room string) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.heard[room])
}

// openHouse starts a node whose loop wants rooms.
func openHouse(t *testing.T, url string, rooms ...string) *house {
	t.Helper()
	h := &house{heard: map[string][]string{}, ready: map[string]bool{}}
	h.broker = open(t, url, keep(fanout.Retention{Size: 5000, TTL: time.Minute}), func(o *redis.Options) { o.Timeout = impatient })
	h.router = fanout.NewRouter(h.broker, h, fanout.RouterOptions{})
	if err := h.router.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.router.Close() })
	for _, room := range rooms {
		if ready, err := h.router.Want(room, 0); err != nil {
			t.Fatal(err)
		} else if !ready {
			redistest.Wait(t, room+" is subscribed", func() bool { return h.has(room) })
		}
		// As an engine does: without a place to begin at, what is lost first goes unnoticed.
		h.page(t, room, fanout.Query{})
	}
	return h
}

func (h *house) page(t *testing.T, room string, q fanout.Query) fanout.Page {
	t.Helper()
	answers := make(chan fanout.Page, 1)
	h.router.History(room, q, func(p fanout.Page, err error) {
		if err != nil {
			t.Errorf("the history of %q: %v", room, err)
		}
		answers <- p
	})
	return <-answers
}

// street is two houses, in each of which somebody publishes without pause in every room.
type street struct {
	t       *testing.T
	houses  [2]*house
	rooms   []string
	stopped atomic.Bool
	all     sync.WaitGroup

	mu    sync.Mutex
	taken map[string][]string // by room: what was acknowledged, in each publisher's order
}

func openStreet(t *testing.T, url string, rooms ...string) *street {
	t.Helper()
	s := &street{t: t, rooms: rooms, taken: map[string][]string{}}
	for i := range s.houses {
		s.houses[i] = openHouse(t, url, rooms...)
	}
	for i, h := range s.houses {
		for _, room := range rooms {
			s.all.Go(func() { s.publish(h, room, strconv.Itoa(i)) })
		}
	}
	t.Cleanup(s.stop)
	s.goesOn("at first")
	return s
}

func (s *street) publish(h *house, room, publisher string) {
	n := 0
	flow(&s.stopped, func(done func()) {
		n++
		text := publisher + "/" + strconv.Itoa(n)
		p := fanout.Publication{Room: room, Kind: fanout.Text, Data: []byte(text)}
		h.router.Publish(&p, completion(func(err error) {
			switch {
			case err == nil:
				s.mu.Lock()
				s.taken[room] = append(s.taken[room], text)
				s.mu.Unlock()
			case !errors.Is(err, redis.ErrDown) && !errors.Is(err, fanout.ErrBusy):
				s.t.Errorf("publishing in %q: %v", room, err)
			}
			done()
		}))
	})
}

func (s *street) stop() {
	s.stopped.Store(true)
	s.all.Wait()
}

// goesOn waits until every house has heard some more in every room.
func (s *street) goesOn(what string) {
	s.t.Helper()
	for _, h := range s.houses {
		for _, room := range s.rooms {
			before := h.count(room)
			redistest.Wait(s.t, fmt.Sprintf("%s: %q goes on", what, room), func() bool { return h.count(room) >= before+20 })
		}
	}
}

// check ends it all: every house has heard whatever was acknowledged, once, each publisher's in order, and was told of
// no gap.
func (s *street) check() {
	s.t.Helper()
	s.stop()
	for i, h := range s.houses {
		for _, room := range s.rooms {
			s.mu.Lock()
			taken := slices.Clone(s.taken[room])
			s.mu.Unlock()
			missing := func() (texts []string) {
				h.mu.Lock()
				defer h.mu.Unlock()
				heard := map[string]bool{}
				for _, text := range h.heard[room] {
					heard[text] = true
				}
				return slices.DeleteFunc(slices.Clone(taken), func(text string) bool { return heard[text] })
			}
			if !redistest.Comes(func() bool { return len(missing()) == 0 }) {
				s.t.Errorf("node %d misses %d of %d acknowledged in %q, the first is %s", i, len(missing()), len(taken), room, missing()[0])
			}
			h.inOrder(s.t, room)
			s.t.Logf("node %d, %q: %d acknowledged, %d heard, %d restored", i, room, len(taken), h.count(room), h.broker.Stats().Restored)
		}
		h.mu.Lock()
		if len(h.gaps) > 0 {
			s.t.Errorf("node %d was told of gaps in %q", i, h.gaps)
		}
		h.mu.Unlock()
	}
}

// inOrder looks whether each publisher's numbers grow.
func (h *house) inOrder(t *testing.T, room string) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	last := map[string]int{}
	for _, text := range h.heard[room] {
		publisher, digits, _ := strings.Cut(text, "/")
		n, _ := strconv.Atoi(digits)
		if n <= last[publisher] {
			t.Errorf("%q: %s is heard behind %d", room, text, last[publisher])
			return
		}
		last[publisher] = n
	}
}

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
		g.Owner(layout.Slot(layout.Part("a"))).Kill()
		redistest.Wait(t, "a node notices", func() bool { return !s.houses[0].broker.Up() })
		s.goesOn("after the failover")
		s.check()
	})
	t.Run("moved slots", func(t *testing.T) {
		t.Parallel()
		g := redistest.StartCluster(t, 3, 0)
		s := openStreet(t, "redis+cluster://"+g.Addresses(), "a", "b")
		layout := s.houses[0].broker.Layout()
		for range 3 {
			move(t, g, layout.Slot(layout.Part("a")))
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
