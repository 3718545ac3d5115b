package auth

import (
	"crypto/ed25519"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// issuerOfTests answers requests for its key set without a network, so that its KeySet can run on a clock that
// the test moves.
type issuerOfTests struct {
	mu       sync.Mutex
	document string
	header   http.Header
	status   int
	requests []time.Time
	etags    []string
	hold     chan struct{} // nil: answers at once
}

func newIssuerOfTests(entries ...string) *issuerOfTests {
	return &issuerOfTests{document: jwks(entries...), header: http.Header{}, status: 200}
}

func (i *issuerOfTests) RoundTrip(r *http.Request) (*http.Response, error) {
	i.mu.Lock()
	i.requests = append(i.requests, time.Now())
	i.etags = append(i.etags, r.Header.Get("If-None-Match"))
	hold := i.hold
	i.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if etag := i.header.Get("ETag"); etag != "" && i.etags[len(i.etags)-1] == etag {
		return &http.Response{StatusCode: 304, Header: i.header.Clone(), Body: http.NoBody, Request: r}, nil
	}
	return &http.Response{StatusCode: i.status, Header: i.header.Clone(), Body: io.NopCloser(strings.NewReader(i.document)), Request: r}, nil
}

func (i *issuerOfTests) change(f func()) {
	i.mu.Lock()
	defer i.mu.Unlock()
	f()
}

// asked returns how many requests have come.
func (i *issuerOfTests) asked() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return len(i.requests)
}

const addressOfTests = "https://issuer.example/jwks.json"

func newKeySet(t testing.TB, transport http.RoundTripper, o KeySetOptions) *KeySet {
	t.Helper()
	if o.URL == "" {
		o.URL = addressOfTests
	}
	k, err := NewKeySet(o)
	if err != nil {
		t.Fatal(err)
	}
	if transport != nil {
		k.client.Transport = transport
	}
	t.Cleanup(k.Close)
	return k
}

// edKey is one of many keys.
func edKey(n int) ed25519.PrivateKey {
	seed := make([]byte, ed25519.SeedSize)
	seed[0], seed[1] = byte(n), byte(n>>8)
	return ed25519.NewKeyFromSeed(seed)
}

func edJWK(t testing.TB, n int) string { return jwk(t, edKey(n), kid(fmt.Sprint("key", n))) }

// edToken is signed with edKey(n) and says so.
func edToken(t testing.TB, n int) []byte {
	return []byte(forge(t, "EdDSA", edKey(n), fmt.Sprintf(`{"alg":"EdDSA","kid":"key%d"}`, n), goodClaims))
}

func mustBe(t testing.TB, v *Verifier, token []byte, want Refusal) Verdict {
	t.Helper()
	d := v.Check(token)
	if d.Refusal != want || (want == 0) != (d.Identity.User == "alice") {
		t.Errorf("refusal %v, want %v; %+v", d.Refusal, want, d.Identity)
	}
	return d
}

// TestRefreshTimes is when the issuer is asked again.
func TestRefreshTimes(t *testing.T) {
	for name, c := range map[string]struct {
		header  string
		options KeySetOptions
		at      time.Duration // a tenth less is right too
	}{
		"nothing said":        {"", KeySetOptions{}, 15 * time.Minute},
		"configured":          {"", KeySetOptions{Refresh: 5 * time.Minute}, 5 * time.Minute},
		"max-age":             {"public, max-age=600", KeySetOptions{}, 10 * time.Minute},
		"max-age quoted":      {`max-age="600"`, KeySetOptions{}, 10 * time.Minute},
		"max-age in capitals": {"Public,Max-Age=600", KeySetOptions{}, 10 * time.Minute},
		"max-age too short":   {"max-age=1", KeySetOptions{}, time.Minute},
		"max-age zero":        {"max-age=0", KeySetOptions{}, time.Minute},
		"max-age too long":    {"max-age=31536000", KeySetOptions{}, time.Hour},
		"max-age beyond all":  {"max-age=99999999999999999999", KeySetOptions{}, 15 * time.Minute},
		"max-age negative":    {"max-age=-5", KeySetOptions{}, 15 * time.Minute},
		"no-store":            {"no-store, max-age=600", KeySetOptions{}, time.Minute},
		"other directives":    {"private, must-revalidate, , =", KeySetOptions{}, 15 * time.Minute},
		"keys grow too old":   {"max-age=3600", KeySetOptions{MaxAge: 20 * time.Minute}, 20 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				issuer := newIssuerOfTests(edJWK(t, 1))
				if c.header != "" {
					issuer.header.Set("Cache-Control", c.header)
				}
				k := newKeySet(t, issuer, c.options)
				k.Start()
				<-k.Tried()
				time.Sleep(c.at*9/10 - time.Nanosecond)
				if n := issuer.asked(); n != 1 {
					t.Errorf("asked %d times too early", n-1)
				}
				time.Sleep(c.at/10 + time.Nanosecond)
				synctest.Wait()
				if n := issuer.asked(); n != 2 {
					t.Errorf("asked %d times, want twice", n)
				}
			})
		})
	}
}

// TestStaleIfError: keys outlive the issuer by a day and no longer, and come back with it.
func TestStaleIfError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		issuer := newIssuerOfTests(edJWK(t, 1))
		issuer.header.Set("ETag", `"1"`)
		var reports []KeySetStatus
		k := newKeySet(t, issuer, KeySetOptions{Report: func(s KeySetStatus) { reports = append(reports, s) }})
		v := newVerifier(t, Options{KeySet: k, CacheEntries: 8, Now: func() time.Time { return now }})
		k.Start()
		<-k.Tried()
		mustBe(t, v, edToken(t, 1), 0)

		time.Sleep(time.Hour) // unchanged a few times
		synctest.Wait()
		if s := k.Status(); s.Last != RefreshUnchanged || time.Since(s.Fetched) > 15*time.Minute || k.Refreshes(RefreshUnchanged) < 4 || k.Refreshes(RefreshChanged) != 1 {
			t.Errorf("%+v", s)
		}
		issuer.change(func() { issuer.status, issuer.document = 503, ""; issuer.header.Del("ETag") })
		time.Sleep(15 * time.Minute)
		confirmed := k.Status().Fetched
		before := issuer.asked()
		time.Sleep(time.Hour)
		if n := issuer.asked() - before; n < 59 || n > 68 {
			t.Errorf("asked %d times in an hour of failures", n)
		}
		time.Sleep(time.Until(confirmed.Add(24*time.Hour - time.Minute)))
		mustBe(t, v, edToken(t, 1), 0)
		if d := mustBe(t, v, edToken(t, 2), RefusedNoKeys); !d.Refusal.Unavailable() {
			t.Error("an unknown kid is held against a client while the issuer can't be asked")
		}
		if _, cached := v.Cached(edToken(t, 1)); !cached {
			t.Error("forgotten while its key is in use")
		}

		time.Sleep(time.Minute + defaultMinInterval)
		synctest.Wait()
		mustBe(t, v, edToken(t, 1), RefusedNoKeys)
		if _, cached := v.Cached(edToken(t, 1)); cached {
			t.Error("remembered though its key is too old")
		}
		if s := k.Status(); s.Keys != 0 || s.Last != RefreshStatus || s.Fetched != confirmed {
			t.Errorf("%+v", s)
		}

		issuer.change(func() { issuer.status, issuer.document = 200, jwks(edJWK(t, 1)); issuer.header.Set("ETag", `"1"`) })
		time.Sleep(defaultMinInterval)
		synctest.Wait()
		mustBe(t, v, edToken(t, 1), 0)
		k.Close()
		if last := reports[len(reports)-1]; last != k.Status() || len(reports) != issuer.asked() || last.URL != addressOfTests {
			t.Errorf("%d reports of %d refreshes, the last %+v", len(reports), issuer.asked(), last)
		}
	})
}

func TestNewKeySetRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		options KeySetOptions
		says    string
	}{
		"nothing":             {KeySetOptions{}, "not an address"},
		"no host":             {KeySetOptions{URL: "https:///jwks"}, "not an address"},
		"damaged":             {KeySetOptions{URL: "https://a b/%"}, "not an address"},
		"a file":              {KeySetOptions{URL: "file://host/etc/passwd"}, `"file" is not https`},
		"no scheme":           {KeySetOptions{URL: "issuer.example/jwks"}, "not an address"},
		"http":                {KeySetOptions{URL: "http://issuer.example/jwks"}, "issuer.example can sign"},
		"http, like loopback": {KeySetOptions{URL: "http://127.0.0.1.example/jwks"}, "use https"},
		"http, private":       {KeySetOptions{URL: "http://10.0.0.1/jwks"}, "use https"},
		"with a password":     {KeySetOptions{URL: "https://user:hunter2@issuer.example/jwks"}, "password"},
		"refresh too often":   {KeySetOptions{URL: addressOfTests, Refresh: time.Second}, "every 1s"},
		"refresh too rarely":  {KeySetOptions{URL: addressOfTests, Refresh: 2 * time.Hour}, "every 2h"},
		"timeout too long":    {KeySetOptions{URL: addressOfTests, Timeout: time.Hour}, "timeout of 1h"},
		"negative timeout":    {KeySetOptions{URL: addressOfTests, Timeout: -1}, "timeout of"},
		"negative interval":   {KeySetOptions{URL: addressOfTests, MinInterval: -1}, "fetched every"},
		"negative age":        {KeySetOptions{URL: addressOfTests, MaxAge: -1}, "kept for"},
		"http in capitals":    {KeySetOptions{URL: "HTTP://localhost.example"}, "use https"},
	} {
		t.Run(name, func(t *testing.T) {
			k, err := NewKeySet(c.options)
			if err == nil || k != nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%v does not say %q", err, c.says)
			}
		})
	}
	for _, address := range []string{addressOfTests, "http://localhost:1/", "http://127.0.0.2/", "http://[::1]:8080/jwks?x=y"} {
		k, err := NewKeySet(KeySetOptions{URL: address})
		if err != nil {
			t.Error(err)
			continue
		}
		k.Close()
		if k.Refreshes(99) != 0 || k.Status() != (KeySetStatus{URL: address}) {
			t.Errorf("%+v", k.Status())
		}
	}
}
