// KeySet: an issuer's public keys, fetched ahead of time and after every sign of a rotation.

package auth

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	defaultRefresh     = 15 * time.Minute
	defaultTimeout     = 10 * time.Second
	maxTimeout         = time.Minute
	defaultMinInterval = 10 * time.Second
	defaultMaxAge      = 24 * time.Hour
	// maxAwaiting bounds the tokens that wait for one refresh.
	maxAwaiting = 4096
)

// KeySetOptions configure a KeySet. 0 is the right duration for service; others are for tests.
type KeySetOptions struct {
	URL         string             // https, or http on a loopback address
	Refresh     time.Duration      // between refreshes if the issuer sets no max-age, 1 min to 1 h; 0: 15 min
	Timeout     time.Duration      // of one request with its answer, at most 1 min; 0: 10 s
	MinInterval time.Duration      // from a refresh to one that a token asks for, or to another try without keys; 0: 10 s
	MaxAge      time.Duration      // how long keys are used while no refresh succeeds; 0: 24 h
	Report      func(KeySetStatus) // called after each refresh on the KeySet's goroutine, for logs; nil: nobody
}

// KeySetStatus is how a KeySet stands.
type KeySetStatus struct {
	URL     string
	Keys    int       // in use; 0: tokens that need one are answered RefusedNoKeys
	Skips   Skips     // keys of the last good answer that are not used; without one, of the last answer
	Fetched time.Time // when the issuer last confirmed the keys in use; zero: never
	Last    Refresh   // how the last refresh ended; 0: there has been none yet
}

// KeySet holds the public keys of one issuer, fetched from an address that the configuration names: nothing in a
// token can lead anywhere else. Looking keys up takes no lock and never waits; one goroutine, from Start to
// Close, does all the fetching, so that there is never more than one request under way. The keys are fetched
// again
//
//   - when the issuer's Cache-Control says so, within 1 minute and 1 hour, else every 15 minutes, less up to a tenth
//     so that nodes do not go in step;
//   - when a token has a kid that is not among them and somebody calls [Verdict.Await], but not within 10 s after
//     the last refresh: whatever is sent here, the issuer hears no more of it than that;
//   - 1 minute after a failure, and, while there are none at all, after 10 s.
//
// A failure leaves the keys as they are for up to 24 hours after the issuer last confirmed them. No answer without
// a usable key ever takes their place. Until the first success, and after those 24 hours, tokens are refused as
// RefusedNoKeys, which says nothing against them; so are tokens with an unknown kid after a refresh that failed.
//
// All methods may be called from any goroutine.
type KeySet struct {
	// static after NewKeySet
	address     string
	client      *http.Client
	refresh     time.Duration
	timeout     time.Duration
	minInterval time.Duration
	maxAge      time.Duration
	report      func(KeySetStatus)
	ctx         context.Context // ends with Close
	cancel      context.CancelFunc

	// any goroutine
	current atomic.Pointer[keyTable] // nil: no keys
	failing atomic.Bool              // the last refresh failed
	counts  [refreshEnd]atomic.Uint64
	wanted  chan struct{} // holds one: somebody wants a refresh
	tried   chan struct{} // closed after the first refresh
	running sync.WaitGroup

	mu      sync.Mutex
	started bool
	busy    bool      // a refresh is under way or wanted
	ended   time.Time // when the last one ended
	waiting []func()
	status  KeySetStatus

	etag string // of the keys in use; the KeySet's goroutine only
}

// NewKeySet makes a KeySet that does nothing before Start, or says what is wrong with its options; the caller knows
// under which setting the address stands.
func NewKeySet(o KeySetOptions) (*KeySet, error) {
	u, err := checkAddress(o.URL)
	if err != nil {
		return nil, err
	}
	k := &KeySet{
		address: o.URL, client: newClient(u), report: o.Report,
		refresh: cmp.Or(o.Refresh, defaultRefresh), timeout: cmp.Or(o.Timeout, defaultTimeout),
		minInterval: cmp.Or(o.MinInterval, defaultMinInterval), maxAge: cmp.Or(o.MaxAge, defaultMaxAge),
		wanted: make(chan struct{}, 1), tried: make(chan struct{}), status: KeySetStatus{URL: o.URL},
	}
	switch {
	case k.refresh < minRefresh || k.refresh > maxRefresh:
		return nil, fmt.Errorf("refreshing keys every %v is not possible; use %v to %v", k.refresh, minRefresh, maxRefresh)
	case k.timeout < 0 || k.timeout > maxTimeout:
		return nil, fmt.Errorf("a timeout of %v for fetching keys is not possible; use up to %v", k.timeout, maxTimeout)
	case k.minInterval < 0 || k.maxAge < 0:
		return nil, fmt.Errorf("keys can't be fetched every %v or kept for %v", k.minInterval, k.maxAge)
	}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	return k, nil
}

// Start begins the first refresh and returns at once; a server may open before there are keys. A second call
// does nothing.
func (k *KeySet) Start() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.started || k.ctx.Err() != nil {
		return
	}
	k.started, k.busy = true, true
	k.running.Go(k.run)
}

// Close gives a refresh that is under way up, calls what waits for it, and returns when the goroutine has ended. The
// keys stay as they are.
func (k *KeySet) Close() {
	k.cancel()
	k.running.Wait()
}

// Tried is closed when the first refresh has ended, well or not: a command that needs the keys once waits for it,
// and a server that is restarted may, for a few seconds, rather than refuse the first who come back.
func (k *KeySet) Tried() <-chan struct{} { return k.tried }

// Status returns how the set stands.
func (k *KeySet) Status() KeySetStatus {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.status
}

// Refreshes returns how many refreshes have ended so.
func (k *KeySet) Refreshes(outcome Refresh) uint64 {
	if outcome >= refreshEnd {
		return 0
	}
	return k.counts[outcome].Load()
}

// find returns the keys for a token, and the table that they are from, or nil if there are no keys. Never blocks.
func (k *KeySet) find(h *header, b *binding) (jwt.VerificationKeySet, *keyTable, Refusal) {
	if h.badKeyID {
		return jwt.VerificationKeySet{}, nil, RefusedMalformed
	}
	t := k.current.Load()
	if t == nil {
		return jwt.VerificationKeySet{}, nil, RefusedNoKeys
	}
	keys, refusal := t.find(h, b)
	if refusal == RefusedUnknownKey && k.failing.Load() {
		refusal = RefusedNoKeys // it may be a new one, which we failed to hear of
	}
	return keys, t, refusal
}

// await is Verdict.Await for a verdict that was found with the keys of seen.
func (k *KeySet) await(seen *keyTable, again func()) bool {
	k.mu.Lock()
	if k.current.Load() != seen {
		k.mu.Unlock()
		again()
		return true
	}
	defer k.mu.Unlock()
	if !k.started || k.ctx.Err() != nil || len(k.waiting) >= maxAwaiting {
		return false
	}
	if !k.busy {
		if time.Since(k.ended) < k.minInterval {
			return false
		}
		k.busy = true
		k.wanted <- struct{}{} // has room: only a refresh that is not busy is wanted
	}
	k.waiting = append(k.waiting, again)
	return true
}

// run is the KeySet's goroutine.
func (k *KeySet) run() {
	next := time.NewTimer(0)
	defer next.Stop()
	for k.ctx.Err() == nil {
		select {
		case <-k.ctx.Done():
		case <-next.C:
			next.Reset(k.turn())
		case <-k.wanted:
			next.Reset(k.turn())
		}
	}
	k.end()
}

// turn makes one refresh and returns how long to wait for the next.
func (k *KeySet) turn() time.Duration {
	k.begin()
	a := k.fetch(k.etag)
	if k.ctx.Err() != nil {
		return 0 // what was given up says nothing about the issuer
	}
	wait, status := k.settle(a)
	k.end()
	if k.report != nil {
		k.report(status)
	}
	return wait
}

// begin makes whoever comes now wait for this refresh, wanted or due.
func (k *KeySet) begin() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.busy = true
	select {
	case <-k.wanted:
	default:
	}
}

// settle draws the consequences of an answer and returns how long it is good for.
func (k *KeySet) settle(a answer) (time.Duration, KeySetStatus) {
	k.mu.Lock()
	defer k.mu.Unlock()
	s, old := &k.status, k.current.Load()
	if a.outcome == RefreshChanged && old != nil && a.table.print == old.print {
		a.outcome = RefreshUnchanged
	}
	wait := cmp.Or(a.lifetime, k.refresh)
	switch {
	case !a.outcome.Failed():
		k.etag, s.Fetched, s.Skips = a.etag, time.Now(), a.skips
		if a.outcome == RefreshChanged {
			k.replace(a.table)
		}
	case old == nil:
		wait, s.Skips = k.minInterval, a.skips
	case time.Since(s.Fetched) >= k.maxAge:
		wait = k.minInterval
		k.replace(nil)
	default:
		wait = minRefresh
	}
	k.failing.Store(a.outcome.Failed())
	k.counts[a.outcome].Add(1)
	s.Last = a.outcome
	wait -= rand.N(max(wait/10, 1))
	if s.Keys > 0 {
		wait = min(wait, k.maxAge-time.Since(s.Fetched)) // too old is too old, whenever the next refresh is
	}
	return max(wait, k.minInterval), *s
}

// replace puts a table, or none, in place of the one in use, and tells the caches of tokens. Caller holds k.mu.
func (k *KeySet) replace(t *keyTable) {
	old := k.current.Swap(t)
	if old != nil {
		old.retired.Store(true)
	}
	k.status.Keys = 0
	if t != nil {
		k.status.Keys = t.size
	} else {
		k.etag = "" // an unchanged set must come again in full
	}
}

// end lets everybody go who waited for the refresh that has ended.
func (k *KeySet) end() {
	k.mu.Lock()
	k.busy, k.ended = false, time.Now()
	waiting := k.waiting
	k.waiting = nil
	k.mu.Unlock()
	select {
	case <-k.tried:
	default:
		close(k.tried)
	}
	for _, again := range waiting {
		again()
	}
}
