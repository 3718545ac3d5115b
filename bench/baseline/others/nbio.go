package main

import (
	"context"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"
)

// serveNBIO is nbio-examples' websocket servers on the library's own HTTP engine, non-blocking, which is its
// default and the mode of the README's benchmark of a million connections.
func serveNBIO(ctx context.Context, l net.Listener, o options) error {
	logging.Output = os.Stderr // standard output is for who started this process
	logging.SetLevel(logging.LevelError)

	members := newRooms[*websocket.Conn]()
	echo, room := newNBIOEcho(), newNBIORoom(members)
	mux := newMux()
	mux.HandleFunc(echoPath, func(w http.ResponseWriter, r *http.Request) {
		_, _ = echo.Upgrade(w, r, nil) // what fails has been answered
	})
	mux.HandleFunc(roomPath, func(w http.ResponseWriter, r *http.Request) {
		conn, err := room.Upgrade(w, r, nil)
		if err != nil {
			return // it has been answered
		}
		// A connection's events come one after the other, so that no message is before this.
		conn.SetSession(members.join(r.PathValue("room"), conn))
	})
	engine := nbhttp.NewEngine(nbhttp.Config{
		Network: "tcp",
		Addrs:   []string{l.Addr().String()},
		Listen:  func(string, string) (net.Listener, error) { return l, nil },
		Handler: mux,
		IOMod:   nbhttp.IOModNonBlocking,
		// As in the examples: the buffer of a message is used again after OnMessage.
		ReleaseWebsocketPayload: true,
		// "If the data cached by nbio is more than MaxWriteBufferSize, the connection would be closed."
		MaxWriteBufferSize: o.queue << 10,
	})
	if err := engine.Start(); err != nil {
		return err
	}
	<-ctx.Done()
	stop, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = engine.Shutdown(stop) // what is left ends with the process
	return nil
}

func newNBIOUpgrader() *websocket.Upgrader {
	u := websocket.NewUpgrader()
	u.MessageLengthLimit = messageBytes
	// By default a connection that is silent for two minutes is closed, by a timer of its own. No other engine has
	// such deadlines here, and the library's author takes them away for benchmarks too (go-websocket-benchmark).
	u.KeepaliveTime = 0
	return u
}

func newNBIOEcho() *websocket.Upgrader {
	u := newNBIOUpgrader()
	u.OnMessage(func(c *websocket.Conn, kind websocket.MessageType, data []byte) {
		_ = c.WriteMessage(kind, data)
	})
	return u
}

// newNBIORoom broadcasts by WriteMessage in a loop, which is what the library is made for: it does not block, and
// keeps what a socket will not take.
func newNBIORoom(members *rooms[*websocket.Conn]) *websocket.Upgrader {
	u := newNBIOUpgrader()
	u.OnMessage(func(c *websocket.Conn, kind websocket.MessageType, data []byte) {
		c.Session().(*seat[*websocket.Conn]).room.publish(func(m *websocket.Conn) bool {
			return m.WriteMessage(kind, data) == nil
		})
	})
	u.OnClose(func(c *websocket.Conn, _ error) {
		if s, ok := c.Session().(*seat[*websocket.Conn]); ok {
			members.leave(s)
		}
	})
	return u
}
