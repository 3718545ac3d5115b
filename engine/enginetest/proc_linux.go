package enginetest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// This file reads /proc: what a process holds and what it has used. Nothing here keeps state; a pid of 0 is
// the calling process.

// Memory is what a process holds in RAM, in bytes.
type Memory struct {
	// RSS is all of it, RssAnon what is neither file nor shared memory: heap and stacks.
	RSS, RssAnon int64
}

func procDir(pid int) string {
	if pid == 0 {
		return "/proc/self"
	}
	return "/proc/" + strconv.Itoa(pid)
}

// ReadMemory reads /proc/pid/status.
func ReadMemory(pid int) (Memory, error) {
	text, err := os.ReadFile(procDir(pid) + "/status")
	if err != nil {
		return Memory{}, fmt.Errorf("read memory: %w", err)
	}
	var m Memory
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		kib, _ := strconv.ParseInt(fields[1], 10, 64)
		switch fields[0] {
		case "VmRSS:":
			m.RSS = kib << 10
		case "RssAnon:":
			m.RssAnon = kib << 10
		}
	}
	return m, nil
}

// CPU is the processor time that a process has used so far.
type CPU struct {
	// User and System count ticks of 10 ms.
	User, System time.Duration
	// Run is exact to the nanosecond but only sums threads that are still alive.
	Run time.Duration
}

// Sub is the time used between two readings of one process, before first.
func (c CPU) Sub(before CPU) CPU {
	return CPU{User: c.User - before.User, System: c.System - before.System, Run: c.Run - before.Run}
}

// tick is what /proc/pid/stat counts in: USER_HZ is 100 on every Linux that Go runs on.
const tick = 10 * time.Millisecond

// ReadCPU reads /proc/pid/stat and the schedstat of each thread.
func ReadCPU(pid int) (CPU, error) {
	stat, err := os.ReadFile(procDir(pid) + "/stat")
	if err != nil {
		return CPU{}, fmt.Errorf("read CPU time: %w", err)
	}
	// The second field is the program's name in parentheses and may hold anything, so count behind its end.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 13 {
		return CPU{}, fmt.Errorf("read CPU time: %d fields in stat", len(fields))
	}
	user, errUser := strconv.ParseInt(fields[11], 10, 64)
	system, errSystem := strconv.ParseInt(fields[12], 10, 64)
	if errUser != nil || errSystem != nil {
		return CPU{}, fmt.Errorf("read CPU time: fields %q in stat", fields[11:13])
	}
	c := CPU{User: time.Duration(user) * tick, System: time.Duration(system) * tick}
	threads, err := filepath.Glob(procDir(pid) + "/task/*/schedstat")
	if err != nil {
		return CPU{}, fmt.Errorf("read CPU time: %w", err)
	}
	for _, name := range threads {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // the thread ended since it was listed
		}
		first, _, _ := strings.Cut(string(text), " ")
		run, _ := strconv.ParseInt(first, 10, 64)
		c.Run += time.Duration(run)
	}
	return c, nil
}

// OpenFiles counts the descriptors that a process holds. Reading its own takes one more for the moment of
// reading, which is not counted.
func OpenFiles(pid int) (int, error) {
	entries, err := os.ReadDir(procDir(pid) + "/fd")
	if err != nil {
		return 0, fmt.Errorf("count open files: %w", err)
	}
	if pid == 0 || pid == os.Getpid() {
		return len(entries) - 1, nil
	}
	return len(entries), nil
}

// Sample is one measurement of memory at a number of connections.
type Sample struct {
	Connections int
	Bytes       int64
}

// SlopeBytes is the bytes for each further connection: the least-squares slope over samples, which leaves
// out what the process holds without any connection. It is 0 unless there are two different sizes.
func SlopeBytes(samples []Sample) float64 {
	var n, sumX, sumY float64
	for _, s := range samples {
		n++
		sumX += float64(s.Connections)
		sumY += float64(s.Bytes)
	}
	var xx, xy float64
	for _, s := range samples {
		dx := float64(s.Connections) - sumX/n
		xx += dx * dx
		xy += dx * (float64(s.Bytes) - sumY/n)
	}
	if xx == 0 {
		return 0
	}
	return xy / xx
}
