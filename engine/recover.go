package engine

import (
	"bytes"
	"context"
	"errors"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/protocol"
)

// In a room that keeps history a join is answered with the place where the stream stands, and with what was missed
// since a place that the client names. Where the loop knows neither, it asks the history and meanwhile keeps the
// member quiet: it has its seat, and no walk serves it. What the room hears in that time is held, so that the member
// is sent, in this order and nothing twice: the answer, what was held and is newer than the answer, the live stream.

// memberQuiet marks a member that waits for its place in the stream; it stands beside memberMark.
const memberQuiet = 1 << 30

// memberFlags are the bits of a member that are not its slot.
const memberFlags = memberMark | memberQuiet

// messageOverhead is about what an answer has around each publication: the bound on bytes of data in an answer also
// bounds their number.
const messageOverhead = 128

// catch is a member that waits for its place in the stream, with the joins that it will answer. Loop only.
type catch struct {
	handle   handle
	joins    []joinWait // usually one; a client may ask again before it was answered
	hasSince bool       // one of them named a place, and the page is what came since
	since    protocol.Position
}

// catching is what a room has while members wait for their place in its stream. Loop only.
type catching struct {
	pending map[uint32]*catch // by slot
	plain   []*catch          // those that wait for the position alone, which is asked for once
	bytes   []byte            // what the room heard meanwhile, frame by frame
	held    []heldFrame
	lost    bool // more than may wait for one client
}

// heldFrame is one frame in catching.bytes. An offset of 0 is no publication of the stream: news of members, a gap.
type heldFrame struct {
	offset uint64
	end    uint32
	sender uint32
}

// hold keeps a frame for those who will have caught up.
func (k *catching) hold(b []byte, offset uint64, sender uint32, most int) {
	if k.lost || len(k.bytes)+len(b) > most {
		k.lost = true
		return
	}
	k.bytes = append(k.bytes, b...)
	k.held = append(k.held, heldFrame{offset: offset, end: uint32(len(k.bytes)), sender: sender})
}

// mostJoins is how often a client may ask to join a room before it was answered.
const mostJoins = 8

// quieten keeps a member from hearing anything before it has been told where it stands.
func (l *Loop) quieten(c *Conn, r *Room) {
	if r.keeps() {
		r.members[c.memberOf(r).pos] |= memberQuiet
	}
}

// place answers a join in a room that keeps history, at once if the loop knows what to say.
func (l *Loop) place(c *Conn, r *Room, w joinWait) {
	if m := c.memberOf(r); r.members[m.pos]&memberQuiet == 0 {
		if r.at.Epoch != "" && (!w.hasSince || w.since == r.at) {
			l.placed(c, r, &w, r.at, true, nil)
			return
		}
		r.members[m.pos] |= memberQuiet
	}
	if r.catching == nil {
		r.catching = &catching{pending: map[uint32]*catch{}}
	}
	k := r.catching
	wait := k.pending[c.slot]
	switch {
	case wait == nil:
		wait = &catch{handle: c.handle(l)}
		k.pending[c.slot] = wait
	case len(wait.joins) >= mostJoins, wait.hasSince && w.hasSince && wait.since != w.since:
		l.refuseCommand(c, w.id, protocol.BadRequest, "a join of this room is under way", CloseTooManyErrors)
		return
	case wait.hasSince || !w.hasSince: // the page that is under way answers this one, too
		wait.joins = append(wait.joins, w)
		return
	}
	wait.joins = append(wait.joins, w)
	if w.hasSince {
		wait.hasSince, wait.since = true, w.since
		most := l.limits.OutboundBytes / 2
		l.askHistory(r.name, fanout.Query{Since: fanout.Position(w.since), HasSince: true, Limit: most / messageOverhead, Bytes: most},
			func(l *Loop, page *fanout.Page, err error) { l.caughtUp(r, wait, page, err) })
		return
	}
	if k.plain = append(k.plain, wait); len(k.plain) == 1 {
		l.askHistory(r.name, fanout.Query{}, func(l *Loop, page *fanout.Page, err error) {
			waiting := k.plain
			k.plain = nil
			for _, w := range waiting {
				if !w.hasSince { // it has asked for more since
					l.caughtUp(r, w, page, err)
				}
			}
		})
	}
}

// askHistory asks the broker and brings the answer back to the loop, behind every publication that it speaks of.
func (l *Loop) askHistory(room string, q fanout.Query, answered func(*Loop, *fanout.Page, error)) {
	l.server.router.History(room, q, func(page fanout.Page, err error) {
		l.mailbox.post(letter{kind: letterCall, call: func(l *Loop) { answered(l, &page, err) }})
	})
}

// caughtUp answers a member's joins with what the history said, and lets it hear the room from there on.
func (l *Loop) caughtUp(r *Room, w *catch, page *fanout.Page, err error) {
	k := r.catching
	if slot := w.handle.slot(); k == nil || k.pending[slot] != w {
		return // it has left
	} else if delete(k.pending, slot); len(k.pending) == 0 {
		r.catching = nil
	}
	c := l.conns.find(w.handle)
	if err != nil {
		for i := range w.joins {
			l.fail(c, w.joins[i].id, protocol.Unavailable, "the room can't be joined now", retryHistory)
		}
		if !w.joins[0].again {
			l.leave(c, r)
			return
		}
		l.unquieten(c, r, k, 0)
		return
	}
	pos := protocol.Position(page.Position)
	if r.at.Epoch == "" {
		r.at = pos
	}
	for i := range w.joins {
		l.placed(c, r, &w.joins[i], pos, page.Complete, page.Publications)
	}
	l.unquieten(c, r, k, pos.Offset)
}

// retryHistory is how many milliseconds a client waits before it asks again.
const retryHistory = 1000

// placed answers a join: where the stream stands, and what was missed of it.
func (l *Loop) placed(c *Conn, r *Room, w *joinWait, pos protocol.Position, complete bool, missed []fanout.Publication) {
	answer := protocol.Reply{Type: protocol.Joined, ID: w.id, Room: r.name, Position: pos}
	if w.hasSince {
		answer.HasRecovered, answer.Recovered = true, complete
		if complete {
			answer.Messages = l.pushes(missed)
		}
	}
	if w.id != nil || w.hasSince || w.atOpen {
		l.reply(c, answer)
	}
}

// unquieten sends c what its room heard meanwhile and the answer did not have, and seats it for what comes next.
func (l *Loop) unquieten(c *Conn, r *Room, k *catching, offset uint64) {
	from := uint32(0)
	for _, h := range k.held {
		if (h.offset == 0 || h.offset > offset) && (h.sender == 0 || h.sender != c.slot) {
			b := l.arena.commit(append(l.arena.reserve(int(h.end-from)), k.bytes[from:h.end]...))
			c.deliverTo(l, r, b, []uint32{uint32(len(b))}, 0)
		}
		from = h.end
	}
	if k.lost {
		l.tell(c, protocol.Push{Type: protocol.Gap, Room: r.name})
	}
	r.members[c.memberOf(r).pos] = c.slot | r.mark
	if r.walk != nil {
		r.walk.gathering.excuse(c.slot, 0, len(r.walk.gathering.bytes))
	}
}

// pushes are publications as an answer has them. They are good until the next call.
func (l *Loop) pushes(list []fanout.Publication) []protocol.Push {
	l.missed = l.missed[:0]
	for i := range list {
		l.missed = append(l.missed, PushOf(&list[i]))
	}
	return l.missed
}

// defaultHistory is how many publications a query gets that names no limit.
const defaultHistory = 100

// historyCommand answers a query of a room's past. It takes the right to join, not membership.
func (l *Loop) historyCommand(c *Conn, cmd *protocol.Command) {
	if code, detail, reason := l.mayRead(c, cmd.Room); code != protocol.NoError {
		l.refuseCommand(c, cmd.ID, code, detail, reason)
		return
	}
	name := string(cmd.Room)
	if l.server.rule(name).History <= 0 {
		l.fail(c, cmd.ID, protocol.Unavailable, "this room keeps no history", 0)
		return
	}
	limit := cmd.Limit
	if limit <= 0 {
		limit = defaultHistory
	}
	most := l.limits.OutboundBytes / 2
	q := fanout.Query{Since: fanout.Position(cmd.Since), HasSince: cmd.HasSince, Limit: min(limit, most/messageOverhead), Bytes: most}
	from, id := c.handle(l), bytes.Clone(cmd.ID)
	l.askHistory(name, q, func(l *Loop, page *fanout.Page, err error) {
		c := l.conns.find(from)
		switch {
		case c == nil || c.phase != phaseOpen:
		case errors.Is(err, fanout.ErrNoHistory):
			l.fail(c, id, protocol.Unavailable, "this room keeps no history", 0)
		case err != nil:
			l.fail(c, id, protocol.Unavailable, "the history can't be read now", retryHistory)
		case q.HasSince && !page.Follows:
			l.fail(c, id, protocol.Unrecoverable, "the history does not go back that far", 0)
		default:
			l.answerTo(c, id, protocol.Reply{Type: protocol.HistoryList, Room: name, Position: protocol.Position(page.Position),
				Messages: l.pushes(page.Publications)})
		}
	})
}

// History reads a part of a room's stream. Without a history the error is [fanout.ErrNoHistory]. Blocks; not for a
// loop's goroutine.
func (s *Server) History(ctx context.Context, room string, q fanout.Query) (page fanout.Page, err error) {
	type answer struct {
		page fanout.Page
		err  error
	}
	answered := make(chan answer, 1)
	s.router.History(room, q, func(page fanout.Page, err error) { answered <- answer{page, err} })
	select {
	case a := <-answered:
		return a.page, a.err
	case <-ctx.Done():
		return page, ctx.Err()
	}
}

// mayRead checks a query about a room.
func (l *Loop) mayRead(c *Conn, room []byte) (code protocol.ErrorCode, detail string, reason CloseReason) {
	switch {
	case !protocol.CheckRoom(room, l.limits.RoomBytes):
		return protocol.BadRoom, "a room's name is letters, digits and . _ ~ : -", CloseTooManyErrors
	case !c.rights.CanJoin(room):
		return protocol.Forbidden, "the token does not allow this room", CloseForbidden
	}
	return protocol.NoError, "", closeNone
}
