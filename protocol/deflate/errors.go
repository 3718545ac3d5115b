package deflate

// The closed list of faults of a compressed message.

import "github.com/gobwas/ws"

// Error is a fault of the peer after which the connection has to be closed with [Error.Code]. The values are
// comparable; [Inflater.Inflate] returns no other errors. The zero Error is none.
type Error uint8

const (
	// ErrTooLarge is a message that inflates to more than is allowed.
	ErrTooLarge Error = iota + 1
	// ErrCorrupt is a payload that is not DEFLATE data, or not a whole message of it (RFC 7692 section 7.2.2).
	ErrCorrupt

	errorEnd
)

var faults = [errorEnd]struct {
	code         ws.StatusCode
	reason, text string
}{
	ErrTooLarge: {ws.StatusMessageTooBig, "inflated_too_big", "message inflates to too much"},
	ErrCorrupt:  {ws.StatusInvalidFramePayloadData, "corrupt_deflate", "corrupt compressed message"},
}

// Error is a sentence for logs; it holds nothing of the input.
func (e Error) Error() string {
	if e == 0 || e >= errorEnd {
		return "unknown deflate error"
	}
	return "deflate: " + faults[e].text
}

// Code is the close code the peer is sent: 1009 or 1007.
func (e Error) Code() ws.StatusCode {
	if e == 0 || e >= errorEnd {
		return ws.StatusInvalidFramePayloadData
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
