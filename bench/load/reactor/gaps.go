package reactor

// Sequence numbers that were passed over, to tell a late message from one that came twice.

import "slices"

// mostGaps bounds what is remembered, in runs of numbers over all connections. Beyond it a late message counts as
// one that came twice.
const mostGaps = 1 << 20

// gaps remembers which numbers each connection has passed over. Most connections never do.
type gaps struct {
	runs  map[int32][]span
	count int
}

// span is the numbers from first on, below end.
type span struct{ first, end uint32 }

// passed notes that the numbers from first to end did not come when it was their turn.
func (g *gaps) passed(slot int32, first, end uint32) {
	if g.count == mostGaps {
		return
	}
	if g.runs == nil {
		g.runs = map[int32][]span{}
	}
	g.runs[slot] = append(g.runs[slot], span{first, end})
	g.count++
}

// late says whether number had been passed over and now came for the first time.
func (g *gaps) late(slot int32, number uint32) bool {
	runs := g.runs[slot]
	for i, r := range runs {
		if number < r.first || number >= r.end {
			continue
		}
		switch {
		case number == r.first:
			runs[i].first++
		case number == r.end-1:
			runs[i].end--
		default:
			runs[i].end = number
			runs = append(runs, span{number + 1, r.end})
			g.count++
		}
		if runs[i].first == runs[i].end {
			runs = slices.Delete(runs, i, i+1)
			g.count--
		}
		g.runs[slot] = runs
		return true
	}
	return false
}

// order judges the sequence numbers of one task.
type order struct {
	gaps                 gaps
	disorder, duplicates int64
}

// check takes the next number that came on c. It is false for one that has come before.
func (o *order) check(c *conn, number uint32) bool {
	if number == c.next {
		c.next++
		return true
	}
	return o.irregular(c, number)
}

func (o *order) irregular(c *conn, number uint32) bool {
	switch {
	case number > c.next:
		o.gaps.passed(c.slot, c.next, number)
		c.next = number + 1
	case o.gaps.late(c.slot, number):
		o.disorder++
	default:
		o.duplicates++
		return false
	}
	return true
}
