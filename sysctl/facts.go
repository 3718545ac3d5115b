// What a check looks at.

package sysctl

import (
	"os"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Facts are what was read of a box and of this process. The zero value of each field says that it could not be read.
type Facts struct {
	// Settings are kernel parameters by key, as the kernel prints them.
	Settings map[string]string

	// OpenFiles is the hard descriptor limit of this process: Go raises the soft one to it.
	OpenFiles Figure
	// CPUs are the processors this process may run on.
	CPUs Figure
	// Swapped is this process's memory that is on disk, in bytes.
	Swapped Figure

	MemoryTotal, SwapTotal Figure

	Cgroup Cgroup
	Live   Live

	HugePages    string // the word in force: always, madvise or never
	MaxPtesNone  Figure
	ClockSource  string
	NetworkCards []NetworkCard
	SoftirqsRx   []uint64 // NET_RX, each processor
	Listening    []uint16 // TCP ports

	Process Process
}

// NetworkCard is a network interface with a device behind it.
type NetworkCard struct {
	Name string
	// Queues are those for receiving; Steered says that packets of at least one are spread by RPS.
	Queues  int
	Steered bool
}

// Process is what no file tells: the caller says it about itself, or leaves it out for another machine's files.
type Process struct {
	// MaxProcs is GOMAXPROCS.
	MaxProcs Figure
	// ClockSynced is 1 when the kernel says that its clock follows another, else 0.
	ClockSynced Figure
	// MayRaise is 1 when this process may raise its hard descriptor limit, else 0; unknown when fs.nr_open, which
	// nobody gets past, is what keeps it from that.
	MayRaise Figure
	// PageSize is that of the box in bytes; without it 4096.
	PageSize Figure
}

// ThisProcess is the Process that calls.
func ThisProcess() Process {
	p := Process{MaxProcs: known(uint64(runtime.GOMAXPROCS(0))), PageSize: known(uint64(os.Getpagesize())), MayRaise: mayRaise()}
	const clockError = 5 // TIME_ERROR of adjtimex(2): not synchronised
	var t unix.Timex
	switch state, err := unix.Adjtimex(&t); {
	case err != nil: // a container may be denied even to ask
	case state == clockError || t.Status&unix.STA_UNSYNC != 0:
		p.ClockSynced = known(0)
	default:
		p.ClockSynced = known(1)
	}
	return p
}

// mayRaise tries to raise the hard descriptor limit by one, and takes that back. It calls the kernel itself: the
// standard library would remember that the limit was set, and hand it on to children.
func mayRaise() Figure {
	prlimit := func(limit, old *unix.Rlimit) error {
		_, _, errno := unix.RawSyscall6(unix.SYS_PRLIMIT64, 0, unix.RLIMIT_NOFILE,
			uintptr(unsafe.Pointer(limit)), uintptr(unsafe.Pointer(old)), 0, 0)
		if errno != 0 {
			return errno
		}
		return nil
	}
	var limit unix.Rlimit
	most := tree("/").figure(sysctlPath("fs.nr_open"))
	if err := prlimit(nil, &limit); err != nil || !most.Known || limit.Max >= most.Value {
		return Figure{}
	}
	more := unix.Rlimit{Cur: limit.Cur, Max: limit.Max + 1}
	if err := prlimit(&more, nil); err != nil {
		return known(0)
	}
	_ = prlimit(&limit, nil) // lowering is always allowed
	return known(1)
}

// Read collects the facts below root, "/" for this machine. It reads some sixty small files and blocks for no
// longer than that takes.
func Read(root string, process Process) *Facts {
	t := tree(root)
	f := &Facts{Process: process, Settings: map[string]string{}}
	for _, key := range settingKeys() {
		if text, ok := t.read(sysctlPath(key)); ok {
			f.Settings[key] = strings.Join(strings.Fields(text), " ")
		}
	}
	if limits, ok := t.read("/proc/self/limits"); ok {
		_, f.OpenFiles = parseLimit(limits, "Max open files")
	}
	if status, ok := t.read("/proc/self/status"); ok {
		f.Swapped = parseNamed(status, "VmSwap:")
		for line := range strings.Lines(status) {
			if list, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
				f.CPUs = parseCPUList(list)
			}
		}
	}
	if memory, ok := t.read("/proc/meminfo"); ok {
		f.MemoryTotal, f.SwapTotal = parseNamed(memory, "MemTotal:"), parseNamed(memory, "SwapTotal:")
	}
	groups := findGroups(t)
	f.Cgroup, f.Live = readCgroup(t, groups), sample(t, groups)
	if text, ok := t.read(hugePages + "enabled"); ok {
		f.HugePages = parseChosen(text)
	}
	f.MaxPtesNone = t.figure(maxPtesNone)
	if text, ok := t.read("/sys/devices/system/clocksource/clocksource0/current_clocksource"); ok {
		f.ClockSource = strings.TrimSpace(text)
	}
	if text, ok := t.read("/proc/softirqs"); ok {
		f.SoftirqsRx = parseSoftirqs(text)
	}
	f.NetworkCards = readCards(t)
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		text, _ := t.beginning(name, mostListening)
		f.Listening = append(f.Listening, parseListening(text)...)
	}
	return f
}

// mostListening bounds how far the table of sockets is read: it begins with the listeners, some 150 bytes each.
const mostListening = 64 << 10

// settingKeys are the kernel parameters that the catalogue looks at.
func settingKeys() []string {
	var keys []string
	for i := range catalogue {
		keys = append(keys, catalogue[i].Keys...)
	}
	return keys
}

// readCards finds the interfaces that have a device: lo, bridges and tunnels have none, and no queues that matter.
func readCards(t tree) []NetworkCard {
	const class = "/sys/class/net/"
	var cards []NetworkCard
	for _, name := range t.names(class) {
		if !t.exists(class + name + "/device") {
			continue
		}
		card := NetworkCard{Name: name}
		for _, queue := range t.names(class + name + "/queues") {
			if !strings.HasPrefix(queue, "rx-") {
				continue
			}
			card.Queues++
			mask, _ := t.read(class + name + "/queues/" + queue + "/rps_cpus")
			card.Steered = card.Steered || strings.Trim(mask, "0,\n ") != ""
		}
		if card.Queues > 0 {
			cards = append(cards, card)
		}
	}
	return cards
}

// setting is a kernel parameter that is one number.
func (f *Facts) setting(key string) Figure {
	text, ok := f.Settings[key]
	if !ok {
		return Figure{}
	}
	return parseFigure(text)
}

// settings is a kernel parameter that is n numbers; nil when it is anything else.
func (f *Facts) settings(key string, n int) []uint64 {
	if all := parseFigures(f.Settings[key]); len(all) == n {
		return all
	}
	return nil
}

func (f *Facts) pageSize() uint64 {
	if f.Process.PageSize.Known {
		return max(f.Process.PageSize.Value, 1)
	}
	return 4096
}
