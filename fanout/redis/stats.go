package redis

// Figures about a broker, and what is dropped.

import (
	"sync/atomic"
	"time"
)

// Stats are a Broker's figures since it was made, and what it holds now. They are read one after another, not at one
// instant.
type Stats struct {
	Publishes uint64 // calls of Publish while open
	Busy      uint64 // of these, refused because the queue was full
	Failed    uint64 // of these, refused or lost for another reason
	Restored  uint64 // publications that Redis had acknowledged and lost, and took again

	Received  uint64 // publications handed to the sink
	Damaged   uint64 // messages dropped because they were no publications
	Oversized uint64 // publications dropped because they were larger than MaxBytes; their rooms hear of a gap

	Losses     uint64 // connections that were lost
	Reconnects uint64 // and that came back
	Gaps       uint64 // calls of HandleGap

	Rooms   int // subscribed
	Pending int // publications that wait
	Links   int // servers
	Up      int // servers that can be reached
}

type counters struct {
	publishes, busy, failed      atomic.Uint64
	restored                     atomic.Uint64
	received, damaged, oversized atomic.Uint64
	losses, reconnects, gaps     atomic.Uint64
	loggedDrop                   atomic.Int64 // Unix nanoseconds
}

// Stats returns the figures. Any goroutine may call it; it takes some locks for a moment.
func (b *Broker) Stats() Stats {
	c := &b.counters
	s := Stats{Publishes: c.publishes.Load(), Busy: c.busy.Load(), Failed: c.failed.Load(), Received: c.received.Load(),
		Restored: c.restored.Load(), Damaged: c.damaged.Load(), Oversized: c.oversized.Load(),
		Losses: c.losses.Load(), Reconnects: c.reconnects.Load(), Gaps: c.gaps.Load()}
	for _, p := range b.parts {
		s.Rooms += p.count()
	}
	for _, l := range b.allLinks() {
		s.Links++
		s.Pending += l.out.pending()
		if l.up() {
			s.Up++
		}
	}
	return s
}

// drop counts what is dropped and says so once a second at most: whoever can write into the bus should not fill the log
// too.
func (b *Broker) drop(counter *atomic.Uint64, why, where string, err error) {
	n := counter.Add(1)
	now, last := time.Now().UnixNano(), b.counters.loggedDrop.Load()
	if now-last < int64(time.Second) || !b.counters.loggedDrop.CompareAndSwap(last, now) {
		return
	}
	if len(where) > 200 {
		where = where[:200]
	}
	b.log.Warn(why, "where", where, "dropped", n, "error", err)
}
