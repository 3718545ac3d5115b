package engine

// The edge: headers of balancers, and what is not served on the clients' port.

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/enginetest"
)

// TestProxyKinds are PROXY headers of version 2 that are well formed and say nothing, and slow ones (H3). Those that
// are not well formed are in TestProxyHeaderFaults, and by the hundred in package proxyproto.
func TestProxyKinds(t *testing.T) {
	const limit = 400 * time.Millisecond
	s, addr := behindProxy(t, func(o *Options) { o.Limits.ProxyTimeout = limit })
	header := func(command, family byte, body string) string {
		return "\r\n\r\n\x00\r\nQUIT\n" + string([]byte{0x20 | command, family, byte(len(body) >> 8), byte(len(body))}) + body
	}
	inet := "\xc0\x00\x02\x07\xc0\x00\x02\x01\x9c\x40\x01\xbb"
	for _, tc := range []struct {
		name, header string
		reason       string // "": it is taken for a client, or a check
	}{
		{"H3 UNSPEC", header(1, 0x00, ""), "proxy_header"},
		{"H3 UNSPEC with more", header(1, 0x00, "\x04\x00\x01"+"x"), "proxy_header"},
		{"H3 AF_UNIX", header(1, 0x31, "/"+canary+strings.Repeat("\x00", 216-1-len(canary))), "proxy_header"},
		{"H3 a family that does not exist", header(1, 0x41, inet), "proxy_header"},
		{"H3 addresses that are missing", header(1, 0x11, inet[:8]), "proxy_header"},
		{"H3 a field beyond the end", header(1, 0x11, inet+"\x04\xff\xff"), "proxy_header"},
		{"H3 fields without end", header(1, 0x11, inet+strings.Repeat("\x04\x00\x00", 200)), "proxy_header"},
		{"H3 a command that does not exist", header(2, 0x11, inet), "proxy_header"},
		{"H3 a second header", header(1, 0x11, inet) + header(1, 0x11, inet), "refused"},
		{"H3 version 1 behind version 2", header(1, 0x11, inet) + "PROXY TCP4 192.0.2.7 192.0.2.1 40000 443\r\n", "refused"},
		{"H3 datagrams", header(1, 0x12, inet), ""},
		{"H3 LOCAL", header(0, 0x00, ""), ""},
		{"H3 LOCAL with what would be no header", header(0, 0x41, "\x04\xff\xff"), ""},
		{"H3 fields to the limit", header(1, 0x11, inet+strings.Repeat("\x04\x00\x00", 169)), ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := scrape(s)
			c := enginetest.DialRaw(t, addr, enginetest.Options{})
			defer c.Close()
			c.SendRaw([]byte(tc.header + healthCheck))
			switch tc.reason {
			case "":
				if a := c.ReadHTTP(); a.Status != 200 {
					t.Errorf("status %d", a.Status)
				}
				grew(t, s, before, 1, closedSeries("normal"))
				return
			case "refused":
				if a := c.ReadHTTP(); a.Status != 400 {
					t.Errorf("status %d", a.Status)
				}
			default:
				c.ExpectEnd()
			}
			grew(t, s, before, 1, closedSeries(tc.reason))
		})
	}
	t.Run("H3 a byte at a time", func(t *testing.T) {
		before, began := scrape(s), time.Now()
		c := enginetest.DialRaw(t, addr, enginetest.Options{})
		whole := header(1, 0x11, inet+strings.Repeat("\x04\x00\x00", 100))
		drip := time.NewTicker(20 * time.Millisecond)
		defer drip.Stop()
		for i := 0; scrape(s)[closedSeries("proxy_timeout")] == before[closedSeries("proxy_timeout")] && i < len(whole); i++ {
			c.SendRaw([]byte(whole[i : i+1]))
			<-drip.C
		}
		c.ExpectEnd()
		if took := time.Since(began); took < limit-tickEvery || took > limit+time.Second {
			t.Errorf("closed after %v, want %v", took, limit)
		}
		grew(t, s, before, 1, closedSeries("proxy_timeout"))
	})
	mustBeEmpty(t, s)
}

// TestFullBelievesNobodyMore: a node without room trusts the same balancers as one with room (H2).
func TestFullBelievesNobodyMore(t *testing.T) {
	s, addr := behindProxy(t, func(o *Options) { o.Limits.Connections = 1 })
	held := enginetest.DialRaw(t, addr, enginetest.Options{})
	held.SendRaw(append(proxy2(1, client4, node4, ""), enginetest.UpgradeHead(addr, "/ws", enginetest.Options{})...))
	awaitUpgrade(t, held)
	stranger := enginetest.DialRaw(t, addr, enginetest.Options{SourceIP: "127.0.0.2"})
	stranger.SendRaw(append(proxy2(1, client4, node4, ""), healthCheck...))
	if answer := readToEnd(stranger); len(answer) > 0 {
		t.Errorf("answered %.60q", answer)
	}
	held.CloseHandshake(1000)
	settles(t, s, 0, "roost_connections")
}

// TestFullIsStillHealthy: at the cap, crowds of connections that say nothing, or not all of it, or stay when they
// have their answer, don't keep a balancer's check from being answered: it would take a full node for a dead one. One
// that comes in the very moment of a crowd may be lost, which is why balancers ask more than once (A25).
func TestFullIsStillHealthy(t *testing.T) {
	check := []byte(strings.Replace(healthCheck, "healthz", "readyz", 1))
	for name, said := range map[string]string{"nothing": "", "a byte": "G", "half a head": goodHead[:60], "a whole request": goodHead} {
		t.Run(name, func(t *testing.T) {
			s, addr := serve(t, func(o *Options) { o.Limits.Connections = 1 })
			held := enginetest.Dial(t, addr, "/ws", v1)
			var dialer net.Dialer
			var crowd []net.Conn
			healthy := 0
			const crowds = 10
			for range crowds {
				for range 2 * maxRefusing {
					if c, err := dialer.DialContext(t.Context(), "tcp", addr); err == nil { // it may be reset at once
						crowd = append(crowd, c)
						_, _ = c.Write([]byte(said))
					}
				}
				if c, err := dialer.DialContext(t.Context(), "tcp", addr); err == nil {
					_, _ = c.Write(check)
					_ = c.SetReadDeadline(time.Now().Add(patience))
					if answer, _ := io.ReadAll(c); strings.HasPrefix(string(answer), "HTTP/1.1 200 ") {
						healthy++
					}
					c.Close()
				}
			}
			if healthy < crowds*8/10 {
				t.Errorf("%d of %d checks were answered", healthy, crowds)
			}
			for _, c := range crowd {
				c.Close()
			}
			held.CloseHandshake(1000)
			settles(t, s, 0, "roost_connections")
		})
	}
}

// TestOperatorsPages: nothing of the operator's port is on the clients' one (H5), whoever asks.
func TestOperatorsPages(t *testing.T) {
	g := besiege(t, nil, enginetest.Options{})
	for _, path := range []string{"/metrics", "/metrics/", "//metrics", "/api/stats", "/api/rooms", "/api/drain", "/debug/pprof/", "/debug/pprof/heap",
		"/debug/vars", "/console/app.js", "/roost.js", "/.env", "/server-status", "/healthz/../metrics", "/WS", "/ws/", "/healthz%2f", "/%77s"} {
		status, reason := 404, "path"
		if strings.Contains(path, "..") {
			status, reason = 400, "malformed"
		}
		g.attack(t, path, counts{refusedSeries(reason): 2}, func(t *testing.T) {
			for _, head := range []string{targeting(path), strings.Replace(healthCheck, "/healthz", path, 1)} {
				a := ask(t, g.addr, with2(head, "Authorization: Bearer "+canary))
				if a.Status != status {
					t.Errorf("status %d, want %d", a.Status, status)
				}
				mustBeFixed(t, a, "")
			}
		})
	}
	g.attack(t, "by POST", once(refusedSeries("method")), func(t *testing.T) {
		if a := ask(t, g.addr, "POST /api/drain HTTP/1.1\r\n"+hostLine+"\r\n"); a.Status != 405 {
			t.Errorf("status %d", a.Status)
		}
	})
	if g.server.Draining() {
		t.Error("the node drains")
	}
	g.end()
}

// with2 is a request with one header line more.
func with2(head, line string) string {
	return strings.Replace(head, hostLine, hostLine+line+"\r\n", 1)
}

// TestHeadHasNoBody: the answer to a HEAD ends with its head (RFC 9110 section 9.3.2): behind a proxy that keeps its
// connections the rest would be the begin of somebody else's answer.
func TestHeadHasNoBody(t *testing.T) {
	g := besiege(t, nil, enginetest.Options{})
	for _, path := range []string{"/healthz", "/ws", "/nowhere"} {
		g.attack(t, path, nil, func(t *testing.T) {
			c := enginetest.DialRaw(t, g.addr, enginetest.Options{})
			c.SendRaw(fmt.Appendf(nil, "HEAD %s HTTP/1.1\r\n%s\r\n", path, hostLine))
			answer := string(readToEnd(c))
			if _, body, whole := strings.Cut(answer, "\r\n\r\n"); !whole || body != "" {
				t.Errorf("answered %q", answer)
			}
		})
	}
	g.end()
}
