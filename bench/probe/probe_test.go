package probe

import (
	"os"
	"os/exec"
	"runtime/debug"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestCPU(t *testing.T) {
	before, err := CPU(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	// What this process burns shows, whatever the machine's speed: spin until it does.
	deadline := time.Now().Add(10 * time.Second)
	for {
		after, err := CPU(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if after-before > 20*time.Millisecond {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("only %v of processor time in 10 s of spinning", after-before)
		}
	}
	for _, pid := range []int{-1, 0, 1<<22 + 1, 1 << 30} {
		if _, err := CPU(pid); err == nil {
			t.Errorf("process %d, which does not exist, has a processor time", pid)
		}
	}
}

func TestCPUOfAnotherProcess(t *testing.T) {
	cmd := exec.Command("cat")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); _ = cmd.Wait() }()
	if used, err := CPU(cmd.Process.Pid); err != nil || used > time.Second {
		t.Errorf("a process that waits has used %v, %v", used, err)
	}
	if size, err := Resident(cmd.Process.Pid); err != nil || size == 0 {
		t.Errorf("a process that waits has %d bytes, %v", size, err)
	}
}

func TestResident(t *testing.T) {
	const more = 64 << 20
	debug.FreeOSMemory()
	before, err := Resident(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	// Straight from the kernel: what the race detector keeps beside the heap is several times the heap.
	block, err := unix.Mmap(-1, 0, more, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(block) }()
	for at := 0; at < more; at += os.Getpagesize() {
		block[at] = 1
	}
	after, err := Resident(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if grown := after - before; grown < more*9/10 || grown > more*12/10 {
		t.Errorf("%d bytes more show as %d", len(block), grown)
	}
	if _, err := Resident(1 << 30); err == nil {
		t.Error("a process that does not exist has memory")
	}
}

func TestKernelMemory(t *testing.T) {
	if size, err := KernelMemory(); err != nil || size < 1<<20 {
		t.Errorf("the kernel holds %d bytes, %v", size, err)
	}
}

func TestLines(t *testing.T) {
	for _, c := range []struct {
		name, text, key string
		want            int64
		ok              bool
	}{
		{"first line", "Rss:    12 kB\nPss: 3 kB\n", "Rss:", 12 << 10, true},
		{"later line", "Pss: 3 kB\nRss: 7 kB", "Rss:", 7 << 10, true},
		{"absent", "Pss: 3 kB\n", "Rss:", 0, false},
		{"no value", "Rss:\n", "Rss:", 0, false},
		{"no number", "Rss: much kB\n", "Rss:", 0, false},
		{"empty", "", "Rss:", 0, false},
	} {
		if got, ok := sizeLine([]byte(c.text), c.key); ok != c.ok || ok && got != c.want {
			t.Errorf("%s: %d %v, want %d %v", c.name, got, ok, c.want, c.ok)
		}
	}
	sockstat := "sockets: used 9\nTCP: inuse 5 orphan 0 tw 0 alloc 7 mem 3\nUDP: inuse 1 mem 8\n"
	if pages := socketPages([]byte(sockstat)); pages != 3 {
		t.Errorf("%d pages, want 3", pages)
	}
	if pages := socketPages([]byte("UDP: inuse 1 mem 8\n")); pages != 0 {
		t.Errorf("%d pages without TCP", pages)
	}
}

func TestMachine(t *testing.T) {
	seen := map[string]string{}
	for _, f := range Machine() {
		if f.Name == "" || f.Value == "" {
			t.Errorf("fact %+v is incomplete", f)
		}
		if _, twice := seen[f.Key]; twice {
			t.Errorf("fact %q is there twice", f.Key)
		}
		seen[f.Key] = f.Value
	}
	for _, key := range []string{"cpu", "cpus", "memory", "kernel", "go"} {
		if seen[key] == "" {
			t.Errorf("nothing about %q", key)
		}
	}
}
