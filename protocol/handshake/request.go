// Request: what a request head says, as far as roost has a use for it.

package handshake

// Request is one request head. The zero Request is ready for [Request.Parse]; [Request.Reset] makes it so again.
//
// The slices point into the bytes given to the Parse that completed the head, and are good only as long as those.
// A slice is nil if the request has no such part, and empty but not nil if the part is there and empty.
// Until the head is complete there is no pointer in a Request: it may be copied, and the buffer may move.
type Request struct {
	// Target is the request target as sent: Path, and '?' and RawQuery if there is a query. Neither is decoded.
	Target, Path, RawQuery []byte
	// Host is the value of the only Host header, checked for shape: a name, an IPv4 or [IPv6] address, a port.
	Host []byte
	// Origin is the value of Origin, not checked; see [OriginPolicy].
	Origin []byte
	// Authorization is the credential as sent; [Request.Offer] takes it apart.
	Authorization []byte
	// Key is the value of Sec-WebSocket-Key; [Request.CheckUpgrade] says whether it is one.
	Key []byte
	// UserAgent is what the client calls itself: good for a hint, never for trust.
	UserAgent []byte

	head     []byte // the whole head, once it is complete
	progress progress
}

// Reset makes r empty for another head.
func (r *Request) Reset() { *r = Request{} }

// AsksUpgrade reports whether the request asks for another protocol at all. One that does not is a plain GET, of
// a health check for example, and [Request.CheckUpgrade] would refuse it.
func (r *Request) AsksUpgrade() bool { return r.progress.repeats(fieldUpgrade) > 0 }

// IsBrowser reports whether the client calls itself a browser, as all browsers do and other clients seldom.
func (r *Request) IsBrowser() bool {
	return len(r.UserAgent) >= len("Mozilla/") && string(r.UserAgent[:len("Mozilla/")]) == "Mozilla/"
}

// Extensions is the value of Sec-WebSocket-Extensions, nil if there is none. Of one line it is that line's value
// in the head; several are joined by commas in scratch, which is grown if it has to be (RFC 6455 section 9.1).
func (r *Request) Extensions(scratch []byte) []byte {
	switch first := r.progress.nextRepeat(fieldExtensions, 0); r.progress.repeats(fieldExtensions) {
	case 0:
		return nil
	case 1:
		return r.repeated(first)
	default:
		joined := append(scratch[:0], r.repeated(first)...)
		for i := r.progress.nextRepeat(fieldExtensions, first+1); i >= 0; i = r.progress.nextRepeat(fieldExtensions, i+1) {
			joined = append(joined, ',')
			joined = append(joined, r.repeated(i)...)
		}
		return joined
	}
}

// repeated is the value of the i-th of the lines kept in progress.repeat.
func (r *Request) repeated(i int) []byte { return r.progress.repeat[i].value.in(r.head) }
