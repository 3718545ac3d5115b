package redis_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/fanout/fanouttest"
	"github.com/roost-ws/roost/fanout/redis"
	"github.com/roost-ws/roost/fanout/redis/redistest"
)

// newPresence returns a presence that waits for Start, with the settings that change leaves.
func newPresence(t testing.TB, url, node string, change ...func(*redis.PresenceOptions)) *redis.Presence {
	t.Helper()
	o := redis.PresenceOptions{URL: url, Node: node, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	for _, c := range change {
		c(&o)
	}
	p, err := redis.NewPresence(o)
	if err != nil {
		t.Fatal(err)
	}
	p.KeepListsFor(10 * time.Millisecond)
	return p
}

// presenceOn is the store that url names; get answers GET.
func presenceOn(url string, get func(key string) string) fanouttest.PresenceStore {
	return fanouttest.PresenceStore{
		Broker: func(t *testing.T) fanout.Broker { return open(t, url) },
		Open: func(t *testing.T, node string, ttl time.Duration, _ fanout.Broker) fanout.Presence {
			return newPresence(t, url, node, func(o *redis.PresenceOptions) { o.TTL = ttl })
		},
		Abandon:  func(_ *testing.T, p fanout.Presence) { p.(*redis.Presence).Abandon() },
		OnlineAt: func(_ *testing.T, user string) string { return get("roost:user:" + user + ":online") },
	}
}

func TestPresence(t *testing.T) {
	server := redistest.Start(t)
	fanouttest.RunPresence(t, presenceOn("redis://"+server.Addr, func(key string) string { return server.Do("GET", key) }))
}

// Rooms and users spread over two servers: each room's news and lists come from its own.
func TestPresenceOnSeveral(t *testing.T) {
	first, second := redistest.Start(t), redistest.Start(t)
	fanouttest.RunPresence(t, presenceOn("redis://"+first.Addr+","+second.Addr, func(key string) string {
		return first.Do("GET", key) + second.Do("GET", key)
	}))
}

// startPresence starts a presence that is closed with the test.
func startPresence(t testing.TB, url, node string, change ...func(*redis.PresenceOptions)) *redis.Presence {
	t.Helper()
	p := newPresence(t, url, node, change...)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() }) // a test that closes it itself looks at the error
	return p
}

// usersAnswer is what one Users was told.
type usersAnswer struct {
	users []fanout.PresentUser
	total int
	err   error
}

// askUsers calls Users once and waits for the answer.
func askUsers(t testing.TB, p *redis.Presence, room string, limit int) usersAnswer {
	t.Helper()
	answers := make(chan usersAnswer, 2)
	p.Users(room, limit, func(users []fanout.PresentUser, total int, err error) { answers <- usersAnswer{users, total, err} })
	select {
	case a := <-answers:
		return a
	case <-time.After(20 * time.Second):
		t.Fatalf("Users of %q was not answered", room)
		return usersAnswer{}
	}
}

// waitTotal waits until room has so many users.
func waitTotal(t testing.TB, p *redis.Presence, room string, total int) {
	t.Helper()
	redistest.Wait(t, fmt.Sprintf("%q has %d users", room, total), func() bool {
		a := askUsers(t, p, room, 1)
		return a.err == nil && a.total == total
	})
}

func manyUsers(n int) []fanout.PresentUser {
	users := make([]fanout.PresentUser, n)
	for i := range users {
		users[i] = fanout.PresentUser{User: fmt.Sprintf("user-%07d", i), Connections: 1}
	}
	return users
}

func withTTL(d time.Duration) func(*redis.PresenceOptions) {
	return func(o *redis.PresenceOptions) { o.TTL = d }
}

func TestPresenceOptions(t *testing.T) {
	for _, c := range []struct {
		name    string
		options redis.PresenceOptions
		want    string
	}{
		{"no url", redis.PresenceOptions{Node: "n"}, "URL"},
		{"no node", redis.PresenceOptions{URL: "redis://h"}, "node"},
		{"a brace", redis.PresenceOptions{URL: "redis://h", Node: "n", Prefix: "{a}"}, "brace"},
		{"too short", redis.PresenceOptions{URL: "redis://h", Node: "n", TTL: time.Millisecond}, "presence.ttl"},
		{"negative", redis.PresenceOptions{URL: "redis://h", Node: "n", TTL: -time.Minute}, "presence.ttl"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, err := redis.NewPresence(c.options); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want an error that names %q", err, c.want)
			}
		})
	}
}

// No two names have a key in common, whatever bytes they are of.
func TestPresenceKeysAreInjective(t *testing.T) {
	layouts := []redis.Layout{redis.NewLayout("roost:", false), redis.NewLayout("", false, "a:1", "b:2"), redis.NewLayout("roost:", true)}
	rapid.Check(t, func(t *rapid.T) {
		layout := rapid.SampledFrom(layouts).Draw(t, "layout")
		name := rapid.OneOf(rapid.String(), rapid.StringMatching(`[:{}a]{0,6}(:online)?`), rapid.Map(rapid.SliceOf(rapid.Byte()),
			func(b []byte) string { return string(b) }))
		seen := map[string]string{}
		for _, name := range []string{name.Draw(t, "one"), name.Draw(t, "other")} {
			for kind, key := range redis.PresenceKeys(layout, name) {
				what := kind + " of " + name
				if before, taken := seen[key]; taken && before != what {
					t.Fatalf("%q is the key of %q and of %q", key, before, what)
				}
				seen[key] = what
			}
		}
	})
}

// A room with more users than are kept is cut, and its total stays right. Nothing is kept for longer than it is good for.
func TestPresenceListBounds(t *testing.T) {
	server := redistest.Start(t)
	p := startPresence(t, "redis://"+server.Addr, nodeName(), func(o *redis.PresenceOptions) { o.MaxUsers, o.MaxHeld = 1500, 4000 })
	p.Refresh("cut", manyUsers(5000), false)
	waitTotal(t, p, "cut", 5000)
	if a := askUsers(t, p, "cut", 1<<20); len(a.users) != 1500 || a.total != 5000 {
		t.Errorf("%d users, %d in all, want 1500 and 5000", len(a.users), a.total)
	}
	for i := range 20 {
		room := fmt.Sprint("held.", i)
		p.Refresh(room, manyUsers(1000), false)
		waitTotal(t, p, room, 1000)
		if held := p.Stats().Held; held > 4000 {
			t.Fatalf("%d users are held, the bound is 4000", held)
		}
	}
	redistest.Wait(t, "nothing is held", func() bool { return p.Stats().Held == 0 })
}

// However many ask for a room at the same time, its list is read once; and too many rooms are refused.
func TestPresenceAsksOnce(t *testing.T) {
	const questions, rooms = 1000, 600
	server := redistest.Start(t)
	p := startPresence(t, "redis://"+server.Addr, nodeName(), func(o *redis.PresenceOptions) { o.Timeout = 20 * time.Second })
	p.KeepListsFor(time.Minute)
	p.Enter("asked", "alice", false)
	redistest.Wait(t, "the change is written", func() bool { return p.Stats().Written == 1 })
	server.Pause()
	answers := make(chan usersAnswer, questions+rooms+1)
	tell := func(users []fanout.PresentUser, total int, err error) { answers <- usersAnswer{users, total, err} }
	for range questions {
		p.Users("asked", 10, tell)
	}
	for i := range rooms {
		p.Users(fmt.Sprint("asked.", i), 10, tell)
	}
	server.Continue()
	busy, full := 0, 0
	for range questions + rooms {
		select {
		case a := <-answers:
			switch {
			case errors.Is(a.err, fanout.ErrBusy):
				busy++
			case a.err != nil:
				t.Fatal(a.err)
			case a.total == 1:
				full++
			}
		case <-time.After(20 * time.Second):
			t.Fatal("a question was not answered")
		}
	}
	stats := p.Stats()
	if full != questions || busy == 0 || stats.Refused != uint64(busy) || int(stats.Lists) != 1+rooms-busy {
		t.Errorf("%d answers, %d busy, %+v", full, busy, stats)
	}
}

// A killed node with many users: each is told as left once, though one call takes out few.
func TestPresenceTakesOutMany(t *testing.T) {
	const ghosts = 1234
	server := redistest.Start(t)
	url := "redis://" + server.Addr
	heard := hearMembers(t, url, "ghosts")
	dying := newPresence(t, url, "dying", withTTL(time.Second))
	if err := dying.Start(); err != nil {
		t.Fatal(err)
	}
	staying := startPresence(t, url, "staying")
	staying.Enter("ghosts", "alice", true)
	dying.Refresh("ghosts", manyUsers(ghosts), true)
	waitTotal(t, staying, "ghosts", ghosts+1)
	dying.Abandon()
	waitTotal(t, staying, "ghosts", 1)
	redistest.Wait(t, "all are told as left", func() bool {
		staying.Refresh("ghosts", []fanout.PresentUser{{User: "alice", Connections: 1}}, true)
		return heard.count(fanout.MemberLeft) >= ghosts
	})
	if left, expired := heard.count(fanout.MemberLeft), staying.Stats().Expired; left != ghosts || expired != ghosts {
		t.Errorf("%d are told as left and %d taken out, want %d", left, expired, ghosts)
	}
	if n := server.Do("ZCARD", "roost:presence-due:ghosts"); n != "1" {
		t.Errorf("%s users are in the set, want 1", n)
	}
}

// A room that nobody repeats is gone from Redis, and a shorter TTL beside a longer one takes nothing with it.
func TestPresenceKeysExpire(t *testing.T) {
	server := redistest.Start(t)
	url := "redis://" + server.Addr
	short, long := startPresence(t, url, "short", withTTL(time.Second)), startPresence(t, url, "long")
	long.Enter("both", "alice", false)
	waitTotal(t, long, "both", 1)
	for _, room := range []string{"both", "gone"} {
		short.Enter(room, "bob", false)
	}
	short.Online("bob")
	waitTotal(t, long, "gone", 1)
	redistest.Wait(t, "the room's keys are gone", func() bool {
		return server.Do("EXISTS", "roost:presence:gone", "roost:presence-due:gone", "roost:user:bob:online") == "0"
	})
	waitTotal(t, long, "both", 1)
	for _, key := range []string{"roost:presence:both", "roost:presence-due:both"} {
		if left, err := strconv.Atoi(server.Do("PTTL", key)); err != nil || left < 30_000 || left > 60_000 {
			t.Errorf("%s ends in %d ms, %v", key, left, err)
		}
	}
}

// Records are read from a server that anybody may have written to.
func FuzzPresenceRecords(f *testing.F) {
	record := "generati" + "\x00\x00\x00\x03" + "\x01\x9d\x00\x00\x00\x00"
	for _, seed := range []string{"", record, record + record, record[:17], strings.Repeat("\xff", 36)} {
		f.Add(seed, int64(1))
	}
	if got := redis.CountConnections(record+record, 1); got != 6 {
		f.Errorf("%d connections, want 6", got)
	}
	if got := redis.CountConnections(record, 1<<42); got != 0 {
		f.Errorf("%d connections of a record that has ended", got)
	}
	f.Fuzz(func(t *testing.T, records string, now int64) {
		got := redis.CountConnections(records, now)
		sum := 0
		for rest := records; len(rest) >= 18; rest = rest[18:] { // cut anywhere between records it is the same
			sum += redis.CountConnections(rest[:18], now)
		}
		if got != sum || got < 0 {
			t.Errorf("%d connections, one by one %d", got, sum)
		}
	})
}
