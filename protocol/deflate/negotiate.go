package deflate

// Sec-WebSocket-Extensions: which of a client's offers is taken (RFC 7692 sections 5 and 7.1).

// The extension and its parameters. Names are compared as they are: no client writes them otherwise, and no RFC says
// that case does not matter.
const (
	extension               = "permessage-deflate"
	serverNoContextTakeover = "server_no_context_takeover"
	clientNoContextTakeover = "client_no_context_takeover"
	serverMaxWindowBits     = "server_max_window_bits"
	clientMaxWindowBits     = "client_max_window_bits"

	answer       = extension + "; " + serverNoContextTakeover + "; " + clientNoContextTakeover
	windowAnswer = "; " + serverMaxWindowBits + "=15"
)

// Verdict is what came of a client's offers.
type Verdict uint8

const (
	// Declined says that none was taken, or that there was none: no answer, no compression, no harm.
	Declined Verdict = iota
	// Accepted says that one was taken: messages may be compressed once the answer is sent.
	Accepted
	// Malformed says that the header breaks its grammar, for which RFC 6455 section 9.1 wants the handshake failed
	// (status 400), whatever else is in it.
	Malformed
)

// Negotiate takes the first offer it can keep and appends the answer to it, the value of the response's
// Sec-WebSocket-Extensions, to dst. offers is the request's value, several lines joined by commas, nil if it has no
// such header: what handshake.Request.Extensions returns. Any goroutine; it allocates only if dst is too small, and
// keeps nothing.
//
// The answer always has server_no_context_takeover and client_no_context_takeover; the latter need not be offered
// (section 7.1.1.2). An offer is declined, and the next one looked at, if it has a parameter that is unknown, twice
// there, with a value it may not have or without one it must have, or if it wants the server's window smaller than
// 32 KiB: windows here have one size. Any window of the client's is fine.
func Negotiate(dst, offers []byte) ([]byte, Verdict) {
	if offers == nil {
		return dst, Declined
	}
	in := cursor{rest: offers}
	taken, found := offer{}, false
	some := false // there has to be one element at least, RFC 6455 section 9.1
	for {
		for in.take(',') {
		}
		if len(in.rest) == 0 {
			break
		}
		o, ok := in.offer()
		if !ok || len(in.rest) > 0 && in.rest[0] != ',' {
			return dst, Malformed
		}
		some = true
		if !found && o.deflate && !o.bad {
			taken, found = o, true
		}
	}
	switch {
	case !some:
		return dst, Malformed
	case !found:
		return dst, Declined
	}
	dst = append(dst, answer...)
	if taken.seen&seenServerWindow != 0 {
		dst = append(dst, windowAnswer...) // accepting it means repeating it (section 7.1.2.1)
	}
	return dst, Accepted
}

// The parameters of an offer, as bits.
const (
	seenServerNoContext uint8 = 1 << iota
	seenClientNoContext
	seenServerWindow
	seenClientWindow
)

// offer is one element of the header.
type offer struct {
	deflate bool  // it is for this extension
	bad     bool  // it can't be accepted
	seen    uint8 // parameters
}

// param judges a parameter and notes it. value is nil if there is none.
func (o *offer) param(name, value []byte) {
	var bit uint8
	ok := false
	switch string(name) {
	case serverNoContextTakeover:
		bit, ok = seenServerNoContext, value == nil
	case clientNoContextTakeover:
		bit, ok = seenClientNoContext, value == nil
	case serverMaxWindowBits:
		bit, ok = seenServerWindow, string(value) == "15"
	case clientMaxWindowBits:
		bit, ok = seenClientWindow, value == nil || isWindowBits(value)
	}
	if !ok || o.seen&bit != 0 {
		o.bad = true
	}
	o.seen |= bit
}

// isWindowBits reports whether value is a decimal number from 8 to 15 without leading zeros.
func isWindowBits(value []byte) bool {
	switch len(value) {
	case 1:
		return value[0] == '8' || value[0] == '9'
	case 2:
		return value[0] == '1' && '0' <= value[1] && value[1] <= '5'
	}
	return false
}
