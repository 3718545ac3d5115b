package engine

// Clients behind a balancer: whose address counts, and what becomes of a connection whose PROXY header is wrong, late
// or from somebody who has no business sending one.

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/enginetest"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}

// behindProxy serves connections that have to begin with a PROXY header from 127.0.0.1.
func behindProxy(t *testing.T, edit func(*Options)) (*Server, string) {
	return serve(t, func(o *Options) {
		o.ProxyRequired, o.Trusted = true, loopback
		if edit != nil {
			edit(o)
		}
	})
}

// proxy2 is a header of version 2 with the addresses of a TCP connection.
func proxy2(command byte, source, destination netip.AddrPort, tlvs string) []byte {
	family, body := byte(0x11), []byte(nil)
	for _, a := range []netip.AddrPort{source, destination} {
		body = append(body, a.Addr().AsSlice()...)
	}
	if source.Addr().Is6() {
		family = 0x21
	}
	body = binary.BigEndian.AppendUint16(body, source.Port())
	body = binary.BigEndian.AppendUint16(body, destination.Port())
	body = append(body, tlvs...)
	head := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x20|command, family)
	return append(binary.BigEndian.AppendUint16(head, uint16(len(body))), body...)
}

var (
	client4 = netip.MustParseAddrPort("192.0.2.7:40000")
	client6 = netip.MustParseAddrPort("[2001:db8::7]:40000")
	node4   = netip.MustParseAddrPort("192.0.2.1:443")
	node6   = netip.MustParseAddrPort("[2001:db8::1]:443")
)

// addressOf is the address under which the node knows a user's only connection.
func addressOf(t *testing.T, s *Server, user string) string {
	t.Helper()
	info, total, err := s.User(t.Context(), user, "", 10)
	if err != nil || total != 1 {
		t.Fatalf("%d connections of %s: %v", total, user, err)
	}
	return info[0].Address
}

func TestProxyHeader(t *testing.T) {
	s, addr := behindProxy(t, func(o *Options) { verifying(t, o, nil) })
	as := v1As(enginetest.Token(t, "ada", time.Hour, "**"))
	forwarded := as
	forwarded.Header = http.Header{"X-Forwarded-For": {"203.0.113.9"}}
	for _, c := range []struct {
		name    string
		header  []byte
		options enginetest.Options
		want    string
	}{
		{"version 1", []byte("PROXY TCP4 192.0.2.7 192.0.2.1 40000 443\r\n"), as, "192.0.2.7"},
		{"version 1, IPv6", []byte("PROXY TCP6 2001:db8::7 2001:db8::1 40000 443\r\n"), as, "2001:db8::7"},
		{"version 2", proxy2(1, client4, node4, ""), as, "192.0.2.7"},
		{"version 2, IPv6", proxy2(1, client6, node6, ""), as, "2001:db8::7"},
		{"with more fields", proxy2(1, client4, node4, "\x02\x00\x05a.com"), as, "192.0.2.7"},
		{"local", proxy2(0, client4, node4, ""), as, "127.0.0.1"},
		{"the client's own header", proxy2(1, client4, node4, ""), forwarded, "192.0.2.7"},
	} {
		t.Run(c.name, func(t *testing.T) {
			input := append(append([]byte(nil), c.header...), enginetest.UpgradeHead(addr, "/ws", c.options)...)
			for _, cut := range []int{len(input), 1, 5, 13, len(c.header) - 1, len(c.header), len(c.header) + 1} {
				client := enginetest.DialRaw(t, addr, c.options)
				for rest := input; len(rest) > 0; rest = rest[min(cut, len(rest)):] {
					client.SendRaw(rest[:min(cut, len(rest))])
					if cut > 1 {
						round(t, s)
					}
				}
				awaitUpgrade(t, client)
				client.ExpectType("welcome")
				if got := addressOf(t, s, "ada"); got != c.want {
					t.Errorf("cut at %d: the client's address is %s, want %s", cut, got, c.want)
				}
				client.CloseHandshake(1000)
				settles(t, s, 0, "roost_connections")
			}
		})
	}
	mustBeEmpty(t, s)
}

func TestProxyHeaderFaults(t *testing.T) {
	s, addr := behindProxy(t, func(o *Options) { o.Limits.ProxyTimeout = 300 * time.Millisecond })
	upgrade := string(enginetest.UpgradeHead(addr, "/ws", enginetest.Options{}))
	long := strings.Repeat("A", 100)
	for _, c := range []struct {
		name, input, reason, fault string
		from                       string
	}{
		{name: "none", input: upgrade, reason: "proxy_header", fault: "not_proxy"},
		{name: "version 1 unknown", input: "PROXY UNKNOWN\r\n" + upgrade, reason: "proxy_header"},
		{name: "version 1 too long", input: "PROXY TCP4 " + long + "\r\n" + upgrade, reason: "proxy_header"},
		{name: "version 2 too long", input: "\r\n\r\n\x00\r\nQUIT\n\x21\x11\xff\xff", reason: "proxy_header", fault: "too_long"},
		{name: "version 2 of no family", input: "\r\n\r\n\x00\r\nQUIT\n\x21\x00\x00\x00" + upgrade, reason: "proxy_header"},
		{name: "version 3", input: "\r\n\r\n\x00\r\nQUIT\n\x31\x11\x00\x0c", reason: "proxy_header", fault: "version"},
		{name: "truncated", input: "PROXY TCP4 192.0.2.7", reason: "proxy_timeout"},
		{name: "silent", reason: "proxy_timeout"},
		{name: "not from the balancer", input: "PROXY TCP4 192.0.2.7 192.0.2.1 40000 443\r\n" + upgrade, reason: "proxy_untrusted", from: "127.0.0.2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := scrape(s)
			if c.from != "" { // who is not trusted may be reset before the dial has ended
				dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(c.from)}}
				if conn, err := dialer.DialContext(t.Context(), "tcp", addr); err == nil {
					defer conn.Close()
				}
			} else {
				client := enginetest.DialRaw(t, addr, enginetest.Options{})
				client.SendRaw([]byte(c.input))
				client.ExpectEnd()
			}
			grew(t, s, before, 1, closedSeries(c.reason))
			if c.fault != "" {
				grew(t, s, before, 1, fmt.Sprintf("roost_proxy_errors_total{reason=%q}", c.fault))
			}
		})
	}
	mustBeEmpty(t, s)
}

// TestLimitsBehindProxy: what one address may have is counted for the client's, not for the balancer's.
func TestLimitsBehindProxy(t *testing.T) {
	s, addr := behindProxy(t, func(o *Options) { o.Limits.ConnectionsPerIP = 2 })
	open := func(source string) *enginetest.Client {
		from, to := netip.AddrPortFrom(netip.MustParseAddr(source), 4000), node4
		if from.Addr().Is6() {
			to = node6
		}
		c := enginetest.DialRaw(t, addr, enginetest.Options{})
		c.SendRaw(append(proxy2(1, from, to, ""), enginetest.UpgradeHead(addr, "/ws", enginetest.Options{})...))
		return c
	}
	for _, pair := range [][2]string{{"192.0.2.7", "192.0.2.7"}, {"2001:db8::1", "2001:db8::ffff"}} {
		held := []*enginetest.Client{open(pair[0]), open(pair[1])}
		for _, c := range held {
			awaitUpgrade(t, c)
		}
		if a := open(pair[0]).ReadHTTP(); a.Status != 429 {
			t.Errorf("a third connection of %s is answered %d", pair[0], a.Status)
		}
		for _, c := range held {
			c.Reset()
		}
		settles(t, s, 0, "roost_connections")
		again := open(pair[1])
		awaitUpgrade(t, again)
		again.Reset()
	}
	settles(t, s, 0, "roost_connections")
	mustBeEmpty(t, s)
}

// TestForwarded: without PROXY headers a trusted peer's request says who sent it, and nobody else's does.
func TestForwarded(t *testing.T) {
	s, addr := serve(t, func(o *Options) {
		verifying(t, o, nil)
		o.Trusted = append([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, loopback...)
	})
	token := enginetest.Token(t, "ada", time.Hour, "**")
	for _, c := range []struct {
		name, from, want string
		header           http.Header
	}{
		{"from a proxy", "127.0.0.1", "192.0.2.7", http.Header{"X-Forwarded-For": {"192.0.2.7"}}},
		{"through two", "127.0.0.1", "192.0.2.7", http.Header{"X-Forwarded-For": {"198.51.100.1, 192.0.2.7, 10.1.2.3"}}},
		{"IPv6, RFC 7239", "127.0.0.1", "2001:db8::7", http.Header{"Forwarded": {`for="[2001:db8::7]:4711"`}}},
		{"from a client", "127.0.0.2", "127.0.0.2", http.Header{"X-Forwarded-For": {"192.0.2.7"}}},
		{"none", "127.0.0.1", "127.0.0.1", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := v1As(token)
			o.SourceIP, o.Header = c.from, c.header
			client := dialV1(t, addr, "/ws", o)
			if got := addressOf(t, s, "ada"); got != c.want {
				t.Errorf("the client's address is %s, want %s", got, c.want)
			}
			client.CloseHandshake(1000)
			settles(t, s, 0, "roost_connections")
		})
	}
	mustBeEmpty(t, s)
}

// TestFullBehindProxy: a node without room still understands a balancer's checks and refuses clients in HTTP.
func TestFullBehindProxy(t *testing.T) {
	s, addr := behindProxy(t, func(o *Options) { o.Limits.Connections = 1 })
	held := enginetest.DialRaw(t, addr, enginetest.Options{})
	held.SendRaw(append(proxy2(1, client4, node4, ""), enginetest.UpgradeHead(addr, "/ws", enginetest.Options{})...))
	awaitUpgrade(t, held)
	for path, status := range map[string]int{"/readyz": 200, "/ws": 503} {
		c := enginetest.DialRaw(t, addr, enginetest.Options{})
		for _, piece := range strings.SplitAfter(string(proxy2(0, client4, node4, ""))+"GET "+path+" HTTP/1.1\r\nHost: node\r\n\r\n", "\n") {
			c.SendRaw([]byte(piece))
		}
		if a := c.ReadHTTP(); a.Status != status {
			t.Errorf("%s is answered %d, want %d", path, a.Status, status)
		}
	}
	held.CloseHandshake(1000)
	settles(t, s, 0, "roost_connections")
}
