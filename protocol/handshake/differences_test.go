package handshake

import (
	"encoding/base64"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// What roost is strict about on purpose, entry by entry; differential_test.go holds roost to it. Where roost refuses a
// head that another reader takes, there has to be a reason here, it has to be found in the bytes by other means than
// roost's parser, and the answer has to be the one that goes with it.

// loose is a head as a lenient reader sees it: lines end with LF, names with a colon.
type loose struct {
	size   int  // of the head, its empty line included
	bareLF bool // some line ends without a CR
	lines  []string
	fields []looseField
	method string
	target string
	path   string
	query  string
	proto  string
}

// looseField is one header line; the name is as written, the value without the white space before it.
type looseField struct{ line, name, value string }

func readLoosely(input []byte) *loose {
	l := new(loose)
	for line := range strings.Lines(string(input)) {
		l.size += len(line)
		l.bareLF = l.bareLF || strings.HasSuffix(line, "\n") && !strings.HasSuffix(line, "\r\n")
		line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
		if line == "" && len(l.lines) > 0 {
			break
		}
		l.lines = append(l.lines, line)
	}
	if len(l.lines) == 0 {
		return l
	}
	l.method, l.target, _ = strings.Cut(l.lines[0], " ")
	if at := strings.LastIndexByte(l.target, ' '); at >= 0 {
		l.target, l.proto = l.target[:at], l.target[at+1:]
	}
	l.path, l.query, _ = strings.Cut(l.target, "?")
	for _, line := range l.lines[1:] {
		name, value, _ := strings.Cut(line, ":")
		l.fields = append(l.fields, looseField{line, name, strings.TrimLeft(value, " \t")})
	}
	return l
}

// values are those of all lines with a name.
func (l *loose) values(names ...string) (all []string) {
	for _, f := range l.fields {
		for _, name := range names {
			if strings.EqualFold(f.name, name) {
				all = append(all, strings.TrimRight(f.value, " \t"))
			}
		}
	}
	return all
}

// params are the query's, decoded; ok is false if one can't be.
func (l *loose) params() (names, values []string, ok bool) {
	if l.query == "" {
		return nil, nil, true
	}
	for param := range strings.SplitSeq(l.query, "&") {
		name, value, _ := strings.Cut(param, "=")
		n, err1 := url.QueryUnescape(name)
		v, err2 := url.QueryUnescape(value)
		if err1 != nil || err2 != nil {
			return nil, nil, false
		}
		names, values = append(names, n), append(values, v)
	}
	if strings.HasSuffix(l.query, "&") { // nothing stands behind the last one
		names, values = names[:len(names)-1], values[:len(values)-1]
	}
	return names, values, true
}

// twice reports whether anything is on a list twice.
func twice(list []string) bool {
	list = slices.Sorted(slices.Values(list))
	return len(slices.Compact(slices.Clone(list))) < len(list)
}

var (
	tokenForm    = regexp.MustCompile("^[!#$%&'*+\\-.^_`|~0-9A-Za-z]+$")
	versionWords = regexp.MustCompile(`^HTTP/[0-9]\.[0-9]$`)
	pathForm     = regexp.MustCompile(`^/[A-Za-z0-9\-._~!$&'()*+,;=:@%/]*$`)
	queryForm    = regexp.MustCompile(`^[A-Za-z0-9\-._~!$&'()*+,;=:@%/?\[\]{}|^\\` + "`]*$")
	dotSegment   = regexp.MustCompile(`(?i)/(\.|%2e){1,2}(/|$)`)
	brokenEscape = regexp.MustCompile(`%([^0-9A-Fa-f]|$|.[^0-9A-Fa-f]|.$)`)
	controls     = regexp.MustCompile(`[\x00-\x08\x0a-\x1f\x7f]`)
	hostForm     = regexp.MustCompile(`^([A-Za-z0-9\-._~]+|\[[0-9A-Fa-f:.]+\])(:[1-9][0-9]{0,4})?$`)
	tokenList    = regexp.MustCompile("^[ \t,]*([!#$%&'*+\\-.^_`|~0-9A-Za-z]+[ \t]*(,[ \t,]*|$))*$")
	protocolList = regexp.MustCompile("^[ \t,]*([!#$%&'*+\\-.^_`|~0-9A-Za-z/]+[ \t]*(,[ \t,]*|$))*$")
)

func isFolded(line string) bool { return strings.HasPrefix(line, " ") || strings.HasPrefix(line, "\t") }

// listHeaders are kept line by line.
var listHeaders = []string{"Connection", "Upgrade", "Sec-WebSocket-Version", "Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions",
	"X-Forwarded-For", "Forwarded"}

// difference is one thing that roost refuses and another may take.
type difference struct {
	name    string
	refusal Refusal
	// rfc is where a specification says so, "" where roost has a reason of its own.
	rfc string
	why string
	is  func(l *loose) bool
	// example is a head that another takes and roost refuses for this alone.
	example string
}

// requestLine is a good head with another first line.
func requestLine(line string) string { return replacing("GET / HTTP/1.1", line) }

// replacing is a good head with a part of it replaced.
func replacing(old, new string) string {
	if !strings.Contains(get("/"), old) {
		panic(old)
	}
	return strings.Replace(get("/"), old, new, 1)
}

// meant are the differences of the head itself, which [Request.Parse] finds.
var meant = []difference{
	{"bare LF", Malformed, "RFC 9112 section 2.2", "a recipient may take a LF alone for a line end; a proxy in front may not, and the two then see different heads",
		func(l *loose) bool { return l.bareLF }, replacing("\r\n", "\n")},
	{"controls", Malformed, "RFC 9110 section 5.5", "CR, LF and NUL are invalid in a value and other controls have no use in one but to fool who reads a log",
		func(l *loose) bool {
			return slices.ContainsFunc(l.lines, func(s string) bool { return controls.MatchString(s) })
		}, get("/", "X: a\x00b\r\n")},
	{"request line", Malformed, "RFC 9112 section 3", "a method, one space, a target, one space, a version: more white space is a splitting attack's way in",
		func(l *loose) bool {
			return !tokenForm.MatchString(l.method) || l.target == "" || strings.ContainsAny(l.target, " \t") || !versionWords.MatchString(l.proto)
		}, ""},
	{"not the origin-form", Malformed, "RFC 9112 section 3.2", "absolute-form, authority-form and asterisk-form are for proxies and for OPTIONS",
		func(l *loose) bool { return !strings.HasPrefix(l.target, "/") }, requestLine("GET http://example.com/ HTTP/1.1")},
	{"letters of the path", Malformed, "RFC 3986 section 3.3", "what is no pchar has to be escaped; a fragment is never sent",
		func(l *loose) bool { return strings.HasPrefix(l.target, "/") && !pathForm.MatchString(l.path) }, get("/a#b")},
	{"letters of the query", Malformed, "RFC 3986 section 3.4", "likewise, but for those that browsers leave as they are",
		func(l *loose) bool { return !queryForm.MatchString(l.query) }, get("/?a=\"")},
	{"escapes", Malformed, "RFC 3986 section 2.1", "a percent sign without two digits means something else to each reader",
		func(l *loose) bool { return brokenEscape.MatchString(l.target) }, get("/?a=%2")},
	{"%00", Malformed, "", "no name here has a NUL, and for many programs a string ends there",
		func(l *loose) bool { return strings.Contains(l.target, "%00") }, get("/raw/a%00")},
	{"dot segments", Malformed, "RFC 3986 section 5.2.4", "a proxy may have resolved them for its rules or not; roost, which never does, must not be taken for another path",
		func(l *loose) bool { return dotSegment.MatchString(l.path) }, get("/a/../ws")},
	{"parameters twice", Malformed, "", "token and attempt are one, and rooms differ: the last one must not win silently",
		func(l *loose) bool {
			names, values, ok := l.params()
			count := map[string]int{}
			var rooms []string
			for i, name := range names {
				if count[name]++; name == "room" {
					rooms = append(rooms, values[i])
				}
			}
			return ok && (len(names) > maxQueryParams || count["token"] > 1 || count["attempt"] > 1 || twice(rooms))
		}, get("/?room=a&room=%61")},
	{"HTTP versions", HTTPVersion, "RFC 9110 section 15.6.6", "a WebSocket needs 1.1, and what 1.2 would be nobody knows",
		func(l *loose) bool { return versionWords.MatchString(l.proto) && l.proto != "HTTP/1.1" }, requestLine("GET / HTTP/1.2")},
	{"methods", Method, "RFC 6455 section 4.1", "a handshake is a GET; methods are case-sensitive",
		func(l *loose) bool { return l.method != "GET" }, requestLine("POST / HTTP/1.1")},
	{"long target", URITooLong, "RFC 9110 section 15.5.15", "a line of 8 KiB and a query of 6 KiB are more than anybody needs",
		func(l *loose) bool {
			lim := DefaultLimits()
			return len(l.lines[0]) > lim.LineBytes || len(l.query) > lim.QueryBytes
		}, get("/?" + strings.Repeat("a", 7000))},
	{"long head", HeadersTooLarge, "RFC 6585 section 5", "a head costs memory before anybody knows whose it is",
		func(l *loose) bool {
			lim := DefaultLimits()
			return l.size > lim.HeadBytes || len(l.fields) > lim.Headers || len(l.values(listHeaders...)) > maxRepeated ||
				slices.ContainsFunc(l.fields, func(f looseField) bool { return len(f.line) > lim.LineBytes })
		}, get("/", strings.Repeat("X: y\r\n", 65))},
	{"names", Malformed, "RFC 9112 section 5.1", "a name is a token, and white space between it and its colon has to be refused",
		func(l *loose) bool {
			return slices.ContainsFunc(l.fields, func(f looseField) bool {
				return !isFolded(f.line) && (!strings.Contains(f.line, ":") || !tokenForm.MatchString(f.name))
			})
		}, get("/", "X : y\r\n")},
	{"folded lines", Malformed, "RFC 9112 section 5.2", "a server must refuse a folded line or unfold it; who does not know that sees two",
		func(l *loose) bool {
			return slices.ContainsFunc(l.fields, func(f looseField) bool { return isFolded(f.line) })
		}, get("/", "X: a\r\n b: c\r\n")},
	{"Host", Malformed, "RFC 9112 section 3.2", "there is one, and it is a host; userinfo and percent signs are in no host that exists, an empty one is of no use",
		func(l *loose) bool {
			hosts := l.values("Host")
			if len(hosts) != 1 || !hostForm.MatchString(hosts[0]) || len(hosts[0]) > maxHostBytes {
				return true
			}
			_, port, _ := strings.Cut(hosts[0][strings.IndexByte(hosts[0], ']')+1:], ":")
			number, _ := strconv.Atoi(port)
			return number > 65535
		}, replacing("Host: ", "Host: user@")},
	{"Content-Length", Malformed, "RFC 9112 section 6.3", "a handshake has no body; one that is announced is another request to somebody",
		func(l *loose) bool {
			lengths := l.values("Content-Length")
			return len(lengths) > 1 || len(lengths) == 1 && lengths[0] != "0"
		}, get("/", "Content-Length: 5\r\n")},
	{"Transfer-Encoding", Malformed, "RFC 9112 section 6.1", "likewise",
		func(l *loose) bool { return len(l.values("Transfer-Encoding")) > 0 }, get("/", "Transfer-Encoding: chunked\r\n")},
	{"single headers twice", Malformed, "RFC 9110 section 5.3", "what is no list must not come twice: each reader takes another one",
		func(l *loose) bool {
			return slices.ContainsFunc([]string{"Origin", "Authorization", "Sec-WebSocket-Key", "User-Agent"},
				func(name string) bool { return len(l.values(name)) > 1 })
		}, get("/", "Sec-WebSocket-Key: "+key+"\r\n")},
}

// meantOfUpgrade are those of the handshake's headers, which [Request.CheckUpgrade] finds.
var meantOfUpgrade = []difference{
	{"Upgrade", NotUpgrade, "RFC 6455 section 4.2.1", "one line, a list of protocols, websocket among them",
		func(l *loose) bool {
			lines := l.values("Upgrade")
			return len(lines) != 1 || !protocolList.MatchString(lines[0]) || !hasWord(lines, "websocket")
		}, get("/", "Upgrade: websocket\r\n")},
	{"Connection", NotUpgrade, "RFC 9110 section 7.6.1", "lists of names, upgrade among them; a line that is none makes the rest worthless",
		func(l *loose) bool {
			lines := l.values("Connection")
			return slices.ContainsFunc(lines, func(s string) bool { return !tokenList.MatchString(s) }) || !hasWord(lines, "upgrade")
		}, replacing("Connection: Upgrade", "Connection: Upgrade, a b")},
	{"no version", Malformed, "RFC 6455 section 4.2.1", "there is one", func(l *loose) bool { return len(l.values("Sec-WebSocket-Version")) == 0 }, ""},
	{"version", Version, "RFC 6455 section 4.4", "13 alone and once, with nothing behind it: proxies that see a 426 otherwise than roost are the tunnel that smugglers use",
		func(l *loose) bool {
			n := 0
			for _, f := range l.fields {
				if strings.EqualFold(f.name, "Sec-WebSocket-Version") {
					if n++; n > 1 || f.value != "13" {
						return true
					}
				}
			}
			return false
		}, get("/", "Sec-WebSocket-Version: 13\r\n")},
	{"key", Malformed, "RFC 6455 section 4.2.1", "16 bytes in base64, with no stray bits at the end: nothing else is what a client makes",
		func(l *loose) bool {
			keys := l.values("Sec-WebSocket-Key")
			if len(keys) != 1 {
				return true
			}
			nonce, err := base64.StdEncoding.Strict().DecodeString(keys[0])
			return err != nil || len(nonce) != 16
		}, replacing(key, strings.Repeat("!", 24))},
}

// laxer are heads that roost takes and gobwas refuses.
var laxer = []difference{
	{"Upgrade as a list", Accepted, "RFC 6455 section 4.2.1", "the header has to include the keyword",
		func(l *loose) bool { return !strings.EqualFold(l.values("Upgrade")[0], "websocket") }, replacing("Upgrade: websocket", "Upgrade: h2c, websocket")},
	{"Connection in several lines", Accepted, "RFC 9110 section 5.3", "as any list may be; gobwas wants the word in each",
		func(l *loose) bool { return len(l.values("Connection")) > 1 }, get("/", "Connection: keep-alive\r\n")},
	{"tabs in a list", Accepted, "RFC 9110 section 5.6.3", "OWS is spaces and tabs",
		func(l *loose) bool { return strings.Contains(strings.Join(l.values("Connection"), ""), "\t") }, replacing("Connection: Upgrade", "Connection: a,\tUpgrade")},
}

func hasWord(lines []string, word string) bool {
	for element := range strings.SplitSeq(strings.Join(lines, ","), ",") {
		if strings.EqualFold(strings.Trim(element, " \t"), word) {
			return true
		}
	}
	return false
}
