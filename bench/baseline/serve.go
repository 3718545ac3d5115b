package baseline

import (
	"cmp"
	"context"
	"errors"
	"net"
	"sync"
	"time"
)

// Options are the bounds of a server. The zero value of each takes its default.
type Options struct {
	// MessageBytes is the most that a message may have, in all its fragments; a longer one closes the connection
	// with 1009. Default 64 KiB.
	MessageBytes int
	// QueueBytes is the most that may wait for a member of a room while a write is under way; a member for whom
	// more comes in is cut. Default 256 KiB.
	QueueBytes int
	// ReadBuffer is the size of the buffer that each connection reads through. Default 4096, which is the default
	// of the library and of bufio: smaller ones save memory, larger ones hold more messages for one read.
	ReadBuffer int
	// HandshakeTimeout is from accept to the answer. Default 5 s.
	HandshakeTimeout time.Duration
}

const (
	// headBytes bounds a request head.
	headBytes = 16 << 10
	// A failed accept, for lack of descriptors for example, is tried again after a pause that doubles.
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
)

// server is one call of Serve.
type server struct {
	Options
	rooms rooms

	mu      sync.Mutex
	conns   map[net.Conn]struct{}
	closing bool
	serving sync.WaitGroup
}

// Serve serves the connections of l until ctx ends, and blocks for as long. Then it closes l and all connections,
// waits for their goroutines and returns nil. It returns an error, after the same cleaning up, if l fails for good.
//
// The paths are /echo, where every message goes back to its sender; /raw/{room}, where it goes to every member of
// the room, the sender too; and /healthz. Others are 404.
func Serve(ctx context.Context, l net.Listener, o Options) error {
	s := &server{
		Options: Options{
			MessageBytes:     cmp.Or(o.MessageBytes, 64<<10),
			QueueBytes:       cmp.Or(o.QueueBytes, 256<<10),
			ReadBuffer:       cmp.Or(o.ReadBuffer, 4096),
			HandshakeTimeout: cmp.Or(o.HandshakeTimeout, 5*time.Second),
		},
		rooms: rooms{byName: map[string]*room{}},
		conns: map[net.Conn]struct{}{},
	}
	unhook := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer unhook()
	err := s.accept(ctx, l)
	_ = l.Close()
	s.closeAll()
	s.serving.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// accept takes connections until the listener is closed.
func (s *server) accept(ctx context.Context, l net.Listener) error {
	pause := minAcceptPause
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			pause = minAcceptPause
			s.add(conn)
		case errors.Is(err, net.ErrClosed):
			return err
		default:
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(pause):
				pause = min(2*pause, maxAcceptPause)
			}
		}
	}
}

// add gives a connection its goroutine, unless the server is closing.
func (s *server) add(conn net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing {
		_ = conn.Close()
		return
	}
	s.conns[conn] = struct{}{}
	s.serving.Add(1)
	go s.welcome(conn)
}

// remove is the end of a connection; its goroutine calls it last.
func (s *server) remove(conn net.Conn) {
	_ = conn.Close()
	s.mu.Lock()
	delete(s.conns, conn)
	s.mu.Unlock()
	s.serving.Done()
}

func (s *server) closeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closing = true
	for conn := range s.conns {
		_ = conn.Close()
	}
}
