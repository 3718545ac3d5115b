package compare

import (
	"context"
	"fmt"
	"time"

	"github.com/roost-ws/roost/bench"
	"github.com/roost-ws/roost/bench/load"
)

// fanout puts all members into one room, publishes at a rate that every server should manage, and then faster
// and faster until something gives.
func (b *bout) fanout(ctx context.Context) error {
	f, err := b.enter(ctx, b.server.Room, 1)
	if err != nil {
		return err
	}
	defer f.leave()
	if _, err := f.open(ctx, b.Plan.FanoutMembers); err != nil {
		return err
	}
	r, err := b.publish(ctx, f, b.Plan.FanoutRate, max(b.Plan.Window, 2*time.Second))
	if err != nil {
		return err
	}
	v := b.value(f, float64(r.Deliveries)/f.serverCPU.Seconds())
	last := b.value(f, milliseconds(r.LastMember.P99))
	if r.Lost > 0 || r.Disorder > 0 || r.Duplicates > 0 {
		v.Mark = incomplete(r)
		last.Mark = v.Mark
	}
	b.add(fanoutCPU, v)
	b.add(fanoutLast, last)
	return b.rise(ctx, f)
}

// rise goes through the steps and stops at the first that was not clean.
func (b *bout) rise(ctx context.Context, f *field) error {
	best := bench.Value{Mark: "not clean at the first step"}
	delay, share := fanoutDelay, fanoutLoad
	delay.Limit = milliseconds(b.Plan.FanoutLimit)
	for _, rate := range b.Plan.FanoutSteps {
		r, err := b.publish(ctx, f, rate, b.Plan.Window)
		if err != nil {
			return err
		}
		v := b.value(f, milliseconds(r.LastMember.P99))
		v.Mark = b.fault(f, r)
		b.ledger.point(delay, b.server.Name, rate, v)
		v.Value = v.ServerShare
		b.ledger.point(share, b.server.Name, rate, v)
		if v.Mark != "" {
			break
		}
		best = b.value(f, float64(r.Deliveries)/r.Took.Seconds())
	}
	b.add(fanoutHighest, best)
	return nil
}

func (b *bout) publish(ctx context.Context, f *field, rate float64, window time.Duration) (*bench.Fanning, error) {
	return f.swarm.Fanout(ctx, load.FanoutSpec{Rate: rate, Warmup: b.Plan.Warmup, Duration: window, Grace: 3 * time.Second})
}

// fault says why a step was not clean; empty if it was.
func (b *bout) fault(f *field, r *bench.Fanning) string {
	switch {
	case r.Lost > 0 || r.Disorder > 0 || r.Duplicates > 0:
		return incomplete(r)
	case r.SendDelay.P99 > b.Plan.FanoutLimit/2:
		return "client saturated"
	case r.LastMember.P99 > b.Plan.FanoutLimit:
		if v := b.throughput(f, 0); v.Mark != "" {
			return v.Mark
		}
		return fmt.Sprintf("last member after %v", r.LastMember.P99.Round(time.Millisecond))
	}
	return ""
}

func incomplete(r *bench.Fanning) string {
	return fmt.Sprintf("%d lost, %d out of order, %d twice", r.Lost, r.Disorder, r.Duplicates)
}
