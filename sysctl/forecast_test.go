package sysctl

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// facts draws a box on which everything that ends connections is visible and hardly used.
func drawFacts(t *rapid.T) *Facts {
	draw := func(name string, low, high uint64) uint64 { return rapid.Uint64Range(low, high).Draw(t, name) }
	most := draw("file_max", 1000, 1<<30)
	tracked := draw("conntrack_max", 1000, 1<<24)
	memory := draw("memory", 100<<20, 1<<42)
	group := draw("group", 50<<20, 1<<42)
	return &Facts{
		Settings: map[string]string{
			"fs.nr_open": fmt.Sprint(draw("nr_open", 1, 1<<30)), "fs.file-max": fmt.Sprint(most),
			"fs.epoll.max_user_watches":      fmt.Sprint(draw("watches", 1, 1<<30)),
			"net.core.somaxconn":             "4096",
			"net.ipv4.ip_local_port_range":   fmt.Sprintf("%d 65535", draw("first", 1024, 60000)),
			"net.ipv4.tcp_mem":               fmt.Sprintf("1 1 %d", draw("tcp_mem", 1, 1<<30)),
			"net.netfilter.nf_conntrack_max": fmt.Sprint(tracked),
		},
		OpenFiles:   known(draw("limit", 1, 1<<30)),
		MemoryTotal: known(memory),
		Cgroup:      Cgroup{Memory: known(group), MemoryUsed: known(draw("used", 0, group/10))},
		Live: Live{Files: known(draw("files", 0, most/10)), FilesMax: known(most), Tracked: known(draw("tracked", 0, tracked/10)),
			TCPPages: known(0), MemoryAvailable: known(memory)},
	}
}

// TestForecastIsWhereRowsFail: at the number that is forecast for a cause its row does not fail, and one connection
// above it does.
func TestForecastIsWhereRowsFail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		target := Target{Connections: 1, Role: rapid.SampledFrom(Roles()).Draw(t, "role"), Tuples: rapid.IntRange(0, 40).Draw(t, "tuples")}.withDefaults()
		for _, k := range Knobs() {
			if k.holds == nil {
				continue
			}
			room := k.holds(f, &target)
			if !room.limited() {
				continue
			}
			at, above := target, target
			at.Connections, above.Connections = int(room.Value), int(room.Value)+1
			if found := k.judge(f, &at); at.Connections > 0 && found.Verdict == Fail {
				t.Errorf("%s fails at its forecast of %d: %+v", k.ID, room.Value, found)
			}
			if found := k.judge(f, &above); found.Verdict != Fail {
				t.Errorf("%s is %s above its forecast of %d: %+v", k.ID, found.Verdict, room.Value, found)
			}
		}
	})
}

// TestForecastIsSorted: each cause once, the lowest first, only words of the list.
func TestForecastIsSorted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := drawFacts(t)
		stops := Forecast(f, Target{Connections: 1000, Role: rapid.SampledFrom(Roles()).Draw(t, "role"), Tuples: 3})
		seen := map[Cause]bool{}
		for i, s := range stops {
			if seen[s.Cause] || !slices.Contains(Causes(), s.Cause) || i > 0 && stops[i-1].Connections > s.Connections {
				t.Errorf("%+v", stops)
			}
			seen[s.Cause] = true
		}
		if len(stops) < len(Causes())-1 {
			t.Errorf("only %+v", stops)
		}
	})
}

// TestHeldMovesTheForecast: a node with 10,000 connections forecasts what a box without one did, whatever these use.
func TestHeldMovesTheForecast(t *testing.T) {
	before := Read(plant(t, tuned()), properProcess)
	target := Target{Connections: 200_000}
	was := Forecast(before, target)
	const held = 10_000
	now := *before
	now.Live.Files.Value += held
	now.Live.Tracked.Value += held
	used := uint64(held * before.each(&Target{UserBytes: costs[Node].user, KernelBytes: kernelPerSocket}))
	now.Live.MemoryAvailable.Value -= used + uint64(costs[Node].base)
	now.Cgroup.MemoryUsed.Value += used + uint64(costs[Node].base)
	target.Held = held
	is := Forecast(&now, target)
	if len(is) != len(was) {
		t.Fatalf("%+v, before %+v", is, was)
	}
	for i := range is {
		if is[i].Cause != was[i].Cause || is[i].Connections+1 < was[i].Connections || is[i].Connections > was[i].Connections+1 {
			t.Errorf("%+v, before %+v", is[i], was[i])
		}
	}
	// What was measured counts for more than what is usual.
	target.UserBytes = 50_000
	memory, _ := room(Forecast(&now, target), CauseMemory)
	if usual, _ := room(is, CauseMemory); memory >= usual/5 {
		t.Errorf("connections of 50 kB: %d fit, of the usual size %d", memory, usual)
	}
}

// TestRefreshMovesTheForecast: what others take meanwhile is no longer there for connections.
func TestRefreshMovesTheForecast(t *testing.T) {
	root := plant(t, tuned())
	facts, sampler, target := Read(root, properProcess), NewSampler(root), proper
	number := func(cause Cause) uint64 {
		n, _ := room(Forecast(facts, target), cause)
		return n
	}
	causes := []Cause{CauseFileMax, CauseConntrack, CauseMemory, CauseCgroupMemory}
	before := map[Cause]uint64{}
	for _, cause := range causes {
		before[cause] = number(cause)
	}
	sampler.Refresh(facts)
	for _, cause := range causes {
		if n := number(cause); n != before[cause] || n == 0 {
			t.Errorf("%s: %d, with nothing changed, was %d", cause, n, before[cause])
		}
	}
	lay(t, root, files{
		"/proc/sys/fs/file-nr": "3048 0 2000000\n", sysctlPath("net.netfilter.nf_conntrack_count"): "1120\n",
		"/proc/meminfo": "MemAvailable: 13000000 kB\n", group + "memory.current": "1100000000\n",
	})
	sampler.Refresh(facts)
	for _, cause := range causes {
		if n := number(cause); n >= before[cause] {
			t.Errorf("%s: %d, with less left, was %d", cause, n, before[cause])
		}
	}
}

func TestHeadline(t *testing.T) {
	for _, c := range []struct {
		name  string
		n     int
		stops []Stop
		want  string
	}{
		{"stops", 500_000, []Stop{{CauseTCPMem, 212_000}, {CauseMemory, 480_000}, {CauseNrOpen, 1_000_000}},
			"this box stops at 212,000 connections because of tcp_mem; next is memory at 480,000, then nr_open at 1,000,000"},
		{"holds", 100_000, []Stop{{CauseTCPMem, 212_000}, {CauseMemory, 480_000}},
			"this box holds 100,000 connections; it would stop at 212,000 because of tcp_mem; next is memory at 480,000"},
		{"one", 300_000, []Stop{{CauseTCPMem, 212_000}}, "this box stops at 212,000 connections because of tcp_mem"},
		{"none", 300_000, nil, "what ends the connections of this box can't be read here; asked for: 300,000"},
	} {
		r := Report{Target: Target{Connections: c.n}, Stops: c.stops}
		if got := r.Headline(); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}
