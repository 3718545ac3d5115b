package compare

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/bench"
	"github.com/roost-ws/roost/bench/baseline"
	"github.com/roost-ws/roost/bench/load"
)

// partVariable makes this test binary one of the processes that a comparison starts.
const partVariable = "ROOST_COMPARE_PART"

func TestMain(m *testing.M) {
	switch part := os.Getenv(partVariable); part {
	case "":
		os.Exit(m.Run())
	default:
		if err := play(part); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
}

// play is the life of such a process.
func play(part string) error {
	switch part {
	case "worker":
		return load.Worker(os.Stdin, os.Stdout)
	case "good":
		return baseline.Host(os.Stdin, os.Stdout, func(ctx context.Context, ready func(string)) error {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				return err
			}
			ready(l.Addr().String())
			return baseline.Serve(ctx, l, baseline.Options{})
		})
	case "mute":
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	case "chatty":
		fmt.Println("good morning")
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	case "closed":
		fmt.Println("listening 127.0.0.1:1")
		_, err := io.Copy(io.Discard, os.Stdin)
		return err
	}
	return errors.New("this server fails at its start")
}

// part is the command that makes this test binary such a process.
func part(name string) []string {
	return []string{"/usr/bin/env", partVariable + "=" + name, os.Args[0]}
}

func server(name, kind string) Server {
	return Server{Server: bench.Server{Name: name}, Start: part(kind), Echo: "/echo", Room: "/raw/all"}
}

// small is a plan for seconds.
func small() Plan {
	return Plan{
		MemoryFrom: 20, MemoryTo: 120,
		EchoConnections: 10, EchoPayload: 125, EchoInFlight: 4,
		EchoRates: []float64{500}, EchoRateProcs: []int{1},
		FanoutMembers: 20, FanoutRate: 20, FanoutSteps: []float64{50, 100}, FanoutLimit: 5 * time.Second,
		ChurnConcurrent: 4, Storm: 50,
		Warmup: 50 * time.Millisecond, Window: 200 * time.Millisecond,
	}
}

func TestEveryFigure(t *testing.T) {
	plan := small()
	var said []string
	r, err := Run(t.Context(), Options{
		Servers: []Server{server("a", "good"), server("b", "good")}, Plan: plan, Rounds: 1, Worker: part("worker"),
		Command: "typed", Progress: func(line string) { said = append(said, line) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Remarks) > 0 {
		t.Errorf("remarks: %q", r.Remarks)
	}
	want := []string{"memory-stands", "memory-user", "memory-kernel", "memory-all", "handshakes-cpu", "handshakes-rate",
		"echo-1-cpu", "echo-4-cpu", "rate-500-procs-1-p50", "rate-500-procs-1-p99", "rate-500-procs-1-cpu",
		"fanout-cpu", "fanout-last", "fanout-highest", "churn-cpu", "storm-rate", "storm-share"}
	seen := map[string]bool{}
	for _, f := range r.Figures {
		seen[f.ID] = true
		for _, name := range []string{"a", "b"} {
			s := f.Of(name)
			if s == nil || len(s.Values) != 1 {
				t.Errorf("%s: no value of %s", f.ID, name)
				continue
			}
			// Kernel and resident memory of so few connections may well be 0; a rate or a delay is not.
			if v := s.Values[0]; !strings.HasPrefix(f.ID, "memory") && v.Mark == "" && v.Value <= 0 {
				t.Errorf("%s of %s is %v", f.ID, name, v.Value)
			}
		}
		if f.Title == "" || f.Explain == "" || f.Group == "" || f.Better == "" {
			t.Errorf("%s says too little about itself", f.ID)
		}
	}
	for _, id := range want {
		if !seen[id] {
			t.Errorf("there is no figure %s", id)
		}
	}
	if len(r.Figures) != len(want) {
		t.Errorf("%d figures, want %d", len(r.Figures), len(want))
	}
	for _, c := range r.Curves {
		if len(c.Lines) != 2 || len(c.Lines[0].Points) == 0 {
			t.Errorf("curve %s has %d lines", c.ID, len(c.Lines))
		}
	}
	if len(said) == 0 || r.Took <= 0 || len(r.Machine) == 0 || len(r.Settings) == 0 {
		t.Error("the report lacks what was said, how long it took, the machine or the settings")
	}
}

// TestServersThatFail: each is left out with a remark that says what happened, and the others are measured.
func TestServersThatFail(t *testing.T) {
	plan := small()
	if err := plan.Keep([]string{"echo"}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ kind, remark string }{
		{"broken", "this server fails at its start"},
		{"chatty", `its first line is "good morning"`},
		{"closed", "0 of 10 connections opened"},
	} {
		t.Run(c.kind, func(t *testing.T) {
			r, err := Run(t.Context(), Options{Servers: []Server{server("bad", c.kind), server("good", "good")}, Plan: plan, Rounds: 1, Worker: part("worker")})
			if err != nil {
				t.Fatal(err)
			}
			if len(r.Remarks) != 1 || !strings.Contains(r.Remarks[0], c.remark) || !strings.Contains(r.Remarks[0], "bad failed in echo") {
				t.Errorf("remarks %q, want %q", r.Remarks, c.remark)
			}
			for _, f := range r.Figures {
				if f.Of("good") == nil || f.Of("bad") != nil {
					t.Errorf("%s has samples %+v", f.ID, f.Samples)
				}
			}
		})
	}
}

func TestInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	o := Options{Servers: []Server{server("a", "good")}, Plan: small(), Rounds: 1, Worker: part("worker"),
		Progress: func(string) { cancel(cause) }}
	if _, err := Run(ctx, o); !errors.Is(err, cause) {
		t.Errorf("the comparison ended with %v", err)
	}
}

func TestNothingToCompare(t *testing.T) {
	for _, o := range []Options{{Rounds: 1}, {Servers: []Server{server("a", "good")}}} {
		if _, err := Run(t.Context(), o); err == nil {
			t.Error("a comparison of nothing is no error")
		}
	}
}

func TestPlanKeep(t *testing.T) {
	for _, only := range Parts {
		p := DefaultPlan()
		if err := p.Keep([]string{only}); err != nil {
			t.Fatal(err)
		}
		c := comparison{Options: Options{Plan: p}}
		for _, name := range Parts {
			if _, wanted := c.runs(name); wanted != (name == only) {
				t.Errorf("of a plan with %s alone, %s is %v", only, name, wanted)
			}
		}
	}
	p := DefaultPlan()
	if err := p.Keep([]string{"echo", "singing"}); err == nil || !strings.Contains(err.Error(), "memory, echo") {
		t.Errorf("an unknown part: %v", err)
	}
}

// TestMarks: whose processor was full decides whether a throughput counts.
func TestMarks(t *testing.T) {
	b := &bout{comparison: &comparison{Options: Options{ServerCPUs: []int{0}, ClientCPUs: []int{1}}}}
	for _, c := range []struct {
		name           string
		server, client time.Duration
		mark           string
	}{
		{"server full", time.Second, 500 * time.Millisecond, ""},
		{"both full", time.Second, time.Second, ""},
		{"client full, server nearly", 910 * time.Millisecond, time.Second, ""},
		{"client full, server idle", 500 * time.Millisecond, time.Second, "client saturated"},
		{"nobody full", 500 * time.Millisecond, 500 * time.Millisecond, ""},
	} {
		f := &field{serverCPU: c.server, clientCPU: c.client, window: time.Second}
		v := b.throughput(f, 1)
		if v.Mark != c.mark || v.ServerShare != c.server.Seconds() || v.ClientShare != c.client.Seconds() {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
}

// TestSteps: what makes a step of a fan-out not clean.
func TestSteps(t *testing.T) {
	b := &bout{comparison: &comparison{Options: Options{Plan: Plan{FanoutLimit: 100 * time.Millisecond}}}}
	late := bench.Latency{P99: 101 * time.Millisecond}
	for _, c := range []struct {
		name   string
		result bench.Fanning
		fault  string
	}{
		{"clean", bench.Fanning{LastMember: bench.Latency{P99: 100 * time.Millisecond}}, ""},
		{"lost", bench.Fanning{Lost: 1}, "1 lost, 0 out of order, 0 twice"},
		{"out of order", bench.Fanning{Disorder: 2}, "0 lost, 2 out of order, 0 twice"},
		{"twice", bench.Fanning{Duplicates: 3}, "0 lost, 0 out of order, 3 twice"},
		{"late", bench.Fanning{LastMember: late}, "last member after 101ms"},
		{"late because of the client", bench.Fanning{LastMember: late, SendDelay: late}, "client saturated"},
	} {
		if got := b.fault(&field{}, &c.result); got != c.fault {
			t.Errorf("%s: %q, want %q", c.name, got, c.fault)
		}
	}
}
