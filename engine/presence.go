package engine

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/protocol"
)

// Who is present is kept in one of two ways. A node that is alone counts the members of a room when somebody asks
// (roomcall.go): that costs nothing until then. Where other nodes have to know, or members are to be told who comes
// and goes, the node counts each user's connections in each room and tells fanout.Presence of the first and the last
// one, and from time to time of all that are still there, since what is not repeated is forgotten.

// presenceMode says how it is known who is in a room.
type presenceMode uint8

const (
	presenceCounted   presenceMode = iota // when somebody asks
	presenceKept                          // always
	presenceAnnounced                     // and the members are told
)

// tellers is how many locks the count of users' connections is spread over.
const tellers = 64

// roll counts, for each room and user of this node, the user's connections; and for each user all of them, under a
// room without a name. It holds hashes: names would cost several times as much, and of a million pairs two have the
// same hash once in forty thousand processes. Any goroutine.
type roll struct {
	presence fanout.Presence
	seed     maphash.Seed
	parts    [tellers]struct {
		mu     sync.Mutex
		counts map[uint64]uint32
	}
}

func newRoll(p fanout.Presence) *roll {
	r := &roll{presence: p, seed: maphash.MakeSeed()}
	for i := range r.parts {
		r.parts[i].counts = make(map[uint64]uint32)
	}
	return r
}

func (r *roll) key(room, user string) uint64 {
	var h maphash.Hash
	h.SetSeed(r.seed)
	_, _ = h.WriteString(room)
	_ = h.WriteByte(0)
	_, _ = h.WriteString(user)
	return h.Sum64()
}

// enter counts one more connection of user in room. The store is told under the lock, so that it hears of a user's
// coming and going in their order; it does not block.
func (r *roll) enter(room, user string, announce bool) {
	key := r.key(room, user)
	p := &r.parts[key%tellers]
	p.mu.Lock()
	defer p.mu.Unlock()
	p.counts[key]++
	switch first := p.counts[key] == 1; {
	case !first:
	case room == "":
		r.presence.Online(user)
	default:
		r.presence.Enter(room, user, announce)
	}
}

// leave counts one less.
func (r *roll) leave(room, user string, announce bool) {
	key := r.key(room, user)
	p := &r.parts[key%tellers]
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.counts[key]--; p.counts[key] > 0 {
		return
	}
	delete(p.counts, key)
	if room == "" {
		r.presence.Offline(user)
	} else {
		r.presence.Leave(room, user, announce)
	}
}

// count is how many connections user has in room.
func (r *roll) count(room, user string) int {
	key := r.key(room, user)
	p := &r.parts[key%tellers]
	p.mu.Lock()
	defer p.mu.Unlock()
	return int(p.counts[key])
}

// presenceOf is how it is known who is in a room of that rule.
func (s *Server) presenceOf(rule *RoomRule) presenceMode {
	switch {
	case s.roll == nil:
		return presenceCounted
	case rule.PresenceEvents:
		return presenceAnnounced
	case s.presenceShared:
		return presenceKept
	}
	return presenceCounted
}

// enterRoll and leaveRoll keep the roll of a room.
func (l *Loop) enterRoll(c *Conn, r *Room) {
	if r.presence != presenceCounted {
		l.server.roll.enter(r.name, c.user, r.presence == presenceAnnounced)
	}
}

func (l *Loop) leaveRoll(c *Conn, r *Room) {
	if r.presence != presenceCounted {
		l.server.roll.leave(r.name, c.user, r.presence == presenceAnnounced)
	}
}

const (
	// refreshesPerTTL is how often everybody is repeated in a TTL, so that one that gets lost does no harm.
	refreshesPerTTL = 3
	// refreshSteps is in how many steps that is done, so that neither a loop nor the store has a lot of it at once.
	refreshSteps = 400
)

// refreshPresence repeats who is present, step by step, again and again. On its own goroutine until quit closes.
func (s *Server) refreshPresence(ttl time.Duration) {
	every := time.NewTicker(max(ttl/refreshesPerTTL/refreshSteps, time.Millisecond))
	defer every.Stop()
	for {
		select {
		case <-s.quit:
			return
		case <-every.C:
		}
		for _, l := range s.loops {
			if l.population.Load() > 0 && !l.refreshing.Swap(true) {
				l.mailbox.post(letter{kind: letterCall, call: (*Loop).refreshStep})
			}
		}
	}
}

// refreshStep repeats the next members and the next connections.
func (l *Loop) refreshStep() {
	l.refreshing.Store(false)
	l.refreshRooms((l.members+len(l.roomTable))/refreshSteps + 1)
	if l.server.presenceShared {
		l.refreshUsers(l.conns.slots()/refreshSteps + 1)
	}
}

// refreshRooms repeats some members, from where the last step ended on; a room costs one of them.
func (l *Loop) refreshRooms(budget int) {
	for at := &l.repeated; budget > 0; budget-- {
		if at.room >= len(l.roomTable) {
			at.room, at.member = 0, 0
			return
		}
		r := l.roomTable[at.room]
		if r == nil || r.presence == presenceCounted || at.member >= len(r.members) {
			at.room, at.member = at.room+1, 0
			continue
		}
		to := min(at.member+budget, len(r.members))
		l.refreshRoom(r, at.member, to)
		budget -= to - at.member
		at.member = to
	}
}

// refreshCursor is how far a loop has come with repeating who is present.
type refreshCursor struct {
	room, member int
	slot         uint32
}

// refreshRoom repeats the users of some members of a room.
func (l *Loop) refreshRoom(r *Room, from, to int) {
	users := l.present[:0]
	for _, m := range r.members[from:to] {
		user := l.conns.at(m &^ memberFlags).user
		if n := len(users); n == 0 || users[n-1].User != user {
			users = append(users, fanout.PresentUser{User: user, Connections: l.server.roll.count(r.name, user)})
		}
	}
	l.server.roll.presence.Refresh(r.name, users, r.presence == presenceAnnounced)
	clear(users)
	l.present = users[:0]
}

// refreshUsers repeats the users of some connections, from where the last step ended on.
func (l *Loop) refreshUsers(budget uint32) {
	at := &l.repeated.slot
	for ; budget > 0; budget-- {
		if *at >= l.conns.slots() {
			*at = 0
			return
		}
		if c := l.conns.at(*at); c.phase == phaseOpen {
			l.server.roll.presence.Online(c.user)
		}
		*at++
	}
}

// mostPresent is how many users an answer names at most; total tells of the rest.
const mostPresent = 1000

// presenceCommand answers who is in a room. It takes the right to join, not membership.
func (l *Loop) presenceCommand(c *Conn, cmd *protocol.Command) {
	if code, detail, reason := l.mayRead(c, cmd.Room); code != protocol.NoError {
		l.refuseCommand(c, cmd.ID, code, detail, reason)
		return
	}
	name := string(cmd.Room)
	from, id := c.handle(l), string(cmd.ID)
	l.server.presentIn(name, mostPresent, func(users []fanout.PresentUser, total int, err error) {
		l.mailbox.post(letter{kind: letterCall, call: func(l *Loop) {
			c := l.conns.find(from)
			switch {
			case c == nil || c.phase != phaseOpen:
			case err != nil:
				l.fail(c, []byte(id), protocol.Unavailable, "presence can't be read now", retryHistory)
			default:
				answer := protocol.Reply{Type: protocol.PresenceList, Room: name, Total: total}
				for _, u := range users {
					answer.Users = append(answer.Users, protocol.PresentUser(u))
				}
				l.answerTo(c, []byte(id), answer)
			}
		}})
	})
}

// Present is who is in a room, over all nodes: at most limit users by name, and how many there are in all. Blocks; not
// for a loop's goroutine.
func (s *Server) Present(ctx context.Context, room string, limit int) (users []fanout.PresentUser, total int, err error) {
	type answer struct {
		users []fanout.PresentUser
		total int
		err   error
	}
	answered := make(chan answer, 1)
	s.presentIn(room, limit, func(users []fanout.PresentUser, total int, err error) { answered <- answer{users, total, err} })
	select {
	case a := <-answered:
		return a.users, a.total, a.err
	case <-ctx.Done():
		return nil, 0, ctx.Err()
	}
}

// presentIn asks who is in a room: fanout.Presence where it is kept, the loops where it is not. done is called once, on
// any goroutine, and must not block; the list is shared.
func (s *Server) presentIn(room string, limit int, done func([]fanout.PresentUser, int, error)) {
	if s.presenceOf(s.rule(room)) == presenceCounted {
		s.roomCall.ask(s, room, limit, done)
		return
	}
	s.roll.presence.Users(room, limit, done)
}
