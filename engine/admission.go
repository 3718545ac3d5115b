package engine

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roost-ws/roost/engine/ratelimit"
	"github.com/roost-ws/roost/protocol/clientaddr"
	"github.com/roost-ws/roost/protocol/handshake"
)

// admission counts what the whole node may hold: connections, handshakes a second, connections of one address
// and of one user. It is shared by all loops; what is switched off costs nothing.
type admission struct {
	limits *Limits
	open   atomic.Int64 // from accept to the closed socket
	most   int64

	rateMu sync.Mutex
	rate   ratelimit.Bucket
	perSec ratelimit.Rate

	overMemory atomic.Bool // more than Limits.Memory is in use; see memory.go

	addresses tally[netip.Addr]
	budgets   budgets
	users     tally[string]
}

func newAdmission(l *Limits) *admission {
	a := &admission{limits: l, most: int64(l.Connections)}
	if l.HandshakesPerSecond > 0 {
		a.perSec = ratelimit.NewRate(l.HandshakesPerSecond, max(1, int(l.HandshakesPerSecond)))
	}
	a.budgets.rate = ratelimit.NewRate(l.HandshakesPerIP, max(1, int(l.HandshakesPerIP)))
	return a
}

// reserve takes a place for a connection that is about to be accepted. Any goroutine.
func (a *admission) reserve() bool {
	if a.open.Add(1) > a.most {
		a.open.Add(-1)
		return false
	}
	return true
}

// giveBack returns the place of a connection that came to nothing. Any goroutine.
func (a *admission) giveBack() { a.open.Add(-1) }

// arrive counts an enrolled connection for its address, once that is known for good. On c's loop l.
func (a *admission) arrive(l *Loop, c *Conn) {
	c.flags |= flagCounted
	if a.limits.ConnectionsPerIP > 0 {
		a.addresses.add(clientaddr.LimitKey(c.address(l)))
	}
}

// depart is arrive undone, and the place given back.
func (a *admission) depart(l *Loop, c *Conn) {
	if a.limits.ConnectionsPerIP > 0 && c.flags&flagCounted != 0 {
		a.addresses.remove(clientaddr.LimitKey(c.address(l)))
	}
	a.giveBack()
}

// handshake decides whether one more upgrade fits into this second and this address.
func (a *admission) handshake(client netip.Addr, now int64) handshake.Refusal {
	key := clientaddr.LimitKey(client)
	if a.overMemory.Load() {
		return handshake.Memory
	}
	if !a.budgets.take(key, now) {
		return handshake.AddressRate
	}
	if a.limits.ConnectionsPerIP > 0 && a.addresses.count(key) > a.limits.ConnectionsPerIP {
		return handshake.AddressLimit
	}
	if !a.perSec.Unlimited() {
		a.rateMu.Lock()
		ok, _ := a.rate.Take(a.perSec, now)
		a.rateMu.Unlock()
		if !ok {
			return handshake.Rate
		}
	}
	return handshake.Accepted
}

// countsUsers says whether anything is kept for each user.
func (a *admission) countsUsers() bool { return a.limits.ConnectionsPerUser > 0 || a.limits.SharedRate }

// enter counts an open connection for its user; false when the user has as many as he may.
func (a *admission) enter(user string) bool {
	if !a.countsUsers() {
		return true
	}
	if n := a.users.add(user); a.limits.ConnectionsPerUser > 0 && n > a.limits.ConnectionsPerUser {
		a.users.remove(user)
		return false
	}
	return true
}

// leave is enter undone; the user is remembered for a minute, so that its return counts as a reconnect.
func (a *admission) leave(c *Conn, l *Loop) {
	if a.countsUsers() {
		a.users.remove(c.user)
	}
	l.server.recent.left(c.user, l.unix)
}

// takePublish takes from the bucket that all connections of a user share.
func (a *admission) takePublish(user string, now int64) (bool, time.Duration) {
	return a.users.take(user, a.limits.Messages, now)
}

// tally counts open connections by a key, in shards so that loops seldom meet. Keys without connections are
// forgotten, so it is never larger than what is open.
type tally[K comparable] struct {
	shards [64]tallyShard[K]
}

type tallyShard[K comparable] struct {
	mu sync.Mutex
	m  map[K]*tallyEntry
}

// tallyEntry is what is known of one key.
type tallyEntry struct {
	connections int
	messages    ratelimit.Bucket
}

func (t *tally[K]) shard(key K) *tallyShard[K] {
	return &t.shards[maphash.Comparable(tallySeed, key)%uint64(len(t.shards))]
}

var tallySeed = maphash.MakeSeed()

func (t *tally[K]) add(key K) int {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.m[key]
	if e == nil {
		if s.m == nil {
			s.m = make(map[K]*tallyEntry)
		}
		e = new(tallyEntry)
		s.m[key] = e
	}
	e.connections++
	return e.connections
}

func (t *tally[K]) remove(key K) {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.m[key]; e != nil {
		if e.connections--; e.connections == 0 {
			delete(s.m, key)
		}
	}
}

func (t *tally[K]) count(key K) int {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.m[key]; e != nil {
		return e.connections
	}
	return 0
}

func (t *tally[K]) take(key K, rate ratelimit.Rate, now int64) (bool, time.Duration) {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.m[key]; e != nil {
		return e.messages.Take(rate, now)
	}
	return true, 0
}
