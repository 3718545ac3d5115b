// The closed list of reasons for which a token is refused.

package auth

// Refusal says why a token was refused. It is an error, a log word and a metric label; the zero Refusal means
// that nothing was refused. Its texts are constants and carry nothing of the token.
type Refusal uint8

// The reasons. Where several apply, those that time can't cure are reported before those that it can.
const (
	// RefusedMalformed: not three parts of unpadded base64url, or not JSON objects, or a claim given twice.
	RefusedMalformed Refusal = iota + 1
	// RefusedTooLong: longer than Options.TokenBytes; nothing else was looked at.
	RefusedTooLong
	// RefusedAlgorithm: the header names no algorithm, or one that the configuration does not allow.
	RefusedAlgorithm
	// RefusedCritical: the header demands an extension (RFC 7515 section 4.1.11); none is known here.
	RefusedCritical
	// RefusedSignature: no configured key made this signature.
	RefusedSignature
	// RefusedNoExpiry: no exp claim.
	RefusedNoExpiry
	// RefusedBadTime: exp, nbf or iat is not a plausible number of seconds.
	RefusedBadTime
	// RefusedExpired: exp plus leeway has passed.
	RefusedExpired
	// RefusedNotYetValid: nbf or iat lies further in the future than the leeway.
	RefusedNotYetValid
	// RefusedIssuer: iss is missing or not among those configured.
	RefusedIssuer
	// RefusedAudience: aud is missing or does not contain the configured one.
	RefusedAudience
	// RefusedNoUser: no sub claim, or an empty one.
	RefusedNoUser
	// RefusedBadUser: sub is not text of at most 128 bytes without control characters.
	RefusedBadUser
	// RefusedBadRooms: rooms or rooms_read is not a list of at most 64 legal patterns.
	RefusedBadRooms
	// RefusedUnknownKey: the header's kid, or its absence, fits no key of the issuer's key set, as far as the
	// last refresh can tell. [Verdict.Await] may start another.
	RefusedUnknownKey
	// RefusedNoKeys: the issuer's key set could not be fetched, so that nobody knows whether the token is good:
	// a fault of this server and not of the client's, see Unavailable.
	RefusedNoKeys
	// RefusedRevoked: the token is in order but its user, session or itself is in a [Revocations]. A Verifier
	// never says so; it is the word for whoever asks both.
	RefusedRevoked

	refusalEnd
)

var refusalWords = [refusalEnd]string{
	0:                  "none",
	RefusedMalformed:   "malformed",
	RefusedTooLong:     "too_long",
	RefusedAlgorithm:   "algorithm",
	RefusedCritical:    "critical",
	RefusedSignature:   "signature",
	RefusedNoExpiry:    "no_expiry",
	RefusedBadTime:     "bad_time",
	RefusedExpired:     "expired",
	RefusedNotYetValid: "not_yet_valid",
	RefusedIssuer:      "issuer",
	RefusedAudience:    "audience",
	RefusedNoUser:      "no_user",
	RefusedBadUser:     "bad_user",
	RefusedBadRooms:    "bad_rooms",
	RefusedUnknownKey:  "unknown_key",
	RefusedNoKeys:      "no_keys",
	RefusedRevoked:     "revoked",
}

var refusalSentences = [refusalEnd]string{
	0:                  "the token is accepted",
	RefusedMalformed:   "a token is three parts of base64url without padding, joined by dots; the first two are JSON objects that name nothing twice",
	RefusedTooLong:     "the token is longer than this server looks at; carry fewer claims, or patterns instead of long lists of rooms",
	RefusedAlgorithm:   "the header's alg is not one that auth.algorithms and the configured keys allow",
	RefusedCritical:    "the header's crit demands an extension, and this server knows none",
	RefusedSignature:   "none of the configured keys made this signature",
	RefusedNoExpiry:    "the exp claim is missing; every token must end",
	RefusedBadTime:     "exp must be a whole number of seconds since 1970, and nbf and iat numbers of seconds, all before the year 10000",
	RefusedExpired:     "the token has expired",
	RefusedNotYetValid: "the token's nbf or iat lies in the future; compare the clocks of the issuer and of this server",
	RefusedIssuer:      "the iss claim is not one that auth.issuer or auth.issuers names",
	RefusedAudience:    "the aud claim does not contain the one that auth.audience, or the issuer's entry in auth.issuers, names",
	RefusedNoUser:      "the sub claim, which names the user, is missing or empty",
	RefusedBadUser:     "the sub claim must be a string of 1 to 128 bytes of UTF-8 without control characters",
	RefusedBadRooms:    "rooms and rooms_read must each be a list of at most 64 patterns of 1 to 128 bytes out of A-Z a-z 0-9 . _ ~ : - where * stands for a whole segment and ** for the last ones",
	RefusedUnknownKey:  "the issuer's key set has no key for this token's kid and alg",
	RefusedNoKeys:      "the issuer's key set could not be fetched; the same token may be accepted later",
	RefusedRevoked:     "the user, the session or the token itself has been revoked",
}

// Refusals returns every Refusal, for registering one metric each. The slice is the caller's.
func Refusals() []Refusal {
	all := make([]Refusal, 0, refusalEnd-1)
	for r := RefusedMalformed; r < refusalEnd; r++ {
		all = append(all, r)
	}
	return all
}

// String returns the word of r: lower case, stable, fit for a metric label.
func (r Refusal) String() string {
	if r >= refusalEnd {
		return "unknown"
	}
	return refusalWords[r]
}

// Error makes a Refusal an error; the text is constant for each Refusal.
func (r Refusal) Error() string { return "token refused: " + r.String() }

// Unavailable reports whether the refusal says nothing against the token: the client should come again with the
// same one (503, not 401).
func (r Refusal) Unavailable() bool { return r == RefusedNoKeys }

// Explain returns one sentence about what is wrong and what is wanted, the same for every token.
// [Verifier.Explain] says it about one token.
func (r Refusal) Explain() string {
	if r >= refusalEnd {
		return "unknown reason"
	}
	return refusalSentences[r]
}
