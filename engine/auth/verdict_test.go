package auth

// Tokens that wait for keys.

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestRotation: a token of a key that came after the last refresh waits for the next, and is accepted then; a token
// of a key that has gone is no longer, cached or not.
func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuerOfTests(edJWK(t, 1))
		k := newKeySet(t, issuer, KeySetOptions{})
		v := newVerifier(t, Options{KeySet: k, CacheEntries: 8})
		old, young := edToken(t, 1), edToken(t, 2)

		d := mustBe(t, v, old, RefusedNoKeys)
		if d.Await(func() { t.Error("called by a KeySet that does not run") }) {
			t.Error("waits for a KeySet that does not run")
		}
		k.Start()
		k.Start()
		<-k.Tried()
		mustBe(t, v, old, 0)
		if _, cached := v.Cached(old); !cached {
			t.Error("not in the cache")
		}

		time.Sleep(time.Minute)
		issuer.change(func() { issuer.document = jwks(edJWK(t, 2)) })
		d = mustBe(t, v, young, RefusedUnknownKey)
		done := make(chan Verdict, 2)
		for range 2 {
			if !d.Await(func() { done <- v.Check(young) }) {
				t.Fatal("no refresh for an unknown kid")
			}
		}
		if first, second := <-done, <-done; first.Refusal != 0 || second.Refusal != 0 || issuer.asked() != 2 {
			t.Errorf("%v, %v after %d requests", first.Refusal, second.Refusal, issuer.asked())
		}
		if _, cached := v.Cached(old); cached || v.CacheLen() != 1 {
			t.Errorf("the cache still has a token of a key that has gone, or not the other; %d", v.CacheLen())
		}
		mustBe(t, v, old, RefusedUnknownKey)
		if k.Refreshes(RefreshChanged) != 2 || k.Status().Keys != 1 || k.Status().Fetched != time.Now() {
			t.Errorf("%+v", k.Status())
		}

		// Whoever was told of an unknown key just before the keys came need not wait.
		called := false
		if !d.Await(func() { called = true }) || !called {
			t.Error("waits though the keys are there")
		}
	})
}

// TestRotationWithoutKid: nobody can say whether a token without a kid is of a new key, so it waits as well.
func TestRotationWithoutKid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuerOfTests(jwk(t, edKey(1), nil))
		k := newKeySet(t, issuer, KeySetOptions{})
		v := newVerifier(t, Options{KeySet: k})
		k.Start()
		<-k.Tried()
		token := []byte(forge(t, "EdDSA", edKey(2), `{"alg":"EdDSA"}`, goodClaims))
		if mustBe(t, v, token, RefusedSignature).Await(nil) {
			t.Error("waits 0 s after a refresh")
		}
		time.Sleep(time.Minute)
		issuer.change(func() { issuer.document = jwks(jwk(t, edKey(2), nil)) })
		done := make(chan Verdict, 1)
		if !mustBe(t, v, token, RefusedSignature).Await(func() { done <- v.Check(token) }) {
			t.Fatal("does not wait")
		}
		if d := <-done; d.Refusal != 0 {
			t.Error(d.Refusal)
		}
		time.Sleep(time.Minute)
		named := []byte(forge(t, "EdDSA", edKey(3), `{"alg":"EdDSA","kid":"x"}`, goodClaims))
		issuer.change(func() { issuer.document = jwks(jwk(t, edKey(4), kid("x"))) })
		if !mustBe(t, v, named, RefusedUnknownKey).Await(func() { done <- v.Check(named) }) {
			t.Fatal("does not wait for an unknown kid")
		}
		if d := <-done; d.Refusal != RefusedSignature || d.Await(nil) {
			t.Errorf("%v: a bad signature of a known kid waits for keys", d.Refusal)
		}
	})
}

// TestUnknownKids sends 10,000 tokens with random kids in a second, and more for half a minute: the issuer hears of
// it once in 10 s, and whoever has a good token notices nothing.
func TestUnknownKids(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuerOfTests(edJWK(t, 1))
		k := newKeySet(t, issuer, KeySetOptions{})
		v := newVerifier(t, Options{KeySet: k})
		k.Start()
		<-k.Tried()
		good := edToken(t, 1)
		tail := good[strings.IndexByte(string(good), '.'):]
		var again atomic.Int64
		waits := 0
		for second := range 30 {
			for n := range 10_000 {
				if second > 0 && n == 200 {
					break
				}
				header := encode(fmt.Sprintf(`{"alg":"EdDSA","kid":"%x"}`, rand.Uint64()))
				d := v.Check(append([]byte(header), tail...))
				if d.Refusal != RefusedUnknownKey {
					t.Fatal(d.Refusal)
				}
				if d.Await(func() { again.Add(1) }) {
					waits++
				}
			}
			mustBe(t, v, good, 0)
			time.Sleep(time.Second)
		}
		synctest.Wait()
		issuer.mu.Lock()
		defer issuer.mu.Unlock()
		for n := 1; n < len(issuer.requests); n++ {
			if apart := issuer.requests[n].Sub(issuer.requests[n-1]); apart < 10*time.Second {
				t.Errorf("requests %v apart", apart)
			}
		}
		if len(issuer.requests) != 3 || waits == 0 || int(again.Load()) != waits {
			t.Errorf("%d requests in 30 s; %d called of %d that waited", len(issuer.requests), again.Load(), waits)
		}
	})
}

// TestAwaitIsBounded: no more than 4096 wait for one refresh, each is called once, and Close leaves nobody waiting.
func TestAwaitIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuerOfTests(edJWK(t, 1))
		issuer.hold = make(chan struct{})
		k := newKeySet(t, issuer, KeySetOptions{})
		v := newVerifier(t, Options{KeySet: k})
		k.Start()
		d := mustBe(t, v, edToken(t, 1), RefusedNoKeys)
		var called [maxAwaiting + 1]int
		for n := range called {
			if d.Await(func() { called[n]++ }) != (n < maxAwaiting) {
				t.Fatalf("%d may wait", n)
			}
		}
		close(issuer.hold)
		<-k.Tried()
		synctest.Wait()
		for n, times := range called[:maxAwaiting] {
			if times != 1 {
				t.Fatalf("%d was called %d times", n, times)
			}
		}
		time.Sleep(time.Minute)
		issuer.change(func() { issuer.hold = make(chan struct{}) })
		ended := false
		if !mustBe(t, v, edToken(t, 2), RefusedUnknownKey).Await(func() { ended = true }) {
			t.Fatal("may not wait")
		}
		synctest.Wait()
		k.Close()
		if !ended {
			t.Error("still waits for a KeySet that is closed")
		}
		if mustBe(t, v, edToken(t, 2), RefusedUnknownKey).Await(nil) {
			t.Error("waits for a KeySet that is closed")
		}
		mustBe(t, v, edToken(t, 1), 0)
		k.Start()
	})
}

// TestKeysComeLate: a server that opens before its keys are there accepts tokens 10 s after the issuer is up, or
// as soon as a token asks for it.
func TestKeysComeLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuerOfTests()
		issuer.hold = make(chan struct{})
		k := newKeySet(t, issuer, KeySetOptions{})
		v := newVerifier(t, Options{KeySet: k})
		token := edToken(t, 1)
		k.Start()
		done := make(chan Verdict, 1)
		if !mustBe(t, v, token, RefusedNoKeys).Await(func() { done <- v.Check(token) }) {
			t.Fatal("does not wait for the first refresh")
		}
		close(issuer.hold)
		d := <-done
		if d.Refusal != RefusedNoKeys || d.Await(nil) {
			t.Errorf("%v; waits at once for another", d.Refusal)
		}
		if s := k.Status(); s.Last != RefreshEmpty || !s.Fetched.IsZero() {
			t.Errorf("%+v", s)
		}
		issuer.change(func() { issuer.document = jwks(edJWK(t, 1)) })
		time.Sleep(defaultMinInterval)
		synctest.Wait()
		mustBe(t, v, token, 0)
	})
}

// TestKeySetConcurrently rotates under load.
func TestKeySetConcurrently(t *testing.T) {
	issuer := newIssuerOfTests(edJWK(t, 0))
	k := newKeySet(t, issuer, KeySetOptions{MinInterval: time.Nanosecond})
	v := newVerifier(t, Options{KeySet: k, CacheEntries: 16})
	k.Start()
	<-k.Tried()
	var tokens [8][]byte
	for n := range tokens {
		tokens[n] = edToken(t, n)
	}
	var workers, waits sync.WaitGroup
	for worker := range 4 {
		workers.Go(func() {
			for round := range 60 {
				n := (round + worker) % len(tokens)
				if worker == 0 {
					issuer.change(func() { issuer.document = jwks(edJWK(t, n)) })
				}
				if _, ok := v.Cached(tokens[n]); ok {
					continue
				}
				waits.Add(1)
				if d := v.Check(tokens[n]); d.Refusal != 0 && d.Refusal != RefusedUnknownKey || !d.Await(waits.Done) {
					waits.Done()
				}
				k.Status()
			}
		})
	}
	workers.Wait()
	waits.Wait()
}
