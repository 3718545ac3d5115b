package auth

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// quickly is how long the tests' requests may take.
const quickly = 300 * time.Millisecond

// trusting makes a KeySet that trusts the server's certificate.
func trusting(t testing.TB, s *httptest.Server, o KeySetOptions) *KeySet {
	t.Helper()
	if o.URL == "" {
		o.URL = s.URL + "/jwks.json"
	}
	k := newKeySet(t, nil, o)
	if s.TLS != nil {
		k.client.Transport.(*http.Transport).TLSClientConfig.RootCAs = s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs
	}
	return k
}

// secureServer is a TLS server on loopback. It keeps quiet about clients that hang up.
func secureServer(t testing.TB, serve http.HandlerFunc) *httptest.Server {
	s := httptest.NewUnstartedServer(serve)
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

// writes answers with a text.
func writes(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// endless sends a key set of 100 MiB and notes how much of it was taken.
func endless(taken *atomic.Int64, length bool) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if length {
			w.Header().Set("Content-Length", fmt.Sprint(100<<20))
		}
		block := []byte(strings.Repeat(" ", 64<<10))
		for range (100 << 20) / len(block) {
			n, err := w.Write(block)
			taken.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
}

// TestIssuerMisbehaves is what each thing that an issuer can do to us amounts to. Each is met twice: by a KeySet without
// keys, which stays without, and by one that has some, which keeps them.
func TestIssuerMisbehaves(t *testing.T) {
	var elsewhere, taken atomic.Int64
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer plain.Close()
	good := jwks(edJWK(t, 1))
	redirect := func(status int, to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/jwks.json" {
				elsewhere.Add(1)
				return
			}
			w.Header().Set("Location", to)
			w.WriteHeader(status)
		}
	}
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(code)
			if code >= 200 && code != 204 && code != 304 {
				_, _ = io.WriteString(w, good)
			}
		}
	}
	hangUp := func(w http.ResponseWriter, text string) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(conn, text)
		_ = conn.Close()
	}
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		want  Refresh
	}{
		"no answer":             {func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, RefreshTimeout},
		"an answer that drips":  {drip, RefreshTimeout},
		"404":                   {status(404), RefreshStatus},
		"500 with keys":         {status(500), RefreshStatus},
		"201 with keys":         {status(201), RefreshStatus},
		"204":                   {status(204), RefreshStatus},
		"304 that nobody asked": {status(304), RefreshStatus},
		"100 MiB":               {endless(&taken, false), RefreshTooLarge},
		"100 MiB, announced":    {endless(&taken, true), RefreshTooLarge},
		"a byte too many":       {writes(good + strings.Repeat(" ", maxDocumentBytes+1-len(good))), RefreshTooLarge},
		"a header of 1 MiB": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
			writes(good)(w, r)
		}, RefreshRefused},
		"nothing":                  {writes(""), RefreshMalformed},
		"garbage":                  {writes("\x00\xff<html>"), RefreshMalformed},
		"half a set":               {writes(good[:len(good)-3]), RefreshMalformed},
		"two sets":                 {writes(good + good), RefreshMalformed},
		"one key, no set":          {writes(edJWK(t, 1)), RefreshMalformed},
		"a list":                   {writes(`[` + edJWK(t, 1) + `]`), RefreshMalformed},
		"keys an object":           {writes(`{"keys":{}}`), RefreshMalformed},
		"keys null":                {writes(`{"keys":null}`), RefreshMalformed},
		"deep nesting":             {writes(strings.Repeat("[", 1<<20)), RefreshMalformed},
		"an empty set":             {writes(`{"keys":[]}`), RefreshEmpty},
		"no key of use":            {writes(`{"keys":[null,{"kty":"oct","k":"AA"}]}`), RefreshEmpty},
		"a redirect to http":       {redirect(302, plain.URL), RefreshRedirect},
		"a redirect elsewhere":     {redirect(301, "https://127.0.0.1:1/jwks.json"), RefreshRedirect},
		"a redirect to itself":     {redirect(307, "/moved.json"), RefreshRedirect},
		"a redirect to a file":     {redirect(308, "file:///etc/passwd"), RefreshRedirect},
		"a redirect to nowhere":    {redirect(303, ""), RefreshRedirect},
		"no HTTP":                  {func(w http.ResponseWriter, _ *http.Request) { hangUp(w, "SSH-2.0\r\n\r\n") }, RefreshRefused},
		"an end without an answer": {func(w http.ResponseWriter, _ *http.Request) { hangUp(w, "") }, RefreshRefused},
		"an end in the middle": {func(w http.ResponseWriter, _ *http.Request) {
			hangUp(w, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{")
		}, RefreshRefused},
		"packed though not asked to": {func(w http.ResponseWriter, r *http.Request) { writes("\x1f\x8b\x08")(w, r) }, RefreshMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var bad atomic.Bool
			bad.Store(true)
			s := secureServer(t, func(w http.ResponseWriter, r *http.Request) {
				if bad.Load() {
					c.serve(w, r)
					return
				}
				writes(good)(w, r)
			})
			misbehave(t, trusting(t, s, KeySetOptions{}), c.want, &bad)
		})
	}
	t.Cleanup(func() {
		if elsewhere.Load() != 0 {
			t.Errorf("a redirect was followed %d times", elsewhere.Load())
		}
		// Four requests, each with what fits into two sockets' buffers beside the megabyte.
		if taken.Load() > 4*(maxDocumentBytes+16<<20) {
			t.Errorf("%d bytes were taken of the endless answers", taken.Load())
		}
	})
}

// misbehave makes one refresh that must end as wanted without keys, one that brings some, and one more like the first.
func misbehave(t *testing.T, k *KeySet, want Refresh, bad *atomic.Bool) {
	t.Helper()
	v := newVerifier(t, Options{KeySet: k})
	patience := k.timeout
	if want == RefreshTimeout {
		k.timeout = quickly
	}
	k.turn()
	if s := k.Status(); s.Last != want || s.Keys != 0 || k.Refreshes(want) != 1 {
		t.Fatalf("%+v; want %v", s, want)
	}
	mustBe(t, v, edToken(t, 1), RefusedNoKeys)
	bad.Store(false)
	k.timeout, patience = patience, k.timeout
	k.turn()
	if s := k.Status(); s.Last != RefreshChanged || s.Keys != 1 {
		t.Fatalf("%+v", s)
	}
	mustBe(t, v, edToken(t, 1), 0)
	mustBe(t, v, edToken(t, 2), RefusedUnknownKey)
	bad.Store(true)
	k.timeout = patience
	k.turn()
	if s := k.Status(); s.Last != want || s.Keys != 1 {
		t.Fatalf("%+v; want %v", s, want)
	}
	mustBe(t, v, edToken(t, 1), 0)
	mustBe(t, v, edToken(t, 2), RefusedNoKeys)
}

// drip sends a byte now and then, for ever.
func drip(w http.ResponseWriter, r *http.Request) {
	next := time.NewTicker(10 * time.Millisecond)
	defer next.Stop()
	for {
		select {
		case <-r.Context().Done():
			return
		case <-next.C:
			if _, err := io.WriteString(w, " "); err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	}
}

// TestNoConnection is what comes of servers that can't be spoken with.
func TestNoConnection(t *testing.T) {
	good := writes(jwks(edJWK(t, 1)))
	old := httptest.NewUnstartedServer(good)
	old.Config.ErrorLog = log.New(io.Discard, "", 0)
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS11, MinVersion: tls.VersionTLS10}
	old.StartTLS()
	defer old.Close()
	secure := secureServer(t, good)
	plain := httptest.NewServer(good)
	defer plain.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	for name, c := range map[string]struct {
		address string
		trusted *httptest.Server
		want    Refresh
	}{
		"nobody listens":           {"https://" + closed.Addr().String(), nil, RefreshRefused},
		"nobody answers":           {"https://" + silent.Addr().String(), nil, RefreshTimeout},
		"a stranger's certificate": {secure.URL, nil, RefreshTLS},
		"another name":             {strings.Replace(secure.URL, "127.0.0.1", "localhost", 1), secure, RefreshTLS},
		"TLS 1.1":                  {old.URL, old, RefreshTLS},
		"no TLS":                   {strings.Replace(plain.URL, "http:", "https:", 1), nil, RefreshTLS},
		"TLS where there is none":  {strings.Replace(secure.URL, "https:", "http:", 1), nil, RefreshStatus},
		"plain, on loopback":       {plain.URL, nil, RefreshChanged},
		"plain, by name":           {strings.Replace(plain.URL, "127.0.0.1", "localhost", 1), nil, RefreshChanged},
		"secure":                   {secure.URL, secure, RefreshChanged},
	} {
		t.Run(name, func(t *testing.T) {
			o := KeySetOptions{URL: c.address}
			if c.want == RefreshTimeout {
				o.Timeout = quickly
			}
			k := newKeySet(t, nil, o)
			if c.trusted != nil {
				k = trusting(t, c.trusted, o)
			}
			k.turn()
			if s := k.Status(); s.Last != c.want {
				t.Errorf("%v, want %v", s.Last, c.want)
			}
		})
	}
}

// TestPlainStaysHere: without TLS nothing leaves the machine, though a name may resolve to anything.
func TestPlainStaysHere(t *testing.T) {
	client := newClient(&url.URL{Scheme: "http", Host: "localhost"})
	for address, says := range map[string]string{"http://192.0.2.1:9/": "not a loopback", "http://[2001:db8::1]:9/": "not a loopback"} {
		response, err := client.Get(address)
		if err == nil {
			response.Body.Close()
		}
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestETag: an unchanged set is not sent again.
func TestETag(t *testing.T) {
	var edition atomic.Int32
	var asked atomic.Value
	s := secureServer(t, func(w http.ResponseWriter, r *http.Request) {
		etag := fmt.Sprintf(`"%d"`, edition.Load())
		w.Header().Set("ETag", etag)
		asked.Store(r.Header.Get("If-None-Match"))
		if asked.Load() == etag {
			w.WriteHeader(304)
			return
		}
		_, _ = io.WriteString(w, jwks(edJWK(t, int(edition.Load()/10))))
	})
	k := trusting(t, s, KeySetOptions{})
	for step, c := range []struct {
		edition int32 // the key changes with its tens
		etag    string
		want    Refresh
	}{
		{0, "", RefreshChanged}, {0, `"0"`, RefreshUnchanged}, {1, `"0"`, RefreshUnchanged}, {1, `"1"`, RefreshUnchanged},
		{10, `"1"`, RefreshChanged}, {10, `"10"`, RefreshUnchanged},
	} {
		edition.Store(c.edition)
		k.turn()
		if got := k.Status().Last; got != c.want || asked.Load() != c.etag {
			t.Errorf("step %d: %v after asking for %v; want %v after %v", step, got, asked.Load(), c.want, c.etag)
		}
	}
}

// TestCloseInTheMiddle gives up a request that would take for ever.
func TestCloseInTheMiddle(t *testing.T) {
	begun := make(chan struct{}, 1)
	s := secureServer(t, func(w http.ResponseWriter, r *http.Request) {
		begun <- struct{}{}
		drip(w, r)
	})
	k := trusting(t, s, KeySetOptions{Timeout: time.Minute})
	k.Start()
	<-begun
	k.Close()
	if s := k.Status(); s.Last != 0 || k.Refreshes(RefreshTimeout)+k.Refreshes(RefreshRefused) != 0 {
		t.Errorf("giving up counts against the issuer: %+v", s)
	}
	select {
	case <-k.Tried():
	default:
		t.Error("whoever waits for the first refresh waits on")
	}
}

// TestRequest is what an issuer is sent: nothing of any token, and nothing that varies.
func TestRequest(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := make(chan string, 1)
	go func() {
		defer close(heard)
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		var lines []string
		for head := bufio.NewScanner(conn); head.Scan() && head.Text() != ""; {
			lines = append(lines, head.Text())
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"+jwks(edJWK(t, 1)))
		heard <- strings.Join(lines, "\n")
	}()
	k := newKeySet(t, nil, KeySetOptions{URL: "http://" + l.Addr().String() + "/keys?tenant=a"})
	k.turn()
	want := "GET /keys?tenant=a HTTP/1.1\nHost: " + l.Addr().String() + "\nUser-Agent: roost\nAccept: application/jwk-set+json, application/json\nConnection: close"
	if got := <-heard; got != want || k.Status().Last != RefreshChanged {
		t.Errorf("%q, want %q; %v", got, want, k.Status().Last)
	}
}
