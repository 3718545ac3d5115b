package sysctl

import (
	"strings"
	"testing"
)

// TestMachines is the check on kernels and containers of several kinds: what it sees there, what it can't, and where
// the end is.
func TestMachines(t *testing.T) {
	for _, c := range []struct {
		name     string
		tree     files
		target   Target
		headline string
		rows     map[string]Verdict
	}{{
		name: "nothing at all", tree: files{"/proc/": ""}, target: Target{Connections: 1000},
		headline: "what ends the connections of this box can't be read here",
	}, {
		// The machine that the project was measured on: version 1 and an empty version 2 side by side, connection
		// tracking loaded and unused, a hard limit that nobody may raise.
		name: "a virtual machine with a hard limit", tree: virtualMachine(), target: Target{Connections: 1_000_000},
		headline: "this box stops at 19,744 connections because of descriptors; next is tcp_mem at 575,796, then nr_open at 1,048,320, " +
			"then file_max at 2,465,706, then memory at 5,270,912, then epoll_watches at 5,491,233",
		rows: map[string]Verdict{"descriptors": Fail, "tcp_mem": Fail, "conntrack": Pass, "nr_open": Warn, "cgroup_memory": Pass, "cgroup_tasks": Skip,
			"throttling": Pass, "tcp_rmem": Warn, "nic_queues": Warn, "memory": Pass},
	}, {
		// Its own namespaces of network and groups: nothing of the machine's TCP is there.
		name: "a container of version 2", tree: container2(), target: Target{Connections: 200_000},
		headline: "this box stops at 106,860 connections because of cgroup_memory", // 512 MiB less 20 MB that are used and 22 MB for the process, by 4,631 B
		rows: map[string]Verdict{"cgroup_memory": Fail, "tcp_mem": Skip, "max_orphans": Skip, "netdev_backlog": Skip, "busy_poll": Skip,
			"somaxconn": Warn, "cgroup_tasks": Warn, "gomaxprocs": Pass, "conntrack": Pass, "file_max": Pass},
	}, {
		// The group's path is the host's and can't be seen in here.
		name: "a container of version 1 without a namespace of groups", tree: container1(), target: Target{Connections: 200_000},
		headline: "this box stops at ",
		rows:     map[string]Verdict{"cgroup_memory": Fail, "cgroup_tasks": Pass, "throttling": Warn},
	}, {
		name: "Linux 4.9 with tcp_tw_recycle", tree: oldKernel(), target: Target{Connections: 10_000},
		headline: "this box stops at 3,840 connections because of descriptors",
		rows:     map[string]Verdict{"tw_reuse": Fail, "somaxconn": Fail, "memory": Pass, "gomaxprocs": Pass, "cgroup_memory": Skip},
	}} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			process := Process{MaxProcs: known(2), PageSize: known(4096)}
			r := Check(Read(plant(t, c.tree), process), c.target)
			if !strings.HasPrefix(r.Headline(), c.headline) {
				t.Errorf("%q, want %q", r.Headline(), c.headline)
			}
			for id, want := range c.rows {
				if row := find(t, r, id); row.Verdict != want {
					t.Errorf("%s is %s, want %s: %s | %s | %s", id, row.Verdict, want, row.Have, row.Need, row.Because)
				}
			}
			for i := range r.Rows {
				if row := &r.Rows[i]; c.rows == nil && row.Verdict == Pass {
					t.Errorf("%s passes without a file to look at", row.ID)
				}
			}
		})
	}
}

func virtualMachine() files {
	memory := "/sys/fs/cgroup/memory/jobs/1/"
	return files{
		"/proc/self/limits":   "Max open files            20000                20000                files     \n",
		"/proc/self/status":   "VmSwap:\t       0 kB\nCpus_allowed_list:\t0-1\n",
		"/proc/self/cgroup":   "9:name=systemd:/\n8:pids:/\n4:memory:/jobs/1\n1:cpu:/\n0::/\n",
		"/proc/meminfo":       "MemTotal:       24683656 kB\nMemAvailable:   23858980 kB\nSwapTotal: 0 kB\nSlab: 107400 kB\n",
		"/proc/net/sockstat":  "TCP: inuse 3 orphan 0 tw 3 alloc 3 mem 0\n",
		"/proc/net/sockstat6": "TCP6: inuse 0\n",
		"/proc/net/snmp":      "Tcp: ActiveOpens PassiveOpens CurrEstab\nTcp: 10 10 2\n",
		"/proc/self/mountinfo": "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n" +
			"32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n" +
			"35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n" +
			"39 31 0:36 / /sys/fs/cgroup/pids rw,relatime - cgroup cgroup rw,pids\n" +
			"41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
		"/sys/fs/cgroup/cpu/cpu.cfs_quota_us":         "-1\n",
		"/sys/fs/cgroup/cpu/cpu.cfs_period_us":        "100000\n",
		"/sys/fs/cgroup/cpu/cpu.stat":                 "nr_periods 0\nnr_throttled 0\nthrottled_time 0\n",
		memory + "memory.limit_in_bytes":              "9223372036854771712\n",
		memory + "memory.usage_in_bytes":              "281654784\n",
		memory + "memory.stat":                        "cache 1\ntotal_inactive_file 712593408\n",
		memory + "memory.kmem.usage_in_bytes":         "94289920\n",
		memory + "memory.kmem.tcp.usage_in_bytes":     "8192\n",
		"/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
		"/sys/fs/cgroup/memory/memory.usage_in_bytes": "1281654784\n",
		"/sys/fs/cgroup/unified/cgroup.controllers":   "\n",
		"/sys/class/net/eth0/device/":                 "",
		"/sys/class/net/eth0/queues/rx-0/rps_cpus":    "0\n",
	}.over(sysctls("fs.nr_open", "1048576", "fs.file-max", "2466174", "fs.file-nr", "212 0 2466174", "fs.epoll.max_user_watches", "5491489",
		"net.core.somaxconn", "4096", "net.ipv4.tcp_mem", "287898\t383866\t575796", "net.ipv4.tcp_rmem", "4096\t131072\t33554432",
		"net.netfilter.nf_conntrack_max", "262144", "net.netfilter.nf_conntrack_count", "0"))
}

func container2() files {
	return files{
		"/proc/self/limits":          "Max open files            1048576              1048576              files     \n",
		"/proc/self/status":          "VmSwap:\t       0 kB\nCpus_allowed_list:\t0-3\n",
		"/proc/self/cgroup":          "0::/\n",
		"/proc/self/mountinfo":       "900 800 0:28 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw\n",
		"/proc/meminfo":              "MemTotal: 64000000 kB\nMemAvailable: 60000000 kB\nSwapTotal: 8000000 kB\n",
		"/sys/fs/cgroup/memory.max":  "536870912\n",
		"/sys/fs/cgroup/memory.high": "max\n", "/sys/fs/cgroup/memory.current": "70000000\n",
		"/sys/fs/cgroup/memory.stat": "sock 0\nslab 400000\ninactive_file 50000000\n",
		"/sys/fs/cgroup/pids.max":    "256\n", "/sys/fs/cgroup/pids.current": "9\n",
		"/sys/fs/cgroup/cpu.max":  "150000 100000\n",
		"/sys/fs/cgroup/cpu.stat": "nr_periods 100\nnr_throttled 0\n",
	}.over(sysctls("fs.nr_open", "1048576", "fs.file-max", "9223372036854775807", "fs.file-nr", "5000 0 9223372036854775807", "net.core.somaxconn", "4095"))
}

func container1() files {
	const pod = "/kubepods/burstable/pod1/abc"
	return files{
		"/proc/self/limits": "Max open files            1048576              1048576              files     \n",
		"/proc/self/status": "Cpus_allowed_list:\t0-3\n",
		"/proc/self/cgroup": "4:memory:" + pod + "\n3:cpu,cpuacct:" + pod + "\n2:pids:" + pod + "\n",
		"/proc/self/mountinfo": "35 31 0:32 " + pod + " /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n" +
			"36 31 0:33 " + pod + " /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n" +
			"37 31 0:34 /elsewhere /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n",
		"/sys/fs/cgroup/memory/memory.limit_in_bytes":  "268435456\n",
		"/sys/fs/cgroup/memory/memory.usage_in_bytes":  "33554432\n",
		"/sys/fs/cgroup/memory/memory.stat":            "total_inactive_file 1000\n",
		"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us":  "200000\n",
		"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000\n",
		"/sys/fs/cgroup/cpu,cpuacct/cpu.stat":          "nr_periods 100\nnr_throttled 20\n",
		"/sys/fs/cgroup/pids/pids.max":                 "max\n",
		"/sys/fs/cgroup/pids/pids.current":             "3\n",
	}
}

func oldKernel() files {
	return files{
		"/proc/self/limits": "Max open files            1024                 4096                 files     \n",
		"/proc/self/status": "Cpus_allowed_list:\t0-1\n",
		"/proc/meminfo":     "MemTotal: 4000000 kB\nMemAvailable: 3000000 kB\nSwapTotal: 0 kB\n",
	}.over(sysctls("kernel.osrelease", "4.9.0-19-amd64", "net.core.somaxconn", "128", "net.ipv4.tcp_tw_reuse", "0", "net.ipv4.tcp_tw_recycle", "0",
		"net.ipv4.tcp_timestamps", "1"))
}

// TestSample: both address families count, and of a group only one that is not the root of all.
func TestSample(t *testing.T) {
	live := Sample(plant(t, tuned()))
	for name, c := range map[string][2]Figure{
		"sockets": {live.Sockets, known(16)}, "orphans": {live.Orphans, known(0)}, "waiting": {live.TimeWait, known(5)},
		"pages": {live.TCPPages, known(3)}, "files": {live.Files, known(2048)}, "files max": {live.FilesMax, known(2_000_000)},
		"tracked": {live.Tracked, known(120)}, "established": {live.Established, known(12)}, "opened": {live.Opened, known(60_000)},
		"overflows": {live.ListenOverflows, known(1)}, "packets": {live.Packets, known(200_000)}, "dropped": {live.PacketsDropped, known(1)},
		"available": {live.MemoryAvailable, known(14_000_000 << 10)}, "group's sockets": {live.GroupSockets, known(4096)},
		"group's objects": {live.GroupObjects, known(1_000_000)}, "objects": {live.Objects, known(120_000 << 10)}, "periods": {live.Periods, known(0)},
	} {
		if c[0] != c[1] {
			t.Errorf("%s: %+v, want %+v", name, c[0], c[1])
		}
	}
	first := Sample(plant(t, virtualMachine()))
	if first.GroupObjects != known(94_289_920) || first.GroupSockets != known(8192) {
		t.Errorf("by group of version 1: %+v", first)
	}
	whole := files{"/proc/self/cgroup": "4:memory:/\n", "/sys/fs/cgroup/memory/memory.kmem.usage_in_bytes": "94289920\n"}
	if root := Sample(plant(t, whole.over(virtualMachine()))); root.GroupObjects.Known {
		t.Errorf("the root of all groups counts as this process's: %+v", root.GroupObjects)
	}
	if empty := Sample(plant(t, files{"/proc/": ""})); empty != (Live{}) {
		t.Errorf("of nothing: %+v", empty)
	}
}

func TestKernelMemory(t *testing.T) {
	inGroup := Live{GroupObjects: known(5_000_000), GroupSockets: known(8192), Sockets: known(1000), TCPPages: known(2)}
	for _, c := range []struct {
		name    string
		live    Live
		byGroup bool
		want    KernelMemory
	}{
		{"by group", inGroup, true, KernelMemory{5_000_000, 8192, KernelByGroup}},
		{"a kernel that does not charge accepted sockets", inGroup, false, KernelMemory{4_100_000, 8192, KernelBySockets}},
		{"no group", Live{Sockets: known(10), TCPPages: known(1)}, true, KernelMemory{41_000, 4096, KernelBySockets}},
		{"nothing", Live{}, true, KernelMemory{}},
	} {
		if got := kernelMemory(c.live, c.byGroup, 4096); got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	for _, c := range []struct {
		groups  int
		release string
		want    bool
	}{{2, "6.13.0", true}, {2, "7.0", true}, {2, "6.12.99", false}, {2, "", false}, {1, "6.18.44", false}, {0, "6.18.44", false}} {
		if got := chargesAccepted(c.groups, c.release); got != c.want {
			t.Errorf("version %d on %q: %v", c.groups, c.release, got)
		}
	}
	sampler := NewSampler(plant(t, sysctls("kernel.osrelease", "6.18.44").over(tuned())))
	if got := sampler.KernelMemory(sampler.Sample()); got != (KernelMemory{1_000_000, 4096, KernelByGroup}) {
		t.Errorf("of the tuned box: %+v", got)
	}
	before := KernelMemory{1_000_000, 0, KernelByGroup}
	if each, ok := (KernelMemory{5_000_000, 100_000, KernelByGroup}).PerConnection(before, 1000); !ok || each != 4100 {
		t.Error(each, ok)
	}
	if each, ok := (KernelMemory{500_000, 0, KernelByGroup}).PerConnection(before, 1000); !ok || each != 0 {
		t.Error(each, ok)
	}
	for _, c := range []struct {
		now KernelMemory
		n   int
	}{{KernelMemory{5, 5, KernelBySockets}, 1000}, {KernelMemory{}, 1000}, {KernelMemory{5, 5, KernelByGroup}, 0}} {
		if _, ok := c.now.PerConnection(before, c.n); ok {
			t.Errorf("%+v means something", c)
		}
	}
}
