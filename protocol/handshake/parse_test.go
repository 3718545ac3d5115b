package handshake

import (
	"strings"
	"testing"
)

func TestRequestLine(t *testing.T) {
	line := func(first string) string { return strings.Replace(get("/"), "GET / HTTP/1.1", first, 1) }
	runRows(t, []row{
		{"good", line("GET /ws HTTP/1.1"), Accepted},

		{"A1 POST", line("POST /ws HTTP/1.1"), Method},
		{"A1 PUT", line("PUT /ws HTTP/1.1"), Method},
		{"A1 HEAD", line("HEAD /ws HTTP/1.1"), Method},
		{"A1 POST with a body", line("POST /ws HTTP/1.1\r\nContent-Length: 3"), Method},
		{"A1 methods are case-sensitive", line("get /ws HTTP/1.1"), Method},
		{"A1 method is no token", line("G(T /ws HTTP/1.1"), Malformed},

		{"A2 HTTP/1.0", line("GET /ws HTTP/1.0"), HTTPVersion},
		{"A2 HTTP/1.2", line("GET /ws HTTP/1.2"), HTTPVersion},
		{"A2 HTTP/2.0 in a request line", line("GET /ws HTTP/2.0"), HTTPVersion},
		{"A2 POST by HTTP/1.0", line("POST /ws HTTP/1.0"), HTTPVersion},
		{"A2 preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", Malformed},
		{"A2 HTTP/0.9", "GET /\r\n", Malformed},
		{"A2 version in lower case", line("GET /ws http/1.1"), Malformed},
		{"A2 version of two digits", line("GET /ws HTTP/1.10"), Malformed},
		{"A2 no version", line("GET /ws"), Malformed},
		{"A2 no target", line("GET HTTP/1.1"), Malformed},
		{"A2 no method", line(" /ws HTTP/1.1"), Malformed},

		{"two spaces before the target", line("GET  /ws HTTP/1.1"), Malformed},
		{"two spaces before the version", line("GET /ws  HTTP/1.1"), Malformed},
		{"tab between", line("GET\t/ws\tHTTP/1.1"), Malformed},
		{"space behind", line("GET /ws HTTP/1.1 "), Malformed},
		{"space in the target", line("GET /w s HTTP/1.1"), Malformed},
		{"empty line before the request", "\r\n" + get("/ws"), Malformed},
		{"TLS client hello", "\x16\x03\x01\x02\x00\x01\x00", Malformed},
		{"PROXY header", "PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n" + get("/ws"), Malformed},

		{"A14 absolute-form", line("GET http://example.com/ws HTTP/1.1"), Malformed},
		{"A14 asterisk-form", line("OPTIONS * HTTP/1.1"), Malformed},
		{"A14 authority-form", line("CONNECT example.com:80 HTTP/1.1"), Malformed},
		{"A14 fragment", get("/ws#a"), Malformed},
		{"A14 fragment in the query", get("/ws?a=b#c"), Malformed},
		{"A14 NUL", get("/ws\x00"), Malformed},
		{"A14 %00 in the path", get("/ws%00"), Malformed},
		{"A14 %00 in the query", get("/ws?room=a%00"), Malformed},
		{"A14 half an escape", get("/ws%2"), Malformed},
		{"A14 no escape", get("/ws%zz"), Malformed},
		{"A14 half an escape in the query", get("/ws?room=%4"), Malformed},
		{"A14 dot segment", get("/a/./ws"), Malformed},
		{"A14 dot-dot segment", get("/a/../ws"), Malformed},
		{"A14 dot-dot at the end", get("/raw/.."), Malformed},
		{"A14 dot-dot encoded", get("/a/%2e%2E/ws"), Malformed},
		{"A14 dot-dot half encoded", get("/a/.%2e"), Malformed},
		{"A14 dots in a name", get("/raw/a..b"), Accepted},
		{"A14 three dots", get("/raw/..."), Accepted},
		{"A14 dot-dot in the query", get("/ws?x=/../"), Accepted},
		{"A14 UTF-8", get("/raw/ü"), Malformed},
		{"A14 quote", get(`/"`), Malformed},
		{"A14 backslash", get(`/a\b`), Malformed},
		{"A14 what browsers leave bare in a query", get("/ws?x=[{|}]^`"), Accepted},
		{"A26 markup in the path", get("/<script>"), Malformed},
		{"A26 encoded CRLF in the path is another path", get("/ws%0d%0aSet-Cookie:x"), Accepted},
	})
}

func TestHeaders(t *testing.T) {
	noHost := "GET /ws HTTP/1.1\r\n" + upgradeHeaders
	host := func(value string) string { return noHost + "Host: " + value + "\r\n\r\n" }
	more := func(lines string) string { return get("/ws", lines) }
	runRows(t, []row{
		{"A3 no Host", noHost + "\r\n", Malformed},
		{"A3 two Host", more("Host: example.com\r\n"), Malformed},
		{"A3 two Host in other case", more("hOST: evil.example\r\n"), Malformed},
		{"A3 empty", host(""), Malformed},
		{"A3 userinfo", host("user@example.com"), Malformed},
		{"A3 userinfo with password", host("user:pw@example.com"), Malformed},
		{"A3 space", host("example.com evil.example"), Malformed},
		{"A3 NUL", host("example.com\x00"), Malformed},
		{"A3 comma", host("example.com,evil.example"), Malformed},
		{"A3 path", host("example.com/x"), Malformed},
		{"A3 empty port", host("example.com:"), Malformed},
		{"A3 port without host", host(":80"), Malformed},
		{"A3 port out of range", host("example.com:65536"), Malformed},
		{"A3 port no number", host("example.com:http"), Malformed},
		{"A3 bare IPv6", host("::1"), Malformed},
		{"A3 open bracket", host("[::1"), Malformed},
		{"A3 empty brackets", host("[]"), Malformed},
		{"A3 text behind the bracket", host("[::1]x"), Malformed},
		{"A3 zone", host("[fe80::1%25eth0]"), Malformed},
		{"A3 percent sign", host("ex%61mple.com"), Malformed},
		{"A3 too long", host(strings.Repeat("a", maxHostBytes+1)), Malformed},
		{"A3 name and port", host("example.com:8080"), Accepted},
		{"A3 IPv6 and port", host("[2001:db8::1]:8080"), Accepted},
		{"A3 underscore", host("my_service"), Accepted},

		{"A4 body announced", more("Content-Length: 5\r\n"), Malformed},
		{"A4 zero", more("Content-Length: 0\r\n"), Accepted},
		{"A4 zero twice", more("Content-Length: 0\r\ncontent-length: 0\r\n"), Malformed},
		{"A4 zero with sign", more("Content-Length: +0\r\n"), Malformed},
		{"A4 two zeros", more("Content-Length: 00\r\n"), Malformed},
		{"A4 list", more("Content-Length: 0, 0\r\n"), Malformed},
		{"A4 empty", more("Content-Length:\r\n"), Malformed},

		{"A5 chunked", more("Transfer-Encoding: chunked\r\n"), Malformed},
		{"A5 identity", more("Transfer-Encoding: identity\r\n"), Malformed},
		{"A5 odd case", more("tRANSFER-eNCODING: xchunked\r\n"), Malformed},
		{"A5 space before the colon", more("Transfer-Encoding : chunked\r\n"), Malformed},
		{"A5 with length", more("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"), Malformed},
		{"A5 empty", more("Transfer-Encoding:\r\n"), Malformed},
		{"A5 folded name", more("X: y\r\n Transfer-Encoding: chunked\r\n"), Malformed},

		{"A6 bare LF everywhere", strings.ReplaceAll(get("/ws"), "\r\n", "\n"), Malformed},
		{"A6 bare LF in one line", more("X: y\n"), Malformed},
		{"A6 bare LF for the empty line", "GET /ws HTTP/1.1\r\nHost: a\r\n\n", Malformed},
		{"A6 bare CR", more("X: y\rZ: w\r\n"), Malformed},
		{"A6 two CR", more("X: y\r\r\n"), Malformed},
		{"A6 only CR", strings.ReplaceAll(get("/ws"), "\r\n", "\r") + "\n", Malformed},
		{"A6 NUL in a value", more("X: a\x00b\r\n"), Malformed},
		{"A6 NUL in a long value", more("X: " + strings.Repeat("a", 21) + "\x00" + strings.Repeat("b", 21) + "\r\n"), Malformed},
		{"A6 CTL in a value", more("X: a\x1bb\r\n"), Malformed},
		{"A6 DEL in a long value", more("X: 0123456789\x7f123456789\r\n"), Malformed},
		{"A6 tab in a long value", more("X: 0123456789\t123456789\r\n"), Accepted},
		{"A6 UTF-8 in a value", more("X: 0123456789üüüü\r\n"), Accepted},
		{"A6 folded with space", more("X: y\r\n z\r\n"), Malformed},
		{"A6 folded with tab", more("X: y\r\n\tz\r\n"), Malformed},
		{"A6 space before the colon", more("X : y\r\n"), Malformed},
		{"A6 space before the name", "GET /ws HTTP/1.1\r\n Host: a\r\n\r\n", Malformed},
		{"A6 CTL in a name", more("X\x01: y\r\n"), Malformed},
		{"A6 UTF-8 in a name", more("Xü: y\r\n"), Malformed},
		{"A6 Kelvin sign in a name", more("Sec-WebSoc\u212aet-Key: y\r\n"), Malformed},
		{"A6 no colon", more("X\r\n"), Malformed},
		{"A6 no name", more(": y\r\n"), Malformed},
		{"A6 empty value", more("X:\r\n"), Accepted},
		{"A6 no space before the value", more("X:y\r\n"), Accepted},

		{"two Origin", more("Origin: https://a.example\r\nOrigin: https://b.example\r\n"), Malformed},
		{"two Authorization", more("Authorization: Basic a\r\nAuthorization: Bearer b\r\n"), Malformed},
		{"the first fault decides", more("X : y\r\nTransfer-Encoding: chunked\r\n"), Malformed},
		{"method before a later fault", strings.Replace(more("X : y\r\n"), "GET", "POST", 1), Method},
	})
}

func TestBounds(t *testing.T) {
	lim := DefaultLimits()
	headers := func(n int) string {
		return "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", n-1) + "\r\n"
	}
	firstLine := func(n int) string {
		const around = len("GET / HTTP/1.1")
		return "GET /" + strings.Repeat("a", n-around) + " HTTP/1.1"
	}
	headerLine := func(n int) string { return "X: " + strings.Repeat("a", n-len("X: ")) }
	head := func(n int) string {
		s := "GET / HTTP/1.1\r\nHost: a\r\n"
		for len(s)+8000 < n {
			s += headerLine(4000) + "\r\n"
		}
		return s + headerLine(n-len(s)-len("\r\n\r\n")) + "\r\n\r\n"
	}
	rest := "\r\nHost: a\r\n\r\n"
	for _, row := range []struct {
		name  string
		input string
		want  Refusal
		at    int // how many bytes are enough for the refusal
	}{
		{"64 headers", headers(64), Accepted, 0},
		{"A9 65 headers", headers(65), HeadersTooLarge, len(headers(65)) - 2},
		{"A9 1000 headers", headers(1000), HeadersTooLarge, len(headers(65)) - 2},
		{"A9 10000 headers", headers(10000), HeadersTooLarge, len(headers(65)) - 2},
		{"longest request line", firstLine(lim.LineBytes) + rest, Accepted, 0},
		{"A10 request line too long by one", firstLine(lim.LineBytes+1) + rest, URITooLong, lim.LineBytes + 2},
		{"A10 request line of 1 MiB", firstLine(1<<20) + rest, URITooLong, lim.LineBytes + 2},
		{"A10 endless request line", "GET /" + strings.Repeat("a", 1<<16), URITooLong, lim.LineBytes + 2},
		{"A10 endless method", strings.Repeat("G", 1<<16), URITooLong, lim.LineBytes + 2},
		{"longest header", "GET / HTTP/1.1\r\n" + headerLine(lim.LineBytes) + rest, Accepted, 0},
		{"A10 header too long by one", "GET / HTTP/1.1\r\n" + headerLine(lim.LineBytes+1) + rest, HeadersTooLarge,
			len("GET / HTTP/1.1\r\n") + lim.LineBytes + 2},
		{"A10 endless header", "GET / HTTP/1.1\r\nX: " + strings.Repeat("a", 1<<16), HeadersTooLarge,
			len("GET / HTTP/1.1\r\n") + lim.LineBytes + 2},
		{"A10 endless header name", "GET / HTTP/1.1\r\n" + strings.Repeat("a", 1<<16), HeadersTooLarge,
			len("GET / HTTP/1.1\r\n") + lim.LineBytes + 2},
		{"largest head", head(lim.HeadBytes), Accepted, 0},
		{"A10 head too large by one", head(lim.HeadBytes + 1), HeadersTooLarge, lim.HeadBytes},
		{"A10 head too large", head(1 << 18), HeadersTooLarge, lim.HeadBytes},
		{"longest query", get("/?" + strings.Repeat("a", lim.QueryBytes)), Accepted, 0},
		{"query too long", get("/?" + strings.Repeat("a", lim.QueryBytes+1)), URITooLong,
			len("GET /?") + lim.QueryBytes + 1 + len(" HTTP/1.1\r\n")},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, v := judge(t, row.input, &lim)
			if v.parse != row.want || row.want == Accepted && v.n != len(row.input) {
				t.Fatalf("n %d, refusal %v, want %v", v.n, v.parse, row.want)
			}
			if row.want == Accepted {
				return
			}
			if _, v := feed([]byte(row.input[:row.at]), &lim); v.parse != row.want {
				t.Errorf("not refused at byte %d", row.at)
			}
			if _, v := feed([]byte(row.input[:row.at-1]), &lim); v.parse != Accepted || v.n != 0 {
				t.Errorf("refused before byte %d", row.at)
			}
		})
	}
}

// TestSmallHead has a head bound inside the first line, where the line bound never counts.
func TestSmallHead(t *testing.T) {
	lim := Limits{HeadBytes: 20, LineBytes: 100, Headers: 4, QueryBytes: 4}
	if _, v := judge(t, "GET /aaaaaaaaaaaaaaaaaaaa HTTP/1.1\r\n", &lim); v.parse != URITooLong {
		t.Error(v.parse)
	}
	if _, v := judge(t, "GET / HTTP/1.1\r\nHo: st\r\n\r\n", &lim); v.parse != HeadersTooLarge {
		t.Error(v.parse)
	}
	if _, v := judge(t, "GET / HTTP/1.1\r\nH:\r\n\r\n", &lim); v.parse != HeadersTooLarge {
		t.Error("line ends exactly at the bound, head does not:", v.parse)
	}
}

// TestRepeatedLines has more lines of the headers that may come several times than are kept.
func TestRepeatedLines(t *testing.T) {
	lim := DefaultLimits()
	line := "X-Forwarded-For: 192.0.2.1\r\n"
	const others = 3 // Upgrade, Connection and the version
	if _, v := judge(t, get("/", strings.Repeat(line, maxRepeated-others)), &lim); v.refusal() != Accepted {
		t.Error(v)
	}
	if _, v := judge(t, get("/", strings.Repeat(line, maxRepeated-others+1)), &lim); v.parse != HeadersTooLarge {
		t.Error(v)
	}
}

// TestFollowingBytes is A20: what comes in the same segment stays where it is.
func TestFollowingBytes(t *testing.T) {
	lim := DefaultLimits()
	head := get("/ws")
	for _, behind := range []string{"\x81\x85\x01\x02\x03\x04hello", "GET / HTTP/1.1\r\n\r\n", "\r\n\r\n", "\x00"} {
		_, v := judge(t, head+behind, &lim)
		if v.n != len(head) || v.refusal() != Accepted {
			t.Errorf("%q behind: %+v", behind, v)
		}
	}
}

func TestVerdictIsRepeated(t *testing.T) {
	lim := DefaultLimits()
	var r Request
	for range 2 {
		if n, refusal := r.Parse([]byte("POST / HTTP/1.1\r\n"), &lim); n != 0 || refusal != Method {
			t.Error(n, refusal)
		}
	}
	r.Reset()
	head := []byte(get("/"))
	for range 2 {
		if n, refusal := r.Parse(head, &lim); n != len(head) || refusal != Accepted {
			t.Error(n, refusal)
		}
	}
}

func TestFields(t *testing.T) {
	lim := DefaultLimits()
	r, v := judge(t, get("/ws?room=a&token=t.o.k",
		"Origin:https://app.example.com\r\n",
		"AUTHORIZATION: \t Bearer x \t\r\n",
		"user-agent: Mozilla/5.0 (X11)\r\n",
		"X-Forwarded-For: 198.51.100.1, 192.0.2.7 ,\r\n",
		"x-forwarded-for: [2001:db8::1]\r\n",
		"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
		"Sec-WebSocket-Extensions: x-other\r\n"), &lim)
	if v.parse != Accepted {
		t.Fatal(v.parse)
	}
	for _, field := range []struct{ name, got, want string }{
		{"Target", string(r.Target), "/ws?room=a&token=t.o.k"},
		{"Path", string(r.Path), "/ws"},
		{"RawQuery", string(r.RawQuery), "room=a&token=t.o.k"},
		{"Host", string(r.Host), "example.com"},
		{"Origin", string(r.Origin), "https://app.example.com"},
		{"Authorization", string(r.Authorization), "Bearer x"},
		{"Key", string(r.Key), key},
		{"UserAgent", string(r.UserAgent), "Mozilla/5.0 (X11)"},
		{"Extensions", string(r.Extensions(nil)), "permessage-deflate; client_max_window_bits,x-other"},
	} {
		if field.got != field.want {
			t.Errorf("%s is %q, want %q", field.name, field.got, field.want)
		}
	}
	if !r.IsBrowser() || !r.AsksUpgrade() {
		t.Error("no browser, or no upgrade")
	}
	walk := r.ForwardedFor()
	for _, want := range []string{"[2001:db8::1]", "192.0.2.7", "198.51.100.1"} {
		if got := walk.Prev(); string(got) != want {
			t.Errorf("forwarded for %q, want %q", got, want)
		}
	}
	for range 2 {
		if walk.Prev() != nil {
			t.Error("the walk goes on past its begin")
		}
	}
}

func TestAbsentAndEmpty(t *testing.T) {
	lim := DefaultLimits()
	r, _ := judge(t, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", &lim)
	if r.RawQuery != nil || r.Origin != nil || r.Key != nil || r.Extensions(nil) != nil || r.AsksUpgrade() {
		t.Error("an absent part is not nil")
	}
	r, _ = judge(t, "GET /? HTTP/1.1\r\nHost: a\r\nOrigin:\r\nSec-WebSocket-Extensions: \r\n\r\n", &lim)
	if r.RawQuery == nil || r.Origin == nil || r.Extensions(nil) == nil {
		t.Error("an empty part is nil")
	}
}
