package auth

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// identityOf is what a token with those claims speaks for.
func identityOf(user, session, token string) Identity {
	return Identity{User: user, Session: MarkOf(RevokedSession, session), Token: MarkOf(RevokedToken, token)}
}

func TestRevocations(t *testing.T) {
	clock := newTestClock()
	r := NewRevocations(0, clock.now)
	soon, late := now.Add(time.Minute), now.Add(time.Hour)
	for _, c := range []struct {
		by    RevokedBy
		value string
		until time.Time
	}{{RevokedUser, "mallory", late}, {RevokedSession, "s1", soon}, {RevokedToken, "t1", soon}, {RevokedToken, "t2", late}} {
		if err := r.Refuse(c.by, c.value, c.until); err != nil {
			t.Fatal(err)
		}
	}
	who := map[string]Identity{
		"user":           identityOf("mallory", "", ""),
		"session":        identityOf("alice", "s1", "x"),
		"token":          identityOf("alice", "x", "t1"),
		"other token":    identityOf("alice", "", "t2"),
		"nobody":         identityOf("alice", "s2", "t3"),
		"names only":     identityOf("s1", "t1", "mallory"),
		"without marks":  identityOf("alice", "", ""),
		"nothing at all": {},
	}
	expect := func(when string, refused ...string) {
		t.Helper()
		for name, identity := range who {
			want := false
			for _, n := range refused {
				want = want || n == name
			}
			if got := r.Refused(identity); got != want {
				t.Errorf("%s: %s refused %v, want %v", when, name, got, want)
			}
		}
	}
	expect("at once", "user", "session", "token", "other token")
	clock.advance(59 * time.Second)
	expect("just before a minute", "user", "session", "token", "other token")
	clock.advance(time.Second)
	expect("after a minute", "user", "other token")

	if err := r.Refuse(RevokedUser, "mallory", clock.now()); err != nil {
		t.Error(err)
	}
	expect("after a pardon", "other token")
	if err := r.Refuse(RevokedUser, "mallory", late.Add(time.Hour)); err != nil {
		t.Error(err)
	}
	clock.advance(time.Hour)
	expect("after an hour", "user")
	clock.advance(time.Hour)
	expect("after two hours")
	if err := r.Refuse(RevokedSession, "s1", clock.now().Add(time.Second)); err != nil || r.Len() != 1 {
		t.Errorf("%v; %d entries, though all but one have ended", err, r.Len())
	}
	expect("after all", "session")

	for _, bad := range []error{r.Refuse(RevokedUser, "", late), r.Refuse(revokedByEnd, "x", late)} {
		if bad == nil || errors.Is(bad, ErrRevocationsFull) {
			t.Errorf("%v", bad)
		}
	}
}

// TestRevocationsFull: nothing is forgotten to make room, and what has ended makes some.
func TestRevocationsFull(t *testing.T) {
	clock := newTestClock()
	r := NewRevocations(100, clock.now)
	refuse := func(n int, d time.Duration) error {
		return r.Refuse(RevokedUser, fmt.Sprint(n), clock.now().Add(d))
	}
	for n := range 100 {
		if err := refuse(n, time.Duration(10+n%2*10)*time.Second); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 {
		if err := refuse(100, time.Hour); !errors.Is(err, ErrRevocationsFull) {
			t.Fatal(err)
		}
	}
	if err := refuse(7, time.Hour); err != nil {
		t.Errorf("an entry can't be changed: %v", err)
	}
	for n := range 100 {
		if !r.Refused(Identity{User: fmt.Sprint(n)}) {
			t.Errorf("%d was forgotten", n)
		}
	}
	clock.advance(10 * time.Second)
	if err := refuse(100, time.Hour); err != nil || r.Len() != 51 {
		t.Errorf("%v; %d entries", err, r.Len())
	}
	if r.Refused(Identity{User: "4"}) || !r.Refused(Identity{User: "5"}) || !r.Refused(Identity{User: "100"}) {
		t.Error("the wrong ones are left")
	}
}

// TestRevokedTokens follows sid and jti from a token to the table, through the cache.
func TestRevokedTokens(t *testing.T) {
	v := newVerifier(t, Options{HMACSecret: testSecret, CacheEntries: 8})
	for name, c := range map[string]struct {
		claims string
		by     RevokedBy
		value  string
		want   bool
	}{
		"user":                  {`"jti":"t"`, RevokedUser, "alice", true},
		"another user":          {`"jti":"t"`, RevokedUser, "bob", false},
		"session":               {`"sid":"s"`, RevokedSession, "s", true},
		"token":                 {`"sid":"s","jti":"t"`, RevokedToken, "t", true},
		"session of that name":  {`"sid":"s"`, RevokedToken, "s", false},
		"escaped":               {`"jti":"\u0074\""`, RevokedToken, `t"`, true},
		"a number":              {`"jti":123`, RevokedToken, "123", true},
		"a list":                {`"jti":["t"]`, RevokedToken, "t", false},
		"null":                  {`"jti":null`, RevokedToken, "null", false},
		"empty":                 {`"jti":"","sid":""`, RevokedToken, "t", false},
		"long":                  {`"jti":"` + strings.Repeat("t", 4000) + `"`, RevokedToken, strings.Repeat("t", 4000), true},
		"of another claim":      {`"JTI":"t"`, RevokedToken, "t", false},
		"of somebody else":      {`"jti":"t"`, RevokedToken, "u", false},
		"without either of two": {`"x":1`, RevokedSession, "s", false},
	} {
		t.Run(name, func(t *testing.T) {
			r := NewRevocations(8, nil)
			token := []byte(hs256(t, fmt.Sprintf(`{"sub":"alice","exp":%d,%s}`, now.Unix()+60, c.claims)))
			verified := mustBe(t, v, token, 0).Identity
			cached, ok := v.Cached(token)
			if !ok || cached != verified {
				t.Fatalf("%+v, %v", cached, ok)
			}
			if r.Refused(cached) {
				t.Error("refused by an empty table")
			}
			if err := r.Refuse(c.by, c.value, time.Now().Add(time.Hour)); err != nil {
				t.Fatal(err)
			}
			if r.Refused(cached) != c.want {
				t.Errorf("refused %v", !c.want)
			}
		})
	}
	for _, twice := range []string{`"sid":"a","sid":"b"`, `"jti":"a","jti":"a"`} {
		mustBe(t, v, []byte(hs256(t, fmt.Sprintf(`{"sub":"alice","exp":%d,%s}`, now.Unix()+60, twice))), RefusedMalformed)
	}
}

func TestRevocationsConcurrently(t *testing.T) {
	r := NewRevocations(50, nil)
	var workers sync.WaitGroup
	for worker := range 4 {
		workers.Go(func() {
			for n := range 500 {
				user := fmt.Sprint(n % 60)
				if worker == 0 {
					_ = r.Refuse(RevokedUser, user, time.Now().Add(time.Duration(n%3)*time.Millisecond))
				}
				r.Refused(Identity{User: user})
			}
		})
	}
	workers.Wait()
	if r.Len() > 50 {
		t.Errorf("%d entries", r.Len())
	}
}

func TestRefusedAllocatesNothing(t *testing.T) {
	r := NewRevocations(0, nil)
	who := identityOf("alice", "s", "t")
	look := func() { r.Refused(who) }
	if n := testing.AllocsPerRun(100, look); n != 0 {
		t.Errorf("empty: %v allocations", n)
	}
	if err := r.Refuse(RevokedUser, "bob", time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, look); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
