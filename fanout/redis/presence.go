package redis

// Presence in Redis: its settings, its life, and what anybody may call. The work is done by lanes.

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/roost-ws/roost/fanout"
)

// PresenceOptions are the settings of a [Presence]. URL and Node are required, the rest has defaults for its zero value.
type PresenceOptions struct {
	// URL says where Redis is, Prefix begins each channel and key: those of the [Broker] on whose bus members are told.
	URL, Prefix string
	// Node is this node's name, which a user's key tells to whoever asks where the user is online.
	Node string
	// TTL is how long what was said holds without being repeated. 60 s.
	TTL time.Duration
	// Timeout is how long a server may take to answer before what it was sent is given up. 5 s.
	Timeout time.Duration
	// MaxPending is how many changes may wait for one server; what comes then is dropped. 131,072.
	MaxPending int
	// MaxUsers is how many users of one room Users can name (100,000), MaxHeld how many users the lists that were asked
	// for within the last second may have together (four times that).
	MaxUsers, MaxHeld int
	// Log hears when a server can't be reached and when it can again. Nil means slog.Default().
	Log *slog.Logger
}

// complete checks the options and fills in the defaults.
func (o PresenceOptions) complete() (PresenceOptions, Address, error) {
	address, err := ParseURL(o.URL)
	switch {
	case err != nil:
		return o, address, err
	case o.Node == "":
		return o, address, errors.New("redis: this node has no name: set node")
	case strings.ContainsAny(o.Prefix, "{}"):
		return o, address, fmt.Errorf("redis: prefix %q holds a brace, which decides over slots on a cluster: write one without", o.Prefix)
	case o.TTL < 0 || o.TTL > 0 && o.TTL < time.Second:
		return o, address, fmt.Errorf("redis: presence.ttl %v is too short to be refreshed in time: write 1s or more", o.TTL)
	}
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	defaultTo(&o.TTL, time.Minute)
	defaultTo(&o.Timeout, 5*time.Second)
	defaultTo(&o.MaxPending, 1<<17)
	defaultTo(&o.MaxUsers, 100_000)
	defaultTo(&o.MaxHeld, 4*o.MaxUsers)
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o, address, nil
}

func defaultTo[T int | time.Duration](value *T, otherwise T) {
	if *value <= 0 {
		*value = otherwise
	}
}

// PresenceStats are figures of a [Presence] since its Start.
type PresenceStats struct {
	// Written counts changes that a server took, Dropped those it did not: too many waited (Full) or it did not
	// answer or said no (Failed).
	Written, Full, Failed uint64
	// Pending is how many wait now.
	Pending int
	// Expired counts users whose time was over and whom this node took out.
	Expired uint64
	// Lists counts rooms' lists that were read from a server, Hits questions answered from one that was read before,
	// Refused questions that were answered ErrBusy.
	Lists, Hits, Refused uint64
	// Held is how many users the lists that are kept have together.
	Held int
	// Overlooked counts rooms and users that Close will leave to the TTL, since too many were to be remembered.
	Overlooked uint64
	// Down is how many servers did not answer when they were last spoken to.
	Down int
}

// clusterLanes is over how many queues a cluster's rooms are spread, so that a master that is away holds up few others.
const clusterLanes = 8

// closePatience is how long Close waits for the servers.
const closePatience = 3 * time.Second

// Presence is a [fanout.Presence] in Redis. Of each room it keeps a hash of users and a sorted set of when their time
// is over, both by Redis's clock; the script that changes them also tells the members, so that news of one room is
// in the order of its changes. An entry belongs to one life of one node: nobody else takes it out before its time.
//
// Where a user is online is one key, prefix + "user:" + user + ":online", with the name of the node that said so
// last. When a user is on two nodes and that one says Offline, the key is gone until the other repeats Online.
//
// Each server has a queue and a goroutine that writes, with two that read lists. What is said while a server is away is
// dropped and counted; Users then has an error that wraps [ErrDown].
type Presence struct {
	o          PresenceOptions
	address    Address
	layout     Layout
	generation string // names this life of this node in records, 8 bytes
	lanes      []*presenceLane
	clients    []rueidis.Client // one, or one for each of several servers; set by Start
	lists      presenceLists
	listAge    time.Duration // how long an answer of Users may be given again
	counters   presenceCounters
	goroutines sync.WaitGroup

	mu       sync.Mutex
	life     atomic.Int32
	stop     chan struct{}   // closed when the lanes are to write what waits, and end
	writing  context.Context // of every call that writes, and
	giveUp   context.CancelFunc
	reading  context.Context // of every call that reads a list
	stopRead context.CancelFunc
	abandons atomic.Bool // the lanes end without another word
}

// The life of a Presence.
const (
	presenceNew int32 = iota
	presenceOpen
	presenceClosed
)

// presenceCounters are the parts of PresenceStats that are counted.
type presenceCounters struct {
	written, full, failed, expired, lists, hits, refused, overlooked atomic.Uint64
	down                                                             atomic.Int64
}

var errPresenceStarted = errors.New("redis: the presence was started before")

// NewPresence returns a Presence that waits for Start, or says what is wrong with the options.
func NewPresence(o PresenceOptions) (*Presence, error) {
	o, address, err := o.complete()
	if err != nil {
		return nil, err
	}
	p := &Presence{o: o, address: address, generation: newGeneration(), listAge: time.Second, stop: make(chan struct{})}
	p.layout = address.layout(o.Prefix)
	p.writing, p.giveUp = context.WithCancel(context.Background())
	p.reading, p.stopRead = context.WithCancel(p.writing)
	p.lists.init(p)
	lanes := p.layout.Parts()
	if address.Mode == Cluster {
		lanes = clusterLanes
	}
	for range lanes {
		p.lanes = append(p.lanes, newPresenceLane(p))
	}
	return p, nil
}

// newGeneration returns 8 bytes of random text.
func newGeneration() string {
	var random [6]byte
	_, _ = rand.Read(random[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// Start implements [fanout.Presence]. It waits until every server has answered, or fails when one does not, and may be
// called again then.
func (p *Presence) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.life.Load() {
	case presenceOpen:
		return errPresenceStarted
	case presenceClosed:
		return fanout.ErrClosed
	}
	if err := p.connect(); err != nil {
		return err
	}
	for _, l := range p.lanes {
		p.goroutines.Go(l.write)
		for range listReaders {
			p.goroutines.Go(l.read)
		}
	}
	p.life.Store(presenceOpen)
	return nil
}

// Enter implements [fanout.Presence]. It keeps both strings until the server has them, and room for Close.
func (p *Presence) Enter(room, user string, announce bool) {
	p.lane(room).push(presenceChange{op: opEnter, room: room, user: user, announce: announce})
}

// Leave implements [fanout.Presence].
func (p *Presence) Leave(room, user string, announce bool) {
	p.lane(room).push(presenceChange{op: opLeave, room: room, user: user, announce: announce})
}

// Refresh implements [fanout.Presence]. A user that is not there is told as joined, unless the room as a whole was
// lost: then everybody comes back in silence.
func (p *Presence) Refresh(room string, users []fanout.PresentUser, announce bool) {
	if p.life.Load() != presenceOpen {
		return
	}
	room = strings.Clone(room)
	l := p.lane(room)
	for first := true; first || len(users) > 0; first = false { // without users it still takes out whose time is over
		n := min(len(users), maxChanges)
		l.push(presenceChange{op: opRefresh, room: room, users: append([]fanout.PresentUser(nil), users[:n]...), announce: announce})
		users = users[n:]
	}
}

// Online implements [fanout.Presence].
func (p *Presence) Online(user string) {
	p.lane(user).push(presenceChange{op: opOnline, user: user})
}

// Offline implements [fanout.Presence].
func (p *Presence) Offline(user string) {
	p.lane(user).push(presenceChange{op: opOffline, user: user})
}

// Users implements [fanout.Presence]. Lists are read once a second at most for each room, and of a room with more than
// MaxUsers only so many are known, which need not be the first by name. [fanout.ErrBusy] means that too many lists are
// being read already.
func (p *Presence) Users(room string, limit int, done func([]fanout.PresentUser, int, error)) {
	p.lists.ask(room, limit, done)
}

// Close implements [fanout.Presence]: it writes what waits, takes out what this node has said, all within three
// seconds, and waits for the goroutines.
func (p *Presence) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	before := p.life.Swap(presenceClosed)
	if before == presenceClosed {
		return fanout.ErrClosed
	}
	p.lists.close()
	p.stopRead()
	if before == presenceOpen {
		late := time.AfterFunc(closePatience, p.giveUp)
		defer late.Stop()
		close(p.stop)
		p.goroutines.Wait()
		p.disconnect()
	}
	p.giveUp()
	return nil
}

// Stats returns figures; it may be called from any goroutine.
func (p *Presence) Stats() PresenceStats {
	c := &p.counters
	stats := PresenceStats{Written: c.written.Load(), Full: c.full.Load(), Failed: c.failed.Load(),
		Expired: c.expired.Load(), Lists: c.lists.Load(), Hits: c.hits.Load(), Refused: c.refused.Load(),
		Overlooked: c.overlooked.Load(), Down: int(c.down.Load()), Held: p.lists.heldNow()}
	for _, l := range p.lanes {
		stats.Pending += l.waiting()
	}
	return stats
}

// lane returns the lane of the room or user called name.
func (p *Presence) lane(name string) *presenceLane {
	return p.lanes[p.layout.Part(name)%len(p.lanes)]
}
