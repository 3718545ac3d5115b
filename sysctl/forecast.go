// The forecast: how many connections a box has room for, and what ends them.

package sysctl

import (
	"cmp"
	"slices"
)

// Stop is a number of connections that a box does not get past, and why.
type Stop struct {
	Cause       Cause  `json:"cause"`
	Connections uint64 `json:"connections"`
}

// Forecast lists what ends the connections, the lowest number first: each cause once, those left out that can't be
// told or that have no limit. It takes some microseconds, so that a node may ask again with each sample:
//
//	sampler.Refresh(facts)
//	stops := sysctl.Forecast(facts, target)
//
// With Target.Held the numbers include the connections that are there, and with what has been measured of them
// they follow what they really take.
func Forecast(f *Facts, target Target) []Stop {
	t := target.withDefaults()
	lowest := map[Cause]uint64{}
	for i := range catalogue {
		k := &catalogue[i]
		if k.holds == nil {
			continue
		}
		room := k.holds(f, &t)
		if before, ok := lowest[k.Cause]; room.limited() && (!ok || room.Value < before) {
			lowest[k.Cause] = room.Value
		}
	}
	stops := []Stop{}
	for _, cause := range Causes() { // in their order, so that equal numbers always come out the same way
		if n, ok := lowest[cause]; ok {
			stops = append(stops, Stop{cause, n})
		}
	}
	slices.SortStableFunc(stops, func(a, b Stop) int { return cmp.Compare(a.Connections, b.Connections) })
	return stops
}
