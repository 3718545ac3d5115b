// The cache of verified tokens, which takes most of the cost of a reconnect storm away.

package auth

import (
	"crypto/sha256"
	"encoding/binary"
	"math/bits"
	"sync"
	"sync/atomic"
)

// cacheWays is the number of entries of a set; the oldest of them makes room for a new one.
const cacheWays = 8

// cacheKey stands for a token: 128 bits of its SHA-256 and 64 more that choose the set. A fast hash would not
// do, since whoever finds a second token with the key of a verified one has forged it.
type cacheKey struct {
	tag [16]byte
	set uint64
}

func cacheKeyOf(token []byte) cacheKey {
	sum := sha256.Sum256(token)
	return cacheKey{tag: [16]byte(sum[:16]), set: binary.LittleEndian.Uint64(sum[16:])}
}

// cacheEntry is empty while it has no rights.
type cacheEntry struct {
	tag            [16]byte
	user           string
	rights         *Rights
	expires        int64
	session, token Mark
	retired        *atomic.Bool // its key's set has been replaced; nil: the key is one of the configuration
}

// over reports whether the entry must not be found any more.
func (e *cacheEntry) over(now, leeway int64) bool {
	return now >= e.expires+leeway || e.retired != nil && e.retired.Load()
}

// cacheSet holds its entries from the youngest to the oldest, with holes where expired ones were found.
type cacheSet struct {
	mu      sync.Mutex
	entries [cacheWays]cacheEntry
}

// cache is a set-associative table made once: about 73 bytes an entry, filled or not. A filled one also keeps
// its user's name and its Rights alive, and both are shared with the connections of that token.
type cache struct {
	sets   []cacheSet
	leeway int64 // seconds past expiry for which an entry still counts

	filled atomic.Int64
	hits   atomic.Uint64
	misses atomic.Uint64
}

func newCache(entries int, leeway int64) *cache {
	return &cache{sets: make([]cacheSet, (entries+cacheWays-1)/cacheWays), leeway: leeway}
}

// setOf spreads the sets evenly over any number of them, by multiplication instead of division.
func (c *cache) setOf(key cacheKey) *cacheSet {
	i, _ := bits.Mul64(key.set, uint64(len(c.sets)))
	return &c.sets[i]
}

// find returns what was stored under key unless that has expired at now (Unix seconds) or its keys have been
// replaced; then it drops it.
func (c *cache) find(key cacheKey, now int64) (Identity, bool) {
	set := c.setOf(key)
	set.mu.Lock()
	for i := range set.entries {
		entry := &set.entries[i]
		if entry.rights == nil || entry.tag != key.tag {
			continue
		}
		if entry.over(now, c.leeway) {
			*entry = cacheEntry{}
			c.filled.Add(-1)
			break
		}
		found := Identity{User: entry.user, Expires: entry.expires, Rights: entry.rights, Session: entry.session, Token: entry.token}
		set.mu.Unlock()
		c.hits.Add(1)
		return found, true
	}
	set.mu.Unlock()
	c.misses.Add(1)
	return Identity{}, false
}

// store puts a verified identity at the young end of its set, in place of the same token, else of a hole or an
// entry that is over, else of the oldest. retired will tell when its keys are replaced, nil if they never are.
func (c *cache) store(key cacheKey, identity Identity, retired *atomic.Bool, now int64) {
	set := c.setOf(key)
	set.mu.Lock()
	defer set.mu.Unlock()
	victim := cacheWays - 1
	for i := range set.entries {
		entry := &set.entries[i]
		if entry.rights != nil && entry.tag == key.tag {
			victim = i
			break
		}
		if entry.rights == nil || entry.over(now, c.leeway) {
			victim = i
		}
	}
	if set.entries[victim].rights == nil {
		c.filled.Add(1)
	}
	copy(set.entries[1:victim+1], set.entries[:victim])
	set.entries[0] = cacheEntry{
		tag: key.tag, user: identity.User, rights: identity.Rights, expires: identity.Expires,
		session: identity.Session, token: identity.Token, retired: retired,
	}
}
