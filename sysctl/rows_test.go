package sysctl

import (
	"slices"
	"strings"
	"testing"
)

// verdicts is what each row can come to, by its letter: every one of them has a case below, but for the pass of the
// tuned box.
var verdicts = map[string]string{
	"descriptors": "pwfs", "nr_open": "pwfs", "file_max": "pwfs", "epoll_watches": "pwfs",
	"somaxconn": "pwfs", "syn_backlog": "pws", "syncookies": "pwfs", "abort_on_overflow": "pws", "listen_overflows": "pws",
	"netdev_backlog": "pws", "port_range": "pwfs", "source_tuples": "pfs", "reserved_ports": "pws", "tw_reuse": "pwfs",
	"tcp_mem": "pwfs", "tcp_rmem": "pws", "tcp_wmem": "pws", "notsent_lowat": "pws",
	"max_orphans": "pws", "tw_buckets": "pws", "fin_timeout": "pws", "keepalive": "pws", "retries": "pws",
	"slow_start_after_idle": "pws", "pacing": "pws",
	"conntrack": "pwfs", "conntrack_buckets": "pws", "conntrack_established": "pws",
	"memory": "pwfs", "swap": "pws", "overcommit": "pws", "map_count": "pfs", "min_free": "pws", "huge_pages": "pws",
	"cgroup_memory": "pwfs", "cgroup_tasks": "pwfs",
	"gomaxprocs": "pws", "throttling": "pws", "nic_queues": "pws", "softirq_skew": "pws", "busy_poll": "pws", "clock": "pws",
	"clock_source": "pws",
}

// A rowCase is what a row says about the tuned box with some files changed.
type rowCase struct {
	row, name string
	want      Verdict
	edit      files
	target    func(*Target)
	process   func(*Process)
	// says is part of the row's text.
	says string
}

func as(role Role) func(*Target) { return func(t *Target) { t.Role = role } }

func sysctls(pairs ...string) files {
	f := files{}
	for i := 0; i < len(pairs); i += 2 {
		text := pairs[i+1]
		if text != absent {
			text += "\n"
		}
		f[sysctlPath(pairs[i])] = text
	}
	return f
}

func limits(hard string) files {
	return files{"/proc/self/limits": "Max open files            1024                 " + hard + "               files     \n"}
}

func rowCases() []rowCase {
	return slices.Concat(descriptorCases(), queueCases(), portCases(), bufferCases(), tcpCases(), conntrackCases(), memoryCases(), groupCases(), cpuCases())
}

func descriptorCases() []rowCase {
	return []rowCase{
		{row: "descriptors", name: "no spare", want: Warn, edit: limits("200256"), says: "leave room for 200,000"},
		{row: "descriptors", name: "one too few", want: Fail, edit: limits("200255"), says: "200,255 - 256 leave room for 199,999"},
		{row: "descriptors", name: "nobody may raise it", want: Fail, edit: limits("20000"), process: func(p *Process) { p.MayRaise = known(0) }, says: "may not raise it"},
		{row: "descriptors", name: "two for each on a balancer", want: Fail, edit: limits("400255"), target: as(Balancer)},
		{row: "descriptors", name: "unlimited", want: Pass, edit: limits("unlimited"), says: "unlimited"},
		{row: "descriptors", name: "absent", want: Skip, edit: files{"/proc/self/limits": absent}},
		{row: "descriptors", name: "garbage", want: Skip, edit: limits("many")},
		{row: "nr_open", name: "no spare", want: Warn, edit: sysctls("fs.nr_open", "200256")},
		{row: "nr_open", name: "too low", want: Fail, edit: sysctls("fs.nr_open", "65536")},
		{row: "nr_open", name: "absent", want: Skip, edit: sysctls("fs.nr_open", absent)},
		{row: "file_max", name: "little room", want: Warn, edit: sysctls("fs.file-max", "250000"), says: "1.2 x 200,000 + 100,000"},
		{row: "file_max", name: "too low", want: Fail, edit: sysctls("fs.file-max", "202303")},
		{row: "file_max", name: "in use", want: Warn, edit: sysctls("fs.file-nr", "1700000 0 2000000")},
		{row: "file_max", name: "used up", want: Fail, edit: sysctls("fs.file-nr", "1950000 0 2000000")},
		{row: "file_max", name: "what is held is not in the way", want: Pass, edit: sysctls("fs.file-nr", "201000 0 2000000", "fs.file-max", "340000"),
			target: func(t *Target) { t.Held = 200_000 }},
		{row: "file_max", name: "no limit", want: Pass, edit: sysctls("fs.file-max", "9223372036854775807")},
		{row: "file_max", name: "absent", want: Skip, edit: sysctls("fs.file-nr", absent)},
		{row: "epoll_watches", name: "a small machine", want: Fail, edit: sysctls("fs.epoll.max_user_watches", "112000")},
		{row: "epoll_watches", name: "little room", want: Warn, edit: sysctls("fs.epoll.max_user_watches", "210000")},
		{row: "epoll_watches", name: "absent", want: Skip, edit: sysctls("fs.epoll.max_user_watches", absent)},
	}
}

func queueCases() []rowCase {
	return []rowCase{
		{row: "somaxconn", name: "an old kernel", want: Fail, edit: sysctls("net.core.somaxconn", "128")},
		{row: "somaxconn", name: "short", want: Warn, edit: sysctls("net.core.somaxconn", "4096"), target: func(t *Target) { t.PerSecond = 5000 }, says: "5,000 a second x 1 s"},
		{row: "somaxconn", name: "never more than listen takes", want: Pass, edit: sysctls("net.core.somaxconn", "65535"), target: func(t *Target) { t.PerSecond = 1_000_000 }},
		{row: "somaxconn", name: "by default all in two minutes", want: Warn, edit: sysctls("net.core.somaxconn", "4999"),
			target: func(t *Target) { t.PerSecond, t.Connections = 0, 600_000 }, says: "5,000 a second"},
		{row: "somaxconn", name: "absent", want: Skip, edit: sysctls("net.core.somaxconn", absent)},
		{row: "somaxconn", name: "empty", want: Skip, edit: sysctls("net.core.somaxconn", "")},
		{row: "syn_backlog", name: "short", want: Warn, edit: sysctls("net.ipv4.tcp_max_syn_backlog", "2048")},
		{row: "syn_backlog", name: "absent", want: Skip, edit: sysctls("net.ipv4.tcp_max_syn_backlog", absent)},
		{row: "syncookies", name: "off", want: Fail, edit: sysctls("net.ipv4.tcp_syncookies", "0")},
		{row: "syncookies", name: "always", want: Warn, edit: sysctls("net.ipv4.tcp_syncookies", "2")},
		{row: "syncookies", name: "not in this kernel", want: Skip, edit: sysctls("net.ipv4.tcp_syncookies", absent)},
		{row: "abort_on_overflow", name: "on", want: Warn, edit: sysctls("net.ipv4.tcp_abort_on_overflow", "1")},
		{row: "abort_on_overflow", name: "absent", want: Skip, edit: sysctls("net.ipv4.tcp_abort_on_overflow", absent)},
		{row: "listen_overflows", name: "many", want: Warn, says: "61 of 60,000",
			edit: files{"/proc/net/netstat": "TcpExt: SyncookiesSent ListenOverflows\nTcpExt: 0 61\n"}},
		{row: "listen_overflows", name: "one in a thousand", want: Pass, edit: files{"/proc/net/netstat": "TcpExt: SyncookiesSent ListenOverflows\nTcpExt: 0 60\n"}},
		{row: "listen_overflows", name: "not counted", want: Skip, edit: files{"/proc/net/netstat": "TcpExt: SyncookiesSent\nTcpExt: 0\n"}},
		{row: "netdev_backlog", name: "drops", want: Warn, edit: files{"/proc/net/softnet_stat": "000186a0 00000009 00000000\n"}},
		{row: "netdev_backlog", name: "absent", want: Skip, edit: files{"/proc/net/softnet_stat": absent}},
		{row: "netdev_backlog", name: "another namespace", want: Skip, edit: sysctls("net.core.netdev_max_backlog", absent)},
	}
}

func portCases() []rowCase {
	const listener = "  sl  local_address\n   0: 00000000:1F90 00000000:0000 0A 0:0\n"
	return []rowCase{
		{row: "port_range", name: "a node without ports", want: Warn, edit: sysctls("net.ipv4.ip_local_port_range", "60000 60100")},
		{row: "port_range", name: "a balancer's default", want: Fail, target: as(Balancer), says: "0.9 x 28,232 ports x 4 pair(s) = 101,632"},
		{row: "port_range", name: "one tuple if none is said", want: Fail, target: func(t *Target) { t.Role, t.Tuples, t.Connections = LoadGen, 0, 25409 }},
		{row: "port_range", name: "just enough", want: Pass, target: func(t *Target) { t.Role, t.Tuples, t.Connections = LoadGen, 0, 25408 }},
		{row: "port_range", name: "wide", want: Pass, target: as(Balancer), edit: sysctls("net.ipv4.ip_local_port_range", "1024 65535")},
		{row: "port_range", name: "reserved ports don't count", want: Fail, target: as(Balancer),
			edit: sysctls("net.ipv4.ip_local_port_range", "1024 65535", "net.ipv4.ip_local_reserved_ports", "10000-29999")},
		{row: "port_range", name: "upside down", want: Skip, edit: sysctls("net.ipv4.ip_local_port_range", "60999 32768")},
		{row: "port_range", name: "absent", want: Skip, edit: sysctls("net.ipv4.ip_local_port_range", absent)},
		{row: "source_tuples", name: "too few", want: Fail, target: func(t *Target) { t.Tuples = 3 }, says: "= 4"},
		{row: "source_tuples", name: "not said", want: Skip, target: func(t *Target) { t.Tuples = 0 }, says: "--tuples"},
		{row: "reserved_ports", name: "a listener in the range", want: Warn, says: "8080", edit: sysctls("net.ipv4.ip_local_port_range", "1024 65535")},
		{row: "reserved_ports", name: "one of IPv6", want: Warn, says: "8080",
			edit: files{"/proc/net/tcp": absent, "/proc/net/tcp6": listener}.over(sysctls("net.ipv4.ip_local_port_range", "1024 65535"))},
		{row: "reserved_ports", name: "a range about to be widened", want: Warn, target: as(Balancer), says: "8080"},
		{row: "reserved_ports", name: "reserved", want: Pass,
			edit: sysctls("net.ipv4.ip_local_port_range", "1024 65535", "net.ipv4.ip_local_reserved_ports", "22,8000-8100")},
		{row: "reserved_ports", name: "absent", want: Skip, edit: sysctls("net.ipv4.ip_local_reserved_ports", absent)},
		{row: "tw_reuse", name: "a balancer without", want: Warn, target: as(Balancer)},
		{row: "tw_reuse", name: "a balancer with", want: Pass, target: as(Balancer), edit: sysctls("net.ipv4.tcp_tw_reuse", "1")},
		{row: "tw_reuse", name: "without timestamps", want: Warn, target: as(Balancer), edit: sysctls("net.ipv4.tcp_tw_reuse", "1", "net.ipv4.tcp_timestamps", "0")},
		{row: "tw_reuse", name: "an ancient kernel", want: Fail, edit: sysctls("net.ipv4.tcp_tw_recycle", "0"), says: "4.12"},
		{row: "tw_reuse", name: "absent", want: Skip, edit: sysctls("net.ipv4.tcp_tw_reuse", absent)},
	}
}

func bufferCases() []rowCase {
	used := func(pages string) files {
		return files{"/proc/net/sockstat": "TCP: inuse 12 orphan 0 tw 5 alloc 14 mem " + pages + "\n"}
	}
	return []rowCase{
		{row: "tcp_mem", name: "a page each and no more", want: Warn, edit: sysctls("net.ipv4.tcp_mem", "100000 150000 200000"), says: "940,000 pages"},
		{row: "tcp_mem", name: "not a page each", want: Fail, edit: sysctls("net.ipv4.tcp_mem", "100000 150000 199999")},
		{row: "tcp_mem", name: "two sockets on a balancer", want: Fail, target: as(Balancer), edit: sysctls("net.ipv4.tcp_mem", "100000 150000 399999")},
		{row: "tcp_mem", name: "no more than memory has", want: Pass, edit: files{"/proc/meminfo": "MemTotal: 4096000 kB\nMemAvailable: 4000000 kB\nSwapTotal: 0 kB\n"}.
			over(sysctls("net.ipv4.tcp_mem", "200000 300000 409600")), says: "409,600 pages"},
		{row: "tcp_mem", name: "above low", want: Warn, edit: used("600001")},
		{row: "tcp_mem", name: "above pressure", want: Fail, edit: used("900001"), says: "900,001 pages are in use"},
		{row: "tcp_mem", name: "another namespace", want: Skip, edit: sysctls("net.ipv4.tcp_mem", absent), says: "belongs to the machine"},
		{row: "tcp_mem", name: "two numbers", want: Skip, edit: sysctls("net.ipv4.tcp_mem", "1 2")},
		{row: "tcp_rmem", name: "overbooked", want: Warn, edit: sysctls("net.ipv4.tcp_rmem", "4096 131072 33554432"), says: "33.6 MB x 200,000"},
		{row: "tcp_rmem", name: "tcp_mem unseen", want: Warn, edit: sysctls("net.ipv4.tcp_rmem", "4096 131072 6291456", "net.ipv4.tcp_mem", absent)},
		{row: "tcp_rmem", name: "tcp_mem unseen, few", want: Pass, target: func(t *Target) { t.Connections = 50_000 },
			edit: sysctls("net.ipv4.tcp_rmem", "4096 131072 6291456", "net.ipv4.tcp_mem", absent)},
		{row: "tcp_rmem", name: "absent", want: Skip, edit: sysctls("net.ipv4.tcp_rmem", absent)},
		{row: "tcp_wmem", name: "the default", want: Warn, edit: sysctls("net.ipv4.tcp_wmem", "4096 16384 4194304")},
		{row: "tcp_wmem", name: "the default, few", want: Pass, target: func(t *Target) { t.Connections = 99_999 }, edit: sysctls("net.ipv4.tcp_wmem", "4096 16384 4194304")},
		{row: "tcp_wmem", name: "absent", want: Skip, edit: sysctls("net.ipv4.tcp_wmem", absent)},
		{row: "notsent_lowat", name: "off, for a balancer", want: Warn, target: as(Balancer), edit: sysctls("net.ipv4.tcp_notsent_lowat", "4294967295"), says: "off"},
		{row: "notsent_lowat", name: "off, for a node that sets its own", want: Pass, edit: sysctls("net.ipv4.tcp_notsent_lowat", "4294967295")},
		{row: "notsent_lowat", name: "absent", want: Skip, edit: sysctls("net.ipv4.tcp_notsent_lowat", absent)},
	}
}

func tcpCases() []rowCase {
	bbr := sysctls("net.ipv4.tcp_congestion_control", "bbr")
	return []rowCase{
		{row: "max_orphans", name: "low", want: Warn, edit: sysctls("net.ipv4.tcp_max_orphans", "8192"), says: "64 KiB"},
		{row: "max_orphans", name: "in use", want: Warn, edit: files{"/proc/net/sockstat": "TCP: inuse 1 orphan 140000 tw 0 alloc 1 mem 0\n"}},
		{row: "max_orphans", name: "another namespace", want: Skip, edit: sysctls("net.ipv4.tcp_max_orphans", absent)},
		{row: "tw_buckets", name: "low", want: Warn, edit: sysctls("net.ipv4.tcp_max_tw_buckets", "8192"), says: "2,000 a second x 60 s"},
		{row: "tw_buckets", name: "overflowing", want: Warn, says: "did not get their rest",
			edit: files{"/proc/net/netstat": "TcpExt: ListenOverflows TCPTimeWaitOverflow\nTcpExt: 0 900\n"}},
		{row: "tw_buckets", name: "absent", want: Skip, edit: sysctls("net.ipv4.tcp_max_tw_buckets", absent)},
		{row: "fin_timeout", name: "long", want: Warn, edit: sysctls("net.ipv4.tcp_fin_timeout", "120")},
		{row: "fin_timeout", name: "absent", want: Skip, edit: sysctls("net.ipv4.tcp_fin_timeout", absent)},
		{row: "keepalive", name: "a balancer's default", want: Warn, target: as(Balancer), says: "7,200 s + 75 s x 9"},
		{row: "keepalive", name: "a balancer's that is short", want: Pass, target: as(Balancer),
			edit: sysctls("net.ipv4.tcp_keepalive_time", "60", "net.ipv4.tcp_keepalive_intvl", "15", "net.ipv4.tcp_keepalive_probes", "4")},
		{row: "keepalive", name: "absent", want: Skip, edit: sysctls("net.ipv4.tcp_keepalive_probes", absent)},
		{row: "retries", name: "more than the default", want: Warn, edit: sysctls("net.ipv4.tcp_retries2", "16")},
		{row: "retries", name: "absent", want: Skip, edit: sysctls("net.ipv4.tcp_retries2", absent)},
		{row: "slow_start_after_idle", name: "on", want: Warn, edit: sysctls("net.ipv4.tcp_slow_start_after_idle", "1")},
		{row: "slow_start_after_idle", name: "absent", want: Skip, edit: sysctls("net.ipv4.tcp_slow_start_after_idle", absent)},
		{row: "pacing", name: "bbr without fq", want: Warn, edit: bbr},
		{row: "pacing", name: "bbr with fq", want: Pass, edit: sysctls("net.core.default_qdisc", "fq").over(bbr)},
		{row: "pacing", name: "another namespace", want: Skip, edit: sysctls("net.core.default_qdisc", absent).over(bbr)},
		{row: "pacing", name: "absent", want: Skip, edit: sysctls("net.ipv4.tcp_congestion_control", absent)},
	}
}

func conntrackCases() []rowCase {
	const count = "net.netfilter.nf_conntrack_count"
	return []rowCase{
		{row: "conntrack", name: "little room", want: Warn, edit: sysctls(trackMax, "262144"), says: "1.5 x 200,000"},
		{row: "conntrack", name: "too low", want: Fail, edit: sysctls(trackMax, "200119")},
		{row: "conntrack", name: "two legs on a balancer", want: Fail, target: as(Balancer)},
		{row: "conntrack", name: "filling", want: Warn, edit: sysctls(trackMax, "1000000", count, "710000")},
		{row: "conntrack", name: "full", want: Fail, edit: sysctls(trackMax, "1000000", count, "910000")},
		{row: "conntrack", name: "not loaded", want: Pass, edit: sysctls(trackMax, absent, count, absent), says: "not loaded"},
		{row: "conntrack", name: "loaded and not used", want: Pass, edit: sysctls(trackMax, "1000", count, "0"), says: "nothing is tracked"},
		{row: "conntrack", name: "an empty table without connections proves nothing", want: Fail,
			edit: files{"/proc/net/snmp": absent}.over(sysctls(trackMax, "1000", count, "0"))},
		{row: "conntrack", name: "count unseen", want: Skip, edit: sysctls(count, absent)},
		{row: "conntrack", name: "nothing seen", want: Skip, edit: sysctls(trackMax, absent, "net.core.somaxconn", absent)},
		{row: "conntrack_buckets", name: "few", want: Warn, edit: sysctls(trackBuckets, "16384")},
		{row: "conntrack_buckets", name: "not loaded", want: Pass, edit: sysctls(trackMax, absent, trackBuckets, absent)},
		{row: "conntrack_buckets", name: "absent", want: Skip, edit: sysctls(trackBuckets, absent)},
		{row: "conntrack_established", name: "five days", want: Warn, edit: sysctls(trackEstablished, "432000")},
		{row: "conntrack_established", name: "absent", want: Skip, edit: sysctls(trackEstablished, absent)},
	}
}

func memoryCases() []rowCase {
	memory := func(available, swap string) files {
		return files{"/proc/meminfo": "MemTotal: 16384000 kB\nMemAvailable: " + available + " kB\nSwapTotal: " + swap + " kB\n"}
	}
	swapped := files{"/proc/self/status": "VmSwap:\t     128 kB\nCpus_allowed_list:\t0-7\n"}
	always := func(ptes string) files {
		return files{hugePages + "enabled": "[always] madvise never\n", maxPtesNone: ptes}
	}
	// 200,000 x (531 + 4,100 + 384) B + 22 MB = 1,025.0 MB, and a page each beside it 1,844.2 MB.
	return []rowCase{
		{row: "memory", name: "no page of buffer each", want: Warn, edit: memory("1700000", "0"), says: "with a page of buffer each 1.84 GB"},
		{row: "memory", name: "too little", want: Fail, edit: memory("1000500", "0"), says: "200,000 x 5015 B"},
		{row: "memory", name: "just enough", want: Warn, edit: memory("1001500", "0")},
		{row: "memory", name: "half is there already", want: Warn, edit: memory("600000", "0"), target: func(t *Target) { t.Held = 100_000 }, says: "100,000 x"},
		{row: "memory", name: "a costlier connection", want: Fail, edit: memory("2000000", "0"), target: func(t *Target) { t.UserBytes = 20_000 }},
		{row: "memory", name: "an old kernel", want: Skip, edit: files{"/proc/meminfo": "MemTotal: 16384000 kB\nSwapTotal: 0 kB\n"}},
		{row: "swap", name: "swapped", want: Warn, edit: swapped, says: "131 kB swapped"},
		{row: "swap", name: "eager", want: Warn, edit: memory("14000000", "2097148")},
		{row: "swap", name: "reluctant", want: Pass, edit: memory("14000000", "2097148").over(sysctls("vm.swappiness", "10"))},
		{row: "swap", name: "absent", want: Skip, edit: sysctls("vm.swappiness", absent).over(memory("14000000", "2097148"))},
		{row: "overcommit", name: "strict", want: Warn, edit: sysctls("vm.overcommit_memory", "2")},
		{row: "overcommit", name: "always", want: Pass, edit: sysctls("vm.overcommit_memory", "1")},
		{row: "overcommit", name: "absent", want: Skip, edit: sysctls("vm.overcommit_memory", absent)},
		{row: "map_count", name: "few", want: Fail, edit: sysctls("vm.max_map_count", "65529")},
		{row: "map_count", name: "absent", want: Skip, edit: sysctls("vm.max_map_count", absent)},
		{row: "min_free", name: "little", want: Warn, edit: sysctls("vm.min_free_kbytes", "8192")},
		{row: "min_free", name: "absent", want: Skip, edit: sysctls("vm.min_free_kbytes", absent)},
		{row: "huge_pages", name: "always", want: Warn, edit: always("511\n"), says: "max_ptes_none 511"},
		{row: "huge_pages", name: "always, of full blocks alone", want: Pass, edit: always("0\n")},
		{row: "huge_pages", name: "always, unseen", want: Skip, edit: always(absent)},
		{row: "huge_pages", name: "absent", want: Skip, edit: files{hugePages + "enabled": absent}},
	}
}

func groupCases() []rowCase {
	return []rowCase{
		{row: "cgroup_memory", name: "no page of buffer each", want: Warn, edit: files{group + "memory.max": "1500000000\n"}},
		{row: "cgroup_memory", name: "too little", want: Fail, edit: files{group + "memory.max": "1000000000\n"}, says: "left of 1 GB"},
		{row: "cgroup_memory", name: "slowed down", want: Fail, edit: files{group + "memory.high": "1000000000\n"}},
		{row: "cgroup_memory", name: "a slice above", want: Fail, edit: files{"/sys/fs/cgroup/system.slice/memory.max": "3500000000\n"}, says: "left of 3.5 GB"},
		{row: "cgroup_memory", name: "no limit", want: Pass, edit: files{group + "memory.max": "max\n"}, says: "no limit"},
		{row: "cgroup_memory", name: "no controller", want: Skip, edit: files{"/proc/self/mountinfo": absent}},
		{row: "cgroup_memory", name: "no membership", want: Skip, edit: files{"/proc/self/cgroup": absent, "/sys/fs/cgroup/system.slice/memory.max": absent,
			"/sys/fs/cgroup/system.slice/memory.current": absent}},
		{row: "cgroup_tasks", name: "few", want: Warn, edit: files{group + "pids.max": "300\n"}, says: "300 allowed, 12 in use"},
		{row: "cgroup_tasks", name: "too few", want: Fail, edit: files{group + "pids.max": "32\n"}},
		{row: "cgroup_tasks", name: "no limit", want: Pass, edit: files{group + "pids.max": "max\n"}},
		{row: "cgroup_tasks", name: "absent", want: Skip, edit: files{group + "pids.max": absent, group + "pids.current": absent}},
	}
}

func cpuCases() []rowCase {
	stat := func(periods, stopped string) files {
		return files{group + "cpu.stat": "nr_periods " + periods + "\nnr_throttled " + stopped + "\n", group + "cpu.max": "400000 100000\n"}
	}
	return []rowCase{
		{row: "gomaxprocs", name: "above the quota", want: Warn, edit: files{group + "cpu.max": "250000 100000\n"}, says: "a quota of 2.5"},
		{row: "gomaxprocs", name: "above those it may use", want: Warn, process: func(p *Process) { p.MaxProcs = known(9) }},
		{row: "gomaxprocs", name: "the quota, rounded up", want: Pass, process: func(p *Process) { p.MaxProcs = known(3) }, edit: files{group + "cpu.max": "250000 100000\n"}},
		{row: "gomaxprocs", name: "two of less than one", want: Pass, process: func(p *Process) { p.MaxProcs = known(2) }, edit: files{group + "cpu.max": "50000 100000\n"}},
		{row: "gomaxprocs", name: "another machine", want: Skip, process: func(p *Process) { *p = Process{} }},
		{row: "throttling", name: "stopped", want: Warn, edit: stat("1000", "11"), says: "11 of 1,000 periods"},
		{row: "throttling", name: "hardly", want: Pass, edit: stat("1000", "10")},
		{row: "throttling", name: "no controller", want: Skip, edit: files{group + "cpu.max": absent, group + "cpu.stat": absent}},
		{row: "nic_queues", name: "one queue", want: Warn, edit: files{"/sys/class/net/eth0/queues/rx-1/rps_cpus": "00000000,00000000\n"}, says: "eth0 has 2 for 8"},
		{row: "nic_queues", name: "no card", want: Skip, edit: files{"/sys/class/net/eth0/device/": absent}},
		{row: "softirq_skew", name: "on one processor", want: Warn, edit: files{"/proc/softirqs": " NET_RX: 900000 100000\n"}, says: "90.0 %"},
		{row: "softirq_skew", name: "one processor", want: Pass, edit: files{"/proc/softirqs": " NET_RX: 900000\n"}},
		{row: "softirq_skew", name: "too few", want: Skip, edit: files{"/proc/softirqs": " NET_RX: 900 1\n"}},
		{row: "softirq_skew", name: "absent", want: Skip, edit: files{"/proc/softirqs": absent}},
		{row: "busy_poll", name: "polling", want: Warn, edit: sysctls("net.core.busy_poll", "50")},
		{row: "busy_poll", name: "reading", want: Warn, edit: sysctls("net.core.busy_read", "50")},
		{row: "busy_poll", name: "another namespace", want: Skip, edit: sysctls("net.core.busy_poll", absent)},
		{row: "clock", name: "adrift", want: Warn, process: func(p *Process) { p.ClockSynced = known(0) }},
		{row: "clock", name: "may not ask", want: Skip, process: func(p *Process) { p.ClockSynced = Figure{} }},
		{row: "clock_source", name: "slow", want: Warn, edit: files{"/sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet\n"}},
		{row: "clock_source", name: "absent", want: Skip, edit: files{"/sys/devices/system/clocksource/clocksource0/current_clocksource": absent}},
	}
}

// report lays the case's files over the tuned box at root, and takes them back.
func (c *rowCase) report(t *testing.T, root string, base files) *Report {
	t.Helper()
	target, process := proper, properProcess
	if c.target != nil {
		c.target(&target)
	}
	if c.process != nil {
		c.process(&process)
	}
	lay(t, root, c.edit)
	defer lay(t, root, undoneBy(base, c.edit))
	return Check(Read(root, process), target)
}

func TestRows(t *testing.T) {
	base := tuned()
	root := plant(t, base)
	for _, c := range rowCases() {
		t.Run(c.row+"/"+strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			row := find(t, c.report(t, root, base), c.row)
			text := row.Have + " | " + row.Need + " | " + row.Because
			if row.Verdict != c.want || !strings.Contains(text, c.says) {
				t.Errorf("%s: %s, want %s with %q", row.Verdict, text, c.want, c.says)
			}
			if (row.Fix != "") != (row.Verdict >= Warn) {
				t.Errorf("%s with the fix %q", row.Verdict, row.Fix)
			}
		})
	}
}

// TestTunedBox: where all is well every row passes, and none is only skipped.
func TestTunedBox(t *testing.T) {
	r := Check(Read(plant(t, tuned()), properProcess), proper)
	for i := range r.Rows {
		if row := &r.Rows[i]; row.Verdict != Pass {
			t.Errorf("%s: %s: %s | %s | %s", row.ID, row.Verdict, row.Have, row.Need, row.Because)
		}
	}
	if r.Verdict != Pass {
		t.Errorf("the whole is %s", r.Verdict)
	}
}

// TestEveryVerdictHasACase holds the cases against what the rows can come to, and the rows against the catalogue.
func TestEveryVerdictHasACase(t *testing.T) {
	seen := map[string]bool{}
	for _, c := range rowCases() {
		seen[c.row+string(c.want.String()[0])] = true
	}
	for _, k := range Knobs() {
		can, ok := verdicts[k.ID]
		if !ok {
			t.Errorf("%s is not in the table", k.ID)
		}
		for _, v := range []Verdict{Warn, Fail, Skip} {
			letter := v.String()[:1]
			if strings.Contains(can, letter) != seen[k.ID+letter] {
				t.Errorf("%s: %s is in the table: %v, and has a case: %v", k.ID, v, strings.Contains(can, letter), seen[k.ID+letter])
			}
		}
		if k.Needed == "" || k.Why == "" || k.Risk == "" || len(k.Keys)+len(k.Reads) == 0 && k.ID != "source_tuples" {
			t.Errorf("%s says too little about itself", k.ID)
		}
		if k.want == nil && k.ForGood == "" {
			t.Errorf("%s does not say how it is set", k.ID)
		}
		if (k.holds == nil) != (k.Cause == "") {
			t.Errorf("%s has a cause or a number and not both", k.ID)
		}
	}
	if len(verdicts) != len(Knobs()) {
		t.Errorf("%d rows in the table, %d in the catalogue", len(verdicts), len(Knobs()))
	}
}
