package deploy

import (
	"bytes"
	"errors"
	"flag"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/cmd/internal/config"
)

var update = flag.Bool("update", false, "write golden files anew")

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; go test -update writes it anew. Got:\n%s", path, got)
	}
}

var programs = []Program{HAProxy, Nginx, Envoy}

// wanted is a case: what is changed of a default configuration and of options that hold.
type wanted struct {
	name string
	set  func(*config.Config, *BalancerOptions)
}

func (w wanted) options(p Program) (*config.Config, BalancerOptions) {
	c := config.Default()
	o := BalancerOptions{Program: p, Bind: ":443", Certificate: p.Certificate(), Sticky: StickyNone}
	if w.set != nil {
		w.set(&c, &o)
	}
	return &c, o
}

// examples are configurations whose files are kept in testdata and shown to the programs.
var examples = []wanted{
	{"plain", nil},
	{"room", func(c *config.Config, o *BalancerOptions) {
		o.Sticky, o.ServerName, o.Bind = StickyRoom, "Chat.example.com", "[::]:8443"
		o.Nodes = []string{"10.0.0.11:8080", "10.0.0.12:8080"}
		c.Limits.Connections = 50_000
	}},
	{"tuples", func(c *config.Config, o *BalancerOptions) {
		o.Sticky = StickyRoom
		c.Listen = []string{":8080", "0.0.0.0:8082", "[::]:8084"}
		o.Nodes = []string{"10.0.0.11", "10.0.0.12"}
		o.Sources = []string{"10.0.0.2", "10.0.0.3", "10.0.0.4"}
		c.Limits.Connections = 400_000
		c.Proxy.Trusted = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/29")}
		c.Auth.QueryToken = true
		c.Limits.HeaderBytes = 1 << 10
	}},
	{"ip", func(c *config.Config, o *BalancerOptions) {
		o.Sticky, o.Nodes = StickyIP, []string{"[2001:db8::11]:8080", "2001:db8::12"}
		o.Sources = []string{"2001:db8::2"}
		c.Heartbeat.Interval, c.Heartbeat.Timeout = 1500*time.Millisecond, time.Hour
		c.Limits.HandshakeTimeout = 100 * time.Millisecond
	}},
	{"cookie", func(c *config.Config, o *BalancerOptions) {
		o.Sticky, o.Nodes = StickyCookie, []string{"10.0.0.11:8080", "10.0.0.12:8080"}
		o.ProxyProtocol = o.Program != Nginx
		c.Drain.Grace = 0
	}},
}

func TestGolden(t *testing.T) {
	for _, p := range programs {
		for _, w := range examples {
			c, o := w.options(p)
			text, _, err := Balancer(c, o)
			if err != nil {
				t.Errorf("%s, %s: %v", p, w.name, err)
				continue
			}
			golden(t, "testdata/"+string(p)+"-"+w.name+".golden", text)
		}
	}
}

// TestMistakes: each is refused with the flag or key to mend, and nothing is made.
func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*config.Config, *BalancerOptions)
		want string
	}{
		{"node without a host", func(_ *config.Config, o *BalancerOptions) { o.Nodes = []string{":8080"} }, `flag --nodes: ":8080" is not a node`},
		{"node on every address", func(_ *config.Config, o *BalancerOptions) { o.Nodes = []string{"0.0.0.0:8080"} }, `"0.0.0.0:8080" is not a node`},
		{"node with a zone", func(_ *config.Config, o *BalancerOptions) { o.Nodes = []string{"[fe80::1%a;b]:80"} }, `is not a node`},
		{"node with a named port", func(_ *config.Config, o *BalancerOptions) { o.Nodes = []string{"a:http"} }, `"a:http" is not a node`},
		{"node that is a socket", func(_ *config.Config, o *BalancerOptions) { o.Nodes = []string{"unix:/x"} }, `is not a node`},
		{"empty node", func(_ *config.Config, o *BalancerOptions) { o.Nodes = []string{""} }, `"" is not a node`},
		{"node twice", func(_ *config.Config, o *BalancerOptions) { o.Nodes = []string{"a:80", "a:80"} }, `flag --nodes: a:80 is there twice; remove one`},
		{"node twice, once by listen", func(_ *config.Config, o *BalancerOptions) { o.Nodes = []string{"a", "a:8080"} }, `a:8080 is there twice`},
		{"any port", func(c *config.Config, _ *BalancerOptions) { c.Listen = []string{":0"} }, `listen ":0" does not tell a port`},
		{"any port of a host", func(c *config.Config, o *BalancerOptions) { c.Listen, o.Nodes = []string{"fd:3"}, []string{"a"} }, `listen "fd:3" does not tell a port`},
		{"listen with a zone", func(c *config.Config, _ *BalancerOptions) { c.Listen = []string{"[fe80::1%x y]:80"} }, `a balancer cannot use listen`},
		{"source that is a name", func(_ *config.Config, o *BalancerOptions) { o.Sources = []string{"lb"} }, `flag --sources: "lb" is not one IP address`},
		{"source with a zone", func(_ *config.Config, o *BalancerOptions) { o.Sources = []string{"fe80::1%eth0"} }, `is not one IP address`},
		{"source twice", func(_ *config.Config, o *BalancerOptions) { o.Sources = []string{"10.0.0.2", "::ffff:10.0.0.2"} }, `10.0.0.2 is there twice`},
		{"source of the other family", func(_ *config.Config, o *BalancerOptions) { o.Sources = []string{"2001:db8::2"} }, `2001:db8::2 cannot connect to 127.0.0.1:8080`},
		{"bind to a name", func(_ *config.Config, o *BalancerOptions) { o.Bind = "localhost:443" }, `flag --bind: "localhost:443" is not an IP address and a port`},
		{"bind to any port", func(_ *config.Config, o *BalancerOptions) { o.Bind = ":0" }, `is not an IP address and a port`},
		{"relative certificate", func(_ *config.Config, o *BalancerOptions) { o.Certificate = "site.pem" }, `flag --certificate: "site.pem" is not an absolute path`},
		{"address as a name", func(_ *config.Config, o *BalancerOptions) { o.ServerName = "10.0.0.1" }, `flag --server-name: "10.0.0.1" is not a host name`},
		{"unknown stickiness", func(_ *config.Config, o *BalancerOptions) { o.Sticky = "glue" }, `flag --sticky: "glue" is not a way`},
		{"too few tuples", func(c *config.Config, _ *BalancerOptions) { c.Limits.Connections = tupleConnections + 1 },
			`limits.connections: 58061 connections to this machine need 2 pairs of a balancer's address and a node's port (64512 ports each, of which nine tenths count: 58060), and 1 address(es) x 1 port(s) are 1; give listen 2 ports (and --nodes hosts alone), or --sources 2 addresses`},
		{"too few tuples at one node", func(c *config.Config, o *BalancerOptions) {
			c.Listen, c.Limits.Connections = []string{":1", ":2", ":3"}, 500_000
			o.Nodes, o.Sources = []string{"a", "b:1"}, []string{"10.0.0.2", "10.0.0.3", "10.0.0.4"}
		}, `connections to b need 9 pairs of a balancer's address and a node's port (64512 ports each, of which nine tenths count: 58060), and 3 address(es) x 1 port(s) are 3; give listen 3 ports (and --nodes hosts alone), or --sources 9 addresses`},
		{"too few tuples for a hash", func(c *config.Config, o *BalancerOptions) {
			c.Listen, c.Limits.Connections, o.Sticky = []string{":1", ":2"}, 2*tupleConnections, StickyRoom
		}, `need 3 pairs of a balancer's address and a node's port (64512 ports each, of which nine tenths count: 58060, and a quarter more for a hash, which fills them unevenly)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			settings, o := wanted{set: c.set}.options(HAProxy)
			text, _, err := Balancer(settings, o)
			var problems config.Problems
			if !errors.As(err, &problems) || !strings.Contains(err.Error(), c.want) || text != nil {
				t.Fatalf("%v, want %s", err, c.want)
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("more than one line: %v", err)
			}
		})
	}
}

// TestTuples is the table of what is needed for how many.
func TestTuples(t *testing.T) {
	for connections, want := range map[int]int{1: 1, 50_000: 1, 58_060: 1, 58_061: 2, 100_000: 2, 500_000: 9, 1_000_000: 18} {
		if got := ceil(connections, tupleConnections); got != want {
			t.Errorf("%d connections need %d tuples, want %d", connections, got, want)
		}
	}
}

// TestLoadBound: a hash may not send a target more than it has ports for.
func TestLoadBound(t *testing.T) {
	for _, c := range []struct{ connections, ports, want int }{
		{0, 1, 150}, {0, 9, 150}, {58_060, 1, 150}, {60_000, 2, 150}, {92_000, 2, 126}, {500_000, 11, 127},
	} {
		settings := config.Default()
		settings.Limits.Connections = c.connections
		p := &plan{config: &settings, nodes: []node{{targets: make([]target, c.ports)}}}
		if got := p.loadBound(); got != c.want {
			t.Errorf("%d connections over %d ports: %d %%, want %d", c.connections, c.ports, got, c.want)
		}
	}
}

func TestWarnings(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*config.Config, *BalancerOptions)
		want string
	}{
		{"nothing", nil, ""},
		{"PROXY for nodes that do not expect it", func(_ *config.Config, o *BalancerOptions) { o.ProxyProtocol = true }, "flag --proxy-protocol: the nodes refuse the PROXY header"},
		{"none for nodes that insist", func(c *config.Config, _ *BalancerOptions) { c.Proxy.Mode = config.ProxyRequire }, "refuse connections without a PROXY header"},
		{"one address for all", func(c *config.Config, _ *BalancerOptions) { c.Limits.ConnectionsPerIP = 3 }, "limits.connections_per_ip: counts all clients as one"},
		{"addresses by header", func(c *config.Config, _ *BalancerOptions) {
			c.Limits.ConnectionsPerIP = 3
			c.Proxy.Trusted = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		}, ""},
		{"source that is not believed", func(c *config.Config, o *BalancerOptions) {
			o.Sources = []string{"10.0.0.2", "192.0.2.2"}
			c.Proxy.Trusted = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		}, "proxy.trusted: does not cover 192.0.2.2 of --sources; add 192.0.2.2/32"},
	} {
		t.Run(c.name, func(t *testing.T) {
			settings, o := wanted{set: c.set}.options(HAProxy)
			_, warnings, err := Balancer(settings, o)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, w := range warnings {
				lines = append(lines, w.Error())
			}
			if got := strings.Join(lines, "\n"); c.want == "" && got != "" || !strings.Contains(got, c.want) || len(lines) > 1 {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
}

// TestTimesNest: whoever is nearer to the client waits longer than the node does.
func TestTimesNest(t *testing.T) {
	for _, d := range []time.Duration{time.Second, 30 * time.Second, time.Hour} {
		c := config.Default()
		c.Heartbeat.Interval, c.Heartbeat.Timeout, c.Limits.HandshakeTimeout = d, d, min(d, 5*time.Minute)
		p := &plan{config: &c}
		f := p.file()
		if f.Idle <= c.Heartbeat.Interval+c.Heartbeat.Timeout || f.Answer() <= c.Limits.HandshakeTimeout {
			t.Errorf("idle %v, answer %v", f.Idle, f.Answer())
		}
	}
	for grace, want := range map[time.Duration]time.Duration{0: 500 * time.Millisecond, 2 * time.Second: time.Second, time.Minute: 2 * time.Second} {
		if got := checkInterval(grace); got != want {
			t.Errorf("drain.grace %v: check each %v, want %v", grace, got, want)
		}
	}
	for d, want := range map[time.Duration]string{5 * time.Second: "5s", 1500 * time.Millisecond: "1500ms", time.Microsecond: "1ms"} {
		if got := wait(d); got != want {
			t.Errorf("%v is written %s, want %s", d, got, want)
		}
	}
}

// TestRing: where a node stands does not depend on the order of nodes, nor on the addresses of the balancer.
func TestRing(t *testing.T) {
	ids := func(nodes, sources []string) map[string]int {
		c := config.Default()
		p := &plan{config: &c, options: BalancerOptions{Nodes: nodes, Sources: sources, Bind: ":1", Certificate: "/x", Sticky: StickyRoom}}
		if p.check(); p.problems != nil {
			t.Fatal(p.problems)
		}
		at := map[string]int{}
		for i, s := range p.servers() {
			if s.ID < 1 || s.ID >= 1<<20 {
				t.Errorf("%v stands at %d", s.Target, s.ID)
			}
			at[s.Target.String()+string(rune('a'+i%len(sources)))] = s.ID
		}
		return at
	}
	one := ids([]string{"10.0.0.11:80", "10.0.0.12:80", "10.0.0.13:80"}, []string{"10.0.0.2", "10.0.0.3"})
	other := ids([]string{"10.0.0.13:80", "10.0.0.11:80"}, []string{"10.0.1.2", "10.0.1.3"})
	for at, id := range other {
		if one[at] != id {
			t.Errorf("%s stands at %d and at %d", at, one[at], id)
		}
	}
	taken := map[int]bool{}
	first := ringID(target{"a", 1}, 0, taken)
	if second := ringID(target{"a", 1}, 0, taken); second == first {
		t.Error("two stand at one place")
	}
}

// TestLogs: no format shows what may hold a token or a room.
func TestLogs(t *testing.T) {
	formats := map[Program][2]string{HAProxy: {"log-format", "\n"}, Nginx: {"log_format", ";"}, Envoy: {"inline_string", "\n  "}}
	for _, p := range programs {
		text, _, err := Balancer(wanted{}.options(p))
		if err != nil {
			t.Fatal(err)
		}
		_, format, ok := strings.Cut(string(text), formats[p][0])
		format, _, _ = strings.Cut(format, formats[p][1])
		if !ok || !strings.Contains(strings.ToLower(format), "tls") && !strings.Contains(format, "ssl") { // its last word
			t.Fatalf("%s has no log format", p)
		}
		for _, leak := range []string{"%r", "%HU", "%HP", "%HQ", "%{", "%h", "capture", "$request ", "$request_uri", "$uri", "$args", "$http_", "$query", "REQ(", "PATH", "QUERY"} {
			if strings.Contains(format, leak) {
				t.Errorf("%s logs %s: %s", p, leak, format)
			}
		}
	}
}

// FuzzOptions: text from outside is either refused, or stands in the file without adding a line or a character that
// has a meaning there.
func FuzzOptions(f *testing.F) {
	f.Add("10.0.0.11:8080", "10.0.0.2", ":443", "/etc/site.pem", "chat.example.com", ":8080")
	f.Add("a\n    server evil 6.6.6.6:80", "10.0.0.2\n", ":443\n", "/x\"\n", "a }\n", "[fe80::1%\n]:80")
	f.Add("a;b", "fe80::1%x;", "[::1%\n]:443", "/x;}", "a;", "a b:80")
	f.Add("[fe80::1%\nx]:80", "::ffff:10.0.0.2", "[::ffff:1.2.3.4]:443", "/$x", "*", "a#:80")
	f.Fuzz(func(t *testing.T, nodeText, source, bind, certificate, server, listen string) {
		for _, p := range programs {
			c := config.Default()
			c.Listen = []string{listen}
			o := BalancerOptions{Program: p, Nodes: []string{nodeText, "10.9.9.9"}, Sources: []string{source}, Bind: bind,
				Certificate: certificate, ServerName: server, Sticky: StickyRoom}
			got, _, err := Balancer(&c, o)
			if err != nil {
				continue
			}
			plain := o
			plain.Nodes, plain.Sources = []string{"node:1", "10.9.9.9"}, []string{"10.0.0.2"}
			plain.Certificate, c.Listen = "/site.pem", []string{":8080"}
			if server != "" {
				plain.ServerName = "name"
			}
			want, _, err := Balancer(&c, plain)
			if err != nil {
				t.Fatal(err)
			}
			for _, sign := range []string{"\n", "\r", "\x00", "\\", "\"", "'", "#", ";", "{", "}", "$", "%", " "} {
				if a, b := bytes.Count(got, []byte(sign)), bytes.Count(want, []byte(sign)); a != b && sign != " " || a > b {
					t.Errorf("%s: %d of %q, want %d:\n%s", p, a, sign, b, got)
				}
			}
		}
	})
}

func TestStickyWords(t *testing.T) {
	for _, s := range StickyWords {
		if !slices.ContainsFunc(examples, func(w wanted) bool {
			_, o := w.options(HAProxy)
			return o.Sticky == s
		}) {
			t.Errorf("no example for %s", s)
		}
	}
}
