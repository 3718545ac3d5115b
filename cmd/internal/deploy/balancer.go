// A balancer's file: what is asked for, and the one function that makes it.

package deploy

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"

	"github.com/roost-ws/roost/cmd/internal/config"
)

// Program is a balancer that a file can be made for.
type Program string

// The programs. Files are for HAProxy 2.6, nginx 1.22 and Envoy 1.32 or newer.
const (
	HAProxy Program = "haproxy"
	Nginx   Program = "nginx"
	Envoy   Program = "envoy"
)

// Certificate is the path of the certificate when none is given.
func (p Program) Certificate() string { return "/etc/" + string(p) + "/site.pem" }

// Sticky says which connections meet on one node. Nothing depends on it but cost: publications reach every member of
// a room wherever it is.
type Sticky string

// The ways to choose a node. StickyRoom puts the members of a room on few nodes, so that a publication travels to few.
const (
	StickyNone   Sticky = "none"
	StickyRoom   Sticky = "room"
	StickyIP     Sticky = "ip"
	StickyCookie Sticky = "cookie"
)

// StickyWords are all of them, in the order in which help shows them.
var StickyWords = []Sticky{StickyNone, StickyRoom, StickyIP, StickyCookie}

// BalancerOptions say what the configuration of a node does not know. The names of the flags are in the errors.
type BalancerOptions struct {
	Program Program
	// Nodes are host:port, or a host alone for all ports of listen; each is one node. Empty is the node of the
	// configuration, on this machine.
	Nodes []string
	// Sources are the balancer's own addresses to connect from; empty leaves the choice to the kernel.
	Sources []string
	// Bind is the address for clients, with "" or [::] as host for all.
	Bind string
	// Certificate is the path of a PEM file with certificate, chain and key.
	Certificate string
	// ServerName is the one host name that is served; empty is any.
	ServerName string
	Sticky     Sticky
	// ProxyProtocol has connections to nodes begin with a PROXY header.
	ProxyProtocol bool
}

// Balancer makes the file of a balancer before nodes that all have the configuration c. Warnings are what the file
// cannot mend. The error is a [config.Problems] that names flags and keys; then there is no file.
func Balancer(c *config.Config, o BalancerOptions) (text []byte, warnings []config.Problem, err error) {
	p := &plan{options: o, config: c}
	p.check()
	if len(p.problems) > 0 {
		return nil, nil, p.problems
	}
	if text, err = render(p.file()); err != nil {
		return nil, nil, err
	}
	return text, p.warnings(), nil
}

// plan is a file in the making: the options, and what they turned out to mean.
type plan struct {
	options  BalancerOptions
	config   *config.Config
	bind     netip.AddrPort
	nodes    []node
	sources  []netip.Addr
	problems config.Problems
}

// refuse reports a mistake in a flag.
func (p *plan) refuse(flag, wrong, fix string) {
	p.problems = append(p.problems, aboutFlag(flag, wrong, fix))
}

func aboutFlag(flag, wrong, fix string) config.Problem {
	return config.Problem{Origin: config.Origin{Layer: config.FromFlag, Name: flag}, Wrong: wrong, Fix: fix}
}

// plainPath is a path that no program takes apart: no blanks, quotes, $, #, ; or braces.
var plainPath = regexp.MustCompile(`^/[A-Za-z0-9/._+@=-]+$`)

// check reads the options and reports every mistake in them.
func (p *plan) check() {
	o := &p.options
	if !slices.Contains(StickyWords, o.Sticky) {
		p.refuse("sticky", fmt.Sprintf("%q is not a way to choose a node", o.Sticky), "write none, room, ip or cookie")
	}
	if !plainPath.MatchString(o.Certificate) {
		p.refuse("certificate", fmt.Sprintf("%q is not an absolute path of A-Z a-z 0-9 / . _ + @ = -", o.Certificate),
			"write one such as "+o.Program.Certificate())
	}
	if o.ServerName != "" && (!isName(o.ServerName) || isIP(o.ServerName)) {
		p.refuse("server-name", fmt.Sprintf("%q is not a host name", o.ServerName), "write one such as chat.example.com")
	}
	if o.ProxyProtocol && o.Program == Nginx {
		p.refuse("proxy-protocol", "nginx sends PROXY headers from its stream module alone, which sees neither rooms nor "+
			"statuses, and proxy.mode require has nodes insist on them",
			"set proxy.mode: off and list the balancer in proxy.trusted, so that X-Forwarded-For is believed")
	}
	p.readBind()
	p.readNodes()
	p.readSources()
	if len(p.problems) == 0 {
		p.countTuples()
	}
}

func isIP(text string) bool {
	_, err := netip.ParseAddr(text)
	return err == nil
}

// warnings are about what the nodes will make of the file.
func (p *plan) warnings() []config.Problem {
	var list []config.Problem
	require := p.config.Proxy.Mode == config.ProxyRequire
	switch {
	case p.options.ProxyProtocol && !require:
		list = append(list, aboutFlag("proxy-protocol", "the nodes refuse the PROXY header while proxy.mode is off", "set proxy.mode: require"))
	case !p.options.ProxyProtocol && require:
		list = append(list, aboutFlag("proxy-protocol", "the nodes refuse connections without a PROXY header while proxy.mode is require", "leave the flag away"))
	}
	if p.config.Limits.ConnectionsPerIP > 0 && !require && len(p.config.Proxy.Trusted) == 0 {
		list = append(list, config.Problem{Key: "limits.connections_per_ip", Wrong: "counts all clients as one, the balancer",
			Fix: "list the balancer in proxy.trusted"})
	}
	for _, source := range p.sources {
		trusted := func(n netip.Prefix) bool { return n.Contains(source) }
		if len(p.config.Proxy.Trusted) > 0 && !slices.ContainsFunc(p.config.Proxy.Trusted, trusted) {
			list = append(list, config.Problem{Key: "proxy.trusted", Wrong: "does not cover " + source.String() + " of --sources",
				Fix: "add " + netip.PrefixFrom(source, source.BitLen()).String()})
		}
	}
	return list
}
