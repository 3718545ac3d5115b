package reactor

// The fan-out: one connection publishes, and every member of its room counts what it gets.

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// MostPublications is how many publications a fan-out may have: each is followed on its own, in 16 bytes.
const MostPublications = 1 << 24

// fanoutTask publishes on the first member of worker 0, and counts on all workers.
type fanoutTask struct {
	passive
	begin, deadline int64
	pace            schedule
	publisher       int32  // slot, -1 on other workers
	gen             uint32 // of its socket
	made, total     uint64
	warm            uint64 // publications before the window
	members         int
	order
	sent, received, wanted int64
	arrivals               Arrivals
	delay, sendDelay       *Delays
	last                   int64
}

func newFanoutTask(l *loop, t *Task) (*fanoutTask, error) {
	if t.Run == 0 || !(t.PerSecond > 0) || t.PerSecond > maxRate {
		return nil, fmt.Errorf("a fan-out of %v publications a second", t.PerSecond)
	}
	f := &fanoutTask{begin: t.Begin, deadline: t.Until + int64(t.Grace), publisher: -1, pace: newSchedule(t.Begin, t.PerSecond, 0, 1),
		delay: NewDelays(), sendDelay: NewDelays()}
	f.warm, f.total = f.pace.until(t.From), f.pace.until(t.Until)
	if f.total > MostPublications {
		return nil, fmt.Errorf("a fan-out of %d publications, %d are the most", f.total, MostPublications)
	}
	for _, slot := range l.roommates() {
		if l.setup.Worker == 0 && f.members == 0 {
			f.publisher, f.gen = slot, l.conns[slot].gen
		}
		f.members++
	}
	if l.setup.Worker == 0 && f.members == 0 {
		return nil, errors.New("no connection to publish on is open")
	}
	f.arrivals = make(Arrivals, f.total-f.warm)
	f.wanted = int64(f.members) * int64(f.total-f.warm)
	return f, nil
}

// roommates is those connections that are ready and in the room of connection 0: all, if rooms play no part in how
// the server is talked to.
func (l *loop) roommates() []int32 {
	all := l.members()
	if !l.names.used {
		return all
	}
	first := l.names.appendRoom(nil, 0)
	mates := all[:0]
	var name []byte
	for _, slot := range all {
		if name = l.names.appendRoom(name[:0], l.number(&l.conns[slot])); bytes.Equal(name, first) {
			mates = append(mates, slot)
		}
	}
	return mates
}

func (f *fanoutTask) due(l *loop, now int64) (int64, bool) {
	end := f.pace.at(f.total)
	if now >= f.deadline || f.received >= f.wanted && now >= end {
		return never, true
	}
	rest := f.deadline
	if now < end {
		rest = min(end, f.deadline)
	}
	if f.publisher < 0 || f.made == f.total {
		return rest, false
	}
	c := &l.conns[f.publisher]
	if c.gen != f.gen {
		return rest, false // gone, and with it what it had to publish
	}
	if at := f.pace.at(f.made); at > now {
		return min(at, rest), false
	}
	if !c.blocked() {
		f.publish(l, c)
	}
	if c.gen == f.gen && c.blocked() {
		c.owed = 1 // writable continues
		return rest, false
	}
	return now, false
}

// publish sends what is due as one write.
func (f *fanoutTask) publish(l *loop, c *conn) {
	out, first := l.outgoing[:0], f.made
	for f.made < f.total && f.pace.at(f.made) <= l.now && len(out) < outputBytes {
		out = l.appendMessage(out, c, uint32(f.made), f.pace.at(f.made))
		f.made++
	}
	l.outgoing = out
	if len(out) == 0 {
		return
	}
	l.send(c, out)
	written := Now()
	for k := max(first, f.warm); k < f.made; k++ {
		f.sent++
		f.sendDelay.record(written - f.pace.at(k))
	}
}

// writable looks at what came due while the publisher's socket took nothing.
func (f *fanoutTask) writable(l *loop, c *conn) {
	c.owed = 0
	l.soon()
}

func (f *fanoutTask) stamped(l *loop, c *conn, p *[stampSize]byte) {
	number := sequenceOf(p)
	if !f.check(c, number) {
		return
	}
	k := uint64(number) - f.warm
	if k >= uint64(len(f.arrivals)) {
		return // one of the warm-up wraps around and is far above
	}
	took := l.now - dueOf(p)
	f.delay.record(took)
	a := &f.arrivals[k]
	a.Count++
	a.Last = max(a.Last, time.Duration(took))
	f.last = l.now
	if f.received++; f.received == f.wanted {
		l.soon()
	}
}

func (f *fanoutTask) result(*loop) *Result {
	return &Result{Connections: f.members, Sent: f.sent, Received: f.received, Disorder: f.disorder, Duplicates: f.duplicates,
		Delay: f.delay, SendDelay: f.sendDelay, Arrivals: f.arrivals, Last: f.last}
}
