package engine

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/roost-ws/roost/protocol"
)

// DrainOptions are the times of contract section 6.
type DrainOptions struct {
	// Grace is how long the balancer has to notice before the first client is told to go.
	Grace time.Duration
	// Window is over how long the closes are spread.
	Window time.Duration
	// ReconnectIn is when clients should come back, spread from there to half as much more.
	ReconnectIn time.Duration
}

// The states of a server.
const (
	stateServing int32 = iota
	stateDraining
)

// drainCursor is how far a loop's drain has come through its slots.
type drainCursor struct {
	started bool
	slot    uint32
	total   int // connections when it began
	told    int // of these, closed so far
}

// Drain ends the server's work in order: not ready and refusing at once, then after the grace every client is
// told to reconnect and closed, evenly over the window, and it returns when all are gone or the window and the
// close timeout are over. Blocks; call it from one goroutine. When hurry closes, everybody is told at once.
// Only Stop ends the loops.
func (s *Server) Drain(hurry <-chan struct{}) {
	if !s.state.CompareAndSwap(stateServing, stateDraining) {
		<-s.drained
		return
	}
	defer close(s.drained)
	if control := s.router.Control(); control != nil {
		control.Leave()
	}
	for _, l := range s.loops {
		s.tickAgain(l, 0)
	}
	s.log.Info("draining", "connections", s.Connections(), "grace", s.drain.Grace, "window", s.drain.Window)
	s.waitEmpty(s.drain.Grace, hurry)
	start := s.clock()
	s.drainUntil.Store(start + int64(s.drain.Window))
	s.drainFrom.Store(start)
	s.waitEmpty(s.drain.Window, hurry)
	s.drainUntil.Store(s.clock())
	s.waitEmpty(s.limits.CloseTimeout+2*time.Second, nil)
}

// waitEmpty waits for d, or less if no connection is left or hurry closes.
func (s *Server) waitEmpty(d time.Duration, hurry <-chan struct{}) {
	end := time.NewTimer(d)
	defer end.Stop()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for s.Connections() > 0 {
		select {
		case <-end.C:
			return
		case <-hurry:
			return
		case <-look.C:
		}
	}
}

// drainSome closes this tick's share of a loop's connections, so that at each moment of the window as many are
// gone as of the window has passed.
func (l *Loop) drainSome() {
	from := l.server.drainFrom.Load()
	if from == 0 {
		return
	}
	if !l.drain.started {
		l.drain.started, l.drain.total = true, l.conns.open
	}
	until, target := l.server.drainUntil.Load(), math.MaxInt
	if l.now < until {
		target = int(float64(l.drain.total) * float64(l.now-from) / float64(until-from))
	}
	for l.drain.told < target && l.drain.slot < l.conns.slots() {
		c := l.conns.at(l.drain.slot)
		l.drain.slot++
		if c.phase == phaseOpen {
			l.drain.told++
			base := max(int(l.server.drain.ReconnectIn.Seconds()), 1)
			l.sendAway(c, base+rand.IntN(base/2+1), CloseDraining)
		}
	}
	if l.drain.slot == l.conns.slots() && l.now >= until {
		l.drain.slot = 0 // handshakes that were under way have become connections
	}
}

// sendAway tells one client to reconnect after so many seconds and closes it, after what its rooms still owe it.
func (l *Loop) sendAway(c *Conn, after int, reason CloseReason) {
	for m := range c.memberships() {
		l.catchUp(c, l.roomTable[m.room])
	}
	l.tell(c, protocol.Push{Type: protocol.Shutdown, In: after})
	c.close(l, reason)
}
