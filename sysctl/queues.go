// Queues on the way in: half-open and waiting connections, and packets that no processor has looked at.

package sysctl

import "fmt"

const (
	// A queue is never asked to be shorter or longer than this. 65,535 is what listen(2) can say.
	minAcceptQueue, minSynQueue, maxQueue = 4096, 8192, 65535
	// failAcceptQueue is too short for any wave of reconnects.
	failAcceptQueue = 1024
	// slowestHandshake is how long a client far away takes to complete a TCP handshake, in seconds.
	slowestHandshake = 0.5
	// Input queues of processors: the kernel's default drops at storms; this is the usual one for fast cards.
	wantedInputQueue = 16384
)

func (t *Target) acceptQueue() uint64 { return clamp(uint64(t.PerSecond), minAcceptQueue, maxQueue) }
func (t *Target) synQueue() uint64 {
	return clamp(uint64(float64(t.PerSecond)*2*slowestHandshake), minSynQueue, maxQueue)
}

func queueKnobs() []Knob {
	return []Knob{{
		ID: "somaxconn", Keys: []string{"net.core.somaxconn"}, Scope: ScopeNetwork,
		Needed: "R x 1 s, between 4,096 and 65,535",
		Why:    "connections that wait to be accepted; read once when a listener opens: restart the node after a change",
		Risk:   "none",
		judge: func(f *Facts, t *Target) Finding {
			return atLeast(f.setting("net.core.somaxconn"), failAcceptQueue, t.acceptQueue(), "net.core.somaxconn",
				fmt.Sprintf("%s a second x 1 s, between 4,096 and 65,535; below 1,024 fails", count(uint64(t.PerSecond))))
		},
		want: func(_ *Facts, t *Target) []Setting {
			return []Setting{number("net.core.somaxconn", t.acceptQueue(), AtLeast)}
		},
	}, {
		ID: "syn_backlog", Keys: []string{"net.ipv4.tcp_max_syn_backlog"}, Scope: ScopeNetwork,
		Needed: "R x 2 x 0.5 s, between 8,192 and 65,535",
		Why:    "handshakes of TCP under way; when it is full only cookies let anyone in",
		Risk:   "320 bytes for each half-open connection of a flood",
		judge: func(f *Facts, t *Target) Finding {
			return atLeast(f.setting("net.ipv4.tcp_max_syn_backlog"), 0, t.synQueue(), "net.ipv4.tcp_max_syn_backlog",
				fmt.Sprintf("%s a second x 2 x 0.5 s, between 8,192 and 65,535", count(uint64(t.PerSecond))))
		},
		want: func(_ *Facts, t *Target) []Setting {
			return []Setting{number("net.ipv4.tcp_max_syn_backlog", t.synQueue(), AtLeast)}
		},
	}, {
		ID: "syncookies", Keys: []string{"net.ipv4.tcp_syncookies"}, Scope: ScopeNetwork,
		Needed: "1",
		Why:    "without cookies a flood of SYNs shuts everybody out; always (2) they cost all clients their TCP options",
		Risk:   "none",
		judge:  judgeSyncookies,
		want:   always(number("net.ipv4.tcp_syncookies", 1, Exactly)),
	}, {
		ID: "abort_on_overflow", Keys: []string{"net.ipv4.tcp_abort_on_overflow"}, Scope: ScopeNetwork,
		Needed: "0",
		Why:    "a full accept queue should have clients try again, not be reset",
		Risk:   "none",
		judge: func(f *Facts, _ *Target) Finding {
			return atMost(f.setting("net.ipv4.tcp_abort_on_overflow"), 0, Warn, "net.ipv4.tcp_abort_on_overflow", "")
		},
		want: always(number("net.ipv4.tcp_abort_on_overflow", 0, AtMost)),
	}, {
		ID: "listen_overflows", Reads: []string{"/proc/net/netstat", "/proc/net/snmp"}, Scope: ScopeNetwork,
		Needed:  "at most one in 1,000 connections",
		Why:     "connections found an accept queue full and had to try again",
		Risk:    "none",
		ForGood: "raise net.core.somaxconn, restart what listens, and see whether its loops are busy (roost_loop_lag_seconds)",
		judge:   judgeOverflows,
	}, {
		ID: "netdev_backlog", Keys: []string{"net.core.netdev_max_backlog"}, Reads: []string{"/proc/net/softnet_stat"}, Scope: ScopeMachine,
		Needed: "16,384 where packets are dropped",
		Why:    "input queue of each processor, on the way of loopback, veth and RPS; what does not fit is lost and sent again",
		Risk:   "longer queues delay packets rather than drop them",
		judge:  judgeInputQueue,
		want:   always(number("net.core.netdev_max_backlog", wantedInputQueue, AtLeast)),
	}}
}

func judgeSyncookies(f *Facts, _ *Target) Finding {
	have := f.setting("net.ipv4.tcp_syncookies")
	if !have.Known {
		return missing("net.ipv4.tcp_syncookies")
	}
	found := Finding{Have: count(have.Value), Need: "1"}
	switch have.Value {
	case 0:
		found.Verdict = Fail
	case 1:
	default:
		found.Verdict = Warn
	}
	return found
}

func judgeOverflows(f *Facts, _ *Target) Finding {
	lost, opened := f.Live.ListenOverflows, f.Live.Opened
	if !lost.Known || !opened.Known {
		return missing("/proc/net/netstat or snmp")
	}
	found := Finding{Have: count(lost.Value), Need: "at most " + count(opened.Value/1000),
		Because: fmt.Sprintf("%s of %s connections since start", count(lost.Value), count(opened.Value))}
	if lost.Value > opened.Value/1000 {
		found.Verdict = Warn
	}
	return found
}

// judgeInputQueue warns of one lost packet in 100,000: fewer are a moment long gone. A queue that is long already is
// not the cure, and what was lost before it was made longer is still counted.
func judgeInputQueue(f *Facts, _ *Target) Finding {
	const tolerated = 100_000
	have := f.setting("net.core.netdev_max_backlog")
	if !have.Known || !f.Live.Packets.Known {
		return missing("net.core.netdev_max_backlog or softnet_stat")
	}
	lost, taken := f.Live.PacketsDropped.Value, f.Live.Packets.Value
	found := Finding{Have: count(have.Value), Because: fmt.Sprintf("%s of %s packets dropped since start", count(lost), count(taken))}
	if lost > taken/tolerated && have.Value < wantedInputQueue {
		found.Verdict, found.Need = Warn, count(wantedInputQueue)
	}
	return found
}
