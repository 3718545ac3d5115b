// Connection tracking, the firewall's memory: a full table drops new connections of everything on the machine.

package sysctl

import "fmt"

const (
	trackMax         = "net.netfilter.nf_conntrack_max"
	trackBuckets     = "net.netfilter.nf_conntrack_buckets"
	trackEstablished = "net.netfilter.nf_conntrack_tcp_timeout_established"

	// longestEntry is how long an entry may outlive its connection, in seconds: the kernel's default is five days.
	longestEntry = 3600
	// fullestBucket is how many entries a bucket of the table may have on average.
	fullestBucket = 4
)

func conntrackKnobs() []Knob {
	const best = "; best is not to track the port at all (nft: tcp dport 8080 notrack)"
	return []Knob{{
		ID: "conntrack", Keys: []string{trackMax}, Reads: []string{"/proc/sys/net/netfilter/nf_conntrack_count"}, Scope: ScopeMachine, Cause: CauseConntrack,
		Needed: "1.5 x N, twice that on a balancer",
		Why:    "each connection through a firewall with state has an entry; when the table is full no new connection of anything gets in" + best,
		Risk:   "384 bytes for each entry that is used",
		judge:  judgeConntrack, holds: holdsConntrack,
		want: tracked(func(t *Target) Setting { return number(trackMax, t.n()*t.sockets()*3/2, AtLeast) }),
	}, {
		ID: "conntrack_buckets", Keys: []string{trackBuckets}, Scope: ScopeMachine,
		Needed: "N / 4",
		Why:    "an entry is searched for in its bucket, for each packet",
		Risk:   "8 bytes each; at boot it takes effect only if nf_conntrack is loaded by then, else: options nf_conntrack hashsize= in /etc/modprobe.d",
		judge: func(f *Facts, t *Target) Finding {
			entries := t.n() * t.sockets()
			return f.ifTracked(func() Finding {
				return atLeast(f.setting(trackBuckets), 0, entries/fullestBucket, trackBuckets, fmt.Sprintf("%s / %d", count(entries), fullestBucket))
			})
		},
		want: tracked(func(t *Target) Setting { return number(trackBuckets, t.n()*t.sockets()/fullestBucket, AtLeast) }),
	}, {
		ID: "conntrack_established", Keys: []string{trackEstablished}, Scope: ScopeNetwork,
		Needed: "at most 3,600",
		Why:    "after a crash the entries of all connections stay this long, in seconds, and their successors need as many again",
		Risk:   "connections that are silent for longer than that are forgotten; a node's send pings each heartbeat.interval",
		judge: func(f *Facts, _ *Target) Finding {
			return f.ifTracked(func() Finding {
				return atMost(f.setting(trackEstablished), longestEntry, Warn, trackEstablished, "seconds")
			})
		},
		want: tracked(func(*Target) Setting { return number(trackEstablished, longestEntry, AtMost) }),
	}}
}

func tracked(one func(*Target) Setting) func(*Facts, *Target) []Setting {
	return func(f *Facts, t *Target) []Setting {
		if tracks, _ := f.tracks(); !tracks {
			return nil
		}
		return []Setting{one(t)}
	}
}

// tracks says whether connections have entries, and if not, why. The module may be there without a rule that uses
// it: then the table stays empty while there are connections.
func (f *Facts) tracks() (bool, string) {
	if _, loaded := f.Settings[trackMax]; !loaded {
		return false, "connection tracking is not loaded"
	}
	if f.Live.Tracked.Known && f.Live.Tracked.Value == 0 && f.Live.Established.Known && f.Live.Established.Value > 0 {
		return false, fmt.Sprintf("nothing is tracked: no entry for %s connections", count(f.Live.Established.Value))
	}
	return true, ""
}

// ifTracked passes where nothing is tracked, provided that the absence of the table could be seen.
func (f *Facts) ifTracked(judge func() Finding) Finding {
	if _, seen := f.Settings["net.core.somaxconn"]; !seen {
		return missing("/proc/sys/net")
	}
	if tracks, why := f.tracks(); !tracks {
		return Finding{Because: why}
	}
	return judge()
}

func (f *Facts) otherEntries(t *Target) uint64 {
	return f.Live.Tracked.Value - min(f.Live.Tracked.Value, uint64(t.Held)*t.sockets())
}

func holdsConntrack(f *Facts, t *Target) Figure {
	most := f.setting(trackMax)
	if tracks, _ := f.tracks(); !tracks || !most.Known {
		return Figure{}
	}
	return known((most.Value - min(most.Value, f.otherEntries(t))) / t.sockets())
}

func judgeConntrack(f *Facts, t *Target) Finding {
	return f.ifTracked(func() Finding {
		most, used := f.setting(trackMax), f.Live.Tracked
		if !most.Known || !used.Known {
			return missing(trackMax + " or nf_conntrack_count")
		}
		entries := t.n() * t.sockets()
		found := atLeast(most, entries+f.otherEntries(t), entries*3/2, trackMax,
			fmt.Sprintf("1.5 x %s; %s entries are used", count(entries), count(used.Value)))
		found.Verdict = max(found.Verdict, fullness(used.Value, most.Value, 70, 90))
		return found
	})
}
