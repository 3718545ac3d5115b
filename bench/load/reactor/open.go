package reactor

// The tasks that open connections and hold them.

// dialsAtOnce is how many connects are begun before events are looked at again: about a millisecond's work.
const dialsAtOnce = 64

// openTask opens a range of connections, each once.
type openTask struct {
	passive
	begin      int64
	next, to   int // slots
	first      int
	paced      bool
	pace       schedule
	underWay   int // most at once, 0 for no bound
	settled    int
	opened     int64
	failures   map[string]int
	delay      *Delays
	lastSettle int64
}

func newOpenTask(l *loop, t *Task) *openTask {
	from, to := l.slots(t.First, t.Last)
	l.reserve(to)
	o := &openTask{begin: t.Begin, first: from, next: from, to: to, underWay: t.UnderWay, failures: map[string]int{}, delay: NewDelays()}
	if t.PerSecond > 0 {
		o.paced = true
		// Numbers are due in turn, so that all workers together keep the pace whatever the first number is.
		o.pace = newSchedule(t.Begin, t.PerSecond, from*l.setup.Workers+l.setup.Worker-t.First, l.setup.Workers)
	}
	return o
}

func (o *openTask) due(l *loop, now int64) (int64, bool) {
	if now < o.begin {
		return o.begin, false
	}
	for begun := 0; o.next < o.to; begun++ {
		if o.paced {
			if at := o.pace.at(uint64(o.next - o.first)); at > now {
				return at, false
			}
		}
		if o.underWay > 0 && l.dialing >= o.underWay {
			return never, false
		}
		if begun == dialsAtOnce {
			return now, false
		}
		c := &l.conns[o.next]
		o.next++
		l.dial(c)
	}
	return never, o.settled == o.to-o.first
}

func (o *openTask) ready(l *loop, c *conn) {
	o.opened++
	o.delay.record(l.now - c.at)
	o.settle(l)
}

func (o *openTask) failed(l *loop, _ *conn, cause string, _ int64) {
	o.failures[cause]++
	o.settle(l)
}

func (o *openTask) settle(l *loop) {
	o.settled++
	o.lastSettle = l.now
}

func (o *openTask) result(*loop) *Result {
	return &Result{Connections: o.to - o.first, Done: o.opened, Attempts: int64(o.next - o.first), Failures: o.failures,
		Delay: o.delay, Last: o.lastSettle}
}

// idleTask holds connections. That pings are answered is the loop's doing.
type idleTask struct {
	passive
	until           int64
	pings, received int64 // when it began
}

func (i *idleTask) due(_ *loop, now int64) (int64, bool) { return i.until, now >= i.until }

func (i *idleTask) result(l *loop) *Result {
	return &Result{Connections: l.open, Pings: l.pings - i.pings, Received: l.received - i.received}
}
