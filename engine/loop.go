package engine

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/panjf2000/gnet/v2"

	"github.com/roost-ws/roost/engine/bufpool"
	"github.com/roost-ws/roost/engine/wheel"
	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/protocol"
	"github.com/roost-ws/roost/protocol/deflate"
	"github.com/roost-ws/roost/protocol/frame"
	"github.com/roost-ws/roost/protocol/handshake"
	"github.com/roost-ws/roost/protocol/raw"
	"github.com/roost-ws/roost/protocol/roostv1"
)

// Loop is one event loop and everything it owns: connections, rooms, timers, scratch memory and counters.
// All of it is touched on the loop's goroutine only; the mailbox is the door for everybody else.
//
// A loop works in turns: gnet calls with one connection's bytes or with a task, the turn does what that asks
// for, and ends by emptying the mailbox, walking rooms, writing what came together for each connection, and
// closing what has to be closed. So nothing is closed or freed in the middle of a walk over it.
type Loop struct {
	gnet.BuiltinEventEngine

	// Static after start.
	index  int
	server *Server
	limits *Limits
	client *gnet.Client
	events gnet.EventLoop // for Execute; known from the pacer's enrolment on
	pacer  *pacer
	own    owner

	mailbox mailbox

	// Loop only.
	conns      connTable
	wheel      *wheel.Wheel
	rooms      [numDialects]map[string]*Room
	roomTable  []*Room
	roomFree   []uint32
	members    int
	codecs     [numDialects]protocol.Codec
	bufs       *bufpool.Pool
	activities freelist[activity]
	assemblers freelist[frame.Assembler]
	requests   freelist[handshake.Request]
	walks      freelist[walk]
	acks       freelist[acknowledgement]
	spare      *frame.Assembler // reads connections that hold no partial frame
	frames     frame.Limits

	// Compression: one of each a loop, which take up memory once they are used.
	framesDeflate  frame.Limits
	inflater       deflate.Inflater
	deflater       *deflate.Deflater
	inflated       []byte
	deflated       []byte
	inflation      *inflation // of a message that takes several turns, nil if there is none
	slowInflater   deflate.Inflater
	slowlyInflated []byte
	effort         int64    // nanoseconds spent on it since the pacer's last byte
	waiting        []uint32 // connections that wait for their turn, the next one first; 0 for one that does no more

	// Scratch of one turn or less.
	request     handshake.Request
	command     protocol.Command
	publication fanout.Publication
	arena       arena
	joinBuf     []byte
	roomNames   []string
	idBuf       []byte
	answer      protocol.Reply
	notice      protocol.Push
	push        protocol.Push
	missed      []protocol.Push
	present     []fanout.PresentUser
	speaking    *Room // the one that publication is for, if the publisher is a member
	localAddr   *net.TCPAddr
	slimmer     slimmer
	pingFrame   []byte

	now       int64  // monotonic nanoseconds, read once a turn
	unix      int64  // wall clock in seconds, read once a tick; only tokens ask for it
	wallAhead int64  // nanoseconds from the monotonic clock to the wall clock, as of the last tick
	tick      uint32 // 100 ms since the server's start, from 1
	dirty     []uint32
	graves    []uint32
	evicted   []eviction
	landed    []landing
	active    []*Room // rooms with something to walk, first come first served
	turned    []*Room
	slice     int // members that a slice serves
	stepAsked bool
	trimAt    uint32 // tick
	slow      []handle
	held      int64 // bytes that slow clients of this loop let wait
	heldMost  int64
	drain     drainCursor
	opened    int                   // connections in their open phase
	ages      ages                  // when connections have lived long enough
	far       map[uint32]netip.Addr // addresses of clients by slot, where a proxy named one that has no place in Conn
	marks     map[uint32]marks      // of tokens with a sid or jti, by slot
	repeated  refreshCursor
	asked     bool // the connection at hand was sent a ping, and nothing had come from it since
	stirred   bool // something happened since the last tick that the next one has to look at soon
	count     counters

	stepTask, wakeTask gnet.Runnable
	fireTimer          func(slot uint32)
	windowTimer        *time.Timer

	// Any goroutine.
	stopped    atomic.Bool
	population atomic.Int64  // connections, enrolments under way included
	arriving   atomic.Int64  // those of them that have not been let in or refused yet
	tickDue    atomic.Uint32 // the tick that this loop wants next
	refreshing atomic.Bool   // a step of repeating who is present is under way
	tickSent   atomic.Int64  // monotonic nanoseconds of the tick that is under way, 0 = none
	tallied    tallied
}

// tickEvery is the wheel's grain. Deadlines fire up to this much late, never early; on a loop where nothing happens
// but heartbeats, those of open connections up to a second.
const tickEvery = 100 * time.Millisecond

// ticks turns a duration into ticks, rounding up.
func ticks(d time.Duration) uint32 { return uint32((d + tickEvery - 1) / tickEvery) }

// after is the tick at which d has certainly passed: the present one began up to a tick ago.
func (l *Loop) after(d time.Duration) uint32 { return l.tick + ticks(d) + 1 }

// OnOpen is gnet's word that a connection has been enrolled. On the loop.
func (l *Loop) OnOpen(gc gnet.Conn) ([]byte, gnet.Action) {
	l.own.claim()
	if p, ok := gc.Context().(*pacer); ok {
		p.opened(l, gc)
		return nil, gnet.None
	}
	a, ok := gc.Context().(*arrival)
	if !ok {
		return nil, gnet.Close
	}
	l.begin()
	l.stir()
	c := l.conns.take()
	if c == nil {
		l.finish(nil)
		return nil, gnet.Close // no more names for connections; opened stays false
	}
	a.opened = true
	c.open(l, gc)
	l.finish(c)
	if c.phase == phaseDead {
		return nil, gnet.Close
	}
	return nil, gnet.None
}

// OnTraffic is gnet's word that bytes have come. On the loop.
func (l *Loop) OnTraffic(gc gnet.Conn) gnet.Action {
	l.own.check()
	p, _ := gc.Next(-1)
	c, ok := gc.Context().(*Conn)
	if !ok {
		if p, ok := gc.Context().(*pacer); ok {
			p.rung(l)
		}
		return gnet.None
	}
	l.begin()
	l.readMail() // what others posted before these bytes came belongs before them
	c.trafficFenced(l, p)
	l.finish(c)
	if c.phase == phaseDead {
		return gnet.Close
	}
	return gnet.None
}

// OnClose is gnet's word that a socket is gone, by the peer, by an error or by us. On the loop, and perhaps in
// the middle of a turn: a write of ours that fails ends here.
func (l *Loop) OnClose(gc gnet.Conn, _ error) gnet.Action {
	if c, ok := gc.Context().(*Conn); ok {
		l.own.check()
		c.gone(l)
	}
	return gnet.None
}

// begin opens a turn.
func (l *Loop) begin() {
	l.mailbox.enter()
	l.now = l.server.clock()
	l.tick = l.server.tickAt(l.now)
}

// finish ends a turn that gnet began with one connection's event, which may be nil. Rooms with few members are
// served here, so an echo needs no second wake-up; larger ones wait for a step of their own.
func (l *Loop) finish(current *Conn) {
	l.readMail()
	l.walkSmall()
	l.flush()
	l.bury(current)
	l.mailbox.leave()
}

// newLoop makes loop number index of a server; start sets it going.
func newLoop(s *Server, index int) *Loop {
	l := &Loop{index: index, server: s, limits: &s.limits, slice: 100, roomTable: []*Room{nil}, tick: 1}
	l.readWall()
	l.wheel = wheel.New(&l.conns, wheelSlots, l.tick)
	l.bufs = bufpool.New(s.limits.FreeBufferBytes)
	v1 := roostv1.New()
	l.codecs = [numDialects]protocol.Codec{v1, raw.Codec{}, v1, raw.Codec{}}
	l.frames = frame.Limits{MessageBytes: s.limits.MessageBytes, Fragments: s.limits.Fragments}
	l.framesDeflate = l.frames
	l.framesDeflate.Deflate = true
	l.deflater = deflate.NewDeflater(s.compression.Threshold)
	l.spare = l.assemblers.get()
	l.heldMost = int64(s.limits.OutboundTotal / s.loopCount)
	l.stepTask = gnet.RunnableFunc(l.step)
	l.wakeTask = gnet.RunnableFunc(l.woken)
	l.fireTimer = l.fireFenced
	l.windowTimer = time.AfterFunc(time.Hour, func() { l.execute(l.stepTask) })
	l.windowTimer.Stop()
	l.mailbox.limit = s.limits.Mailbox
	l.mailbox.wake = func() { l.execute(l.wakeTask) }
	return l
}

// wheelSlots times tickEvery is 51 s: a heartbeat of the default length waits in its slot for one lap.
const wheelSlots = 512

// readBytes is the most that one read of a socket brings.
const readBytes = 64 << 10

// start brings the loop up and waits until it can be posted to.
func (l *Loop) start() (err error) {
	if l.pacer, err = newPacer(); err != nil {
		return err
	}
	l.client, err = gnet.NewClient(l,
		gnet.WithNumEventLoop(1),
		gnet.WithLogger(engineLog{l.server.log}),
		gnet.WithReadBufferCap(readBytes),
		gnet.WithWriteBufferCap(4<<10),
		gnet.WithTCPNoDelay(gnet.TCPDelay)) // the acceptor has set TCP_NODELAY already
	if err != nil {
		return fmt.Errorf("making event loop %d: %w", l.index, err)
	}
	if err := l.client.Start(); err != nil {
		return fmt.Errorf("starting event loop %d: %w", l.index, err)
	}
	if _, err := l.client.EnrollContext(l.pacer.enroll, l.pacer); err != nil {
		return fmt.Errorf("starting event loop %d: %w", l.index, err)
	}
	<-l.pacer.ready
	return nil
}

// stop ends the loop's goroutine and every connection still on it.
func (l *Loop) stop() error {
	l.stopped.Store(true)
	l.windowTimer.Stop()
	err := l.client.Stop()
	l.endInflation()
	l.pacer.close()
	return err
}

// execute queues a task behind the events of the current round, unless the loop has been stopped: gnet would write
// to its descriptor for wake-ups, which may be somebody else's by then. Any goroutine.
func (l *Loop) execute(task gnet.Runnable) {
	if !l.stopped.Load() {
		_ = l.events.Execute(context.Background(), task)
	}
}

// woken is the task that a post asks for. On the loop, after the events of that round.
func (l *Loop) woken(ctx context.Context) error {
	l.own.check()
	l.mailbox.woken()
	return l.step(ctx)
}

// step is a turn of its own: mail first, then one slice of the rooms that have something to say.
func (l *Loop) step(context.Context) error {
	l.begin()
	l.stepAsked = false
	l.readMail()
	l.walkSlice()
	l.flush()
	l.bury(nil)
	l.pace()
	l.mailbox.leave()
	return nil
}

// askStep asks for a step behind the events of this round.
func (l *Loop) askStep() {
	if !l.stepAsked {
		l.stepAsked = true
		l.execute(l.stepTask)
	}
}

// pace adapts the slice to the time it took, and sees to the next one.
func (l *Loop) pace() {
	if len(l.active) == 0 {
		return
	}
	switch took := time.Duration(l.server.clock() - l.now); {
	case took > sliceTime*5/4:
		l.slice = max(l.slice*3/4, minSlice)
	case took < sliceTime*3/4:
		l.slice = min(l.slice+l.slice/8+1, maxSlice)
	}
	at, ok := l.nextWalk()
	switch {
	case !ok:
	case at == 0:
		l.pacer.ring()
	default:
		l.windowTimer.Reset(time.Duration(at - l.server.clock()))
	}
}

// readMail empties the mailbox. Letters that make new letters are answered in the same turn, a bounded number
// of times: a loop that posts to itself for ever still serves its sockets.
func (l *Loop) readMail() {
	for range 4 {
		letters, lost, everyRoom := l.mailbox.take()
		if len(letters) == 0 && lost == nil {
			return
		}
		for i := range letters {
			l.readFenced(&letters[i])
		}
		l.mailbox.done(letters)
		l.tellLost(lost, everyRoom)
	}
}

func (l *Loop) read(x *letter) {
	switch x.kind {
	case letterDelivery:
		l.deliver(x.delivery)
	case letterReady:
		l.roomReady(x.room, x.err)
	case letterGap:
		l.gap(x.room, protocol.Position(x.position))
	case letterPublished:
		x.ack.answer(l)
	case letterAuthorized:
		l.authorized(x)
	case letterTick:
		l.advance(x.posted)
	case letterCall:
		x.call(l)
	}
}
