// Addresses to listen on.

package config

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// address is one place to listen: a host and port, or an inherited descriptor.
type address struct {
	// host is "" for all of the machine's addresses.
	host string
	port int
	// fd is the descriptor's number, -1 without one.
	fd int
}

// parseAddress takes host:port, [v6]:port, :port and fd:N. It looks nothing up.
func parseAddress(text string) (address, *fault) {
	if number, ok := strings.CutPrefix(text, "fd:"); ok {
		n, err := strconv.Atoi(number)
		if err != nil || n < 3 || n > 1<<20 {
			return address{}, &fault{"is not an inherited descriptor", "write fd:3 or higher; 0 to 2 are standard input, output and error"}
		}
		return address{fd: n}, nil
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		if addr, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
			return address{}, &fault{"has no port", "write " + net.JoinHostPort(addr.String(), "8080")}
		}
		if _, err := strconv.ParseUint(text, 10, 16); err == nil {
			return address{}, &fault{"is only a port", "write :" + text}
		}
		return address{}, &fault{"is not an address", "write host:port, [v6]:port, :port or fd:3"}
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return address{}, &fault{"has no port number", "write a port from 0 to 65535"}
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		host = addr.Unmap().String()
	} else if strings.Trim(host, nodeBytes) != "" {
		return address{}, &fault{"has a host that is neither an IP address nor a name", "write one such as 127.0.0.1, [::1] or localhost"}
	}
	return address{host: host, port: int(n), fd: -1}, nil
}

// InheritedDescriptor is the number in an element of listen such as fd:3; false for an address.
func InheritedDescriptor(listen string) (number int, ok bool) {
	a, bad := parseAddress(listen)
	return a.fd, bad == nil && a.fd >= 0
}

// loopback reports whether a can only be reached from this machine. A name other than localhost is not looked
// up, and what a descriptor is bound to is not known here: neither counts.
func (a address) loopback() bool {
	if a.fd >= 0 {
		return false
	}
	ip, err := netip.ParseAddr(a.host)
	if err != nil {
		return strings.EqualFold(a.host, "localhost")
	}
	return ip.IsLoopback()
}

// everyIPv4 and everyAddress report whether a takes the port on all addresses of a family; the IPv6 wildcard
// takes IPv4 too.
func (a address) everyIPv4() bool    { return a.host == "0.0.0.0" }
func (a address) everyAddress() bool { return a.host == "" || a.host == "::" }

// clashes reports whether b cannot be bound once a is.
func (a address) clashes(b address) bool {
	if a.fd >= 0 || b.fd >= 0 {
		return a.fd == b.fd
	}
	if a.port != b.port || a.port == 0 { // each :0 gets a port of its own
		return false
	}
	if a.everyAddress() || b.everyAddress() || strings.EqualFold(a.host, b.host) {
		return true
	}
	return a.everyIPv4() && isIPv4(b.host) || b.everyIPv4() && isIPv4(a.host)
}

func isIPv4(host string) bool {
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Is4()
}

// validateAddresses checks listen and admin.listen, each alone and together.
func (r *reader) validateAddresses(dev bool) {
	type bound struct {
		key, text string
		at        address
	}
	var places []bound
	if len(r.cfg.Listen) == 0 {
		r.check("listen", "is empty", "write an address such as :8080")
	}
	for _, text := range r.cfg.Listen {
		places = append(places, bound{key: "listen", text: text})
	}
	places = append(places, bound{key: "admin.listen", text: r.cfg.Admin.Listen})
	var good []bound
	for _, p := range places {
		at, bad := parseAddress(p.text)
		if bad == nil && p.key == "admin.listen" && at.fd >= 0 {
			bad = &fault{"is an inherited descriptor, which only listen can be", "write host:port"}
		}
		if bad == nil && dev && !at.loopback() {
			bad = &fault{"is not loopback, which --dev insists on because it lets everybody in", "write 127.0.0.1:" + strconv.Itoa(at.port) + ", or leave --dev away"}
		}
		if bad != nil {
			r.check(p.key, quote(p.text)+" "+bad.wrong, bad.fix)
			continue
		}
		p.at = at
		clash := slices.IndexFunc(good, func(g bound) bool { return g.at.clashes(at) })
		if clash >= 0 {
			r.check(p.key, quote(p.text)+" takes the same port as "+quote(good[clash].text)+" of "+good[clash].key, "write another port, or remove one")
		}
		good = append(good, p)
	}
}
