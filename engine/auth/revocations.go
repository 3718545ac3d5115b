// Users, sessions and tokens that are refused for a while though their tokens are in order.

package auth

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Mark stands for the sid or jti of a token, or for a user: 64 bits of a hash with a seed of this process, so
// that whoever keeps one keeps 8 bytes. It means nothing elsewhere. The zero Mark is that of a missing claim.
type Mark uint64

// RevokedBy says which claim of a token a revocation is about.
type RevokedBy uint8

// The claims by which tokens are revoked.
const (
	RevokedUser    RevokedBy = iota // sub: everything that a user has
	RevokedSession                  // sid: all tokens of one session
	RevokedToken                    // jti: one token

	revokedByEnd
)

// markSeeds keep equal texts of different claims apart.
var markSeeds = [revokedByEnd]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed(), maphash.MakeSeed()}

// MarkOf returns the Mark of a claim's text. Any goroutine; it does not allocate.
func MarkOf(by RevokedBy, text string) Mark {
	if by >= revokedByEnd || text == "" {
		return 0
	}
	return Mark(max(maphash.String(markSeeds[by], text), 1))
}

// markOf is MarkOf for a claim as it is written. One that is no string, which RFC 7519 section 4.1.7 forbids and
// issuers do, stands for its JSON text: a jti of 123 is revoked as "123".
func markOf(by RevokedBy, value []byte) Mark {
	if isNull(value) {
		return 0
	}
	if len(value) >= 2 && value[0] == '"' && bytes.IndexByte(value, '\\') < 0 {
		value = value[1 : len(value)-1]
	} else if text, ok := textOf(value); ok {
		return MarkOf(by, text)
	}
	if len(value) == 0 {
		return 0
	}
	return Mark(max(maphash.Bytes(markSeeds[by], value), 1))
}

// maxRevocations is the default bound of a Revocations, about 3 MB when it is full.
const maxRevocations = 64 << 10

// ErrRevocationsFull is returned for a revocation that there is no room for. Nothing was forgotten to make room:
// an operator who is told that somebody is shut out must be able to rely on it.
var ErrRevocationsFull = errors.New("too many revocations are in force; let some run out, or revoke for a shorter time")

// Revocations is a bounded table of who is refused until when, on this node alone and until the process ends. All
// of its methods may be called from any goroutine.
//
// To shut out somebody who is connected, call Refuse first and close the connections after it, and let every
// connection ask Refused where it becomes one that can be found and closed, on its own loop: then no token that
// was verified a moment before slips in between. A token that the cache of a Verifier remembers is asked about
// like any other.
type Revocations struct {
	// static after NewRevocations
	limit int
	now   func() time.Time
	start time.Time // times below are nanoseconds since, so that a step of the wall clock moves none

	latest atomic.Int64 // when the last of them ends: past it nothing needs to be looked up

	mu       sync.RWMutex
	until    map[Mark]int64
	earliest int64 // no entry ends before it
}

// NewRevocations makes an empty table for that many entries, 0 for 65,536. now is the clock; nil for time.Now.
func NewRevocations(entries int, now func() time.Time) *Revocations {
	if entries <= 0 {
		entries = maxRevocations
	}
	if now == nil {
		now = time.Now
	}
	return &Revocations{limit: entries, now: now, start: now(), until: make(map[Mark]int64), earliest: math.MaxInt64}
}

// Refuse shuts out the tokens whose claim has that value until a moment, whatever was said of them before; a
// moment that has passed lets them in again. The error is ErrRevocationsFull, or says that there is nothing
// that could be revoked. It does not block, but for about a millisecond if the table is full.
func (r *Revocations) Refuse(by RevokedBy, value string, until time.Time) error {
	mark := MarkOf(by, value)
	if mark == 0 {
		return fmt.Errorf("a revocation needs the user, the session or the token that it is about")
	}
	now, end := r.elapsed(r.now()), r.elapsed(until)
	r.mu.Lock()
	defer r.mu.Unlock()
	if now >= r.latest.Load() {
		clear(r.until)
		r.earliest = math.MaxInt64
	}
	if end <= now {
		delete(r.until, mark)
		return nil
	}
	if _, known := r.until[mark]; !known && len(r.until) >= r.limit {
		r.sweep(now)
		if len(r.until) >= r.limit {
			return ErrRevocationsFull
		}
	}
	r.until[mark] = end
	r.earliest = min(r.earliest, end)
	r.latest.Store(max(r.latest.Load(), end))
	return nil
}

// sweep drops what has ended. It looks through the table only if something has, so that a full one does not make
// every attempt to add to it dear.
func (r *Revocations) sweep(now int64) {
	if now < r.earliest {
		return
	}
	r.earliest = math.MaxInt64
	for mark, end := range r.until {
		if end <= now {
			delete(r.until, mark)
			continue
		}
		r.earliest = min(r.earliest, end)
	}
}

// Refused reports whether a verified token is shut out. While nothing is revoked it costs one atomic load, else
// a read lock and up to three look-ups. It does not allocate.
func (r *Revocations) Refused(who Identity) bool {
	latest := r.latest.Load()
	if latest == 0 {
		return false
	}
	now := r.elapsed(r.now())
	if now >= latest {
		return false
	}
	user := MarkOf(RevokedUser, who.User)
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.until[user] > now || r.until[who.Session] > now || r.until[who.Token] > now
}

// Len returns how many entries the table holds, some of which may have run out.
func (r *Revocations) Len() int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return len(r.until)
}

// elapsed is at least 1 for anything that lies ahead, so that a latest of 0 means an empty table.
func (r *Revocations) elapsed(t time.Time) int64 { return int64(t.Sub(r.start)) }
