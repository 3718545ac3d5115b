// The report as a page.

package report

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page's parts
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"math"
	"slices"
	"strconv"
	"sync"

	"github.com/roost-ws/roost/bench"
)

var (
	//go:embed assets/page.html
	pageText string
	//go:embed assets/page.css
	pageStyle string
	//go:embed assets/page.js
	pageScript string
	//go:embed assets/uplot/uPlot.iife.min.js
	uplotScript string
	//go:embed assets/uplot/uPlot.min.css
	uplotStyle string
	//go:embed assets/uplot/LICENSE
	uplotLicence string
)

// pageTemplate is parsed once; executing it does not change it.
var pageTemplate = template.Must(template.New("page").Parse(pageText))

// fixed is what all pages have in common.
var fixed = sync.OnceValue(func() page {
	style := uplotStyle + pageStyle
	// The licence asks to go wherever the code goes.
	uplot := "/*!\n" + uplotLicence + "\n*/\n" + uplotScript
	return page{
		Policy: "default-src 'none'; base-uri 'none'; form-action 'none'; img-src data:; style-src " + source(style) +
			"; script-src " + source(uplot) + " " + source(pageScript),
		Style:  template.CSS(style),
		Uplot:  template.JS(uplot),
		Script: template.JS(pageScript),
	}
})

// page is what the template is given.
type page struct {
	*view
	Policy string // the Content-Security-Policy
	Style  template.CSS
	Uplot  template.JS
	Script template.JS
}

// WriteHTML writes r as one page that holds all it needs and is not allowed to fetch anything: its policy lets
// only the scripts and the style that it was written with run. Errors are those of w, and of a report that
// contradicts itself.
func WriteHTML(w io.Writer, r *bench.Report) error {
	v, err := newView(r)
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	p := fixed()
	p.view = v
	var out bytes.Buffer
	if err := pageTemplate.Execute(&out, p); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	if _, err := w.Write(bytes.Map(visible, out.Bytes())); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// visible leaves out of the whole page what printable does, line breaks apart: a server whose name turns the
// direction of writing would else turn the words around it as well. The page's own text has nothing of the kind.
func visible(r rune) rune {
	if r == '\n' || r == '\t' {
		return r
	}
	return shown(r)
}

// source is how a policy allows one text in the page.
func source(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// bar is a cell as it is drawn, in percent of the chart's width.
type bar struct {
	cell
	Length, From, To string
	Whisker          bool
	Strays           []string // values that were not used
}

// stretch is how far values that were not used may push the end of the bars beyond that of the others: enough to show
// what a client that was at its end did reach, not so far that one stall makes all bars short.
const stretch = 1.5

// most is where the bars of a row end.
func (r row) most() float64 {
	var used, unused []float64
	for _, c := range r.Cells {
		if c.Counts() {
			used = append(used, c.Greatest)
		}
		for _, v := range c.Values {
			if v.Mark != "" {
				unused = append(unused, v.Value)
			}
		}
	}
	end := 0.0
	for _, v := range used {
		end = max(end, v)
	}
	reach := end * stretch
	for _, v := range unused {
		if len(used) == 0 || v <= reach {
			end = max(end, v)
		}
	}
	return end
}

// Bars draws a row from 0 on. Values that were not used are hollow; those that lie beyond the end are in the table
// of all rounds alone.
func (r row) Bars() []bar {
	most := r.most()
	at := func(v float64) string {
		part := v / most
		if !(part > 0) { // 0 of 0 too
			part = 0
		}
		// The last percent is for the whisker's cap.
		return strconv.FormatFloat(math.Min(part, 1)*99, 'f', 2, 64) + "%"
	}
	var bars []bar
	for _, c := range r.Cells {
		b := bar{cell: c, Length: at(c.Median), From: at(c.Least), To: at(c.Greatest), Whisker: c.Used > 1}
		for _, v := range c.Values {
			if v.Mark != "" && v.Mark != notNumber && v.Value >= 0 && v.Value <= most {
				b.Strays = append(b.Strays, at(v.Value))
			}
		}
		bars = append(bars, b)
	}
	return bars
}

// Stacked tells whether the numbers of a row are too long to have their ranges beside them.
func (r row) Stacked() bool {
	return slices.ContainsFunc(r.Cells, func(c cell) bool { return c.Counts() && len(c.Text())+len(c.Range()) > 22 })
}

// turn is one value of a cell as the table of all rounds shows it.
type turn struct {
	Text, Shares, Mark string
}

// Turns lists the rounds of one server.
func (c cell) Turns() []turn {
	var turns []turn
	for _, v := range c.Values {
		t := turn{Text: quantity(v.Value, c.Unit), Mark: v.Mark}
		if v.Mark == notNumber {
			t.Text = ""
		}
		if v.ClientShare > 0 || v.ServerShare > 0 {
			t.Shares = share(v.ClientShare) + " / " + share(v.ServerShare)
		}
		turns = append(turns, t)
	}
	return turns
}

// Rounds numbers the columns of the table of all rounds.
func (r row) Rounds() []int {
	most := 0
	for _, c := range r.Cells {
		most = max(most, len(c.Values))
	}
	numbers := make([]int, most)
	for i := range numbers {
		numbers[i] = i + 1
	}
	return numbers
}

// Shared tells whether a row's values say who used how much of its processors.
func (r row) Shared() bool {
	return slices.ContainsFunc(r.Cells, func(c cell) bool { return c.Limiter().Who != "" })
}

// Blank lists the columns of that table that a server has no value for.
func (r row) Blank(c cell) []int { return r.Rounds()[len(c.Values):] }

// LimitText is the line to stay below, with its unit.
func (c curve) LimitText() string {
	if c.Limit == 0 {
		return ""
	}
	return quantity(c.Limit, c.YUnit)
}

// Drawn tells whether the script has anything to draw.
func (c curve) Drawn() bool { return len(c.Chart.X) > 0 }

// Broken tells whether there is a place at which all rounds of a server are marked.
func (c curve) Broken() bool {
	return slices.ContainsFunc(c.Steps, func(s step) bool {
		return slices.ContainsFunc(s.Cells, func(c cell) bool { return c.Measured() && !c.Counts() })
	})
}

// Charts lists what the page's script draws, by the place that it fills.
func (v *view) Charts() map[string]chart {
	charts := map[string]chart{}
	for _, g := range v.Groups {
		for _, c := range g.Curves {
			if c.Drawn() {
				charts[c.Anchor] = c.Chart
			}
		}
	}
	return charts
}

// Width is how many columns the summary has.
func (v *view) Width() int {
	if v.Ours == "" {
		return 1 + len(v.Columns)
	}
	return 2 + len(v.Columns)
}
