// The closed lists of a key set's life: how a refresh ended, and why a key was left out.

package auth

import (
	"fmt"
	"strings"
)

// Refresh is how an attempt to fetch a key set ended. It is a log word and a metric label; the zero Refresh means
// that there has been none.
type Refresh uint8

// The outcomes. All but the first two are failures, after which the keys of the last good refresh stay in use
// until they are too old.
const (
	// RefreshChanged: there are other keys now.
	RefreshChanged Refresh = iota + 1
	// RefreshUnchanged: the same keys, or 304.
	RefreshUnchanged
	// RefreshTimeout: no whole answer in time.
	RefreshTimeout
	// RefreshStatus: an answer with a status other than 200.
	RefreshStatus
	// RefreshTooLarge: an answer of more than 1 MiB, of which no more was read.
	RefreshTooLarge
	// RefreshEmpty: a key set without a single key of use.
	RefreshEmpty
	// RefreshMalformed: an answer that is no JSON, or no key set (RFC 7517 section 5).
	RefreshMalformed
	// RefreshRedirect: a redirect, which is never followed, wherever it leads.
	RefreshRedirect
	// RefreshTLS: no agreement on TLS, or a certificate that is not trusted.
	RefreshTLS
	// RefreshRefused: no connection, or one that broke or spoke no HTTP.
	RefreshRefused

	refreshEnd
)

var refreshWords = [refreshEnd]string{
	0:                "none",
	RefreshChanged:   "changed",
	RefreshUnchanged: "unchanged",
	RefreshTimeout:   "timeout",
	RefreshStatus:    "status",
	RefreshTooLarge:  "too_large",
	RefreshEmpty:     "empty",
	RefreshMalformed: "malformed",
	RefreshRedirect:  "redirect",
	RefreshTLS:       "tls",
	RefreshRefused:   "refused",
}

// RefreshOutcomes returns every Refresh, for registering one metric each. The slice is the caller's.
func RefreshOutcomes() []Refresh {
	all := make([]Refresh, 0, refreshEnd-1)
	for r := RefreshChanged; r < refreshEnd; r++ {
		all = append(all, r)
	}
	return all
}

// String returns the word of r: lower case, stable, fit for a metric label.
func (r Refresh) String() string {
	if r >= refreshEnd {
		return "unknown"
	}
	return refreshWords[r]
}

// Failed reports whether the refresh brought nothing.
func (r Refresh) Failed() bool { return r > RefreshUnchanged }

// Skip is why a key of a fetched set is not used.
type Skip uint8

// The reasons.
const (
	SkipMalformed Skip = iota // no JSON Web Key, or its numbers make no key
	SkipSymmetric             // a shared secret, which has no business on an address that others can read
	SkipPrivate               // its private half is published with it, so that anybody may sign
	SkipUse                   // use or key_ops say that it is not for checking signatures
	SkipAlgorithm             // alg is not an algorithm of this server, or not one of this kind of key
	SkipKind                  // of a kind that no algorithm of this server uses
	SkipWeak                  // too short, too long, or with an odd exponent
	SkipDuplicate             // a second key of the same kind with the same kid
	SkipExcess                // past the first 100 good ones

	skipEnd
)

var skipWords = [skipEnd]string{
	"malformed", "symmetric", "private", "use", "algorithm", "kind", "weak", "duplicate", "excess",
}

// String returns the word of s.
func (s Skip) String() string {
	if s >= skipEnd {
		return "unknown"
	}
	return skipWords[s]
}

// Skips counts the keys that were left out, by Skip.
type Skips [skipEnd]int

// String lists what was left out, as in "1 symmetric, 2 weak"; it is empty if nothing was.
func (s Skips) String() string {
	var parts []string
	for why, n := range s {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %v", n, Skip(why)))
		}
	}
	return strings.Join(parts, ", ")
}
