package load

// One scenario from open to close.

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/roost-ws/roost/bench"
)

// Scenarios are the names that a [Scenario] may have.
var Scenarios = []string{"idle", "echo", "fanout", "churn", "storm", "mix"}

// Scenario is what one run does. Fields that its name has no use for are ignored.
type Scenario struct {
	Name string
	// Connections is how many are opened first; in a churn none are, and it is how many turns are under way at once.
	Connections int
	// OpenRate is how many are opened a second; 0 is as fast as possible.
	OpenRate float64
	// Warmup passes before Duration is measured. An idle run holds for Duration, a storm has it as its timeout.
	Warmup, Duration time.Duration
	// Rate is messages (echo), publications (fanout), turns (churn) or first attempts to come back (storm) a second; 0
	// is a closed loop, or as fast as possible.
	Rate float64
	// InFlight is how many messages each connection of an echo without a rate has under way.
	InFlight int
	// Grace is how long messages may still arrive after Duration; 0 is a second.
	Grace time.Duration
	// CloseFrame ends a churn's turns with the closing handshake.
	CloseFrame bool
	// Profile is what a mix plays.
	Profile *Profile
}

// Validate reports everything that is wrong with c.
func (c *Scenario) Validate() error {
	var problems []error
	if !slices.Contains(Scenarios, c.Name) {
		problems = append(problems, fmt.Errorf("scenario %q is not one of %v", c.Name, Scenarios))
	}
	if c.Connections < 1 {
		problems = append(problems, fmt.Errorf("a scenario with %d connections", c.Connections))
	}
	if c.Duration <= 0 || c.Warmup < 0 || c.Grace < 0 {
		problems = append(problems, fmt.Errorf("a duration of %v after %v, with a grace of %v", c.Duration, c.Warmup, c.Grace))
	}
	if !(c.OpenRate >= 0) || !(c.Rate >= 0) || c.InFlight < 0 {
		problems = append(problems, errors.New("a rate or a number of messages in flight is below 0"))
	}
	switch {
	case c.Name == "echo" && c.Rate == 0 && c.InFlight == 0:
		problems = append(problems, errors.New("an echo needs messages in flight or a rate"))
	case c.Name == "fanout" && c.Rate == 0:
		problems = append(problems, errors.New("a fan-out needs a rate of publications"))
	case c.Name == "mix" && c.Profile == nil:
		problems = append(problems, errors.New("a mix needs a profile"))
	case c.Profile != nil:
		problems = append(problems, c.Profile.Validate())
	}
	return errors.Join(problems...)
}

// Run starts a swarm, opens the scenario's connections, does what it says, and closes everything. It blocks until
// then. What a server did wrong is in the result; an error says that the scenario could not be run, and comes with
// the parts that could.
func Run(ctx context.Context, c Scenario, spec Spec) (*bench.Run, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	spec.Connections = max(spec.Connections, c.Connections)
	if c.Name == "mix" {
		spec.Profile = c.Profile
	}
	r := &bench.Run{Scenario: c.Name, Target: spec.Target, Started: time.Now()}
	r.Target.Tokens = nil // a report is passed on, and they may be good for something yet
	s, err := Start(ctx, spec)
	if err != nil {
		return nil, err
	}
	r.ClientCPUs = s.spec.processors()
	if c.Name != "churn" {
		r.Open, err = s.Open(ctx, c.Connections, c.OpenRate)
		if err == nil && r.Open.Opened == 0 {
			err = fmt.Errorf("none of %d connections opened: %v", c.Connections, r.Open.Failures)
		}
	}
	if err == nil {
		err = c.play(ctx, s, r)
	}
	r.Ended, r.Took = counts(s.Ended()), time.Since(r.Started)
	m := s.Measured()
	r.ClientCPU, r.Measured = m.CPU, m.Wall
	return r, errors.Join(err, s.Close())
}

// play does what comes after opening.
func (c *Scenario) play(ctx context.Context, s *Swarm, r *bench.Run) (err error) {
	grace := or(c.Grace, time.Second)
	switch c.Name {
	case "idle":
		r.Idle, err = s.Idle(ctx, c.Duration)
	case "echo":
		e := EchoSpec{Rate: c.Rate, Warmup: c.Warmup, Duration: c.Duration, Grace: grace}
		if c.Rate == 0 {
			e.InFlight = c.InFlight
		}
		r.Echo, err = s.Echo(ctx, e)
	case "fanout":
		r.Fanout, err = s.Fanout(ctx, FanoutSpec{Rate: c.Rate, Warmup: c.Warmup, Duration: c.Duration, Grace: grace})
	case "churn":
		r.Churn, err = s.Churn(ctx, ChurnSpec{Concurrent: c.Connections, Rate: c.Rate, CloseFrame: c.CloseFrame, Warmup: c.Warmup, Duration: c.Duration})
	case "storm":
		r.Storm, err = s.Storm(ctx, StormSpec{Timeout: c.Duration, ReconnectRate: c.Rate})
	case "mix":
		r.Mix, err = s.Mix(ctx, MixSpec{Warmup: c.Warmup, Duration: c.Duration})
	}
	return err
}
