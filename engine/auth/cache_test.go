package auth

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unsafe"
)

// testClock is a wall clock that moves when told to.
type testClock struct{ seconds atomic.Int64 }

func newTestClock() *testClock {
	c := new(testClock)
	c.seconds.Store(now.Unix())
	return c
}

func (c *testClock) now() time.Time                 { return time.Unix(c.seconds.Load(), 0) }
func (c *testClock) advance(duration time.Duration) { c.seconds.Add(int64(duration / time.Second)) }

func userToken(t testing.TB, user string, expires int64) []byte {
	return []byte(hs256(t, fmt.Sprintf(`{"sub":%q,"exp":%d,"rooms":["**"]}`, user, expires)))
}

func TestCached(t *testing.T) {
	clock := newTestClock()
	v := newVerifier(t, Options{HMACSecret: testSecret, CacheEntries: 100, Leeway: 10 * time.Second, Now: clock.now})
	token := userToken(t, "alice", now.Unix()+60)
	if _, ok := v.Cached(token); ok {
		t.Fatal("found before it was verified")
	}
	want, err := v.Verify(token)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // verifying twice fills one place
		if got, ok := v.Cached(token); !ok || got != want || v.CacheLen() != 1 {
			t.Fatalf("%+v, %v, %d tokens; want %+v", got, ok, v.CacheLen(), want)
		}
		if _, err := v.Verify(token); err != nil {
			t.Fatal(err)
		}
	}
	if v.CacheHits() != 2 || v.CacheMisses() != 1 {
		t.Errorf("%d hits, %d misses", v.CacheHits(), v.CacheMisses())
	}
	other := []byte(string(token))
	other[len(other)-2] ^= 1
	if _, ok := v.Cached(other); ok {
		t.Error("found with another signature")
	}
	if _, ok := v.Cached(append(token, make([]byte, 10<<10)...)); ok {
		t.Error("found though it is too long")
	}

	clock.advance(69 * time.Second)
	if _, ok := v.Cached(token); !ok {
		t.Error("gone within the leeway")
	}
	clock.advance(time.Second)
	if _, ok := v.Cached(token); ok {
		t.Error("found after it expired")
	}
	if _, err := v.Verify(token); err != RefusedExpired {
		t.Errorf("Verify disagrees with Cached: %v", err)
	}
	if v.CacheLen() != 0 {
		t.Errorf("%d tokens after the only one expired", v.CacheLen())
	}
}

// TestClockJumps moves the wall clock an hour both ways: what is expired then is refused, cached or not.
func TestClockJumps(t *testing.T) {
	clock := newTestClock()
	v := newVerifier(t, Options{HMACSecret: testSecret, CacheEntries: 8, Now: clock.now})
	token := userToken(t, "alice", now.Unix()+1800)
	if _, err := v.Verify(token); err != nil {
		t.Fatal(err)
	}
	clock.advance(-time.Hour)
	if _, ok := v.Cached(token); !ok {
		t.Error("forgotten when the clock went back")
	}
	clock.advance(2 * time.Hour)
	if _, ok := v.Cached(token); ok {
		t.Error("accepted when the clock went past its end")
	}
	clock.advance(-time.Hour)
	if _, ok := v.Cached(token); ok {
		t.Error("an entry found expired came back")
	}
	if _, err := v.Verify(token); err != nil {
		t.Errorf("not accepted again once the clock is right: %v", err)
	}
}

func TestCacheOff(t *testing.T) {
	v := newVerifier(t, Options{HMACSecret: testSecret})
	token := userToken(t, "alice", now.Unix()+60)
	if _, err := v.Verify(token); err != nil {
		t.Fatal(err)
	}
	if _, ok := v.Cached(token); ok || v.CacheLen() != 0 || v.CacheHits() != 0 || v.CacheMisses() != 0 {
		t.Error("a cache that is off remembers something")
	}
}

// numbered is a key whose tag is n, in a cache of one set.
func numbered(n int) (key cacheKey) {
	binary.LittleEndian.PutUint64(key.tag[:], uint64(n))
	return key
}

func TestReplacement(t *testing.T) {
	none := rightsOf(nil, nil)
	identity := func(expires int64) Identity { return Identity{User: "u", Expires: expires, Rights: none} }
	holds := func(c *cache, at int64, want ...int) {
		t.Helper()
		for n := range 40 {
			wanted := false
			for _, w := range want {
				wanted = wanted || w == n
			}
			if _, ok := c.find(numbered(n), at); ok != wanted {
				t.Errorf("token %d: found %v, want %v", n, ok, wanted)
			}
		}
		if c.filled.Load() != int64(len(want)) {
			t.Errorf("counts %d tokens, want %d", c.filled.Load(), len(want))
		}
	}

	c := newCache(cacheWays, 0)
	for n := range 10 {
		c.store(numbered(n), identity(100), nil, 0)
	}
	holds(c, 0, 2, 3, 4, 5, 6, 7, 8, 9) // the two oldest had to go

	c.store(numbered(2), identity(100), nil, 0) // young again
	c.store(numbered(10), identity(100), nil, 0)
	holds(c, 0, 2, 4, 5, 6, 7, 8, 9, 10)

	c = newCache(cacheWays, 5)
	for n := range cacheWays {
		expires := int64(100)
		if n == 6 {
			expires = 10
		}
		c.store(numbered(n), identity(expires), nil, 0)
	}
	c.store(numbered(20), identity(100), nil, 14) // still within the leeway: the oldest goes
	c.store(numbered(21), identity(100), nil, 15) // now the expired one goes
	c.store(numbered(22), identity(100), nil, 15)
	holds(c, 15, 2, 3, 4, 5, 7, 20, 21, 22)
}

// TestCacheIsFixed fills the cache far beyond its size.
func TestCacheIsFixed(t *testing.T) {
	if size := unsafe.Sizeof(cacheSet{}); size > 73*cacheWays {
		t.Errorf("a set takes %d bytes", size)
	}
	c := newCache(1000, 0)
	var token [8]byte
	for n := range 20_000 {
		binary.LittleEndian.PutUint64(token[:], uint64(n))
		c.store(cacheKeyOf(token[:]), Identity{Rights: All, Expires: 1}, nil, 0)
	}
	if len(c.sets) != 125 || c.filled.Load() != 1000 {
		t.Errorf("%d sets with %d tokens; want all of 125 sets filled", len(c.sets), c.filled.Load())
	}
}

func TestCacheConcurrently(t *testing.T) {
	clock := newTestClock()
	v := newVerifier(t, Options{HMACSecret: testSecret, CacheEntries: 16, Now: clock.now})
	var tokens [40][]byte
	for i := range tokens {
		tokens[i] = userToken(t, fmt.Sprint(i), now.Unix()+int64(i))
	}
	var wait sync.WaitGroup
	for worker := range 4 {
		wait.Go(func() {
			for round := range 300 {
				i := (round*7 + worker) % len(tokens)
				identity, ok := v.Cached(tokens[i])
				if !ok {
					var err error
					if identity, err = v.Verify(tokens[i]); err != nil {
						continue
					}
				}
				if identity.User != fmt.Sprint(i) {
					t.Errorf("token of %d speaks for %s", i, identity.User)
				}
				if worker == 0 && round%20 == 0 {
					clock.advance(time.Second)
				}
			}
		})
	}
	wait.Wait()
	if n := v.CacheLen(); n < 0 || n > 16 {
		t.Errorf("the cache holds %d tokens", n)
	}
}

func TestHotPathsAllocateNothing(t *testing.T) {
	v := newVerifier(t, Options{HMACSecret: testSecret, CacheEntries: 64})
	token, unknown := userToken(t, "alice", now.Unix()+60), userToken(t, "bob", now.Unix()+60)
	if _, err := v.Verify(token); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, ok := v.Cached(token); !ok {
			t.Error("not found")
		}
		v.Cached(unknown)
	}); n != 0 {
		t.Errorf("Cached: %v allocations", n)
	}
	// encoding/json keeps its scanners in a pool, which a collection may empty.
	runtime.GC()
	v.Inline(token)
	if n := testing.AllocsPerRun(100, func() { v.Inline(token) }); n != 0 {
		t.Errorf("Inline: %v allocations", n)
	}
}
