package load

// The results of several workers as one.

import (
	"time"

	"github.com/roost-ws/roost/bench/load/reactor"
)

// merge adds up results; it takes the first one for that.
func merge(results []*reactor.Result) *reactor.Result {
	sum := results[0]
	if sum.Failures == nil {
		sum.Failures = map[string]int{}
	}
	for _, r := range results[1:] {
		sum.Connections += r.Connections
		sum.Last = max(sum.Last, r.Last)
		sum.Done += r.Done
		sum.Attempts += r.Attempts
		addCounts(sum.Failures, r.Failures)
		sum.Pings += r.Pings
		sum.Sent += r.Sent
		sum.Received += r.Received
		sum.Disorder += r.Disorder
		sum.Duplicates += r.Duplicates
		sum.Strays += r.Strays
		sum.Delay = addDelays(sum.Delay, r.Delay)
		sum.SendDelay = addDelays(sum.SendDelay, r.SendDelay)
		for i, a := range r.Arrivals[:min(len(r.Arrivals), len(sum.Arrivals))] {
			sum.Arrivals[i].Count += a.Count
			sum.Arrivals[i].Last = max(sum.Arrivals[i].Last, a.Last)
		}
		for i, k := range r.Kinds[:min(len(r.Kinds), len(sum.Kinds))] {
			s := &sum.Kinds[i]
			s.Connections += k.Connections
			s.Sent += k.Sent
			s.Received += k.Received
			s.Ended += k.Ended
			s.Delay = addDelays(s.Delay, k.Delay)
		}
	}
	return sum
}

func addDelays(sum, more *reactor.Delays) *reactor.Delays {
	if sum == nil {
		return more
	}
	if more != nil {
		sum.Add(more)
	}
	return sum
}

// since is the time from begin to last; 0 if there was no last.
func since(begin, last int64) time.Duration {
	if last == 0 {
		return 0
	}
	return time.Duration(last - begin)
}
