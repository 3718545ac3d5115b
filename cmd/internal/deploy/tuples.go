// Source ports: how many connections fit between a balancer and a node.
//
// A connection is told from others by four values, and between one address of the balancer and one address and port
// of a node only the balancer's port is left to differ. That is 64,512 connections at most (ports 1024 to 65535),
// and fewer in practice: a port rests for a minute after some ends, and a choice among few free ones is slow. More
// connections need more pairs of a balancer's address and a node's address and port, here called tuples.

package deploy

import (
	"fmt"

	"github.com/roost-ws/roost/cmd/internal/config"
)

const (
	tuplePorts = 65535 - 1024 + 1
	// tupleConnections is what a tuple is trusted to hold: nine tenths of its ports.
	tupleConnections = tuplePorts * 9 / 10
)

// sourceCount is how many of the balancer's addresses are used.
func (p *plan) sourceCount() int { return max(1, len(p.sources)) }

// tuples is how many there are between the balancer and n.
func (p *plan) tuples(n node) int { return len(n.targets) * p.sourceCount() }

// countTuples refuses nodes that may hold more connections than the balancer can open to them.
func (p *plan) countTuples() {
	limit := p.config.Limits.Connections
	need, uneven := ceil(limit, tupleConnections), ""
	if need > 1 && hashed(p.options.Program, p.options.Sticky) {
		need, uneven = ceil(limit*leastBound/100, tupleConnections), ", and a quarter more for a hash, which fills them unevenly"
	}
	for _, n := range p.nodes {
		have := p.tuples(n)
		if have >= need {
			continue
		}
		p.problems = append(p.problems, config.Problem{
			Key: "limits.connections",
			Wrong: fmt.Sprintf("%d connections to %s need %d pairs of a balancer's address and a node's port (%d ports each, of which nine tenths count: %d%s), "+
				"and %d address(es) x %d port(s) are %d", limit, n.name, need, tuplePorts, tupleConnections, uneven, p.sourceCount(), len(n.targets), have),
			Fix: fmt.Sprintf("give listen %d ports (and --nodes hosts alone), or --sources %d addresses",
				ceil(need, p.sourceCount()), ceil(need, len(n.targets))),
		})
		return
	}
}

// perNode is how many connections one node may hold: its cap, or without one what its tuples hold.
func (p *plan) perNode(n node) int {
	if limit := p.config.Limits.Connections; limit > 0 {
		return limit
	}
	return p.tuples(n) * tupleConnections
}

// connections is how many the balancer may have to carry.
func (p *plan) connections() int {
	sum := 0
	for _, n := range p.nodes {
		sum += p.perNode(n)
	}
	return sum
}

const (
	// usualBound is how much a hash may give one target, in percent of the average; below leastBound rooms would
	// hardly stay together.
	usualBound, leastBound = 150, 125
)

// loadBound is usualBound, or less where a target of several would be sent more than it has ports for. The only
// target of a node needs no such care: the node refuses what is above its cap.
func (p *plan) loadBound() int {
	bound := usualBound
	for _, n := range p.nodes {
		if have := p.tuples(n); have > 1 && p.config.Limits.Connections > 0 {
			bound = min(bound, 100*have*tupleConnections/p.config.Limits.Connections)
		}
	}
	return bound
}

func ceil(a, b int) int { return (a + b - 1) / b }
