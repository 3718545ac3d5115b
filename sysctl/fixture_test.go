package sysctl

import (
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// files are a tree by path. A name that ends with a slash is an empty folder; absent takes out what is there.
type files map[string]string

const absent = "\x00absent"

// over is under with f laid over it.
func (f files) over(under files) files {
	all := maps.Clone(under)
	maps.Copy(all, f)
	return all
}

// plant writes a tree and returns its root, which goes with the test. It is in memory where there is a folder for
// that: an apply waits for the disk at each step, and there are hundreds here.
func plant(t testing.TB, tree files) string {
	t.Helper()
	root, err := os.MkdirTemp("/dev/shm", "roost-sysctl-")
	if err != nil {
		root = t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(root) })
	lay(t, root, tree)
	return root
}

// lay writes a tree over what is below a root.
func lay(t testing.TB, root string, tree files) {
	t.Helper()
	for name, text := range tree {
		path := filepath.Join(root, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		switch {
		case err != nil:
		case text == absent:
			if err = os.Remove(path); errors.Is(err, os.ErrNotExist) {
				err = nil
			}
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o755)
		default:
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// undoneBy is what restores the files of base that edit has touched.
func undoneBy(base, edit files) files {
	back := files{}
	for name := range edit {
		if text, ok := base[name]; ok {
			back[name] = text
		} else {
			back[name] = absent
		}
	}
	return back
}

// proper is the target that the tuned box is tuned for, as a node of a process that has 8 processors.
var (
	proper        = Target{Connections: 200_000, PerSecond: 2000, Tuples: 4}
	properProcess = Process{MaxProcs: known(8), ClockSynced: known(1), PageSize: known(4096), MayRaise: known(1)}
)

const group = "/sys/fs/cgroup/system.slice/roost.service/"

// tuned is a machine on which all is well for proper: 8 processors, 16 GiB, Linux 6.12 under systemd with control
// groups of version 2, and connection tracking in use.
func tuned() files {
	return files{
		"/proc/sys/kernel/osrelease":                                       "6.12.0-amd64\n",
		"/proc/sys/fs/nr_open":                                             "1048576\n",
		"/proc/sys/fs/file-max":                                            "2000000\n",
		"/proc/sys/fs/file-nr":                                             "2048\t0\t2000000\n",
		"/proc/sys/fs/epoll/max_user_watches":                              "3664816\n",
		"/proc/sys/net/core/somaxconn":                                     "8192\n",
		"/proc/sys/net/core/netdev_max_backlog":                            "1000\n",
		"/proc/sys/net/core/busy_poll":                                     "0\n",
		"/proc/sys/net/core/busy_read":                                     "0\n",
		"/proc/sys/net/core/default_qdisc":                                 "fq_codel\n",
		"/proc/sys/net/ipv4/tcp_max_syn_backlog":                           "8192\n",
		"/proc/sys/net/ipv4/tcp_syncookies":                                "1\n",
		"/proc/sys/net/ipv4/tcp_abort_on_overflow":                         "0\n",
		"/proc/sys/net/ipv4/ip_local_port_range":                           "32768\t60999\n",
		"/proc/sys/net/ipv4/ip_local_reserved_ports":                       "\n",
		"/proc/sys/net/ipv4/tcp_tw_reuse":                                  "2\n",
		"/proc/sys/net/ipv4/tcp_timestamps":                                "1\n",
		"/proc/sys/net/ipv4/tcp_mem":                                       "600000\t900000\t1200000\n",
		"/proc/sys/net/ipv4/tcp_rmem":                                      "4096\t131072\t262144\n",
		"/proc/sys/net/ipv4/tcp_wmem":                                      "4096\t16384\t262144\n",
		"/proc/sys/net/ipv4/tcp_notsent_lowat":                             "131072\n",
		"/proc/sys/net/ipv4/tcp_max_orphans":                               "262144\n",
		"/proc/sys/net/ipv4/tcp_max_tw_buckets":                            "262144\n",
		"/proc/sys/net/ipv4/tcp_fin_timeout":                               "60\n",
		"/proc/sys/net/ipv4/tcp_keepalive_time":                            "7200\n",
		"/proc/sys/net/ipv4/tcp_keepalive_intvl":                           "75\n",
		"/proc/sys/net/ipv4/tcp_keepalive_probes":                          "9\n",
		"/proc/sys/net/ipv4/tcp_retries2":                                  "15\n",
		"/proc/sys/net/ipv4/tcp_slow_start_after_idle":                     "0\n",
		"/proc/sys/net/ipv4/tcp_congestion_control":                        "cubic\n",
		"/proc/sys/net/netfilter/nf_conntrack_max":                         "400000\n",
		"/proc/sys/net/netfilter/nf_conntrack_count":                       "120\n",
		"/proc/sys/net/netfilter/nf_conntrack_buckets":                     "262144\n",
		"/proc/sys/net/netfilter/nf_conntrack_tcp_timeout_established":     "3600\n",
		"/proc/sys/vm/overcommit_memory":                                   "0\n",
		"/proc/sys/vm/swappiness":                                          "60\n",
		"/proc/sys/vm/max_map_count":                                       "65530\n",
		"/proc/sys/vm/min_free_kbytes":                                     "67584\n",
		"/proc/self/limits":                                                "Limit                     Soft Limit           Hard Limit           Units     \nMax processes             96364                96364                processes \nMax open files            1024                 524288               files     \n",
		"/proc/self/status":                                                "Name:\troost\nVmSwap:\t       0 kB\nCpus_allowed:\tff\nCpus_allowed_list:\t0-7\n",
		"/proc/self/cgroup":                                                "0::/system.slice/roost.service\n",
		"/proc/self/mountinfo":                                             "22 27 0:21 / /proc rw,relatime - proc proc rw\n31 23 0:28 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n",
		"/proc/meminfo":                                                    "MemTotal:       16384000 kB\nMemFree:         9000000 kB\nMemAvailable:   14000000 kB\nSwapTotal:             0 kB\nSlab:             120000 kB\n",
		"/proc/net/sockstat":                                               "sockets: used 217\nTCP: inuse 12 orphan 0 tw 5 alloc 14 mem 3\nUDP: inuse 2 mem 0\n",
		"/proc/net/sockstat6":                                              "TCP6: inuse 4\nUDP6: inuse 1\n",
		"/proc/net/netstat":                                                "TcpExt: SyncookiesSent ListenOverflows ListenDrops TCPTimeWaitOverflow\nTcpExt: 0 1 1 0\nIpExt: InNoRoutes\nIpExt: 0\n",
		"/proc/net/snmp":                                                   "Tcp: RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens CurrEstab\nTcp: 1 200 120000 -1 20000 40000 12\n",
		"/proc/net/softnet_stat":                                           "000186a0 00000000 00000000\n000186a0 00000001 00000000\n",
		"/proc/net/tcp":                                                    "  sl  local_address rem_address   st tx_queue\n   0: 00000000:1F90 00000000:0000 0A 00000000:00000000\n   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000\n",
		"/proc/net/tcp6":                                                   "  sl  local_address rem_address   st tx_queue\n",
		"/proc/softirqs":                                                   "                    CPU0       CPU1\n      NET_TX:          3          0\n      NET_RX:     500000     510000\n",
		"/sys/kernel/mm/transparent_hugepage/enabled":                      "always [madvise] never\n",
		"/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none":     "511\n",
		"/sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
		"/sys/class/net/eth0/device/":                                      "",
		"/sys/class/net/eth0/queues/rx-0/rps_cpus":                         "0\n",
		"/sys/class/net/eth0/queues/rx-1/rps_cpus":                         "ff\n",
		"/sys/class/net/eth0/queues/tx-0/xps_cpus":                         "0\n",
		"/sys/class/net/lo/queues/rx-0/rps_cpus":                           "0\n",
		"/sys/fs/cgroup/cgroup.controllers":                                "cpu memory pids\n",
		"/sys/fs/cgroup/system.slice/memory.max":                           "max\n",
		"/sys/fs/cgroup/system.slice/memory.current":                       "3000000000\n",
		group + "memory.max":                                               "8000000000\n",
		group + "memory.high":                                              "max\n",
		group + "memory.current":                                           "100000000\n",
		group + "memory.stat":                                              "anon 30000000\nfile 60000000\nsock 4096\ninactive_file 50000000\nslab 1000000\n",
		group + "pids.max":                                                 "4096\n",
		group + "pids.current":                                             "12\n",
		group + "cpu.max":                                                  "max 100000\n",
		group + "cpu.stat":                                                 "usage_usec 1\nnr_periods 0\nnr_throttled 0\n",
	}
}

// find returns a row of a report.
func find(t testing.TB, r *Report, id string) *Row {
	t.Helper()
	for i := range r.Rows {
		if r.Rows[i].ID == id {
			return &r.Rows[i]
		}
	}
	t.Fatalf("no row %s", id)
	return nil
}

// room is what a forecast says about a cause.
func room(stops []Stop, cause Cause) (uint64, bool) {
	for _, s := range stops {
		if s.Cause == cause {
			return s.Connections, true
		}
	}
	return 0, false
}
