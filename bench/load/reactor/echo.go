package reactor

// The echo: connections send messages that come back to them.

import (
	"errors"
	"fmt"
	"time"
)

// atOnce is how many messages, and outputBytes how many bytes for one connection, are sent before events are looked
// at again.
const (
	atOnce      = 256
	outputBytes = 64 << 10
)

// echoTask is either a closed loop, in which each connection has inFlight messages under way and sends one for each
// that comes back, or an open loop, in which messages are due at even spacing, whatever comes back.
//
// In an open loop message k of the worker belongs to connection k mod n and is that connection's k/n-th: when it is
// due need not be remembered, even if the socket takes it much later.
type echoTask struct {
	passive
	begin, from, until, deadline int64
	members                      []int32
	inFlight                     int
	pace                         schedule
	made, total                  uint64 // messages that have come due, and all there will be; members in a closed loop
	order
	sent, received, strays int64
	delay, sendDelay       *Delays
}

func newEchoTask(l *loop, t *Task) (*echoTask, error) {
	e := &echoTask{begin: t.Begin, from: t.From, until: t.Until, deadline: t.Until, members: l.members(), inFlight: t.InFlight,
		delay: NewDelays(), sendDelay: NewDelays()}
	switch {
	case t.Run == 0:
		return nil, errors.New("an echo without a run")
	case e.inFlight > 0:
		e.total = uint64(len(e.members))
	case t.PerSecond > 0 && t.PerSecond <= maxRate:
		e.deadline += int64(t.Grace)
		e.pace = newSchedule(t.Begin, t.PerSecond, l.setup.Worker, l.setup.Workers)
		if len(e.members) > 0 {
			e.total = e.pace.until(t.Until)
		}
	default:
		return nil, fmt.Errorf("an echo with %d messages in flight and %v a second", t.InFlight, t.PerSecond)
	}
	return e, nil
}

func (e *echoTask) closedLoop() bool { return e.inFlight > 0 }

func (e *echoTask) due(l *loop, now int64) (int64, bool) {
	if now < e.begin {
		return e.begin, false
	}
	for sent := 0; e.made < e.total; sent++ {
		if sent == atOnce {
			return now, false
		}
		owed := uint32(1)
		if e.closedLoop() {
			owed = uint32(e.inFlight)
		} else if at := e.pace.at(e.made); at > now {
			return at, false
		}
		c := &l.conns[e.members[e.made%uint64(len(e.members))]]
		e.made++
		if c.phase != ready {
			continue
		}
		if c.owed += owed; !c.blocked() {
			e.writable(l, c)
		}
	}
	if e.closedLoop() || now < e.until || e.received < e.sent {
		return e.deadlineAfter(now), now >= e.deadline
	}
	return never, true
}

// deadlineAfter is the next of the two ends.
func (e *echoTask) deadlineAfter(now int64) int64 {
	if now < e.until {
		return e.until
	}
	return e.deadline
}

// dueAt is when c's message of that number is due.
func (e *echoTask) dueAt(l *loop, c *conn, number uint32) int64 {
	if e.closedLoop() {
		return l.now // when the one before it came back
	}
	return e.pace.at(uint64(number)*uint64(len(e.members)) + uint64(c.place))
}

// measured says whether what is due at that time belongs to the window.
func (e *echoTask) measured(due int64) bool { return due >= e.from && due < e.until }

// writable sends what c owes.
func (e *echoTask) writable(l *loop, c *conn) {
	for c.owed > 0 && c.phase == ready && !c.blocked() {
		out, first := l.outgoing[:0], c.sent
		for ; c.owed > 0 && len(out) < outputBytes; c.owed-- {
			out = l.appendMessage(out, c, c.sent, e.dueAt(l, c, c.sent))
			c.sent++
		}
		l.outgoing = out
		dues, last := l.now, c.sent
		l.send(c, out)
		written := Now()
		for number := first; number != last; number++ {
			if !e.closedLoop() {
				dues = e.dueAt(l, c, number)
			}
			if e.measured(dues) {
				e.sent++
				e.sendDelay.record(written - dues)
			}
		}
	}
}

func (e *echoTask) stamped(l *loop, c *conn, p *[stampSize]byte) {
	s := stampOf(p)
	if int(s.sender) != l.number(c) {
		e.strays++
		return
	}
	if !e.check(c, s.sequence) {
		return
	}
	moment := s.due
	if e.closedLoop() {
		c.owed++
		moment = l.now
	}
	if !e.measured(moment) {
		return
	}
	e.received++
	e.delay.record(l.now - s.due)
	if e.received >= e.sent && e.made == e.total && !e.closedLoop() {
		l.soon()
	}
}

func (e *echoTask) result(*loop) *Result {
	return &Result{Connections: len(e.members), Sent: e.sent, Received: e.received, Disorder: e.disorder, Duplicates: e.duplicates,
		Strays: e.strays, Delay: e.delay, SendDelay: e.sendDelay}
}

// DefaultGrace is how long after a window its messages are waited for if nothing else is said.
const DefaultGrace = time.Second
