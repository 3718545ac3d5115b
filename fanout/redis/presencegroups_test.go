package redis_test

// Presence on a cluster and under Sentinel, with a master that goes.

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/redis/rueidis"
	"go.uber.org/goleak"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/fanout/fanouttest"
	"github.com/roost-ws/roost/fanout/redis/redistest"
)

// All cases, with news on sharded channels; then a master is killed, and its replica has all that is said again.
func TestPresenceOnACluster(t *testing.T) {
	const rooms = 60
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { // rueidis has one that closes connections after five seconds
		redistest.Wait(t, "no goroutine is left", func() bool { return goleak.Find(leaks) == nil })
	})
	cluster := redistest.StartCluster(t, 3, 1)
	url := "redis+cluster://" + cluster.Addresses()
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: strings.Split(cluster.Addresses(), ","), DisableCache: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	patience := func(milliseconds string) { // which a busy machine needs more of than one where a master is to be missed
		for _, s := range cluster.Servers {
			s.Do("CONFIG", "SET", "cluster-node-timeout", milliseconds)
		}
	}
	patience("30000")
	t.Run("cases", func(t *testing.T) {
		store := presenceOn(url, func(key string) string {
			node, _ := client.Do(context.Background(), client.B().Get().Key(key).Build()).ToString() // nil is no node
			return node
		})
		store.Ignore = []goleak.Option{ // which end by themselves, the first after five seconds and the other after one
			goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient)._refresh.func2"),
			goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*call).DelayDo.func1")}
		fanouttest.RunPresence(t, store)
	})

	room := func(i int) string { return fmt.Sprint("room.", i) }
	first, second := startPresence(t, url, "first", givesUpSoon), startPresence(t, url, "second", givesUpSoon)
	for i := range rooms {
		first.Enter(room(i), "alice", true)
		waitTotal(t, second, room(i), 1)
	}
	patience("1000")
	cluster.Servers[0].Kill()
	refresh := func() {
		for i := range rooms {
			first.Refresh(room(i), []fanout.PresentUser{{User: "alice", Connections: 1}}, false)
			second.Refresh(room(i), []fanout.PresentUser{{User: "alice", Connections: 2}, {User: "zoe", Connections: 1}}, false)
		}
	}
	redistest.Wait(t, "everybody is back", func() bool {
		refresh()
		for i := range rooms {
			a := askUsers(t, second, room(i), 10)
			if a.err != nil || !slices.Equal(a.users, []fanout.PresentUser{{User: "alice", Connections: 3}, {User: "zoe", Connections: 1}}) {
				return false
			}
		}
		return true
	})
	redistest.Wait(t, "both nodes have found the new master", func() bool {
		refresh()
		redistest.Wait(t, "the queues are empty", func() bool { return first.Stats().Pending+second.Stats().Pending == 0 })
		a, b := first.Stats(), second.Stats()
		return a.Down+b.Down == 0
	})
	if err := second.Close(); err != nil {
		t.Error(err)
	}
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	for _, s := range cluster.Servers[1:] {
		redistest.Wait(t, s.Addr+" has nothing of a room", func() bool {
			return s.Do("KEYS", "roost:presence:*")+s.Do("KEYS", "roost:presence-due:*") == ""
		})
	}
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
