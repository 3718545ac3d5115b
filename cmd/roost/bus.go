// The bus between nodes, as the configuration wants it: broker, presence, and what they tell of themselves.

package main

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime"

	"github.com/VictoriaMetrics/metrics"

	"github.com/roost-ws/roost/cmd/internal/config"
	"github.com/roost-ws/roost/engine"
	"github.com/roost-ws/roost/engine/auth"
	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/fanout/redis"
)

// bus is what connects a node with others, or stands in for it where it has none. Nothing of it runs before the
// server starts it.
type bus struct {
	broker   fanout.Broker
	presence fanout.Presence // nil: counted when somebody asks
	redis    *redis.Broker   // nil without Redis
	present  *redis.Presence
}

// newBus makes the bus of a node. log hears when it goes away and comes back.
func newBus(c *config.Config, log *slog.Logger) (*bus, error) {
	keep := retention(c)
	if c.Broker.Alone() {
		b := &bus{broker: fanout.NewMemory()}
		if keepsHistory(c) {
			b.broker = fanout.NewMemoryHistory(keep, int64(c.History.Memory))
		}
		if tellsPresence(c) {
			b.presence = fanout.NewMemoryPresence(fanout.MemoryPresenceOptions{Broker: b.broker})
		}
		return b, nil
	}
	broker, err := redis.New(redis.Options{
		URL:       string(c.Broker.URL),
		Node:      c.Node,
		Prefix:    c.Broker.Prefix,
		Retention: keep,
		MaxBytes:  int(c.Limits.MessageBytes) + envelopeBytes,
		Log:       log,
	})
	if err != nil {
		return nil, fmt.Errorf("broker.url: %w", err)
	}
	present, err := redis.NewPresence(redis.PresenceOptions{URL: string(c.Broker.URL), Node: c.Node, Prefix: c.Broker.Prefix,
		TTL: c.Presence.TTL, Log: log})
	if err != nil {
		return nil, fmt.Errorf("broker.url: %w", err)
	}
	return &bus{broker: broker, presence: present, redis: broker, present: present}, nil
}

// envelopeBytes is room for what stands around a publication's data on the bus: names of user and node.
const envelopeBytes = 4 << 10

// connect puts the bus into the options of a node.
func (b *bus) connect(c *config.Config, o *engine.Options) {
	o.Broker, o.Presence = b.broker, b.presence
	o.Peers, o.PresenceShared = b.redis != nil, b.redis != nil
	o.Linger = c.Broker.Linger
	o.StayLocal = b.redis != nil && c.Broker.Offline == config.OfflineLocal
}

// spareProcessor sees to it that Go's scheduler has one processor more than there are loops, unless the environment
// says how many it has. Loops wait for their sockets in the kernel and keep their processors meanwhile; when they have
// all of them, nobody is left to wait for the bus's sockets, which are then looked at every 10 ms. With two loops on two
// processors half of all publications took more than 6 ms from one node to another, and with a third 0.8 ms.
func (b *bus) spareProcessor(loops int) {
	if b.redis != nil && os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(max(runtime.GOMAXPROCS(0), loops+1))
	}
}

// retention says what a room keeps, by the rules; nodes' own rooms keep nothing.
func retention(c *config.Config) func(room string) fanout.Retention {
	rules, size, ttl := c.Rooms, c.History.Size, c.History.TTL
	return func(room string) fanout.Retention {
		if room == fanout.ControlRoom {
			return fanout.Retention{}
		}
		for i := range rules {
			if auth.MatchPattern(rules[i].Match, room) {
				return fanout.Retention{Size: rules[i].HistorySize, TTL: ttl}
			}
		}
		return fanout.Retention{Size: size, TTL: ttl}
	}
}

func keepsHistory(c *config.Config) bool {
	for i := range c.Rooms {
		if c.Rooms[i].HistorySize > 0 {
			return true
		}
	}
	return c.History.Size > 0
}

func tellsPresence(c *config.Config) bool {
	for i := range c.Rooms {
		if c.Rooms[i].PresenceEvents {
			return true
		}
	}
	return c.Presence.Events
}

// writeMetrics writes the figures of a bus in Prometheus text format, and nothing for a node that is alone. Any
// goroutine.
func (b *bus) writeMetrics(w io.Writer) {
	if b.redis == nil {
		return
	}
	s, p := b.redis.Stats(), b.present.Stats()
	for _, f := range []struct {
		name string
		v    uint64
	}{
		{"roost_broker_publishes_total", s.Publishes},
		{`roost_broker_refused_total{reason="busy"}`, s.Busy},
		{`roost_broker_refused_total{reason="failed"}`, s.Failed},
		{"roost_broker_received_total", s.Received},
		{`roost_broker_dropped_total{reason="damaged"}`, s.Damaged},
		{`roost_broker_dropped_total{reason="oversized"}`, s.Oversized},
		{"roost_broker_losses_total", s.Losses},
		{"roost_broker_reconnects_total", s.Reconnects},
		{"roost_broker_gaps_total", s.Gaps},
		{"roost_broker_restored_total", s.Restored},
		{"roost_presence_written_total", p.Written},
		{`roost_presence_dropped_total{reason="full"}`, p.Full},
		{`roost_presence_dropped_total{reason="failed"}`, p.Failed},
		{"roost_presence_expired_total", p.Expired},
	} {
		metrics.WriteCounterUint64(w, f.name, f.v)
	}
	metrics.WriteGaugeUint64(w, "roost_broker_rooms", uint64(max(s.Rooms, 0)))
	metrics.WriteGaugeUint64(w, "roost_broker_pending", uint64(max(s.Pending, 0)))
	metrics.WriteGaugeUint64(w, "roost_presence_pending", uint64(max(p.Pending, 0)))
}
