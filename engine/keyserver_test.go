//go:build linux

package engine

// What a key server does is no loop's business: fetching is somebody else's work, and who waits for it waits parked.

import (
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/auth"
	"github.com/roost-ws/roost/engine/enginetest"
)

// keyDocument is the key set of one signer, whose key has the name kid.
func keyDocument(t testing.TB, s *signer, kid string) string {
	t.Helper()
	block, _ := pem.Decode(s.public)
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.(*ecdsa.PublicKey).ECDH()
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	xy := point.Bytes()[1:]
	return fmt.Sprintf(`{"keys":[{"kty":"EC","crv":"P-256","use":"sig","kid":%q,"x":%q,"y":%q}]}`, kid, encode(xy[:32]), encode(xy[32:]))
}

// keyServers are what a key server may do once a node has its keys, and what the fetch then comes to.
func keyServers(another string) map[string]struct {
	serve http.HandlerFunc
	want  auth.Refresh
} {
	block := []byte(strings.Repeat(" ", 64<<10))
	return map[string]struct {
		serve http.HandlerFunc
		want  auth.Refresh
	}{
		"rotated": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, another) }, auth.RefreshUnchanged},
		"down":    {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, auth.RefreshRefused},
		"silent":  {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, auth.RefreshTimeout},
		"slow": {func(w http.ResponseWriter, r *http.Request) {
			for drip := time.NewTicker(10 * time.Millisecond); r.Context().Err() == nil; <-drip.C {
				_, _ = w.Write(block[:1])
				_ = http.NewResponseController(w).Flush()
			}
		}, auth.RefreshTimeout},
		"empty": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"keys":[]}`) }, auth.RefreshEmpty},
		"100 MiB": {func(w http.ResponseWriter, _ *http.Request) {
			for range (100 << 20) / len(block) {
				if _, err := w.Write(block); err != nil {
					return
				}
			}
		}, auth.RefreshTooLarge},
		"redirected": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://127.0.0.1:1/elsewhere", http.StatusFound)
		}, auth.RefreshRedirect},
	}
}

// TestKeyServerIsNobodysWait: whatever the key server does, and however many tokens ask for keys that are not there,
// those who are connected are served, and the old keys go on to let people in (F14, F15).
func TestKeyServerIsNobodysWait(t *testing.T) {
	if raceEnabled {
		t.Skip("is about delays, which the race detector makes")
	}
	const timeout, most = 2 * time.Second, 10 * time.Millisecond
	keys, others, strangers := newSigner(t), newSigner(t), newSigner(t)
	keys.mint.KeyID, others.mint.KeyID, strangers.mint.KeyID = "ours", "theirs", "nobodys"
	ours, both := keyDocument(t, keys, "ours"), keyDocument(t, others, "theirs")
	both = strings.Replace(ours, "]}", ","+strings.TrimPrefix(both, `{"keys":[`), 1)
	for name, c := range keyServers(both) {
		t.Run(name, func(t *testing.T) {
			if !speedCounts() {
				t.Parallel() // they mostly wait
			}
			var misbehaves atomic.Bool
			issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if misbehaves.Load() {
					c.serve(w, r)
					return
				}
				_, _ = io.WriteString(w, ours)
			}))
			defer issuer.Close()
			set, err := auth.NewKeySet(auth.KeySetOptions{URL: issuer.URL, Timeout: timeout, MinInterval: 100 * time.Millisecond})
			if err != nil {
				t.Fatal(err)
			}
			defer set.Close()
			set.Start()
			if !comesTrue(func() bool { return set.Status().Keys == 1 }) {
				t.Fatalf("no keys: %+v", set.Status())
			}
			s, addr := serve(t, func(o *Options) {
				o.Loops = 1
				verifying(t, o, func(a *auth.Options) { a.HMACSecret, a.KeySet, a.Algorithms = nil, set, []string{"ES256"} })
			})
			guests := enginetest.StartChild(t, "", enginetest.Spec{Addrs: []string{addr}, Connections: 50, Path: "/raw/guest-{i}",
				Header: map[string]string{"Authorization": "Bearer " + keys.token(t, "ada")}})
			if st, err := guests.Open(0, 0, time.Minute); err != nil || st.Open != 50 {
				t.Fatalf("%+v %v", st, err)
			}
			enginetest.Hurry(guests.Pid(), -20)
			echo := func() *enginetest.EchoResult {
				r, err := guests.Echo("hello", enginetest.EchoConfig{Every: 50 * time.Millisecond, Duration: timeout / 2})
				if err != nil || r.Lost > 0 {
					t.Fatalf("%v %v", r, err)
				}
				return r
			}
			quiet, before := echo(), scrape(s)
			misbehaves.Store(true)
			crowd := enginetest.StartChild(t, "", enginetest.Spec{Addrs: []string{addr}, Connections: 64, Path: "/ws", FirstSource: 100,
				Header: map[string]string{"Authorization": "Bearer " + strangers.token(t, "eve")}, Return: enginetest.ReturnAtOnce})
			go func() { _, _ = crowd.Open(0, 0, time.Minute) }()
			under := echo()
			if !comesTrue(func() bool { return set.Status().Last == c.want }) {
				t.Errorf("the fetch came to %v, want %v", set.Status().Last, c.want)
			}
			now := scrape(s)
			grown := func(series string) float64 { return now[series] - before[series] }
			t.Logf("echo before %v, then %v; the loop was late by %.0f us on average; %v handshakes wait, %v were refused, %v could not be judged",
				&quiet.Latency, &under.Latency, 1e6*grown("roost_loop_lag_seconds_sum")/max(1, grown("roost_loop_lag_seconds_count")),
				now["roost_connections"]-50, grown(refusedSeries("token")), grown(refusedSeries("auth_unavailable")))
			if slowest := under.Latency.Max(); slowest >= timeout/2 {
				t.Errorf("an echo took %v, want less than half of the %v that a fetch may take", slowest, timeout)
			}
			if moved := under.Latency.Quantile(0.99) - quiet.Latency.Quantile(0.99); speedCounts() && moved > most {
				t.Errorf("p99 of an echo moved by %v, want at most %v", moved, most)
			}
			newBystander(t, addr, enginetest.Options{Token: keys.token(t, "eve")}).mustBeServed()
			if c.want == auth.RefreshUnchanged {
				newBystander(t, addr, enginetest.Options{Token: others.token(t, "eve")}).mustBeServed()
			}
		})
	}
}
