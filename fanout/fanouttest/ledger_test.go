package fanouttest

import (
	"strconv"
	"testing"

	"github.com/roost-ws/roost/fanout"
)

// The checker itself: what it must find, and what it must let pass.
func TestLedgerFinds(t *testing.T) {
	type call struct {
		gap    bool
		from   string
		number int
		offset uint64
	}
	publication := func(from string, number int) call { return call{from: from, number: number} }
	positioned := func(number int, offset uint64) call { return call{from: "a", number: number, offset: offset} }
	gap := call{gap: true}
	for _, c := range []struct {
		name  string
		calls []call
		bad   bool
	}{
		{"nothing", nil, false},
		{"all", []call{publication("a", 1), publication("b", 1), publication("a", 2), publication("b", 2)}, false},
		{"the end is missing", []call{publication("a", 1), publication("a", 2)}, false},
		{"twice", []call{publication("a", 1), publication("a", 1)}, true},
		{"out of order", []call{publication("a", 2), publication("a", 1)}, true},
		{"out of order behind a gap", []call{publication("a", 2), gap, publication("a", 1)}, true},
		{"a hole", []call{publication("a", 1), publication("a", 3)}, true},
		{"a hole in a gap", []call{publication("a", 1), gap, publication("a", 3)}, false},
		{"a hole behind the gap", []call{gap, publication("a", 1), publication("a", 3)}, true},
		{"a hole before the gap", []call{publication("a", 1), publication("a", 3), gap}, true},
		{"a hole in another's gap", []call{publication("a", 1), publication("b", 1), gap, publication("b", 3), publication("a", 3)}, false},
		{"a gap that only one was in", []call{publication("b", 1), gap, publication("a", 1), publication("b", 3), publication("a", 3)}, true},
		{"what was not taken is missing", []call{publication("a", 3), publication("a", 5)}, false},
		{"never published", []call{publication("a", 99)}, true},
		{"nobody's", []call{publication("c", 1)}, true},
		{"a stream", []call{positioned(1, 7), positioned(2, 8)}, false},
		{"a stream with a hole", []call{positioned(1, 7), positioned(2, 9)}, true},
		{"a stream with a gap", []call{positioned(1, 7), {gap: true, offset: 8}, positioned(2, 9)}, false},
		{"a stream with a gap at the wrong place", []call{positioned(1, 7), {gap: true, offset: 6}, positioned(2, 7)}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := NewLedger()
			// Publication 4 of each is not taken, the others are.
			l.sent["room"] = map[string][]bool{"a": {true, true, true, false, true}, "b": {true, true, true, false, true}}
			h := l.Hearing()
			for _, call := range c.calls {
				pos := fanout.Position{}
				if call.offset > 0 {
					pos = fanout.Position{Epoch: "e", Offset: call.offset}
				}
				if call.gap {
					h.HandleGap("room", pos)
				} else {
					h.HandlePublication(&fanout.Publication{Room: "room", From: call.from, Data: strconv.AppendInt(nil, int64(call.number), 10), Position: pos})
				}
			}
			if errs := h.Check("room"); (len(errs) > 0) != c.bad {
				t.Errorf("found %v", errs)
			}
		})
	}
}
