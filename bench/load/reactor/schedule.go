package reactor

// When things are due: at even spacing, or each at a time of its own.

// maxRate is the highest rate a second that can be asked for: above it the spacing would be lost in the clock.
const maxRate = 1e8

// schedule is moments at even spacing, taken in turn by all workers: worker w of n has each n-th, from w on.
type schedule struct {
	begin    int64
	interval float64 // nanoseconds
	first    uint64
	step     uint64
}

func newSchedule(begin int64, perSecond float64, worker, workers int) schedule {
	return schedule{begin, 1e9 / perSecond, uint64(worker), uint64(workers)}
}

// at is when this worker's k-th thing is due. It is computed from the beginning, so that no error adds up.
func (s *schedule) at(k uint64) int64 {
	return s.begin + int64(float64(s.first+k*s.step)*s.interval)
}

// until is how many of this worker's things are due before end.
func (s *schedule) until(end int64) uint64 {
	if end <= s.begin {
		return 0
	}
	k := uint64(float64(end-s.begin)/s.interval)/s.step + 2 // too many, but not by much
	for k > 0 && s.at(k-1) >= end {
		k--
	}
	return k
}

// appointment is a connection's next moment. It lapses when the connection has ended since: gen differs then.
type appointment struct {
	at   int64
	slot int32
	gen  uint32
}

// agenda is appointments by time: a binary heap, the earliest first. container/heap would allocate for each.
type agenda []appointment

// next is when the earliest one is, never if there is none.
func (a agenda) next() int64 {
	if len(a) == 0 {
		return never
	}
	return a[0].at
}

func (a *agenda) add(e appointment) {
	h := append(*a, e)
	*a = h
	i := len(h) - 1
	for i > 0 {
		up := (i - 1) / 2
		if h[up].at <= e.at {
			break
		}
		h[i] = h[up]
		i = up
	}
	h[i] = e
}

// take removes the earliest one; there must be one.
func (a *agenda) take() appointment {
	h := *a
	first, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	*a = h
	if len(h) == 0 {
		return first
	}
	i := 0
	for {
		down := 2*i + 1
		if down >= len(h) {
			break
		}
		if down+1 < len(h) && h[down+1].at < h[down].at {
			down++
		}
		if last.at <= h[down].at {
			break
		}
		h[i] = h[down]
		i = down
	}
	h[i] = last
	return first
}
