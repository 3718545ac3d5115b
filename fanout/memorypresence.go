package fanout

// The presence of a node that is alone: who is in a room is what this node said, so nothing expires and nothing waits.

import (
	"errors"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
)

var errPresenceStarted = errors.New("fanout: presence was started before")

// memoryPresenceShards is how many locks the rooms are spread over.
const memoryPresenceShards = 64

// maxUntold bounds the announcements of one shard that wait while another goroutine publishes.
const maxUntold = 4096

// MemoryPresence is a [Presence] for a single node. Every call takes effect before it returns, and Users answers
// before it returns, with a list that is the caller's alone. There is no TTL: what a node that was killed said died
// with its memory. It keeps the strings it is given but for the room of Refresh, so they cost it nothing where the
// caller keeps them too.
//
// Announcements are published through the broker of its options, in the order of the changes they tell of, on the
// goroutine that made a change or on one that publishes already. The broker may call back.
type MemoryPresence struct {
	broker  Broker // nil: nobody is told
	seed    maphash.Seed
	life    atomic.Int32
	started atomic.Bool
	untold  atomic.Uint64
	shards  [memoryPresenceShards]presenceShard
}

// MemoryPresenceOptions are the settings of a [MemoryPresence].
type MemoryPresenceOptions struct {
	// Broker is where members are told of one another. Without one nobody is.
	Broker Broker
}

// MemoryPresenceStats are figures of a [MemoryPresence].
type MemoryPresenceStats struct {
	// Rooms is how many rooms have a user, Entries how many users they have together.
	Rooms, Entries int
	// Untold counts announcements that were lost: the broker did not take them, or too many waited.
	Untold uint64
}

// presenceShard has the rooms of one lock. The lock is never held across a call into the broker.
type presenceShard struct {
	mu      sync.Mutex
	rooms   map[string]memberList
	entries int
	untold  []announcement // waits for the goroutine that publishes
	telling bool           // a goroutine publishes this shard's announcements
	_       [64]byte       // two shards do not share a cache line
}

// announcement is news of one member that has yet to be published.
type announcement struct {
	room, user string
	kind       Kind
}

// NewMemoryPresence returns a MemoryPresence that waits for Start.
func NewMemoryPresence(o MemoryPresenceOptions) *MemoryPresence {
	m := &MemoryPresence{broker: o.Broker, seed: maphash.MakeSeed()}
	for i := range m.shards {
		m.shards[i].rooms = map[string]memberList{}
	}
	return m
}

// Start implements [Presence]. It fails when it was called before, or after Close.
func (m *MemoryPresence) Start() error {
	if m.life.Load() == memoryClosed {
		return ErrClosed
	}
	if !m.started.CompareAndSwap(false, true) {
		return errPresenceStarted
	}
	if !m.life.CompareAndSwap(memoryNew, memoryOpen) {
		return ErrClosed
	}
	return nil
}

// Enter implements [Presence].
func (m *MemoryPresence) Enter(room, user string, announce bool) {
	m.change(room, func(s *presenceShard) {
		members := s.rooms[room]
		if members.add(user, 1, false) {
			s.rooms[room] = members
			s.entries++
			s.tell(m, announce, MemberJoined, room, user)
		}
	})
}

// Leave implements [Presence].
func (m *MemoryPresence) Leave(room, user string, announce bool) {
	m.change(room, func(s *presenceShard) {
		members, known := s.rooms[room]
		if !known || !members.remove(user) {
			return
		}
		if members.count == 0 {
			delete(s.rooms, room)
		} else {
			s.rooms[room] = members
		}
		s.entries--
		s.tell(m, announce, MemberLeft, room, user)
	})
}

// Refresh implements [Presence]. Users that Enter was not called for are added, and told as joined when the room had
// somebody before.
func (m *MemoryPresence) Refresh(room string, users []PresentUser, announce bool) {
	if len(users) == 0 {
		return
	}
	m.change(room, func(s *presenceShard) {
		members, known := s.rooms[room]
		name := "" // the room's name once it has to be kept
		for _, u := range users {
			if !members.add(u.User, u.Connections, true) {
				continue
			}
			if name == "" {
				name = strings.Clone(room)
			}
			s.entries++
			s.tell(m, announce && known, MemberJoined, name, u.User)
		}
		if known {
			name = room // the key that is there stays
		}
		s.rooms[name] = members
	})
}

// Users implements [Presence]: done is called before it returns, and the list is its to keep.
func (m *MemoryPresence) Users(room string, limit int, done func([]PresentUser, int, error)) {
	if m.life.Load() != memoryOpen {
		done(nil, 0, ErrClosed)
		return
	}
	s := m.shard(room)
	s.mu.Lock()
	members := s.rooms[room]
	users := members.first(limit)
	s.mu.Unlock()
	done(users, members.count, nil)
}

// Online implements [Presence]. A node that is alone has nobody to tell.
func (m *MemoryPresence) Online(string) {}

// Offline implements [Presence].
func (m *MemoryPresence) Offline(string) {}

// Close implements [Presence]. Nobody is told as left: all who could hear it are of this node, which ends.
func (m *MemoryPresence) Close() error {
	if m.life.Swap(memoryClosed) == memoryClosed {
		return ErrClosed
	}
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		s.rooms, s.entries, s.untold = map[string]memberList{}, 0, nil
		s.mu.Unlock()
	}
	return nil
}

// Stats returns figures; it may be called from any goroutine.
func (m *MemoryPresence) Stats() MemoryPresenceStats {
	stats := MemoryPresenceStats{Untold: m.untold.Load()}
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		stats.Rooms += len(s.rooms)
		stats.Entries += s.entries
		s.mu.Unlock()
	}
	return stats
}

func (m *MemoryPresence) shard(room string) *presenceShard {
	return &m.shards[maphash.String(m.seed, room)%memoryPresenceShards]
}

// change runs do with the shard of room locked, and then publishes what do wants told.
func (m *MemoryPresence) change(room string, do func(*presenceShard)) {
	s := m.shard(room)
	s.mu.Lock()
	if m.life.Load() != memoryOpen {
		s.mu.Unlock()
		return
	}
	do(s)
	if s.telling || len(s.untold) == 0 {
		s.mu.Unlock()
		return
	}
	s.telling = true
	m.publish(s)
}

// tell notes an announcement for publish. It is called with the lock held.
func (s *presenceShard) tell(m *MemoryPresence, announce bool, kind Kind, room, user string) {
	switch {
	case !announce || m.broker == nil:
	case len(s.untold) >= maxUntold:
		m.untold.Add(1)
	default:
		s.untold = append(s.untold, announcement{room: room, user: user, kind: kind})
	}
}

// publish publishes announcements until none is left. It is entered with the lock held, and returns without it.
func (m *MemoryPresence) publish(s *presenceShard) {
	var p Publication
	for len(s.untold) > 0 {
		batch := s.untold
		s.untold = nil
		s.mu.Unlock()
		for _, a := range batch {
			p = Publication{Room: a.room, Kind: a.kind, From: a.user}
			m.broker.Publish(&p, (*untoldCounter)(m))
		}
		s.mu.Lock()
	}
	s.telling = false
	s.mu.Unlock()
}

// untoldCounter is a [Completion] that counts announcements the broker did not take.
type untoldCounter MemoryPresence

// Published implements [Completion].
func (c *untoldCounter) Published(_ Position, err error) {
	if err != nil {
		c.untold.Add(1)
	}
}
