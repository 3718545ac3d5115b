package load

// A swarm: workers that do the same at the same time.

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/roost-ws/roost/bench/load/reactor"
	"github.com/roost-ws/roost/bench/probe"
)

// Swarm is worker processes with their connections. See the package comment for who may call it.
type Swarm struct {
	spec    Spec
	workers []*process

	busy sync.Mutex // held while something is done; guards the next three
	next int        // number of the next connection
	run  uint32     // of the latest task
	task int

	mu       sync.Mutex // guards the rest
	measured Measured
}

// Measured is what the generator itself used in a measured window.
type Measured struct {
	Wall time.Duration
	CPU  time.Duration
}

// Start starts the workers of a swarm and waits until they are ready. It opens no connections. The error says what is
// wrong with spec, or why a worker did not start.
func Start(ctx context.Context, spec Spec) (*Swarm, error) {
	if err := spec.check(); err != nil {
		return nil, fmt.Errorf("start a swarm: %w", err)
	}
	s := &Swarm{spec: spec}
	for i := range spec.Workers {
		if err := ctx.Err(); err != nil {
			return nil, errors.Join(err, s.Close())
		}
		p, err := startProcess(spec.Command, spec.CPUs, &reactor.Setup{Target: spec.Target, Worker: i, Workers: spec.Workers,
			Connections: spec.Connections, Timeout: spec.Timeout, Profile: spec.Profile})
		if err != nil {
			return nil, errors.Join(err, s.Close())
		}
		s.workers = append(s.workers, p)
	}
	return s, nil
}

// Close resets all connections and ends the workers; it waits for that. Nothing may be called afterwards but CPU, and
// the counters.
func (s *Swarm) Close() error {
	s.busy.Lock()
	defer s.busy.Unlock()
	ends := make(chan error)
	for _, w := range s.workers {
		go func() { ends <- w.close() }()
	}
	var err error
	for range s.workers {
		err = errors.Join(err, <-ends)
	}
	return err
}

// CPU is the processor time that all workers have used so far, from the kernel's clocks. It does not wait for what is
// being done.
func (s *Swarm) CPU() (time.Duration, error) {
	var all time.Duration
	for _, w := range s.workers {
		used, err := probe.CPU(w.cmd.Process.Pid)
		if err != nil {
			return 0, err
		}
		all += used
	}
	return all, nil
}

// Workers is how many processes there are.
func (s *Swarm) Workers() int { return len(s.workers) }

// Measured is what the generator used in the last measured window.
func (s *Swarm) Measured() Measured {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.measured
}

// Ended counts connections that ended while they should have stayed, by cause, as of the last time that the workers
// told. The caller owns the map.
func (s *Swarm) Ended() map[string]int {
	return s.state().Ended
}

// state is how all workers together are doing.
func (s *Swarm) state() reactor.State {
	all := reactor.State{Ended: map[string]int{}}
	for _, w := range s.workers {
		one := w.latest()
		all.Open += one.Open
		all.Dialing += one.Dialing
		all.Failed += one.Failed
		all.Sent += one.Sent
		all.Received += one.Received
		addCounts(all.Ended, one.Ended)
	}
	return all
}

func addCounts(to, from map[string]int) {
	for cause, n := range from {
		to[cause] += n
	}
}

// counts is a map for a result: nil if it is empty.
func counts(m map[string]int) map[string]int {
	if len(m) == 0 {
		return nil
	}
	return maps.Clone(m)
}
