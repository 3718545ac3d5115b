// The claims of a token: decoded before its signature is checked, believed only after.

package auth

import (
	"errors"
	"math"
	"strconv"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
)

const (
	// maxUserBytes bounds a user name: it becomes part of keys on the bus and of presence lists.
	maxUserBytes = 128
	// maxSeconds is the last second of the year 9999, the end of what RFC 3339 can write.
	maxSeconds = 253402300799
)

var errNotAnObject = errors.New("claims are not a JSON object, or name a claim twice")

// claims implements jwt.Claims. Its getters answer with a Refusal where a claim is missing or senseless; the
// library asks for iss and aud only if one is configured, so their absence is otherwise no fault.
type claims struct {
	// Set before parsing.
	from    *issuer
	binding *binding               // of the header's algorithm
	keys    jwt.VerificationKeySet // what the signature is tried with
	table   *keyTable              // where keys come from; nil: from the configuration, or from nowhere
	guessed bool                   // they come from a KeySet, and the token does not say which of them it wants

	user              string
	userFault         Refusal
	rooms, roomsRead  []string
	roomsFault        Refusal
	issuer            string
	audience          []string
	session, token    Mark
	expires           int64 // Unix seconds, as are the next two; 0 if absent
	notBefore, issued int64
	expiresFault      Refusal
	notBeforeFault    Refusal
	issuedFault       Refusal
}

// newClaims returns claims that name nobody and never end, which is what an empty object or null leaves.
func newClaims() *claims {
	return &claims{userFault: RefusedNoUser, expiresFault: RefusedNoExpiry}
}

// UnmarshalJSON notes what is wrong with single claims instead of failing, so that a forged token is refused
// for its signature first and reveals nothing about the rest. It keeps nothing of document.
func (c *claims) UnmarshalJSON(document []byte) error {
	walk, ok := membersOf(document)
	if !ok {
		return errNotAnObject
	}
	var seen uint16
	for {
		name, value, left, more := walk.next()
		if !more {
			return nil
		}
		walk = left
		bit := uint16(0)
		switch string(name) {
		case "sub":
			bit = 1 << 0
			c.user, c.userFault = userOf(value)
		case "exp":
			bit = 1 << 1
			c.expires, c.expiresFault = expiryOf(value)
		case "nbf":
			bit = 1 << 2
			c.notBefore, c.notBeforeFault = secondsOf(value)
		case "iat":
			bit = 1 << 3
			c.issued, c.issuedFault = secondsOf(value)
		case "iss":
			bit = 1 << 4
			c.issuer, _ = textOf(value)
		case "aud":
			bit = 1 << 5
			c.audience = audienceOf(value)
		case "rooms":
			bit = 1 << 6
			c.rooms = c.patternsOf(value)
		case "rooms_read":
			bit = 1 << 7
			c.roomsRead = c.patternsOf(value)
		case "sid":
			bit = 1 << 8
			c.session = markOf(RevokedSession, value)
		case "jti":
			bit = 1 << 9
			c.token = markOf(RevokedToken, value)
		}
		if seen&bit != 0 {
			return errNotAnObject
		}
		seen |= bit
	}
}

// userOf reads sub. The replacement character is refused because encoding/json writes it for every invalid
// byte and lone surrogate: two users must never become one.
func userOf(value []byte) (string, Refusal) {
	if isNull(value) {
		return "", RefusedNoUser
	}
	user, ok := textOf(value)
	if !ok {
		return "", RefusedBadUser
	}
	return user, checkUser(user)
}

func checkUser(user string) Refusal {
	if user == "" {
		return RefusedNoUser
	}
	if len(user) > maxUserBytes {
		return RefusedBadUser
	}
	for _, r := range user {
		if r == utf8.RuneError || unicode.IsControl(r) {
			return RefusedBadUser
		}
	}
	return 0
}

// expiryOf reads exp, which becomes a timer and a figure in protocol messages and so must be a plain integer.
func expiryOf(value []byte) (int64, Refusal) {
	if isNull(value) {
		return 0, RefusedNoExpiry
	}
	seconds, err := strconv.ParseInt(string(value), 10, 64)
	if err != nil || seconds <= 0 || seconds > maxSeconds {
		return 0, RefusedBadTime
	}
	return seconds, 0
}

// secondsOf reads nbf or iat, rounded down; RFC 7519 section 2 allows fractions, and issuers do write them.
func secondsOf(value []byte) (int64, Refusal) {
	if isNull(value) {
		return 0, 0
	}
	seconds, err := strconv.ParseFloat(string(value), 64)
	if err != nil || !(seconds >= 0 && seconds <= maxSeconds) {
		return 0, RefusedBadTime
	}
	return int64(math.Floor(seconds)), 0
}

// audienceOf reads aud, one string or a list (RFC 7519 section 4.1.3); anything else counts as none.
func audienceOf(value []byte) []string {
	if one, ok := textOf(value); ok {
		return []string{one}
	}
	list, _ := listOf(value)
	return list
}

func (c *claims) patternsOf(value []byte) []string {
	if isNull(value) {
		return nil
	}
	list, ok := listOf(value)
	if !ok {
		c.roomsFault = RefusedBadRooms
	}
	return list
}

// GetExpirationTime implements jwt.Claims.
func (c *claims) GetExpirationTime() (*jwt.NumericDate, error) {
	return dateOf(c.expires, c.expiresFault)
}

// GetNotBefore implements jwt.Claims.
func (c *claims) GetNotBefore() (*jwt.NumericDate, error) {
	return dateOf(c.notBefore, c.notBeforeFault)
}

// GetIssuedAt implements jwt.Claims.
func (c *claims) GetIssuedAt() (*jwt.NumericDate, error) {
	return dateOf(c.issued, c.issuedFault)
}

// GetIssuer implements jwt.Claims.
func (c *claims) GetIssuer() (string, error) {
	if c.issuer == "" {
		return "", RefusedIssuer
	}
	return c.issuer, nil
}

// GetAudience implements jwt.Claims.
func (c *claims) GetAudience() (jwt.ClaimStrings, error) {
	if len(c.audience) == 0 || len(c.audience) == 1 && c.audience[0] == "" {
		return nil, RefusedAudience
	}
	return c.audience, nil
}

// GetSubject implements jwt.Claims.
func (c *claims) GetSubject() (string, error) { return c.user, nil }

func dateOf(seconds int64, fault Refusal) (*jwt.NumericDate, error) {
	switch {
	case fault != 0:
		return nil, fault
	case seconds == 0:
		return nil, nil
	}
	return &jwt.NumericDate{Time: time.Unix(seconds, 0)}, nil
}
