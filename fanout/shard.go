package fanout

// The Router's memory, cut into shards so that loops and broker goroutines seldom meet at a lock.

import (
	"sync"
	"sync/atomic"
	"time"
)

// shardCount is a power of two, far above the number of goroutines that look up rooms at the same time.
const shardCount = 64

// shard holds the rooms whose names hash to it. A room is in wanted, in unsettled, in both or in neither:
//
//	wanted only       subscribed, the steady state; costs no more than its place in the map
//	wanted, unsettled subscribing, or Ready calls are still owed
//	unsettled only    lingering, unsubscribing, or wanted by nobody any more while Subscribe is under way
//	neither           the broker is not asked for it
//
// HandlePublication looks at wanted alone.
type shard struct {
	mu sync.RWMutex // guards all but unwanted; never held across a call into Broker or Local
	// unwanted lies beside the lock's own words, which a lookup has just written anyway.
	unwanted  atomic.Uint64
	wanted    map[string]LoopSet
	unsettled map[string]*unsettled
	streams   map[string]*stream // of wanted rooms that keep history, from the first position heard; see stream.go
	lingering lingerList
	_         [48]byte // fills two cache lines, so that shards do not slow each other
}

// phase is how a room stands with the broker.
type phase uint8

const (
	absent        phase = iota // not subscribed
	subscribing                // Subscribe was called, its outcome is awaited
	subscribed                 // confirmed
	lingering                  // confirmed, wanted by nobody, waits in the linger list
	expired                    // has lingered long enough
	unsubscribing              // Unsubscribe is being called
)

// unsettled is a room with something still to do or to wait for. All fields but room are guarded by the shard's lock.
type unsettled struct {
	room    string
	phase   phase
	working bool // a goroutine is in Router.settle with this room; whoever else changes it leaves the rest to that one
	// waiting is owed a Ready about the Subscribe that is under way or still to come; failed one about a Subscribe
	// that ended with err. While the phase is not subscribed, waiting equals the room's set in shard.wanted.
	waiting, failed LoopSet
	err             error
	// until, before and after belong to lingerList.
	until         time.Duration
	before, after *unsettled
}

// nextToTell takes the next loop that can be told an outcome, and the outcome; -1 when there is none.
func (u *unsettled) nextToTell() (loop int, err error) {
	if loop = u.failed.Next(-1); loop >= 0 {
		u.failed.Remove(loop)
		return loop, u.err
	}
	if u.phase == subscribed {
		if loop = u.waiting.Next(-1); loop >= 0 {
			u.waiting.Remove(loop)
			return loop, nil
		}
	}
	return -1, nil
}

// want adds loop to the room. With ready, publications flow already; else u is what the caller has to settle.
func (s *shard) want(room string, loop int) (u *unsettled, ready bool) {
	loops, known := s.wanted[room]
	loops.Add(loop)
	s.wanted[room] = loops
	u = s.unsettled[room]
	switch {
	case u == nil && known:
		return nil, true
	case u == nil:
		u = &unsettled{room: room}
		s.unsettled[room] = u
	case u.phase == lingering:
		s.lingering.remove(u)
		delete(s.unsettled, room)
		return nil, true
	case u.phase == subscribed: // others are just being told
		return nil, true
	}
	u.waiting.Add(loop)
	return u, false
}

// drop takes loop out of the room; it returns what the caller has to settle, nil for nothing.
func (s *shard) drop(room string, loop int) *unsettled {
	u := s.unsettled[room]
	if u != nil {
		u.waiting.Remove(loop)
		u.failed.Remove(loop)
	}
	loops, known := s.wanted[room]
	if !known || !loops.Has(loop) {
		return nil
	}
	loops.Remove(loop)
	if !loops.Empty() {
		s.wanted[room] = loops
		return nil
	}
	s.unwant(room)
	if u == nil {
		u = &unsettled{room: room, phase: subscribed}
		s.unsettled[room] = u
	}
	return u
}

// confirm takes the outcome of a Subscribe. After a failure the room has no loops any more; those that waited are to
// be told.
func (s *shard) confirm(u *unsettled, err error) {
	if err == nil {
		u.phase = subscribed
		return
	}
	u.phase, u.err = absent, err
	u.failed, u.waiting = u.waiting, LoopSet{}
	s.unwant(u.room)
}

// unwant forgets that room is wanted, and where its stream stood: what comes while nobody listens is not missed.
func (s *shard) unwant(room string) {
	delete(s.wanted, room)
	delete(s.streams, room)
}
