package enginetest

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// This file says where and how eagerly a process runs.

// eachThread calls f with every thread of a process, 0 for this one. New threads take after the one that starts
// them, so a second walk over the list finds none that was missed.
func eachThread(pid int, f func(tid int) error) error {
	for range 2 {
		threads, err := os.ReadDir(procDir(pid) + "/task")
		if err != nil {
			return err
		}
		for _, thread := range threads {
			tid, err := strconv.Atoi(thread.Name())
			if err != nil {
				continue
			}
			if err := f(tid); err != nil && err != unix.ESRCH {
				return err
			}
		}
	}
	return nil
}

// Pin binds every thread of a process, 0 for this one, to processors. It does not tell the process: a Go program
// started before goes on with as many threads as GOMAXPROCS says.
func Pin(pid int, cpus ...int) error {
	var set unix.CPUSet
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	err := eachThread(pid, func(tid int) error { return unix.SchedSetaffinity(tid, &set) })
	if err != nil {
		return fmt.Errorf("pin to processors %v: %w", cpus, err)
	}
	return nil
}

// Hurry lets a process run ahead of others, those of a busy machine's other users among them: one that measures must not
// count its own wait for a processor as the server's. nice is -1 to -20, the most eager. It does nothing where the
// system does not allow it.
func Hurry(pid, nice int) {
	_ = eachThread(pid, func(tid int) error { return unix.Setpriority(unix.PRIO_PROCESS, tid, nice) })
}
