package redis

// A part of the rooms: those that are always on one server together. Which of them this node is subscribed to, and how
// what is heard reaches the sink in order.

import (
	"slices"
	"sync"

	"github.com/redis/rueidis"

	"github.com/roost-ws/roost/fanout"
)

// part is all rooms of one server, or of one partition of a cluster.
type part struct {
	// Changed by whoever executes requests for the part; see link.
	mu    sync.Mutex
	link  *link // who serves the part; nil when no server of a cluster does
	rooms map[string]struct{}

	// deliver is held through every call into the sink for rooms of this part, so that calls for one room never
	// overlap when an old line still speaks while a new one has begun. Nothing that the sink may call takes it.
	deliver sync.Mutex
	line    *line // the one that is believed
	// gaps are rooms that wait for their HandleGap: subscribed again on line, but not yet told where their stream is.
	gaps map[string]struct{}
}

func newPart() *part {
	return &part{rooms: map[string]struct{}{}, gaps: map[string]struct{}{}}
}

func (p *part) owner() *link {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.link
}

func (p *part) add(rooms []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, room := range rooms {
		p.rooms[room] = struct{}{}
	}
}

func (p *part) remove(room string) {
	p.mu.Lock()
	delete(p.rooms, room)
	p.mu.Unlock()
	p.deliver.Lock()
	delete(p.gaps, room)
	p.deliver.Unlock()
}

// names returns all subscribed rooms, and still those of names that are subscribed still.
func (p *part) names() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	names := make([]string, 0, len(p.rooms))
	for name := range p.rooms {
		names = append(names, name)
	}
	return names
}

func (p *part) still(names []string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(names, func(name string) bool {
		_, subscribed := p.rooms[name]
		return !subscribed
	})
}

func (p *part) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.rooms)
}

// believe makes l the line whose publications are delivered, and no other's.
func (p *part) believe(l *line) {
	p.deliver.Lock()
	defer p.deliver.Unlock()
	p.line = l
	clear(p.gaps)
}

func (p *part) believes(l *line) bool {
	p.deliver.Lock()
	defer p.deliver.Unlock()
	return p.line == l
}

// move makes l the link that serves the part, and reports whether it was another.
func (p *part) move(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	changed := p.link != l
	p.link = l
	return changed
}

func (p *part) has(room string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, subscribed := p.rooms[room]
	return subscribed
}

// expectGaps says that rooms are about to be subscribed again on the part's line.
func (p *part) expectGaps(rooms []string) {
	p.deliver.Lock()
	defer p.deliver.Unlock()
	for _, room := range rooms {
		p.gaps[room] = struct{}{}
	}
}

// hooks are what a line's reader calls. They decode and call the sink, which only posts to mailboxes; nothing else may
// happen there, since every answer on the connection waits behind it.
func (b *Broker) hooks(l *line) rueidis.PubSubHooks {
	h := &hearing{b: b, line: l}
	return rueidis.PubSubHooks{OnMessage: h.message, OnSubscription: h.subscription}
}

// hearing is what a line's reader owns.
type hearing struct {
	b           *Broker
	line        *line
	data        []byte
	publication fanout.Publication
}

// keptScratch is how large a scratch buffer is kept for the next message.
const keptScratch = 64 << 10

func (h *hearing) message(m rueidis.PubSubMessage) {
	room, index, ok := h.b.room(m.Channel)
	if !ok {
		h.b.drop(&h.b.counters.damaged, "a message came on a channel that is none of ours", m.Channel, nil)
		return
	}
	part := h.b.parts[index]
	part.deliver.Lock()
	defer part.deliver.Unlock()
	if part.line != h.line {
		return // the room is heard by another line now, or will be told of a gap when it is
	}
	most, pack := h.b.options.MaxBytes+positionBytes, fanout.IsPack(m.Message)
	if pack {
		most = packBytes // and each member is held against MaxBytes
	}
	if len(m.Message) > most {
		h.oversized(part, room, m.Channel)
		return
	}
	// The bytes are the sink's only during the call, so one buffer does for all.
	h.data = append(h.data[:0], m.Message...)
	if pack {
		h.unpack(part, room, m.Channel)
	} else {
		h.decode(part, room, m.Channel, h.data)
	}
	if cap(h.data) > keptScratch {
		h.data = nil
	}
}

// decode reads one envelope and delivers what is in it.
func (h *hearing) decode(part *part, room, channel string, envelope []byte) {
	if err := fanout.DecodeEnvelope(room, envelope, &h.publication); err != nil {
		h.damaged(channel, err)
		return
	}
	h.deliver(part, room)
}

func (h *hearing) damaged(channel string, err error) {
	h.b.drop(&h.b.counters.damaged, "what came on a room's channel is no publication", channel, err)
}

func (h *hearing) oversized(part *part, room, channel string) {
	h.b.drop(&h.b.counters.oversized, "a publication is larger than this node accepts", channel, nil)
	h.b.tellGap(part, room, fanout.Position{})
}

func (h *hearing) deliver(part *part, room string) {
	p := &h.publication
	if len(part.gaps) > 0 {
		if _, waiting := part.gaps[room]; waiting && p.Position.Offset > 0 {
			// This is the first that is heard again, so all that was lost lies before it.
			h.b.tellGap(part, room, fanout.Position{Epoch: p.Position.Epoch, Offset: p.Position.Offset - 1})
		}
	}
	h.b.counters.received.Add(1)
	h.b.sink.HandlePublication(p)
}

// subscription hears that Redis has done what it was asked to. A room that keeps nothing is told of its gap right here,
// before anything that is heard after it; one with a history when its position is known.
func (h *hearing) subscription(s rueidis.PubSubSubscription) {
	room, index, ok := h.b.room(s.Channel)
	if !ok {
		return
	}
	part := h.b.parts[index]
	if s.Kind != "subscribe" && s.Kind != "ssubscribe" {
		h.unsubscribed(part, room)
		return
	}
	part.deliver.Lock()
	defer part.deliver.Unlock()
	if _, waiting := part.gaps[room]; !waiting || part.line != h.line || h.b.options.Retention(room).Size > 0 {
		return
	}
	h.b.tellGap(part, room, fanout.Position{})
}

// unsubscribed hears that a room is no longer subscribed. When nobody asked for that, its slot has moved to another
// server of the cluster, and the part is believed nowhere until the topology says where it is.
func (h *hearing) unsubscribed(part *part, room string) {
	if !h.b.layout.cluster || !part.has(room) {
		return
	}
	part.deliver.Lock()
	defer part.deliver.Unlock()
	if part.line == h.line {
		part.line = nil
		clear(part.gaps)
		h.b.unsettle()
	}
}

// settleGap tells room of its gap unless a publication was faster.
func (b *Broker) settleGap(part *part, l *line, room string, pos fanout.Position) {
	part.deliver.Lock()
	defer part.deliver.Unlock()
	if _, waiting := part.gaps[room]; !waiting || part.line != l {
		return
	}
	b.tellGap(part, room, pos)
}

// tellGap tells room of a gap before pos. The caller holds the part's deliver.
func (b *Broker) tellGap(part *part, room string, pos fanout.Position) {
	delete(part.gaps, room)
	b.counters.gaps.Add(1)
	b.sink.HandleGap(room, pos)
}
