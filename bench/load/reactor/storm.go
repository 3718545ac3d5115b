package reactor

// The storm: every connection is cut at once and comes back as clients do.

import (
	"math/rand/v2"
	"time"
)

// stormTask cuts all connections and opens them again. A client that is refused comes back after the time it is told,
// any other failure is tried again after a wait that doubles; each wait is stretched by a random part, so that those
// who failed together do not come back together.
type stormTask struct {
	passive
	begin, until  int64
	wasCut        bool
	cut           []int32
	next          int // of cut, for the first attempt
	paced         bool
	pace          schedule
	underWay      int
	again         agenda
	backoff, most time.Duration
	back          int
	attempts      int64
	failures      map[string]int
	delay         *Delays
	last          int64
}

func newStormTask(l *loop, t *Task) *stormTask {
	s := &stormTask{begin: t.Begin, until: t.Until, underWay: t.UnderWay, backoff: max(t.Backoff, time.Millisecond), most: t.MostBackoff,
		failures: map[string]int{}, delay: NewDelays()}
	if t.PerSecond > 0 {
		s.paced, s.pace = true, newSchedule(t.Begin, t.PerSecond, l.setup.Worker, l.setup.Workers)
	}
	return s
}

func (s *stormTask) due(l *loop, now int64) (int64, bool) {
	switch {
	case now < s.begin:
		return s.begin, false
	case !s.wasCut:
		s.wasCut = true
		for _, slot := range l.members() {
			l.release(&l.conns[slot], true)
			l.conns[slot].attempt = 0
			s.cut = append(s.cut, slot)
		}
	}
	if s.back == len(s.cut) || now >= s.until {
		return never, true
	}
	for begun := 0; begun < dialsAtOnce; begun++ {
		c, at := s.pick(l, now)
		if c == nil {
			return min(at, s.until), false
		}
		s.attempts++
		l.dial(c)
	}
	return now, false
}

// pick is the next connection to dial, or when there may be one.
func (s *stormTask) pick(l *loop, now int64) (*conn, int64) {
	if s.underWay > 0 && l.dialing >= s.underWay {
		return nil, never
	}
	at := s.again.next()
	if at <= now {
		return &l.conns[s.again.take().slot], 0
	}
	if s.next == len(s.cut) {
		return nil, at
	}
	if s.paced {
		if due := s.pace.at(uint64(s.next)); due > now {
			return nil, min(at, due)
		}
	}
	s.next++
	return &l.conns[s.cut[s.next-1]], 0
}

func (s *stormTask) ready(l *loop, _ *conn) {
	s.back++
	s.last = l.now
	s.delay.record(l.now - s.begin)
}

// ended is a connection that came back and was lost again.
func (s *stormTask) ended(l *loop, c *conn, cause string) {
	s.back--
	s.failed(l, c, cause, 0)
}

func (s *stormTask) failed(l *loop, c *conn, cause string, retryAfter int64) {
	s.failures[cause]++
	wait := time.Duration(retryAfter)
	if wait == 0 {
		wait = min(s.backoff<<min(c.attempt, 16), s.most)
	}
	wait += time.Duration(rand.Int64N(int64(wait)/2 + 1))
	s.again.add(appointment{l.now + int64(wait), c.slot, c.gen})
}

func (s *stormTask) result(l *loop) *Result {
	for _, slot := range s.cut {
		if c := &l.conns[slot]; c.phase != ready {
			l.release(c, true) // too late
		}
	}
	return &Result{Connections: len(s.cut), Done: int64(s.back), Attempts: s.attempts, Failures: s.failures, Delay: s.delay, Last: s.last}
}
