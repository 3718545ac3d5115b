package redis_test

// Nodes as their members hear them: brokers behind Routers, on which somebody publishes all the time.

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
