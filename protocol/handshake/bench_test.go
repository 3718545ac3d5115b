package handshake

import "testing"

// browserHead is what a current browser sends through a balancer.
const browserHead = "GET /ws?room=chat.lobby&attempt=0 HTTP/1.1\r\n" +
	"Host: chat.example.com\r\n" +
	"Connection: Upgrade\r\n" +
	"Pragma: no-cache\r\n" +
	"Cache-Control: no-cache\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n" +
	"Upgrade: websocket\r\n" +
	"Origin: https://app.example.com\r\n" +
	"Sec-WebSocket-Version: 13\r\n" +
	"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
	"Accept-Language: en-US,en;q=0.9\r\n" +
	"Sec-WebSocket-Key: " + key + "\r\n" +
	"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" +
	"Sec-WebSocket-Protocol: roost.v1, token.eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJ1c2VyLTEiLCJleHAiOjE5MDAwMDAwMDAsInJvb21zIjpbIioqIl19.3q2-7wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\r\n" +
	"X-Forwarded-For: 192.0.2.7\r\n\r\n"

// open is what a loop does for one good handshake, the verification of the token aside.
func open(r *Request, lim *Limits, policy *OriginPolicy, head, dst, scratch []byte) ([]byte, bool) {
	r.Reset()
	if n, _ := r.Parse(head, lim); n != len(head) {
		return nil, false
	}
	if r.CheckUpgrade() != Accepted || !policy.AllowsRequest(r) {
		return nil, false
	}
	offer, refusal := r.Offer(true)
	if refusal != Accepted {
		return nil, false
	}
	rooms := 0
	for room := range r.Rooms(scratch) {
		rooms += len(room)
	}
	for walk := r.ForwardedFor(); walk.Prev() != nil; {
	}
	_, attempts := r.QueryValue("attempt")
	if r.Extensions(scratch) == nil || rooms == 0 || attempts != 1 {
		return nil, false
	}
	return AppendSwitching(dst[:0], r.Key, offer.Echo, nil), true
}

func TestOpenDoesNotAllocate(t *testing.T) {
	lim := DefaultLimits()
	policy, err := NewOriginPolicy([]string{"https://*.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	var r Request
	head, dst, scratch := []byte(browserHead), make([]byte, 0, 512), make([]byte, 0, 128)
	if allocs := testing.AllocsPerRun(100, func() {
		if _, ok := open(&r, &lim, policy, head, dst, scratch); !ok {
			t.Fatal("refused")
		}
	}); allocs != 0 {
		t.Errorf("a handshake allocates %v times", allocs)
	}
	if allocs := testing.AllocsPerRun(100, func() {
		for _, f := range [...]Refusal{Malformed, Version, Full} {
			dst = f.Append(dst[:0], 30)
		}
		dst = AppendText(dst[:0], 200, "ok\n")
	}); allocs != 0 {
		t.Errorf("refusals allocate %v times", allocs)
	}
}

// The figures are for heads that are in the cache; on a busy loop each comes cold from the socket.

func BenchmarkParse(b *testing.B) {
	lim := DefaultLimits()
	var r Request
	head := []byte(browserHead)
	b.SetBytes(int64(len(head)))
	b.ReportAllocs()
	for b.Loop() {
		r.Reset()
		if n, _ := r.Parse(head, &lim); n == 0 {
			b.Fatal("refused")
		}
	}
}

// BenchmarkParseBare has the head of a client that is no browser.
func BenchmarkParseBare(b *testing.B) {
	lim := DefaultLimits()
	var r Request
	head := []byte(get("/ws"))
	b.SetBytes(int64(len(head)))
	b.ReportAllocs()
	for b.Loop() {
		r.Reset()
		if n, _ := r.Parse(head, &lim); n == 0 {
			b.Fatal("refused")
		}
	}
}

// BenchmarkOpen is the whole way from bytes to the 101.
func BenchmarkOpen(b *testing.B) {
	lim := DefaultLimits()
	policy, err := NewOriginPolicy([]string{"https://*.example.com"})
	if err != nil {
		b.Fatal(err)
	}
	var r Request
	head, dst, scratch := []byte(browserHead), make([]byte, 0, 512), make([]byte, 0, 128)
	b.ReportAllocs()
	for b.Loop() {
		if _, ok := open(&r, &lim, policy, head, dst, scratch); !ok {
			b.Fatal("refused")
		}
	}
}

// BenchmarkParseDrop feeds the head byte by byte, the worst that a slow sender can make the parser do.
func BenchmarkParseDrop(b *testing.B) {
	lim := DefaultLimits()
	var r Request
	head := []byte(browserHead)
	for b.Loop() {
		r.Reset()
		for i := range head {
			r.Parse(head[:i+1], &lim)
		}
	}
}

// BenchmarkParseRooms has as many rooms as a query may have, which are compared with each other.
func BenchmarkParseRooms(b *testing.B) {
	lim := DefaultLimits()
	target := []byte("/ws?")
	for i := range maxQueryParams {
		target = append(target, "room="...)
		target = append(target, 'a'+byte(i/16), 'a'+byte(i%16), '&')
	}
	var r Request
	head := []byte(get(string(target[:len(target)-1])))
	b.ReportAllocs()
	for b.Loop() {
		r.Reset()
		if n, _ := r.Parse(head, &lim); n == 0 {
			b.Fatal("refused")
		}
	}
}

func BenchmarkAppendSwitching(b *testing.B) {
	dst := make([]byte, 0, 512)
	b.ReportAllocs()
	for b.Loop() {
		dst = AppendSwitching(dst[:0], []byte(key), []byte(Subprotocol), nil)
	}
}
