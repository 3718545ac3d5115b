package reactor

// The churn: connections opened and closed, one after the other.

import (
	"slices"
	"time"
)

// churnPause is how long a place rests after an attempt that failed, so that a server that refuses everything is
// not asked as fast as a processor can.
const churnPause = 100 * time.Millisecond

// churnTask opens connections on places of its own and closes each once it is ready. Either all places are always in
// use, or turns begin at a rate as long as there is a free one.
type churnTask struct {
	passive
	begin, from, until int64
	first, to          int // slots
	closeFrame         bool
	free               []int32
	resting            agenda
	paced              bool
	pace               schedule
	made               uint64
	turns, attempts    int64
	failures           map[string]int
	delay              *Delays
}

func newChurnTask(l *loop, t *Task) *churnTask {
	c := &churnTask{begin: t.Begin, from: t.From, until: t.Until, closeFrame: t.CloseFrame, failures: map[string]int{}, delay: NewDelays()}
	c.first, c.to = l.slots(t.First, t.Last)
	l.reserve(c.to)
	for slot := c.first; slot < c.to; slot++ {
		c.free = append(c.free, int32(slot))
	}
	slices.Reverse(c.free) // the last one is taken first
	if t.PerSecond > 0 {
		c.paced, c.pace = true, newSchedule(t.Begin, t.PerSecond, l.setup.Worker, l.setup.Workers)
	}
	return c
}

func (t *churnTask) due(l *loop, now int64) (int64, bool) {
	if now >= t.until {
		return never, true
	}
	for t.resting.next() <= now {
		t.free = append(t.free, t.resting.take().slot)
	}
	next := min(t.until, t.resting.next())
	if now < t.begin {
		return t.begin, false
	}
	for begun := 0; len(t.free) > 0; begun++ {
		if t.paced {
			if at := t.pace.at(t.made); at > now {
				return min(next, at), false
			}
		}
		if begun == dialsAtOnce {
			return now, false
		}
		c := &l.conns[t.free[len(t.free)-1]]
		t.free = t.free[:len(t.free)-1]
		t.made++
		if t.measured(now) {
			t.attempts++
		}
		l.dial(c)
	}
	return next, false
}

func (t *churnTask) measured(now int64) bool { return now >= t.from && now < t.until }

func (t *churnTask) ready(l *loop, c *conn) {
	if t.measured(l.now) {
		t.delay.record(l.now - c.at)
	}
	if t.closeFrame {
		l.hangUp(c)
		return
	}
	l.release(c, true)
	t.turn(l, c)
}

func (t *churnTask) closed(l *loop, c *conn, cause string) {
	if cause == causeTimeout {
		t.failed(l, c, cause, 0)
		return
	}
	t.turn(l, c)
}

// turn counts one that is complete.
func (t *churnTask) turn(l *loop, c *conn) {
	if t.measured(l.now) {
		t.turns++
	}
	t.free = append(t.free, c.slot)
}

func (t *churnTask) failed(l *loop, c *conn, cause string, _ int64) {
	if t.measured(l.now) {
		t.failures[cause]++
	}
	t.resting.add(appointment{l.now + int64(churnPause), c.slot, c.gen})
}

func (t *churnTask) result(l *loop) *Result {
	for slot := t.first; slot < t.to; slot++ {
		l.release(&l.conns[slot], true) // turns that are under way are nobody's
	}
	return &Result{Done: t.turns, Attempts: t.attempts, Failures: t.failures, Delay: t.delay}
}
