package load_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roost-ws/roost/bench/load"
)

// TestCPUs starts a worker on one processor: it has that one and no other, and this process has what it had.
func TestCPUs(t *testing.T) {
	before := allowed(t)
	first, _, _ := strings.Cut(strings.SplitN(before[0], "-", 2)[0], ",")
	dir := t.TempDir()
	script, mask := filepath.Join(dir, "worker"), filepath.Join(dir, "mask")
	text := "#!/bin/sh\ngrep Cpus_allowed_list /proc/self/status > " + mask + "\nexec " + strings.Join(workerCommand(t), " ") + "\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	cpu := int(first[0] - '0')
	swarm := startSwarm(t, startServer(t, faults{}), func(s *load.Spec) { s.Command, s.CPUs = []string{script}, []int{cpu} })
	got, err := os.ReadFile(mask)
	if err != nil || len(strings.Fields(string(got))) != 2 || strings.Fields(string(got))[1] != first[:1] {
		t.Errorf("the worker may use %q, want %s; %v", got, first, err)
	}
	for _, after := range allowed(t) {
		if after != before[0] {
			t.Errorf("a thread of this process may use %q, it was %q", after, before[0])
		}
	}
	used, err := swarm.CPU()
	if err != nil || used <= 0 {
		t.Errorf("the worker used %v, %v", used, err)
	}
}

// allowed is which processors each thread of this process may use, in the kernel's words.
func allowed(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("/proc/self/task/*/status")
	if err != nil || len(names) == 0 {
		t.Fatal("no threads", err)
	}
	var all []string
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			continue // it ended
		}
		for line := range strings.Lines(string(text)) {
			if list, ok := strings.CutPrefix(line, "Cpus_allowed_list:"); ok {
				all = append(all, strings.TrimSpace(list))
			}
		}
	}
	return all
}
