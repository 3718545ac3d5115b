// The report as text for people and as JSON for programs.

package sysctl

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// WriteJSON writes the report as one JSON object.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

// WriteText writes the forecast, what it takes in memory, and the rows: those that fail first, each with its
// arithmetic; those that need something done also with why and how.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	b.WriteString(r.Headline() + "\n" + r.memoryLine() + "\n\n")
	table := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\t\thave\tneed\tbecause")
	for _, verdict := range []Verdict{Fail, Warn, Pass, Skip} {
		for i := range r.Rows {
			if row := &r.Rows[i]; row.Verdict == verdict {
				fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", verdict, row.ID, dash(row.Have), dash(row.Need), row.Because)
			}
		}
	}
	_ = table.Flush() // a strings.Builder takes everything
	r.writeRemedies(&b)
	n := r.Count()
	fmt.Fprintf(&b, "\n%d fail, %d warn, %d pass, %d skipped\n", n[Fail], n[Warn], n[Pass], n[Skip])
	_, err := io.WriteString(w, trimEnds(b.String()))
	return err
}

// trimEnds removes the blanks that a table leaves where its last column is empty.
func trimEnds(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// writeRemedies says of each row that does not pass why it matters and how it is put right.
func (r *Report) writeRemedies(b *strings.Builder) {
	for _, verdict := range []Verdict{Fail, Warn} {
		for i := range r.Rows {
			row := &r.Rows[i]
			if row.Verdict != verdict {
				continue
			}
			fmt.Fprintf(b, "\n%s", row.ID)
			if row.Key != "" {
				fmt.Fprintf(b, " (%s)", row.Key)
			}
			fmt.Fprintf(b, ": %s\n  needed: %s\n  fix:    %s\n", row.Why, row.Formula, row.Fix)
			if row.Risk != "none" {
				fmt.Fprintf(b, "  risk:   %s\n", row.Risk)
			}
		}
	}
}

// Headline is the forecast in a sentence: "this box stops at 212,000 connections because of tcp_mem; next is memory
// at 480,000".
func (r *Report) Headline() string {
	n := uint64(r.Target.Connections)
	if len(r.Stops) == 0 {
		return fmt.Sprintf("what ends the connections of this box can't be read here; asked for: %s", count(n))
	}
	first := r.Stops[0]
	verb, rest := "stops", r.Stops[1:]
	if first.Connections >= n {
		verb = fmt.Sprintf("holds %s connections; it would stop", count(n))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "this box %s at %s", verb, count(first.Connections))
	if first.Connections < n {
		b.WriteString(" connections")
	}
	fmt.Fprintf(&b, " because of %s", first.Cause)
	for i, stop := range rest {
		word := "; next is"
		if i > 0 {
			word = ", then"
		}
		fmt.Fprintf(&b, "%s %s at %s", word, stop.Cause, count(stop.Connections))
	}
	return b.String()
}

func (r *Report) memoryLine() string {
	m := &r.Memory
	return fmt.Sprintf("%s idle connections take %s of the process (%s + %.0f B each) and %s of the kernel (%.0f B each)",
		count(uint64(r.Target.Connections)), size(m.Base+m.User), size(m.Base), m.UserEach, size(m.Kernel), m.KernelEach)
}
