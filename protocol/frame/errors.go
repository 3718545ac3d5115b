package frame

// The closed list of faults a peer can commit, with what it is told and what is counted.

import "github.com/gobwas/ws"

// Error is a fault of the peer after which the connection has to be closed with [Error.Code]. The values are
// comparable; functions of this package return no other errors. The zero Error is none.
type Error uint8

// The faults, in the order in which a frame's bytes reveal them.
const (
	// ErrReservedBits is an RSV bit that no negotiated extension gives a meaning here (section 5.2).
	ErrReservedBits Error = iota + 1
	// ErrBadOpcode is an opcode the RFC reserves: 3 to 7 and 11 to 15 (section 5.2).
	ErrBadOpcode
	// ErrControlFragmented is a control frame without FIN (section 5.5).
	ErrControlFragmented
	// ErrUnexpectedContinuation is a continuation frame with no message open (section 5.4).
	ErrUnexpectedContinuation
	// ErrExpectedContinuation is a new data frame while a fragmented message is open (section 5.4).
	ErrExpectedContinuation
	// ErrUnmasked is a client's frame without a mask (section 5.1).
	ErrUnmasked
	// ErrMasked is a server's frame with a mask (section 5.1).
	ErrMasked
	// ErrControlTooLong is a control frame of more than 125 bytes (section 5.5).
	ErrControlTooLong
	// ErrBadLength is a 64-bit length with its most significant bit set (section 5.2).
	ErrBadLength
	// ErrNonMinimalLength is a length written in more bytes than it needs (section 5.2).
	ErrNonMinimalLength
	// ErrTooBig is a frame, or a sum over fragments, above [Limits.MessageBytes].
	ErrTooBig
	// ErrTooManyFragments is a message of more than [Limits.Fragments] frames.
	ErrTooManyFragments
	// ErrInvalidUTF8 is a text message or a close reason that is not UTF-8 (section 8.1).
	ErrInvalidUTF8
	// ErrBadClose is a close body of one byte, or with a code that may not travel (section 7.4).
	ErrBadClose

	errorEnd
)

var faults = [errorEnd]struct {
	code         ws.StatusCode
	reason, text string
}{
	ErrReservedBits:           {ws.StatusProtocolError, "reserved_bits", "reserved bit set without an extension that uses it"},
	ErrBadOpcode:              {ws.StatusProtocolError, "bad_opcode", "reserved opcode"},
	ErrControlFragmented:      {ws.StatusProtocolError, "control_fragmented", "fragmented control frame"},
	ErrUnexpectedContinuation: {ws.StatusProtocolError, "unexpected_continuation", "continuation frame without a message"},
	ErrExpectedContinuation:   {ws.StatusProtocolError, "expected_continuation", "new message inside a fragmented one"},
	ErrUnmasked:               {ws.StatusProtocolError, "unmasked", "client frame without mask"},
	ErrMasked:                 {ws.StatusProtocolError, "masked", "server frame with mask"},
	ErrControlTooLong:         {ws.StatusProtocolError, "control_too_long", "control frame above 125 bytes"},
	ErrBadLength:              {ws.StatusProtocolError, "bad_length", "payload length with the most significant bit set"},
	ErrNonMinimalLength:       {ws.StatusProtocolError, "non_minimal_length", "payload length not in its shortest form"},
	ErrTooBig:                 {ws.StatusMessageTooBig, "too_big", "message too big"},
	ErrTooManyFragments:       {ws.StatusPolicyViolation, "too_many_fragments", "message in too many fragments"},
	ErrInvalidUTF8:            {ws.StatusInvalidFramePayloadData, "invalid_utf8", "invalid utf-8"},
	ErrBadClose:               {ws.StatusProtocolError, "bad_close", "malformed close frame"},
}

// Error is a sentence for logs; it holds nothing of the input.
func (e Error) Error() string {
	if e == 0 || e >= errorEnd {
		return "unknown frame error"
	}
	return "frame: " + faults[e].text
}

// Code is the close code the peer is sent: 1002, 1007, 1008 or 1009.
func (e Error) Code() ws.StatusCode {
	if e == 0 || e >= errorEnd {
		return ws.StatusProtocolError
	}
	return faults[e].code
}

// Reason is one word of a closed list, fit to be a metric label.
func (e Error) Reason() string {
	if e == 0 || e >= errorEnd {
		return "unknown"
	}
	return faults[e].reason
}

// Errors lists every Error there is, for metrics that have to know their labels beforehand.
func Errors() []Error {
	all := make([]Error, 0, errorEnd-1)
	for e := Error(1); e < errorEnd; e++ {
		all = append(all, e)
	}
	return all
}
