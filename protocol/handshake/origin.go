// The origin rule: which pages may open a connection from a browser (RFC 6455 section 10.2, RFC 6454).

package handshake

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
)

// OriginPolicy says which origins may open a connection. It never changes, so any goroutine may ask it.
//
// A request without Origin is allowed, because it is not from a page, and the credential is a token that the
// client shows on purpose: there is no cookie that a page of somebody else's could make a browser send along.
type OriginPolicy struct {
	any      bool
	null     bool
	sameHost bool
	entries  []originEntry
}

// originEntry is one entry of the list in normal form: lower case, the port always named (0: the scheme has none).
type originEntry struct {
	scheme string
	host   string // of a wildcard: what follows the star, with its dot
	port   int
	below  bool // any name below host, at any depth, and not the name itself
}

// NewOriginPolicy makes a policy from a list of
//
//   - exact origins, "https://app.example.com" or "https://app.example.com:8443",
//   - wildcards, "https://*.example.com": every name below example.com however deep, not example.com itself,
//   - "null", what sandboxed pages and local files send, and
//   - "*", every origin.
//
// An empty list allows the pages of the host that the request itself names: the host of Origin is the one of Host,
// and so is the port, where a port not written is the default one of the origin's scheme. The scheme cannot be
// compared, since TLS may end at a balancer. The error names the entry and says what to write instead.
func NewOriginPolicy(list []string) (*OriginPolicy, error) {
	o := &OriginPolicy{sameHost: len(list) == 0}
	for _, text := range list {
		switch text {
		case "*":
			o.any = true
		case "null":
			o.null = true
		default:
			entry, err := parseOriginEntry(text)
			if err != nil {
				return nil, fmt.Errorf("origin %q: %w", text, err)
			}
			o.entries = append(o.entries, entry)
		}
	}
	return o, nil
}

var (
	errOriginShape = errors.New(`want scheme://host or scheme://host:port without a path, like "https://app.example.com", ` +
		`"https://*.example.com" for every name below, or "*"`)
	errOriginASCII = errors.New(`write the host as browsers send it, in ASCII, like "https://xn--bcher-kva.example"`)
)

func parseOriginEntry(text string) (originEntry, error) {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return originEntry{}, errOriginASCII
		}
	}
	plain := strings.Replace(strings.ToLower(text), "://*.", "://", 1)
	scheme, host, port, ok := splitOrigin([]byte(plain))
	if !ok {
		return originEntry{}, errOriginShape
	}
	e := originEntry{scheme: string(scheme), host: string(host), port: port, below: len(plain) < len(text)}
	if e.below {
		if e.host[0] == '[' {
			return originEntry{}, errOriginShape
		}
		e.host = "." + e.host
	}
	return e, nil
}

// Allows reports whether a page of the origin may open a connection to the host, which is the value of Host. A nil
// origin is a request without one and is allowed; an empty one is not. Scheme and host are compared whole and in
// any case, ports with their defaults filled in. It does not allocate.
func (o *OriginPolicy) Allows(origin, host []byte) bool {
	if o.any || origin == nil {
		return true
	}
	if string(origin) == "null" {
		return o.null
	}
	scheme, name, port, ok := splitOrigin(origin)
	if !ok {
		return false
	}
	if o.sameHost {
		return isSameHost(scheme, name, port, host)
	}
	for i := range o.entries {
		if o.entries[i].matches(scheme, name, port) {
			return true
		}
	}
	return false
}

// AllowsRequest is [OriginPolicy.Allows] for a parsed request, with one rule more: a request without Origin from a
// client that calls itself a browser is not allowed unless every origin is. Browsers always send one here, so
// somebody took it away.
func (o *OriginPolicy) AllowsRequest(r *Request) bool {
	if r.Origin == nil && r.IsBrowser() {
		return o.any
	}
	return o.Allows(r.Origin, r.Host)
}

func (e *originEntry) matches(scheme, host []byte, port int) bool {
	if port != e.port || !equalFold(scheme, e.scheme) {
		return false
	}
	if !e.below {
		return equalFold(host, e.host)
	}
	// The host has no empty label, so whatever stands before the dot is a name.
	above := len(host) - len(e.host)
	return above > 0 && host[0] != '[' && equalFold(host[above:], e.host)
}

func isSameHost(scheme, name []byte, port int, host []byte) bool {
	hostName, hostPort, ok := splitPort(host)
	if !ok || !equalFoldBytes(name, hostName) {
		return false
	}
	defaultPort := defaultPort(scheme)
	if defaultPort == 0 {
		return false // a page that this host served came over http or https
	}
	if len(hostPort) == 0 {
		return port == defaultPort
	}
	return port == portNumber(hostPort)
}

// splitOrigin takes a serialised origin apart: scheme "://" host [ ":" port ], nothing before or behind. The host
// is an IPv6 literal in brackets or labels with single dots between them; one that ends in a dot is refused, since
// it names the same machine as another origin.
func splitOrigin(origin []byte) (scheme, host []byte, port int, ok bool) {
	i := bytes.Index(origin, schemeEnd)
	if i <= 0 || len(origin) > maxOriginBytes {
		return nil, nil, 0, false
	}
	scheme = origin[:i]
	host, digits, ok := splitPort(origin[i+len(schemeEnd):])
	if !ok || !isScheme(scheme) || host[0] != '[' && !isLabels(host) {
		return nil, nil, 0, false
	}
	port = defaultPort(scheme)
	if len(digits) > 0 {
		if port = portNumber(digits); port == 0 {
			return nil, nil, 0, false
		}
	}
	return scheme, host, port, true
}

const maxOriginBytes = 320 // a scheme of some length and a host of maxHostBytes

var schemeEnd = []byte("://")

// isScheme reports whether s is a URI scheme. Apps have schemes of their own (capacitor://, chrome-extension://).
func isScheme(s []byte) bool {
	for i, c := range s {
		switch c = lower(c); {
		case 'a' <= c && c <= 'z':
		case i > 0 && ('0' <= c && c <= '9' || c == '+' || c == '-' || c == '.'):
		default:
			return false
		}
	}
	return true
}

func isLabels(host []byte) bool {
	afterDot := true
	for _, c := range host {
		switch c = lower(c); {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
			afterDot = false
		case c == '.' && !afterDot:
			afterDot = true
		default:
			return false
		}
	}
	return !afterDot
}

func defaultPort(scheme []byte) int {
	switch {
	case equalFold(scheme, "https"):
		return 443
	case equalFold(scheme, "http"):
		return 80
	}
	return 0
}

func equalFoldBytes(a, b []byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}
