// Rules that concern more than one setting, or what text alone does not tell. Each says how to mend it.

package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

// check reports a problem with key where key was written, unless key has one already.
func (r *reader) check(key, wrong, fix string) {
	if !r.broken[key] {
		r.problem(r.place(key), key, wrong, fix)
	}
}

// place is where key was written; for a key that an entry of a list lacks, where the entry begins.
func (r *reader) place(key string) Origin {
	if end := strings.IndexByte(key, ']') + 1; end > 0 && !r.written(key) {
		key = key[:end]
	}
	return r.origins[key]
}

// warn notes something about key that does not keep the node from starting.
func (r *reader) warn(key, wrong, fix string) {
	r.warnings = append(r.warnings, Problem{Origin: r.origins[key], Key: key, Wrong: wrong, Fix: fix})
}

// validate applies all rules, in the order of the reference file.
func (r *reader) validate(dev bool) {
	r.validateAddresses(dev)
	r.validateNode()
	r.validateAdmin()
	r.validateAuth()
	r.validateOrigins()
	r.validateProxy()
	r.validateLimits()
	r.validateBroker()
	r.validateHistory()
	r.validateRooms()
}

// nodeBytes is what a node's name may hold: it becomes part of keys and subjects on every bus.
const nodeBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-"

func (r *reader) validateNode() {
	if name := r.cfg.Node; strings.Trim(name, nodeBytes) != "" || len(name) > 128 {
		r.check("node", quote(name)+" is not a node name", "write at most 128 of A-Z a-z 0-9 . _ -")
	}
}

func (r *reader) validateAdmin() {
	a := &r.cfg.Admin
	for _, c := range []byte(a.Key) {
		if c <= ' ' || c > '~' {
			r.check("admin.key", "holds a character no HTTP header can carry", "write letters, digits and punctuation without blanks")
			break
		}
	}
	if a.Key != "" && len(a.Key) < 16 {
		r.warn("admin.key", fmt.Sprintf("%d bytes can be guessed", len(a.Key)), "use 32 random ones: openssl rand -hex 16")
	}
	if at, bad := parseAddress(a.Listen); bad != nil || at.loopback() {
		return
	}
	if a.Key == "" {
		r.warn("admin.listen", "is not loopback and there is no admin.key, so /api/ answers nobody", "set admin.key_file")
	}
	if a.Pprof {
		r.warn("admin.pprof", "profiles can be fetched by everyone who reaches "+a.Listen, "set admin.listen to a loopback address while you profile")
	}
}

func (r *reader) validateOrigins() {
	for _, o := range r.cfg.Origins {
		if o == "*" && len(r.cfg.Origins) > 1 {
			r.check("origins", "holds * beside others, which then mean nothing", "write * alone, or remove it")
		}
		if bad := checkOrigin(o); bad != nil {
			r.check("origins", quote(o)+" "+bad.wrong, bad.fix)
		}
	}
}

// checkOrigin takes what a browser sends as Origin (RFC 6454, section 6.2), or that with *. before the host's
// name, or * alone, or null, which only stands for itself.
func checkOrigin(o string) *fault {
	if o == "*" || o == "null" {
		return nil
	}
	scheme, host, ok := strings.Cut(o, "://")
	if !ok || scheme == "" || host == "" {
		return &fault{"is not an origin", "write scheme and host, such as https://" + strings.Trim(strings.ReplaceAll(o, "://", ""), "/")}
	}
	if trimmed := strings.TrimRight(host, "/"); trimmed != host && !strings.ContainsAny(trimmed, "/?#@") {
		return &fault{"ends with a slash, which no browser sends", "write " + scheme + "://" + trimmed}
	}
	// The scheme may be any: apps have their own (capacitor, chrome-extension).
	u, err := url.Parse(scheme + "://" + strings.TrimPrefix(host, "*."))
	if err != nil || u.Host == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.ForceQuery || strings.Contains(host, "#") {
		return &fault{"is not an origin", "write scheme, host and perhaps a port, such as https://example.com:8443"}
	}
	if strings.Contains(u.Host, "*") {
		return &fault{"has a * that is not the first label of the host", "write https://*.example.com"}
	}
	return nil
}

func (r *reader) validateProxy() {
	if r.cfg.Proxy.Mode == ProxyRequire && len(r.cfg.Proxy.Trusted) == 0 {
		r.check("proxy.trusted", "is empty, so no PROXY header would be believed", "write the balancer's networks, such as 10.0.0.0/8")
	}
	for _, p := range r.cfg.Proxy.Trusted {
		if p == netip.MustParsePrefix("0.0.0.0/0") || p == netip.MustParsePrefix("::/0") {
			r.warn("proxy.trusted", "lets every client choose the address it is known by", "write the balancer's networks alone")
		}
	}
}

// envelope is what roost.v1 puts around a publication's data at most: names, room, user, position.
const envelope = 1 << 10

func (r *reader) validateLimits() {
	l := &r.cfg.Limits
	if l.OutboundBytes < l.MessageBytes+envelope && !r.broken["limits.message_bytes"] {
		r.check("limits.outbound_bytes", fmt.Sprintf("%v has no room for one message of limits.message_bytes (%v)", l.OutboundBytes, l.MessageBytes),
			fmt.Sprintf("write at least %v", l.MessageBytes+envelope))
	}
	if l.OutboundTotal < l.OutboundBytes && !r.broken["limits.outbound_bytes"] {
		r.check("limits.outbound_total", fmt.Sprintf("%v is less than limits.outbound_bytes (%v), which one client may fill", l.OutboundTotal, l.OutboundBytes),
			fmt.Sprintf("write at least %v", l.OutboundBytes))
	}
	if r.cfg.Heartbeat.Interval >= time.Minute {
		r.warn("heartbeat.interval", "many proxies end a connection that is silent for 60s", "write 30s")
	}
}

// brokerSchemes are the buses of contract section 1; those behind the first servedSchemes are not in this version.
var brokerSchemes = []string{"redis", "rediss", "redis+cluster", "redis+sentinel", "rediss+cluster", "rediss+sentinel", "nats", "amqp", "kafka"}

const servedSchemes = 6

func (r *reader) validateBroker() {
	if p := r.cfg.Broker.Prefix; p == "" || len(p) > 64 || strings.Trim(p, roomBytes) != "" {
		r.check("broker.prefix", quote(p)+" is no prefix", "write 1 to 64 of A-Z a-z 0-9 . _ ~ : -, such as roost:")
	}
	address := string(r.cfg.Broker.URL)
	if address == brokerMemory {
		return
	}
	scheme, rest, ok := strings.Cut(address, "://")
	for i, known := range brokerSchemes {
		switch {
		case !ok || scheme != known || strings.Trim(rest, "/") == "":
		case i >= servedSchemes:
			r.check("broker.url", known+" "+notYet, "write an address that begins with "+alternatives(brokerSchemes[:servedSchemes])+" and ://")
			return
		default:
			return
		}
	}
	r.check("broker.url", r.cfg.Broker.URL.String()+" is not the address of a broker",
		"write memory:, or an address that begins with "+alternatives(brokerSchemes[:servedSchemes])+" and ://")
}

const notYet = "is not available in this version"

// validateHistory warns of a history that outlives what its users can make of it.
func (r *reader) validateHistory() {
	if r.cfg.History.Size > 10_000 {
		r.warn("history.size", "a client is brought back at most what limits.outbound_bytes holds", "write what a client may miss while it reconnects, such as 100")
	}
}

func (r *reader) validateRooms() {
	first := map[string]int{}
	all := -1
	for i := range r.cfg.Rooms {
		name := entryKey("rooms", i)
		key := name + ".match"
		if r.broken[key] || r.broken[name] {
			continue
		}
		pattern := r.cfg.Rooms[i].Match
		if bad := checkPattern(pattern); bad != nil {
			r.check(key, quote(pattern)+" "+bad.wrong, bad.fix)
			continue
		}
		if earlier, again := first[pattern]; again {
			r.check(key, fmt.Sprintf("never applies, rooms[%d] matches the same", earlier), "merge the two")
		} else if all >= 0 {
			r.check(key, fmt.Sprintf("never applies, rooms[%d] matches every room", all), "move ** to the end")
		}
		first[pattern] = i
		if pattern == "**" && all < 0 {
			all = i
		}
	}
}
