package compare

import (
	"fmt"
	"strings"
	"time"

	"github.com/roost-ws/roost/bench"
)

// Plan is the work that every server is given: how much of it and for how long. The zero value of a part leaves
// that part out.
type Plan struct {
	// Memory opens From connections into one room, then up to To, and looks at what the difference took.
	MemoryFrom, MemoryTo int
	// EchoConnections send EchoPayload bytes and have them back, with 1 and with EchoInFlight messages under way.
	EchoConnections, EchoPayload, EchoInFlight int
	// EchoRates are messages a second over the same connections, sent when they are due.
	EchoRates []float64
	// EchoRateProcs are the numbers of processors that a server is told to use for the rates, each measured
	// by itself: on one processor, a second thread may help a server or get into its way.
	EchoRateProcs []int
	// FanoutMembers are in one room; FanoutRate publications a second is a rate that every server should manage.
	FanoutMembers int
	FanoutRate    float64
	// FanoutSteps are rising rates; a server is not asked for the next once a step was not clean.
	FanoutSteps []float64
	// FanoutLimit is the delay up to which the last member must have a publication, at p99, for a step to be clean.
	FanoutLimit time.Duration
	// ChurnConcurrent connections are opened and closed over and over.
	ChurnConcurrent int
	// Storm connections are cut at once.
	Storm int
	// Warmup comes before each Window, in which things are counted.
	Warmup, Window time.Duration
}

// DefaultPlan is the whole comparison.
func DefaultPlan() Plan {
	return Plan{
		MemoryFrom:      1000,
		MemoryTo:        9000,
		EchoConnections: 1000,
		EchoPayload:     125,
		EchoInFlight:    16,
		EchoRates:       []float64{15000},
		EchoRateProcs:   []int{1, 2},
		FanoutMembers:   10000,
		FanoutRate:      6,
		FanoutSteps:     []float64{20, 40, 70, 100, 140, 200, 300, 400, 800, 1600},
		FanoutLimit:     250 * time.Millisecond,
		ChurnConcurrent: 64,
		Storm:           15000,
		Warmup:          500 * time.Millisecond,
		Window:          2 * time.Second,
	}
}

// ShortPlan is for seeing a regression within minutes.
func ShortPlan() Plan {
	p := DefaultPlan()
	p.MemoryTo = 6000
	p.EchoRateProcs = []int{1}
	p.FanoutMembers = 5000
	p.FanoutSteps = []float64{100, 400, 1600}
	p.Storm = 0
	p.ChurnConcurrent = 0
	p.Window = 1500 * time.Millisecond
	return p
}

// Keep leaves only the named parts in the plan. Parts names all there are.
func (p *Plan) Keep(names []string) error {
	wanted := map[string]bool{}
	for _, n := range names {
		if _, ok := drop[n]; !ok {
			return fmt.Errorf("no part %q in a comparison; there are %s", n, strings.Join(Parts, ", "))
		}
		wanted[n] = true
	}
	for _, n := range Parts {
		if !wanted[n] {
			drop[n](p)
		}
	}
	return nil
}

// Parts are the parts of a comparison, in the order in which they run.
var Parts = []string{"memory", "echo", "rate", "fanout", "churn", "storm"}

var drop = map[string]func(*Plan){
	"memory": func(p *Plan) { p.MemoryTo = 0 },
	"echo":   func(p *Plan) { p.EchoInFlight = 0 },
	"rate":   func(p *Plan) { p.EchoRates = nil },
	"fanout": func(p *Plan) { p.FanoutMembers = 0 },
	"churn":  func(p *Plan) { p.ChurnConcurrent = 0 },
	"storm":  func(p *Plan) { p.Storm = 0 },
}

// most is the most connections that a plan has open at once.
func (p *Plan) most() int {
	return max(p.MemoryTo, p.EchoConnections, p.FanoutMembers, p.ChurnConcurrent, p.Storm)
}

// facts says what was asked of every server alike.
func (p *Plan) facts() []bench.Fact {
	facts := []bench.Fact{{Key: "window", Name: "measured for", Value: fmt.Sprintf("%v each, after a warm-up of %v", p.Window, p.Warmup)}}
	add := func(key, name, format string, args ...any) {
		facts = append(facts, bench.Fact{Key: key, Name: name, Value: fmt.Sprintf(format, args...)})
	}
	if p.MemoryTo > 0 {
		add("memory_plan", "memory", "%d to %d idle connections in one room", p.MemoryFrom, p.MemoryTo)
	}
	if p.EchoInFlight > 0 || len(p.EchoRates) > 0 {
		add("echo_plan", "echo", "%d connections, %d bytes", p.EchoConnections, p.EchoPayload)
	}
	if p.FanoutMembers > 0 {
		add("fanout_plan", "fan-out", "%d members of one room, %d bytes, clean up to %v for the last member at p99", p.FanoutMembers, p.EchoPayload, p.FanoutLimit)
	}
	if p.ChurnConcurrent > 0 {
		add("churn_plan", "churn", "%d connections opened and closed over and over", p.ChurnConcurrent)
	}
	if p.Storm > 0 {
		add("storm_plan", "storm", "%d connections cut at once", p.Storm)
	}
	return facts
}
