// Named cases for the bucket: what a Rate comes out as, what is let through when, and clocks that misbehave.

package ratelimit

import (
	"math"
	"testing"
	"time"
	"unsafe"
)

const second = int64(time.Second)

func TestBucketIsEightBytes(t *testing.T) {
	if size := unsafe.Sizeof(Bucket{}); size != 8 {
		t.Fatalf("a Bucket has %d bytes, connections reckon with 8", size)
	}
}

func TestNewRate(t *testing.T) {
	cases := []struct {
		name      string
		perSecond float64
		burst     int
		want      Rate
	}{
		{"one a second", 1, 10, Rate{second, 10}},
		{"a thousand", 1000, 1, Rate{1_000_000, 1}},
		{"one a minute", 1.0 / 60, 3, Rate{60 * second, 3}},
		{"one in ten seconds", 0.1, 5, Rate{10 * second, 5}},
		{"rounded to slower", 3, 1, Rate{333_333_334, 1}},
		{"fast, rounded to slower", 300_000, 1, Rate{3334, 1}},
		{"fastest", 1e9, 7, Rate{1, 7}},
		{"faster than the clock", 1e300, 7, Rate{1, 7}},
		{"slower than time", 1e-300, 7, Rate{maxWindow, 1}},
		{"slowest float", math.SmallestNonzeroFloat64, 1, Rate{maxWindow, 1}},
		{"no burst", 1, 0, Rate{second, 1}},
		{"negative burst", 1, math.MinInt, Rate{second, 1}},
		{"huge burst is cut", 1, math.MaxInt, Rate{second, maxWindow / second}},
		{"huge burst at the fastest rate", 1e9, math.MaxInt, Rate{1, maxWindow}},
		{"zero is unlimited", 0, 10, Rate{}},
		{"negative is unlimited", -5, 10, Rate{}},
		{"NaN is unlimited", math.NaN(), 10, Rate{}},
		{"+Inf is unlimited", math.Inf(1), 10, Rate{}},
		{"-Inf is unlimited", math.Inf(-1), 10, Rate{}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := NewRate(c.perSecond, c.burst)
			if got != c.want || got.Unlimited() != (c.want == Rate{}) {
				t.Fatalf("NewRate(%v, %d) = %+v, want %+v", c.perSecond, c.burst, got, c.want)
			}
		})
	}
}

func TestTake(t *testing.T) {
	type take struct {
		now   int64
		n     int
		ok    bool
		retry time.Duration
	}
	yes := func(now int64, n int) take { return take{now, n, true, 0} }
	no := func(now int64, n int, retry time.Duration) take { return take{now, n, false, retry} }
	perSecond := NewRate(1, 3) // a full bucket is 3 s
	fastest := NewRate(1e9, math.MaxInt)
	slowest := NewRate(1e-300, 1)
	cases := []struct {
		name  string
		rate  Rate
		takes []take
	}{
		{"unlimited", Rate{}, []take{yes(0, 1), yes(0, math.MaxInt), yes(math.MinInt64, 1)}},
		{"full at first", perSecond, []take{yes(0, 1), yes(0, 1), yes(0, 1), no(0, 1, time.Second)}},
		{"full at first, at any time", perSecond, []take{yes(-7*second, 3), no(-7*second, 1, time.Second)}},
		{"full at once", perSecond, []take{yes(5, 3), no(5, 1, time.Second), no(5, 3, 3*time.Second)}},
		{"a refusal costs nothing", perSecond, []take{yes(5, 3), no(5, 2, 2*time.Second), no(5, 2, 2*time.Second), yes(5+2*second, 2)}},
		{"refills to the nanosecond", perSecond, []take{yes(5, 3), no(4+second, 1, 1), yes(5+second, 1), no(5+second, 1, time.Second)}},
		{"keeps fractions", perSecond, []take{yes(5, 3), no(5+second/2, 1, time.Second/2), yes(5+second*3/2, 1), yes(5+2*second, 1)}},
		{"holds no more than the burst", perSecond, []take{yes(5, 1), yes(1000*second, 3), no(1000*second, 1, time.Second)}},
		{"some left, not enough", perSecond, []take{yes(5, 2), no(5, 2, time.Second), yes(5, 1)}},
		{"more than the burst", perSecond, []take{no(5, 4, Never), no(5, math.MaxInt, Never), yes(5, 3), no(5, 4, Never)}},
		{"nothing is free", perSecond, []take{yes(5, 3), yes(5, 0), yes(5, -1), yes(5, math.MinInt), no(5, 1, time.Second)}},
		{"jump back by less than a window", perSecond, []take{yes(100*second, 1), no(99*second, 2, time.Second), yes(99*second, 1)}},
		{"jump back empties at most", perSecond, []take{yes(100*second, 1), no(second, 1, time.Second), no(second, 3, 3*time.Second), yes(2*second, 1), yes(4*second, 2)}},
		{"jump back seen by a hopeless demand", perSecond, []take{yes(100*second, 1), no(second, 4, Never), yes(2*second, 1)}},
		{"jump from the last time to the first", perSecond, []take{yes(math.MaxInt64, 3), no(math.MinInt64, 1, time.Second), yes(math.MinInt64+second, 1)}},
		{"jump from the first time to the last", perSecond, []take{yes(math.MinInt64, 3), yes(math.MaxInt64, 3)}},
		{"full again at time 0 is not full before", perSecond, []take{yes(-3*second, 3), no(-3*second, 1, time.Second-1), yes(-2*second, 1)}},
		{"jump back to a window before 0", perSecond, []take{yes(100*second, 1), no(-3*second, 1, time.Second), no(-3*second, 1, time.Second-1), yes(-2*second, 1)}},
		{"huge burst, fastest rate", fastest, []take{yes(0, maxWindow), no(0, 1, 1), yes(1, 1), no(1, math.MaxInt, Never)}},
		{"huge burst, end of time", fastest, []take{yes(math.MaxInt64, maxWindow), yes(math.MaxInt64, 1)}},
		{"slowest rate", slowest, []take{yes(0, 1), no(0, 1, maxWindow), no(maxWindow-1, 1, 1), yes(maxWindow, 1)}},
		{"slowest rate, jump back", slowest, []take{yes(math.MaxInt64, 1), no(math.MinInt64, 1, maxWindow)}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var b Bucket
			for i, take := range c.takes {
				ok, retry := b.TakeN(c.rate, take.now, take.n)
				if ok != take.ok || retry != take.retry {
					t.Fatalf("take %d: TakeN(now %d, n %d) = %v, %v, want %v, %v", i+1, take.now, take.n, ok, retry, take.ok, take.retry)
				}
			}
		})
	}
}

func TestTakeIsTakeOne(t *testing.T) {
	var b Bucket
	r := NewRate(2, 1)
	if ok, _ := b.Take(r, 9); !ok {
		t.Fatal("a full bucket refused")
	}
	if ok, retry := b.Take(r, 9); ok || retry != time.Second/2 {
		t.Fatalf("an empty bucket answered %v, %v", ok, retry)
	}
}

func TestRateChanges(t *testing.T) {
	slow, fast := NewRate(0.01, 10), NewRate(10, 20)
	var b Bucket
	b.TakeN(slow, 5, 10) // full again after 1,000 s
	if ok, retry := b.Take(fast, 5); ok || retry != time.Second/10 {
		t.Fatalf("after a reload: %v, %v, want a wait of 100 ms", ok, retry)
	}
	if ok, _ := b.TakeN(fast, 5+2*second, 20); !ok {
		t.Fatal("not full after the new rate's full time")
	}
}

func TestAllocations(t *testing.T) {
	r := NewRate(1000, 10)
	var b Bucket
	now := int64(0)
	allocs := testing.AllocsPerRun(1000, func() {
		now += 700_000
		b.Take(r, now)
		b.TakeN(r, now, 3)
	})
	if allocs != 0 {
		t.Fatalf("%v allocations, want none", allocs)
	}
}

// BenchmarkTake leaves out the clock, which costs more than the bucket; a loop reads it once a batch of events.
func BenchmarkTake(b *testing.B) {
	r := NewRate(1e6, 10)
	var bucket Bucket
	now := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		now += 900
		bucket.Take(r, now)
	}
}
