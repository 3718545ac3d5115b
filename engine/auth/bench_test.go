package auth

import (
	"strconv"
	"testing"
	"time"
)

// The benchmarks use tokens of about 250 bytes and one key; an issuer that writes many claims costs more, and
// every further public key of the same kind can add one more check. All run on one core without contention.

func BenchmarkVerify(b *testing.B) {
	v := fullVerifier(b)
	for _, algorithm := range []string{"HS256", "HS512", "RS256", "PS256", "ES256", "EdDSA"} {
		token := []byte(forge(b, algorithm, signers()[algorithm], `{"alg":"`+algorithm+`","typ":"JWT"}`, fine))
		b.Run(algorithm, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify(token); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkRefuse(b *testing.B) {
	v := fullVerifier(b)
	good := hs256(b, fine)
	for name, token := range map[string]string{
		"algorithm": forge(b, "HS256", testSecret, `{"alg":"none"}`, fine),
		"signature": good[:len(good)-4] + "AAAA",
		"too long":  good + string(make([]byte, 10<<10)),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := v.Verify([]byte(token)); err == nil {
					b.Fatal("accepted")
				}
			}
		})
	}
}

func BenchmarkCached(b *testing.B) {
	v := newVerifier(b, Options{HMACSecret: testSecret, CacheEntries: 1 << 16, Now: time.Now})
	token := userToken(b, "alice", time.Now().Unix()+3600)
	if _, err := v.Verify(token); err != nil {
		b.Fatal(err)
	}
	b.Run("hit", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, ok := v.Cached(token); !ok {
				b.Fatal("not found")
			}
		}
	})
	b.Run("miss", func(b *testing.B) {
		unknown := userToken(b, "bob", time.Now().Unix()+3600)
		b.ReportAllocs()
		for b.Loop() {
			v.Cached(unknown)
		}
	})
}

// BenchmarkFetched compares a token of a fetched key, among several issuers, with one that is refused for its kid.
func BenchmarkFetched(b *testing.B) {
	k := keys()
	v := newVerifier(b, Options{Issuers: []Issuer{
		{Name: "issuer", KeySet: settled(b, jwk(b, k.ed, kid("a")), jwk(b, k.p256, kid("b")))},
		{Name: "other", HMACSecret: testSecret},
	}})
	for id, want := range map[string]Refusal{"a": 0, "unknown": RefusedUnknownKey} {
		token := []byte(forge(b, "EdDSA", k.ed, `{"alg":"EdDSA","kid":"`+id+`"}`, fine))
		b.Run("kid "+id, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if d := v.Check(token); d.Refusal != want {
					b.Fatal(d.Refusal)
				}
			}
		})
	}
}

func BenchmarkRefused(b *testing.B) {
	who := identityOf("alice", "session", "token")
	for _, entries := range []int{0, 1, maxRevocations} {
		r := NewRevocations(0, nil)
		for n := range entries {
			if err := r.Refuse(RevokedUser, strconv.Itoa(n), time.Now().Add(time.Hour)); err != nil {
				b.Fatal(err)
			}
		}
		b.Run(strconv.Itoa(entries)+" revocations", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.Refused(who)
			}
		})
	}
}

func BenchmarkInline(b *testing.B) {
	v := fullVerifier(b)
	token := []byte(hs256(b, fine))
	b.ReportAllocs()
	for b.Loop() {
		v.Inline(token)
	}
}

func BenchmarkCanJoin(b *testing.B) {
	worst, long := worstRights()
	for _, c := range []struct {
		name   string
		rights *Rights
		room   []byte
	}{
		{"exact", rightsOf([]string{"a", "chat.lobby", "z"}, nil), []byte("chat.lobby")},
		{"wildcard", rightsOf([]string{"chat.*", "news.**"}, nil), []byte("chat.lobby")},
		{"all", All, []byte("chat.lobby")},
		{"128 patterns of 60 segments", worst, long},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				c.rights.CanJoin(c.room)
			}
		})
	}
}
