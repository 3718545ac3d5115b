package main

import "sync"

// rooms are those that have members, of whatever type M an engine's members are. It is a mutex and a list, as in
// coder's chat example; gorilla's has a goroutine that owns a map, which would cost every publication a hop.
type rooms[M any] struct {
	mu     sync.Mutex
	byName map[string]*room[M]
}

type room[M any] struct {
	name string
	uses int // seats, and those about to be; guarded by rooms.mu

	mu    sync.Mutex
	seats []*seat[M]
}

// seat is a member's place in a room.
type seat[M any] struct {
	member M
	room   *room[M]
	at     int // in room.seats, -1 for one that was left or cut; guarded by room.mu
}

func newRooms[M any]() *rooms[M] { return &rooms[M]{byName: map[string]*room[M]{}} }

func (rs *rooms[M]) join(name string, member M) *seat[M] {
	rs.mu.Lock()
	r := rs.byName[name]
	if r == nil {
		r = &room[M]{name: name}
		rs.byName[name] = r
	}
	r.uses++
	rs.mu.Unlock()

	r.mu.Lock()
	defer r.mu.Unlock()
	s := &seat[M]{member: member, room: r, at: len(r.seats)}
	r.seats = append(r.seats, s)
	return s
}

// leave is called once for each join. It says whether the member was still there, not cut before. After it nothing
// is published to the member any more.
func (rs *rooms[M]) leave(s *seat[M]) bool {
	s.room.mu.Lock()
	there := s.at >= 0
	if there {
		s.room.remove(s)
	}
	s.room.mu.Unlock()

	rs.mu.Lock()
	defer rs.mu.Unlock()
	if s.room.uses--; s.room.uses == 0 {
		delete(rs.byName, s.room.name)
	}
	return there
}

// publish calls send for every member, one publication after the other, so that all members have them in the same
// order. A member for whom send is false is cut from the room. send must not wait for the member.
func (r *room[M]) publish(send func(M) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := 0; i < len(r.seats); {
		if s := r.seats[i]; send(s.member) {
			i++
		} else {
			r.remove(s)
		}
	}
}

// remove puts the last one in the place of s. r.mu is held.
func (r *room[M]) remove(s *seat[M]) {
	last := len(r.seats) - 1
	r.seats[s.at] = r.seats[last]
	r.seats[s.at].at = s.at
	r.seats[last] = nil
	r.seats = r.seats[:last]
	s.at = -1
}
