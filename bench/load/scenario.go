package load

// The scenarios: what is asked of the workers, and what their results come to.

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roost-ws/roost/bench"
	"github.com/roost-ws/roost/bench/load/reactor"
)

// untilDone bounds nothing in practice: what is done ends by itself.
const untilDone = 24 * time.Hour

// Open opens n more connections, perSecond of them a second, or as fast as [DefaultUnderWay] handshakes under way on
// each worker allow if that is 0. It waits until each is ready or has failed; those that failed are not tried again
// and keep their number.
func (s *Swarm) Open(ctx context.Context, n int, perSecond float64) (*bench.Opening, error) {
	s.busy.Lock()
	defer s.busy.Unlock()
	if n < 0 || perSecond < 0 {
		return nil, fmt.Errorf("open %d connections, %v a second", n, perSecond)
	}
	t := reactor.Task{Do: reactor.DoOpen, First: s.next, Last: s.next + n, PerSecond: perSecond}
	if perSecond == 0 {
		t.UnderWay = DefaultUnderWay
	}
	s.next += n // whatever comes of it: the numbers are used
	results, begin, err := s.doFrom(ctx, t, window{duration: untilDone, none: true})
	if err != nil {
		return nil, err
	}
	r := merge(results)
	return &bench.Opening{Asked: n, Opened: int(r.Done), Failures: counts(r.Failures), Took: since(begin, r.Last), Delay: r.Delay.Summary()}, nil
}

// Idle holds what is open and answers pings.
func (s *Swarm) Idle(ctx context.Context, hold time.Duration) (*bench.Idling, error) {
	s.busy.Lock()
	defer s.busy.Unlock()
	results, err := s.do(ctx, reactor.Task{Do: reactor.DoIdle}, window{duration: hold})
	if err != nil {
		return nil, err
	}
	r := merge(results)
	return &bench.Idling{Held: hold, Pings: r.Pings, Received: r.Received}, nil
}

// EchoSpec is a closed loop if InFlight is above 0, else an open one at Rate.
type EchoSpec struct {
	// InFlight is how many messages each connection has under way: it sends the next one when one is back.
	InFlight int
	// Rate is how many messages a second are due, over all connections in turn, whatever comes back.
	Rate             float64
	Warmup, Duration time.Duration
	// Grace is how long the messages of an open loop may still come back after its end; 0 is a second.
	Grace time.Duration
}

// Echo has every connection send messages and have them back: from a server that echoes, or from a room of its own.
func (s *Swarm) Echo(ctx context.Context, e EchoSpec) (*bench.Echoing, error) {
	s.busy.Lock()
	defer s.busy.Unlock()
	if e.InFlight < 0 || e.InFlight == 0 && !(e.Rate > 0) {
		return nil, errors.New("an echo needs messages in flight or a rate")
	}
	t := reactor.Task{Do: reactor.DoEcho, InFlight: e.InFlight, Grace: e.Grace}
	if e.InFlight == 0 {
		t.PerSecond = e.Rate
	}
	if t.Grace == 0 {
		t.Grace = reactor.DefaultGrace
	}
	results, err := s.do(ctx, t, window{warmup: e.Warmup, duration: e.Duration})
	if err != nil {
		return nil, err
	}
	r := merge(results)
	out := &bench.Echoing{InFlight: e.InFlight, Rate: t.PerSecond, Sent: r.Sent, Received: r.Received, Disorder: r.Disorder,
		Duplicates: r.Duplicates, Strays: r.Strays, Took: e.Duration, Delay: r.Delay.Summary(), SendDelay: r.SendDelay.Summary()}
	if e.InFlight == 0 {
		out.Late = max(0, r.Sent-r.Received)
	}
	return out, nil
}

// FanoutSpec is Rate publications a second.
type FanoutSpec struct {
	Rate             float64
	Warmup, Duration time.Duration
	// Grace is how long deliveries are waited for after the last publication was due. The wait ends once all are there.
	Grace time.Duration
}

// Fanout has one connection publish and counts what every member of its room gets, itself included. The members are
// all connections that are open or, if the target's templates have {room}, those in the room of connection 0. The
// observed window ends when the last delivery has come.
func (s *Swarm) Fanout(ctx context.Context, f FanoutSpec) (*bench.Fanning, error) {
	s.busy.Lock()
	defer s.busy.Unlock()
	if !(f.Rate > 0) {
		return nil, errors.New("a fan-out needs a rate of publications")
	}
	t := reactor.Task{Do: reactor.DoFanout, PerSecond: f.Rate, Grace: f.Grace}
	results, begin, err := s.doFrom(ctx, t, window{warmup: f.Warmup, duration: f.Duration, open: true})
	if err != nil {
		return nil, err
	}
	r := merge(results)
	out := &bench.Fanning{Members: r.Connections, Rate: f.Rate, Publications: r.Sent, Expected: r.Sent * int64(r.Connections),
		Deliveries: r.Received, Disorder: r.Disorder, Duplicates: r.Duplicates, Delay: r.Delay.Summary(), SendDelay: r.SendDelay.Summary()}
	out.Lost = out.Expected - out.Deliveries
	out.Took = max(f.Duration, since(begin, r.Last)-f.Warmup)
	last := reactor.NewDelays()
	for _, a := range r.Arrivals {
		if a.Count > 0 && int(a.Count) == r.Connections {
			last.Record(a.Last)
		}
	}
	out.LastMember = last.Summary()
	return out, nil
}

// ChurnSpec is connections opened and closed, beside those that are open.
type ChurnSpec struct {
	// Concurrent is how many are under way at once, or at most if there is a rate. 0 with a rate is 1,000.
	Concurrent int
	// Rate is how many turns begin a second; 0 begins one whenever another ends.
	Rate float64
	// CloseFrame ends turns with the closing handshake instead of a reset.
	CloseFrame       bool
	Warmup, Duration time.Duration
}

// Churn opens connections until they are ready and closes them, over and over.
func (s *Swarm) Churn(ctx context.Context, c ChurnSpec) (*bench.Churning, error) {
	s.busy.Lock()
	defer s.busy.Unlock()
	if c.Concurrent == 0 && c.Rate > 0 {
		c.Concurrent = 1000
	}
	if c.Concurrent < 1 || c.Rate < 0 {
		return nil, fmt.Errorf("a churn of %d connections at once, %v a second", c.Concurrent, c.Rate)
	}
	t := reactor.Task{Do: reactor.DoChurn, First: s.next, Last: s.next + c.Concurrent, PerSecond: c.Rate, CloseFrame: c.CloseFrame}
	results, err := s.do(ctx, t, window{warmup: c.Warmup, duration: c.Duration})
	if err != nil {
		return nil, err
	}
	r := merge(results)
	return &bench.Churning{Turns: r.Done, Failures: counts(r.Failures), Took: c.Duration, Delay: r.Delay.Summary()}, nil
}

// StormSpec is how clients come back.
type StormSpec struct {
	// Timeout is how long it may take all in all.
	Timeout time.Duration
	// ReconnectRate is how many first attempts begin a second; 0 is all at once.
	ReconnectRate float64
	// UnderWay is how many handshakes each worker has under way at most; 0 is no bound.
	UnderWay int
	// Backoff is the wait after a first failure without a Retry-After, MostBackoff the longest it doubles to; 0 is
	// 250 ms and 10 s. Each wait, and each Retry-After, is stretched by a random part of up to half of it.
	Backoff, MostBackoff time.Duration
}

// Storm resets all connections at once and has them come back. The observed window ends when the last one is ready.
func (s *Swarm) Storm(ctx context.Context, st StormSpec) (*bench.Storming, error) {
	s.busy.Lock()
	defer s.busy.Unlock()
	if st.Timeout <= 0 || st.ReconnectRate < 0 {
		return nil, fmt.Errorf("a storm with a timeout of %v and %v reconnects a second", st.Timeout, st.ReconnectRate)
	}
	t := reactor.Task{Do: reactor.DoStorm, PerSecond: st.ReconnectRate, UnderWay: st.UnderWay,
		Backoff: or(st.Backoff, 250*time.Millisecond), MostBackoff: or(st.MostBackoff, 10*time.Second)}
	results, begin, err := s.doFrom(ctx, t, window{duration: st.Timeout, open: true})
	if err != nil {
		return nil, err
	}
	r := merge(results)
	return &bench.Storming{Cut: r.Connections, Back: int(r.Done), Took: since(begin, r.Last), Refusals: counts(r.Failures),
		Attempts: r.Attempts, Delay: r.Delay.Summary()}, nil
}

// MixSpec is how long a profile is played.
type MixSpec struct{ Warmup, Duration time.Duration }

// Mix has the connections do what their kind does in the [Spec]'s profile. Delays are those of all messages that the
// connections of a kind get.
func (s *Swarm) Mix(ctx context.Context, m MixSpec) (*bench.Mixing, error) {
	s.busy.Lock()
	defer s.busy.Unlock()
	if s.spec.Profile == nil {
		return nil, errors.New("a mix needs a profile")
	}
	results, err := s.do(ctx, reactor.Task{Do: reactor.DoMix, Grace: reactor.DefaultGrace}, window{warmup: m.Warmup, duration: m.Duration})
	if err != nil {
		return nil, err
	}
	r := merge(results)
	out := &bench.Mixing{Profile: s.spec.Profile.Name, Kinds: map[string]*bench.Fared{}, Took: m.Duration}
	for i, k := range r.Kinds {
		out.Kinds[s.spec.Profile.Kinds[i].Name] = &bench.Fared{Connections: k.Connections, Sent: k.Sent, Received: k.Received,
			Ended: k.Ended, Delay: k.Delay.Summary()}
	}
	return out, nil
}

func or(d, otherwise time.Duration) time.Duration {
	if d == 0 {
		return otherwise
	}
	return d
}
