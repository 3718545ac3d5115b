package admin

// Who may use the guarded routes: whoever has the key, or without one whoever is on this machine; and never a web
// page that was served from elsewhere.

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// isGuarded reports whether an escaped path needs the guard's consent. Routes are compared with escaped paths too,
// so no other spelling of a guarded path finds one.
func isGuarded(path string) bool {
	return strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/debug/")
}

// guard decides about a request from its head alone.
func (a *Admin) guard(r *http.Request) *failure {
	if a.key != nil {
		if !a.hasKey(r.Header["Authorization"]) {
			return &failure{status: http.StatusUnauthorized, code: "unauthorized", message: "send the header Authorization: Bearer <key>"}
		}
	} else if f := a.local(r); f != nil {
		return f
	}
	return sameOrigin(r)
}

// hasKey compares hashes, so that the time it takes tells neither how much of a key was right nor how long it is.
func (a *Admin) hasKey(authorization []string) bool {
	if len(authorization) != 1 {
		return false
	}
	scheme, key, _ := strings.Cut(authorization[0], " ")
	sum := sha256.Sum256([]byte(strings.Trim(key, " ")))
	return subtle.ConstantTimeCompare(sum[:], a.key[:]) == 1 && strings.EqualFold(scheme, "Bearer")
}

// local lets in whoever is on this machine and knows it. The Host has to say so too, because a web page can have a
// name of its own point at 127.0.0.1 (DNS rebinding), and its browser would take our answers for that page's; and a
// request that was passed on comes from elsewhere, whatever the address it comes from.
func (a *Admin) local(r *http.Request) *failure {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	switch {
	case !a.loopback:
		return forbidden("the API is off: set a key, or listen on loopback")
	case err != nil || !peer.Addr().Unmap().IsLoopback():
		return forbidden("without a key the API is for this machine only")
	case r.Header["Forwarded"] != nil || r.Header["X-Forwarded-For"] != nil || r.Header["X-Real-Ip"] != nil:
		return forbidden("without a key the API takes nothing that a proxy passes on")
	case !isLoopbackHost(r.Host):
		return forbidden("without a key the Host must be localhost or a loopback address")
	}
	return nil
}

// isLoopbackHost reports whether a Host header, with or without a port, can only mean this machine.
func isLoopbackHost(host string) bool {
	name, _, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	}
	if strings.EqualFold(name, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(name)
	return err == nil && address.Unmap().IsLoopback()
}

// sameOrigin refuses what a browser says comes from a page of another origin. A page on another port of this
// machine is such a page: browsers call it same-site. Clients that are no browsers send neither header.
func sameOrigin(r *http.Request) *failure {
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site != "same-origin" && site != "none" {
			return forbidden("web pages of other origins may not use the API")
		}
	}
	for _, origin := range r.Header["Origin"] {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return forbidden("web pages of other origins may not use the API")
		}
	}
	return nil
}
