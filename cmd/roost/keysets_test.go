package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/auth"
)

// issuer is an identity provider on this machine: an address with a key set, and tokens signed with its newest key.
type issuer struct {
	tb      testing.TB
	address string // of the key set

	mu       sync.Mutex
	keys     []*rsa.PrivateKey // kid "0", "1", and so on
	down     bool              // connections end without an answer
	requests []time.Time
}

func startIssuer(tb testing.TB) *issuer {
	tb.Helper()
	i := &issuer{tb: tb}
	s := httptest.NewServer(i)
	tb.Cleanup(s.Close)
	i.address = s.URL + "/jwks.json"
	i.rotate()
	return i
}

// ServeHTTP answers with the newest key alone.
func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.requests = append(i.requests, time.Now())
	if i.down {
		panic(http.ErrAbortHandler)
	}
	last := len(i.keys) - 1
	encode := base64.RawURLEncoding.EncodeToString
	_ = json.NewEncoder(w).Encode(map[string]any{"keys": []map[string]string{{
		"kty": "RSA", "alg": "RS256", "use": "sig", "kid": fmt.Sprint(last),
		"n": encode(i.keys[last].N.Bytes()), "e": encode(big.NewInt(int64(i.keys[last].E)).Bytes()),
	}}})
}

// rotate replaces the key.
func (i *issuer) rotate() {
	i.tb.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		i.tb.Fatal(err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = append(i.keys, key)
}

func (i *issuer) setDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

// asked returns when the key set was asked for.
func (i *issuer) asked() []time.Time {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]time.Time(nil), i.requests...)
}

// token makes a token of user alice.
func (i *issuer) token() string {
	i.tb.Helper()
	i.mu.Lock()
	defer i.mu.Unlock()
	last := len(i.keys) - 1
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(i.keys[last])})
	token, err := auth.Mint{PrivateKeyPEM: private, KeyID: fmt.Sprint(last)}.Token(auth.Claims{
		User: "alice", Rooms: []string{"lobby"}, Issuer: "https://login.example.com", ExpiresAt: time.Now().Add(time.Hour),
	})
	if err != nil {
		i.tb.Fatal(err)
	}
	return token
}

// TestVerifierOfIssuers: issuers of one address share a key set, and tokens are remembered where a public key checks them.
func TestVerifierOfIssuers(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("0123456789abcdef0123456789abcdef"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		args  []string
		sets  int
		cache bool
	}{
		{"a secret", []string{"--auth.hmac_secret_file=" + secret}, 0, false},
		{"an address", []string{"--auth.jwks_url=https://a/keys"}, 1, true},
		{"a secret and an address", []string{"--auth.hmac_secret_file=" + secret, "--auth.jwks_url=https://a/keys"}, 1, true},
		{"issuers with secrets", []string{"--auth.issuers=[{issuer: a, hmac_secret_file: '" + secret + "'}]"}, 0, false},
		{"issuers of all kinds", []string{"--auth.issuers=[{issuer: a, hmac_secret_file: '" + secret + "'}, {issuer: b, jwks_url: 'https://a/keys'}, " +
			"{issuer: c, jwks_url: 'https://a/keys'}, {issuer: d, jwks_url: 'https://d/keys', audience: x, algorithms: [ES256]}]"}, 2, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := loadArgs(t, c.args...)
			if err != nil {
				t.Fatal(err)
			}
			sets := &keySets{log: quiet}
			if _, err := newVerifier(&l.Config.Auth, sets); err != nil {
				t.Fatal(err)
			}
			if len(sets.all) != c.sets || (cacheEntries(&l.Config.Auth) > 0) != c.cache {
				t.Errorf("%d key sets, %d tokens remembered", len(sets.all), cacheEntries(&l.Config.Auth))
			}
		})
	}
	if _, err := (&keySets{log: quiet}).at("auth.issuers[3].jwks_url", "ftp://a/keys"); err == nil || !strings.HasPrefix(err.Error(), "auth.issuers[3].jwks_url: ") {
		t.Errorf("%v", err)
	}
}

// TestIssuersArrive has each issuer's own keys, audience and algorithms decide about its tokens.
func TestIssuersArrive(t *testing.T) {
	const secrets = "--auth.issuers=[{issuer: a, hmac_secret: aaaabbbbccccddddeeeeffffgggghhhh, audience: chat}, " +
		"{issuer: b, hmac_secret: bbbbccccddddeeeeffffgggghhhhiiii, algorithms: HS512}]"
	l, err := loadArgs(t, secrets)
	if err != nil {
		t.Fatal(err)
	}
	v, err := newVerifier(&l.Config.Auth, &keySets{log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		secret, algorithm, issuer, audience string
		want                                auth.Refusal
	}{
		{"aaaabbbbccccddddeeeeffffgggghhhh", "HS256", "a", "chat", 0},
		{"aaaabbbbccccddddeeeeffffgggghhhh", "HS256", "a", "", auth.RefusedAudience},
		{"aaaabbbbccccddddeeeeffffgggghhhh", "HS512", "b", "", auth.RefusedSignature},
		{"bbbbccccddddeeeeffffgggghhhhiiii", "HS512", "b", "", 0},
		{"bbbbccccddddeeeeffffgggghhhhiiii", "HS256", "b", "", auth.RefusedAlgorithm},
		{"bbbbccccddddeeeeffffgggghhhhiiii", "HS512", "c", "", auth.RefusedIssuer},
	} {
		token, err := auth.Mint{HMACSecret: []byte(c.secret), Algorithm: c.algorithm}.Token(auth.Claims{
			User: "alice", Issuer: c.issuer, Audience: c.audience, ExpiresAt: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		if got := v.Check([]byte(token)).Refusal; got != c.want {
			t.Errorf("%s of %s with %s: %v, want %v", c.algorithm, c.issuer, c.secret, got, c.want)
		}
	}
}

func TestKeySetStart(t *testing.T) {
	i := startIssuer(t)
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(silent.Close)
	closed := make(chan struct{})
	close(closed)
	for _, c := range []struct {
		name     string
		address  string
		patience time.Duration
		giveUp   chan struct{}
		keys     int
	}{
		{"a healthy address", i.address, patience, nil, 1},
		{"a silent address", silent.URL, time.Millisecond, nil, 0},
		{"asked to end meanwhile", silent.URL, patience, closed, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := loadArgs(t, "--auth.jwks_url="+c.address)
			if err != nil {
				t.Fatal(err)
			}
			sets := &keySets{log: quiet}
			if _, err := newVerifier(&l.Config.Auth, sets); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			sets.start(c.patience, c.giveUp)
			if took := time.Since(began); took > patience/2 {
				t.Errorf("start took %v", took)
			}
			if got := sets.all[0].keys.Status().Keys; got != c.keys {
				t.Errorf("%d keys", got)
			}
			sets.close()
		})
	}
}

func TestKeySetMetrics(t *testing.T) {
	var b bytes.Buffer
	sets := &keySets{log: quiet}
	if sets.writeMetrics(&b); b.Len() > 0 {
		t.Errorf("figures without a key set: %s", b.String())
	}
	up, down := startIssuer(t), startIssuer(t)
	down.setDown(true)
	l, err := loadArgs(t, "--auth.issuers=[{issuer: a, jwks_url: '"+up.address+"'}, {issuer: b, jwks_url: '"+down.address+"'}]")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newVerifier(&l.Config.Auth, sets); err != nil {
		t.Fatal(err)
	}
	sets.start(patience, nil)
	defer sets.close()
	sets.started = sets.started.Add(-time.Hour) // which is as old as the keys are that never came
	sets.writeMetrics(&b)
	for _, want := range []string{`roost_jwks_refreshes_total{outcome="changed"} 1`, `roost_jwks_refreshes_total{outcome="refused"} 1`,
		`roost_jwks_refreshes_total{outcome="timeout"} 0`, "roost_jwks_keys 1", "roost_jwks_age_seconds 3600."} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no line %s", want)
		}
	}
	if strings.Contains(b.String(), "127.0.0.1") {
		t.Error("an address is a label")
	}
	if t.Failed() {
		t.Log(b.String())
	}
}

// TestKeySetReport writes what changes, and a failure that stays once.
func TestKeySetReport(t *testing.T) {
	const changed, unchanged, refused, timeout = auth.RefreshChanged, auth.RefreshUnchanged, auth.RefreshRefused, auth.RefreshTimeout
	fetched := func(outcome string, keys int) string {
		return fmt.Sprintf("level=INFO msg=\"keys have been fetched\" jwks_url=https://a/keys?... outcome=%s keys=%d\n", outcome, keys)
	}
	stale := func(outcome string) string {
		return "level=WARN msg=\"keys cannot be fetched, those there are stay in use\" jwks_url=https://a/keys?... outcome=" + outcome + " keys=2\n"
	}
	none := func(outcome string) string {
		return "level=ERROR msg=\"keys cannot be fetched and there are none, tokens are answered 503\" jwks_url=https://a/keys?... outcome=" + outcome + " keys=0\n"
	}
	for _, c := range []struct {
		name  string
		turns []auth.KeySetStatus
		want  string
	}{
		{"healthy", []auth.KeySetStatus{{Last: changed, Keys: 2}, {Last: unchanged, Keys: 2}, {Last: unchanged, Keys: 2}}, fetched("changed", 2)},
		{"rotated", []auth.KeySetStatus{{Last: changed, Keys: 2}, {Last: changed, Keys: 3}, {Last: changed, Keys: 3}},
			fetched("changed", 2) + fetched("changed", 3) + fetched("changed", 3)},
		{"never there", []auth.KeySetStatus{{Last: refused}, {Last: refused}, {Last: timeout}, {Last: timeout}}, none("refused") + none("timeout")},
		{"late", []auth.KeySetStatus{{Last: refused}, {Last: changed, Keys: 1}}, none("refused") + fetched("changed", 1)},
		{"away and back", []auth.KeySetStatus{{Last: changed, Keys: 2}, {Last: timeout, Keys: 2}, {Last: timeout, Keys: 2}, {Last: unchanged, Keys: 2}},
			fetched("changed", 2) + stale("timeout") + fetched("unchanged", 2)},
		{"away for too long", []auth.KeySetStatus{{Last: changed, Keys: 2}, {Last: timeout, Keys: 2}, {Last: timeout}, {Last: timeout}},
			fetched("changed", 2) + stale("timeout") + none("timeout")},
		{"some of no use", []auth.KeySetStatus{{Last: changed, Keys: 2, Skips: auth.Skips{auth.SkipWeak: 1}}},
			strings.TrimSuffix(fetched("changed", 2), "\n") + " not_used=\"1 weak\"\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			r := &keySetReport{address: "https://a/keys?canary", log: slog.New(slog.NewTextHandler(&b, &slog.HandlerOptions{
				ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
					if a.Key == slog.TimeKey {
						return slog.Attr{}
					}
					return a
				},
			}))}
			for _, s := range c.turns {
				r.write(s)
			}
			if b.String() != c.want {
				t.Errorf("%s\nwant %s", b.String(), c.want)
			}
		})
	}
}
