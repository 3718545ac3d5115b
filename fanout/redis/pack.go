package redis

// What of a batch travels together: publications of one room that keep no place in a history go out as one pack. Nothing
// waits for that; it is only done with what waits for the writer anyway.

import (
	"slices"

	"github.com/redis/rueidis"

	"github.com/roost-ws/roost/fanout"
)

// packBytes is the most that a pack of several has. A PUBLISH costs Redis, and each node that hears it, about as much as
// some KiB of its bytes; with this many its own cost is next to nothing. More would only make a node's reader wait for
// the last byte of a pack before it delivers the first, and hold larger buffers.
const packBytes = 16 << 10

// packer makes packs of a writer's batches. It is the writer's, and its memory is used again.
type packer struct {
	batch []outgoing
	ready []outgoing
	packs []pack         // of each of ready
	next  []int          // of each of batch, the index of the next in its pack
	last  map[string]int // of each room, the index of its last of ready
}

// pack is the members of one, which are a list in the packer's next. As a Completion it completes each of them.
type pack struct {
	of                        *packer
	first, last, count, bytes int
}

// Published implements [fanout.Completion].
func (c *pack) Published(pos fanout.Position, err error) {
	for i, n := c.first, 0; n < c.count; i, n = c.of.next[i], n+1 {
		c.of.batch[i].finish(pos, err)
	}
}

// pack returns what is to be sent for batch: packs, and as they are those that are alone or take part in a history. What
// is of one room stays in its order. The result is good until forget.
func (k *packer) pack(batch []outgoing) []outgoing {
	k.batch = batch
	k.next = slices.Grow(k.next[:0], len(batch))[:len(batch)]
	if k.last == nil {
		k.last = map[string]int{}
	}
	at := -1
	for i := range batch {
		p := &batch[i]
		found := i > 0 && p.room == batch[i-1].room // as it often is
		if !found {
			at, found = k.last[p.room]
		}
		bytes := fanout.PackedBytes(len(p.envelope))
		if found && p.kept.Size == 0 && k.ready[at].kept.Size == 0 && k.packs[at].bytes+bytes <= packBytes {
			c := &k.packs[at]
			k.next[c.last] = i
			c.last, c.count, c.bytes = i, c.count+1, c.bytes+bytes
			continue
		}
		at = len(k.ready)
		k.last[p.room] = at
		k.ready = append(k.ready, *p)
		k.packs = append(k.packs, pack{of: k, first: i, last: i, count: 1, bytes: 1 + bytes})
	}
	for at := range k.ready {
		if c := &k.packs[at]; c.count > 1 {
			k.ready[at].envelope, k.ready[at].done, k.ready[at].members = k.packed(c), c, c.count
		}
	}
	return k.ready
}

// packed is a pack's bytes, in memory of their own: see link.publish.
func (k *packer) packed(c *pack) string {
	b := make([]byte, 0, c.bytes)
	for i, n := c.first, 0; n < c.count; i, n = k.next[i], n+1 {
		b = fanout.AppendPacked(b, k.batch[i].envelope)
	}
	return rueidis.BinaryString(b)
}

// forget lets go of the batch.
func (k *packer) forget() {
	clear(k.ready)
	clear(k.last)
	k.batch, k.ready, k.packs = nil, k.ready[:0], k.packs[:0]
}

// unpack hands what a pack holds to the sink, each as if it had come alone. The caller holds the part's deliver.
func (h *hearing) unpack(part *part, room, channel string) {
	for envelope, err := range fanout.Unpack(h.data) {
		switch {
		case err != nil:
			h.damaged(channel, err)
		case len(envelope) > h.b.options.MaxBytes:
			h.oversized(part, room, channel)
		default:
			h.decode(part, room, channel, envelope)
		}
	}
}
