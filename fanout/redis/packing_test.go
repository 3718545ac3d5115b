package redis_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/fanout/redis"
	"github.com/roost-ws/roost/fanout/redis/redistest"
)

// orderSink writes down who is named by what it hears, by room.
type orderSink struct {
	mu    sync.Mutex
	heard map[string][]string
	gaps  int
}

func (s *orderSink) HandlePublication(p *fanout.Publication) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard[p.Room] = append(s.heard[p.Room], p.From)
}

func (s *orderSink) HandleGap(string, fanout.Position) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gaps++
}

func (s *orderSink) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, names := range s.heard {
		n += len(names)
	}
	return n
}

// What waits while Redis is slow goes out in few messages; each publication of one publisher is still heard alone, in
// its room's order, between those that go through the script, and completed once.
func TestPublicationsTravelInPacks(t *testing.T) {
	const each, most = 400, 300
	server := redistest.Start(t)
	sink := &orderSink{heard: map[string][]string{}}
	b := open(t, "redis://"+server.Addr, func(o *redis.Options) { o.Retention = keepsSome })
	if err := b.Start(sink); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	rooms := []string{"plain.a", "plain.b", "kept.a"}
	subscribe(t, b, rooms...)
	server.Do("CONFIG", "RESETSTAT")
	server.Pause()
	want := map[string][]string{}
	answers := make(chan error, each*len(rooms))
	for i := range each {
		for _, room := range rooms {
			p := &fanout.Publication{Room: room, Kind: fanout.Text, From: strconv.Itoa(i), Data: []byte("data")}
			switch {
			case room == "kept.a" && i%8 != 0: // of the eight, the news about members are not kept
				p.Kind, p.Data = fanout.MemberJoined, nil
			case i%50 == 0:
				p.Data = []byte(strings.Repeat("x", 20_000)) // fits no pack
			}
			b.Publish(p, completion(func(err error) { answers <- err }))
			want[room] = append(want[room], p.From)
		}
	}
	server.Continue()
	for range cap(answers) {
		if err := <-answers; err != nil {
			t.Fatalf("Publish: %v", err)
		}
	}
	redistest.Wait(t, "all is heard", func() bool { return sink.count() >= cap(answers) })
	sink.mu.Lock()
	defer sink.mu.Unlock()
	for _, room := range rooms {
		if !slices.Equal(sink.heard[room], want[room]) {
			t.Errorf("%q heard %v", room, sink.heard[room])
		}
	}
	if sink.gaps > 0 {
		t.Errorf("%d gaps are told", sink.gaps)
	}
	if n := published(t, server); n > most {
		t.Errorf("%d publications cost %d messages, want at most %d", cap(answers), n, most)
	}
	if stats := b.Stats(); stats.Received != uint64(cap(answers)) || stats.Damaged+stats.Oversized+stats.Failed > 0 {
		t.Errorf("the figures are %+v", stats)
	}
}

// published is how many times PUBLISH was executed, by scripts too.
func published(t *testing.T, server *redistest.Server) int {
	t.Helper()
	_, rest, found := strings.Cut(server.Do("INFO", "commandstats"), "cmdstat_publish:calls=")
	digits, _, _ := strings.Cut(rest, ",")
	n, err := strconv.Atoi(digits)
	if !found || err != nil {
		t.Fatalf("redis does not say how often it published: %v", err)
	}
	return n
}

// When Redis refuses a pack, each of its publications is told, and counted.
func TestRefusedPackFailsEach(t *testing.T) {
	const count = 200
	server := redistest.Start(t, "user roost on >pw "+rights)
	b := open(t, "redis://roost:pw@"+server.Addr)
	if err := b.Start(&orderSink{heard: map[string][]string{}}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	server.Do("ACL", "SETUSER", "roost", "resetchannels", "&roost:room:allowed")
	answers := make(chan error, 2*count)
	failed := 0
	server.Pause()
	for i := range 2 * count {
		room := []string{"allowed", "refused"}[i%2]
		b.Publish(&fanout.Publication{Room: room, Data: []byte("1")}, completion(func(err error) {
			if err != nil {
				err = fmt.Errorf("in %s: %w", room, err)
			}
			answers <- err
		}))
	}
	server.Continue()
	for range 2 * count {
		if err := <-answers; err != nil {
			failed++
			if !strings.Contains(err.Error(), "in refused: ") || !strings.Contains(err.Error(), "NOPERM") {
				t.Errorf("Publish: %v, want Redis's own words about the refused room", err)
			}
		}
	}
	if stats := b.Stats(); failed != count || stats.Failed != count {
		t.Errorf("%d are told that they failed and %d are counted, want %d", failed, stats.Failed, count)
	}
}
