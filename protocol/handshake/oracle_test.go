package handshake

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/gobwas/httphead"
	"github.com/gobwas/ws"
)

// What roost accepts, net/http and gobwas/ws have to accept too, and they have to see the same in it. Where that is
// not so it is meant, and it is this list:
//
//   - Upgrade may be a list with websocket in it (RFC 6455 section 4.2.1); gobwas wants the one word.
//   - Connection may come in several lines, as any list may; gobwas wants upgrade in each of them.
//   - A tab may stand around the elements of a list, as a space may (OWS); gobwas takes it for a fault in the list.
//   - net/url drops query parameters with a ';' in them; roost takes it for the letter it is.
//
// The other way round, roost refuses much that they accept: TestStricterThanOracles.

// memoryConn is a connection with all of its input there and its output kept.
type memoryConn struct {
	io.Reader
	out bytes.Buffer
}

func (c *memoryConn) Write(p []byte) (int, error) { return c.out.Write(p) }

// upgradeByGobwas runs the oracle over a head.
func upgradeByGobwas(head []byte) (answer []byte, uri, host string, protocols []string, err error) {
	conn := &memoryConn{Reader: bytes.NewReader(head)}
	_, err = ws.Upgrader{
		OnRequest: func(b []byte) error { uri = string(b); return nil },
		OnHost:    func(b []byte) error { host = string(b); return nil },
		ProtocolCustom: func(b []byte) (string, bool) {
			ok := httphead.ScanTokens(b, func(token []byte) bool { protocols = append(protocols, string(token)); return true })
			return "", ok
		},
	}.Upgrade(conn)
	return conn.out.Bytes(), uri, host, protocols, err
}

// checkAgainstOracles compares a complete request, and the head it is of, with what the oracles say.
func checkAgainstOracles(t *testing.T, r *Request, head []byte, v verdict) {
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(head)))
	if err != nil {
		t.Fatalf("net/http refuses: %v", err)
	}
	for _, field := range []struct{ name, got, want string }{
		{"target", string(r.Target), req.RequestURI},
		{"query", string(r.RawQuery), req.URL.RawQuery},
		{"host", string(r.Host), req.Host},
		{"origin", string(r.Origin), req.Header.Get("Origin")},
		{"authorization", string(r.Authorization), req.Header.Get("Authorization")},
		{"key", string(r.Key), req.Header.Get("Sec-WebSocket-Key")},
		{"user agent", string(r.UserAgent), req.Header.Get("User-Agent")},
		{"extensions", string(r.Extensions(nil)), strings.Join(req.Header["Sec-Websocket-Extensions"], ",")},
	} {
		if field.got != field.want {
			t.Errorf("%s is %q, net/http says %q", field.name, field.got, field.want)
		}
	}
	if path, err := url.PathUnescape(string(r.Path)); err != nil || path != req.URL.Path {
		t.Errorf("path is %q, net/http says %q", r.Path, req.URL.Path)
	}
	if req.ContentLength != 0 || len(req.TransferEncoding) > 0 {
		t.Error("net/http sees a body")
	}
	checkQueryAgainstOracle(t, r)
	if v.upgrade == Accepted {
		checkUpgradeAgainstOracle(t, r, head, req)
	}
}

func checkQueryAgainstOracle(t *testing.T, r *Request) {
	if bytes.IndexByte(r.RawQuery, ';') >= 0 {
		return
	}
	values, err := url.ParseQuery(string(r.RawQuery))
	if err != nil {
		t.Fatalf("net/url refuses the query: %v", err)
	}
	var rooms []string
	for room := range r.Rooms(nil) {
		rooms = append(rooms, string(room))
	}
	if !slices.Equal(rooms, values["room"]) {
		t.Errorf("rooms %q, net/url says %q", rooms, values["room"])
	}
	for _, name := range []string{"token", "attempt"} {
		value, count := r.QueryValue(name)
		if string(AppendDecoded(nil, value)) != values.Get(name) || count != len(values[name]) || count > 1 {
			t.Errorf("%s is %q, %d times, net/url says %q", name, value, count, values[name])
		}
	}
}

func checkUpgradeAgainstOracle(t *testing.T, r *Request, head []byte, req *http.Request) {
	lists := strings.Join(slices.Concat(req.Header["Connection"], req.Header["Sec-Websocket-Protocol"]), "")
	if !strings.EqualFold(req.Header.Get("Upgrade"), "websocket") || len(req.Header["Connection"]) > 1 || strings.Contains(lists, "\t") {
		return
	}
	offer, refusal := r.Offer(false)
	answer, uri, host, protocols, err := upgradeByGobwas(head)
	if err != nil {
		if refusal == Accepted {
			t.Fatalf("gobwas refuses: %v", err)
		}
		return
	}
	if uri != string(r.Target) || host != string(r.Host) {
		t.Errorf("target %q, host %q; gobwas says %q, %q", r.Target, r.Host, uri, host)
	}
	theirs, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(answer)), req)
	if err != nil {
		t.Fatal(err)
	}
	ours, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(AppendSwitching(nil, r.Key, offer.Echo, nil))), req)
	if err != nil {
		t.Fatal(err)
	}
	const accept = "Sec-WebSocket-Accept"
	if got, want := ours.Header.Get(accept), theirs.Header.Get(accept); got != want || got == "" {
		t.Errorf("accept %q, gobwas says %q", got, want)
	}
	if refusal != Accepted {
		return
	}
	if offer.RoostV1 != slices.Contains(protocols, Subprotocol) {
		t.Errorf("roost.v1 %v, gobwas says %q", offer.RoostV1, protocols)
	}
	if got := ours.Header.Get("Sec-WebSocket-Protocol"); got != string(offer.Echo) || got != "" && !slices.Contains(protocols, got) {
		t.Errorf("selected %q of %q", got, protocols)
	}
}

// TestStricterThanOracles has heads that gobwas answers with 101. Each is a way to make two programs see two
// different requests; should an oracle learn to refuse one, its row is there to notice.
func TestStricterThanOracles(t *testing.T) {
	lim := DefaultLimits()
	for name, head := range map[string]string{
		"Content-Length":         get("/", "Content-Length: 5\r\n"),
		"Transfer-Encoding":      get("/", "Transfer-Encoding: chunked\r\n"),
		"two Host":               get("/", "Host: evil.example\r\n"),
		"two keys":               get("/", "Sec-WebSocket-Key: "+key+"\r\n"),
		"key not base64":         strings.Replace(get("/"), key, strings.Repeat("!", 24), 1),
		"space before the colon": get("/", "X : y\r\n"),
		"bare LF":                strings.ReplaceAll(get("/"), "\r\n", "\n"),
		"NUL in a value":         get("/", "X: \x00\r\n"),
		"Host with userinfo":     strings.Replace(get("/"), "Host: ", "Host: user@", 1),
		"absolute-form":          get("http://example.com/"),
		"dot segments":           get("/a/../b"),
		"fragment":               get("/#a"),
		"HTTP/1.2":               strings.Replace(get("/"), "HTTP/1.1", "HTTP/1.2", 1),
	} {
		if _, _, _, _, err := upgradeByGobwas([]byte(head)); err != nil {
			t.Errorf("%s: gobwas refuses it now: %v", name, err)
		}
		if _, v := judge(t, head, &lim); v.refusal() == Accepted {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestAgainstOracles(t *testing.T) {
	lim := DefaultLimits()
	for name, head := range map[string]string{
		"plain GET":         "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
		"bare":              get("/"),
		"browser":           browserHead,
		"encoded query":     get("/ws?%72oom=a%2Bb+c&room=&attempt=%31&token=x%41"),
		"encoded path":      get("/raw/%41%ff"),
		"two slashes":       get("//evil.example/ws"),
		"three slashes":     get("///ws"),
		"semicolon":         get("/ws?room=a;room=b"),
		"colon in the path": get("/a:b@c"),
		"only a question":   get("/?"),
		"lists":             get("/", "Sec-WebSocket-Protocol: ,chat , token.x\r\nSec-WebSocket-Extensions: a; b=\"c\"\r\nSec-WebSocket-Extensions: d\r\n"),
		"two Connection":    get("/", "Connection: keep-alive\r\n"),
		"IPv6 host":         "GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n" + upgradeHeaders + "\r\n",
		"no body":           get("/", "Content-Length: 0\r\n"),
		"obs-text":          get("/", "X: \xff\xfe\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			r, v := judge(t, head, &lim)
			if v.n != len(head) {
				t.Fatalf("%+v", v)
			}
			checkAgainstOracles(t, r, []byte(head), v)
		})
	}
}

// cutsOf makes cuts from fuzz input: each byte is how far on the next one is.
func cutsOf(steps []byte, end int) (cuts []int) {
	at := 0
	for _, step := range steps {
		if at += int(step); at >= end {
			break
		}
		cuts = append(cuts, at)
	}
	return cuts
}

// FuzzRequest: no input panics, every way to cut it has the same verdict, a verdict on a beginning is the verdict on
// the whole, and what is accepted the oracles accept.
func FuzzRequest(f *testing.F) {
	f.Add([]byte(browserHead), []byte{1, 15, 1, 40})
	f.Add([]byte(get("/ws?room=a&room=%62&attempt=1", "X-Forwarded-For: a, b\r\n")), []byte{200})
	f.Add([]byte(get("/", "Connection: a\r\nSec-WebSocket-Extensions: x\r\nSec-WebSocket-Extensions: y\r\n")), []byte{0, 3})
	f.Add([]byte(get("/a/%2e./b")), []byte{})
	f.Add([]byte("GET / HTTP/1.0\r\n\r\n"), []byte{14, 1, 1})
	f.Add([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), []byte{})
	f.Add([]byte(strings.ReplaceAll(get("/"), "\r\n", "\n")), []byte{3})
	small := Limits{HeadBytes: 512, LineBytes: 128, Headers: 12, QueryBytes: 64}
	f.Fuzz(func(t *testing.T, input, steps []byte) {
		for _, lim := range []Limits{small, DefaultLimits()} {
			r, whole := feed(input, &lim)
			if _, v := feed(input, &lim, cutsOf(steps, len(input))...); v != whole {
				t.Fatalf("cut: %+v, whole: %+v", v, whole)
			}
			if len(input) < 300 {
				if _, v := feed(input, &lim, cutsOf(bytes.Repeat([]byte{1}, len(input)), len(input))...); v != whole {
					t.Fatalf("byte by byte: %+v, whole: %+v", v, whole)
				}
			}
			if whole.n > 0 {
				if whole.n > lim.HeadBytes || !bytes.HasSuffix(input[:whole.n], []byte("\r\n\r\n")) {
					t.Fatalf("a head of %d bytes", whole.n)
				}
				checkAgainstOracles(t, r, input[:whole.n], whole)
			} else if whole.parse == Accepted && len(input) >= lim.HeadBytes {
				t.Fatalf("waits for more with %d bytes there", len(input))
			}
		}
	})
}

// FuzzOffer feeds header values only, so that lists and credentials are reached at once, and checks what the engine
// relies on: what is echoed can stand in a header, and there is one token at most.
func FuzzOffer(f *testing.F) {
	f.Add("roost.v1, token.a.b.c", "chat", "Bearer x", "token=y", true)
	f.Add("token.a", "roost.v1", "Basic x", "", false)
	f.Add(",,", "a b", "bearer  ==", "t%6fken=z", true)
	f.Fuzz(func(t *testing.T, first, second, authorization, query string, queryToken bool) {
		lim := DefaultLimits()
		head := get("/ws?"+query, "Sec-WebSocket-Protocol: "+first+"\r\n", "Sec-WebSocket-Protocol: "+second+"\r\n",
			"Authorization: "+authorization+"\r\n")
		r, v := feed([]byte(head), &lim)
		if v.n == 0 {
			return
		}
		o, refusal := r.Offer(queryToken)
		if refusal != Accepted {
			if o.Token != nil || o.Echo != nil {
				t.Fatal("a refused offer offers something")
			}
			return
		}
		if !allOf(o.Echo, isToken) || o.Echo != nil && len(o.Echo) == 0 {
			t.Fatalf("echo %q", o.Echo)
		}
		if (o.TokenFrom == NoToken) != (len(o.Token) == 0) || o.RoostV1 && string(o.Echo) != Subprotocol {
			t.Fatalf("%+v", o)
		}
		if o.EchoesToken() && o.TokenFrom != FromSubprotocol {
			t.Fatalf("echoes %q of %v", o.Echo, o.TokenFrom)
		}
		if strings.Count(","+strings.ToLower(first+","+second), "token.") == 0 && o.TokenFrom == FromSubprotocol {
			t.Fatal("a token from nowhere")
		}
		checkAgainstOracles(t, r, []byte(head)[:v.n], v)
	})
}
