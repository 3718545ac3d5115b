// The verdict about a token, and waiting for keys that may change it.

package auth

import "sync/atomic"

// Verdict is what [Verifier.Check] found.
type Verdict struct {
	Identity Identity // zero if refused
	Refusal  Refusal  // 0: accepted

	set  *KeySet   // may come to hold the key that was missing; nil: the verdict is final
	seen *keyTable // what it held
}

// Check is Verify for a caller that can wait: if the token was refused because its issuer's key set holds no
// fitting key, the verdict offers to wait for the next refresh. It costs what Verify costs.
func (v *Verifier) Check(token []byte) Verdict {
	c, identity, refusal := v.check(token)
	d := Verdict{Identity: identity, Refusal: refusal}
	switch {
	case refusal == RefusedUnknownKey, refusal == RefusedNoKeys, refusal == RefusedSignature && c.guessed:
		d.set, d.seen = c.binding.remote, c.table
	case refusal == 0 && v.cache != nil:
		var retired *atomic.Bool
		if c.table != nil {
			retired = c.table.retired
		}
		v.cache.store(cacheKeyOf(token), identity, retired, v.now().Unix())
	}
	return d
}

// Await calls again once, after which Check may say something else about the token: when the refresh of its
// issuer's keys that is under way has ended, well or not, or one that this call starts. False means that again
// will not be called and the verdict stands: keys have nothing to do with it, the last refresh ended too short a
// while ago for another, too many wait already, or the KeySet does not run.
//
// Any goroutine; it never blocks. again is called on the KeySet's goroutine, or, if new keys have come since
// Check, on this one before Await returns; it must not block, and must bring whatever it needs of the token, of
// which nothing is kept here.
func (d Verdict) Await(again func()) bool {
	return d.set != nil && d.set.await(d.seen, again)
}
