// What a report must hold to be written or compared.

package report

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/roost-ws/roost/bench"
)

// notNumber is the mark of a value that came out of a division by nothing. JSON has no word for such values.
const notNumber = "not a number"

// check reports everything that makes r ambiguous, each with the field it is in.
func check(r *bench.Report) error {
	c := checker{servers: map[string]bool{}}
	for i, s := range r.Servers {
		field := fmt.Sprintf("servers[%d].name", i)
		c.want(s.Name != "", field, "is empty")
		c.want(!c.servers[s.Name], field, "%q is there twice", s.Name)
		c.servers[s.Name] = true
	}
	c.want(r.Rounds >= 0, "rounds", "%d is less than none", r.Rounds)
	c.want(r.Took >= 0, "took_ns", "%d is less than none", r.Took)
	c.facts(r.Machine, "machine")
	c.facts(r.Settings, "settings")
	ids := map[string]bool{}
	for i := range r.Figures {
		f, field := &r.Figures[i], fmt.Sprintf("figures[%d]", i)
		c.id(ids, f.ID, field+".id")
		c.want(f.Better == bench.More || f.Better == bench.Less, field+".better", "%q is neither more nor less", f.Better)
		c.samples(f.Samples, field)
	}
	ids = map[string]bool{}
	for i := range r.Curves {
		curve, field := &r.Curves[i], fmt.Sprintf("curves[%d]", i)
		c.id(ids, curve.ID, field+".id")
		c.lines(curve.Lines, field)
	}
	return errors.Join(c.problems...)
}

// checker collects what is wrong.
type checker struct {
	servers  map[string]bool
	problems []error
}

func (c *checker) want(ok bool, field, format string, args ...any) {
	if !ok {
		c.problems = append(c.problems, fmt.Errorf("%s: "+format, append([]any{field}, args...)...))
	}
}

func (c *checker) id(seen map[string]bool, id, field string) {
	c.want(id != "", field, "is empty")
	c.want(!seen[id], field, "%q is there twice", id)
	seen[id] = true
}

func (c *checker) facts(facts []bench.Fact, field string) {
	seen := map[string]bool{}
	for i, f := range facts {
		c.id(seen, f.Key, fmt.Sprintf("%s[%d].key", field, i))
	}
}

func (c *checker) samples(samples []bench.Sample, field string) {
	seen := map[string]bool{}
	for i, s := range samples {
		c.server(seen, s.Server, fmt.Sprintf("%s.samples[%d].server", field, i))
		for j, v := range s.Values {
			c.value(v, fmt.Sprintf("%s.samples[%d].values[%d]", field, i, j))
		}
	}
}

func (c *checker) lines(lines []bench.Line, field string) {
	seen := map[string]bool{}
	for i, l := range lines {
		c.server(seen, l.Server, fmt.Sprintf("%s.lines[%d].server", field, i))
		for j, p := range l.Points {
			field := fmt.Sprintf("%s.lines[%d].points[%d]", field, i, j)
			for k, v := range p.Values {
				c.value(v, fmt.Sprintf("%s.values[%d]", field, k))
			}
		}
	}
}

func (c *checker) server(seen map[string]bool, name, field string) {
	c.want(c.servers[name], field, "%q is not among the servers", name)
	c.want(!seen[name], field, "%q is there twice", name)
	seen[name] = true
}

func (c *checker) value(v bench.Value, field string) {
	c.want(v.ClientShare >= 0, field+".client_share", "%v is less than nothing", v.ClientShare)
	c.want(v.ServerShare >= 0, field+".server_share", "%v is less than nothing", v.ServerShare)
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// readable is r with each value that is no number marked as one, so that one bad division costs one value and not
// the report of an hour. What it changes it copies.
func readable(r *bench.Report) *bench.Report {
	out := *r
	out.Figures = slices.Clone(r.Figures)
	for i := range out.Figures {
		f := &out.Figures[i]
		f.Samples = slices.Clone(f.Samples)
		for j := range f.Samples {
			f.Samples[j].Values = readableValues(f.Samples[j].Values)
		}
	}
	out.Curves = slices.Clone(r.Curves)
	for i := range out.Curves {
		c := &out.Curves[i]
		if !finite(c.Limit) {
			c.Limit = 0
		}
		c.Lines = slices.Clone(c.Lines)
		for j := range c.Lines {
			l := &c.Lines[j]
			l.Points = slices.Clone(l.Points)
			for k := range l.Points {
				p := &l.Points[k]
				p.Values = readableValues(p.Values)
				if !finite(p.X) {
					p.X = 0
					for m := range p.Values {
						p.Values[m].Mark = notNumber
					}
				}
			}
		}
	}
	return &out
}

func readableValues(values []bench.Value) []bench.Value {
	values = slices.Clone(values)
	for i := range values {
		v := &values[i]
		if !finite(v.Value) {
			v.Value = 0
			if v.Mark == "" {
				v.Mark = notNumber
			}
		}
		for _, part := range []*float64{&v.ClientShare, &v.ServerShare} {
			if !finite(*part) {
				*part = 0
			}
		}
	}
	return values
}
