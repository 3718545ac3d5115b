package load

// A run as a table to read.

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/roost-ws/roost/bench"
)

// WriteTable writes what a run measured, a figure a line. The error is w's.
func WriteTable(w io.Writer, r *bench.Run) error {
	t := &table{tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	t.row(r.Scenario, strings.Join(r.Target.Addresses, " ")+r.Target.Path)
	if o := r.Open; o != nil {
		t.row("opened", fmt.Sprintf("%s of %s in %s (%s/s)", number(o.Opened), number(o.Asked), short(o.Took), perSecond(int64(o.Opened), o.Took)))
		t.causes("not opened", o.Failures)
		t.delay("connect to ready", o.Delay)
	}
	if i := r.Idle; i != nil {
		t.row("held", short(i.Held))
		t.row("pings answered", number(i.Pings))
		t.row("messages", number(i.Received))
	}
	if r.Echo != nil {
		t.echo(r.Echo)
	}
	if r.Fanout != nil {
		t.fanout(r.Fanout)
	}
	if c := r.Churn; c != nil {
		t.row("turns", fmt.Sprintf("%s in %s (%s/s)", number(c.Turns), short(c.Took), perSecond(c.Turns, c.Took)))
		t.causes("failed", c.Failures)
		t.delay("connect to ready", c.Delay)
	}
	if s := r.Storm; s != nil {
		t.row("cut", number(s.Cut))
		t.row("back", fmt.Sprintf("%s in %s (%s/s)", number(s.Back), short(s.Took), perSecond(int64(s.Back), s.Took)))
		t.row("attempts", number(s.Attempts))
		t.causes("refused", s.Refusals)
		t.delay("cut to ready", s.Delay)
	}
	if r.Mix != nil {
		t.mix(r.Mix)
	}
	t.causes("ended", r.Ended)
	if r.Measured > 0 {
		t.row("client", fmt.Sprintf("%s of %s processor time, %.0f %% of %s", short(r.ClientCPU), short(r.Measured), 100*r.ClientShare(), processors(r.ClientCPUs)))
	}
	return t.Flush()
}

// table writes rows of a name and a value. Errors of its writer come from Flush: a tabwriter keeps all until then.
type table struct{ *tabwriter.Writer }

func (t *table) row(name, value string) { _, _ = fmt.Fprintf(t, "%s\t%s\n", name, value) }

func (t *table) echo(e *bench.Echoing) {
	if e.InFlight > 0 {
		t.row("in flight", number(e.InFlight)+" on each connection")
	} else {
		t.row("due", fmt.Sprintf("%s/s over all connections", number(int64(e.Rate))))
	}
	t.row("sent", number(e.Sent))
	t.row("back", fmt.Sprintf("%s in %s (%s/s)", number(e.Received), short(e.Took), perSecond(e.Received, e.Took)))
	if e.InFlight == 0 {
		t.row("not back", number(e.Late))
	}
	t.faults(e.Disorder, e.Duplicates, e.Strays)
	t.delay("delay", e.Delay)
	t.delay("of it before sending", e.SendDelay)
}

func (t *table) fanout(f *bench.Fanning) {
	t.row("members", number(f.Members))
	t.row("publications", fmt.Sprintf("%s (%s/s)", number(f.Publications), number(int64(f.Rate))))
	t.row("deliveries", fmt.Sprintf("%s of %s (%s/s)", number(f.Deliveries), number(f.Expected), perSecond(f.Deliveries, f.Took)))
	t.row("lost", number(f.Lost))
	t.faults(f.Disorder, f.Duplicates, 0)
	t.delay("delay", f.Delay)
	t.delay("until the last member", f.LastMember)
	t.delay("of it before sending", f.SendDelay)
}

// faults writes what should be zero; what only some runs can have only if it is not.
func (t *table) faults(disorder, duplicates, strays int64) {
	t.row("out of order", number(disorder))
	if duplicates > 0 {
		t.row("came twice", number(duplicates))
	}
	if strays > 0 {
		t.row("of another connection", number(strays))
	}
}

func (t *table) mix(m *bench.Mixing) {
	t.row("profile", fmt.Sprintf("%s, %s", m.Profile, short(m.Took)))
	for _, name := range slices.Sorted(maps.Keys(m.Kinds)) {
		k := m.Kinds[name]
		t.row(name, fmt.Sprintf("%s connections, %s ended, %s sent, %s received", number(k.Connections), number(k.Ended), number(k.Sent), number(k.Received)))
		t.delay("  delay", k.Delay)
	}
}

func (t *table) delay(name string, l bench.Latency) {
	if l.Count == 0 {
		return
	}
	t.row(name, fmt.Sprintf("mean %s  p50 %s  p90 %s  p99 %s  p99.9 %s  max %s",
		short(l.Mean), short(l.P50), short(l.P90), short(l.P99), short(l.P999), short(l.Max)))
}

// causes writes counts by cause, the most frequent first.
func (t *table) causes(name string, counts map[string]int) {
	if len(counts) == 0 {
		return
	}
	causes := slices.Sorted(maps.Keys(counts))
	slices.SortStableFunc(causes, func(a, b string) int { return counts[b] - counts[a] })
	for i, c := range causes {
		causes[i] = number(counts[c]) + " " + c
	}
	t.row(name, strings.Join(causes, ", "))
}

func number[N int | int64](n N) string { return grouped(int64(n)) }

func processors(n int) string {
	if n == 1 {
		return "one processor"
	}
	return fmt.Sprintf("%d processors", n)
}

// perSecond is a rate in whole numbers, - without a time.
func perSecond(n int64, took time.Duration) string {
	if took <= 0 {
		return "-"
	}
	return grouped(int64(float64(n)/took.Seconds() + 0.5))
}

// short is a time in three digits or so.
func short(d time.Duration) string {
	unit := time.Nanosecond
	for unit*1000 <= d {
		unit *= 10
	}
	return d.Round(unit).String()
}
