package handshake

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/roost-ws/roost/protocol/clientaddr"
)

// The proxies of these tests are in 10.0.0.0/8 and 2001:db8:a::/48, and the request comes from nearProxy.
var (
	nearProxy = netip.MustParseAddr("10.0.0.1")
	stranger  = netip.MustParseAddr("203.0.113.9")
	trusted   = clientaddr.NewTrust([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:a::/48")})
)

// parsed is a request with these header lines, which need no line end.
func parsed(t testing.TB, lines ...string) *Request {
	t.Helper()
	lim := DefaultLimits()
	text := ""
	for _, line := range lines {
		text += line + "\r\n"
	}
	r, v := feed([]byte(get("/ws", text)), &lim)
	if v.refusal() != Accepted || v.n == 0 {
		t.Fatalf("%q: %+v", lines, v)
	}
	return r
}

type forwardedRow struct {
	name  string
	lines []string
	want  string
}

func runForwardedRows(t *testing.T, rows []forwardedRow) {
	t.Helper()
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			r := parsed(t, row.lines...)
			if got := r.ClientAddr(nearProxy, trusted); got != netip.MustParseAddr(row.want) {
				t.Errorf("the client is %v, want %s", got, row.want)
			}
			// H1: from a peer that is not trusted all of this is ignored.
			for _, trust := range []*clientaddr.Trust{trusted, nil, new(clientaddr.Trust)} {
				if got := r.ClientAddr(stranger, trust); got != stranger {
					t.Errorf("a stranger became %v", got)
				}
			}
		})
	}
}

func TestForwardedFor(t *testing.T) {
	of := func(name, value, want string) forwardedRow {
		return forwardedRow{name, []string{"X-Forwarded-For: " + value}, want}
	}
	runForwardedRows(t, []forwardedRow{
		{"none", nil, "10.0.0.1"},
		of("empty", "", "10.0.0.1"),
		of("one", "192.0.2.1", "192.0.2.1"),
		of("H1 the client wrote the first", "198.51.100.1, 192.0.2.1", "192.0.2.1"),
		of("H1 the client wrote a trusted one", "10.9.9.9, 192.0.2.1", "192.0.2.1"),
		of("two proxies", "198.51.100.1, 192.0.2.1, 10.0.0.2", "192.0.2.1"),
		of("two proxies of two families", "198.51.100.1, 192.0.2.1,2001:db8:a::7,10.0.0.2", "192.0.2.1"),
		of("all trusted", "10.0.0.4, 10.0.0.3, 10.0.0.2", "10.0.0.4"),
		of("a proxy, mapped", "192.0.2.1, ::ffff:10.0.0.2", "192.0.2.1"),
		of("a client, mapped", "::ffff:192.0.2.1", "192.0.2.1"),
		of("IPv6", "2001:DB8::1", "2001:db8::1"),
		of("IPv6 in brackets", "[2001:db8::1]", "2001:db8::1"),
		of("IPv6 and port", "[2001:db8::1]:4660", "2001:db8::1"),
		of("IPv4 and port", "192.0.2.1:4660", "192.0.2.1"),
		of("a proxy and port", "192.0.2.1:4660, 10.0.0.2:80", "192.0.2.1"),
		of("no spaces, tabs, empty elements", ",192.0.2.1\t,, \t10.0.0.2 , ", "192.0.2.1"),
		of("unknown", "192.0.2.1, unknown", "10.0.0.1"),
		of("unknown behind a proxy", "192.0.2.1, unknown, 10.0.0.2", "10.0.0.2"),
		of("a name", "192.0.2.1, client.example, 10.0.0.2", "10.0.0.2"),
		of("garbage", "192.0.2.1, \xff\"(;, 10.0.0.2", "10.0.0.2"),
		of("garbage further off does not matter", "\xff\"(;, 192.0.2.1", "192.0.2.1"),
		of("leading zero", "192.0.2.01", "10.0.0.1"),
		of("too large", "192.0.2.256", "10.0.0.1"),
		of("a network", "192.0.2.1/32", "10.0.0.1"),
		of("a zone", "fe80::1%eth0", "10.0.0.1"),
		of("IPv4 in brackets", "[192.0.2.1]", "10.0.0.1"),
		of("IPv6 in half a bracket", "[2001:db8::1", "10.0.0.1"),
		of("text behind the bracket", "[2001:db8::1]x", "10.0.0.1"),
		of("port 0", "192.0.2.1:0", "10.0.0.1"),
		of("port too large", "192.0.2.1:65536", "10.0.0.1"),
		of("port empty", "192.0.2.1:", "10.0.0.1"),
		of("two addresses without a comma", "192.0.2.1 192.0.2.2", "10.0.0.1"),
		of("the other header's form", "for=192.0.2.1", "10.0.0.1"),
		{"several lines", []string{"X-Forwarded-For: 198.51.100.1", "x-forwarded-for: 192.0.2.1", "X-FORWARDED-FOR: 10.0.0.3, 10.0.0.2"}, "192.0.2.1"},
		{"several lines, the last empty", []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-For: "}, "192.0.2.1"},
		{"other headers between", []string{"X-Forwarded-For: 192.0.2.1", "Connection: keep-alive", "X-Real-IP: 198.51.100.1", "X-Forwarded-For: 10.0.0.2"}, "192.0.2.1"},
		{"names that are nearly it", []string{"X-Forwarded-Fo: 192.0.2.1", "X-Forwarded-Fox: 192.0.2.1", "X_Forwarded_For: 192.0.2.1"}, "10.0.0.1"},
		{"H1 X-Real-IP says nothing", []string{"X-Real-IP: 192.0.2.1", "True-Client-IP: 192.0.2.1"}, "10.0.0.1"},
		{"both headers", []string{"Forwarded: for=198.51.100.1", "X-Forwarded-For: 192.0.2.1"}, "192.0.2.1"},
		{"both headers, this one empty", []string{"X-Forwarded-For:", "Forwarded: for=198.51.100.1"}, "10.0.0.1"},
		{"both headers, this one unreadable", []string{"X-Forwarded-For: unknown", "Forwarded: for=198.51.100.1"}, "10.0.0.1"},
		{"both headers, this one ends early", []string{"X-Forwarded-For: 10.0.0.2", "Forwarded: for=198.51.100.1"}, "10.0.0.2"},
	})
}

func TestForwarded(t *testing.T) {
	of := func(name, value, want string) forwardedRow {
		return forwardedRow{name, []string{"Forwarded: " + value}, want}
	}
	runForwardedRows(t, []forwardedRow{
		of("empty", "", "10.0.0.1"),
		of("one", "for=192.0.2.1", "192.0.2.1"),
		of("any case", "FoR=192.0.2.1;PROTO=http", "192.0.2.1"),
		of("all four", `for=192.0.2.1;by=203.0.113.43;host="chat.example.com:443";proto=https`, "192.0.2.1"),
		of("for at the end", `proto=https;host=chat.example.com;for=192.0.2.1`, "192.0.2.1"),
		of("quoted", `for="192.0.2.1"`, "192.0.2.1"),
		of("quoted, with port", `for="192.0.2.1:4711"`, "192.0.2.1"),
		of("quoted, with obfuscated port", `for="192.0.2.1:_p-1.x"`, "192.0.2.1"),
		of("IPv6", `for="[2001:DB8::1]"`, "2001:db8::1"),
		of("IPv6 and port", `For="[2001:db8:cafe::17]:4711"`, "2001:db8:cafe::17"),
		of("mapped", `for="[::ffff:192.0.2.1]"`, "192.0.2.1"),
		of("H1 the client wrote the first", "for=198.51.100.1, for=192.0.2.1", "192.0.2.1"),
		of("two proxies", `for=198.51.100.1, for=192.0.2.1, for="[2001:db8:a::1]:80";by=_b, for=10.0.0.2`, "192.0.2.1"),
		of("all trusted", "for=10.0.0.3, for=10.0.0.2", "10.0.0.3"),
		of("empty elements and pairs", ", for=192.0.2.1; ,,;for=10.0.0.2;;, ", "192.0.2.1"),
		of("space around a semicolon", "proto=https ; for=192.0.2.1 ;\tby=10.0.0.1", "192.0.2.1"),
		of("comma in quotes", `for=192.0.2.1;host="a, for=198.51.100.1"`, "192.0.2.1"),
		of("semicolon in quotes", `for=192.0.2.1;host="a;for=198.51.100.1"`, "192.0.2.1"),
		of("escaped quote in quotes", `for=192.0.2.1;host="a\", for=198.51.100.1"`, "192.0.2.1"),
		of("escaped backslash before the quote", `for=198.51.100.1;host="a\\", for=192.0.2.1`, "192.0.2.1"),
		of("extension", "for=192.0.2.1;secret=x", "192.0.2.1"),
		of("unknown", "for=192.0.2.1, for=unknown, for=10.0.0.2", "10.0.0.2"),
		of("obfuscated", "for=192.0.2.1, for=_hidden, for=10.0.0.2", "10.0.0.2"),
		of("obfuscated, quoted, with port", `for="_SEVKISEK:80"`, "10.0.0.1"),
		of("no for", "for=192.0.2.1, proto=https;by=10.0.0.2", "10.0.0.1"),
		of("for twice", "for=192.0.2.1;for=192.0.2.1", "10.0.0.1"),
		of("for twice, in other case", "for=192.0.2.1;FOR=unknown", "10.0.0.1"),
		of("the other header's form", "192.0.2.1", "10.0.0.1"),
		of("no value", "for=", "10.0.0.1"),
		of("empty quotes", `for=""`, "10.0.0.1"),
		of("no name", "=192.0.2.1", "10.0.0.1"),
		of("space before the equals sign", "for =192.0.2.1", "10.0.0.1"),
		of("space behind the equals sign", "for= 192.0.2.1", "10.0.0.1"),
		of("port without quotes", "for=192.0.2.1:80", "10.0.0.1"),
		of("IPv6 without quotes", "for=[2001:db8::1]", "10.0.0.1"),
		of("IPv6 without brackets", `for="2001:db8::1"`, "10.0.0.1"),
		of("IPv4 in brackets", `for="[192.0.2.1]"`, "10.0.0.1"),
		of("space in quotes", `for=" 192.0.2.1"`, "10.0.0.1"),
		of("needless escape", `for="192.0.2.\1"`, "10.0.0.1"),
		of("port too large", `for="192.0.2.1:65536"`, "10.0.0.1"),
		of("obfuscated port with nothing in it", `for="192.0.2.1:_"`, "10.0.0.1"),
		of("obfuscated port with a tilde", `for="192.0.2.1:_~"`, "10.0.0.1"),
		of("text behind the quotes", `for="192.0.2.1"x`, "10.0.0.1"),
		of("single quotes", "for='192.0.2.1'", "10.0.0.1"),
		of("another pair is malformed", "for=192.0.2.1;proto=(", "10.0.0.1"),
		of("another pair has no value", "for=192.0.2.1;proto", "10.0.0.1"),
		of("quote left open by the client", `for="198.51.100.1, for=192.0.2.1`, "192.0.2.1"),
		of("quote left open by the client, closed by the proxy's", `for="198.51.100.1, for="[2001:db8::1]:80"`, "2001:db8::1"),
		of("escape left open by the client", `for="\, for="192.0.2.1:80"`, "192.0.2.1"),
		of("quote left open by the proxy", `for=198.51.100.1, for="192.0.2.1`, "10.0.0.1"),
		{"several lines", []string{"Forwarded: for=198.51.100.1", "forwarded: for=192.0.2.1", "FORWARDED: for=10.0.0.3, for=10.0.0.2"}, "192.0.2.1"},
		{"a quote does not go over lines", []string{`Forwarded: for="198.51.100.1`, `Forwarded: for=192.0.2.1;host="a"`}, "192.0.2.1"},
		{"names that are nearly it", []string{"Forwarde: for=192.0.2.1", "Forwarded-: for=192.0.2.1"}, "10.0.0.1"},
	})
}

func TestForwardedWalk(t *testing.T) {
	r := parsed(t, `Forwarded: for=a;host="x,y" , for=b,`, "X-Forwarded-For: 192.0.2.1", "Forwarded: for=c")
	walk := r.Forwarded()
	for _, want := range []string{"for=c", "for=b", `for=a;host="x,y"`} {
		if got := walk.Prev(); string(got) != want {
			t.Errorf("forwarded %q, want %q", got, want)
		}
	}
	for range 2 {
		if walk.Prev() != nil {
			t.Error("the walk goes on past its begin")
		}
	}
}

func TestClientAddrOfPeer(t *testing.T) {
	r := parsed(t, "X-Forwarded-For: 192.0.2.1")
	for _, c := range []struct{ name, peer, want string }{
		{"mapped and trusted", "::ffff:10.0.0.1", "192.0.2.1"},
		{"mapped", "::ffff:203.0.113.9", "203.0.113.9"},
		{"trusted, with a zone", "2001:db8:a::1%eth0", "192.0.2.1"},
		{"with a zone", "fe80::1%eth0", "fe80::1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := r.ClientAddr(netip.MustParseAddr(c.peer), trusted); got != netip.MustParseAddr(c.want) {
				t.Errorf("the client is %v, want %s", got, c.want)
			}
		})
	}
	if got := r.ClientAddr(netip.Addr{}, trusted); got.IsValid() {
		t.Errorf("the client at a Unix socket is %v", got)
	}
}

func TestClientAddrDoesNotAllocate(t *testing.T) {
	long := strings.Repeat("10.0.0.3, ", 700) + "192.0.2.1, unknown, 10.0.0.2"
	for _, lines := range [][]string{
		nil, {"X-Forwarded-For: " + long}, {"X-Forwarded-For: [2001:db8::1]:80"},
		{"Forwarded: " + `for="[2001:db8::1]:80";host="a\"b", for=10.0.0.2`}, {`Forwarded: for="`},
	} {
		r := parsed(t, lines...)
		if allocs := testing.AllocsPerRun(100, func() { r.ClientAddr(nearProxy, trusted) }); allocs != 0 {
			t.Errorf("%.40q: %v allocations", lines, allocs)
		}
	}
}

// slowClient is ClientAddr for X-Forwarded-For, by means of strings and net/netip.
func slowClient(lines []string) netip.Addr {
	client := nearProxy
	elements := strings.Split(strings.Join(lines, ","), ",")
	for _, element := range slices.Backward(elements) {
		element = strings.Trim(element, " \t")
		if element == "" {
			continue
		}
		a, err := netip.ParseAddr(element)
		if err != nil {
			parts := slowNode.FindStringSubmatch(element)
			if parts == nil {
				break
			}
			if a, err = netip.ParseAddr(parts[1] + parts[2]); err != nil || (parts[1] == "") != a.Is6() {
				break
			}
			if port, err := netip.ParseAddrPort("[::]:" + parts[3]); parts[3] != "" && parts[3][0] != '_' && (err != nil || port.Port() == 0) {
				break
			}
		}
		if a.Zone() != "" {
			break
		}
		if client = a.Unmap(); !trusted.Contains(client) {
			break
		}
	}
	return client
}

var slowNode = regexp.MustCompile(`^(?:([0-9.]+)|\[([0-9a-fA-F:.]+)\])(?::([1-9][0-9]{0,4}|_[A-Za-z0-9._-]+))?$`)

// slowElement is an element of Forwarded by the letter of the RFC, and the comma behind it.
var slowElement = func() *regexp.Regexp {
	const (
		token  = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
		quoted = `"(?:[^"\\]|\\.)*"`
		pair   = token + "=(?:" + token + "|" + quoted + ")"
	)
	return regexp.MustCompile(`^[ \t]*(` + pair + `(?:;` + pair + `)*)[ \t]*(?:,|$)`)
}()

// slowForwarded cuts a line of Forwarded forwards; it is nil if the line does not follow the RFC.
func slowForwarded(line string) (all []string) {
	for line != "" {
		found := slowElement.FindStringSubmatch(line)
		if found == nil {
			return nil
		}
		all, line = append(all, found[1]), line[len(found[0]):]
	}
	return all
}

// FuzzClientAddr: what a client writes before a proxy's own element changes nothing, X-Forwarded-For is read as slowly
// as fast, a well-formed Forwarded is cut from its end as it would be from its begin, and the way of cutting the bytes
// into segments does not count.
func FuzzClientAddr(f *testing.F) {
	f.Add("198.51.100.1, 192.0.2.1", "10.0.0.2:80", uint16(100))
	f.Add("[2001:db8::1]:_x, ::ffff:10.0.0.3", ",unknown, 10.0.0.2", uint16(170))
	f.Add("1.2.3.4:05, 1.2.3.4:70000", "fe80::1%1", uint16(180))
	f.Add(`for="198.51.100.1, for=192.0.2.1`, `for="[2001:db8:a::1]:80";host="a\\\"b,c";proto=https`, uint16(150))
	f.Add(`for=_hidden;by="\`, `for=10.0.0.7, for="10.0.0.2:_p"`, uint16(160))
	f.Fuzz(func(t *testing.T, first, second string, cut uint16) {
		if strings.ContainsAny(first+second, "\r\n") {
			return // would be other lines
		}
		lim := DefaultLimits()
		client := func(lines ...string) (netip.Addr, *Request) {
			head := []byte(get("/ws", strings.Join(lines, "\r\n")+"\r\n"))
			r, v := feed(head, &lim)
			if v.refusal() != Accepted || v.n != len(head) {
				return netip.Addr{}, nil
			}
			a := r.ClientAddr(nearProxy, trusted)
			if again, _ := feed(head, &lim, int(cut)%len(head)); again.ClientAddr(nearProxy, trusted) != a {
				t.Fatalf("%q: cut at %d it is not %v", head, cut, a)
			}
			return a, r
		}
		const x, fwd = "X-Forwarded-For: ", "Forwarded: "
		for _, lines := range [][]string{
			{x + first, x + second + "," + stranger.String()}, {x + first, x + stranger.String() + ":1, 10.0.0.2"},
			{fwd + first, fwd + second + ",for=" + stranger.String()},
			{fwd + first, fwd + second + `,host="a,b";for="` + stranger.String() + `:1", for=10.0.0.2`},
			{fwd + first + second, x + stranger.String()},
		} {
			if got, r := client(lines...); r != nil && got != stranger {
				t.Fatalf("%q: the client is %v", lines, got)
			}
		}
		if got, r := client(x+first, x+second); r != nil && got != slowClient([]string{first, second}) {
			t.Fatalf("%q, %q: the client is %v, want %v", first, second, got, slowClient([]string{first, second}))
		}
		want := slowForwarded(second)
		_, r := client(fwd + second)
		if r == nil || want == nil {
			return
		}
		walk := r.Forwarded()
		for _, element := range slices.Backward(want) {
			if got := walk.Prev(); string(got) != element {
				t.Fatalf("%q: %q, want %q", second, got, element)
			}
		}
		if more := walk.Prev(); more != nil {
			t.Fatalf("%q: %q before its begin", second, more)
		}
	})
}

func BenchmarkClientAddr(b *testing.B) {
	for name, line := range map[string]string{
		"X-Forwarded-For":     "X-Forwarded-For: 198.51.100.1, 192.0.2.1, 10.0.0.2",
		"Forwarded":           `Forwarded: for=192.0.2.1;proto=https;by=10.0.0.1, for="[2001:db8:a::1]:4711";proto=https`,
		"800 trusted proxies": "X-Forwarded-For: " + strings.Repeat("10.0.0.2, ", 800),
	} {
		b.Run(name, func(b *testing.B) {
			r := parsed(b, line)
			b.ReportAllocs()
			for b.Loop() {
				if !r.ClientAddr(nearProxy, trusted).IsValid() {
					b.Fatal("nobody")
				}
			}
		})
	}
}
