package main

import (
	"context"
	"net"
	"net/http"
	"sync"

	"github.com/coder/websocket"
)

// coderServer is the library's internal/examples/echo and internal/examples/chat. As there, reading goes on in
// net/http's handler, whose buffers the library keeps using.
type coderServer struct {
	rooms *rooms[*coderSubscriber]
	queue int
}

// coderMessage is one publication, shared by all members.
type coderMessage struct {
	kind websocket.MessageType
	data []byte
}

// coderSubscriber is the example's subscriber.
type coderSubscriber struct {
	msgs chan *coderMessage

	mu     sync.Mutex
	conn   *websocket.Conn // nil before the handshake is answered
	closed bool
}

func serveCoder(ctx context.Context, l net.Listener, o options) error {
	// The example's queue has 16 places, for messages of people who type; here all engines have the same.
	s := &coderServer{rooms: newRooms[*coderSubscriber](), queue: o.queue}
	mux := newMux()
	mux.HandleFunc(echoPath, s.echo)
	mux.HandleFunc(roomPath, s.room)
	return serveHTTP(ctx, l, mux)
}

// accept answers the handshake. Compression is off by default.
func (s *coderServer) accept(w http.ResponseWriter, r *http.Request) (*websocket.Conn, error) {
	conn, err := websocket.Accept(w, r, nil)
	if err == nil {
		conn.SetReadLimit(messageBytes) // 32 KiB by default
	}
	return conn, err
}

// echo uses Read and Write rather than the example's Reader, Writer and io.Copy: those are for streams, would take
// a buffer of 32 KiB for each message and send two frames, while Write "will write the message in a single frame".
func (s *coderServer) echo(w http.ResponseWriter, r *http.Request) {
	conn, err := s.accept(w, r)
	if err != nil {
		return // it has been answered
	}
	defer conn.CloseNow()
	// Not the request's: "Use of r.Context() is not recommended" (README). Without a deadline the library needs no
	// timers.
	ctx := context.Background()
	for {
		kind, data, err := conn.Read(ctx)
		if err != nil {
			return
		}
		if err := conn.Write(ctx, kind, data); err != nil {
			return
		}
	}
}

// room is the example's subscribe. There publications come by another way and CloseRead reads what remains; here
// members publish, so the handler reads and a goroutine of its own writes.
func (s *coderServer) room(w http.ResponseWriter, r *http.Request) {
	sub := &coderSubscriber{msgs: make(chan *coderMessage, s.queue)}
	seat := s.rooms.join(r.PathValue("room"), sub)
	defer func() {
		if s.rooms.leave(seat) {
			close(sub.msgs)
		}
	}()
	conn, err := s.accept(w, r)
	if err != nil {
		return // it has been answered
	}
	defer conn.CloseNow()
	if !sub.attach(conn) {
		return
	}
	ctx := context.Background()
	go sub.write(ctx)
	for {
		kind, data, err := conn.Read(ctx)
		if err != nil {
			return
		}
		m := &coderMessage{kind, data}
		seat.room.publish(func(s *coderSubscriber) bool { return s.push(m) })
	}
}

// attach gives a subscriber its connection. It is false if the subscriber was already too slow.
func (s *coderSubscriber) attach(conn *websocket.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn = conn
	return !s.closed
}

// push is the loop body of the example's publish.
func (s *coderSubscriber) push(m *coderMessage) bool {
	select {
	case s.msgs <- m:
		return true
	default:
		close(s.msgs)
		go s.closeSlow()
		return false
	}
}

// closeSlow is the example's, but for CloseNow in place of Close, which would wait seconds for an answer from a
// client that reads nothing.
func (s *coderSubscriber) closeSlow() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.conn != nil {
		_ = s.conn.CloseNow()
	}
}

func (s *coderSubscriber) write(ctx context.Context) {
	for m := range s.msgs {
		if err := s.conn.Write(ctx, m.kind, m.data); err != nil {
			_ = s.conn.CloseNow()
			return
		}
	}
}
