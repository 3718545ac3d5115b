package handshake

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// Three readers of the same bytes: roost, net/http and gobwas/ws. Every disagreement has to be on the lists of
// differences_test.go, so that a request that is refused for anything else, or let in against them, fails here. What
// all accept they have to see alike, which is oracle_test.go's affair.

// takenByStd is what servers on top of net/http make of a request: the five things that RFC 6455 asks for.
func takenByStd(r *http.Request) bool {
	nonce, err := base64.StdEncoding.DecodeString(r.Header.Get("Sec-WebSocket-Key"))
	return r.Method == http.MethodGet && r.ProtoAtLeast(1, 1) && hasWord(r.Header["Connection"], "upgrade") &&
		hasWord(r.Header["Upgrade"], "websocket") && hasWord(r.Header["Sec-Websocket-Version"], "13") && err == nil && len(nonce) == 16
}

// reading is what all three make of the same bytes.
type reading struct {
	loose   *loose
	request *Request
	verdict verdict
	std     *http.Request // nil if it is refused
	gobwas  error
}

func readByAll(input []byte) *reading {
	lim := DefaultLimits()
	a := &reading{loose: readLoosely(input)}
	a.request, a.verdict = feed(input, &lim)
	if r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(input))); err == nil {
		a.std = r
	}
	_, a.gobwas = ws.Upgrader{}.Upgrade(&memoryConn{Reader: bytes.NewReader(input)})
	return a
}

// compare fails unless every disagreement is meant, and everything that is on the lists leads to a disagreement.
func compare(t *testing.T, input []byte) {
	t.Helper()
	a := readByAll(input)
	v := a.verdict
	switch {
	case v.n == 0 && v.parse == Accepted:
		if a.std != nil || a.gobwas == nil {
			t.Fatalf("roost waits for more of a head that is taken as it is, by net/http: %v, by gobwas: %v", a.std != nil, a.gobwas == nil)
		}
		return
	case v.n == 0:
		if a.std != nil || a.gobwas == nil {
			mustBeMeant(t, "refused", meant, a.loose, v.parse)
		}
		return
	}
	mustNotApply(t, meant, a.loose)
	checkAgainstOracles(t, a.request, input[:v.n], v) // fails if net/http refuses
	switch {
	case v.upgrade == Accepted && a.gobwas != nil:
		mustBeMeant(t, "taken", laxer, a.loose, Accepted)
	case v.upgrade != Accepted && (a.gobwas == nil || takenByStd(a.std)):
		mustBeMeant(t, "refused", meantOfUpgrade, a.loose, v.upgrade)
	}
	if v.upgrade == Accepted {
		mustNotApply(t, meantOfUpgrade, a.loose)
	}
}

// mustBeMeant looks for a reason of a verdict among those that are meant.
func mustBeMeant(t *testing.T, what string, list []difference, l *loose, verdict Refusal) {
	t.Helper()
	for i := range list {
		if list[i].refusal == verdict && list[i].is(l) {
			return
		}
	}
	t.Errorf("%s (%v), and for none of the reasons that are meant", what, verdict)
}

// mustNotApply makes sure that what was let in has nothing that is meant to be refused.
func mustNotApply(t *testing.T, list []difference, l *loose) {
	t.Helper()
	for _, d := range list {
		if d.is(l) {
			t.Errorf("let in, though it is to be refused for: %s (%s)", d.name, d.why)
		}
	}
}

// TestMeantDifferences holds each entry of the lists against an example: it applies, alone, and somebody else takes
// the head. An entry that no other reader is laxer in is no difference any more.
func TestMeantDifferences(t *testing.T) {
	for _, list := range [][]difference{meant, meantOfUpgrade, laxer} {
		for _, d := range list {
			t.Run(d.name, func(t *testing.T) {
				if d.why == "" {
					t.Error("no reason")
				}
				if d.example == "" {
					return // nobody takes it, and it is here so that nothing else explains such a head
				}
				compare(t, []byte(d.example))
				a := readByAll([]byte(d.example))
				if got := a.verdict.refusal(); got != d.refusal {
					t.Errorf("roost says %v, want %v", got, d.refusal)
				}
				if others := a.std != nil || a.gobwas == nil; !others && d.refusal != Accepted {
					t.Error("nobody else takes it either")
				}
				if d.refusal == Accepted && a.gobwas == nil {
					t.Error("gobwas takes it, too")
				}
				for _, other := range list {
					if other.is(a.loose) && other.name != d.name {
						t.Errorf("%q applies as well", other.name)
					}
				}
			})
		}
	}
}

// probes are heads that programs are known to disagree about.
var probes = []string{
	get("/"), browserHead, get("/ws?room=a&room=b&attempt=1"), "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
	requestLine("HEAD / HTTP/1.1"), requestLine("GET / HTTP/1.0"), requestLine("GET /"), "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	replacing("Host: example.com\r\n", ""), get("/", "Host: a\r\n"), replacing("example.com", "a b"), replacing("example.com", "a:65536"),
	replacing("example.com", "[::1%25eth0]"), replacing("example.com", "99999"), replacing("example.com", ""), replacing("example.com", "[::1]:80"),
	get("/", "Content-Length: 0\r\n"), get("/", "Content-Length: +0\r\n"), get("/", "Content-Length: 00\r\n"), get("/", "Content-Length: 0, 0\r\n"),
	get("/", "Transfer-Encoding: chunked\r\n", "Content-Length: 3\r\n"), get("/", "tRANSFER-eNCODING:\tchunked \r\n"), get("/", "Transfer-Encoding\t: chunked\r\n"),
	strings.ReplaceAll(get("/"), "\r\n", "\n"), get("/", "X: y\rZ: w\r\n"), get("/", "X: y\r\r\n"), get("/", "X: \x7f\r\n"), get("/", "\u00e9: a\r\n"), get("/", ": a\r\n"),
	get("/", "X\r\n"), get("/", " X: a\r\n"), get("/", "X:a\r\n\t\r\n"), "\r\n" + get("/"), " " + get("/"), get("/") + get("/"),
	replacing("Version: 13", "Version: 13, 12"), replacing("Version: 13", "Version: 13 "), replacing("Version: 13", "Version: 013"), replacing("Version: 13", "Version:13\t"),
	replacing("Sec-WebSocket-Version: 13\r\n", ""), get("/*"), requestLine("GET * HTTP/1.1"), requestLine("GET  / HTTP/1.1"), requestLine("GET / HTTP/1.1 "),
	requestLine("GET / x HTTP/1.1"), requestLine("GET\t/\tHTTP/1.1"), requestLine("get / HTTP/1.1"), requestLine("GET / HTTP/01.1"), requestLine("CONNECT a:80 HTTP/1.1"),
	get("/a%2fb"), get("/%2e%2e/a"), get("/.%2E"), get("/...;a"), get("/a?/../b"), get("//a.example/"), get("/?a=b#c"), get("/?a=%zz"), get("/%"), get("/?token=a&%74oken=b"),
	get("/?room=a+b&room=a%20b"), get("/?" + strings.Repeat("&", 257)), get("/?" + strings.Repeat("a", 6200)), get("/" + strings.Repeat("a", 8200)), get("/\xff"),
	replacing(key, key[1:]), replacing(key, key+"="), replacing(key, "dGhlIHNhbXBsZSBub25jZR=="), replacing(key, "AAAAAAAAAAAAAAAAAAAA===="), replacing(key, ""),
	replacing("Upgrade: websocket", "Upgrade: WebSocket/13"), replacing("Upgrade: websocket", "Upgrade: ,websocket,"), replacing("Upgrade: websocket", "Upgrade: websocket;q=1"),
	replacing("Connection: Upgrade", "Connection: keep-alive,upgrade"), replacing("Connection: Upgrade", "Connection: \"upgrade\""), get("/", "Connection: close\r\n"),
	get("/", "Upgrade: h2c\r\n"), get("/", strings.Repeat("X-Forwarded-For: a\r\n", 22)), get("/", "X: "+strings.Repeat("a", 8200)+"\r\n"), get("/", "Origin: a\r\nOrigin: b\r\n"),
}

func TestProbes(t *testing.T) {
	for _, probe := range probes {
		t.Run(strconv.Quote(probe[:min(len(probe), 60)]), func(t *testing.T) { compare(t, []byte(probe)) })
	}
}

// FuzzHeadAgainstOthers looks for a disagreement that nobody meant.
func FuzzHeadAgainstOthers(f *testing.F) {
	for _, probe := range probes {
		f.Add([]byte(probe))
	}
	for _, list := range [][]difference{meant, meantOfUpgrade, laxer} {
		for _, d := range list {
			f.Add([]byte(d.example))
		}
	}
	f.Fuzz(compare)
}
