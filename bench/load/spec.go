package load

// What a swarm is started with.

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"github.com/roost-ws/roost/bench"
	"github.com/roost-ws/roost/bench/load/reactor"
)

// Spec says what a swarm is aimed at and what it may use.
type Spec struct {
	// Target is the server and how to talk to it.
	Target bench.Target
	// Command is how a worker process is started: a program and its arguments. It must call [Worker].
	Command []string
	// Workers is how many processes there are; 0 is as many as Connections need by the descriptor limit of one.
	Workers int
	// Connections is the most connections that will be open at any time, those of a churn too. A profile's rooms are cut
	// from this number.
	Connections int
	// CPUs are the processors that workers are bound to; none is all.
	CPUs []int
	// Timeout bounds each connection's way from connect to ready; 0 is [DefaultTimeout].
	Timeout time.Duration
	// Profile gives connections kinds and rooms, from when they are opened; nil makes all alike. A mix needs it.
	Profile *Profile
	// Observe is called right before a measured window begins and right after it ended, warm-up and waiting for
	// stragglers apart; nil is nobody. The window does not wait for it.
	Observe func(begin bool)
	// Progress is told about once a second how things are, on a goroutine of the swarm; nil is nobody.
	Progress func(line string)
}

// Profile is a mix of clients, as it is written down in a file.
type Profile = reactor.Profile

// Kind is one kind of clients of a [Profile].
type Kind = reactor.Kind

// RoomSize says how many connections of a [Profile] are in rooms of one size.
type RoomSize = reactor.RoomSize

// DefaultTimeout is how long a connection may take to become ready.
const DefaultTimeout = 10 * time.Second

// DefaultUnderWay is how many handshakes each worker has under way when connections are opened as fast as possible.
const DefaultUnderWay = 256

// Worker is a worker process's whole life: a program that was started by [Spec].Command gives it its standard input
// and output. It blocks until in ends, which is when the program should end too.
func Worker(in io.Reader, out io.Writer) error { return reactor.Serve(in, out) }

// check reports what is wrong with s and fills in what was left to this package.
func (s *Spec) check() error {
	problems := []error{s.Target.Validate()}
	if len(s.Command) == 0 {
		problems = append(problems, errors.New("no command to start workers with"))
	}
	if s.Workers < 0 || s.Connections < 0 || s.Timeout < 0 {
		problems = append(problems, fmt.Errorf("%d workers, %d connections, timeout %v: none may be below 0", s.Workers, s.Connections, s.Timeout))
	}
	if s.Profile != nil {
		problems = append(problems, s.Profile.Validate())
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	if s.Timeout == 0 {
		s.Timeout = DefaultTimeout
	}
	most, err := reactor.Capacity()
	if err != nil {
		return err
	}
	if most < 1 {
		return fmt.Errorf("the descriptor limit leaves a worker %d connections", most)
	}
	needed := max(1, (s.Connections+most-1)/most)
	if s.Workers == 0 {
		s.Workers = needed
	}
	if s.Workers < needed {
		return fmt.Errorf("%d connections need %d workers of %d descriptors each, not %d", s.Connections, needed, most, s.Workers)
	}
	return nil
}

// processors is how many of them the workers can use: each uses one at a time.
func (s *Spec) processors() int {
	available := len(s.CPUs)
	if available == 0 {
		available = runtime.NumCPU()
	}
	return min(s.Workers, available)
}
