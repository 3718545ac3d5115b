package compare

import (
	"context"
	"fmt"
	"time"

	"github.com/roost-ws/roost/bench"
	"github.com/roost-ws/roost/bench/load"
	"github.com/roost-ws/roost/bench/probe"
)

// bout is one server in one round of one part.
type bout struct {
	*comparison
	server *Server
}

// field is a running server and the clients that load it.
type field struct {
	process *process
	swarm   *load.Swarm
	// What both sides used in the last measured window.
	serverCPU, clientCPU, window time.Duration
	begin                        struct {
		server, client time.Duration
		at             time.Time
	}
}

// enter starts a server and its clients.
func (b *bout) enter(ctx context.Context, path string, procs int) (*field, error) {
	p, err := startServer(ctx, b.server, b.ServerCPUs, procs)
	if err != nil {
		return nil, err
	}
	f := &field{process: p}
	f.swarm, err = load.Start(ctx, load.Spec{
		Target:      b.server.target(p.address, path, b.Plan.EchoPayload),
		Command:     b.Worker,
		Connections: b.Plan.most(),
		CPUs:        b.ClientCPUs,
		Observe:     f.observe,
	})
	if err != nil {
		p.stop()
		return nil, err
	}
	return f, nil
}

// leave ends the clients, then the server.
func (f *field) leave() {
	_ = f.swarm.Close()
	f.process.stop()
}

// observe reads both sides' clocks at the edges of a measured window.
func (f *field) observe(begin bool) {
	client, _ := f.swarm.CPU()
	server, now := f.process.cpu(), time.Now()
	if begin {
		f.begin.server, f.begin.client, f.begin.at = server, client, now
		return
	}
	f.serverCPU, f.clientCPU, f.window = server-f.begin.server, client-f.begin.client, now.Sub(f.begin.at)
}

const (
	// A side that uses this much of its processor has no more to give.
	full = 0.95
	// A server that leaves more than this idle was waiting for somebody.
	busy = 0.90
)

// value is a figure with the shares of both sides in the window it was taken from.
func (b *bout) value(f *field, v float64) bench.Value {
	out := bench.Value{Value: v}
	if f.window > 0 {
		out.ServerShare = f.serverCPU.Seconds() / (f.window.Seconds() * float64(max(len(b.ServerCPUs), 1)))
		out.ClientShare = f.clientCPU.Seconds() / (f.window.Seconds() * float64(max(len(b.ClientCPUs), 1)))
	}
	return out
}

// throughput is a value that must not be used when the client was the bottleneck: when it had nothing left to
// give while the server had.
func (b *bout) throughput(f *field, v float64) bench.Value {
	out := b.value(f, v)
	if out.ClientShare >= full && out.ServerShare < busy {
		out.Mark = "client saturated"
	}
	return out
}

func (b *bout) add(f bench.Figure, v bench.Value) { b.ledger.figure(f, b.server.Name, v) }

// open opens n connections, all of them or it is an error.
func (f *field) open(ctx context.Context, n int) (*bench.Opening, error) {
	o, err := f.swarm.Open(ctx, n, 0)
	if err == nil && o.Opened < n {
		err = fmt.Errorf("%d of %d connections opened: %v", o.Opened, n, o.Failures)
	}
	return o, err
}

// settle is how long a server is left alone before its memory is looked at.
const settle = time.Second

func (b *bout) memory(ctx context.Context) error {
	f, err := b.enter(ctx, b.server.Room, 1)
	if err != nil {
		return err
	}
	defer f.leave()
	if _, err := f.open(ctx, b.Plan.MemoryFrom); err != nil {
		return err
	}
	if _, err := f.swarm.Idle(ctx, settle); err != nil {
		return err
	}
	stands, err := probe.Resident(f.process.cmd.Process.Pid)
	if err != nil {
		return err
	}
	user, kernel, err := f.collected()
	if err != nil {
		return err
	}
	f.observe(true)
	opening, err := f.open(ctx, b.Plan.MemoryTo-b.Plan.MemoryFrom)
	f.observe(false)
	if err != nil {
		return err
	}
	b.add(handshakes, b.throughput(f, float64(opening.Opened)/f.serverCPU.Seconds()))
	b.add(handshakeRate, b.value(f, float64(opening.Opened)/opening.Took.Seconds()))
	if _, err := f.swarm.Idle(ctx, settle); err != nil {
		return err
	}
	standsMore, err := probe.Resident(f.process.cmd.Process.Pid)
	if err != nil {
		return err
	}
	userMore, kernelMore, err := f.collected()
	if err != nil {
		return err
	}
	each := func(before, after int64) float64 { return float64(after-before) / float64(opening.Opened) }
	ours, kernels := each(user, userMore), each(kernel, kernelMore)/2
	b.add(memoryStands, bench.Value{Value: each(stands, standsMore)})
	b.add(memoryUser, bench.Value{Value: ours})
	b.add(memoryKernel, bench.Value{Value: kernels})
	b.add(memoryAll, bench.Value{Value: ours + kernels})
	return nil
}

// collected is the memory of the server without garbage, and the kernel's.
func (f *field) collected() (user, kernel int64, err error) {
	if err := f.process.collect(); err != nil {
		return 0, 0, err
	}
	if user, err = probe.Resident(f.process.cmd.Process.Pid); err != nil {
		return 0, 0, err
	}
	kernel, err = probe.KernelMemory()
	return user, kernel, err
}

func (b *bout) echo(ctx context.Context) error {
	f, err := b.enter(ctx, b.server.Echo, 1)
	if err != nil {
		return err
	}
	defer f.leave()
	if _, err := f.open(ctx, b.Plan.EchoConnections); err != nil {
		return err
	}
	for _, inFlight := range []int{1, b.Plan.EchoInFlight} {
		e, err := f.swarm.Echo(ctx, load.EchoSpec{InFlight: inFlight, Warmup: b.Plan.Warmup, Duration: b.Plan.Window})
		if err != nil {
			return err
		}
		v := b.throughput(f, float64(e.Received)/f.serverCPU.Seconds())
		if e.Disorder > 0 {
			v.Mark = fmt.Sprintf("%d out of order", e.Disorder)
		}
		b.add(echoCPU(inFlight), v)
	}
	return nil
}

func (b *bout) rate(ctx context.Context) error {
	for _, procs := range b.Plan.EchoRateProcs {
		if err := b.rateWith(ctx, procs); err != nil {
			return err
		}
	}
	return nil
}

func (b *bout) rateWith(ctx context.Context, procs int) error {
	f, err := b.enter(ctx, b.server.Echo, procs)
	if err != nil {
		return err
	}
	defer f.leave()
	if _, err := f.open(ctx, b.Plan.EchoConnections); err != nil {
		return err
	}
	for _, rate := range b.Plan.EchoRates {
		e, err := f.swarm.Echo(ctx, load.EchoSpec{Rate: rate, Warmup: b.Plan.Warmup, Duration: b.Plan.Window})
		if err != nil {
			return err
		}
		for _, q := range []struct {
			name  string
			delay time.Duration
		}{{"p50", e.Delay.P50}, {"p99", e.Delay.P99}} {
			v := b.value(f, milliseconds(q.delay))
			if e.Late > 0 {
				v.Mark = fmt.Sprintf("%d late", e.Late)
			}
			b.add(rateFigure(rate, procs, q.name), v)
		}
		v := b.value(f, 0)
		v.Value = v.ServerShare
		b.add(rateCPU(rate, procs), v)
	}
	return nil
}

func (b *bout) churn(ctx context.Context) error {
	f, err := b.enter(ctx, b.server.Echo, 1)
	if err != nil {
		return err
	}
	defer f.leave()
	c, err := f.swarm.Churn(ctx, load.ChurnSpec{Concurrent: b.Plan.ChurnConcurrent, Warmup: b.Plan.Warmup, Duration: b.Plan.Window})
	if err != nil {
		return err
	}
	v := b.throughput(f, float64(c.Turns)/f.serverCPU.Seconds())
	if len(c.Failures) > 0 {
		v.Mark = fmt.Sprintf("failures: %v", c.Failures)
	}
	b.add(churnTurns, v)
	return nil
}

// stormTimeout is how long the clients of a storm may take to be back.
const stormTimeout = time.Minute

func (b *bout) storm(ctx context.Context) error {
	f, err := b.enter(ctx, b.server.Echo, 1)
	if err != nil {
		return err
	}
	defer f.leave()
	opening, err := f.open(ctx, b.Plan.Storm)
	if err != nil {
		return err
	}
	s, err := f.swarm.Storm(ctx, load.StormSpec{Timeout: stormTimeout})
	if err != nil {
		return err
	}
	atRest, back := float64(opening.Opened)/opening.Took.Seconds(), float64(s.Back)/s.Took.Seconds()
	v := b.value(f, back)
	if s.Back < s.Cut {
		v.Mark = fmt.Sprintf("%d never came back", s.Cut-s.Back)
	}
	b.add(stormBack, v)
	v.Value = back / atRest
	b.add(stormShare, v)
	return nil
}
