package engine

import (
	"bytes"
	"time"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/protocol"
)

// dispatch does what a command asks: permission, rate, action, answer. One switch for all dialects.
func (l *Loop) dispatch(c *Conn, cmd *protocol.Command) {
	if cmd.Type == protocol.Publish {
		l.publish(c, cmd)
		return
	}
	if ok, wait := c.busy(l).controls.Take(l.limits.Controls, l.now); !ok {
		l.limited(c, cmd.ID, limitedControls, wait)
		return
	}
	switch cmd.Type {
	case protocol.Join:
		l.joinCommand(c, cmd)
	case protocol.Leave:
		l.leaveCommand(c, cmd)
	case protocol.Ping:
		l.answerTo(c, cmd.ID, protocol.Reply{Type: protocol.Pong})
	case protocol.Refresh:
		l.refresh(c, cmd)
	case protocol.History:
		l.historyCommand(c, cmd)
	case protocol.Presence:
		l.presenceCommand(c, cmd)
	default:
		l.fail(c, cmd.ID, protocol.BadRequest, "unknown type", 0)
	}
}

// fail answers a command with an error. A dialect without answers sends nothing.
func (l *Loop) fail(c *Conn, id []byte, code protocol.ErrorCode, detail string, retryAfter int64) {
	l.count.errors[code]++
	l.reply(c, protocol.Reply{Type: protocol.Failed, ID: id, Code: code, Detail: detail, RetryAfter: retryAfter})
}

// answerTo answers a command that bore an id; without one a client wants to hear of failures only.
func (l *Loop) answerTo(c *Conn, id []byte, r protocol.Reply) {
	if id != nil {
		r.ID = id
		l.reply(c, r)
	}
}

// refuseCommand is fail for what a client should have known; it counts against it.
func (l *Loop) refuseCommand(c *Conn, id []byte, code protocol.ErrorCode, detail string, reason CloseReason) {
	l.fail(c, id, code, detail, 0)
	c.fault(l, reason)
}

// limited answers a command above its rate.
func (l *Loop) limited(c *Conn, id []byte, kind int, wait time.Duration) {
	l.count.rateLimited[kind]++
	l.fail(c, id, protocol.RateLimited, "too many of these", max(1, int64(wait/time.Millisecond)))
	c.fault(l, CloseRateLimited)
}

func (l *Loop) joinCommand(c *Conn, cmd *protocol.Command) {
	switch {
	case !protocol.CheckRoom(cmd.Room, l.limits.RoomBytes):
		l.refuseCommand(c, cmd.ID, protocol.BadRoom, "a room's name is letters, digits and . _ ~ : -", CloseTooManyErrors)
		return
	case !c.rights.CanJoin(cmd.Room):
		l.refuseCommand(c, cmd.ID, protocol.Forbidden, "the token does not allow this room", CloseForbidden)
		return
	}
	if r := l.findRoom(c.dialect, cmd.Room); r != nil && c.memberOf(r) != nil {
		l.catchUp(c, r) // what it is owed comes before the answer
		l.answerJoin(c, r, cmd, true)
		return
	}
	if c.roomCount() >= l.limits.RoomsPerConnection {
		l.refuseCommand(c, cmd.ID, protocol.TooManyRooms, "leave a room first", CloseTooManyErrors)
		return
	}
	r, err := l.room(c.dialect, cmd.Room)
	if err != nil {
		l.fail(c, cmd.ID, protocol.Unavailable, "the room can't be joined now", 1000)
		return
	}
	l.join(c, r)
	l.answerJoin(c, r, cmd, false)
}

// answerJoin says that c is a member, at once or when the broker has confirmed the room. From a room that keeps nothing
// nothing is recovered.
func (l *Loop) answerJoin(c *Conn, r *Room, cmd *protocol.Command, again bool) {
	if r.ready && !r.keeps() {
		l.answerTo(c, cmd.ID, protocol.Reply{Type: protocol.Joined, Room: r.name, HasRecovered: cmd.HasSince})
		return
	}
	w := joinWait{handle: c.handle(l), id: bytes.Clone(cmd.ID), again: again, hasSince: cmd.HasSince, since: cmd.Since}
	if r.ready {
		l.place(c, r, w)
		return
	}
	r.waiting = append(r.waiting, w)
	l.quieten(c, r)
}

func (l *Loop) leaveCommand(c *Conn, cmd *protocol.Command) {
	r := l.findRoom(c.dialect, cmd.Room)
	if r == nil || c.memberOf(r) == nil {
		l.refuseCommand(c, cmd.ID, protocol.NotJoined, "not a member of this room", CloseTooManyErrors)
		return
	}
	name := r.name
	l.catchUp(c, r) // it is owed what was published before it asked to leave
	l.leave(c, r)
	l.answerTo(c, cmd.ID, protocol.Reply{Type: protocol.Left, Room: name})
}

// publish takes a client's publication to the broker; it comes back by the same road as everybody else's.
func (l *Loop) publish(c *Conn, cmd *protocol.Command) {
	if ok, wait := c.takePublish(l); !ok {
		l.limited(c, cmd.ID, limitedMessages, wait)
		return
	}
	r, name, code, detail := l.mayPublish(c, cmd)
	if code != protocol.NoError {
		reason := CloseTooManyErrors
		if code == protocol.Forbidden {
			reason = CloseForbidden
		}
		l.refuseCommand(c, cmd.ID, code, detail, reason)
		return
	}
	p := &l.publication
	l.speaking = r
	*p = fanout.Publication{Room: name, Data: cmd.Data, Kind: fanout.Kind(cmd.Kind), From: c.user,
		Time: (l.now + l.wallAhead) / int64(time.Millisecond), Node: l.server.node}
	if cmd.NoEcho {
		p.Sender = uint64(c.handle(l))
	}
	l.count.publications[sourceClient]++
	if c.dialect.plain() == dialectRaw {
		l.server.router.Publish(p, nil) // a dialect without answers
		return
	}
	l.server.router.Publish(p, l.acknowledge(c, name, cmd.ID))
}

// takePublish takes a token for a publish from the connection's bucket or, with rate.scope user, the user's.
func (c *Conn) takePublish(l *Loop) (bool, time.Duration) {
	if l.limits.Messages.Unlimited() {
		return true, 0
	}
	if l.limits.SharedRate {
		return l.server.admission.takePublish(c.user, l.now)
	}
	return c.busy(l).messages.Take(l.limits.Messages, l.now)
}

// mayPublish finds the room, nil if it has no members here, and its name, and checks membership and rights.
func (l *Loop) mayPublish(c *Conn, cmd *protocol.Command) (r *Room, name string, code protocol.ErrorCode, detail string) {
	if c.dialect.plain() == dialectRaw {
		r = l.roomTable[c.first.room]
	} else {
		r = l.findRoom(c.dialect, cmd.Room)
	}
	var rule *RoomRule
	member := false
	switch {
	case r != nil:
		name, rule, member = r.name, r.rule, c.memberOf(r) != nil
	case !protocol.CheckRoom(cmd.Room, l.limits.RoomBytes):
		return nil, "", protocol.BadRoom, "a room's name is letters, digits and . _ ~ : -"
	default:
		name = string(cmd.Room)
		rule = l.server.rule(name)
	}
	switch {
	case rule.Publish == PublishBackend, !c.rights.CanPublishString(name):
		return nil, "", protocol.Forbidden, "the token does not allow publishing here"
	case rule.Publish == PublishMembers && !member:
		return nil, "", protocol.NotJoined, "join the room first"
	}
	return r, name, protocol.NoError, ""
}

// acknowledgement carries the broker's answer to one publish back to its connection's loop.
type acknowledgement struct {
	loop   *Loop
	handle handle
	room   string
	began  int64 // 0 where the broker answers at once
	id     [maxID]byte
	idLen  int
	pos    fanout.Position
	err    error
}

// maxID is the longest id of a command that the dialects let through, quotes included.
const maxID = 64

func (l *Loop) acknowledge(c *Conn, room string, id []byte) *acknowledgement {
	a := l.acks.get()
	a.loop, a.handle, a.room, a.began = l, c.handle(l), room, 0
	if l.server.shared {
		a.began = l.now
	}
	a.idLen = copy(a.id[:], id)
	return a
}

// Published is the broker's completion. Any goroutine.
func (a *acknowledgement) Published(pos fanout.Position, err error) {
	a.pos, a.err = pos, err
	a.loop.mailbox.post(letter{kind: letterPublished, ack: a})
}

// answer tells the publisher, if it is still there. One that gave no id hears of failures only.
func (a *acknowledgement) answer(l *Loop) {
	if a.began > 0 {
		l.server.metrics.brokerDelay.Update(float64(l.now-a.began) / 1e9)
	}
	if c := l.conns.find(a.handle); c != nil && c.phase == phaseOpen {
		var id []byte
		if a.idLen > 0 {
			id = a.id[:a.idLen]
		}
		switch {
		case a.err != nil:
			l.fail(c, id, protocol.Unavailable, "not published, try again", 1000)
		default:
			l.answerTo(c, id, protocol.Reply{Type: protocol.Published, Room: a.room, Position: protocol.Position(a.pos)})
		}
	}
	a.room, a.err, a.pos = "", nil, fanout.Position{}
	l.acks.put(a)
}
