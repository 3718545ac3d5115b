package reactor

// The mix: connections of several kinds, each as its profile says.

import (
	"errors"
	"math/rand/v2"
)

// mostWaiting is how many bytes a connection of a mix may have waiting for its socket; beyond it the client falls
// silent until the server reads on.
const mostWaiting = 256 << 10

// mixTask has the connections of each kind send at their own rate. Slow reading is the loop's doing.
type mixTask struct {
	passive
	from, until, deadline int64
	interval              []int64 // of each kind, 0 if it only listens
	senders               agenda
	kinds                 []KindResult
}

func newMixTask(l *loop, t *Task) (*mixTask, error) {
	if l.setup.Profile == nil || t.Run == 0 {
		return nil, errors.New("a mix without a profile")
	}
	m := &mixTask{from: t.From, until: t.Until, deadline: t.Until + int64(t.Grace)}
	for _, k := range l.setup.Profile.Kinds {
		var interval int64
		if k.Rate > 0 {
			interval = max(1, int64(1e9/k.Rate))
		}
		m.interval = append(m.interval, interval)
		m.kinds = append(m.kinds, KindResult{Delay: NewDelays()})
	}
	for _, slot := range l.members() {
		c := &l.conns[slot]
		m.kinds[c.kind].Connections++
		if interval := m.interval[c.kind]; interval > 0 {
			// Clients do not speak in step: each begins somewhere in its interval.
			m.senders.add(appointment{t.Begin + rand.Int64N(interval), slot, c.gen})
		}
	}
	return m, nil
}

func (m *mixTask) due(l *loop, now int64) (int64, bool) {
	for sent := 0; m.senders.next() <= now; sent++ {
		if sent == atOnce {
			return now, false
		}
		a := m.senders.take()
		c := &l.conns[a.slot]
		if c.gen != a.gen || a.at >= m.until {
			continue
		}
		m.send(l, c, a.at)
		a.at += m.interval[c.kind]
		m.senders.add(a)
	}
	return min(m.senders.next(), m.deadline), now >= m.deadline
}

func (m *mixTask) send(l *loop, c *conn, due int64) {
	if c.blocked() && len(c.side.out)-c.side.taken > mostWaiting {
		return
	}
	if m.measured(due) {
		m.kinds[c.kind].Sent++
	}
	l.outgoing = l.appendMessage(l.outgoing[:0], c, c.sent, due)
	c.sent++
	l.send(c, l.outgoing)
}

func (m *mixTask) measured(due int64) bool { return due >= m.from && due < m.until }

func (m *mixTask) stamped(l *loop, c *conn, p *[stampSize]byte) {
	due := dueOf(p)
	if !m.measured(due) {
		return
	}
	k := &m.kinds[c.kind]
	k.Received++
	k.Delay.record(l.now - due)
}

func (m *mixTask) ended(_ *loop, c *conn, _ string) { m.kinds[c.kind].Ended++ }

func (m *mixTask) result(*loop) *Result { return &Result{Kinds: m.kinds} }
