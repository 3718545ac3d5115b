package reactor

// A connection and its phases.

import (
	"golang.org/x/sys/unix"

	"github.com/roost-ws/roost/protocol/frame"
)

// phase is how far a connection has come.
type phase uint8

const (
	closed     phase = iota // no socket
	connecting              // until the socket can be written to
	shaking                 // until the answer to the upgrade request
	greeting                // until the server's greetings
	ready                   // what tasks work with
	closing                 // our close frame is out: until the server closes the socket
)

// conn is a connection, or a place for one. A swarm has a great many, so it is kept to one cache line.
type conn struct {
	fd    int32
	slot  int32  // place in loop.conns
	gen   uint32 // changes with each socket, so that events and appointments of an earlier one are known
	place uint32 // place among those that take part in the task
	at    int64  // when connecting began or, in a storm, when the last socket was cut
	asm   *frame.Assembler
	side  *side

	stampAt uint32 // where in a message the last stamp was
	next    uint32 // sequence number that should come next
	sent    uint32 // sequence number of the next message
	owed    uint32 // messages that are due and wait for the socket

	greetings uint16 // messages still to come before it is ready
	phase     phase
	kind      uint8 // in a profile
	attempt   uint8 // failures since it was last open
}

// side is what only some connections have for some time.
type side struct {
	head  []byte // of an answer that is not whole
	out   []byte // what the socket did not take
	taken int    // of out, since
}

// blocked says that what is sent now would wait behind something.
func (c *conn) blocked() bool { return c.side != nil && len(c.side.out) > 0 }

// number is the connection's number in the whole swarm.
func (l *loop) number(c *conn) int { return int(c.slot)*l.setup.Workers + l.setup.Worker }

// slots is the range of places for this worker's connections among the numbers first to last.
func (l *loop) slots(first, last int) (from, to int) {
	upTo := func(number int) int {
		return max(0, (number-l.setup.Worker+l.setup.Workers-1)/l.setup.Workers)
	}
	return upTo(first), upTo(last)
}

// reserve makes room for connections. It moves all of them, so no task may hold one across it.
func (l *loop) reserve(slots int) {
	for i := len(l.conns); i < slots; i++ {
		l.conns = append(l.conns, conn{fd: -1, slot: int32(i)})
	}
}

// members is the places of all connections that are ready.
func (l *loop) members() []int32 {
	var all []int32
	for i := range l.conns {
		if c := &l.conns[i]; c.phase == ready {
			c.place = uint32(len(all))
			c.next, c.sent, c.owed = 0, 0, 0
			all = append(all, c.slot)
		}
	}
	return all
}

// watch tells the kernel which events of c matter now. A slow reader is read at appointments instead.
func (l *loop) watch(c *conn, op int) {
	event := unix.EpollEvent{Fd: c.slot, Pad: int32(c.gen)}
	if c.phase == connecting || c.blocked() {
		event.Events |= unix.EPOLLOUT
	}
	if c.phase != connecting && !l.slow(c) {
		event.Events |= unix.EPOLLIN
	}
	if err := unix.EpollCtl(l.epoll, op, int(c.fd), &event); err != nil {
		l.end(c, causeOf(errnoOf(err)))
	}
}

// slow says whether c is one that reads at a pace.
func (l *loop) slow(c *conn) bool {
	return l.setup.Profile != nil && c.phase >= greeting && l.setup.Profile.Kinds[c.kind].ReadBytes > 0
}

// release gives back the socket and everything else that c has, by a reset if that is asked for, and leaves c
// without one. It tells no task.
func (l *loop) release(c *conn, reset bool) {
	switch c.phase {
	case closed:
		return
	case ready:
		l.open--
	case connecting, shaking, greeting:
		l.dialing--
	}
	if reset {
		// Closing sends RST and leaves no TIME_WAIT behind. It can only fail on what is no TCP socket.
		_ = unix.SetsockoptLinger(int(c.fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	unix.Close(int(c.fd)) // and takes it off epoll; there is nothing to be done about an error
	if c.asm != nil {
		c.asm.Release(&l.pool)
		l.assemblers = append(l.assemblers, c.asm)
		c.asm = nil
	}
	if c.side != nil {
		l.pool.Put(c.side.head)
		l.pool.Put(c.side.out)
		c.side = nil
	}
	c.fd, c.phase = -1, closed
	c.gen++
}

// end is the end of a connection that nobody here asked for, or of an attempt.
func (l *loop) end(c *conn, cause string) {
	was := c.phase
	l.release(c, true)
	switch was {
	case closed:
	case connecting, shaking, greeting:
		l.fail(c, cause, 0)
	case closing:
		l.task.closed(l, c, cause)
		l.soon()
	case ready:
		l.ended[cause]++
		l.task.ended(l, c, cause)
		l.soon()
	}
}

// fail tells the task that an attempt came to nothing; the socket is gone already.
func (l *loop) fail(c *conn, cause string, retryAfter int64) {
	l.failed++
	if c.attempt < 255 {
		c.attempt++
	}
	l.task.failed(l, c, cause, retryAfter)
	l.soon()
}
