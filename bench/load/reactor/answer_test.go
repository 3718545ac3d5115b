package reactor

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/bench"
)

// The key and the answer to it that RFC 6455 has as its example, in section 1.3.
const rfcKey, rfcAccept = "dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

const goodAnswer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + rfcAccept + "\r\n"

func TestAccept(t *testing.T) {
	if got := string(appendAccept(nil, []byte(rfcKey))); got != rfcAccept {
		t.Errorf("the RFC's key is answered with %q", got)
	}
	one, same, other := appendKey(nil, 1, 2), appendKey(nil, 1, 2), appendKey(nil, 1, 3)
	if len(one) != keySize || !bytes.Equal(one, same) || bytes.Equal(one, other) {
		t.Errorf("keys %q, %q and %q", one, same, other)
	}
}

func TestRequest(t *testing.T) {
	target := &bench.Target{Path: "/ws?room={room}", Headers: []string{"X-Number: {i}"}, Subprotocols: []string{"roost.v1", "token.{token}"},
		Tokens: []string{"t0", "t1"}, Rooms: 2}
	r, n := newRequest(target), newNames(target, nil, 0)
	want := "GET /ws?room=r1 HTTP/1.1\r\nHost: 127.0.0.1:80\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: KEY\r\nSec-WebSocket-Protocol: roost.v1, token.t1\r\nX-Number: 5\r\n\r\n"
	if got := string(r.append(nil, &n, 5, "127.0.0.1:80", []byte("KEY"))); got != want {
		t.Errorf("request\n%q, want\n%q", got, want)
	}
	target.Host = "example.org"
	if r := newRequest(target); !strings.Contains(string(r.append(nil, &n, 5, "127.0.0.1:80", nil)), "Host: example.org\r\n") {
		t.Error("the host was not taken")
	}
}

func TestAnswer(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		status     int // 0: malformed
		opens      bool
		retry      time.Duration
	}{
		{"as it should be", goodAnswer + "\r\n", 101, true, 0},
		{"cases and lists", "HTTP/1.1 101 \r\nupgrade: WebSocket\r\nconnection: keep-alive, upgrade\r\nsec-websocket-accept:" + rfcAccept + "\r\n\r\n", 101, true, 0},
		{"chosen subprotocol", goodAnswer + "Sec-WebSocket-Protocol: b\r\n\r\n", 101, true, 0},
		{"subprotocol nobody offered", goodAnswer + "Sec-WebSocket-Protocol: c\r\n\r\n", 101, false, 0},
		{"subprotocol in another case", goodAnswer + "Sec-WebSocket-Protocol: B\r\n\r\n", 101, false, 0},
		{"empty subprotocol", goodAnswer + "Sec-WebSocket-Protocol:\r\n\r\n", 101, false, 0},
		{"two subprotocols", goodAnswer + "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b\r\n\r\n", 0, false, 0},
		{"extension nobody offered", goodAnswer + "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n", 101, false, 0},
		{"wrong accept", strings.Replace(goodAnswer, "s3p", "S3p", 1) + "\r\n", 101, false, 0},
		{"accepted twice", goodAnswer + "Sec-WebSocket-Accept: x\r\n\r\n", 0, false, 0},
		{"no accept", "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", 101, false, 0},
		{"no upgrade", "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + rfcAccept + "\r\n\r\n", 101, false, 0},
		{"refused", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", 403, false, 0},
		{"refused for a time", "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\n\r\n", 503, false, 7 * time.Second},
		{"refused until a date", "HTTP/1.1 503 x\r\nRetry-After: Wed, 21 Oct 2026 07:28:00 GMT\r\n\r\n", 503, false, 0},
		{"no reason", "HTTP/1.1 429\r\n\r\n", 429, false, 0},
		{"other protocol", "SSH-2.0-x\r\n\r\n", 0, false, 0},
		{"other version", "HTTP/1.0 101 x\r\n\r\n", 0, false, 0},
		{"no status", "HTTP/1.1 abc\r\n\r\n", 0, false, 0},
		{"long status", "HTTP/1.1 2000\r\n\r\n", 0, false, 0},
		{"no colon", "HTTP/1.1 200 x\r\nheader\r\n\r\n", 0, false, 0},
		{"no name", "HTTP/1.1 200 x\r\n: x\r\n\r\n", 0, false, 0},
		{"endless", "HTTP/1.1 200 x\r\nX: " + strings.Repeat("x", mostHead), 0, false, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, size, err := parseAnswer([]byte(tc.text + "rest")[:len(tc.text)])
			if tc.status == 0 {
				if err == nil {
					t.Fatalf("taken as %+v", a)
				}
				return
			}
			if err != nil || size != len(tc.text) || a.status != tc.status || a.retryAfter != tc.retry {
				t.Fatalf("error %v, %d of %d bytes, %+v", err, size, len(tc.text), a)
			}
			if got := a.status == 101 && a.opens([]byte(rfcKey), []byte("a, b")); got != tc.opens {
				t.Errorf("opens: %v", got)
			}
		})
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(goodAnswer + "\r\n\x81\x00"))
	f.Add([]byte("HTTP/1.1 503 x\r\nRetry-After: 7\r\n\r\n"))
	f.Fuzz(func(t *testing.T, p []byte) {
		a, size, err := parseAnswer(p)
		if err == nil && size > 0 {
			a.opens([]byte(rfcKey), []byte("a, b"))
		}
		// What came in pieces has the same verdict at the same byte or an earlier one.
		for n := range p {
			b, size2, err2 := parseAnswer(p[:n])
			switch {
			case err2 != nil && err == nil:
				t.Fatalf("the first %d bytes are malformed, all %d are not", n, len(p))
			case size2 > 0 && (size2 != size || b.status != a.status || b.retryAfter != a.retryAfter):
				t.Fatalf("%+v after %d bytes, %+v after all", b, n, a)
			}
		}
	})
}
