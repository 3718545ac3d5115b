// A curve as a table, and as what the page's script draws.

package report

import (
	"slices"
	"strconv"

	"github.com/roost-ws/roost/bench"
)

// curve is one curve: a table with a row for each X, and the same for the script.
type curve struct {
	*bench.Curve
	Anchor  string
	Columns []column // the servers that have a line
	Steps   []step
	Chart   chart
}

// step is a curve's values at one X, a cell for each column.
type step struct {
	X     string
	Cells []cell
}

// chart is what the script is given. Lists of values stand beside X; null is where there is none.
type chart struct {
	XName   string      `json:"xName"`
	YName   string      `json:"yName"`
	XScales []scale     `json:"xScales"`
	YScales []scale     `json:"yScales"`
	LogX    bool        `json:"logX"`
	LogY    bool        `json:"logY"`
	Limit   float64     `json:"limit"`
	X       []float64   `json:"x"`
	Lines   []chartLine `json:"lines"`
}

// chartLine is one server's course: medians, their ranges, and what was marked.
type chartLine struct {
	Server string     `json:"server"`
	Color  int        `json:"color"`
	Ours   bool       `json:"ours"`
	Y      []*float64 `json:"y"`
	Low    []*float64 `json:"low"`
	High   []*float64 `json:"high"`
	// Broke is where all values of a point were marked: their median. Marks says why.
	Broke []*float64 `json:"broke"`
	Marks []string   `json:"marks"`
}

// newCurve lays out one curve and counts its values.
func (v *view) newCurve(c *bench.Curve, number int) curve {
	out := curve{Curve: c, Anchor: "curve-" + strconv.Itoa(number+1)}
	places := map[float64][]bench.Value{}
	var xs []float64
	var lines []*bench.Line
	for _, server := range v.Columns {
		at := slices.IndexFunc(c.Lines, func(l bench.Line) bool { return l.Server == server.Name })
		if at < 0 {
			continue
		}
		out.Columns = append(out.Columns, server)
		lines = append(lines, &c.Lines[at])
		for _, p := range c.Lines[at].Points {
			if _, known := places[p.X]; !known {
				places[p.X] = nil
				xs = append(xs, p.X)
			}
		}
	}
	slices.Sort(xs)
	for _, x := range xs {
		s := step{X: quantity(x, c.XUnit)}
		for i, server := range out.Columns {
			cell := newCell(server, valuesAt(lines[i], x), c.YUnit)
			v.Values += len(cell.Values)
			v.Unused += len(cell.Values) - cell.Used
			s.Cells = append(s.Cells, cell)
		}
		out.Steps = append(out.Steps, s)
	}
	out.Chart = newChart(&out, xs)
	return out
}

// valuesAt gathers a line's values at x; a place that was visited twice has those of both.
func valuesAt(l *bench.Line, x float64) []bench.Value {
	var values []bench.Value
	for _, p := range l.Points {
		if p.X == x {
			values = append(values, p.Values...)
		}
	}
	return values
}

func newChart(c *curve, xs []float64) chart {
	out := chart{
		XName: c.XName, YName: c.YName, XScales: scalesOf(c.XUnit), YScales: scalesOf(c.YUnit),
		LogX: c.LogX, LogY: c.LogY, Limit: c.Limit, X: []float64{},
	}
	for _, server := range c.Columns {
		out.Lines = append(out.Lines, chartLine{Server: server.Name, Color: server.Color, Ours: server.Ours})
	}
	for i, x := range xs {
		if c.LogX && x <= 0 {
			continue // has no place on the axis; the table has it
		}
		out.X = append(out.X, x)
		for j := range out.Lines {
			out.Lines[j].add(c.Steps[i].Cells[j], c.LogY)
		}
	}
	return out
}

// add appends what one cell has to show. What a logarithmic axis has no place for is left to the table.
func (l *chartLine) add(c cell, log bool) {
	drawn := func(v float64, is bool) *float64 {
		if !is || !finite(v) || log && v <= 0 {
			return nil
		}
		return &v
	}
	l.Y = append(l.Y, drawn(c.Median, c.Counts()))
	l.Low = append(l.Low, drawn(c.Least, c.Counts()))
	l.High = append(l.High, drawn(c.Greatest, c.Counts()))
	broke := c.Measured() && !c.Counts()
	marked := bench.Sample{Values: slices.Clone(c.Values)}
	for i := range marked.Values {
		marked.Values[i].Mark = ""
	}
	middle, _, _, _ := marked.Range()
	l.Broke = append(l.Broke, drawn(middle, broke))
	l.Marks = append(l.Marks, c.Marks())
}
