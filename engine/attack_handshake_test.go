package engine

// Handshakes beyond those of hostile_test.go: what stands behind a request, what wants to be in its answer, and
// whose handshake it is counted for.

import (
	"fmt"
	"net/http"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/protocol/frame"
)

// bearer is a good request with a token, for a target.
func bearer(target, token string) string {
	return strings.Replace(with("Authorization: Bearer "+token+"\r\n"), "GET /ws ", "GET "+target+" ", 1)
}

const healthCheck = "GET /healthz HTTP/1.1\r\n" + hostLine + "\r\n"

// TestAnswersOnce: whatever a request is answered, and whatever comes behind it, in its segment or later, there is
// one answer and then the end. Who takes the second for the next client's answer has been smuggled one.
func TestAnswersOnce(t *testing.T) {
	g := besiege(t, func(o *Options) {
		verifying(t, o, nil)
		o.Limits.ConnectionsPerUser, o.Limits.Memory = 1, 1<<50
	}, enginetest.Options{Token: enginetest.Token(t, "eve", time.Hour, "**")})
	ada := enginetest.Token(t, "ada", time.Hour, "**")
	held := dialV1(t, g.addr, "/ws", v1As(ada))
	narrow := enginetest.Token(t, "bob", time.Hour, "b")
	refused := func(reason string) string { return refusedSeries(reason) }
	for _, tc := range []struct {
		name, head string
		status     int
		series     string
	}{
		{"A8 400", with("X : y\r\n"), 400, refused("malformed")},
		{"A8 401", goodHead, 401, refused("token")},
		{"A8 403", bearer("/ws?room=a", narrow), 403, refused("room")},
		{"A8 404", targeting("/" + canary), 404, refused("path")},
		{"A8 405", swapped("GET", "POST"), 405, refused("method")},
		{"A8 414", targeting("/" + strings.Repeat("a", 8<<10)), 414, refused("uri_too_long")},
		{"A8 426", swapped("Version: 13", "Version: 14"), 426, refused("version")},
		{"A8 429", bearer("/ws", ada), 429, refused("user_limit")},
		{"A8 431", with("X: " + strings.Repeat("a", 8<<10) + "\r\n"), 431, refused("headers_too_large")},
		{"A8 503", bearer("/ws", narrow), 503, refused("memory")},
		{"A8 505", swapped("HTTP/1.1", "HTTP/1.0"), 505, refused("http_version")},
		{"A31 a health check", healthCheck, 200, closedSeries("normal")},
	} {
		g.attack(t, tc.name, counts{tc.series: 2}, func(t *testing.T) {
			if tc.status == 503 {
				g.server.lookAtMemory(1<<50 + 1)
				defer g.server.lookAtMemory(0)
			}
			behind := goodHead + healthCheck + bearer("/raw/a", narrow) + string(enginetest.TextFrame([]byte(canary)))
			for _, whole := range []bool{true, false} {
				c := enrolled(t, g.server, g.addr, enginetest.Options{})
				if whole {
					c.SendRaw([]byte(tc.head + behind))
				} else {
					c.SendRaw([]byte(tc.head))
					round(t, g.server)
					c.SendRaw([]byte(behind))
				}
				a := c.ReadHTTP() // fails if more comes than one answer
				if a.Status != tc.status || a.End != enginetest.EndFIN {
					t.Errorf("status %d, ended with %s, want %d and fin", a.Status, a.End, tc.status)
				}
				mustBeFixed(t, a, "")
				c.Close()
			}
		})
	}
	held.CloseHandshake(1000)
	g.end()
}

// TestRequestBehindTheSwitch is A32: a proxy that missed the 101 goes on speaking HTTP. It is no frame, and nothing
// of it is answered as HTTP.
func TestRequestBehindTheSwitch(t *testing.T) {
	g := besiege(t, nil, enginetest.Options{})
	for _, method := range []string{"GET", "POST", "PRI"} {
		request := method + " /" + canary + " HTTP/1.1\r\n" + hostLine + "\r\n"
		fault := frame.ErrReservedBits
		g.attack(t, method, once(frameSeries(fault.Reason()), closedSeries("protocol")), func(t *testing.T) {
			c := enginetest.DialRaw(t, g.addr, enginetest.Options{})
			c.SendRaw([]byte(swapped("/ws", "/raw/tunnel") + request))
			awaitUpgrade(t, c)
			if f := c.ReadFrame(); f.Op != ws.OpClose || f.CloseCode() != 1002 {
				t.Errorf("answered with opcode %d %q", f.Op, f.Payload)
			}
			c.ExpectEOF()
		})
	}
	g.end()
}

// TestNothingIsReflected: what a request says is in no answer, neither in a refusal nor in a 101.
func TestNothingIsReflected(t *testing.T) {
	g := besiege(t, func(o *Options) { compressing(o) }, enginetest.Options{})
	subprotocol := func(offered string) string { return with("Sec-WebSocket-Protocol: " + offered + "\r\n") }
	for _, tc := range []struct {
		name, head string
		status     int
		reason     string
	}{
		{"A26 line ends in the path", targeting("/%0d%0aSet-Cookie:%20" + canary), 404, "path"},
		{"A26 line ends in a room", targeting("/ws?room=" + canary + "%0d%0aX:y"), 400, "malformed"},
		{"A26 markup in the query", targeting("/" + canary + "?a=%3cscript%3e"), 404, "path"},
		{"A26 a path like a URL", targeting("//" + canary + ".example/ws"), 404, "path"},
		{"A26 a host", strings.Replace(targeting("/nowhere"), "roost.example", canary, 1), 404, "path"},
		{"A26 an origin", with("Origin: https://" + canary + "\r\n"), 403, "origin"},
		{"A26 a method", swapped("GET", canary), 405, "method"},
		{"A26 a version", swapped("Version: 13", "Version: "+canary), 426, "version"},
		{"A26 a header's name", with(canary + "\x01: x\r\n"), 400, "malformed"},
		{"A26 an upgrade to something else", swapped("Upgrade: websocket", "Upgrade: "+canary), 400, "not_upgrade"},
		{"A26 an unknown subprotocol", subprotocol(canary), 101, ""},
		{"A26 ours among others", subprotocol(canary + ", roost.v1"), 101, ""},
		{"A26 an unknown extension", with("Sec-WebSocket-Extensions: " + canary + "; a=\"" + canary + "\"\r\n"), 101, ""},
		{"A26 an unknown parameter of a known extension", with("Sec-WebSocket-Extensions: permessage-deflate; " + canary + "\r\n"), 101, ""},
	} {
		series := "roost_handshakes_total"
		if tc.status != 101 {
			series = refusedSeries(tc.reason)
		}
		g.attack(t, tc.name, once(series), func(t *testing.T) {
			c := enginetest.DialRaw(t, g.addr, enginetest.Options{})
			c.SendRaw([]byte(tc.head))
			answer := string(readHeadOnly(t, c))
			if !strings.HasPrefix(answer, fmt.Sprintf("HTTP/1.1 %d ", tc.status)) {
				t.Errorf("answered %.60q, want %d", answer, tc.status)
			}
			mustNotTell(t, "the answer", answer)
			if strings.ContainsAny(answer, "<>") {
				t.Errorf("markup in %q", answer)
			}
			c.Reset()
		})
	}
	g.end()
}

// TestUnusualHeads are requests that are legal or nearly so, and that no browser sends.
func TestUnusualHeads(t *testing.T) {
	g := besiege(t, func(o *Options) { o.Limits.RoomsPerConnection = 16 }, enginetest.Options{})
	names := func(n int) string {
		var all []string
		for i := range n {
			all = append(all, fmt.Sprintf("p%d", i))
		}
		return strings.Join(all, ", ")
	}
	rooms := func(n int) string {
		query := "/ws?attempt=0"
		for i := range n {
			query += fmt.Sprintf("&room=r%d", i)
		}
		return query
	}
	const v1Header = "\r\n\r\n\x00\r\nQUIT\n"
	for _, tc := range []struct {
		name, head string
		status     int
		reason     string
	}{
		{"A28 Expect: 100-continue", with("Expect: 100-continue\r\n"), 101, ""},
		{"A28 Expect: something else", with("Expect: " + canary + "\r\n"), 101, ""},
		{"A29 PROXY header of version 1", "PROXY TCP4 192.0.2.7 192.0.2.1 40000 443\r\n" + goodHead, 400, "malformed"},
		{"A29 PROXY header of version 2", v1Header + "\x21\x11\x00\x0cABCDEFGHIJKL" + goodHead, 400, "malformed"},
		{"A29 LOCAL", v1Header + "\x20\x00\x00\x00" + healthCheck, 400, "malformed"},
		{"A30 16 subprotocols", with("Sec-WebSocket-Protocol: " + names(16) + "\r\n"), 101, ""},
		{"A30 17 subprotocols", with("Sec-WebSocket-Protocol: " + names(17) + "\r\n"), 400, "malformed"},
		{"A30 one subprotocol twice", with("Sec-WebSocket-Protocol: a, a\r\n"), 400, "malformed"},
		{"A30 more lists than are kept", with(strings.Repeat("X-Forwarded-For: 192.0.2.1\r\n", 30)), 431, "headers_too_large"},
		{"A33 as many rooms as may be", targeting(rooms(16)), 101, ""},
		{"A33 one room more", targeting(rooms(17)), 400, "malformed"},
		{"a body of nothing", with("Content-Length: 0\r\n"), 101, ""},
		{"other white space", strings.ReplaceAll(goodHead, ": ", ":\t \t"), 101, ""},
		{"no white space", strings.ReplaceAll(goodHead, ": ", ":"), 101, ""},
		{"cookies", with("Cookie: " + strings.Repeat("a="+canary+"; ", 200) + "b=c\r\n"), 101, ""},
	} {
		series := "roost_handshakes_total"
		if tc.status != 101 {
			series = refusedSeries(tc.reason)
		}
		g.attack(t, tc.name, once(series), func(t *testing.T) {
			c := enginetest.DialRaw(t, g.addr, enginetest.Options{})
			c.SendRaw([]byte(tc.head))
			if tc.status != 101 {
				if a := c.ReadHTTP(); a.Status != tc.status {
					t.Errorf("status %d, want %d", a.Status, tc.status)
				}
				return
			}
			awaitUpgrade(t, c) // and nothing ahead of it, no 100 either
			c.ExpectType("welcome")
			c.CloseHandshake(1000)
		})
	}
	g.end()
}

// TestEndlessTarget: memory does not follow a request line that never ends (A10). Headers are in TestEndlessHead.
func TestEndlessTarget(t *testing.T) {
	g := besiege(t, nil, enginetest.Options{})
	g.attack(t, "8 MiB", once(refusedSeries("uri_too_long")), func(t *testing.T) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		c := enginetest.DialRaw(t, g.addr, enginetest.Options{})
		c.SendRaw([]byte("GET /ws?room="))
		piece := []byte(strings.Repeat(canary, 64<<10/len(canary)))
		for range 128 {
			c.SendRaw(piece)
		}
		if a := c.ReadHTTP(); a.Status != 414 {
			t.Errorf("status %d", a.Status)
		}
		runtime.ReadMemStats(&after)
		if grown := int64(after.TotalAlloc) - int64(before.TotalAlloc); grown > 4<<20 {
			t.Errorf("8 MiB of request line made %d bytes of garbage", grown)
		}
	})
	g.end()
}

// TestCountedForTheClient: behind a balancer each client has its own share, a /64 of IPv6 is one client, and nobody
// gets another one by saying that he is somebody else (A23, H1).
func TestCountedForTheClient(t *testing.T) {
	g := besiege(t, func(o *Options) {
		o.Trusted = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
		o.Limits.ConnectionsPerIP = 1
	}, enginetest.Options{SourceIP: "127.0.0.8"})
	as := func(from, name, value string) enginetest.Options {
		return enginetest.Options{SourceIP: from, Header: http.Header{name: {value}}}
	}
	for _, tc := range []struct {
		name          string
		first, second enginetest.Options
		refused       bool
	}{
		{"two clients", as("127.0.0.1", "X-Forwarded-For", "192.0.2.1"), as("127.0.0.1", "X-Forwarded-For", "192.0.2.2"), false},
		{"one client twice", as("127.0.0.1", "X-Forwarded-For", "192.0.2.1"), as("127.0.0.1", "X-Forwarded-For", "192.0.2.1"), true},
		{"one client, two headers", as("127.0.0.1", "X-Forwarded-For", "192.0.2.1"), as("127.0.0.1", "Forwarded", "for=192.0.2.1"), true},
		{"one client, mapped", as("127.0.0.1", "X-Forwarded-For", "192.0.2.1"), as("127.0.0.1", "X-Forwarded-For", "::ffff:192.0.2.1"), true},
		{"one client with more before it", as("127.0.0.1", "X-Forwarded-For", "192.0.2.1"), as("127.0.0.1", "X-Forwarded-For", "198.51.100.7, 192.0.2.1"), true},
		{"one network of IPv6", as("127.0.0.1", "X-Forwarded-For", "2001:db8::1"), as("127.0.0.1", "X-Forwarded-For", "2001:db8::ffff:1"), true},
		{"two networks of IPv6", as("127.0.0.1", "X-Forwarded-For", "2001:db8::1"), as("127.0.0.1", "X-Forwarded-For", "2001:db8:0:1::1"), false},
		{"a header that nobody reads", as("127.0.0.1", "X-Real-Ip", "192.0.2.1"), as("127.0.0.1", "X-Real-Ip", "192.0.2.2"), true},
		{"who is not trusted", as("127.0.0.9", "X-Forwarded-For", "192.0.2.1"), as("127.0.0.9", "X-Forwarded-For", "192.0.2.2"), true},
		{"who is not trusted, RFC 7239", as("127.0.0.9", "Forwarded", "for=192.0.2.1"), as("127.0.0.9", "Forwarded", "for=192.0.2.2"), true},
	} {
		grown := counts{refusedSeries("address_limit"): 0}
		if tc.refused {
			grown = once(refusedSeries("address_limit"))
		}
		g.attack(t, tc.name, grown, func(t *testing.T) {
			held := enginetest.Dial(t, g.addr, "/raw/a", tc.first)
			if tc.refused {
				mustRefuse(t, g.server, g.addr, tc.second, 429, "address_limit")
			} else {
				enginetest.Dial(t, g.addr, "/raw/a", tc.second).Reset()
			}
			held.Reset()
			settles(t, g.server, 1, "roost_connections")
		})
	}
	g.end()
}
