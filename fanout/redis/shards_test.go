package redis_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/fanout/fanouttest"
	"github.com/roost-ws/roost/fanout/redis"
	"github.com/roost-ws/roost/fanout/redis/redistest"
)

func startSeveral(t *testing.T, count int) (servers []*redistest.Server, url string) {
	t.Helper()
	var addresses []string
	for range count {
		s := redistest.Start(t)
		servers, addresses = append(servers, s), append(addresses, s.Addr)
	}
	return servers, "redis://" + strings.Join(addresses, ",")
}

func TestSeveralServers(t *testing.T) {
	servers, url := startSeveral(t, 3)
	fanouttest.RunBroker(t, func(t *testing.T) fanout.Broker { return open(t, url) }, fanouttest.OneBus)
	fanouttest.RunHistory(t, func(t *testing.T, retention func(string) fanout.Retention) fanouttest.HistoryBroker {
		for _, s := range servers {
			s.Do("FLUSHALL")
		}
		return open(t, url, func(o *redis.Options) { o.Retention = retention })
	}, fanouttest.OneBus)
}

// When one of several servers is gone, its rooms are told and the others notice nothing.
func TestOneOfSeveralIsGone(t *testing.T) {
	servers, url := startSeveral(t, 2)
	b := open(t, url, func(o *redis.Options) { o.Timeout = impatient })
	hearing := fanouttest.NewLedger().Hearing()
	if err := b.Start(hearing); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	var rooms []string
	part := map[string]int{}
	for i := range 100 {
		room := fmt.Sprintf("room.%d", i)
		rooms = append(rooms, room)
		part[room] = b.Layout().Part(room)
	}
	subscribe(t, b, rooms...)
	for i, server := range servers {
		for _, room := range rooms {
			want := "roost:room:" + room + " 0"
			if part[room] == i {
				want = "roost:room:" + room + " 1"
			}
			if got := server.Do("PUBSUB", "NUMSUB", "roost:room:"+room); got != want {
				t.Fatalf("server %d says %q, want %q", i, got, want)
			}
		}
	}
	servers[1].Kill()
	redistest.Wait(t, "the node notices", func() bool { return !b.Up() })
	for _, room := range rooms {
		if err := publish(t, b, room, "x"); (err == nil) != (part[room] == 0) || err != nil && !errors.Is(err, redis.ErrDown) {
			t.Fatalf("publishing in %q of server %d: %v", room, part[room], err)
		}
	}
	if s := b.Stats(); s.Links != 2 || s.Up != 1 || s.Rooms != 100 {
		t.Errorf("the figures are %+v", s)
	}
	servers[1].Restart()
	redistest.Wait(t, "the node is up", b.Up)
	for _, room := range rooms {
		redistest.Wait(t, "the gaps are told", func() bool {
			_, gaps := hearing.Heard(room)
			return gaps == part[room]
		})
		if err := publish(t, b, room, "x"); err != nil {
			t.Fatal(err)
		}
		redistest.Wait(t, room+" is heard", func() bool { n, _ := hearing.Heard(room); return n >= 1 })
	}
}
