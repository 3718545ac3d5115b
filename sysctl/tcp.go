// What TCP does with connections that have ended, rest, or stay silent.

package sysctl

import "fmt"

const (
	// orphanBytes is what a closed connection with unsent data may hold, which can't be swapped out.
	orphanBytes = 64 << 10
	// aliveWithin is within how many seconds a balancer should notice that a silent peer is gone: routers and cloud
	// balancers on the way forget a connection after some 350.
	aliveWithin = 300
	// usualRetries is the kernel's tcp_retries2: a quarter of an hour.
	usualRetries = 15
)

// ended is how many connections rest or linger at once when they end as fast as new ones come.
func (t *Target) ended() uint64 { return uint64(t.PerSecond) * resting * t.sockets() }

func tcpKnobs() []Knob {
	return []Knob{{
		ID: "max_orphans", Keys: []string{"net.ipv4.tcp_max_orphans"}, Reads: []string{"/proc/net/sockstat"}, Scope: ScopeMachine,
		Needed: "R x 60 s, at most a quarter of memory at 64 KiB each",
		Why:    "closed connections whose last bytes are still on their way; above it clients are reset instead of told",
		Risk:   "64 KiB of memory each that can't be swapped",
		judge:  judgeOrphans,
		want: func(f *Facts, t *Target) []Setting {
			return []Setting{number("net.ipv4.tcp_max_orphans", f.wantedOrphans(t), AtLeast)}
		},
	}, {
		ID: "tw_buckets", Keys: []string{"net.ipv4.tcp_max_tw_buckets"}, Reads: []string{"/proc/net/netstat"}, Scope: ScopeNetwork,
		Needed: "R x 60 s, and at most one in 1,000 connections that did not get its rest",
		Why:    "who closes first rests for a minute (TIME_WAIT); above it late packets may reach a new connection",
		Risk:   "250 bytes each",
		judge:  judgeTimeWait,
		want: func(_ *Facts, t *Target) []Setting {
			return []Setting{number("net.ipv4.tcp_max_tw_buckets", t.ended(), AtLeast)}
		},
	}, {
		ID: "fin_timeout", Keys: []string{"net.ipv4.tcp_fin_timeout"}, Scope: ScopeNetwork,
		Needed: "at most 60",
		Why:    "how long a closed connection waits for the peer's end",
		Risk:   "none",
		judge: func(f *Facts, _ *Target) Finding {
			return atMost(f.setting("net.ipv4.tcp_fin_timeout"), 60, Warn, "net.ipv4.tcp_fin_timeout", "seconds")
		},
		want: always(number("net.ipv4.tcp_fin_timeout", 30, AtMost)),
	}, {
		ID: "keepalive", Keys: []string{"net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_keepalive_intvl", "net.ipv4.tcp_keepalive_probes"}, Scope: ScopeNetwork,
		Needed: "time + interval x probes <= 300 s on a balancer",
		Why:    "what is between may forget a silent connection, and neither end hears of it; a node sends pings of its own",
		Risk:   "a packet for each connection in that time, where a program asks for keepalive",
		judge:  judgeKeepalive,
		want: always(number("net.ipv4.tcp_keepalive_time", 240, AtMost), number("net.ipv4.tcp_keepalive_intvl", 15, AtMost),
			number("net.ipv4.tcp_keepalive_probes", 4, AtMost)),
	}, {
		ID: "retries", Keys: []string{"net.ipv4.tcp_retries2"}, Scope: ScopeNetwork,
		Needed: "at most 15",
		Why:    "how often data is sent again before a peer is given up; 15 is a quarter of an hour. A node sets 30 s on its own sockets (TCP_USER_TIMEOUT)",
		Risk:   "none",
		judge: func(f *Facts, _ *Target) Finding {
			return atMost(f.setting("net.ipv4.tcp_retries2"), usualRetries, Warn, "net.ipv4.tcp_retries2", "")
		},
		want: always(number("net.ipv4.tcp_retries2", usualRetries, AtMost)),
	}, {
		ID: "slow_start_after_idle", Keys: []string{"net.ipv4.tcp_slow_start_after_idle"}, Scope: ScopeNetwork,
		Needed: "0",
		Why:    "after a pause a connection begins slowly again; WebSockets are mostly pauses, and a burst to a far client then takes several round trips",
		Risk:   "none behind a balancer",
		judge: func(f *Facts, _ *Target) Finding {
			return atMost(f.setting("net.ipv4.tcp_slow_start_after_idle"), 0, Warn, "net.ipv4.tcp_slow_start_after_idle", "")
		},
		want: always(number("net.ipv4.tcp_slow_start_after_idle", 0, AtMost)),
	}, {
		ID: "pacing", Keys: []string{"net.core.default_qdisc", "net.ipv4.tcp_congestion_control"}, Scope: ScopeMachine,
		Needed: "fq where the congestion control is bbr",
		Why:    "bbr paces its packets; without fq each socket does that with a timer of its own",
		Risk:   "takes effect on interfaces that come up later",
		judge:  judgePacing,
		want: func(f *Facts, _ *Target) []Setting {
			if f.Settings["net.ipv4.tcp_congestion_control"] != "bbr" {
				return nil
			}
			return []Setting{{Key: "net.core.default_qdisc", Value: "fq", Direction: Exactly}}
		},
	}}
}

func (f *Facts) wantedOrphans(t *Target) uint64 {
	wanted := t.ended()
	if f.MemoryTotal.Known {
		wanted = min(wanted, f.MemoryTotal.Value/4/orphanBytes)
	}
	return wanted
}

func judgeOrphans(f *Facts, t *Target) Finding {
	have, now := f.setting("net.ipv4.tcp_max_orphans"), f.Live.Orphans
	if !have.Known || !now.Known {
		return missing("net.ipv4.tcp_max_orphans or sockstat")
	}
	found := atLeast(have, 0, f.wantedOrphans(t), "", fmt.Sprintf("%s a second x 60 s, at most a quarter of memory / 64 KiB; %s now",
		count(uint64(t.PerSecond)*t.sockets()), count(now.Value)))
	found.Verdict = max(found.Verdict, min(fullness(now.Value, have.Value, 50, 100), Warn))
	return found
}

func judgeTimeWait(f *Facts, t *Target) Finding {
	found := atLeast(f.setting("net.ipv4.tcp_max_tw_buckets"), 0, t.ended(), "net.ipv4.tcp_max_tw_buckets",
		fmt.Sprintf("%s a second x 60 s", count(uint64(t.PerSecond)*t.sockets())))
	if lost := f.Live.TimeWaitOverflows; lost.Known && f.Live.Opened.Known && lost.Value > f.Live.Opened.Value/1000 && found.Verdict == Pass {
		found.Verdict = Warn
		found.Because += fmt.Sprintf("; %s did not get their rest", count(lost.Value))
	}
	return found
}

func judgeKeepalive(f *Facts, t *Target) Finding {
	idle, every, probes := f.setting("net.ipv4.tcp_keepalive_time"), f.setting("net.ipv4.tcp_keepalive_intvl"), f.setting("net.ipv4.tcp_keepalive_probes")
	if !idle.Known || !every.Known || !probes.Known {
		return missing("net.ipv4.tcp_keepalive_time, _intvl or _probes")
	}
	// The kernel takes at most 32,767 s and 127 probes.
	total := min(idle.Value, 1<<16) + min(every.Value, 1<<16)*min(probes.Value, 1<<8)
	found := Finding{Have: count(total) + " s",
		Because: fmt.Sprintf("%s s + %s s x %s", count(idle.Value), count(every.Value), count(probes.Value))}
	switch {
	case t.Role != Balancer:
		found.Because += "; roost does not use it: it sends pings"
	case total > aliveWithin:
		found.Verdict, found.Need = Warn, fmt.Sprintf("at most %d s", aliveWithin)
	}
	return found
}

func judgePacing(f *Facts, _ *Target) Finding {
	control, ok := f.Settings["net.ipv4.tcp_congestion_control"]
	if !ok {
		return missing("net.ipv4.tcp_congestion_control")
	}
	discipline, ok := f.Settings["net.core.default_qdisc"]
	found := Finding{Have: discipline, Because: "congestion control is " + control}
	switch {
	case control != "bbr":
	case !ok:
		return missing("net.core.default_qdisc")
	case discipline != "fq":
		found.Verdict, found.Need = Warn, "fq"
	}
	return found
}
