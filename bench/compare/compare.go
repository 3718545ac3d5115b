package compare

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/roost-ws/roost/bench"
	"github.com/roost-ws/roost/bench/probe"
)

// Options are what a comparison needs to know.
type Options struct {
	Servers []Server
	Plan    Plan
	Rounds  int
	// ServerCPUs and ClientCPUs bind the two sides to processors; empty binds to none.
	ServerCPUs, ClientCPUs []int
	// Worker is the command of a worker process of the load generator.
	Worker []string
	// Command is what was typed, for the report.
	Command string
	// Progress is told what goes on, a line at a time.
	Progress func(line string)
}

// Split gives the server the first processor and the clients the second, where there are two; more than that
// would compare how servers scale, which is another question.
func Split() (server, client []int) {
	if runtime.NumCPU() < 2 {
		return nil, nil
	}
	return []int{0}, []int{1}
}

// comparison is one that runs.
type comparison struct {
	Options
	ledger ledger
}

// Run compares. It blocks for as long as the plan takes. A server that fails in a part is left out of that part,
// with a remark; the error is not nil when the comparison itself can't go on.
func Run(ctx context.Context, o Options) (*bench.Report, error) {
	if len(o.Servers) == 0 || o.Rounds < 1 {
		return nil, fmt.Errorf("%d servers over %d rounds: there is nothing to compare", len(o.Servers), o.Rounds)
	}
	began := time.Now()
	r := &bench.Report{
		Title:    "WebSocket servers under the same work",
		Command:  o.Command,
		Started:  began,
		Rounds:   o.Rounds,
		Machine:  probe.Machine(),
		Settings: append(o.Plan.facts(), o.placement()),
	}
	for i := range o.Servers {
		r.Servers = append(r.Servers, o.Servers[i].Server)
	}
	c := &comparison{Options: o, ledger: ledger{r}}
	for round := range o.Rounds {
		for _, part := range Parts {
			if err := c.part(ctx, round, part); err != nil {
				return nil, err
			}
		}
	}
	r.Took = time.Since(began)
	return r, nil
}

// part runs one part on every server. Each round begins with another server, so that none is always first.
func (c *comparison) part(ctx context.Context, round int, name string) error {
	run, wanted := c.runs(name)
	if !wanted {
		return nil
	}
	for i := range c.Servers {
		server := &c.Servers[(i+round)%len(c.Servers)]
		c.say("round %d of %d: %s on %s", round+1, c.Rounds, name, server.Name)
		err := run(&bout{comparison: c, server: server}, ctx)
		if cause := context.Cause(ctx); cause != nil {
			return fmt.Errorf("the comparison was interrupted: %w", cause)
		}
		if err != nil {
			c.ledger.remark("%s failed in %s, round %d: %v", server.Name, name, round+1, err)
			c.say("%s failed in %s: %v", server.Name, name, err)
		}
	}
	return nil
}

// runs finds a part's function, and whether the plan has the part.
func (c *comparison) runs(part string) (func(*bout, context.Context) error, bool) {
	p := &c.Plan
	switch part {
	case "memory":
		return (*bout).memory, p.MemoryTo > p.MemoryFrom
	case "echo":
		return (*bout).echo, p.EchoInFlight > 0
	case "rate":
		return (*bout).rate, len(p.EchoRates) > 0
	case "fanout":
		return (*bout).fanout, p.FanoutMembers > 0
	case "churn":
		return (*bout).churn, p.ChurnConcurrent > 0
	default:
		return (*bout).storm, p.Storm > 0
	}
}

func (c *comparison) say(format string, args ...any) {
	if c.Progress != nil {
		c.Progress(fmt.Sprintf(format, args...))
	}
}

// placement says which processors each side had.
func (o *Options) placement() bench.Fact {
	where := "server and clients share all processors"
	if len(o.ServerCPUs) > 0 && len(o.ClientCPUs) > 0 {
		where = fmt.Sprintf("server on %v, clients on %v", o.ServerCPUs, o.ClientCPUs)
	}
	return bench.Fact{Key: "placement", Name: "processors", Value: where}
}
