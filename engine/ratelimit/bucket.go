// Package ratelimit bounds how often a client may do a thing: a token bucket in 8 bytes.
//
// A [Bucket] belongs to one client and one kind of work; a [Rate] says how fast buckets refill and how much
// they hold, and is shared by all of them. The bucket keeps no count of tokens but the time at which it will be
// full again. That is the generic cell rate algorithm (ITU-T I.371) and decides exactly as a token bucket with
// fractional tokens does, without a rounding error that could add up, and without work while nobody asks.
//
// A bucket belongs to one loop, and all calls on it to that loop's goroutine; a Rate never changes and may be
// read anywhere. Nothing here locks, blocks, allocates or reads a clock: the caller passes monotonic nanoseconds,
// which count from where it likes.
package ratelimit

import (
	"math"
	"time"
)

// maxWindow bounds the time in which a bucket refills, to 146 years, so that no sum here can overflow.
const maxWindow = 1 << 62

// Never is the retryAfter of a demand for more than the bucket holds when full: waiting does not help.
const Never = time.Duration(math.MaxInt64)

// Rate is the speed and size of buckets. It is immutable; the zero Rate is unlimited.
type Rate struct {
	interval int64 // nanoseconds in which one token grows; 0 = unlimited
	burst    int64 // tokens in a full bucket; interval*burst <= maxWindow
}

// NewRate returns a Rate of perSecond tokens a second for buckets that hold burst. A perSecond of 0 or less, NaN
// or +Inf is unlimited; a burst below 1 is 1.
//
// The time for one token is rounded up to whole nanoseconds, so that no more than perSecond is ever let through:
// 1,000 a second are exact, 300,000 come out as 299,940, and 1e9 a second is the fastest limited rate. A burst
// that would take more than 146 years to refill is cut to what refills in that time.
func NewRate(perSecond float64, burst int) Rate {
	if !(perSecond > 0) || math.IsInf(perSecond, 1) {
		return Rate{}
	}
	interval := int64(math.Ceil(min(1e9/perSecond, maxWindow)))
	return Rate{interval, min(max(int64(burst), 1), maxWindow/interval)}
}

// Unlimited reports whether the rate lets everything through.
func (r Rate) Unlimited() bool { return r.interval == 0 }

// Bucket is the state of one client. Its zero value is a full bucket of any Rate. A bucket may meet another Rate
// than before, as after a reload: what it lacks then refills within the new Rate's full time.
type Bucket struct {
	tat int64 // theoretical arrival time: when the bucket is full again, in the caller's nanoseconds; 0 = full
}

// Take takes one token; see TakeN.
func (b *Bucket) Take(r Rate, now int64) (ok bool, retryAfter time.Duration) {
	return b.TakeN(r, now, 1)
}

// TakeN takes n tokens if the bucket has them at time now, in monotonic nanoseconds. If not, it takes none and
// says after what time it would have them, or Never when n is more than it can hold. An n of 0 or less is free.
//
// A clock that jumps ahead fills the bucket. One that jumps back empties it at most: from there it refills at
// its usual speed.
func (b *Bucket) TakeN(r Rate, now int64, n int) (ok bool, retryAfter time.Duration) {
	if r.interval == 0 || n <= 0 {
		return true, 0
	}
	// Unsigned, the difference of two times is right even where a signed one overflows, and the largest sum,
	// twice maxWindow, still fits.
	window := uint64(r.interval) * uint64(r.burst)
	lacking := uint64(0) // nanoseconds until the bucket is full
	if b.tat > now && b.tat != 0 {
		lacking = uint64(b.tat) - uint64(now)
	}
	if lacking > window {
		// The clock jumped back. This is kept even if the demand fails: otherwise the bucket would count as
		// empty each time it is asked, until the clock is where it was before.
		lacking = window
		b.tat = fullAt(now, lacking)
	}
	if int64(n) > r.burst {
		return false, Never
	}
	lacking += uint64(n) * uint64(r.interval)
	if lacking > window {
		return false, time.Duration(lacking - window)
	}
	b.tat = fullAt(now, lacking)
	return true, 0
}

// Full reports whether the bucket lacks nothing at time now, so that it may as well be a new one.
func (b *Bucket) Full(now int64) bool { return b.tat == 0 || b.tat <= now }

// fullAt is now+lacking, kept within an int64, and off the 0 that means full: one nanosecond before it, so that
// nobody waits longer than he was told.
func fullAt(now int64, lacking uint64) int64 {
	at := now + int64(lacking)
	switch {
	case at < now:
		return math.MaxInt64
	case at == 0:
		return -1
	}
	return at
}
