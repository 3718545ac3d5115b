package baseline

import (
	"errors"
	"net"
)

// echo sends every message back to its sender, from the goroutine that reads: one write for each message.
func (s *server) echo(conn net.Conn) {
	defer s.remove(conn)
	r := s.newReader(conn, func(frame []byte) { _, _ = conn.Write(frame) })
	for {
		err := r.echoOne(conn)
		if err == nil {
			continue
		}
		last := farewell(err)
		if last != nil {
			_, _ = conn.Write(last)
		}
		if last != nil || errors.Is(err, errAnswered) {
			linger(conn)
		}
		return
	}
}

func (r *reader) echoOne(conn net.Conn) error {
	h, err := r.wait()
	if err != nil {
		return err
	}
	space := spaces.Get().(*[]byte)
	defer spaces.Put(space)
	frame, grown, err := r.read(h, *space)
	*space = grown
	if err == nil {
		_, err = conn.Write(frame)
	}
	return err
}
