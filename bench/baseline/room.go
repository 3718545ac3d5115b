package baseline

import "sync"

// rooms are those that have members. A member's place is kept in two steps, so that a walk through one large room
// never holds up who comes to another.
type rooms struct {
	mu     sync.Mutex
	byName map[string]*room
}

// room is its members. The order of publications is the order in which publishers got the lock, and is the same
// for all members.
type room struct {
	name string
	uses int // members, and those about to be; guarded by rooms.mu

	mu      sync.Mutex
	members []*member
}

// join makes m a member of the named room. Any goroutine.
func (rs *rooms) join(name string, m *member) {
	rs.mu.Lock()
	r := rs.byName[name]
	if r == nil {
		r = &room{name: name}
		rs.byName[name] = r
	}
	r.uses++
	rs.mu.Unlock()

	m.room = r
	r.mu.Lock()
	m.place = len(r.members)
	r.members = append(r.members, m)
	r.mu.Unlock()
}

// leave ends what join began; a room without members is forgotten. Any goroutine.
func (rs *rooms) leave(m *member) {
	r := m.room
	r.mu.Lock()
	last := len(r.members) - 1
	r.members[m.place] = r.members[last]
	r.members[m.place].place = m.place
	r.members[last] = nil
	r.members = r.members[:last]
	r.mu.Unlock()

	rs.mu.Lock()
	if r.uses--; r.uses == 0 {
		delete(rs.byName, r.name)
	}
	rs.mu.Unlock()
}

// publish queues a frame for every member, the publisher too, and cuts those who are too slow. It never waits for
// a member. The frame must not be changed any more. Any goroutine.
func (r *room) publish(frame []byte) {
	var slow []*member
	r.mu.Lock()
	for _, m := range r.members {
		if !m.out.push(frame) {
			slow = append(slow, m)
		}
	}
	r.mu.Unlock()
	for _, m := range slow {
		_ = m.conn.Close() // which wakes its goroutines
	}
}
