package engine

// Hostile handshakes on real sockets: what each is answered, how it is cut into segments notwithstanding.

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/protocol/handshake"
)

const (
	sampleKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	upgradeLines = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " + sampleKey + "\r\nSec-WebSocket-Version: 13\r\n"
	hostLine     = "Host: roost.example\r\n"
	goodHead     = "GET /ws HTTP/1.1\r\n" + hostLine + upgradeLines + "\r\n"
)

// with is a good request with more header lines.
func with(lines string) string {
	return strings.TrimSuffix(goodHead, "\r\n") + lines + "\r\n"
}

// swapped is a good request with a part of it replaced.
func swapped(old, new string) string {
	if !strings.Contains(goodHead, old) {
		panic("no " + old + " in the request")
	}
	return strings.Replace(goodHead, old, new, 1)
}

// target is a good request for another target.
func targeting(target string) string { return swapped("GET /ws ", "GET "+target+" ") }

// hostileHeads are requests and what they deserve. The names begin with the attack's number in the list of
// attacks that the project keeps.
var hostileHeads = []struct {
	name   string
	head   string
	status int
	reason handshake.Refusal
	header string // that the answer must have, "Name: value"
}{
	{"A1 POST", swapped("GET", "POST"), 405, handshake.Method, "Allow: GET"},
	{"A1 PUT", swapped("GET", "PUT"), 405, handshake.Method, "Allow: GET"},
	{"A1 HEAD", swapped("GET", "HEAD"), 405, handshake.Method, "Allow: GET"},
	{"A1 HEAD of a health check", "HEAD /healthz HTTP/1.1\r\nHost: h\r\n\r\n", 405, handshake.Method, "Allow: GET"},
	{"A2 HTTP/1.0", swapped("HTTP/1.1", "HTTP/1.0"), 505, handshake.HTTPVersion, ""},
	{"A2 HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, handshake.Malformed, ""},
	{"A2 HTTP/0.9", "GET /ws\r\n\r\n", 400, handshake.Malformed, ""},
	{"A2 TLS client hello", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, handshake.Malformed, ""},
	{"A3 no Host", swapped(hostLine, ""), 400, handshake.Malformed, ""},
	{"A3 two Hosts", with(hostLine), 400, handshake.Malformed, ""},
	{"A3 Host with userinfo", swapped("roost.example", "u@roost.example"), 400, handshake.Malformed, ""},
	{"A3 Host with space", swapped("roost.example", "roost example"), 400, handshake.Malformed, ""},
	{"A3 Host with NUL", swapped("roost.example", "roost\x00example"), 400, handshake.Malformed, ""},
	{"A4 Content-Length", with("Content-Length: 5\r\n") + "hello", 400, handshake.Malformed, ""},
	{"A4 two Content-Lengths", with("Content-Length: 0\r\nContent-Length: 0\r\n"), 400, handshake.Malformed, ""},
	{"A5 Transfer-Encoding", with("Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", 400, handshake.Malformed, ""},
	{"A5 Transfer-Encoding and Content-Length", with("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"), 400, handshake.Malformed, ""},
	{"A5 Transfer-Encoding in odd case", with("tRANSFER-eNCODING:\tChunked \r\n"), 400, handshake.Malformed, ""},
	{"A5 Transfer-Encoding before a space", with("Transfer-Encoding : chunked\r\n"), 400, handshake.Malformed, ""},
	{"A6 bare LF", strings.ReplaceAll(goodHead, "\r\n", "\n"), 400, handshake.Malformed, ""},
	{"A6 one bare LF", with("X: y\nZ: w\r\n"), 400, handshake.Malformed, ""},
	{"A6 CR without LF", with("X: y\rZ: w\r\n"), 400, handshake.Malformed, ""},
	{"A6 NUL", with("X: \x00\r\n"), 400, handshake.Malformed, ""},
	{"A6 folded line", with("X: a\r\n b\r\n"), 400, handshake.Malformed, ""},
	{"A6 space before the colon", with("X : a\r\n"), 400, handshake.Malformed, ""},
	{"A6 control in a name", with("X\x01: a\r\n"), 400, handshake.Malformed, ""},
	{"A6 UTF-8 in a name", with("X\u00e9: a\r\n"), 400, handshake.Malformed, ""},
	{"A7 version 12", swapped("Version: 13", "Version: 12") + goodHead, 426, handshake.Version, "Sec-WebSocket-Version: 13"},
	{"A7 versions 13 and 12", swapped("Version: 13", "Version: 13, 12") + goodHead, 426, handshake.Version, "Sec-WebSocket-Version: 13"},
	{"A7 version with a space", swapped("Version: 13", "Version: 13 ") + goodHead, 426, handshake.Version, "Sec-WebSocket-Version: 13"},
	{"A7 no version", swapped("Sec-WebSocket-Version: 13\r\n", "") + goodHead, 400, handshake.Malformed, ""},
	{"A8 refused with a second request behind it", with("Origin: https://evil.example\r\n") + goodHead, 403, handshake.Origin, ""},
	{"A8 not an upgrade with a second request behind it", "GET /ws HTTP/1.1\r\nHost: h\r\n\r\n" + goodHead, 400, handshake.NotUpgrade, ""},
	{"A9 65 headers", with(strings.Repeat("X: y\r\n", 60)), 431, handshake.HeadersTooLarge, ""},
	{"A9 1,000 headers", with(strings.Repeat("X: y\r\n", 1000)), 431, handshake.HeadersTooLarge, ""},
	{"A9 10,000 headers", with(strings.Repeat("X: y\r\n", 10000)), 431, handshake.HeadersTooLarge, ""},
	{"A10 request line of more than 8 KiB", targeting("/" + strings.Repeat("a", 8<<10)), 414, handshake.URITooLong, ""},
	{"A10 request line of 1 MiB", targeting("/" + strings.Repeat("a", 1<<20)), 414, handshake.URITooLong, ""},
	{"A10 header of more than 8 KiB", with("X: " + strings.Repeat("a", 8<<10) + "\r\n"), 431, handshake.HeadersTooLarge, ""},
	{"A10 header of 1 MiB", with("X: " + strings.Repeat("a", 1<<20) + "\r\n"), 431, handshake.HeadersTooLarge, ""},
	{"A10 head of more than 16 KiB", with("X: " + strings.Repeat("a", 8000) + "\r\nY: " + strings.Repeat("a", 8000) + "\r\nZ: " + strings.Repeat("a", 800) + "\r\n"),
		431, handshake.HeadersTooLarge, ""},
	{"A14 absolute form", targeting("http://roost.example/ws"), 400, handshake.Malformed, ""},
	{"A14 star", targeting("*"), 400, handshake.Malformed, ""},
	{"A14 encoded NUL", targeting("/raw/a%00b"), 400, handshake.Malformed, ""},
	{"A14 dots", targeting("/ws/../healthz"), 400, handshake.Malformed, ""},
	{"A14 10,000 parameters", targeting("/ws?" + strings.Repeat("a&", 10000)), 414, handshake.URITooLong, ""},
	{"A14 300 parameters", targeting("/ws?" + strings.Repeat("a&", 300)), 400, handshake.Malformed, ""},
	{"A14 a room twice", targeting("/ws?room=a&room=b&room=%61"), 400, handshake.Malformed, ""},
	{"A14 attempt twice", targeting("/ws?attempt=1&attempt=2"), 400, handshake.Malformed, ""},
	{"A14 a bad room", targeting("/ws?room=a%2Fb"), 400, handshake.Malformed, ""},
	{"A14 a broken escape", targeting("/ws?room=%2"), 400, handshake.Malformed, ""},
	{"A15 no key", swapped("Sec-WebSocket-Key: "+sampleKey+"\r\n", ""), 400, handshake.Malformed, ""},
	{"A15 two keys", with("Sec-WebSocket-Key: " + sampleKey + "\r\n"), 400, handshake.Malformed, ""},
	{"A15 23 letters", swapped(sampleKey, sampleKey[1:]), 400, handshake.Malformed, ""},
	{"A15 25 letters", swapped(sampleKey, "A"+sampleKey), 400, handshake.Malformed, ""},
	{"A15 not base64", swapped(sampleKey, "dGhl!HNhbXBsZSBub25jZQ=="), 400, handshake.Malformed, ""},
	{"A15 15 bytes", swapped(sampleKey, "AAAAAAAAAAAAAAAAAAAA===="), 400, handshake.Malformed, ""},
	{"A26 markup in the path", targeting("/<script>alert(1)</script>"), 400, handshake.Malformed, ""},
	{"A26 space in a subprotocol", with("Sec-WebSocket-Protocol: roost v1\r\n"), 400, handshake.Malformed, ""},
	{"A26 markup in a subprotocol", with("Sec-WebSocket-Protocol: <script>\r\n"), 400, handshake.Malformed, ""},
	{"a room's name with a slash", targeting("/raw/a/b"), 404, handshake.Path, ""},
	{"a raw path without a room", targeting("/raw/"), 404, handshake.Path, ""},
	{"a room's name that is too long", targeting("/raw/" + strings.Repeat("a", 129)), 404, handshake.Path, ""},
	{"the operator's page", targeting("/metrics"), 404, handshake.Path, ""},
}

// segmentation is a way to send bytes.
type segmentation struct {
	name string
	send func(t *testing.T, s *Server, c *enginetest.Client, b []byte)
}

var segmentations = []segmentation{
	{"whole", func(_ *testing.T, _ *Server, c *enginetest.Client, b []byte) { c.SendRaw(b) }},
	{"halves", func(t *testing.T, s *Server, c *enginetest.Client, b []byte) {
		c.SendRaw(b[:len(b)/2])
		round(t, s)
		c.SendRaw(b[len(b)/2:])
	}},
	{"bytes", func(_ *testing.T, _ *Server, c *enginetest.Client, b []byte) {
		// What is this long has been refused by then.
		for i := range b[:min(len(b), 18<<10)] {
			c.SendRaw(b[i : i+1])
		}
	}},
}

func TestHostileHandshakes(t *testing.T) {
	s, addr := serve(t, nil)
	other := newBystander(t, addr, enginetest.Options{})
	for _, tc := range hostileHeads {
		t.Run(tc.name, func(t *testing.T) {
			before := scrape(s)
			for _, seg := range segmentations {
				c := enrolled(t, s, addr, enginetest.Options{})
				seg.send(t, s, c, []byte(tc.head))
				a := c.ReadHTTP()
				if a.Status != tc.status {
					t.Fatalf("%s: status %d, want %d", seg.name, a.Status, tc.status)
				}
				if a.End != enginetest.EndFIN && len(tc.head) < 16<<10 {
					t.Errorf("%s: ended with %s", seg.name, a.End)
				}
				mustBeFixed(t, a, tc.header)
				c.Close()
			}
			grew(t, s, before, float64(len(segmentations)), refusedSeries(tc.reason.String()))
			grew(t, s, before, float64(len(segmentations)), closedSeries("refused"))
			other.mustBeServed()
		})
	}
	other.client.Close()
	mustBeEmpty(t, s)
}

// mustBeFixed checks what every refusal has in common.
func mustBeFixed(t *testing.T, a *enginetest.Answer, header string) {
	t.Helper()
	if header != "" {
		name, value, _ := strings.Cut(header, ": ")
		if got := a.Header.Get(name); got != value {
			t.Errorf("%s is %q, want %q", name, got, value)
		}
	}
	closes := false
	for _, v := range a.Header.Values("Connection") {
		closes = closes || strings.EqualFold(v, "close")
	}
	if !closes {
		t.Errorf("answer %d does not say that it closes: %v", a.Status, a.Header)
	}
	if (a.Status == 429 || a.Status == 503) != (a.Header.Get("Retry-After") != "") {
		t.Errorf("answer %d with Retry-After %q", a.Status, a.Header.Get("Retry-After"))
	}
	if whole := fmt.Sprint(a.Header, string(a.Body)); strings.ContainsAny(whole, "<>") || strings.Contains(whole, "roost.example") {
		t.Errorf("answer reflects the request: %s", whole)
	}
}

// TestEndlessHead: memory does not follow a head that never ends (A10).
func TestEndlessHead(t *testing.T) {
	s, addr := serve(t, nil)
	other := newBystander(t, addr, enginetest.Options{})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c := enginetest.DialRaw(t, addr, enginetest.Options{})
	c.SendRaw([]byte("GET /ws HTTP/1.1\r\nX: "))
	piece := []byte(strings.Repeat("a", 64<<10))
	for range 128 {
		c.SendRaw(piece)
	}
	if a := c.ReadHTTP(); a.Status != 431 {
		t.Fatalf("status %d", a.Status)
	}
	runtime.ReadMemStats(&after)
	if grown := int64(after.TotalAlloc) - int64(before.TotalAlloc); grown > 4<<20 {
		t.Errorf("8 MiB of head made %d bytes of garbage", grown)
	}
	settles(t, s, 0, "roost_buffers_in_use")
	other.mustBeServed()
}

// TestOrigins is A17 to A19 on a list.
func TestOrigins(t *testing.T) {
	policy, err := handshake.NewOriginPolicy([]string{"https://good.example", "https://*.wild.example",
		"https://port.example:8443", "https://xn--bcher-kva.example"})
	if err != nil {
		t.Fatal(err)
	}
	s, addr := serve(t, func(o *Options) { o.Origins = policy })
	other := newBystander(t, addr, enginetest.Options{})
	const browser = "User-Agent: Mozilla/5.0 (X11)\r\n"
	for _, tc := range []struct {
		name, lines string
		ok          bool
	}{
		{"exact", "Origin: https://good.example\r\n", true},
		{"upper case", "Origin: HTTPS://GOOD.example\r\n", true},
		{"default port written", "Origin: https://good.example:443\r\n", true},
		{"another port", "Origin: https://good.example:444\r\n", false},
		{"http for https", "Origin: http://good.example\r\n", false},
		{"trailing dot", "Origin: https://good.example.\r\n", false},
		{"good name first", "Origin: https://good.example.evil.com\r\n", false},
		{"good name last", "Origin: https://evil-good.example\r\n", false},
		{"userinfo", "Origin: https://good.example@evil.com\r\n", false},
		{"path", "Origin: https://good.example/\r\n", false},
		{"below the wildcard", "Origin: https://a.b.wild.example\r\n", true},
		{"the wildcard itself", "Origin: https://wild.example\r\n", false},
		{"beside the wildcard", "Origin: https://evilwild.example\r\n", false},
		{"listed port", "Origin: https://port.example:8443\r\n", true},
		{"without the listed port", "Origin: https://port.example\r\n", false},
		{"punycode", "Origin: https://xn--bcher-kva.example\r\n", true},
		{"UTF-8", "Origin: https://b\u00fccher.example\r\n", false},
		{"null", "Origin: null\r\n", false},
		{"empty", "Origin:\r\n", false},
		{"none", "", true},
		{"none from a browser", browser, false},
		{"exact from a browser", browser + "Origin: https://good.example\r\n", true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := scrape(s)
			c := enginetest.DialRaw(t, addr, enginetest.Options{})
			c.SendRaw([]byte(with(tc.lines)))
			if tc.ok {
				grew(t, s, before, 1, "roost_handshakes_total")
			} else {
				if a := c.ReadHTTP(); a.Status != 403 {
					t.Errorf("status %d, want 403", a.Status)
				}
				grew(t, s, before, 1, refusedSeries("origin"))
			}
			other.mustBeServed()
		})
	}
	// A second Origin is no list.
	if a := ask(t, addr, with("Origin: https://good.example\r\nOrigin: https://good.example\r\n")); a.Status != 400 {
		t.Errorf("two origins: status %d", a.Status)
	}
}

// ask sends a whole request and reads a whole answer that is no 101.
func ask(t testing.TB, addr, request string) *enginetest.Answer {
	t.Helper()
	c := enginetest.DialRaw(t, addr, enginetest.Options{})
	defer c.Close()
	c.SendRaw([]byte(request))
	return c.ReadHTTP()
}

// TestSplitHandshake: wherever a handshake with frames behind it is cut, it is answered in the same way, and each
// frame exactly once (A20, A21).
func TestSplitHandshake(t *testing.T) {
	s, addr := serve(t, nil)
	head := swapped("/ws", "/raw/split")
	stream := []byte(head)
	stream = append(stream, enginetest.TextFrame([]byte("one"))...)
	stream = append(stream, enginetest.TextFrame([]byte("two"))...)
	step := 1
	if testing.Short() {
		step = 7
	}
	for at := 0; at < len(stream); at += step {
		c := enrolled(t, s, addr, enginetest.Options{})
		answer := readSplit(t, s, c, stream, at)
		if answer != "one two" {
			t.Fatalf("cut at %d of %d: %q", at, len(stream), answer)
		}
		c.Close()
	}
	settles(t, s, 0, "roost_buffers_in_use")
}

// readSplit sends a stream in two pieces and returns the messages that come back.
func readSplit(t *testing.T, s *Server, c *enginetest.Client, stream []byte, at int) string {
	t.Helper()
	c.SendRaw(stream[:at])
	if at > 0 {
		round(t, s)
	}
	c.SendRaw(stream[at:])
	awaitUpgrade(t, c)
	_, one := c.ReadMessage()
	_, two := c.ReadMessage()
	c.ExpectNothing()
	return string(one) + " " + string(two)
}

// TestPlainRequests are the two pages of the client's port.
func TestPlainRequests(t *testing.T) {
	_, addr := serve(t, nil)
	for _, tc := range []struct {
		request string
		status  int
		body    string
	}{
		{"GET /healthz HTTP/1.1\r\nHost: h\r\n\r\n", 200, "ok\n"},
		{"GET /healthz?verbose HTTP/1.1\r\nHost: h\r\n\r\n", 200, "ok\n"},
		{"GET /readyz HTTP/1.1\r\nHost: h\r\n\r\n", 200, "ready\n"},
		{"GET /healthz/ HTTP/1.1\r\nHost: h\r\n\r\n", 404, ""},
	} {
		a := ask(t, addr, tc.request)
		if a.Status != tc.status || tc.body != "" && string(a.Body) != tc.body {
			t.Errorf("%q: %d %q", tc.request, a.Status, a.Body)
		}
	}
}

// TestSlowHandshakes: who takes too long before the 101 is told so, and who says nothing just goes (A11).
func TestSlowHandshakes(t *testing.T) {
	t.Parallel()
	const limit = 400 * time.Millisecond
	s, addr := serve(t, func(o *Options) { o.Limits.HandshakeTimeout = limit })
	other := newBystander(t, addr, enginetest.Options{})
	t.Run("head a byte at a time", func(t *testing.T) {
		before := scrape(s)
		c := enginetest.DialRaw(t, addr, enginetest.Options{})
		began := time.Now()
		drip := time.NewTicker(50 * time.Millisecond)
		defer drip.Stop()
		for i := 0; time.Since(began) < limit+300*time.Millisecond; i++ {
			c.SendRaw([]byte(goodHead[i : i+1]))
			<-drip.C
		}
		if a := c.ReadHTTP(); a.Status != 408 {
			t.Errorf("status %d, want 408", a.Status)
		}
		grew(t, s, before, 1, refusedSeries("too_slow"))
		grew(t, s, before, 1, closedSeries("handshake_timeout"))
	})
	t.Run("says nothing", func(t *testing.T) {
		before := scrape(s)
		began := time.Now()
		c := enginetest.DialRaw(t, addr, enginetest.Options{})
		c.ExpectEnd()
		if took := time.Since(began); took < limit-tickEvery || took > limit+time.Second {
			t.Errorf("closed after %v, want %v and little more", took, limit)
		}
		grew(t, s, before, 1, refusedSeries("too_slow"))
		grew(t, s, before, 1, closedSeries("handshake_timeout"))
	})
	t.Run("goes in the middle", func(t *testing.T) {
		before := scrape(s)
		c := enrolled(t, s, addr, enginetest.Options{})
		c.SendRaw([]byte(goodHead[:40]))
		round(t, s)
		c.Reset()
		grew(t, s, before, 1, closedSeries("handshake_gone"))
	})
	other.mustBeServed()
	other.client.Close()
	mustBeEmpty(t, s)
}
