package engine

import (
	"iter"

	"github.com/roost-ws/roost/protocol"
)

// dialect says which protocol a connection speaks, compressed or not, and so which encoding of a publication it gets.
type dialect uint8

const (
	dialectV1         dialect = iota // roost.v1
	dialectRaw                       // /raw/{room}
	dialectV1Deflate                 // roost.v1 with permessage-deflate
	dialectRawDeflate                // /raw/{room} with permessage-deflate
	numDialects
)

// plain is the dialect without compression, deflates whether it has any.
func (d dialect) plain() dialect { return d % dialectV1Deflate }
func (d dialect) deflates() bool { return d >= dialectV1Deflate }

// Room is the members of one room, of one dialect, on one loop: those who get the same bytes. Loop only.
//
// A member is its connection's slot with two bits more, memberQuiet and the mark. A walk flips the room's mark and serves from
// the end every member that bears the old one: whoever joins meanwhile is given the new mark, and whoever is
// moved into the place of one who left has it already, so nobody is served twice or passed over.
type Room struct {
	name    string
	members []uint32
	walk    *walk // what is being told and gathered, nil in a quiet room
	rule    *RoomRule
	waiting []joinWait // who waits for the broker's confirmation
	// In a room that keeps history: the place of the last publication that was gathered here, without an Epoch while
	// that is not known; and who waits for a place in the stream, see recover.go.
	at       protocol.Position
	catching *catching
	id       uint32
	dialect  dialect
	presence presenceMode
	ready    bool // the broker has confirmed this room
	pending  bool // it will, or will refuse: until then the room stays, members or not
	active   bool // on Loop.active
	mark     uint32
}

const memberMark = 1 << 31

// joinWait is a member that has not been answered yet.
type joinWait struct {
	handle   handle
	id       []byte // the command's id, nil if it had none
	atOpen   bool   // asked for by the request: told when it is confirmed, since the welcome could not
	again    bool   // it is a member already, and stays one if it can't be answered
	hasSince bool
	since    protocol.Position
}

// keeps reports whether members of r are told where its stream stands: it has history, and the dialect a word for it.
func (r *Room) keeps() bool { return r.rule.History > 0 && r.dialect.plain() == dialectV1 }

// findRoom finds the room of a name, or nil. It does not allocate.
func (l *Loop) findRoom(d dialect, name []byte) *Room { return l.rooms[d][string(name)] }

// room finds or makes the room of a name. A new one is wanted from the broker; ready says whether its
// publications are flowing already.
func (l *Loop) room(d dialect, name []byte) (*Room, error) {
	if r := l.findRoom(d, name); r != nil {
		return r, nil
	}
	r := &Room{name: string(name), dialect: d, rule: l.server.rule(string(name))}
	r.presence = l.server.presenceOf(r.rule)
	if other := l.otherDialect(r); other != nil {
		r.ready, r.pending, r.name = other.ready, other.pending, other.name
	} else {
		ready, err := l.server.router.Want(r.name, l.index)
		if err != nil {
			return nil, err
		}
		r.ready, r.pending = ready, !ready
	}
	if n := len(l.roomFree); n > 0 {
		r.id = l.roomFree[n-1]
		l.roomFree = l.roomFree[:n-1]
	} else {
		r.id = uint32(len(l.roomTable))
		l.roomTable = append(l.roomTable, nil)
	}
	l.roomTable[r.id] = r
	if l.rooms[d] == nil {
		l.rooms[d] = make(map[string]*Room)
	}
	l.rooms[d][r.name] = r
	return r, nil
}

// otherDialect finds the room of the same name in another dialect: the router knows only names.
func (l *Loop) otherDialect(r *Room) *Room {
	for d := range l.rooms {
		if dialect(d) != r.dialect {
			if o := l.rooms[d][r.name]; o != nil {
				return o
			}
		}
	}
	return nil
}

// forgetRoom drops a room that has no members any more.
func (l *Loop) forgetRoom(r *Room) {
	delete(l.rooms[r.dialect], r.name)
	if len(l.rooms[r.dialect]) == 0 {
		l.rooms[r.dialect] = nil // a map never shrinks by itself
	}
	l.roomTable[r.id] = nil
	l.roomFree = append(l.roomFree, r.id)
	l.endWalk(r)
	if l.otherDialect(r) == nil {
		l.server.router.Drop(r.name, l.index)
	}
}

// join makes c a member; the caller has checked rights and limits and that it is none yet.
func (l *Loop) join(c *Conn, r *Room) {
	m := membership{room: r.id, pos: uint32(len(r.members))}
	r.members = append(r.members, c.slot|r.mark)
	if c.first.room == 0 {
		c.first = m
	} else {
		if c.more == nil {
			c.more = new([]membership)
		}
		*c.more = append(*c.more, m)
	}
	if r.walk != nil {
		r.walk.gathering.excuse(c.slot, 0, len(r.walk.gathering.bytes))
	}
	l.members++
	l.enterRoll(c, r)
}

// memberOf finds c's membership in r.
func (c *Conn) memberOf(r *Room) *membership {
	if c.first.room == r.id {
		return &c.first
	}
	if c.more != nil {
		for i := range *c.more {
			if (*c.more)[i].room == r.id {
				return &(*c.more)[i]
			}
		}
	}
	return nil
}

// memberships are c's, in no order. Nothing may be joined or left meanwhile.
func (c *Conn) memberships() iter.Seq[membership] {
	return func(yield func(membership) bool) {
		if c.first.room == 0 || !yield(c.first) || c.more == nil {
			return
		}
		for _, m := range *c.more {
			if !yield(m) {
				return
			}
		}
	}
}

// roomCount is how many rooms c is in.
func (c *Conn) roomCount() int {
	n := 0
	if c.first.room != 0 {
		n++
	}
	if c.more != nil {
		n += len(*c.more)
	}
	return n
}

// leave ends c's membership in r, and the room with its last member.
func (l *Loop) leave(c *Conn, r *Room) {
	m := c.memberOf(r)
	if m == nil {
		return
	}
	l.unseat(r, m.pos)
	if m == &c.first {
		c.first = membership{}
		if c.more != nil {
			last := len(*c.more) - 1
			c.first = (*c.more)[last]
			c.dropMore(last)
		}
	} else {
		last := len(*c.more) - 1
		*m = (*c.more)[last]
		c.dropMore(last)
	}
	if c.act != nil && c.act.slow != nil {
		c.act.slow.forget(r.id)
	}
}

func (c *Conn) dropMore(last int) {
	*c.more = (*c.more)[:last]
	if last == 0 {
		c.more = nil
	}
}

// unseat takes a member out of the room's list by moving the last one into its place.
func (l *Loop) unseat(r *Room, pos uint32) {
	last := len(r.members) - 1
	slot := r.members[pos] &^ memberFlags
	l.leaveRoll(l.conns.at(slot), r)
	if r.walk != nil {
		r.walk.leave(slot)
	}
	if k := r.catching; k != nil {
		if delete(k.pending, slot); len(k.pending) == 0 {
			r.catching = nil
		}
	}
	if int(pos) != last {
		moved := r.members[last]
		r.members[pos] = moved
		l.conns.at(moved &^ memberFlags).memberOf(r).pos = pos
	}
	r.members = r.members[:last]
	l.members--
	switch {
	case last == 0 && !r.pending:
		l.forgetRoom(r)
	case cap(r.members) > 64 && last < cap(r.members)/4:
		r.members = append(make([]uint32, 0, cap(r.members)/2), r.members...)
	}
}

// leaveAll ends every membership of c.
func (l *Loop) leaveAll(c *Conn) {
	for c.first.room != 0 {
		l.leave(c, l.roomTable[c.first.room])
	}
}

// roomReady hears that the broker has confirmed a room, or failed to.
func (l *Loop) roomReady(name string, err error) {
	for d := range l.rooms {
		r := l.rooms[d][name]
		if r == nil || !r.pending {
			continue
		}
		waiting := r.waiting
		r.waiting = nil
		r.ready, r.pending = err == nil, false
		if len(r.members) == 0 {
			l.forgetRoom(r)
			continue
		}
		for _, w := range waiting {
			c := l.conns.find(w.handle)
			if c == nil || c.phase != phaseOpen || c.memberOf(r) == nil {
				continue
			}
			if err != nil {
				l.fail(c, w.id, protocol.Unavailable, "the room can't be joined now", 0)
				l.leave(c, r)
				continue
			}
			if joined := (protocol.Reply{Type: protocol.Joined, Room: name}); r.keeps() {
				l.place(c, r, w)
			} else if joined.HasRecovered = w.hasSince; w.atOpen {
				l.reply(c, joined)
			} else {
				l.answerTo(c, w.id, joined)
			}
		}
	}
}

// gap tells the members of a room that they may have missed something; an empty name means every room.
func (l *Loop) gap(name string, pos protocol.Position) {
	for d := range l.rooms {
		if r := l.rooms[d][name]; r != nil {
			l.tellGap(r, pos)
		}
	}
}

// tellGap puts a gap into the room's stream, so that each member sees it between what came before and after.
// Where the broker can't say where the stream stands, it is told how far it was heard here: a client can ask for the rest.
func (l *Loop) tellGap(r *Room, pos protocol.Position) {
	if pos.Epoch == "" {
		pos = r.at
	}
	b, form := l.codecs[r.dialect].AppendPush(l.headroom(), &protocol.Push{Type: protocol.Gap, Room: r.name, Position: pos})
	if form == protocol.NoMessage {
		return
	}
	l.count.gaps++
	r.at = protocol.Position{}
	l.gather(r, l.arena.commit(seal(b, form)), entry{since: l.now})
}

// tellLost tells of what a full mailbox could not take.
func (l *Loop) tellLost(lost map[string]struct{}, everyRoom bool) {
	if everyRoom {
		for d := range l.rooms {
			for _, r := range l.rooms[d] {
				l.tellGap(r, protocol.Position{})
			}
		}
		return
	}
	for name := range lost {
		l.gap(name, protocol.Position{})
	}
}

// RoomRule is what a room's name decides.
type RoomRule struct {
	// Match is a pattern as in a token's claims.
	Match string
	// Publish says which clients may publish.
	Publish PublishPolicy
	// SlowConsumer is what happens to a member that can't keep up.
	SlowConsumer SlowConsumerPolicy
	// PresenceEvents tells the members who comes and who goes.
	PresenceEvents bool
	// History is how many publications the broker keeps of the room, 0 = none.
	History int
}

// PublishPolicy says which clients may publish in a room, beside their token's rights.
type PublishPolicy uint8

// Members may publish (the default), anyone with the right, or only the backend.
const (
	PublishMembers PublishPolicy = iota
	PublishAnyone
	PublishBackend
)
