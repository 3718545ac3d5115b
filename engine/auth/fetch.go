// One refresh: a request to the issuer, bounded in time and size, and what its answer amounts to.

package auth

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// maxDocumentBytes is the longest key set that is read. A hundred RSA keys with certificates take a third.
	maxDocumentBytes = 1 << 20
	// maxHeaderBytes bounds the header of the answer.
	maxHeaderBytes = 64 << 10
	// minRefresh and maxRefresh bound what an issuer can ask for in Cache-Control, and what the configuration can.
	minRefresh, maxRefresh = time.Minute, time.Hour
)

// answer is what a request has brought.
type answer struct {
	outcome  Refresh
	table    *keyTable // of RefreshChanged; another word may turn out to fit
	skips    Skips
	etag     string
	lifetime time.Duration // how long the issuer wants it kept, within bounds; 0: it doesn't say
}

// checkAddress says what is wrong with the address of a key set. Plain HTTP is good enough for a loopback address,
// where nobody can come between.
func checkAddress(address string) (*url.URL, error) {
	const fix = "write one such as https://login.example.com/.well-known/jwks.json"
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "":
		return nil, fmt.Errorf("not an address; %s", fix)
	case u.User != nil:
		return nil, errors.New("holds a user or a password, which would show in logs; a key set is public, leave them out")
	case u.Scheme == "https", u.Scheme == "http" && isLoopback(u.Hostname()):
		return u, nil
	case u.Scheme == "http":
		return nil, fmt.Errorf("whoever can change an answer of %s can sign any token; use https (http is for loopback addresses)", u.Host)
	}
	return nil, fmt.Errorf("%q is not https; %s", u.Scheme, fix)
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}

// newClient makes the client of one address: no redirects, no connection kept for the next quarter of an hour,
// and, without TLS, none that leaves this machine whatever localhost resolves to.
func newClient(u *url.URL) *http.Client {
	dialer := &net.Dialer{}
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		DisableKeepAlives:      true,
		DisableCompression:     true, // so that what is counted is what was sent
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
	if u.Scheme == "http" {
		transport.Proxy = nil
		dialer.Control = func(_, address string, _ syscall.RawConn) error {
			if at, err := netip.ParseAddrPort(address); err != nil || !at.Addr().Unmap().IsLoopback() {
				return errors.New("not a loopback address")
			}
			return nil
		}
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// fetch asks the issuer once. etag is that of the keys in use, empty for none. Blocks until the timeout at most.
func (k *KeySet) fetch(etag string) answer {
	ctx, cancel := context.WithTimeout(k.ctx, k.timeout)
	defer cancel()
	// The library's errors do not tell by their type in which step they came up.
	var noTLS atomic.Bool
	request, err := http.NewRequestWithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		TLSHandshakeDone: func(_ tls.ConnectionState, err error) { noTLS.Store(err != nil) },
	}), http.MethodGet, k.address, nil)
	if err != nil {
		return answer{outcome: RefreshRefused}
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	request.Header.Set("User-Agent", "roost")
	if etag != "" {
		request.Header.Set("If-None-Match", etag)
	}
	response, err := k.client.Do(request)
	if err != nil {
		return answer{outcome: outcomeOf(ctx, noTLS.Load())}
	}
	defer response.Body.Close()
	a := answer{etag: response.Header.Get("ETag"), lifetime: lifetimeOf(response.Header)}
	switch status := response.StatusCode; {
	case status == http.StatusNotModified && etag != "":
		a.outcome, a.etag = RefreshUnchanged, etag
		return a
	case status >= 300 && status <= 399 && status != http.StatusNotModified:
		return answer{outcome: RefreshRedirect}
	case status != http.StatusOK:
		return answer{outcome: RefreshStatus}
	}
	document, err := io.ReadAll(io.LimitReader(response.Body, maxDocumentBytes+1))
	switch {
	case err != nil || ctx.Err() != nil: // a server may end its answer in order because we hang up
		return answer{outcome: outcomeOf(ctx, false)}
	case len(document) > maxDocumentBytes:
		return answer{outcome: RefreshTooLarge}
	}
	a.table, a.skips, a.outcome = readKeySet(document)
	return a
}

// outcomeOf sorts the failures to get an answer.
func outcomeOf(ctx context.Context, noTLS bool) Refresh {
	switch {
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return RefreshTimeout
	case noTLS:
		return RefreshTLS
	}
	return RefreshRefused
}

// lifetimeOf reads how long an answer may be used (RFC 9111 section 5.2.2): max-age, and as little as possible for
// one that must not be kept at all. 0 if the issuer leaves it to us.
func lifetimeOf(header http.Header) time.Duration {
	for directive := range strings.SplitSeq(strings.Join(header.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-cache", "no-store":
			return minRefresh
		case "max-age":
			if seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil {
				return min(max(time.Duration(seconds)*time.Second, minRefresh), maxRefresh)
			}
		}
	}
	return 0
}
