// What moves while a node runs, cheap enough for each scrape of its metrics.

package sysctl

import (
	"os"
	"strings"
)

// Live is what a box uses right now. Everything about TCP is of this network namespace, except for the pages, which
// the kernel counts for the machine.
type Live struct {
	// Sockets are TCP sockets in use, of both address families; Orphans those whose process has let go of them,
	// TimeWait those that only rest.
	Sockets, Orphans, TimeWait Figure
	// TCPPages is what is in TCP buffers.
	TCPPages Figure
	// Files are open files of the whole machine, FilesMax how many there may be.
	Files, FilesMax Figure
	// Tracked are entries of the connection tracking table.
	Tracked Figure
	// Established are TCP connections.
	Established Figure
	// Opened are connections since the namespace was made, in both directions.
	Opened Figure
	// ListenOverflows are connections that found an accept queue full, TimeWaitOverflows those that did not get
	// their rest, since the namespace was made.
	ListenOverflows, TimeWaitOverflows Figure
	// Packets were taken from input queues and PacketsDropped before them, since the machine started.
	Packets, PacketsDropped Figure
	// MemoryAvailable is what the machine could give to processes without swapping, in bytes.
	MemoryAvailable Figure
	// Periods are those of the processor quota, Throttled the ones in which this group was stopped.
	Periods, Throttled Figure
	// GroupSockets and GroupObjects are what the control group counts of socket buffers and of the kernel's own
	// objects, in bytes; unknown where the group is the root of all.
	GroupSockets, GroupObjects Figure
	// Objects are all of the kernel's objects on the machine, in bytes.
	Objects Figure
}

// Sampler reads live values again and again; it has looked up what does not change in a process's life. Its methods
// may be called from any goroutine.
type Sampler struct {
	tree    tree
	groups  groups
	byGroup bool // the group counts all of a socket
	page    uint64
}

// NewSampler looks up this process's control groups below root.
func NewSampler(root string) *Sampler {
	t := tree(root)
	release, _ := t.read(sysctlPath("kernel.osrelease"))
	g := findGroups(t)
	return &Sampler{t, g, chargesAccepted(g.version, release), uint64(os.Getpagesize())}
}

// Sample reads the live values: a dozen small files, a few tenths of a millisecond.
func (s *Sampler) Sample() Live { return sample(s.tree, s.groups) }

// Refresh brings what moves in facts up to date: the live values, and what the control group allows and counts. The
// facts are the caller's; nobody else may look at them meanwhile.
func (s *Sampler) Refresh(f *Facts) {
	f.Live, f.Cgroup = s.Sample(), readCgroup(s.tree, s.groups)
}

// KernelMemory is what the kernel held for sockets when l was read, by control group where that is worth more than
// an estimate.
func (s *Sampler) KernelMemory(l Live) KernelMemory { return kernelMemory(l, s.byGroup, s.page) }

// Sample reads the live values below root once.
func Sample(root string) Live { return NewSampler(root).Sample() }

func sample(t tree, g groups) Live {
	var l Live
	l.readSockets(t)
	l.readCounters(t)
	l.readGroup(t, g)
	if text, ok := t.read("/proc/sys/fs/file-nr"); ok {
		if all := parseFigures(text); len(all) == 3 {
			l.Files, l.FilesMax = known(all[0]-min(all[0], all[1])), known(all[2])
		}
	}
	l.Tracked = t.figure(sysctlPath("net.netfilter.nf_conntrack_count"))
	if text, ok := t.read("/proc/net/softnet_stat"); ok {
		l.Packets, l.PacketsDropped = parseSoftnet(text)
	}
	if text, ok := t.read("/proc/meminfo"); ok {
		l.MemoryAvailable, l.Objects = parseNamed(text, "MemAvailable:"), parseNamed(text, "Slab:")
	}
	return l
}

// readSockets adds up both address families: a listener on all addresses is one of IPv6, and so are the sockets that
// it accepts.
func (l *Live) readSockets(t tree) {
	if text, ok := t.read("/proc/net/sockstat"); ok {
		pairs := parsePairs(text, "TCP:")
		l.Sockets, l.Orphans = member(pairs, "inuse"), member(pairs, "orphan")
		l.TimeWait, l.TCPPages = member(pairs, "tw"), member(pairs, "mem")
	}
	if text, ok := t.read("/proc/net/sockstat6"); ok && l.Sockets.Known {
		l.Sockets.Value += parsePairs(text, "TCP6:")["inuse"]
	}
}

func (l *Live) readCounters(t tree) {
	if text, ok := t.read("/proc/net/netstat"); ok {
		counters := parseTwoLines(text, "TcpExt:")
		l.ListenOverflows, l.TimeWaitOverflows = member(counters, "ListenOverflows"), member(counters, "TCPTimeWaitOverflow")
	}
	if text, ok := t.read("/proc/net/snmp"); ok {
		counters := parseTwoLines(text, "Tcp:")
		l.Established = member(counters, "CurrEstab")
		active, passive := member(counters, "ActiveOpens"), member(counters, "PassiveOpens")
		l.Opened = Figure{active.Value + passive.Value, active.Known && passive.Known}
	}
}

func (l *Live) readGroup(t tree, g groups) {
	for _, folder := range g.cpu {
		if text, ok := t.read(folder + "/cpu.stat"); ok {
			l.Periods, l.Throttled = parseNamed(text, "nr_periods"), parseNamed(text, "nr_throttled")
			break
		}
	}
	if !g.own || len(g.memory) == 0 {
		return
	}
	switch own := g.memory[0]; g.version {
	case 1:
		l.GroupObjects = t.figure(own + "/memory.kmem.usage_in_bytes")
		l.GroupSockets = t.figure(own + "/memory.kmem.tcp.usage_in_bytes")
	case 2:
		stat, _ := t.read(own + "/memory.stat")
		l.GroupObjects, l.GroupSockets = parseNamed(stat, "slab"), parseNamed(stat, "sock")
	}
}

func member(all map[string]uint64, name string) Figure {
	v, ok := all[name]
	return Figure{v, ok}
}

// version is the kernel's, as two numbers; zeros when it can't be told.
func version(release string) (major, minor uint64) {
	first, rest, _ := strings.Cut(release, ".")
	second := rest[:len(rest)-len(strings.TrimLeft(rest, "0123456789"))]
	return parseFigure(first).Value, parseFigure(second).Value
}
