package probe

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPU is the processor time that a process has used so far, user and system together, exact to the nanosecond.
// It counts threads that have ended. The error is not nil when there is no such process.
func CPU(pid int) (time.Duration, error) {
	// The clock of another process is named by the complement of its pid and what it counts (2: both kinds of
	// time as the scheduler sees them), as clock_getcpuclockid(3) makes it.
	const (
		scheduler = 2
		mostPids  = 1 << 22 // PID_MAX_LIMIT; a larger number would not fit into the clock's name
	)
	if pid <= 0 || pid > mostPids {
		return 0, fmt.Errorf("reading the processor time of process %d: no such process", pid)
	}
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|scheduler), &t); err != nil {
		return 0, fmt.Errorf("reading the processor time of process %d: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// Resident is the memory of a process that is in RAM, in bytes, exactly: the counters of /proc/pid/status may lag
// behind by some pages for each thread, this sums up the mappings. It stops the process's page faults while it
// looks, some milliseconds for a gigabyte.
func Resident(pid int) (int64, error) {
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	if err != nil {
		return 0, fmt.Errorf("reading the memory of process %d: %w", pid, err)
	}
	kib, ok := sizeLine(text, "Rss:")
	if !ok {
		return 0, fmt.Errorf("reading the memory of process %d: no line Rss in smaps_rollup", pid)
	}
	return kib, nil
}

// KernelMemory is what the kernel holds in its own objects and in the buffers of TCP sockets, in bytes, for the
// whole machine: the difference of two readings is the connections' share only if nothing else went on.
func KernelMemory() (int64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("reading the kernel's memory: %w", err)
	}
	slab, ok := sizeLine(text, "Slab:")
	if !ok {
		return 0, fmt.Errorf("reading the kernel's memory: no line Slab in /proc/meminfo")
	}
	sockets, err := os.ReadFile("/proc/net/sockstat")
	if err != nil {
		return 0, fmt.Errorf("reading the kernel's memory: %w", err)
	}
	return slab + socketPages(sockets)*int64(os.Getpagesize()), nil
}

// sizeLine finds a line such as "Rss:  1234 kB" and returns its value in bytes.
func sizeLine(text []byte, name string) (int64, bool) {
	for line := range bytes.Lines(text) {
		rest, ok := bytes.CutPrefix(line, []byte(name))
		if !ok {
			continue
		}
		fields := bytes.Fields(rest)
		if len(fields) == 0 {
			return 0, false
		}
		kib, err := strconv.ParseInt(string(fields[0]), 10, 64)
		return kib << 10, err == nil
	}
	return 0, false
}

// socketPages finds the pages in TCP buffers in the text of /proc/net/sockstat: "TCP: inuse 5 ... mem 1".
func socketPages(text []byte) int64 {
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "TCP:" {
			continue
		}
		for i := 1; i+1 < len(fields); i += 2 {
			if fields[i] == "mem" {
				pages, _ := strconv.ParseInt(fields[i+1], 10, 64)
				return pages
			}
		}
	}
	return 0
}
