// The Verifier: configuration in, identities out.

package auth

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// defaultTokenBytes is the longest token looked at unless configured otherwise.
	defaultTokenBytes = 8 << 10
	// maxLeeway bounds how long an expired token may still open a connection.
	maxLeeway = 30 * time.Second
	// maxCacheEntries keeps a slip of the pen from taking all memory: 16 Mi entries are 1.2 GB.
	maxCacheEntries = 16 << 20
)

// Options configure a Verifier. New copies what it keeps.
type Options struct {
	HMACSecret   []byte           // shared secret for HS256, HS384 and HS512; at least 32 bytes
	PublicKeys   []byte           // PEM text with up to 8 PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE blocks
	KeySet       *KeySet          // public keys that are fetched, in place of PublicKeys; the caller starts and closes it
	Algorithms   []string         // what tokens may be signed with; empty: all that the keys can do
	Issuer       string           // required iss; empty: not checked
	Audience     string           // required in aud; empty: not checked
	Issuers      []Issuer         // several issuers; all of the above must then be empty
	Leeway       time.Duration    // tolerated difference between clocks, at most 30 s
	TokenBytes   int              // longest token looked at; 0: 8 KiB
	CacheEntries int              // verified tokens remembered, at about 73 bytes each; 0: none
	Now          func() time.Time // the wall clock; nil: time.Now
}

// Identity is who a token speaks for. It shares nothing with the token's bytes.
type Identity struct {
	User    string
	Expires int64 // the exp claim, Unix seconds, without leeway
	Rights  *Rights
	Session Mark // of the sid claim, 0 without one
	Token   Mark // of the jti claim, likewise
}

// Verifier checks tokens. All of its methods may be called from any goroutine.
type Verifier struct {
	// static after New
	issuers    map[string]*issuer // by name
	only       *issuer            // nil if there are several
	hmac       map[string]bool    // all algorithms of all issuers: whether it is an HMAC
	leeway     time.Duration
	tokenBytes int
	now        func() time.Time

	// any goroutine, each with its own locks
	rights *internTable
	cache  *cache // nil if off
}

// New makes a Verifier, or says in one sentence which configuration key is wrong and what to write instead.
func New(o Options) (*Verifier, error) {
	v := &Verifier{
		hmac:       make(map[string]bool),
		leeway:     o.Leeway,
		tokenBytes: cmp.Or(o.TokenBytes, defaultTokenBytes),
		now:        o.Now,
		rights:     newInternTable(),
	}
	if v.now == nil {
		v.now = time.Now
	}
	var err error
	if v.issuers, err = issuersOf(o, []jwt.ParserOption{
		jwt.WithStrictDecoding(),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(v.leeway),
		jwt.WithTimeFunc(v.now),
	}); err != nil {
		return nil, err
	}
	switch {
	case o.Leeway < 0 || o.Leeway > maxLeeway:
		return nil, fmt.Errorf("auth.leeway: %v is not between 0s and %v; synchronise the clocks instead of accepting stale tokens", o.Leeway, maxLeeway)
	case o.TokenBytes < 0:
		return nil, fmt.Errorf("auth: a longest token of %d bytes makes no sense; use 0 for the default of %d", o.TokenBytes, defaultTokenBytes)
	case o.CacheEntries < 0 || o.CacheEntries > maxCacheEntries:
		return nil, fmt.Errorf("auth: a cache of %d tokens is not possible; use 0 (off) to %d", o.CacheEntries, maxCacheEntries)
	}
	for _, i := range v.issuers {
		if len(o.Issuers) == 0 {
			v.only = i
		}
		for name, b := range i.bindings {
			v.hmac[name] = b.hmac
		}
	}
	if o.CacheEntries > 0 {
		v.cache = newCache(o.CacheEntries, int64(o.Leeway/time.Second))
	}
	return v, nil
}

// Cached returns the identity of a token that was accepted before, unless it has expired since or the key set that
// its key came from has changed. It never blocks for longer than a look-up, takes under a microsecond for a usual
// token, and allocates nothing.
func (v *Verifier) Cached(token []byte) (Identity, bool) {
	if v.cache == nil || len(token) > v.tokenBytes {
		return Identity{}, false
	}
	return v.cache.find(cacheKeyOf(token), v.now().Unix())
}

// Inline reports whether Verify will be cheap, a few microseconds, because the token's header names an allowed
// HMAC algorithm. It is a promise about cost alone and says nothing about whether the token is any good; a
// token for which it is false may go to a worker, be it only to be refused there. It does not allocate for a
// header of usual size.
func (v *Verifier) Inline(token []byte) bool {
	if len(token) > v.tokenBytes {
		return false
	}
	p, ok := split(token)
	if !ok {
		return false
	}
	var scratch [headerScratch]byte
	h, refusal := readHeader(p.header, scratch[:])
	if refusal != 0 {
		return false
	}
	return v.hmac[string(h.algorithm)]
}

// Verify checks a token in full and remembers it if it is good. The error is always a [Refusal]. It never
// waits for anything but the processor: about 5 us for HMAC, 30 to 250 us for the others, more if several
// public keys are configured. It keeps nothing of token. Where keys are fetched, Check tells more.
func (v *Verifier) Verify(token []byte) (Identity, error) {
	d := v.Check(token)
	if d.Refusal != 0 {
		return Identity{}, d.Refusal
	}
	return d.Identity, nil
}

// check is Check without the cache and without the road to new keys; it also returns the claims as far as they
// were read.
func (v *Verifier) check(token []byte) (*claims, Identity, Refusal) {
	c := newClaims()
	if len(token) > v.tokenBytes {
		return c, Identity{}, RefusedTooLong
	}
	p, ok := split(token)
	if !ok {
		return c, Identity{}, RefusedMalformed
	}
	var scratch [headerScratch]byte
	h, refusal := readHeader(p.header, scratch[:])
	if refusal != 0 {
		return c, Identity{}, refusal
	}
	if _, allowed := v.hmac[string(h.algorithm)]; !allowed {
		return c, Identity{}, RefusedAlgorithm
	}
	if h.critical {
		return c, Identity{}, RefusedCritical
	}
	if refusal := v.choose(c, &h, p.claims); refusal != 0 {
		return c, Identity{}, refusal
	}
	if _, err := c.from.parser.ParseWithClaims(string(token), c, keysFor); err != nil {
		return c, Identity{}, refusalOf(err)
	}
	if c.userFault != 0 {
		return c, Identity{}, c.userFault
	}
	if c.roomsFault != 0 || checkPatterns("rooms", c.rooms) != nil || checkPatterns("rooms_read", c.roomsRead) != nil {
		return c, Identity{}, RefusedBadRooms
	}
	return c, Identity{
		User: c.user, Expires: c.expires, Rights: v.rights.get(canonical(c.rooms, c.roomsRead)),
		Session: c.session, Token: c.token,
	}, 0
}

// choose settles what a token is checked with, before anything in it is believed: the issuer, that issuer's
// binding of the algorithm, and the keys.
func (v *Verifier) choose(c *claims, h *header, part []byte) Refusal {
	from, refusal := v.issuerOf(part)
	if refusal != 0 {
		return refusal
	}
	c.from, c.binding = from, from.bindings[string(h.algorithm)]
	switch {
	case c.binding == nil:
		return RefusedAlgorithm
	case c.binding.remote == nil:
		c.keys = c.binding.keys
		return 0
	}
	c.guessed = len(h.keyID) == 0
	c.keys, c.table, refusal = c.binding.remote.find(h, c.binding)
	return refusal
}

// keysFor hands the library the keys that were bound to the header's algorithm before it looked at the token.
func keysFor(token *jwt.Token) (any, error) {
	c, ok := token.Claims.(*claims)
	if !ok || token.Method.Alg() != c.binding.name {
		return nil, RefusedMalformed
	}
	return c.keys, nil
}

// refusalOf puts the library's many-layered errors into our list. Our own Refusals, from the getters of
// claims, come through it unchanged; the library's texts, which may quote the token, end here.
func refusalOf(err error) Refusal {
	var own Refusal
	if errors.As(err, &own) {
		return own
	}
	for _, known := range [...]struct {
		err     error
		refusal Refusal
	}{
		{jwt.ErrTokenSignatureInvalid, RefusedSignature},
		{jwt.ErrTokenInvalidIssuer, RefusedIssuer},
		{jwt.ErrTokenInvalidAudience, RefusedAudience},
		{jwt.ErrTokenExpired, RefusedExpired},
		{jwt.ErrTokenNotValidYet, RefusedNotYetValid},
		{jwt.ErrTokenUsedBeforeIssued, RefusedNotYetValid},
	} {
		if errors.Is(err, known.err) {
			return known.refusal
		}
	}
	return RefusedMalformed
}

// Algorithms returns what tokens may be signed with, for the log at start and for messages.
func (v *Verifier) Algorithms() string { return strings.Join(slices.Sorted(maps.Keys(v.hmac)), ", ") }

// CacheLen returns how many tokens the cache holds, expired ones that nobody asked for included.
func (v *Verifier) CacheLen() int {
	if v.cache == nil {
		return 0
	}
	return int(v.cache.filled.Load())
}

// CacheHits returns how often Cached found its token since the start.
func (v *Verifier) CacheHits() uint64 {
	if v.cache == nil {
		return 0
	}
	return v.cache.hits.Load()
}

// CacheMisses returns how often Cached did not find its token since the start.
func (v *Verifier) CacheMisses() uint64 {
	if v.cache == nil {
		return 0
	}
	return v.cache.misses.Load()
}
