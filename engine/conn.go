package engine

import (
	"github.com/panjf2000/gnet/v2"

	"github.com/roost-ws/roost/engine/auth"
	"github.com/roost-ws/roost/engine/ratelimit"
	"github.com/roost-ws/roost/engine/wheel"
	"github.com/roost-ws/roost/protocol/frame"
	"github.com/roost-ws/roost/protocol/handshake"
)

// phase is where a connection stands; which deadlines count and what its bytes mean follow from it.
type phase uint8

const (
	phaseFree        phase = iota // the slot holds no connection
	phaseProxy                    // waiting for the whole PROXY header
	phaseHandshake                // waiting for the whole request head
	phaseAuthorizing              // head is here, its token is with the verifier pool
	phaseOpen                     // 101 is sent
	phaseClosing                  // our close frame is sent, the peer's is awaited
	phaseLinger                   // a refusal is sent, the peer's end is awaited
	phaseDead                     // the socket is closed at the end of this turn
)

// arriving are the phases before it is settled whether a connection is let in.
func (p phase) arriving() bool { return p >= phaseProxy && p <= phaseAuthorizing }

// flags of a connection.
const (
	flagBacklogged uint8 = 1 << iota // gnet holds bytes that the kernel would not take
	flagHangUp                       // close the socket once everything is written
	flagShutWrite                    // shut the writing side once everything is written
	flagExpiring                     // the client was told that its token is about to end
	flagDirty                        // on the loop's list of connections with something to write
	flagWatched                      // on the loop's list of slow clients
	flagPinged                       // a ping was sent and nothing has come since
	flagCounted                      // counted for the client's address
)

// Conn is one connection. Everything in it is touched on its loop's goroutine only; it lives by value in a slab
// of its loop, 104 bytes (a test pins that), and a slot is used again under another generation.
//
// Rare things are elsewhere: what only a busy connection needs is in act, memberships after the first in more.
type Conn struct {
	// From enrolment to the end.
	gc   gnet.Conn
	slot uint32 // where it lives in the loop's slabs; also its wheel id; never 0
	gen  uint32 // how many connections this slot has seen

	// From the handshake on. The token's end stands below, beside the other words of its size.
	user   string
	rights *auth.Rights

	// Open.
	act      *activity
	more     *[]membership
	first    membership
	timer    wheel.Entry
	expires  uint32 // Unix seconds, 0 = never
	lastSeen uint32 // tick of the last byte received
	nextPing uint32 // tick; before the open phase, the end of the handshake

	ip4     [4]byte // the client's address if it is IPv4; see slim.go
	phase   phase
	dialect dialect
	flags   uint8
	reason  CloseReason
}

// membership is a connection's place in one room of its loop.
type membership struct {
	room uint32 // index into Loop.roomTable, 0 = none
	pos  uint32 // index into Room.members
}

// activity is what a connection needs only while it is busy: partial input, waiting output, rate debts.
// The loop lends one when the first of these comes up and takes it back when all are gone, at the latest with
// the next heartbeat, so an idle connection holds none.
type activity struct {
	head    []byte             // handshake: the request head so far, and what came behind it; pooled
	request *handshake.Request // how far the head was understood

	in      *frame.Assembler // a partial frame or message
	inSince uint32           // tick at which that began

	postponed      []frame.Event // what waits for this connection's turn, payloads pooled; see postpone.go
	postponedBytes int

	out    []byte   // first piece to write at the end of this turn
	outs   [][]byte // the pieces after it
	queued int      // bytes in out and outs
	mixed  bool     // there is more among them than publications

	messages, controls, faults ratelimit.Bucket

	slow *slowState // what a client that can't keep up has missed
}

// busy lends c an activity.
func (c *Conn) busy(l *Loop) *activity {
	if c.act == nil {
		c.act = l.activities.get()
	}
	return c.act
}

// rest takes c's activity back if nothing in it matters any more at this time.
func (c *Conn) rest(l *Loop) {
	a := c.act
	if a == nil || a.head != nil || a.in != nil || len(a.postponed) > 0 || a.queued > 0 || a.slow != nil {
		return
	}
	if a.messages.Full(l.now) && a.controls.Full(l.now) && a.faults.Full(l.now) {
		c.act = nil
		l.putActivity(a)
	}
}

// putActivity empties a for the next connection; only the capacity of its list of pieces stays.
func (l *Loop) putActivity(a *activity) {
	*a = activity{outs: a.outs[:0]}
	l.activities.put(a)
}

// handle names this connection across goroutines; it goes stale with it.
func (c *Conn) handle(l *Loop) handle { return makeHandle(l.index, c.slot, c.gen) }

// tokenEnd is the exp of c's token in Unix seconds, 0 if it has none.
func (c *Conn) tokenEnd(l *Loop) int64 {
	if c.expires == 0 {
		return 0
	}
	return int64(c.expires) - l.server.leeway
}
