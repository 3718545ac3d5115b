// The report as rows, columns and groups: what the page and the tables for a README have in common.

package report

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/roost-ws/roost/bench"
)

// view is a report arranged for reading.
type view struct {
	*bench.Report
	Columns []column
	Groups  []group
	// Ours is the server that the verdicts are about, and Standing their sum in a sentence; both are empty if there
	// is nothing to compare.
	Ours, Standing string
	// Unused and Values are how many values carry a mark, and how many there are.
	Unused, Values int
}

// column is one server.
type column struct {
	bench.Server
	Color int // ours first, so that it has the strongest one
}

// group is what stands under one heading.
type group struct {
	Name   string
	Rows   []row
	Curves []curve
}

// row is one figure, with one cell for each column.
type row struct {
	*bench.Figure
	Anchor  string
	Cells   []cell
	Verdict verdict
}

// verdict is how our server stands against the best of the others in one row.
type verdict struct {
	Word    standing
	Ratio   string // how many times better or worse, empty if one of the two is 0
	Against string
}

// standing is the word of a verdict.
type standing string

// The words; the empty one is for rows that cannot be compared. Level is said if the ranges touch, whatever the
// medians do.
const (
	ahead  standing = "better"
	behind standing = "worse"
	level  standing = "level"
)

// colors is how many the page has; a ninth server looks like the first, and the tables tell them apart.
const colors = 8

// newView checks r and arranges it.
func newView(r *bench.Report) (*view, error) {
	r = readable(r)
	if err := check(r); err != nil {
		return nil, err
	}
	v := &view{Report: r}
	v.Columns = columnsOf(r.Servers)
	places := map[string]int{}
	place := func(name string) *group {
		at, known := places[name]
		if !known {
			at = len(v.Groups)
			places[name] = at
			v.Groups = append(v.Groups, group{Name: name})
		}
		return &v.Groups[at]
	}
	for i := range v.Figures {
		f := &v.Figures[i]
		g := place(f.Group)
		g.Rows = append(g.Rows, v.newRow(f, "figure-"+strconv.Itoa(i+1)))
	}
	for i := range v.Curves {
		c := &v.Curves[i]
		g := place(c.Group)
		g.Curves = append(g.Curves, v.newCurve(c, i))
	}
	v.stand()
	return v, nil
}

func columnsOf(servers []bench.Server) []column {
	columns := make([]column, len(servers))
	next := 0
	for _, ours := range []bool{true, false} {
		for i, s := range servers {
			if s.Ours == ours {
				columns[i] = column{s, next % colors}
				next++
			}
		}
	}
	return columns
}

// newRow lays out one figure and counts its values.
func (v *view) newRow(f *bench.Figure, anchor string) row {
	r := row{Figure: f, Anchor: anchor, Cells: make([]cell, len(v.Columns))}
	for i, server := range v.Columns {
		var values []bench.Value
		if s := f.Of(server.Name); s != nil {
			values = s.Values
		}
		c := newCell(server, values, f.Unit)
		v.Values += len(values)
		v.Unused += len(values) - c.Used
		r.Cells[i] = c
	}
	markBest(r.Cells, f.Better)
	r.Verdict = judge(r.Cells, f.Better)
	return r
}

// markBest marks the best median, and all that are equal to it. Among fewer than two there is no best one.
func markBest(cells []cell, way bench.Better) {
	best, counting := -1, 0
	for i, c := range cells {
		if !c.Counts() {
			continue
		}
		counting++
		if best < 0 || c.better(cells[best], way) {
			best = i
		}
	}
	for i := range cells {
		cells[i].Best = counting > 1 && cells[i].Counts() && cells[i].Median == cells[best].Median
	}
}

// judge holds our server, the first if there are several, against the best other one.
func judge(cells []cell, way bench.Better) verdict {
	ours := slices.IndexFunc(cells, func(c cell) bool { return c.Ours })
	if ours < 0 || !cells[ours].Counts() {
		return verdict{}
	}
	us, best := cells[ours], -1
	for i, c := range cells {
		if !c.Ours && c.Counts() && (best < 0 || c.better(cells[best], way)) {
			best = i
		}
	}
	if best < 0 {
		return verdict{}
	}
	them := cells[best]
	out := verdict{Word: behind, Against: them.Server}
	if us.better(them, way) {
		out.Word = ahead
	}
	if us.overlaps(them) {
		out.Word = level
	}
	if us.Median > 0 && them.Median > 0 {
		out.Ratio = digits(max(us.Median/them.Median, them.Median/us.Median))
	}
	return out
}

// stand sums the verdicts up.
func (v *view) stand() {
	ours := slices.IndexFunc(v.Columns, func(c column) bool { return c.Ours })
	if ours < 0 || len(v.Columns) < 2 || len(v.Figures) == 0 {
		return
	}
	counts := map[standing]int{}
	for _, g := range v.Groups {
		for _, r := range g.Rows {
			counts[r.Verdict.Word]++
		}
	}
	v.Ours = v.Columns[ours].Name
	v.Standing = fmt.Sprintf("%s is better than the best of the others in %d of %d figures, level in %d and worse in %d",
		v.Ours, counts[ahead], len(v.Figures), counts[level], counts[behind])
	if n := counts[""]; n > 0 {
		v.Standing += fmt.Sprintf("; %d cannot be compared", n)
	}
	v.Standing += "."
}

// Way says which values of a row are good ones.
func (r row) Way() string {
	if r.Better == bench.Less {
		return "less is better"
	}
	return "more is better"
}

// Text is the verdict as it stands in a table.
func (v verdict) Text() string {
	switch {
	case v.Word == "":
		return "–"
	case v.Ratio == "":
		return string(v.Word)
	case v.Word == level:
		return "level (" + v.Ratio + " ×)"
	}
	return v.Ratio + " × " + string(v.Word)
}

// Limited lists the rows for which somebody looked who was at the end of its processors.
func (v *view) Limited() []row {
	var rows []row
	for _, g := range v.Groups {
		for _, r := range g.Rows {
			if r.Shared() {
				rows = append(rows, r)
			}
		}
	}
	return rows
}

// Lasted writes how long all of it took.
func (v *view) Lasted() string {
	d := v.Took.Round(time.Second)
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d.Round(time.Minute)/time.Minute)
	}
	d = d.Round(time.Minute)
	return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
}

// Day writes when it began; empty if that is not known.
func (v *view) Day() string {
	if v.Started.IsZero() {
		return ""
	}
	return v.Started.UTC().Format("2 January 2006, 15:04 UTC")
}

// RoundsText writes how many rounds there were.
func (v *view) RoundsText() string { return rounds(v.Rounds) }
