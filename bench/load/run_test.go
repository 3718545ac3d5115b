package load_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roost-ws/roost/bench"
	"github.com/roost-ws/roost/bench/load"
)

// update rewrites the golden files.
var update = flag.Bool("update", false, "rewrite testdata")

func TestRun(t *testing.T) {
	t.Parallel()
	s := startServer(t, faults{})
	const short = 100 * time.Millisecond
	for name, tc := range map[string]struct {
		scenario load.Scenario
		parts    string
	}{
		"idle":   {load.Scenario{Duration: short}, "idle open"},
		"echo":   {load.Scenario{Duration: short, InFlight: 1, Warmup: short / 2}, "echo open"},
		"fanout": {load.Scenario{Duration: short, Rate: 50}, "fanout open"},
		"churn":  {load.Scenario{Duration: short}, "churn"},
		"storm":  {load.Scenario{Duration: time.Minute}, "open storm"},
		"mix": {load.Scenario{Duration: short, Profile: &load.Profile{Name: "p", Kinds: []load.Kind{{Name: "all", Share: 1, Rate: 20}}}},
			"mix open"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tc.scenario.Name, tc.scenario.Connections = name, 4
			r, err := load.Run(t.Context(), tc.scenario, load.Spec{Command: workerCommand(t),
				Target: bench.Target{Addresses: []string{s.address}, Path: "/" + name, PayloadBytes: 60}})
			if err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(r)
			if err != nil {
				t.Fatal(err)
			}
			var fields map[string]any
			if err := json.Unmarshal(text, &fields); err != nil {
				t.Fatal(err)
			}
			maps.DeleteFunc(fields, func(key string, value any) bool { _, part := value.(map[string]any); return !part || key == "target" })
			if got := strings.Join(slices.Sorted(maps.Keys(fields)), " "); got != tc.parts {
				t.Errorf("parts %s, want %s", got, tc.parts)
			}
			if r.Scenario != name || r.ClientCPU <= 0 && name != "idle" || r.Measured <= 0 || r.ClientCPUs != 1 || r.Took < r.Measured || r.Started.IsZero() {
				t.Errorf("%s", text)
			}
			var table strings.Builder
			if err := load.WriteTable(&table, r); err != nil || !strings.Contains(table.String(), s.address) {
				t.Errorf("%v, table\n%s", err, table.String())
			}
		})
	}
}

func TestRunFails(t *testing.T) {
	t.Parallel()
	good := load.Scenario{Name: "idle", Connections: 1, Duration: time.Second}
	target := bench.Target{Addresses: []string{"127.0.0.1:1"}, Path: "/", PayloadBytes: 60}
	for _, tc := range []struct {
		name   string
		change func(*load.Scenario, *load.Spec)
		want   string
	}{
		{"nobody there", func(*load.Scenario, *load.Spec) {}, "none of 1 connections opened"},
		{"no such scenario", func(c *load.Scenario, _ *load.Spec) { c.Name = "party" }, "party"},
		{"no connections", func(c *load.Scenario, _ *load.Spec) { c.Connections = 0 }, "0 connections"},
		{"no duration", func(c *load.Scenario, _ *load.Spec) { c.Duration = 0 }, "duration"},
		{"echo of nothing", func(c *load.Scenario, _ *load.Spec) { c.Name = "echo" }, "in flight"},
		{"fan-out of nothing", func(c *load.Scenario, _ *load.Spec) { c.Name = "fanout" }, "rate"},
		{"mix of nothing", func(c *load.Scenario, _ *load.Spec) { c.Name = "mix" }, "profile"},
		{"bad profile", func(c *load.Scenario, _ *load.Spec) { c.Profile = new(load.Profile) }, "kinds"},
		{"rate below 0", func(c *load.Scenario, _ *load.Spec) { c.Rate = -1 }, "below 0"},
		{"bad target", func(_ *load.Scenario, s *load.Spec) { s.Target.Path = "x" }, "path"},
		{"no command", func(_ *load.Scenario, s *load.Spec) { s.Command = nil }, "command"},
		{"no such command", func(_ *load.Scenario, s *load.Spec) { s.Command = []string{"/nowhere/at-all"} }, "no such file"},
		{"not a worker", func(_ *load.Scenario, s *load.Spec) {
			s.Command = []string{"/bin/sh", "-c", "echo so it goes >&2; exit 3"}
		}, "so it goes"},
		{"no such processor", func(_ *load.Scenario, s *load.Spec) { s.CPUs = []int{1000} }, "1000"},
		{"too few workers", func(_ *load.Scenario, s *load.Spec) { s.Workers, s.Connections = 1, 1<<30 }, "workers"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, s := good, load.Spec{Target: target, Command: workerCommand(t)}
			tc.change(&c, &s)
			if _, err := load.Run(t.Context(), c, s); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want one about %q", err, tc.want)
			}
		})
	}
}

// kill ends the process of that id, which is one of this test's workers.
func kill(t *testing.T, pid string) {
	t.Helper()
	id, err := strconv.Atoi(strings.TrimSpace(pid))
	if err != nil {
		t.Fatal(err)
	}
	p, err := os.FindProcess(id)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(); err != nil {
		t.Fatal(err)
	}
}

// TestWorkerDies kills a worker in the middle of its work: that is an error, soon, and what is left can be closed.
func TestWorkerDies(t *testing.T) {
	t.Parallel()
	s := startServer(t, faults{})
	dir := t.TempDir()
	script := filepath.Join(dir, "worker")
	// The shell makes way for the worker under the same process id, which it writes down first.
	text := "#!/bin/sh\necho $$ > " + filepath.Join(dir, "pid") + "\nexec " + strings.Join(workerCommand(t), " ") + "\n"
	if err := os.WriteFile(script, []byte(text), 0o700); err != nil {
		t.Fatal(err)
	}
	swarm := startSwarm(t, s, func(s *load.Spec) { s.Command = []string{script} })
	open(t, swarm, 2)
	done := make(chan error, 1)
	go func() {
		_, err := swarm.Idle(t.Context(), time.Minute)
		done <- err
	}()
	pid, err := os.ReadFile(filepath.Join(dir, "pid"))
	if err != nil {
		t.Fatal(err)
	}
	kill(t, string(pid))
	select {
	case err := <-done:
		if err == nil || !strings.Contains(err.Error(), "ended") || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("nobody noticed")
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var lines []string
	s := startServer(t, faults{})
	swarm := startSwarm(t, s, func(s *load.Spec) {
		s.Progress = func(line string) {
			mu.Lock()
			defer mu.Unlock()
			lines = append(lines, line)
		}
	})
	open(t, swarm, 3)
	if _, err := swarm.Echo(t.Context(), load.EchoSpec{Rate: 3000, Duration: 1500 * time.Millisecond}); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(lines) == 0 || !strings.HasPrefix(lines[0], "echo") || !strings.Contains(lines[0], "3 open") || !strings.Contains(lines[0], "received/s") {
		t.Errorf("%q", lines)
	}
}

// TestWriteTable compares the table of each kind of run with testdata; -update rewrites it.
func TestWriteTable(t *testing.T) {
	l := bench.Latency{Count: 1000, Mean: 1234567, P50: 1100 * time.Microsecond, P90: 2 * time.Millisecond, P99: 12345 * time.Microsecond, P999: 123456789, Max: 1234 * time.Millisecond}
	target := bench.Target{Addresses: []string{"127.0.0.1:8080"}, Path: "/ws"}
	opening := &bench.Opening{Asked: 10000, Opened: 9990, Failures: map[string]int{"status 503": 7, "timeout": 3}, Took: 812345678, Delay: l}
	var out strings.Builder
	for _, r := range []*bench.Run{
		{Scenario: "idle", Open: opening, Idle: &bench.Idling{Held: time.Minute, Pings: 19980}, Ended: map[string]int{"reset": 1, "close 1001": 2}},
		{Scenario: "echo", Echo: &bench.Echoing{InFlight: 8, Sent: 3000008, Received: 3000000, Took: 10 * time.Second, Delay: l, SendDelay: l},
			ClientCPU: 9 * time.Second, ClientCPUs: 1, Measured: 10 * time.Second},
		{Scenario: "echo", Echo: &bench.Echoing{Rate: 10000, Sent: 100000, Received: 99990, Late: 10, Disorder: 1, Duplicates: 2, Strays: 3, Took: 10 * time.Second, Delay: l}},
		{Scenario: "fanout", Fanout: &bench.Fanning{Members: 10000, Rate: 6, Publications: 30, Expected: 300000, Deliveries: 299999, Lost: 1,
			Took: 5 * time.Second, Delay: l, LastMember: l, SendDelay: l}, ClientCPU: time.Second, ClientCPUs: 2, Measured: 5 * time.Second},
		{Scenario: "churn", Churn: &bench.Churning{Turns: 12345, Failures: map[string]int{"refused": 1}, Took: time.Second, Delay: l}},
		{Scenario: "storm", Storm: &bench.Storming{Cut: 100, Took: 0, Attempts: 100, Refusals: map[string]int{"status 403": 100}}},
		{Scenario: "mix", Mix: &bench.Mixing{Profile: "chat", Took: time.Minute, Kinds: map[string]*bench.Fared{
			"idle": {Connections: 90, Received: 4000, Delay: l}, "chatty": {Connections: 10, Sent: 600, Received: 500, Ended: 1, Delay: l}}}},
	} {
		r.Target = target
		if err := load.WriteTable(&out, r); err != nil {
			t.Fatal(err)
		}
		out.WriteByte('\n')
	}
	const golden = "testdata/tables.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if out.String() != string(want) {
		t.Errorf("tables are\n%s\nwant\n%s", out.String(), want)
	}
}
