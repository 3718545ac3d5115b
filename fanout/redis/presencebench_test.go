package redis_test

import (
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/fanout/redis"
	"github.com/roost-ws/roost/fanout/redis/redistest"
)

// A room of 100,000: what it takes to fill, to refresh and to list it, on one node, and what it holds in Redis. The
// server is on the same machine and shares its processors, so a rate is what both together manage; with a server that has
// its own it is better. "redis-us" is the server's own time for each user, which does not depend on that.
func BenchmarkPresenceLargeRoom(b *testing.B) {
	const users = 100_000
	server := redistest.Start(b)
	p := startPresence(b, "redis://"+server.Addr, nodeName())
	everybody := manyUsers(users)
	for _, u := range everybody { // names in an order that is none
		p.Enter("warm", u.User, false)
	}
	waitWritten(b, p)
	b.Run("enter", func(b *testing.B) {
		for round := 0; b.Loop(); round++ {
			measure(b, server, users, func() {
				for i := range everybody {
					p.Enter("large", everybody[i*7919%users].User, true)
				}
				waitWritten(b, p)
			})
			b.StopTimer()
			if total := askUsers(b, p, "large", 0).total; total != users {
				b.Fatalf("%d users", total)
			}
			held := bytesOf(b, server, "roost:presence:large") + bytesOf(b, server, "roost:presence-due:large")
			b.ReportMetric(held/users, "redis-B/user")
			server.Do("DEL", "roost:presence:large", "roost:presence-due:large")
			b.StartTimer()
		}
	})
	b.Run("refresh", func(b *testing.B) {
		for b.Loop() {
			measure(b, server, users, func() {
				p.Refresh("warm", everybody, true)
				waitWritten(b, p)
			})
		}
	})
	b.Run("list", func(b *testing.B) {
		for b.Loop() {
			redistest.Wait(b, "no list is kept", func() bool { return p.Stats().Held == 0 })
			measure(b, server, users, func() {
				if a := askUsers(b, p, "warm", 100); a.err != nil || a.total != users {
					b.Fatalf("%d users, %v", a.total, a.err)
				}
			})
		}
	})
	if s := p.Stats(); s.Full+s.Failed > 0 {
		b.Errorf("%+v", s)
	}
}

// Many rooms of ten, as most are.
func BenchmarkPresenceSmallRooms(b *testing.B) {
	const rooms, each = 5000, 10
	server := redistest.Start(b)
	p := startPresence(b, "redis://"+server.Addr, nodeName())
	everybody := manyUsers(each)
	names := make([]string, rooms)
	for i := range names {
		names[i] = fmt.Sprint("small.", i)
	}
	for b.Loop() {
		measure(b, server, rooms*each, func() {
			for _, room := range names {
				p.Refresh(room, everybody, true)
			}
			waitWritten(b, p)
		})
	}
	held := 0.0
	for _, room := range names[:100] {
		held += bytesOf(b, server, "roost:presence:"+room) + bytesOf(b, server, "roost:presence-due:"+room)
	}
	b.ReportMetric(held/100/each, "redis-B/user")
}

// measure runs do and reports how fast it went through users, and what Redis spent on each.
func measure(b *testing.B, server *redistest.Server, users float64, do func()) {
	b.Helper()
	cpu, begun := cpuOf(b, server), time.Now()
	do()
	took := time.Since(begun)
	b.ReportMetric(users/took.Seconds(), "users/s")
	b.ReportMetric((cpuOf(b, server)-cpu)/users*1e6, "redis-us/user")
}

func waitWritten(b *testing.B, p *redis.Presence) {
	b.Helper()
	for late := time.Now().Add(time.Minute); p.Stats().Pending > 0; runtime.Gosched() {
		if time.Now().After(late) {
			b.Fatal("the queue does not become empty")
		}
		time.Sleep(100 * time.Microsecond)
	}
}

func bytesOf(b *testing.B, server *redistest.Server, key string) float64 {
	b.Helper()
	n, err := strconv.Atoi(server.Do("MEMORY", "USAGE", key, "SAMPLES", "0"))
	if err != nil {
		b.Fatalf("%s: %v", key, err)
	}
	return float64(n)
}

// cpuOf returns the seconds of processor time that the server has used.
func cpuOf(b *testing.B, server *redistest.Server) (seconds float64) {
	b.Helper()
	for line := range strings.Lines(server.Do("INFO", "cpu")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name != "used_cpu_sys" && name != "used_cpu_user" {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			b.Fatal(err)
		}
		seconds += n
	}
	return seconds
}
