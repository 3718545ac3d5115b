// Processors: how many Go believes to have, who stops them, who gets the packets, and the clock.

package sysctl

import (
	"fmt"
	"math"
	"slices"
)

const (
	// tolerated is the part of quota periods, and the part of packets on one processor, in percent.
	toleratedThrottling, toleratedSkew = 1, 60
	// enoughSoftirqs is from where on their distribution says something.
	enoughSoftirqs = 100_000
)

func cpuKnobs() []Knob {
	return []Knob{{
		ID: "gomaxprocs", Reads: []string{"cpu.max", "cpu.cfs_quota_us, cpu.cfs_period_us", "/proc/self/status"}, Scope: ScopeProcess,
		Needed:  "at most the processors of the quota, rounded up, and those that may be used",
		Why:     "more loops than processors use the quota up early, and then all of them stand still until the period ends",
		Risk:    "none",
		ForGood: "leave GOMAXPROCS unset: Go 1.25 and later follow the quota",
		judge:   judgeMaxProcs,
	}, {
		ID: "throttling", Reads: []string{"cpu.stat"}, Scope: ScopeGroup,
		Needed:  "at most 1 % of periods",
		Why:     "a throttled group stands still, heartbeats and all",
		Risk:    "none",
		ForGood: "CPUQuota= in the unit, or the container's limit; requests without a limit are not throttled",
		judge:   judgeThrottling,
	}, {
		ID: "nic_queues", Reads: []string{"/sys/class/net/*/queues"}, Scope: ScopeMachine,
		Needed:  "as many receive queues as processors, or packets spread by RPS",
		Why:     "one processor takes all packets of a queue, and is full before the others have work",
		Risk:    "packets of a connection may change processors once",
		ForGood: "ethtool -L eth0 combined N; where the card has no more: a mask of processors in queues/rx-0/rps_cpus, by /etc/tmpfiles.d",
		judge:   judgeQueues,
	}, {
		ID: "softirq_skew", Reads: []string{"/proc/softirqs"}, Scope: ScopeMachine,
		Needed:  "at most 60 % of NET_RX on one processor",
		Why:     "the processor that takes the packets is full first",
		Risk:    "none",
		ForGood: "more queues or RPS as for nic_queues; irqbalance, or interrupts pinned",
		judge:   judgeSkew,
	}, {
		ID: "busy_poll", Keys: []string{"net.core.busy_poll", "net.core.busy_read"}, Scope: ScopeMachine,
		Needed: "0",
		Why:    "spins for each wait; of use to a few busy sockets and not to many idle ones",
		Risk:   "none",
		judge: func(f *Facts, _ *Target) Finding {
			poll, read := f.setting("net.core.busy_poll"), f.setting("net.core.busy_read")
			if !poll.Known || !read.Known {
				return missing("net.core.busy_poll or busy_read")
			}
			return atMost(known(max(poll.Value, read.Value)), 0, Warn, "", "microseconds")
		},
		want: always(number("net.core.busy_poll", 0, AtMost), number("net.core.busy_read", 0, AtMost)),
	}, {
		ID: "clock", Reads: []string{"adjtimex(2)"}, Scope: ScopeMachine,
		Needed:  "synchronised",
		Why:     "tokens end at a time of day, and presence is ordered by it",
		Risk:    "none",
		ForGood: "chrony or systemd-timesyncd",
		judge: func(f *Facts, _ *Target) Finding {
			switch synced := f.Process.ClockSynced; {
			case !synced.Known:
				return missing("whether the clock is synchronised")
			case synced.Value == 0:
				return Finding{Verdict: Warn, Have: "not synchronised", Need: "synchronised"}
			}
			return Finding{Have: "synchronised"}
		},
	}, {
		ID: "clock_source", Reads: []string{"/sys/devices/system/clocksource/clocksource0/current_clocksource"}, Scope: ScopeMachine,
		Needed:  "one that is read without a system call (tsc, kvm-clock, arch_sys_counter)",
		Why:     "a loop reads the clock for each event",
		Risk:    "none",
		ForGood: "the hypervisor's or the firmware's to repair; clocksource= on the kernel's command line if tsc was ruled out wrongly",
		judge:   judgeClockSource,
	}}
}

func judgeMaxProcs(f *Facts, _ *Target) Finding {
	have := f.Process.MaxProcs
	if !have.Known || !f.CPUs.Known {
		return missing("GOMAXPROCS or the processors of this process")
	}
	most, because := f.CPUs.Value, fmt.Sprintf("%s processors, no quota", count(f.CPUs.Value))
	switch quota := f.Cgroup.Processors; {
	case !f.Cgroup.QuotaKnown:
		because = count(f.CPUs.Value) + " processors; no controller tells of a quota"
	case quota > 0:
		// Go itself takes no fewer than two.
		most = min(most, max(2, uint64(math.Ceil(quota))))
		because = fmt.Sprintf("%s processors, a quota of %.2g", count(f.CPUs.Value), quota)
	}
	return atMost(have, most, Warn, "", because)
}

func judgeThrottling(f *Facts, _ *Target) Finding {
	periods, stopped := f.Live.Periods, f.Live.Throttled
	switch {
	case !f.Cgroup.QuotaKnown || !periods.Known || !stopped.Known:
		return missing("a cpu controller")
	case f.Cgroup.Processors == 0 && stopped.Value == 0:
		return Finding{Have: "no quota"}
	}
	found := Finding{Have: fmt.Sprintf("%.2g %%", share(stopped.Value, periods.Value)), Need: "at most 1 %",
		Because: fmt.Sprintf("%s of %s periods; a quota of %.2g processors", count(stopped.Value), count(periods.Value), f.Cgroup.Processors)}
	if share(stopped.Value, periods.Value) > toleratedThrottling {
		found.Verdict = Warn
	}
	return found
}

func judgeQueues(f *Facts, _ *Target) Finding {
	if len(f.NetworkCards) == 0 || !f.CPUs.Known {
		return missing("network cards with a device, or the processors,")
	}
	var found Finding
	for _, card := range f.NetworkCards {
		found.Because += fmt.Sprintf("%s has %d for %s processors", card.Name, card.Queues, count(f.CPUs.Value))
		if card.Steered {
			found.Because += " and spreads packets"
		} else if uint64(card.Queues) < f.CPUs.Value {
			found.Verdict, found.Need = Warn, count(f.CPUs.Value)
		}
		found.Because += "; "
	}
	found.Because = found.Because[:len(found.Because)-2]
	found.Have = fmt.Sprint(f.NetworkCards[0].Queues)
	return found
}

func judgeSkew(f *Facts, _ *Target) Finding {
	var sum uint64
	for _, n := range f.SoftirqsRx {
		sum += n
	}
	switch {
	case len(f.SoftirqsRx) == 0:
		return missing("/proc/softirqs")
	case len(f.SoftirqsRx) == 1:
		return Finding{Have: "one processor"}
	case sum < enoughSoftirqs:
		return Finding{Verdict: Skip, Because: fmt.Sprintf("%s are too few to tell", count(sum))}
	}
	most := share(slices.Max(f.SoftirqsRx), sum)
	found := Finding{Have: fmt.Sprintf("%.1f %%", most), Need: "at most 60 %", Because: fmt.Sprintf("of %s on %d processors", count(sum), len(f.SoftirqsRx))}
	if most > toleratedSkew {
		found.Verdict = Warn
	}
	return found
}

func judgeClockSource(f *Facts, _ *Target) Finding {
	if f.ClockSource == "" {
		return missing("the clock source")
	}
	found := Finding{Have: f.ClockSource}
	if slices.Contains([]string{"hpet", "acpi_pm", "pit", "jiffies", "refined-jiffies"}, f.ClockSource) {
		found.Verdict, found.Need = Warn, "tsc or kvm-clock"
	}
	return found
}
