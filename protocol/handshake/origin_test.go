package handshake

import (
	"net/url"
	"strings"
	"testing"
)

func TestOriginPolicy(t *testing.T) {
	list := []string{"https://app.example.com", "https://*.good.example", "http://localhost:3000", "https://[2001:DB8::1]:8443",
		"https://xn--bcher-kva.example", "capacitor://localhost"}
	for _, c := range []struct {
		name   string
		list   []string
		origin string
		host   string
		want   bool
	}{
		{"A17 listed", list, "https://app.example.com", "", true},
		{"A17 not listed", list, "https://other.example.com", "", false},
		{"A17 same host counts only for an empty list", list, "https://here.example", "here.example", false},
		{"A18 null", list, "null", "", false},
		{"A18 null listed", []string{"null"}, "null", "", true},
		{"A18 null in upper case", []string{"null"}, "NULL", "", false},
		{"A18 null and the star", []string{"*"}, "null", "", true},
		{"A18 null and same host", nil, "null", "null", false},
		{"A18 empty", list, "", "", false},
		{"A18 good name in front", list, "https://app.example.com.evil.com", "", false},
		{"A18 good name in front, wildcard", list, "https://good.example.evil.com", "", false},
		{"A18 good name behind", list, "https://evil-good.example", "", false},
		{"A18 good name behind, exact", list, "https://evilapp.example.com", "", false},
		{"A18 upper case", list, "HTTPS://App.Example.COM", "", true},
		{"A18 default port written", list, "https://app.example.com:443", "", true},
		{"A18 default port listed", []string{"https://app.example.com:443"}, "https://app.example.com", "", true},
		{"A18 default port of the other scheme", list, "https://app.example.com:80", "", false},
		{"A18 other port", list, "https://app.example.com:8443", "", false},
		{"A18 empty port", list, "https://app.example.com:", "", false},
		{"A18 port with a zero in front", list, "http://localhost:03000", "", false},
		{"A18 trailing dot", list, "https://app.example.com.", "", false},
		{"A18 trailing dot, wildcard", list, "https://a.good.example.", "", false},
		{"A18 http for https", list, "http://app.example.com", "", false},
		{"A18 https for http", list, "https://localhost:3000", "", false},
		{"A18 ws scheme", list, "wss://app.example.com", "", false},
		{"A18 punycode listed", list, "https://xn--bcher-kva.example", "", true},
		{"A18 punycode not listed", list, "https://xn--pp-eka.example.com", "", false},
		{"A18 UTF-8", list, "https://bücher.example", "", false},
		{"A18 path", list, "https://app.example.com/", "", false},
		{"A18 userinfo", list, "https://app.example.com@evil.example", "", false},
		{"A18 userinfo and port", list, "https://app.example.com:443@evil.example", "", false},
		{"A18 two origins", list, "https://app.example.com https://app.example.com", "", false},
		{"A18 backslash", list, `https://app.example.com\.evil.example`, "", false},
		{"A18 fragment", list, "https://app.example.com#", "", false},
		{"A18 no scheme", list, "app.example.com", "", false},
		{"A18 scheme alone", list, "https://", "", false},
		{"A18 scheme-relative", list, "//app.example.com", "", false},
		{"A18 too long", []string{"https://*.good.example"}, "https://" + strings.Repeat("a", 400) + ".good.example", "", false},
		{"wildcard", list, "https://a.good.example", "", true},
		{"wildcard, deep", list, "https://c.b.a.Good.Example", "", true},
		{"wildcard, the name itself", list, "https://good.example", "", false},
		{"wildcard, empty label", list, "https://.good.example", "", false},
		{"wildcard, empty label within", list, "https://a..good.example", "", false},
		{"wildcard, a star", list, "https://*.good.example", "", false},
		{"wildcard, other scheme", list, "http://a.good.example", "", false},
		{"wildcard, other port", list, "https://a.good.example:8443", "", false},
		{"wildcard with port", []string{"https://*.good.example:8443"}, "https://a.good.example:8443", "", true},
		{"IPv6", list, "https://[2001:db8::1]:8443", "", true},
		{"IPv6, other", list, "https://[2001:db8::2]:8443", "", false},
		{"scheme of an app", list, "capacitor://localhost", "", true},
		{"scheme of an app, with a port", list, "capacitor://localhost:80", "", false},

		{"same host", nil, "https://example.com", "example.com", true},
		{"same host, http", nil, "http://example.com", "example.com", true},
		{"same host in other case", nil, "https://EXAMPLE.com", "Example.COM", true},
		{"same host and port", nil, "http://example.com:8080", "example.com:8080", true},
		{"same host, default port in Host", nil, "https://example.com", "example.com:443", true},
		{"same host, default port in Origin", nil, "https://example.com:443", "example.com", true},
		{"same host, default port of the other scheme", nil, "http://example.com", "example.com:443", false},
		{"same host, other port", nil, "https://example.com:8443", "example.com", false},
		{"same host, other port in Host", nil, "https://example.com", "example.com:8443", false},
		{"same host, name below", nil, "https://a.example.com", "example.com", false},
		{"same host, trailing dot in Origin", nil, "https://example.com.", "example.com.", false},
		{"same host, trailing dot in Host", nil, "https://example.com", "example.com.", false},
		{"same host, scheme of an app", nil, "capacitor://localhost", "localhost", false},
		{"same host, no host", nil, "https://example.com", "", false},
		{"same host, IPv6", nil, "http://[::1]:8080", "[::1]:8080", true},

		{"star", []string{"*"}, "https://anything.example", "", true},
		{"star among others", []string{"https://a.example", "*"}, "garbage", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			o, err := NewOriginPolicy(c.list)
			if err != nil {
				t.Fatal(err)
			}
			if got := o.Allows([]byte(c.origin), []byte(c.host)); got != c.want {
				t.Errorf("%q is allowed: %v", c.origin, got)
			}
		})
	}
}

// TestMissingOrigin is A19, and of A18 the browser that sends none.
func TestMissingOrigin(t *testing.T) {
	lim := DefaultLimits()
	bare, _ := feed([]byte(get("/ws", "User-Agent: sensor/1.0\r\n")), &lim)
	browser, _ := feed([]byte(get("/ws", "User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\n")), &lim)
	empty, _ := feed([]byte(get("/ws", "Origin:\r\n")), &lim)
	page, _ := feed([]byte(get("/ws", "User-Agent: Mozilla/5.0\r\nOrigin: https://example.com\r\n")), &lim)
	for _, list := range [][]string{nil, {"https://example.com"}, {"*"}} {
		o, err := NewOriginPolicy(list)
		if err != nil {
			t.Fatal(err)
		}
		star := o.any
		if !o.Allows(nil, []byte("example.com")) || !o.AllowsRequest(bare) {
			t.Error("a request without Origin is refused")
		}
		if o.AllowsRequest(browser) != star {
			t.Error("a browser without Origin is not a browser")
		}
		if o.AllowsRequest(empty) != star {
			t.Error("an empty Origin is not a missing one")
		}
		if !o.AllowsRequest(page) {
			t.Error("the page is refused")
		}
	}
}

func TestOriginPolicyErrors(t *testing.T) {
	for _, text := range []string{
		"", "app.example.com", "https://", "https://app.example.com/", "https://app.example.com/x", "https://app.example.com:",
		"https://app.example.com:0", "https://app.example.com:65536", "https://a b.example", "https://*", "https://*.", "https://a.*.example",
		"https://*.*.example", "https://app*.example.com", "https://user@app.example.com", "https://app.example.com.", "https://*.[::1]",
		"*://app.example.com", "*.example.com", "https://bücher.example", "NULL", "://a", "1a://b",
	} {
		if _, err := NewOriginPolicy([]string{"https://fine.example", text}); err == nil {
			t.Errorf("%q is no origin", text)
		} else if !strings.Contains(err.Error(), "want ") && !strings.Contains(err.Error(), "write ") {
			t.Errorf("the error does not say what to write: %v", err)
		}
	}
}

// FuzzOrigin holds the policy against net/url and a comparison that is written the slow way.
func FuzzOrigin(f *testing.F) {
	f.Add("https://app.example.com", "https://APP.example.com:443", "app.example.com")
	f.Add("https://*.example.com", "https://a.b.example.com", "example.com:443")
	f.Add("https://*.example.com", "https://.example.com", "[::1]:80")
	f.Add("http://[::1]:80", "http://[::1]", "[::1]")
	f.Add("x+y://a", "x+y://a:1", "a:1")
	f.Fuzz(func(t *testing.T, entry, origin, host string) {
		same, err := NewOriginPolicy(nil)
		if err != nil {
			t.Fatal(err)
		}
		if same.Allows([]byte(origin), []byte(host)) && !slowSameHost(origin, host) {
			t.Errorf("%q is not of host %q", origin, host)
		}
		o, err := NewOriginPolicy([]string{entry})
		if err != nil || entry == "*" || entry == "null" {
			return
		}
		allowed := o.Allows([]byte(origin), []byte(host))
		if allowed != slowMatch(entry, origin) {
			t.Errorf("%q by %q: allowed %v", origin, entry, allowed)
		}
		if upper := o.Allows([]byte(strings.ToUpper(origin)), nil); allowed && !upper {
			t.Errorf("%q is allowed, but not in upper case", origin)
		}
	})
}

// slowOrigin is an origin in normal form, "" if it is none.
func slowOrigin(origin string) (scheme, host, port string) {
	u, err := url.Parse(origin)
	if err != nil || len(origin) > maxOriginBytes || u.Scheme == "" || u.Host == "" || u.User != nil ||
		!strings.EqualFold(u.Scheme+"://"+u.Host, origin) || strings.Trim(u.Host, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:[]") != "" {
		return "", "", ""
	}
	port = u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return u.Scheme, strings.ToLower(u.Hostname()), port
}

func slowMatch(entry, origin string) bool {
	plain := strings.Replace(entry, "://*.", "://", 1)
	wantScheme, wantHost, wantPort := slowOrigin(plain)
	scheme, host, port := slowOrigin(origin)
	if _, _, _, ok := splitOrigin([]byte(origin)); !ok || scheme == "" || scheme != wantScheme || port != wantPort {
		return false
	}
	if plain == entry {
		return host == wantHost && strings.Contains(origin, "[") == strings.Contains(entry, "[")
	}
	return strings.HasSuffix(host, "."+wantHost) && !strings.Contains(origin, "[")
}

func slowSameHost(origin, host string) bool {
	scheme, name, port := slowOrigin(origin)
	_, hostName, hostPort := slowOrigin(scheme + "://" + host)
	return scheme != "" && name == hostName && port == hostPort
}
