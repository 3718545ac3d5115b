package redis_test

// Presence on a cluster and under Sentinel, with a master that goes.

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/rueidis"
	"go.uber.org/goleak"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/fanout/redis"
	"github.com/roost-ws/roost/fanout/redis/redistest"
)

// A cluster: rooms in all slots, news on the shard's own channel, users' keys as backends expect them; then a master
// is killed, and its replica has all that is said again.
func TestPresenceOnACluster(t *testing.T) {
	const rooms = 200
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { // rueidis closes the connections to a master that is gone after five seconds
		redistest.Wait(t, "no goroutine is left", func() bool { return goleak.Find(leaks) == nil })
	})
	cluster := redistest.StartCluster(t, 3, 1)
	url := "redis+cluster://" + cluster.Addresses()
	room := func(i int) string { return fmt.Sprint("room.", i) }
	first, second := startPresence(t, url, "first", givesUpSoon), startPresence(t, url, "second", givesUpSoon)
	heard := listenSharded(t, cluster, room(0))
	for i := range rooms {
		first.Enter(room(i), "alice", true)
		first.Enter(room(i), "bob", false)
	}
	for i := range rooms {
		waitTotal(t, second, room(i), 2)
	}
	for i := range rooms {
		first.Leave(room(i), "bob", true)
		second.Enter(room(i), "alice", true)
	}
	for i := range rooms {
		redistest.Wait(t, "both have alice", func() bool {
			a := askUsers(t, first, room(i), 10)
			return a.err == nil && a.total == 1 && a.users[0] == fanout.PresentUser{User: "alice", Connections: 2}
		})
	}
	for _, want := range []string{"+alice", "-bob"} {
		if got := <-heard; got != want {
			t.Errorf("told %q, want %q", got, want)
		}
	}
	first.Online("alice")
	second.Online("{b}ob")
	redistest.Wait(t, "users are online", func() bool {
		out := cluster.CLI("-c", "-h", "127.0.0.1", "-p", portOf(cluster.Servers[0]), "GET", "roost:user:alice:online") +
			cluster.CLI("-c", "-h", "127.0.0.1", "-p", portOf(cluster.Servers[0]), "GET", "roost:user:{b}ob:online")
		return out == "first\nsecond\n"
	})

	cluster.Servers[0].Kill()
	redistest.Wait(t, "everybody is back", func() bool {
		for i := range rooms {
			first.Refresh(room(i), []fanout.PresentUser{{User: "alice", Connections: 1}}, false)
			second.Refresh(room(i), []fanout.PresentUser{{User: "alice", Connections: 2}, {User: "zoe", Connections: 1}}, false)
		}
		for i := range rooms {
			a := askUsers(t, second, room(i), 10)
			if a.err != nil || !slices.Equal(a.users, []fanout.PresentUser{{User: "alice", Connections: 3}, {User: "zoe", Connections: 1}}) {
				return false
			}
		}
		return true
	})
	redistest.Wait(t, "both nodes have found the new master", func() bool {
		a, b := first.Stats(), second.Stats()
		return a.Down+b.Down+a.Pending+b.Pending == 0
	})
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	for _, s := range cluster.Servers[1:] {
		redistest.Wait(t, s.Addr+" has nothing of a room", func() bool { return s.Do("KEYS", "roost:presence*{*") == "" })
	}
}

func portOf(s *redistest.Server) string { return s.Addr[len("127.0.0.1:"):] }

// listenSharded hears the news of one room of a cluster until the test ends.
func listenSharded(t *testing.T, cluster *redistest.Cluster, room string) <-chan string {
	t.Helper()
	layout := redis.NewLayout("roost:", true)
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{cluster.Owner(layout.Slot(layout.Part(room))).Addr},
		ForceSingleClient: true, DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	heard, subscribed := make(chan string, 100), make(chan struct{})
	subscriber, release := client.Dedicate()
	t.Cleanup(release)
	subscriber.SetPubSubHooks(rueidis.PubSubHooks{
		OnSubscription: func(s rueidis.PubSubSubscription) {
			if s.Kind == "ssubscribe" {
				close(subscribed)
			}
		},
		OnMessage: func(m rueidis.PubSubMessage) {
			var p fanout.Publication
			if err := fanout.DecodeEnvelope(room, []byte(m.Message), &p); err != nil {
				heard <- err.Error()
				return
			}
			heard <- map[fanout.Kind]string{fanout.MemberJoined: "+", fanout.MemberLeft: "-"}[p.Kind] + p.From
		},
	})
	if err := subscriber.Do(context.Background(), subscriber.B().Ssubscribe().Channel(layout.Channel(room)).Build()).Error(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-subscribed:
	case <-time.After(10 * time.Second):
		t.Fatal("SSUBSCRIBE has no answer")
	}
	return heard
}

// Under Sentinel: the master is killed, and what is said again is at the next one.
func TestPresenceUnderSentinel(t *testing.T) {
	group := redistest.StartSentinel(t)
	p := startPresence(t, "redis+sentinel://"+group.Addresses()+"/"+group.Name, "node", givesUpSoon)
	p.Enter("room", "alice", true)
	waitTotal(t, p, "room", 1)
	master := group.Master()
	master.Kill()
	redistest.Wait(t, "another master is named", func() bool { return group.Master() != master })
	redistest.Wait(t, "alice and bob are there", func() bool {
		p.Refresh("room", []fanout.PresentUser{{User: "alice", Connections: 1}, {User: "bob", Connections: 1}}, true)
		a := askUsers(t, p, "room", 10)
		return a.err == nil && a.total == 2
	})
	if n := group.Master().Do("HLEN", "roost:presence:room"); n != "2" {
		t.Errorf("the new master has %q users", n)
	}
}
