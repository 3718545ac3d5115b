package redis

// What this node has said of one server's rooms and users, so that Close can take it out.

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// maxSaid bounds the rooms that are remembered, and the users. What is beyond is left to the TTL.
const maxSaid = 1 << 20

// presenceSaid remembers rooms for as long as what was said of them may hold, and users who are online.
type presenceSaid struct {
	begun      time.Time
	ttl        time.Duration
	rooms      map[string]saidRoom
	users      map[string]struct{}
	pruneAt    int // how many rooms are too many, so that some are looked through for old ones
	overlooked *atomic.Uint64
}

// saidRoom is when a room was last spoken of, in seconds since begun, and whether its members are told.
type saidRoom struct {
	at       uint32
	announce bool
}

func newPresenceSaid(ttl time.Duration, overlooked *atomic.Uint64) presenceSaid {
	return presenceSaid{begun: time.Now(), ttl: ttl, rooms: map[string]saidRoom{}, users: map[string]struct{}{},
		pruneAt: 1024, overlooked: overlooked}
}

// inRoom notes that somebody is in room.
func (s *presenceSaid) inRoom(room string, announce bool) {
	now := uint32(time.Since(s.begun) / time.Second)
	if _, known := s.rooms[room]; !known && len(s.rooms) >= s.pruneAt {
		s.prune(now)
		if len(s.rooms) >= maxSaid {
			s.overlooked.Add(1)
			return
		}
	}
	s.rooms[room] = saidRoom{at: now, announce: announce}
}

// prune drops rooms of which nothing can hold any more. It is called when the rooms have doubled, so that it costs each
// room little.
func (s *presenceSaid) prune(now uint32) {
	ttl := uint32(s.ttl/time.Second) + 1
	for room, said := range s.rooms {
		if now-said.at > ttl {
			delete(s.rooms, room)
		}
	}
	s.pruneAt = min(max(2*len(s.rooms), 1024), maxSaid)
}

// online notes whether user is online.
func (s *presenceSaid) online(user string, online bool) {
	if !online {
		delete(s.users, user)
		return
	}
	if len(s.users) >= maxSaid {
		if _, known := s.users[user]; !known {
			s.overlooked.Add(1)
			return
		}
	}
	s.users[user] = struct{}{}
}

// forget takes out of the server what was said, as far as it answers. A round that has no answer at all is the last.
func (l *presenceLane) forget() {
	if l.down {
		return
	}
	var round []*presenceCall
	for room, said := range l.said.rooms {
		round = append(round, &presenceCall{script: &presenceForgetScript, keys: l.p.roomKeys(room),
			args: append(l.p.roomArgs(room, said.announce), "0", strconv.Itoa(maxChanges))})
		if round = l.forgetFull(round, maxCommands); l.down {
			return
		}
	}
	for user := range l.said.users {
		round = append(round, &presenceCall{script: &releaseScript, keys: []string{l.p.layout.onlineKey(user)},
			args: []string{l.p.o.Node}})
		if round = l.forgetFull(round, maxCommands); l.down {
			return
		}
	}
	for len(round) > 0 && !l.down {
		round = l.forgetFull(round, 1)
	}
}

// forgetFull sends the round when it has at least enough commands, and returns what is left to do: rooms that have more,
// and what a broken connection left without an answer for the first time.
func (l *presenceLane) forgetFull(round []*presenceCall, enough int) []*presenceCall {
	if len(round) < enough {
		return round
	}
	ctx, cancel := context.WithTimeout(l.p.writing, l.p.o.Timeout)
	defer cancel()
	commands := make(rueidis.Commands, len(round))
	for i, c := range round {
		commands[i] = c.build(l.client.B())
	}
	var left []*presenceCall
	var wrong error
	answers := 0
	for i, result := range l.client.DoMulti(ctx, commands...) {
		c, err := round[i], result.Error()
		switch {
		case err == nil:
			answers++
			if cursor, err := result.ToString(); err == nil && c.script == &presenceForgetScript && cursor != "0" {
				c.args[len(c.args)-2] = cursor
				left = append(left, c)
			}
		case unknown(err):
			answers++
			c.whole = true
			left = append(left, c)
		case !isAnswer(err) && !c.again && ctx.Err() == nil:
			answers++ // there may be one next time
			c.again = true
			left = append(left, c)
		default:
			wrong = err
		}
	}
	if answers == 0 {
		l.reached(wrong)
	}
	return left
}
