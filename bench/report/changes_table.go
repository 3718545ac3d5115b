// What the guard found, as a table.

package report

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// WriteChanges writes changes as a table for a terminal, one line each, and below it how many there are of each
// verdict. Errors are those of w.
func WriteChanges(w io.Writer, changes []Change) error {
	var out bytes.Buffer
	table := tabwriter.NewWriter(&out, 0, 8, 2, ' ', 0)
	line := func(cells ...any) { fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", cells...) }
	line("verdict", "server", "figure", "before", "now", "change", "measured as")
	counts := map[Verdict]int{}
	for _, c := range changes {
		counts[c.Verdict]++
		line(c.Verdict, printable(c.Server), printable(c.Title), c.text(c.Old, c.Verdict != Added),
			c.text(c.New, c.Verdict != Missing), c.moved(), printable(c.basis()))
	}
	_ = table.Flush() // a buffer takes everything
	fmt.Fprintf(&out, "\n%s", figures(len(changes)))
	separator := ": "
	for _, v := range []Verdict{Regressed, Noisy, Missing, Unusable, Added, Improved, Same} {
		if counts[v] > 0 {
			fmt.Fprintf(&out, "%s%d %s", separator, counts[v], v)
			separator = ", "
		}
	}
	out.WriteByte('\n')
	if _, err := w.Write(out.Bytes()); err != nil {
		return fmt.Errorf("write changes: %w", err)
	}
	return nil
}

func figures(n int) string {
	if n == 1 {
		return "1 figure"
	}
	return fmt.Sprintf("%d figures", n)
}

// text writes one side of a change.
func (c Change) text(s Span, there bool) string {
	if !there || c.Verdict == Unusable {
		return "-"
	}
	if c.Verdict == Added || c.Verdict == Missing {
		return "measured"
	}
	unit := c.Unit
	if c.Reference != "" {
		unit = "×"
	}
	scale := scaleFor(s.Median, unit)
	return fmt.Sprintf("%s (%s to %s)", printable(scale.with(scale.number(s.Median))), scale.number(s.Least), scale.number(s.Greatest))
}

// moved writes how far the median moved, in words that need no knowledge of which way is good.
func (c Change) moved() string {
	switch {
	case c.Verdict == Added || c.Verdict == Missing || c.Verdict == Unusable:
		return "-"
	case c.Worse == 0:
		return "none"
	case math.IsInf(c.Worse, 1):
		return "worse than 0"
	case math.IsInf(c.Worse, -1):
		return "better than 0"
	case c.Worse > 0:
		return share(c.Worse) + " worse"
	}
	return share(-c.Worse) + " better"
}

// basis says what before and now are.
func (c Change) basis() string {
	switch {
	case c.Note != "":
		return c.Note
	case c.Verdict == Added || c.Verdict == Missing:
		return "-"
	case c.Reference != "":
		return "multiple of " + c.Reference
	}
	return "plain value"
}
