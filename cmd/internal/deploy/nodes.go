// Addresses: of the nodes, of the balancer, and what may stand in a file as one.

package deploy

import (
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// node is one process behind the balancer, and all the addresses it has for clients.
type node struct {
	name    string // as the user wrote it
	targets []target
}

// target is one address of a node.
type target struct {
	Host string // an IP address without brackets, or a name
	Port int
}

func (t target) String() string { return net.JoinHostPort(t.Host, strconv.Itoa(t.Port)) }

var name = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?$`)

// isName reports whether text is a host name. It is looser than DNS (an underscore is common inside clusters) and
// yet holds nothing that a balancer's file gives a meaning to.
func isName(text string) bool { return name.MatchString(text) }

// readHost takes an IP address, with or without brackets, or a name. A zone is refused: it is text without rules.
func readHost(text string) (string, bool) {
	bare := text
	if n := len(text); n > 2 && text[0] == '[' && text[n-1] == ']' {
		bare = text[1 : n-1]
	}
	if ip, err := netip.ParseAddr(bare); err == nil {
		ip = ip.Unmap()
		return ip.String(), ip.Zone() == "" && !ip.IsMulticast()
	}
	return text, isName(text)
}

// readTarget takes host:port. The third result says whether there was a port at all.
func readTarget(text string) (t target, ok, port bool) {
	host, number, err := net.SplitHostPort(text)
	if err != nil {
		t.Host, ok = readHost(text)
		return t, ok, false
	}
	n, err := strconv.ParseUint(number, 10, 16)
	if t.Host, ok = readHost(host); err != nil || n == 0 {
		ok = false
	}
	t.Port = int(n)
	return t, ok, true
}

func (p *plan) readBind() {
	text := p.options.Bind
	if strings.HasPrefix(text, ":") {
		text = "0.0.0.0" + text
	}
	at, err := netip.ParseAddrPort(text)
	if err != nil || at.Port() == 0 || at.Addr().Zone() != "" || at.Addr().IsMulticast() {
		p.refuse("bind", fmt.Sprintf("%q is not an IP address and a port", p.options.Bind), "write :443, [::]:443 or one such as 192.0.2.1:443")
	}
	p.bind = at
}

// readNodes fills p.nodes from --nodes, or from listen without it.
func (p *plan) readNodes() {
	if len(p.options.Nodes) == 0 {
		p.nodes = []node{{name: "this machine", targets: p.listenTargets("127.0.0.1")}}
	}
	seen := map[target]bool{}
	for _, text := range p.options.Nodes {
		t, ok, port := readTarget(text)
		if ip, err := netip.ParseAddr(t.Host); err == nil && ip.IsUnspecified() {
			ok = false
		}
		if !ok {
			p.refuse("nodes", fmt.Sprintf("%q is not a node", text), "write host:port, or a host alone for all ports of listen, such as 10.0.0.11:8080")
			continue
		}
		n := node{name: t.Host, targets: []target{t}}
		if !port {
			n.targets = p.ports(p.listenTargets(t.Host), t.Host)
		}
		for _, t := range n.targets {
			if seen[t] {
				p.refuse("nodes", t.String()+" is there twice", "remove one")
			}
			seen[t] = true
		}
		p.nodes = append(p.nodes, n)
	}
}

// ports are the ports of list, each once, at one host.
func (p *plan) ports(list []target, host string) []target {
	for i := range list {
		list[i].Host = host
	}
	slices.SortFunc(list, func(a, b target) int { return a.Port - b.Port })
	return slices.Compact(list)
}

// listenTargets are the addresses of listen as a balancer can reach them; those on all addresses get the given host.
func (p *plan) listenTargets(host string) []target {
	var list []target
	for _, text := range p.config.Listen {
		// fd:3 would do as a name and a port.
		at, number, err := net.SplitHostPort(text)
		n, bad := strconv.ParseUint(number, 10, 16)
		if strings.HasPrefix(text, "fd:") || err != nil || bad != nil || n == 0 {
			p.refuse("nodes", fmt.Sprintf("is missing, and listen %q does not tell a port", text), "write host:port for each node, such as 10.0.0.11:8080")
			return nil
		}
		if ip, err := netip.ParseAddr(at); at == "" || err == nil && ip.IsUnspecified() {
			at = host
		}
		known, ok := readHost(at)
		if !ok {
			p.refuse("nodes", fmt.Sprintf("is missing, and a balancer cannot use listen %q", text), "write host:port for each node, such as 10.0.0.11:8080")
			return nil
		}
		list = append(list, target{known, int(n)})
	}
	return list
}

// readSources fills p.sources. All have to be of the family of the nodes, or no connection would come about.
func (p *plan) readSources() {
	for _, text := range p.options.Sources {
		ip, err := netip.ParseAddr(text)
		ip = ip.Unmap()
		switch {
		case err != nil || ip.Zone() != "" || ip.IsMulticast() || ip.IsUnspecified():
			p.refuse("sources", fmt.Sprintf("%q is not one IP address", text), "write addresses of the balancer, such as 10.0.0.2,10.0.0.3")
			continue
		case slices.Contains(p.sources, ip):
			p.refuse("sources", ip.String()+" is there twice", "remove one")
			continue
		}
		for _, n := range p.nodes {
			for _, t := range n.targets {
				if other, err := netip.ParseAddr(t.Host); err == nil && other.Is4() != ip.Is4() {
					p.refuse("sources", fmt.Sprintf("%v cannot connect to %v", ip, t), "write addresses of the nodes' family")
					return
				}
			}
		}
		p.sources = append(p.sources, ip)
	}
}
