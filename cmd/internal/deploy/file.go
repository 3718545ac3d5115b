// From plan to text: the values that templates are given, all of them numbers or text that was checked.

package deploy

import (
	"bytes"
	"embed"
	"fmt"
	"hash/fnv"
	"net/netip"
	"strconv"
	"strings"
	"text/template"
	"time"
)

//go:embed templates
var templates embed.FS

var parsed = template.Must(template.New("").Funcs(template.FuncMap{
	"wait":    wait,
	"seconds": func(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s" },
	"quote":   strconv.Quote,
}).ParseFS(templates, "templates/*.tmpl"))

// wait is d for HAProxy and nginx, which know units but no fractions. It rounds up.
func wait(d time.Duration) string {
	if d%time.Second == 0 {
		return strconv.FormatInt(int64(d/time.Second), 10) + "s"
	}
	return strconv.FormatInt(int64((d+time.Millisecond-1)/time.Millisecond), 10) + "ms"
}

// file is what a template sees.
type file struct {
	Program       Program
	Bind          netip.AddrPort
	Certificate   string
	ServerName    string
	Sticky        Sticky
	ProxyProtocol bool
	QueryToken    bool

	Nodes   []node
	Servers []server
	Sources []source
	Targets []target
	// Static says that all nodes are given by IP address.
	Static bool

	// Capped says that limits.connections is set; Connections is what the balancer has to carry.
	Capped            bool
	Connections       int
	Open              int // Connections, and room to refuse those beyond
	TupleConnections  int
	TargetConnections int // of all sources to one target
	LoadBound         int

	Handshake time.Duration // from request to 101
	Idle      time.Duration // silence that ends a tunnel
	Check     time.Duration // between two health checks
	Head      int           // bytes of a request head, with what the balancer adds
}

// server is one tuple, as a line of a balancer that has one line for each.
type server struct {
	Name   string
	Target target
	Source string // "" leaves it to the kernel
	ID     int    // place on the hash ring
}

// source is one of the balancer's addresses, with its share of the connections in percent; "*" is the rest.
type source struct {
	Address netip.Addr
	Share   string
	Name    string
}

const (
	// idleMargin is how much later than a node the balancer gives up on a silent connection: what a node says last
	// has to come through, and clocks and queues differ.
	idleMargin = 30 * time.Second
	// answerMargin is how much later than a node the balancer gives up on a handshake.
	answerMargin = 5 * time.Second
	// headMargin is room for what the balancer adds to a request head.
	headMargin = 2 << 10
)

// Hashed says that nodes stand on a ring; without one the node with the fewest connections is chosen.
func (f *file) Hashed() bool { return hashed(f.Program, f.Sticky) }

// hashed is true for all kinds of stickiness but HAProxy's cookie, which names a node.
func hashed(p Program, s Sticky) bool {
	return s == StickyRoom || s == StickyIP || s == StickyCookie && p != HAProxy
}

// DualStack says that the address for clients is that of all IPv6 addresses, which is meant to be all of IPv4 too.
func (f *file) DualStack() bool { return f.Bind.Addr().Is6() && f.Bind.Addr().IsUnspecified() }

// Answer is how long the answer to a request may take, the node's own bound and some more.
func (f *file) Answer() time.Duration { return f.Handshake + answerMargin }

// Twice and Files are what a process needs to have both sides of all connections open, and then some.
func (f *file) Twice() int { return 2 * f.Open }

// Files adds listeners, logs and checks.
func (f *file) Files() int { return f.Twice() + 1024 }

// Descriptors is the same where the kernel has to be told first, else 0.
func (f *file) Descriptors() int {
	const usual = 1 << 20 // fs.nr_open of a kernel that was told nothing
	if f.Files() <= usual {
		return 0
	}
	return f.Files()
}

// HeadKiB is Head in units of 1,024 bytes.
func (f *file) HeadKiB() int { return ceil(f.Head, 1<<10) }

// cluster is Envoy's group of nodes, one for each source.
type cluster struct {
	File         *file
	Name, Source string
}

// Clusters are all of them.
func (f *file) Clusters() []cluster {
	if len(f.Sources) == 0 {
		return []cluster{{File: f, Name: "nodes"}}
	}
	var list []cluster
	for _, s := range f.Sources {
		list = append(list, cluster{f, s.Name, s.Address.String()})
	}
	return list
}

func (p *plan) file() *file {
	o, c := &p.options, p.config
	f := &file{
		Program: o.Program, Bind: p.bind, Certificate: o.Certificate, ServerName: strings.ToLower(o.ServerName),
		Sticky: o.Sticky, ProxyProtocol: o.ProxyProtocol, QueryToken: c.Auth.QueryToken,
		Nodes: p.nodes, Servers: p.servers(), Static: true,
		Capped: c.Limits.Connections > 0, Connections: p.connections(),
		TupleConnections: tupleConnections, TargetConnections: tupleConnections * p.sourceCount(), LoadBound: p.loadBound(),
		Handshake: c.Limits.HandshakeTimeout,
		Idle:      c.Heartbeat.Interval + c.Heartbeat.Timeout + idleMargin,
		Check:     checkInterval(c.Drain.Grace),
		Head:      int(c.Limits.HeaderBytes) + headMargin,
	}
	f.Open = f.Connections + f.Connections/20 + 1000
	for _, n := range p.nodes {
		f.Targets = append(f.Targets, n.targets...)
	}
	for _, t := range f.Targets {
		f.Static = f.Static && isIP(t.Host)
	}
	f.Sources = p.shares()
	return f
}

// checkInterval has two checks fail while a draining node waits for that.
func checkInterval(grace time.Duration) time.Duration {
	return min(max(grace/2, 500*time.Millisecond), 2*time.Second)
}

// shares spreads connections evenly over the sources.
func (p *plan) shares() []source {
	var list []source
	for i, address := range p.sources {
		s := source{Address: address, Name: fmt.Sprintf("nodes%d", i+1), Share: "*"}
		if i < len(p.sources)-1 {
			s.Share = strconv.FormatFloat(float64(10000/len(p.sources))/100, 'f', 2, 64) + "%"
		}
		list = append(list, s)
	}
	return list
}

// servers lists the tuples of all nodes: node1, or node1-1, node1-2, ... where a node has several.
func (p *plan) servers() []server {
	var list []server
	taken := map[int]bool{}
	for i, n := range p.nodes {
		for j, t := range n.targets {
			for k := range p.sourceCount() {
				s := server{Name: fmt.Sprintf("node%d", i+1), Target: t, ID: ringID(t, k, taken)}
				if p.tuples(n) > 1 {
					s.Name += fmt.Sprintf("-%d", j*p.sourceCount()+k+1)
				}
				if len(p.sources) > 0 {
					s.Source = bracketed(p.sources[k])
				}
				list = append(list, s)
			}
		}
	}
	return list
}

// bracketed is an address as HAProxy tells one from a port.
func bracketed(ip netip.Addr) string {
	if ip.Is6() {
		return "[" + ip.String() + "]"
	}
	return ip.String()
}

// ringID is where a tuple stands on HAProxy's hash ring, which is made of server numbers. It follows from the
// target and the source's place in its list, so that a node keeps its rooms wherever its line stands, and two
// balancers with addresses of their own agree. Numbers stay below 2^20, beyond which HAProxy's ring repeats itself.
func ringID(t target, source int, taken map[int]bool) int {
	const ring = 1<<20 - 1
	h := fnv.New32a()
	fmt.Fprintf(h, "%v#%d", t, source)
	id := int(h.Sum32()%ring) + 1
	for taken[id] {
		id = id%ring + 1
	}
	taken[id] = true
	return id
}

// templateOf names the template of each program.
var templateOf = map[Program]string{
	HAProxy: "haproxy.cfg.tmpl",
	Nginx:   "nginx.conf.tmpl",
	Envoy:   "envoy.yaml.tmpl",
}

func render(f *file) ([]byte, error) {
	var b bytes.Buffer
	err := parsed.ExecuteTemplate(&b, templateOf[f.Program], f)
	return b.Bytes(), err
}
