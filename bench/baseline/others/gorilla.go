package main

import (
	"context"
	"net"
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

// gorillaServer is the library's examples/echo and examples/chat: a goroutine that reads and, in a room, one that
// writes what comes through a channel.
type gorillaServer struct {
	upgrader websocket.Upgrader
	rooms    *rooms[*gorillaClient]
	queue    int
}

// gorillaClient is the example's Client.
type gorillaClient struct {
	conn *websocket.Conn
	// The example's messages are []byte. A PreparedMessage, "to efficiently send a message payload to multiple
	// connections" (its documentation), is framed once for all members.
	send chan *websocket.PreparedMessage
}

func serveGorilla(ctx context.Context, l net.Listener, o options) error {
	s := &gorillaServer{
		upgrader: websocket.Upgrader{
			// The sizes of the overview in doc.go and of examples/chat.
			ReadBufferSize:  1024,
			WriteBufferSize: 1024,
			// "A write buffer pool is useful when the application has a modest number writes over a large number
			// of connections" (doc.go, Buffers): an idle connection holds no write buffer.
			WriteBufferPool: &sync.Pool{},
		},
		rooms: newRooms[*gorillaClient](),
		queue: o.queue,
	}
	mux := newMux()
	mux.HandleFunc(echoPath, s.echo)
	mux.HandleFunc(roomPath, s.room)
	return serveHTTP(ctx, l, mux)
}

// echo is the loop in the overview of doc.go.
func (s *gorillaServer) echo(w http.ResponseWriter, r *http.Request) {
	conn, err := s.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // it has been answered
	}
	conn.SetReadLimit(messageBytes)
	// "Allow collection of memory referenced by the caller by doing all work in new goroutines"
	// (examples/chat/client.go).
	go func() {
		defer conn.Close()
		for {
			kind, message, err := conn.ReadMessage()
			if err != nil {
				return
			}
			if err := conn.WriteMessage(kind, message); err != nil {
				return
			}
		}
	}()
}

func (s *gorillaServer) room(w http.ResponseWriter, r *http.Request) {
	conn, err := s.upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // it has been answered
	}
	conn.SetReadLimit(messageBytes)
	c := &gorillaClient{conn: conn, send: make(chan *websocket.PreparedMessage, s.queue)}
	seat := s.rooms.join(r.PathValue("room"), c)
	go c.writePump()
	go s.readPump(seat)
}

func (s *gorillaServer) readPump(seat *seat[*gorillaClient]) {
	c := seat.member
	defer func() {
		if s.rooms.leave(seat) {
			close(c.send)
		}
		c.conn.Close()
	}()
	for {
		kind, message, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		prepared, err := websocket.NewPreparedMessage(kind, message)
		if err != nil {
			return
		}
		seat.room.publish(func(c *gorillaClient) bool { return c.push(prepared) })
	}
}

// push is what the example's hub does with each client. A writer that is blocked would not notice the closed
// channel, and the example's deadline for writes, 10 s, is left out here, so the connection is closed too.
func (c *gorillaClient) push(m *websocket.PreparedMessage) bool {
	select {
	case c.send <- m:
		return true
	default:
		close(c.send)
		c.conn.Close()
		return false
	}
}

// writePump writes each message as one. The example joins those that wait into a single message with newlines
// between them, which clients would have to take apart again.
func (c *gorillaClient) writePump() {
	defer c.conn.Close()
	for m := range c.send {
		if err := c.conn.WritePreparedMessage(m); err != nil {
			return
		}
	}
}
