// How much of a request head is read before it is refused.

package handshake

// Limits bounds a request head, in bytes but for Headers. All must be positive and below 1 GiB.
type Limits struct {
	// HeadBytes bounds the whole head with its empty line; beyond it 431 (414 inside the request line).
	HeadBytes int
	// LineBytes bounds one line without its CRLF; beyond it 414 for the request line, 431 for a header.
	LineBytes int
	// Headers bounds the number of header lines; beyond it 431.
	Headers int
	// QueryBytes bounds what stands behind the '?'; beyond it 414.
	QueryBytes int
}

// DefaultLimits has room for a browser's head with large cookies, and for a query with a token and some fifty rooms.
func DefaultLimits() Limits {
	return Limits{HeadBytes: 16 << 10, LineBytes: 8 << 10, Headers: 64, QueryBytes: 6 << 10}
}

// Bounds that nobody needs to turn. They are constants so that a Request has a fixed size and a check a fixed cost.
const (
	// maxQueryParams is the most parameters a query may have, empty ones included.
	maxQueryParams = 256
	// maxRepeated is the most lines of the headers that may come several times (Connection,
	// Sec-WebSocket-Protocol, Sec-WebSocket-Extensions, X-Forwarded-For, Forwarded), all of them together.
	maxRepeated = 24
	// maxSubprotocols is the most subprotocols a client may offer.
	maxSubprotocols = 16
	// maxHostBytes is a name of 255 bytes, or an IPv6 literal, and a port.
	maxHostBytes = 255 + len(":65535")
)
