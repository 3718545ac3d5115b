// Refusals: one list of reasons, each with its status, its word in logs and metrics, and its ready-made answer.

package handshake

import "strconv"

// Refusal is why a connection is not opened. Its [Refusal.String] is the log word and the metric label; the list
// is closed, so the label's values are bounded. Everything on it may be called from any goroutine.
type Refusal uint8

// The refusals of contract section 2. Accepted is the zero value and no refusal.
const (
	Accepted Refusal = iota
	// Malformed is a request that breaks the grammar or says something twice that can be said once.
	Malformed
	// NotUpgrade is a good request that does not ask for a WebSocket.
	NotUpgrade
	// TwoTokens is more than one credential.
	TwoTokens
	// Token is a credential that is missing or not valid.
	Token
	// Origin is a page that may not open a connection here.
	Origin
	// Room is a room that may not be joined at open.
	Room
	// Path is an address that has nothing on it.
	Path
	// Method is anything but GET.
	Method
	// TooSlow is a handshake that took longer than its deadline.
	TooSlow
	// URITooLong and HeadersTooLarge are a head beyond its [Limits].
	URITooLong
	HeadersTooLarge
	// Version is a WebSocket version other than 13.
	Version
	// HTTPVersion is an HTTP version other than 1.1.
	HTTPVersion
	// AddressLimit and UserLimit are more than one address or user may have.
	AddressLimit
	UserLimit
	// AddressRate is more handshakes than one address may make in a second.
	AddressRate
	// Full is the cap of connections reached.
	Full
	// Draining is a node that is about to stop.
	Draining
	// Rate is more handshakes than the node takes in a second.
	Rate
	// AuthBusy is more tokens waiting for their check than may wait.
	AuthBusy
	// AuthUnavailable is a token that could not be checked because no keys are there.
	AuthUnavailable
	// Memory is a node above its memory mark.
	Memory
	numRefusals
)

// refusals has what is said for each. A body is for a person who looks at what a tool printed; a browser shows none.
var refusals = [numRefusals]struct {
	word   string
	status int
	// header is sent besides those that all have.
	header string
	retry  bool
	body   string
}{
	Accepted:        {word: "accepted", status: 101},
	Malformed:       {word: "malformed", status: 400, body: "The request is malformed."},
	NotUpgrade:      {word: "not_upgrade", status: 400, body: "This address speaks WebSocket only."},
	TwoTokens:       {word: "two_tokens", status: 400, body: "The request has more than one token."},
	Token:           {word: "token", status: 401, header: "WWW-Authenticate: Bearer\r\n", body: "A valid token is required."},
	Origin:          {word: "origin", status: 403, body: "This origin is not allowed."},
	Room:            {word: "room", status: 403, body: "A requested room is not allowed."},
	Path:            {word: "path", status: 404, body: "There is nothing at this path."},
	Method:          {word: "method", status: 405, header: "Allow: GET\r\n", body: "Only GET is allowed."},
	TooSlow:         {word: "too_slow", status: 408, body: "The handshake took too long."},
	URITooLong:      {word: "uri_too_long", status: 414, body: "The request target is too long."},
	HeadersTooLarge: {word: "headers_too_large", status: 431, body: "The request headers are too large."},
	// RFC 9110 wants Upgrade in a 426, and Connection to name it; close stays a line of its own.
	Version: {word: "version", status: 426, header: "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
		body: "Only WebSocket version 13 is spoken here."},
	HTTPVersion:     {word: "http_version", status: 505, body: "Only HTTP/1.1 is spoken here."},
	AddressLimit:    {word: "address_limit", status: 429, retry: true, body: "This address has too many connections."},
	UserLimit:       {word: "user_limit", status: 429, retry: true, body: "This user has too many connections."},
	AddressRate:     {word: "address_rate", status: 429, retry: true, body: "This address is opening connections too fast."},
	Full:            {word: "full", status: 503, retry: true, body: "The server is full."},
	Draining:        {word: "draining", status: 503, retry: true, body: "The server is about to stop."},
	Rate:            {word: "rate", status: 503, retry: true, body: "The server is taking no more connections this second."},
	AuthBusy:        {word: "auth_busy", status: 503, retry: true, body: "The server is busy checking tokens."},
	AuthUnavailable: {word: "auth_unavailable", status: 503, retry: true, body: "The server cannot check tokens now."},
	Memory:          {word: "memory", status: 503, retry: true, body: "The server is low on memory."},
}

// Refusals lists all refusals, for a metric that wants a series for each from the start.
func Refusals() []Refusal {
	all := make([]Refusal, 0, numRefusals-1)
	for f := Accepted + 1; f < numRefusals; f++ {
		all = append(all, f)
	}
	return all
}

// String is the word for logs and metrics.
func (f Refusal) String() string { return refusals[f.known()].word }

// Status is the HTTP status of the answer; 101 for Accepted.
func (f Refusal) Status() int { return refusals[f.known()].status }

// known maps what is not on the list to Malformed, so that no value of the type is without an answer.
func (f Refusal) known() Refusal {
	if f >= numRefusals {
		return Malformed
	}
	return f
}

const (
	retryAfterHeader = "Retry-After: "
	minRetryAfter    = 1
)

// answers holds the answers; that of a refusal with Retry-After lacks this header, which goes in at the end of
// start.
var answers = buildAnswers()

type answer struct{ start, end string }

func buildAnswers() (all [numRefusals]answer) {
	for f := Accepted + 1; f < numRefusals; f++ {
		r := refusals[f]
		whole := string(appendAnswer(nil, r.status, r.header, r.body+"\n"))
		cut := len(whole)
		if r.retry {
			cut -= len(r.body+"\n") + len("\r\n")
		}
		all[f] = answer{whole[:cut], whole[cut:]}
	}
	return all
}

// Append appends the whole answer to dst, after which the connection is to be closed: one fixed sentence, nothing of
// the request. Those of status 429 and 503 say Retry-After in seconds, at least 1; others leave retryAfter out.
// It does not allocate if dst has room (400 bytes are plenty). Accepted appends nothing.
func (f Refusal) Append(dst []byte, retryAfter int) []byte {
	f = f.known()
	dst = append(dst, answers[f].start...)
	if refusals[f].retry {
		dst = append(dst, retryAfterHeader...)
		dst = strconv.AppendInt(dst, int64(max(retryAfter, minRetryAfter)), 10)
		dst = append(dst, "\r\n"...)
	}
	return append(dst, answers[f].end...)
}

// AppendHead is Append for a request whose method was HEAD: no body, nor a word about its length (RFC 9110 section
// 9.3.2).
func (f Refusal) AppendHead(dst []byte, retryAfter int) []byte {
	r := &refusals[f.known()]
	dst = appendStatus(dst, r.status)
	dst = append(dst, r.header...)
	if r.retry {
		dst = append(dst, retryAfterHeader...)
		dst = strconv.AppendInt(dst, int64(max(retryAfter, minRetryAfter)), 10)
		dst = append(dst, "\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// AppendText appends a plain-text answer to a plain GET (/healthz, /readyz) to dst; the connection is to be closed
// after it. The body is the caller's own text, never the request's.
func AppendText(dst []byte, status int, body string) []byte {
	return appendAnswer(dst, status, "", body)
}

// appendAnswer writes every answer but the 101. No cache may keep one: the next request may be let in.
func appendAnswer(dst []byte, status int, header, body string) []byte {
	dst = appendStatus(dst, status)
	dst = append(dst, "Content-Type: text/plain; charset=utf-8\r\nContent-Length: "...)
	dst = strconv.AppendInt(dst, int64(len(body)), 10)
	dst = append(dst, "\r\n"...)
	dst = append(dst, header...)
	dst = append(dst, "\r\n"...)
	return append(dst, body...)
}

// appendStatus writes what all answers begin with.
func appendStatus(dst []byte, status int) []byte {
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(dst, ' ')
	dst = append(dst, reason(status)...)
	return append(dst, "\r\nConnection: close\r\nCache-Control: no-store\r\n"...)
}

// reason is the reason phrase. net/http has them all and a server with them, which has no business here.
func reason(status int) string {
	switch status {
	case 200:
		return "OK"
	case 400:
		return "Bad Request"
	case 401:
		return "Unauthorized"
	case 403:
		return "Forbidden"
	case 404:
		return "Not Found"
	case 405:
		return "Method Not Allowed"
	case 408:
		return "Request Timeout"
	case 414:
		return "URI Too Long"
	case 426:
		return "Upgrade Required"
	case 429:
		return "Too Many Requests"
	case 431:
		return "Request Header Fields Too Large"
	case 503:
		return "Service Unavailable"
	case 505:
		return "HTTP Version Not Supported"
	}
	return "" // the phrase may be empty, the space before it may not (RFC 9112 section 4)
}
