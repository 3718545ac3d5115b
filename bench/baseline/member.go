package baseline

import (
	"errors"
	"net"
	"time"
)

// member is a connection in a room.
type member struct {
	conn net.Conn
	out  outbox

	room  *room // set by rooms.join
	place int   // in room.members; guarded by room.mu
}

func newMember(conn net.Conn, queueBytes int) *member {
	m := &member{conn: conn}
	m.out.limit = queueBytes
	m.out.filled.L = &m.out.mu
	return m
}

// partingTimeout is how long a member that leaves may take to read what still waits for it.
const partingTimeout = 5 * time.Second

// attend publishes what a member sends, until it ends. Everything that is written to it, answers to pings too, is
// written by the goroutine that empties its queue.
func (s *server) attend(m *member) {
	defer s.remove(m.conn)
	written := make(chan struct{})
	go func() {
		defer close(written)
		m.write()
	}()
	r := s.newReader(m.conn, m.send)
	err := m.publishAll(r)
	s.rooms.leave(m)
	last := farewell(err)
	if last != nil {
		m.send(last)
	}
	m.out.finish()
	_ = m.conn.SetWriteDeadline(time.Now().Add(partingTimeout))
	<-written
	if last != nil || errors.Is(err, errAnswered) {
		linger(m.conn)
	}
}

// send queues a frame for this member alone.
func (m *member) send(frame []byte) {
	if !m.out.push(frame) {
		_ = m.conn.Close()
	}
}

// publishAll returns the error that reading ended with.
func (m *member) publishAll(r *reader) error {
	for {
		h, err := r.wait()
		if err != nil {
			return err
		}
		frame, _, err := r.read(h, nil)
		if err != nil {
			return err
		}
		m.room.publish(frame)
	}
}

// write empties the queue whenever there is something in it, all of it by one gathered write (writev), until the
// queue is finished or the connection fails.
func (m *member) write() {
	var batch [][]byte
	var gathered net.Buffers
	for {
		if batch = m.out.take(batch); batch == nil {
			return
		}
		var err error
		if len(batch) == 1 {
			_, err = m.conn.Write(batch[0])
		} else {
			gathered = batch // which WriteTo takes apart
			_, err = gathered.WriteTo(m.conn)
		}
		if err != nil {
			m.out.abandon()
			return
		}
		clear(batch)
		batch = batch[:0]
	}
}
