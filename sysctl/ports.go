// Ports: a connection between one address and another address and port is told from others by its source port alone.

package sysctl

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	// widestPorts is the widest range of source ports, 1024 to 65535.
	firstPort, lastPort = 1024, 65535
	widestPorts         = lastPort - firstPort + 1
	// usablePorts is the part of a range, in tenths, that can be counted on: a port rests for a minute after some
	// ends, and a choice among few free ones is slow.
	usablePorts = 9
	// fewPorts is what a node needs for connections of its own, to brokers and key sets.
	fewPorts = 1024
)

func portKnobs() []Knob {
	return []Knob{{
		ID: "port_range", Keys: []string{portRange}, Scope: ScopeNetwork, Cause: CauseSourcePorts,
		Needed: "0.9 x range x tuples >= N on a balancer or load generator; a node needs 1,024 for itself",
		Why:    "who opens connections needs a source port for each, for every pair of source and destination",
		Risk:   "ports of listeners come into the range: reserve them in net.ipv4.ip_local_reserved_ports",
		judge:  judgePortRange,
		holds: func(f *Facts, t *Target) Figure {
			span, ok := f.portSpan()
			if !ok || t.Role == Node {
				return Figure{}
			}
			return known(span * usablePorts / 10 * uint64(t.Tuples))
		},
		want: func(f *Facts, t *Target) []Setting {
			if f.portsShort(t) {
				return []Setting{{Key: portRange, Value: "1024 65535", Direction: Widest}}
			}
			if span, ok := f.portSpan(); ok && span < fewPorts {
				return []Setting{{Key: portRange, Value: "32768 60999", Direction: Widest}}
			}
			return nil
		},
	}, {
		ID: "source_tuples", Scope: ScopeNetwork, Cause: CauseSourcePorts,
		Needed:  "N / 58,060 pairs of a balancer's address and a node's address and port",
		Why:     "between one such pair there are at most 64,512 connections, of which nine tenths can be counted on",
		Risk:    "none",
		ForGood: "more ports in listen, each a server of the balancer (roost gen haproxy does that), or more source addresses there",
		judge:   judgeTuples,
		holds: func(_ *Facts, t *Target) Figure {
			if t.Role != Node || t.Tuples == 0 {
				return Figure{}
			}
			return known(perTuple * uint64(t.Tuples))
		},
	}, {
		ID: "reserved_ports", Keys: []string{reservedPorts}, Reads: []string{"/proc/net/tcp", "/proc/net/tcp6"}, Scope: ScopeNetwork,
		Needed: "all listeners within the port range",
		Why:    "a connection to elsewhere may take a listener's port while that restarts, and it can't listen again",
		Risk:   "none; who asks for such a port by its number still gets it",
		judge:  judgeReserved,
		want:   wantReserved,
	}, {
		ID: "tw_reuse", Keys: []string{"net.ipv4.tcp_tw_reuse", "net.ipv4.tcp_timestamps", "net.ipv4.tcp_tw_recycle"}, Scope: ScopeNetwork,
		Needed: "1, with tcp_timestamps 1, on a balancer or load generator; anything on a node",
		Why:    "a source port rests for a minute after its connection; with reuse a new connection may take it at once",
		Risk:   "none with timestamps",
		judge:  judgeReuse,
		want: func(_ *Facts, t *Target) []Setting {
			if t.Role == Node {
				return nil
			}
			return []Setting{number("net.ipv4.tcp_tw_reuse", 1, Exactly), number("net.ipv4.tcp_timestamps", 1, Exactly)}
		},
	}}
}

const (
	portRange     = "net.ipv4.ip_local_port_range"
	reservedPorts = "net.ipv4.ip_local_reserved_ports"
)

const perTuple = widestPorts * usablePorts / 10

// portSpan is how many source ports there are, without the reserved ones.
func (f *Facts) portSpan() (uint64, bool) {
	ends := f.settings(portRange, 2)
	if ends == nil || ends[1] < ends[0] || ends[1] > 65535 {
		return 0, false
	}
	span := ends[1] - ends[0] + 1
	if list := f.Settings[reservedPorts]; list != "" {
		reserved := parsePorts(list)
		for port := ends[0]; port <= ends[1]; port++ {
			if reserved(uint16(port)) {
				span--
			}
		}
	}
	return span, true
}

// portsShort says that a balancer or load generator has too few source ports.
func (f *Facts) portsShort(t *Target) bool {
	span, ok := f.portSpan()
	return ok && t.Role != Node && span*usablePorts/10*uint64(t.Tuples) < t.n()
}

func judgePortRange(f *Facts, t *Target) Finding {
	span, ok := f.portSpan()
	if !ok {
		return missing(portRange)
	}
	found := Finding{Have: count(span) + " ports"}
	if t.Role == Node {
		found.Need, found.Because = count(fewPorts), "a node opens few connections itself"
		if span < fewPorts {
			found.Verdict = Warn
		}
		return found
	}
	holds := span * usablePorts / 10 * uint64(t.Tuples)
	found.Need = count((t.n()*10 + usablePorts*uint64(t.Tuples) - 1) / (usablePorts * uint64(t.Tuples)))
	found.Because = fmt.Sprintf("0.9 x %s ports x %d pair(s) = %s connections; the widest range has %s ports", count(span), t.Tuples, count(holds), count(widestPorts))
	if f.portsShort(t) {
		found.Verdict = Fail
	}
	return found
}

func judgeTuples(_ *Facts, t *Target) Finding {
	need := (t.n() + perTuple - 1) / perTuple
	found := Finding{Need: fmt.Sprintf("%d pair(s)", need), Because: fmt.Sprintf("%s / (0.9 x 64,512) = %d", count(t.n()), need)}
	if t.Tuples == 0 {
		found.Verdict = Skip
		found.Because += "; how many there are is not said (--tuples)"
		return found
	}
	found.Have = fmt.Sprintf("%d pair(s)", t.Tuples)
	if uint64(t.Tuples) < need {
		found.Verdict = Fail
	}
	return found
}

// mostReserved bounds what is added to the list, which the kernel takes a page of.
const mostReserved = 64

// handedOut is where the kernel's own range begins: who listens there was given the port by the kernel, mostly.
const handedOut = 32768

// unreserved are the listeners' ports that a connection to elsewhere may take, in order. A range that is too small
// counts as the widest, which it is about to be.
func (f *Facts) unreserved(t *Target) (ports []uint16, ok bool) {
	ends := f.settings(portRange, 2)
	list, ok := f.Settings[reservedPorts]
	if ends == nil || !ok {
		return nil, false
	}
	first := ends[0]
	if f.portsShort(t) {
		first = min(first, firstPort)
	}
	reserved := parsePorts(list)
	for _, port := range f.Listening {
		if uint64(port) >= first && port < handedOut && !reserved(port) {
			ports = append(ports, port)
		}
	}
	slices.Sort(ports)
	ports = slices.Compact(ports)
	return ports[:min(len(ports), mostReserved)], true
}

func judgeReserved(f *Facts, t *Target) Finding {
	bare, ok := f.unreserved(t)
	if !ok {
		return missing(portRange + " or ip_local_reserved_ports")
	}
	found := Finding{Have: cmp.Or(f.Settings[reservedPorts], "none"),
		Because: "source ports are " + strings.Replace(f.Settings[portRange], " ", " to ", 1)}
	if len(bare) > 0 {
		found.Verdict, found.Need = Warn, "also "+portList(bare)
	}
	return found
}

func wantReserved(f *Facts, t *Target) []Setting {
	bare, _ := f.unreserved(t)
	if len(bare) == 0 {
		return nil
	}
	reserved := parsePorts(f.Settings[reservedPorts])
	list := portRanges(func(port uint16) bool { return reserved(port) || slices.Contains(bare, port) })
	return []Setting{{Key: reservedPorts, Value: list, Direction: Exactly}}
}

// portRanges lists ports as the kernel prints them, "22,8000-8100", so that what is read back is what was written.
func portRanges(in func(uint16) bool) string {
	var words []string
	for port := 0; port <= lastPort; port++ {
		if !in(uint16(port)) {
			continue
		}
		first := port
		for port < lastPort && in(uint16(port+1)) {
			port++
		}
		if word := strconv.Itoa(first); first == port {
			words = append(words, word)
		} else {
			words = append(words, word+"-"+strconv.Itoa(port))
		}
	}
	return strings.Join(words, ",")
}

func portList(ports []uint16) string {
	words := make([]string, len(ports))
	for i, port := range ports {
		words[i] = strconv.Itoa(int(port))
	}
	return strings.Join(words, ",")
}

func judgeReuse(f *Facts, t *Target) Finding {
	if recycle, ok := f.Settings["net.ipv4.tcp_tw_recycle"]; ok {
		return Finding{Verdict: Fail, Have: "tcp_tw_recycle " + recycle, Need: "a kernel without it",
			Because: "a kernel older than 4.12, whose tcp_tw_recycle loses clients behind NAT"}
	}
	have, stamps := f.setting("net.ipv4.tcp_tw_reuse"), f.setting("net.ipv4.tcp_timestamps")
	if !have.Known || !stamps.Known {
		return missing("net.ipv4.tcp_tw_reuse or tcp_timestamps")
	}
	found := Finding{Have: count(have.Value)}
	if t.Role == Node {
		found.Because = "a node's few own connections need no reuse"
		return found
	}
	found.Need, found.Because = "1", "tcp_timestamps "+count(stamps.Value)
	if have.Value != 1 || stamps.Value == 0 {
		found.Verdict = Warn
	}
	return found
}
