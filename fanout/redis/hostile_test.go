package redis_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/fanout/fanouttest"
	"github.com/roost-ws/roost/fanout/redis"
	"github.com/roost-ws/roost/fanout/redis/redistest"
)

// What others write on a room's channel is dropped, counted, and seldom logged.
func TestHostileBytes(t *testing.T) {
	server := redistest.Start(t)
	log := &lines{}
	b := open(t, "redis://"+server.Addr, func(o *redis.Options) {
		o.Retention, o.MaxBytes, o.Log = keepsSome, 1000, log.logger()
	})
	hearing := fanouttest.NewLedger().Hearing()
	if err := b.Start(hearing); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	subscribe(t, b, "plain.a", "kept.a")
	hostile := []string{"", "x", "{", "{}", "\x00", "\x01", "\x01\xff\xff", "\x02", "\x02::", "\x02e:0:\x01\x00\x00", "\x01\x01\x00\xff",
		`{"roomId":"other","content":1}`, `{"roomId":"plain.a","content":1} x`}
	// Packs: empty, cut, or with a member that belongs into none.
	hostile = append(hostile, "\x03", "\x03\x80", "\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "\x03\x04\x01\x00\x00", "\x03\x00",
		"\x03\x05\x03\x03\x01\x00\x00", "\x03\x08\x02e:1:\x01\x00\x00", "\x02e:1:\x03\x04\x01\x00\x001", "\x03\x04\x01\x01\x00\xff", "\x03\x02{}")
	for range 100 {
		for _, payload := range hostile {
			server.Do("PUBLISH", "roost:room:plain.a", payload)
		}
	}
	server.Do("PUBLISH", "roost:room:plain.a", `{"roomId":"plain.a","content":"`+strings.Repeat("x", 2000)+`"}`)
	server.Do("PUBLISH", "roost:room:kept.a", `{"roomId":"kept.a","content":1}`)
	server.Do("PUBLISH", "roost:room:plain.a", `{"roomId":"plain.a","content":1}`)
	redistest.Wait(t, "the good one is heard", func() bool { n, _ := hearing.Heard("plain.a"); return n == 1 })
	stats := b.Stats()
	if stats.Damaged != uint64(100*len(hostile)) || stats.Oversized != 1 || stats.Received != 2 {
		t.Errorf("the figures are %+v", stats)
	}
	if _, gaps := hearing.Heard("plain.a"); gaps != 1 {
		t.Errorf("%d gaps are told, want one for what was too large", gaps)
	}
	if n := log.count(); n > 60 {
		t.Errorf("%d lines are logged for %d messages", n, stats.Damaged)
	}
	hostilePacks(t, server, b, hearing)
	if err := publish(t, b, "plain.a", strings.Repeat("x", 2000)); !errors.Is(err, redis.ErrTooLarge) {
		t.Errorf("publishing too much: %v, want ErrTooLarge", err)
	}
}

// hostilePacks goes on where TestHostileBytes stands: what is good in a pack is heard, whatever stands beside it.
func hostilePacks(t *testing.T, server *redistest.Server, b *redis.Broker, hearing *fanouttest.Hearing) {
	t.Helper()
	const good, large = "\x01\x02\x00data", "\x01\x02\x00"
	before := b.Stats()
	// A pack may be larger than what a publication may have; no member may.
	mixed := fanout.AppendPacked(nil, good)
	for range 2000 {
		mixed = fanout.AppendPacked(mixed, "\x01")
	}
	mixed = fanout.AppendPacked(mixed, large+strings.Repeat("x", 1001-len(large)))
	mixed = fanout.AppendPacked(mixed, large+strings.Repeat("x", 1000-len(large)))
	server.Do("PUBLISH", "roost:room:plain.a", string(mixed))
	// One that is larger than any node's pack is not even taken apart.
	whole := fanout.AppendPacked(nil, good)
	for len(whole) <= 16<<10 {
		whole = fanout.AppendPacked(whole, good)
	}
	server.Do("PUBLISH", "roost:room:plain.a", string(whole))
	server.Do("PUBLISH", "roost:room:plain.a", string(fanout.AppendPacked(nil, good))+"\x7f")
	redistest.Wait(t, "the good ones are heard", func() bool { return b.Stats().Received >= before.Received+3 })
	redistest.Wait(t, "what is cut is counted", func() bool { return b.Stats().Damaged >= before.Damaged+2001 })
	stats := b.Stats()
	if stats.Received != before.Received+3 || stats.Damaged != before.Damaged+2001 || stats.Oversized != before.Oversized+2 {
		t.Errorf("after hostile packs the figures are %+v, before %+v", stats, before)
	}
	if _, gaps := hearing.Heard("plain.a"); gaps != 3 {
		t.Errorf("%d gaps are told, want two more for what was too large", gaps)
	}
}
