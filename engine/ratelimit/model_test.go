// The bucket against a token bucket that counts in exact fractions, and against clocks that jump at will.

package ratelimit

import (
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// exactBucket is a textbook token bucket: tokens are a rational number, refilled for the time that has passed.
type exactBucket struct {
	tokens, burst, perNano *big.Rat
	last                   int64
}

func newExactBucket(r Rate, now int64) *exactBucket {
	return &exactBucket{
		tokens:  big.NewRat(r.burst, 1),
		burst:   big.NewRat(r.burst, 1),
		perNano: big.NewRat(1, r.interval),
		last:    now,
	}
}

func (b *exactBucket) takeN(now int64, n int64) (ok bool, retryAfter time.Duration) {
	grown := new(big.Rat).Mul(big.NewRat(now-b.last, 1), b.perNano)
	b.last = now
	if b.tokens.Add(b.tokens, grown).Cmp(b.burst) > 0 {
		b.tokens.Set(b.burst)
	}
	demand := big.NewRat(n, 1)
	if demand.Cmp(b.burst) > 0 {
		return false, Never
	}
	missing := new(big.Rat).Sub(demand, b.tokens)
	if missing.Sign() <= 0 {
		b.tokens.Sub(b.tokens, demand)
		return true, 0
	}
	wait := missing.Quo(missing, b.perNano)
	nanos, rest := new(big.Int).QuoRem(wait.Num(), wait.Denom(), new(big.Int))
	if rest.Sign() > 0 {
		nanos.Add(nanos, big.NewInt(1))
	}
	return false, time.Duration(nanos.Int64())
}

// rates draws from slow to beyond what a clock can tell apart, with bursts from 1 to absurd.
func rates() *rapid.Generator[Rate] {
	return rapid.Custom(func(t *rapid.T) Rate {
		perSecond := rapid.OneOf(
			rapid.Float64Range(0.01, 1000),
			rapid.Float64Range(1e-12, 1e12),
			rapid.SampledFrom([]float64{1, 3, 20, 1e6, 1e9, math.SmallestNonzeroFloat64, math.MaxFloat64}),
		).Draw(t, "perSecond")
		burst := rapid.OneOf(rapid.IntRange(1, 10), rapid.IntRange(1, math.MaxInt)).Draw(t, "burst")
		return NewRate(perSecond, burst)
	})
}

// demands draws a number of tokens near what the bucket may hold.
func demands(r Rate) *rapid.Generator[int] {
	return rapid.OneOf(rapid.Just(1), rapid.IntRange(1, 12), rapid.IntRange(1, int(r.burst+1)))
}

func TestExactTokenBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rates().Draw(t, "rate")
		now := rapid.Int64Range(1, 1<<60).Draw(t, "start")
		var b Bucket
		exact := newExactBucket(r, now)
		for range rapid.IntRange(1, 50).Draw(t, "takes") {
			n := demands(r).Draw(t, "n")
			ok, retry := b.TakeN(r, now, n)
			if wantOK, wantRetry := exact.takeN(now, int64(n)); ok != wantOK || retry != wantRetry {
				t.Fatalf("%+v at %d, %d tokens: %v, %v, want %v, %v", r, now, n, ok, retry, wantOK, wantRetry)
			}
			// Often to the nanosecond where the answer turns.
			steps := []*rapid.Generator[int64]{
				rapid.Just(int64(0)),
				rapid.Int64Range(0, 2*min(r.interval, 1<<40)),
				rapid.Int64Range(0, 1<<40),
			}
			if !ok && retry < 1<<57 {
				steps = append(steps, rapid.Int64Range(int64(retry)-1, int64(retry)))
			}
			now = min(now+rapid.OneOf(steps...).Draw(t, "step"), 1<<61)
		}
	})
}

// Whatever the clock did before, from any moment on the bucket is no worse than empty, a client that waits as
// long as it was told gets its tokens, and one that asks meanwhile does not delay that.
func TestAnyClock(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b Bucket
		// The rate changes too, as it does in a reload.
		for range rapid.IntRange(0, 10).Draw(t, "past") {
			r := rates().Draw(t, "rate")
			n := demands(r).Draw(t, "n")
			now := rapid.Int64().Draw(t, "now")
			if ok, retry := b.TakeN(r, now, n); ok != (retry == 0) || retry < 0 {
				t.Fatalf("%+v at %d, %d tokens: %v, %v", r, now, n, ok, retry)
			}
		}
		r := rates().Draw(t, "rate now")
		n := rapid.OneOf(rapid.Just(1), rapid.IntRange(1, int(r.burst))).Draw(t, "tokens")
		now := rapid.Int64Range(math.MinInt64, math.MaxInt64-maxWindow).Draw(t, "jump") // leaves room for the wait
		ok, retry := b.TakeN(r, now, n)
		if ok {
			return
		}
		if limit := time.Duration(int64(n) * r.interval); retry > limit {
			t.Fatalf("%+v at %d: %d tokens only after %v, an empty bucket has them after %v", r, now, n, retry, limit)
		}
		early := now + rapid.Int64Range(0, int64(retry)-1).Draw(t, "early")
		ok, rest := b.TakeN(r, early, n)
		// Around time 0 the bucket may be a nanosecond better than it said.
		if better := now + int64(retry) - early - int64(rest); better != 0 && better != 1 {
			t.Fatalf("%+v at %d: told to wait %v, but at %d %v, %v", r, now, retry, early, ok, rest)
		}
		if ok {
			return
		}
		if ok, rest := b.TakeN(r, now+int64(retry), n); !ok {
			t.Fatalf("%+v at %d: told to wait %v, then again %v", r, now, retry, rest)
		}
	})
}
