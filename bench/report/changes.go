// The guard: whether a later report is worse than an earlier one of the same machine.

package report

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/roost-ws/roost/bench"
)

// Tolerance is the part by which a figure may be worse before it can count as a regression. Between two runs of one
// binary on a shared machine, medians of three rounds differ by up to a tenth even as ratios; what is smaller than
// this cannot be told from that without many more rounds.
const Tolerance = 0.15

// Verdict is what became of a figure.
type Verdict string

// The verdicts.
const (
	Same      Verdict = "same"      // within the tolerance
	Improved  Verdict = "improved"  // better by more than the tolerance, ranges apart
	Regressed Verdict = "regressed" // worse by more than the tolerance, ranges apart: what a guard fails on
	Noisy     Verdict = "noisy"     // beyond the tolerance, but the ranges touch or there is no range: run more rounds
	Missing   Verdict = "missing"   // measured before and not now
	Added     Verdict = "added"     // measured now and not before
	Unusable  Verdict = "unusable"  // all of its rounds are marked on one side, or it changed its meaning
)

// Span is a median with its range, and over how many rounds that is.
type Span struct {
	Median, Least, Greatest float64
	Rounds                  int
}

// Change is one figure of one of our servers, before and now.
type Change struct {
	Server string
	Figure string // its ID
	Title  string
	Better bench.Better
	// Reference is the server whose same figure Old and New are multiples of, round by round. Empty if they are
	// plain values in Unit, because one of the reports has no such multiple.
	Reference string
	Unit      string
	Old, New  Span // zero where the verdict says that there is none
	// Worse is the part by which the new median is worse than the old one: 0.2 for a fifth, less than 0 if it is
	// better, infinite if the old one was 0.
	Worse   float64
	Verdict Verdict
	Note    string // why, where the verdict alone doesn't tell
}

// Changes compares the figures of our servers in new with those in old, in the order of new, then those that are
// missing. Machines have good and bad hours, so each figure is taken as a multiple of what the server named reference
// came to in the same round, as far as both reports have rounds in which neither is marked; an empty reference
// takes plain values. It is an error if the reports are not of the same machine and the same work (a
// [*MismatchError]), if one of them contradicts itself, or if they have no server of ours in common.
//
// A figure is [Regressed] if its median is worse by more than [Tolerance] and its range does not touch the old one.
func Changes(old, new *bench.Report, reference string) ([]Change, error) {
	for _, r := range []struct {
		name   string
		report *bench.Report
	}{{"old", old}, {"new", new}} {
		if err := check(readable(r.report)); err != nil {
			return nil, fmt.Errorf("%s report: %w", r.name, err)
		}
	}
	if err := SameMachine(old, new); err != nil {
		return nil, err
	}
	if err := sameWork(old, new); err != nil {
		return nil, err
	}
	old, new = readable(old), readable(new)
	var changes []Change
	ours := 0
	for _, s := range new.Servers {
		if !s.Ours || !slices.ContainsFunc(old.Servers, func(o bench.Server) bool { return o.Name == s.Name }) {
			continue
		}
		if s.Name == reference {
			return nil, fmt.Errorf("the reference %q is our own server: against itself nothing ever changes", reference)
		}
		ours++
		changes = append(changes, serverChanges(old, new, s.Name, reference)...)
	}
	if ours == 0 {
		return nil, errors.New("the reports have no server of ours in common")
	}
	return changes, nil
}

// serverChanges compares the figures of one server.
func serverChanges(old, new *bench.Report, server, reference string) []Change {
	var changes []Change
	for i := range new.Figures {
		f := &new.Figures[i]
		was := figure(old, f.ID)
		if sampleOf(f, server) == nil && sampleOf(was, server) == nil {
			continue
		}
		c := Change{Server: server, Figure: f.ID, Title: f.Title, Better: f.Better, Unit: f.Unit}
		c.compare(was, f, reference)
		changes = append(changes, c)
	}
	for i := range old.Figures {
		f := &old.Figures[i]
		if figure(new, f.ID) == nil && sampleOf(f, server) != nil {
			c := Change{Server: server, Figure: f.ID, Title: f.Title, Better: f.Better, Unit: f.Unit}
			c.compare(f, nil, reference)
			changes = append(changes, c)
		}
	}
	return changes
}

func figure(r *bench.Report, id string) *bench.Figure {
	for i := range r.Figures {
		if r.Figures[i].ID == id {
			return &r.Figures[i]
		}
	}
	return nil
}

// sampleOf is the sample of a figure that may be lacking; nil too if it has no values.
func sampleOf(f *bench.Figure, server string) *bench.Sample {
	if f == nil {
		return nil
	}
	if s := f.Of(server); s != nil && len(s.Values) > 0 {
		return s
	}
	return nil
}

// compare fills in what came of one figure. One of the two has a sample of the server.
func (c *Change) compare(old, new *bench.Figure, reference string) {
	was, is := sampleOf(old, c.Server), sampleOf(new, c.Server)
	switch {
	case was == nil:
		c.Verdict = Added
		return
	case is == nil:
		c.Verdict = Missing
		return
	case old.Unit != new.Unit || old.Better != new.Better:
		c.Verdict = Unusable
		c.Note = fmt.Sprintf("was in %q, %s is better; is in %q, %s is better", old.Unit, old.Better, new.Unit, new.Better)
		return
	}
	var had, have bool
	c.Old, had = plainSpan(was)
	c.New, have = plainSpan(is)
	if !had || !have {
		c.Verdict = Unusable
		if !had {
			c.Note = "before: " + newCell(column{}, was.Values, "").Marks()
		} else {
			c.Note = "now: " + newCell(column{}, is.Values, "").Marks()
		}
		return
	}
	before, ok1 := ratioSpan(was, sampleOf(old, reference))
	now, ok2 := ratioSpan(is, sampleOf(new, reference))
	if ok1 && ok2 {
		c.Reference, c.Old, c.New = reference, before, now
	} else if reference != "" {
		c.Note = "no " + reference + " to compare with: plain values"
	}
	c.judge()
}

// plainSpan sums up what a server came to.
func plainSpan(s *bench.Sample) (span Span, ok bool) {
	span.Median, span.Least, span.Greatest, ok = s.Range()
	for _, v := range s.Values {
		if v.Mark == "" {
			span.Rounds++
		}
	}
	return span, ok
}

// ratioSpan sums up what a server came to as multiples of what the reference did in the same round. ok is false if
// there is no round in which both have a value and the reference's can be divided by.
func ratioSpan(s, reference *bench.Sample) (span Span, ok bool) {
	if reference == nil {
		return Span{}, false
	}
	if len(s.Values) != len(reference.Values) {
		return looseSpan(s, reference)
	}
	var ratios bench.Sample
	for i, v := range s.Values {
		base := reference.Values[i]
		if ratio := v.Value / base.Value; v.Mark == "" && base.Mark == "" && base.Value > 0 && finite(ratio) {
			ratios.Values = append(ratios.Values, bench.Value{Value: ratio})
		}
	}
	return plainSpan(&ratios)
}

// looseSpan is the same where one of the two has failed in a round, so that nobody knows which values belong
// together: the range is then all that the ratio can have been.
func looseSpan(s, reference *bench.Sample) (span Span, ok bool) {
	ours, ok := plainSpan(s)
	base, usable := plainSpan(reference)
	if !ok || !usable || base.Least <= 0 {
		return Span{}, false
	}
	span = Span{ours.Median / base.Median, ours.Least / base.Greatest, ours.Greatest / base.Least, min(ours.Rounds, base.Rounds)}
	return span, finite(span.Median) && finite(span.Greatest)
}

// judge comes to the verdict on a figure that has both spans.
func (c *Change) judge() {
	c.Worse = worse(c.Old.Median, c.New.Median, c.Better)
	apart := c.Old.Greatest < c.New.Least || c.New.Greatest < c.Old.Least
	switch {
	case math.Abs(c.Worse) <= Tolerance:
		c.Verdict = Same
	case !apart:
		c.Verdict = Noisy
	case min(c.Old.Rounds, c.New.Rounds) < 2:
		c.Verdict = Noisy
		c.Note = "one round has no range"
	case c.Worse > 0:
		c.Verdict = Regressed
	default:
		c.Verdict = Improved
	}
}

// worse is the part of old by which new is worse.
func worse(old, new float64, way bench.Better) float64 {
	change := new - old
	if way == bench.More {
		change = -change
	}
	if change == 0 {
		return 0
	}
	return change / math.Abs(old)
}
