package engine

import "math/rand/v2"

// ages holds the ticks at which connections of this loop have lived long enough (Limits.MaxAge), by slot. It is
// nil, and costs nothing, unless there is such a limit.
//
// Connections stay where they were opened: after a deploy, or once a node was added, the load never levels out by
// itself. With a maximum age it does, a few connections at a time.
type ages []uint32

// ageSpread is the part of the maximum age over which ends are spread, so that connections that came together,
// after a storm, do not go together.
const ageSpread = 0.2

// begin gives the connection in a slot its end, unless there is no limit.
func (a *ages) begin(slot, now, most uint32) {
	if most == 0 {
		return
	}
	for uint32(len(*a)) <= slot {
		*a = append(*a, 0)
	}
	(*a)[slot] = now + most - uint32(rand.Float64()*ageSpread*float64(most))
}

// due is the tick at which the connection in a slot has lived long enough. ok is false if it never has.
func (a ages) due(slot uint32) (tick uint32, ok bool) {
	if uint32(len(a)) <= slot {
		return 0, false
	}
	return a[slot], true
}
