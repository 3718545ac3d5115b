// The report as tables for a README.

package report

import (
	"bytes"
	"fmt"
	"io"
	"strings"

	"github.com/roost-ws/roost/bench"
)

// WriteMarkdown writes r in GitHub's Markdown: a table with one row a figure and one column a server, a table for
// each curve, who was at the end of its processors, then the machine, the settings, the servers and the command.
// Errors are those of w, and of a report that contradicts itself.
func WriteMarkdown(w io.Writer, r *bench.Report) error {
	v, err := newView(r)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	var m markdown
	m.head(v)
	m.figures(v)
	for _, g := range v.Groups {
		for _, c := range g.Curves {
			m.curve(c)
		}
	}
	m.limits(v)
	m.around(v)
	if _, err := w.Write(m.Bytes()); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// markdown is the text as it grows.
type markdown struct {
	bytes.Buffer
	notes []string // what the numbers in brackets of the present table mean
}

func (m *markdown) line(format string, args ...any) { fmt.Fprintf(m, format+"\n", args...) }

func (m *markdown) head(v *view) {
	m.line("## %s\n", plain(v.Title))
	if v.Standing != "" {
		m.line("%s\n", plain(v.Standing))
	}
	m.line("Medians of %s (least to greatest). The best of a row is bold.%s\n", v.RoundsText(), unusedText(v))
	for _, remark := range v.Remarks {
		m.line("- %s", plain(remark))
	}
	if len(v.Remarks) > 0 {
		m.line("")
	}
}

func unusedText(v *view) string {
	if v.Unused == 0 {
		return ""
	}
	return fmt.Sprintf(" %d of %d values were not used; the table says why.", v.Unused, v.Values)
}

// columns begins a table.
func (m *markdown) columns(first string, servers []column, more ...string) {
	names := []string{first}
	for _, s := range servers {
		names = append(names, plain(s.Name))
	}
	names = append(names, more...)
	m.row(names...)
	m.line("|%s", strings.Repeat("---|", len(names)))
}

func (m *markdown) row(cells ...string) { m.line("| %s |", strings.Join(cells, " | ")) }

// end closes a table with its notes.
func (m *markdown) end() {
	m.line("")
	for i, note := range m.notes {
		m.line("(%d) %s  ", i+1, plain(note)) // two spaces break the line
	}
	if len(m.notes) > 0 {
		m.line("")
	}
	m.notes = nil
}

func (m *markdown) figures(v *view) {
	var more []string
	if v.Ours != "" {
		more = []string{plain(v.Ours) + " against the best other"}
	}
	blank := make([]string, len(v.Columns)+len(more))
	begun := false
	for _, g := range v.Groups {
		if len(g.Rows) == 0 {
			continue
		}
		if !begun {
			m.columns("figure", v.Columns, more...)
			begun = true
		}
		if g.Name != "" {
			m.row(append([]string{"**" + plain(g.Name) + "**"}, blank...)...)
		}
		for _, r := range g.Rows {
			cells := []string{plain(r.Title) + " (" + r.Way() + ")"}
			for _, c := range r.Cells {
				cells = append(cells, m.cell(c))
			}
			if len(more) > 0 {
				cells = append(cells, r.Verdict.Text())
			}
			m.row(cells...)
		}
	}
	if begun {
		m.end()
	}
}

// cell writes one cell. A mark that tells only of some rounds goes into a note.
func (m *markdown) cell(c cell) string {
	if !c.Measured() {
		return "–"
	}
	if !c.Counts() {
		return "*" + plain(c.Marks()) + "*"
	}
	text := plain(c.Text())
	if c.Best {
		text = "**" + text + "**"
	}
	if spread := c.Range(); spread != "" {
		text += " (" + spread + ")"
	}
	if note := c.Note(); note != "" {
		m.notes = append(m.notes, c.Server+": "+note)
		text += fmt.Sprintf(" (%d)", len(m.notes))
	}
	return text
}

func (m *markdown) curve(c curve) {
	m.line("### %s\n", plain(c.Title))
	if c.Explain != "" {
		m.line("%s\n", plain(c.Explain))
	}
	if c.Limit != 0 {
		m.line("%s to stay below: %s.\n", plain(c.YName), plain(quantity(c.Limit, c.YUnit)))
	}
	m.columns(plain(c.XName), c.Columns)
	for _, s := range c.Steps {
		cells := []string{plain(s.X)}
		for _, cell := range s.Cells {
			cells = append(cells, m.cell(cell))
		}
		m.row(cells...)
	}
	m.end()
}

func (m *markdown) limits(v *view) {
	rows := v.Limited()
	if len(rows) == 0 {
		return
	}
	m.line("### Who was the bottleneck\n")
	m.line("The side that was at the end of its processors (from %s on), and the part of them that the load generator and the server used.\n", share(saturated))
	m.columns("figure", v.Columns)
	for _, r := range rows {
		cells := []string{plain(r.Title)}
		for _, c := range r.Cells {
			if l := c.Limiter(); l.Who == "" {
				cells = append(cells, "–")
			} else {
				cells = append(cells, fmt.Sprintf("%s (%s, %s)", l.Who, l.Client, l.Server))
			}
		}
		m.row(cells...)
	}
	m.end()
}

// around writes what a reader needs to judge the figures and to repeat them.
func (m *markdown) around(v *view) {
	m.line("### Machine and command\n")
	if day := v.Day(); day != "" {
		m.line("Measured %s, in %s.\n", day, v.Lasted())
	}
	for _, facts := range []struct {
		name string
		list []bench.Fact
	}{{"Machine", v.Machine}, {"The work", v.Settings}} {
		if len(facts.list) == 0 {
			continue
		}
		m.line("%s:\n", facts.name)
		for _, f := range facts.list {
			m.line("- %s: %s", plain(f.Name), plain(f.Value))
		}
		m.line("")
	}
	if len(v.Servers) > 0 {
		m.line("Servers:\n")
	}
	for _, s := range v.Servers {
		line := "- **" + plain(s.Name) + "**"
		if s.Version != "" {
			line += " " + plain(s.Version)
		}
		if s.About != "" {
			line += ": " + plain(s.About)
		}
		if s.Command != "" {
			line += " – " + code(s.Command)
		}
		m.line("%s", line)
	}
	if len(v.Servers) > 0 {
		m.line("")
	}
	if v.Command != "" {
		m.line("%s", block(v.Command))
	}
}
