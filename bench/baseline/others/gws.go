package main

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"

	"github.com/lxzan/gws"
)

// gwsMember is a connection in a room. The library queues what is broadcast to a connection without a bound, and
// writes it on a goroutine that lives while there is something to write. So that a slow member can be cut, it is
// counted how far that goroutine has come: every so often it passes a mark.
type gwsMember struct {
	socket  *gws.Conn
	queue   uint64
	sent    uint64        // guarded by the room's mutex
	written atomic.Uint64 // at the last mark
}

// gwsMark is how many messages are between two marks: few enough to be a bound, many enough not to cost anything.
const gwsMark = 64

const gwsSeat = "seat" // in a connection's session

func serveGWS(ctx context.Context, l net.Listener, o options) error {
	members := newRooms[*gwsMember]()
	option := func() *gws.ServerOption {
		// Defaults but for the length. ParallelEnabled, which the README's best practice has, lets a connection's
		// messages overtake each other, and an echo has to come in order.
		return &gws.ServerOption{ReadMaxPayloadSize: messageBytes}
	}
	echo := gws.NewUpgrader(&gwsEcho{}, option())
	room := gws.NewUpgrader(&gwsRoom{rooms: members}, option())
	mux := newMux()
	mux.HandleFunc(echoPath, func(w http.ResponseWriter, r *http.Request) {
		socket, err := echo.Upgrade(w, r)
		if err != nil {
			return // it has been answered
		}
		go socket.ReadLoop() // "Blocking prevents the context from being GC" (README, best practice)
	})
	mux.HandleFunc(roomPath, func(w http.ResponseWriter, r *http.Request) {
		socket, err := room.Upgrade(w, r)
		if err != nil {
			return // it has been answered
		}
		// Joined here and not in OnOpen, as in examples/push.
		m := &gwsMember{socket: socket, queue: uint64(o.queue)}
		socket.Session().Store(gwsSeat, members.join(r.PathValue("room"), m))
		go socket.ReadLoop()
	})
	return serveHTTP(ctx, l, mux)
}

// gwsEcho is examples/echo.
type gwsEcho struct{ gws.BuiltinEventHandler }

// OnPing answers with the ping's payload, as in examples/echo; the built-in one answers with none.
func (*gwsEcho) OnPing(socket *gws.Conn, payload []byte) { _ = socket.WritePong(payload) }

// OnMessage sends a message back.
func (*gwsEcho) OnMessage(socket *gws.Conn, message *gws.Message) {
	defer message.Close()
	_ = socket.WriteMessage(message.Opcode, message.Bytes())
}

// gwsRoom is examples/push, with the README's Broadcast.
type gwsRoom struct {
	gws.BuiltinEventHandler
	rooms *rooms[*gwsMember]
}

func (*gwsRoom) seat(socket *gws.Conn) *seat[*gwsMember] {
	s, _ := socket.Session().Load(gwsSeat)
	return s.(*seat[*gwsMember])
}

// OnPing answers with the ping's payload.
func (*gwsRoom) OnPing(socket *gws.Conn, payload []byte) { _ = socket.WritePong(payload) }

// OnClose is called once, when reading has ended.
func (h *gwsRoom) OnClose(socket *gws.Conn, _ error) { h.rooms.leave(h.seat(socket)) }

// OnMessage broadcasts a message, which is framed once for all members.
func (h *gwsRoom) OnMessage(socket *gws.Conn, message *gws.Message) {
	defer message.Close()
	b := gws.NewBroadcaster(message.Opcode, message.Bytes())
	defer b.Close()
	h.seat(socket).room.publish(func(m *gwsMember) bool { return m.push(b) })
}

func (m *gwsMember) push(b *gws.Broadcaster) bool {
	if m.sent++; m.sent%gwsMark == 0 {
		n := m.sent
		m.socket.Async(func() { m.written.Store(n) })
	}
	if m.sent-m.written.Load() > m.queue+gwsMark {
		// Not WriteClose, which would wait for the write that is stuck.
		_ = m.socket.NetConn().Close()
		return false
	}
	_ = b.Broadcast(m.socket)
	return true
}
