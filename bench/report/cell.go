// What one server came to in one row: the median of its rounds, their range, and what was not used.

package report

import (
	"slices"
	"strconv"
	"strings"

	"github.com/roost-ws/roost/bench"
)

// saturated is from which share on a side's processors are called busy: what is left then is the rounding of the
// kernel's clock and the other threads of the machine.
const saturated = 0.9

// cell is one server's values in one row.
type cell struct {
	Server                  string
	Color                   int // which of the page's colours is the server's
	Ours                    bool
	Best                    bool // of all servers whose values count
	Unit                    string
	Used                    int // rounds whose values count
	Median, Least, Greatest float64
	Values                  []bench.Value
}

func newCell(server column, values []bench.Value, unit string) cell {
	c := cell{Server: server.Name, Color: server.Color, Ours: server.Ours, Unit: unit, Values: values}
	for _, v := range values {
		if v.Mark == "" {
			c.Used++
		}
	}
	sample := bench.Sample{Values: values}
	c.Median, c.Least, c.Greatest, _ = sample.Range()
	return c
}

// Measured and Counts tell whether there is any value, and whether one of them may be used.
func (c cell) Measured() bool { return len(c.Values) > 0 }
func (c cell) Counts() bool   { return c.Used > 0 }

// Text is the median with its unit; Range is "529 to 534", in the same unit, and empty if there is but one round.
func (c cell) Text() string { return quantity(c.Median, c.Unit) }

func (c cell) Range() string {
	if c.Used < 2 {
		return ""
	}
	s := scaleFor(c.Median, c.Unit)
	return s.number(c.Least) + " to " + s.number(c.Greatest)
}

// Marks lists why rounds were not used, each reason once.
func (c cell) Marks() string {
	var marks []string
	for _, v := range c.Values {
		if v.Mark != "" && !slices.Contains(marks, v.Mark) {
			marks = append(marks, v.Mark)
		}
	}
	return strings.Join(marks, "; ")
}

// Note says which part of the rounds was not used, and why; empty if all were.
func (c cell) Note() string {
	if c.Used == len(c.Values) {
		return ""
	}
	return strconv.Itoa(len(c.Values)-c.Used) + " of " + rounds(len(c.Values)) + " not used: " + c.Marks()
}

// Missed is the same where there is little room and some rounds were used.
func (c cell) Missed() string {
	if !c.Counts() || c.Used == len(c.Values) {
		return ""
	}
	return rounds(len(c.Values)-c.Used) + " not used"
}

// shares is the median part of its processors that each side used, over all rounds: a marked one shows best who was
// at its end. ok is false if nobody looked.
func (c cell) shares() (client, server float64, ok bool) {
	var clients, servers bench.Sample
	for _, v := range c.Values {
		if v.ClientShare > 0 || v.ServerShare > 0 {
			clients.Values = append(clients.Values, bench.Value{Value: v.ClientShare})
			servers.Values = append(servers.Values, bench.Value{Value: v.ServerShare})
		}
	}
	client, _, _, ok = clients.Range()
	server, _, _, _ = servers.Range()
	return client, server, ok
}

// better reports whether c is ahead of other by its median.
func (c cell) better(other cell, way bench.Better) bool {
	if way == bench.Less {
		return c.Median < other.Median
	}
	return c.Median > other.Median
}

// overlaps reports whether the ranges of c and other have a value in common.
func (c cell) overlaps(other cell) bool {
	return c.Least <= other.Greatest && other.Least <= c.Greatest
}

// rounds writes a number of rounds.
func rounds(n int) string {
	if n == 1 {
		return "1 round"
	}
	return strconv.Itoa(n) + " rounds"
}

// limiter is who kept a figure from going further.
type limiter struct {
	Who            string // "client", "server", "both", "neither"; empty if nobody looked
	Client, Server string // the shares
}

func (c cell) Limiter() limiter {
	client, server, ok := c.shares()
	if !ok {
		return limiter{}
	}
	l := limiter{Who: "neither", Client: share(client), Server: share(server)}
	switch {
	case client >= saturated && server >= saturated:
		l.Who = "both"
	case client >= saturated:
		l.Who = "client"
	case server >= saturated:
		l.Who = "server"
	}
	return l
}
