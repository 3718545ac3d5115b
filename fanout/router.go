package fanout

// Which loops of this node want which room: the way from the broker to the loops, and the figures about it.

import (
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// RouterOptions are a Router's settings; the zero value is usable.
type RouterOptions struct {
	// Linger is how long the node stays subscribed to a room after its last loop dropped it, up to an eighth
	// longer; 0 means that it unsubscribes at once. 5 to 30 s spare a bus most of the churn of people reloading.
	Linger time.Duration
	// Name and Node are this node, if it is to know of others on the bus; see [Control].
	Name string
	Node Node
	// StayLocal lets members go on talking on this node while the bus is away, but in rooms for which Keeps reports
	// that they keep history (nil: none does); see offline.go.
	StayLocal bool
	Keeps     func(room string) bool
}

// Router is the [Sink] of a node: it remembers which loops want which room, keeps the node subscribed to just those
// rooms, and hands each publication to the loops that want it. All its methods may be called from any goroutine and
// none blocks, but Start and Close.
//
// Measured with a million rooms, beside the bytes of their names: a room that is wanted and confirmed is one map slot
// of some 120 B, one that lingers another 185 B. Go's maps do not shrink; the slots wait for later rooms.
type Router struct {
	// Static after NewRouter.
	broker  Broker
	history History // broker, if it keeps any
	local   Local
	control *Control // nil for a node that is alone
	name    string
	offline *offline // nil if nothing works without the bus
	keeps   func(room string) bool
	linger  time.Duration
	seed    maphash.Seed
	born    time.Time
	after   func(time.Duration, func()) // calls a function on a goroutine of its own
	wake    chan struct{}               // the first room began to linger; holds one
	stop    chan struct{}               // closed by Close
	// Any goroutine.
	closed    atomic.Bool
	lingering atomic.Int64
	counters  counters
	shards    [shardCount]shard
	// Start and Close.
	sweeping sync.WaitGroup
}

// NewRouter returns a Router between broker and local. It calls neither before Start.
func NewRouter(broker Broker, local Local, options RouterOptions) *Router {
	r := &Router{broker: broker, local: local, linger: max(options.Linger, 0), seed: maphash.MakeSeed(),
		born: time.Now(), wake: make(chan struct{}, 1), stop: make(chan struct{})}
	for i := range r.shards {
		s := &r.shards[i]
		s.wanted, s.unsettled = map[string]LoopSet{}, map[string]*unsettled{}
		s.lingering.total = &r.lingering
	}
	r.history, _ = broker.(History)
	r.after = func(d time.Duration, f func()) { time.AfterFunc(d, f) }
	if options.Node != nil {
		r.control = newControl(options.Name, options.Node)
	}
	if r.name = options.Name; options.StayLocal {
		r.offline, r.keeps = newOffline(), options.Keeps
	}
	return r
}

// Start starts the broker with the Router as its sink. It is called once, before anything else, and takes as long as
// [Broker.Start]; its error is the broker's.
func (r *Router) Start() error {
	if err := r.broker.Start(r); err != nil {
		return fmt.Errorf("starting the broker: %w", err)
	}
	if r.linger > 0 {
		r.sweeping.Go(r.sweep)
	}
	if r.offline != nil {
		r.sweeping.Go(r.catchUp)
	}
	if r.control != nil {
		r.control.start(r)
	}
	return nil
}

// Publish passes p on to the broker; see [Broker.Publish]. It returns here through HandlePublication if the node
// wants the room.
func (r *Router) Publish(p *Publication, done Completion) {
	if r.offline != nil && !r.broker.Up() {
		r.publishAway(p, done)
		return
	}
	r.broker.Publish(p, done)
}

// HandlePublication implements [Sink]: one lookup, then Local.Deliver on the same goroutine. A publication that no
// loop wants is counted and dropped; one that has a Position is looked at more closely, see stream.go.
func (r *Router) HandlePublication(p *Publication) {
	if r.control != nil && p.Room == ControlRoom {
		r.control.hear(p)
		return
	}
	s := r.shard(p.Room)
	s.mu.RLock()
	loops, wanted := s.wanted[p.Room]
	s.mu.RUnlock()
	if !wanted {
		s.unwanted.Add(1)
		return
	}
	switch {
	case p.Position.Offset > 0 && r.history != nil:
		r.follow(s, p)
		return
	case p.Kind == Missed:
		if p.Node != r.name {
			r.HandleGap(p.Room, Position{})
		}
		return
	}
	r.local.Deliver(loops, p)
}

// HandleGap implements [Sink]: the loops that want room are told, unless what was missed can be had from the room's
// history; without any nothing was missed here.
func (r *Router) HandleGap(room string, pos Position) {
	if r.control != nil && room == ControlRoom {
		r.control.queue(note{Type: "start"})
		return
	}
	s := r.shard(room)
	if r.history != nil && r.recoverGap(s, room, pos) {
		return
	}
	s.mu.RLock()
	loops, wanted := s.wanted[room]
	s.mu.RUnlock()
	if wanted {
		r.counters.gaps.Add(1)
		r.local.Gap(loops, room, pos)
	}
}

// Close stops the Router's goroutine and closes the broker, whose error it returns; every Want still unanswered
// hears ErrClosed through Local.Ready. It waits for both, so it is never called inside a call into Local.
// A second Close returns ErrClosed.
func (r *Router) Close() error {
	if r.closed.Swap(true) {
		return ErrClosed
	}
	if r.control != nil {
		r.control.close()
	}
	close(r.stop)
	r.sweeping.Wait()
	if err := r.broker.Close(); err != nil {
		return fmt.Errorf("closing the broker: %w", err)
	}
	return nil
}

// Control is how this node talks to the others, nil if it is alone.
func (r *Router) Control() *Control { return r.control }

// Rooms counts the rooms that loops of this node want.
func (r *Router) Rooms() int {
	n := 0
	for i := range r.shards {
		s := &r.shards[i]
		s.mu.RLock()
		n += len(s.wanted)
		s.mu.RUnlock()
	}
	return n
}

// RoomNames returns, sorted by bytes, the first limit names greater than after of the rooms that loops of this node
// want. Begin with "", go on with the last name of the page; a page shorter than limit is the last one. It is for
// an operator's page now and then: it looks at every room, some 150 ms with a million of them, and holds up the rooms
// of one shard at a time, for 2 to 3 ms then.
func (r *Router) RoomNames(after string, limit int) []string {
	if limit <= 0 {
		return nil
	}
	var page []string
	for i := range r.shards {
		s := &r.shards[i]
		// A full page is its own bound: what sorts behind its last name is not even collected.
		full, last := len(page) == limit, ""
		if full {
			last = page[limit-1]
		}
		s.mu.RLock()
		for name := range s.wanted {
			if name > after && (!full || name < last) {
				page = append(page, name)
			}
		}
		s.mu.RUnlock()
		slices.Sort(page)
		if len(page) > limit {
			clear(page[limit:])
			page = page[:limit]
		}
	}
	return slices.Clone(page)
}

// Stats are the Router's figures since it was made, and what it holds now. They are read one after another, not at
// one instant. What is delivered is for Local to count, which can do it without a counter that goroutines share.
type Stats struct {
	Rooms     int // wanted by a loop of this node
	Lingering int // wanted by none, still subscribed

	Unwanted   uint64 // publications without a loop that wants them
	Gaps       uint64 // gaps told to at least one loop
	Recoveries uint64 // rooms' streams that were mended from their history
	Duplicates uint64 // publications that had been heard before

	Subscribed      uint64 // subscriptions that were confirmed
	SubscribeFailed uint64 // subscriptions that failed
	Unsubscribed    uint64 // calls of Broker.Unsubscribe
}

// counters are the figures that change seldom enough for all goroutines to share.
type counters struct {
	gaps, recoveries, duplicates              atomic.Uint64
	subscribed, subscribeFailed, unsubscribed atomic.Uint64
}

// Stats returns the figures. It takes each shard's lock for a moment.
func (r *Router) Stats() Stats {
	c := &r.counters
	stats := Stats{Rooms: r.Rooms(), Lingering: int(r.lingering.Load()), Gaps: c.gaps.Load(),
		Recoveries: c.recoveries.Load(), Duplicates: c.duplicates.Load(), Subscribed: c.subscribed.Load(), SubscribeFailed: c.subscribeFailed.Load(), Unsubscribed: c.unsubscribed.Load()}
	for i := range r.shards {
		stats.Unwanted += r.shards[i].unwanted.Load()
	}
	return stats
}

func (r *Router) shard(room string) *shard {
	return &r.shards[maphash.String(r.seed, room)%shardCount]
}
