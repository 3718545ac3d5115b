package probe

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/roost-ws/roost/bench"
)

// settings are the kernel's settings that change what a server can do, with the file each is read from.
var settings = []struct{ key, name, file string }{
	{"somaxconn", "accept queue (net.core.somaxconn)", "/proc/sys/net/core/somaxconn"},
	{"congestion", "congestion control", "/proc/sys/net/ipv4/tcp_congestion_control"},
	{"tcp_mem", "TCP memory in pages (net.ipv4.tcp_mem)", "/proc/sys/net/ipv4/tcp_mem"},
	{"tcp_rmem", "receive buffer (net.ipv4.tcp_rmem)", "/proc/sys/net/ipv4/tcp_rmem"},
	{"tcp_wmem", "send buffer (net.ipv4.tcp_wmem)", "/proc/sys/net/ipv4/tcp_wmem"},
	{"busy_poll", "busy polling (net.core.busy_poll)", "/proc/sys/net/core/busy_poll"},
	{"thp", "transparent huge pages", "/sys/kernel/mm/transparent_hugepage/enabled"},
}

// Machine is what a report says about where it was made: processor, memory, kernel, its settings, and this
// program's Go. What can't be read is left out.
func Machine() []bench.Fact {
	facts := []bench.Fact{
		{Key: "cpu", Name: "processor", Value: processor()},
		{Key: "cpus", Name: "processors that may be used", Value: fmt.Sprint(runtime.NumCPU())},
	}
	if text, err := os.ReadFile("/proc/meminfo"); err == nil {
		if total, ok := sizeLine(text, "MemTotal:"); ok {
			facts = append(facts, bench.Fact{Key: "memory", Name: "memory", Value: fmt.Sprintf("%.1f GiB", float64(total)/(1<<30))})
		}
	}
	var name unix.Utsname
	if unix.Uname(&name) == nil {
		facts = append(facts, bench.Fact{Key: "kernel", Name: "kernel",
			Value: unix.ByteSliceToString(name.Sysname[:]) + " " + unix.ByteSliceToString(name.Release[:])})
	}
	facts = append(facts, bench.Fact{Key: "go", Name: "Go", Value: runtime.Version()})
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		facts = append(facts, bench.Fact{Key: "nofile", Name: "descriptors a process may have", Value: fmt.Sprint(limit.Max)})
	}
	for _, s := range settings {
		if text, err := os.ReadFile(s.file); err == nil {
			facts = append(facts, bench.Fact{Key: s.key, Name: s.name, Value: strings.Join(strings.Fields(string(text)), " ")})
		}
	}
	return facts
}

// processor is the model's name, as /proc/cpuinfo has it on most architectures.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range bytes.Lines(text) {
		if key, value, ok := bytes.Cut(line, []byte(":")); ok && string(bytes.TrimSpace(key)) == "model name" {
			return string(bytes.TrimSpace(value))
		}
	}
	return runtime.GOARCH
}
