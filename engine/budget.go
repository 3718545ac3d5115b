package engine

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/roost-ws/roost/engine/ratelimit"
)

// budgets is what each address has left of its handshakes, whether they come to a connection or not: a flood of
// bad tokens from one place costs the others nothing. It is bounded: a full shard first forgets the addresses that
// have their whole budget again, and where that frees nothing it judges newcomers by one budget they all share.
type budgets struct {
	rate   ratelimit.Rate
	shards [64]budgetShard
}

type budgetShard struct {
	mu     sync.Mutex
	m      map[netip.Addr]ratelimit.Bucket
	shared ratelimit.Bucket
	looked int64 // when the shard was last searched for addresses to forget
}

// maxBudgets bounds the addresses of one shard: 64 Ki in all, some 4 MB.
const maxBudgets = 1 << 10

var budgetSeed = maphash.MakeSeed()

// take takes one handshake from an address's budget. Any goroutine.
func (b *budgets) take(address netip.Addr, now int64) bool {
	if b.rate.Unlimited() {
		return true
	}
	s := &b.shards[maphash.Comparable(budgetSeed, address)%uint64(len(b.shards))]
	s.mu.Lock()
	defer s.mu.Unlock()
	bucket, known := s.m[address]
	if !known && len(s.m) >= maxBudgets {
		s.forget(now)
	}
	if !known && len(s.m) >= maxBudgets {
		ok, _ := s.shared.Take(b.rate, now)
		return ok
	}
	ok, _ := bucket.Take(b.rate, now)
	if s.m == nil {
		s.m = make(map[netip.Addr]ratelimit.Bucket)
	}
	s.m[address] = bucket
	return ok
}

// forget drops addresses whose budget is whole again.
func (s *budgetShard) forget(now int64) {
	if now-s.looked < int64(time.Second) {
		return // a flood from many addresses must not make each of them search
	}
	s.looked = now
	for address, bucket := range s.m {
		if bucket.Full(now) {
			delete(s.m, address)
		}
	}
}
