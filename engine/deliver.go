package engine

import (
	"sync"
	"sync/atomic"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/protocol"
	"github.com/roost-ws/roost/protocol/raw"
	"github.com/roost-ws/roost/protocol/roostv1"
)

// encoders write publications for each dialect on whatever goroutine publishes.
var encoders = [dialectV1Deflate]protocol.Codec{dialectV1: roostv1.New(), dialectRaw: raw.Codec{}}

// delivery is one publication on its way to the loops of this node: the payload copied once, and each dialect's
// frame made once, by the first loop that has such a member. Loops share it and the last one gives it back.
type delivery struct {
	refs   atomic.Int32
	room   string
	push   protocol.Push
	sender handle // must not hear it; 0 for none
	since  int64  // monotonic nanoseconds when this node took it
	data   []byte // backs push.Data

	mu     sync.Mutex
	made   [numDialects]bool
	frames [numDialects][]byte
	form   protocol.Form
}

// pushTypes are what clients are told by kind of publication.
var pushTypes = [...]protocol.PushType{fanout.JSON: protocol.Message, fanout.Text: protocol.Message, fanout.Binary: protocol.Message,
	fanout.MemberJoined: protocol.MemberJoined, fanout.MemberLeft: protocol.MemberLeft}

// PushOf is what clients are told of a publication. Its Data is the publication's. Any goroutine.
func PushOf(p *fanout.Publication) protocol.Push {
	if p.Kind >= fanout.MemberJoined {
		return protocol.Push{Type: pushTypes[p.Kind], Room: p.Room, User: p.From}
	}
	return protocol.Push{Type: pushTypes[p.Kind], Room: p.Room, Data: p.Data, Kind: protocol.Kind(p.Kind), From: p.From,
		Position: protocol.Position(p.Position), Time: p.Time}
}

// maxKeptFrame bounds the memory that an unused delivery keeps for the next one.
const maxKeptFrame = 16 << 10

var deliveries = sync.Pool{New: func() any { return new(delivery) }}

// Deliver hands a publication to the loops in the set; it is part of fanout.Local. Any goroutine; never blocks,
// and keeps nothing of p.
func (s *Server) Deliver(loops fanout.LoopSet, p *fanout.Publication) {
	// With a Position the mailbox decides about the order: what another loop published a moment ago may lie in it.
	if l := s.publishing(p); l != nil && loops.Has(l.index) && p.Position.Offset == 0 {
		l.deliverHere(p)
		if loops.Remove(l.index); loops.Len() == 0 {
			return
		}
	}
	d := deliveries.Get().(*delivery)
	d.room = p.Room
	d.data = append(d.data[:0], p.Data...)
	d.push = PushOf(p)
	d.push.Data = d.data
	d.sender = 0
	if p.Sender != 0 && p.Node == s.node {
		d.sender = handle(p.Sender)
	}
	d.since = s.clock()
	d.refs.Store(int32(loops.Len()))
	for i := loops.Next(-1); i >= 0; i = loops.Next(i) {
		s.loops[i].mailbox.deliver(d)
	}
}

// publishing is the loop that is publishing p at this moment, and on whose goroutine this is therefore: a broker that
// delivers within Publish hands on the very publication it was given. Nil if p came from anywhere else.
func (s *Server) publishing(p *fanout.Publication) *Loop {
	for _, l := range s.loops {
		if p == &l.publication {
			return l
		}
	}
	return nil
}

// deliverHere is deliver for a publication of this very turn. It needs no mailbox, no copy of the payload and no
// second look at the clock, which are most of what a message costs besides its system calls.
func (l *Loop) deliverHere(p *fanout.Publication) {
	l.push = PushOf(p)
	for i := range l.rooms {
		r := l.speaking
		if r == nil || r.dialect != dialect(i) {
			if len(l.rooms[i]) == 0 {
				continue
			}
			r = l.rooms[i][p.Room]
		}
		if r == nil {
			continue
		}
		if b, form := l.codecs[i].AppendPush(l.headroom(), &l.push); form != protocol.NoMessage {
			l.gather(r, l.finished(dialect(i), b, form), entry{since: l.now, sender: handle(p.Sender).slot()})
		}
	}
}

// frame is the publication in one dialect, ready to be sent; empty if the dialect has no word for it. The first loop
// that asks makes it; others wait, for some microseconds, or some hundred where a large one is compressed.
func (d *delivery) frame(to dialect, l *Loop) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	if plain := to.plain(); !d.made[plain] {
		d.made[plain] = true
		buf := append(d.frames[plain][:0], make([]byte, headroomBytes)...)
		b, form := encoders[plain].AppendPush(buf, &d.push)
		d.frames[plain], d.form = b, form
		if form == protocol.NoMessage {
			d.frames[plain] = b[:0]
		} else {
			seal(b, form)
		}
	}
	if to.deflates() && !d.made[to] {
		d.made[to] = true
		d.frames[to] = l.deflate(d.frames[to][:0], d.frames[to.plain()], d.form)
	}
	if len(d.frames[to]) == 0 {
		to = to.plain() // better sent as it is
	}
	if len(d.frames[to]) == 0 {
		return nil
	}
	return sealed(d.frames[to])
}

// release gives up one loop's share.
func (d *delivery) release() {
	if d.refs.Add(-1) > 0 {
		return
	}
	d.made = [numDialects]bool{}
	for i := range d.frames {
		if cap(d.frames[i]) > maxKeptFrame {
			d.frames[i] = nil
		}
	}
	if cap(d.data) > maxKeptFrame {
		d.data = nil
	}
	d.push, d.room = protocol.Push{}, ""
	deliveries.Put(d)
}

// deliver gathers a publication for the members on this loop, whichever dialect they speak.
func (l *Loop) deliver(d *delivery) {
	l.stir()
	for i := range l.rooms {
		r := l.rooms[i][d.room]
		if r == nil {
			continue
		}
		if b := d.frame(dialect(i), l); len(b) > 0 {
			sender := uint32(0)
			if d.sender != 0 && d.sender.loop() == l.index && l.conns.find(d.sender) != nil {
				sender = d.sender.slot()
			}
			l.gather(r, b, entry{since: d.since, sender: sender, at: d.push.Position})
		}
	}
	d.release()
}

// Ready is the router's word that a room is confirmed, or can't be had; it is part of fanout.Local. Any goroutine.
func (s *Server) Ready(room string, loop int, err error) {
	s.loops[loop].mailbox.post(letter{kind: letterReady, room: room, err: err})
}

// Gap tells members on these loops that publications may have been missed; it is part of fanout.Local. Any
// goroutine.
func (s *Server) Gap(loops fanout.LoopSet, room string, pos fanout.Position) {
	for i := loops.Next(-1); i >= 0; i = loops.Next(i) {
		s.loops[i].mailbox.post(letter{kind: letterGap, room: room, position: pos})
	}
}
