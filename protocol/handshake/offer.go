// What a client offers: subprotocols, and the token in the one place it may stand in.

package handshake

// Subprotocol is the name of roost's own dialect.
const Subprotocol = "roost.v1"

// tokenPrefix marks the subprotocol that carries a token: a browser's WebSocket can set no header but this one.
const tokenPrefix = "token."

// TokenSource says where a token was found.
type TokenSource uint8

// The places a token can come from.
const (
	NoToken TokenSource = iota
	FromSubprotocol
	FromAuthorization
	FromQuery
)

// Offer is what a request offers. Its slices point into the head.
type Offer struct {
	// RoostV1 says that the client speaks [Subprotocol].
	RoostV1 bool
	// Token is the credential as sent, never empty when TokenFrom is set.
	Token     []byte
	TokenFrom TokenSource
	// Echo is the subprotocol to answer with, a token of RFC 9110: [Subprotocol] if it was offered; else the
	// whole "token.<jwt>", because a browser drops an answer that selects nothing; else nil, select nothing.
	Echo []byte
}

// EchoesToken reports whether the answer will carry the token back.
func (o *Offer) EchoesToken() bool { return !o.RoostV1 && o.Echo != nil }

// Offer reads the subprotocols and the token of a parsed request. The parameter token is looked at only if
// queryToken is set, and then as it is: a JWT has nothing to encode. It does not allocate.
//
// More than one token is [TwoTokens], even if they are equal. A token that is announced and empty is [Token]. A
// subprotocol that is no token of RFC 9110, comes twice or is one of more than 16, and a header of them without
// any, is [Malformed], and so is a Bearer credential that is none. Other schemes of Authorization, which may be
// a proxy's, and other subprotocols are passed over.
func (r *Request) Offer(queryToken bool) (Offer, Refusal) {
	var o Offer
	tokens := 0
	carrier, refusal := r.subprotocols(&o)
	if refusal != Accepted {
		return Offer{}, refusal
	}
	if carrier != nil {
		o.Token, o.TokenFrom = carrier[len(tokenPrefix):], FromSubprotocol
		tokens++
	}
	bearer, ok := bearerToken(r.Authorization)
	if !ok {
		return Offer{}, Malformed
	}
	if bearer != nil {
		o.Token, o.TokenFrom = bearer, FromAuthorization
		tokens++
	}
	if queryToken {
		if value, count := r.QueryValue(paramToken); count > 0 {
			o.Token, o.TokenFrom = value, FromQuery
			tokens++
		}
	}
	switch {
	case tokens > 1:
		return Offer{}, TwoTokens
	case tokens == 1 && len(o.Token) == 0:
		return Offer{}, Token
	}
	if !o.RoostV1 {
		o.Echo = carrier
	}
	return o, Accepted
}

// subprotocols walks all that are offered, in all lines. It sets RoostV1 and the Echo that goes with it, and returns
// the subprotocol that carries a token.
func (r *Request) subprotocols(o *Offer) (carrier []byte, refusal Refusal) {
	var seen [maxSubprotocols][]byte
	n := 0
	for i := r.progress.nextRepeat(fieldProtocol, 0); i >= 0; i = r.progress.nextRepeat(fieldProtocol, i+1) {
		offered := list{rest: r.repeated(i), class: isToken}
		before := n
		for name := offered.next(); name != nil; name = offered.next() {
			if n == maxSubprotocols || contains(seen[:n], name) {
				return nil, Malformed
			}
			seen[n] = name
			n++
			switch {
			case string(name) == Subprotocol:
				o.RoostV1, o.Echo = true, name
			case len(name) >= len(tokenPrefix) && string(name[:len(tokenPrefix)]) == tokenPrefix:
				if carrier != nil {
					return nil, TwoTokens
				}
				carrier = name
			}
		}
		if offered.malformed || n == before {
			return nil, Malformed
		}
	}
	return carrier, Accepted
}

func contains(names [][]byte, name []byte) bool {
	for _, other := range names {
		if string(other) == string(name) {
			return true
		}
	}
	return false
}

// bearerToken takes the token out of an Authorization value: nil if there is no value or another scheme, empty if
// the scheme stands alone. It is false if what follows is no token68 (RFC 6750 section 2.1).
func bearerToken(authorization []byte) (token []byte, ok bool) {
	const scheme = "bearer"
	if len(authorization) < len(scheme) || !equalFold(authorization[:len(scheme)], scheme) {
		return nil, true
	}
	token = authorization[len(scheme):]
	if len(token) == 0 {
		return token, true
	}
	if token[0] != ' ' {
		return nil, charset[token[0]]&isToken != 0 // "Bearerish" is another scheme
	}
	for len(token) > 0 && token[0] == ' ' {
		token = token[1:]
	}
	body := token
	for len(body) > 0 && body[len(body)-1] == '=' {
		body = body[:len(body)-1]
	}
	return token, len(body) > 0 && allOf(body, isToken68)
}
