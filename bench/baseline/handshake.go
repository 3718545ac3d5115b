package baseline

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// tokenPrefix begins the subprotocol that carries a token, which is never the one to select.
var tokenPrefix = []byte("token.")

// arrival is what a handshake found out.
type arrival struct {
	room   string // its name, empty for an echo
	member *member
}

// welcome does the handshake and hands the connection on. What comes after runs on another goroutine, because this
// one's stack has grown with the handshake and would stay that large for as long as the connection lives.
func (s *server) welcome(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(s.HandshakeTimeout))
	var a arrival
	if err := s.upgrade(conn, &a); err != nil {
		if a.member != nil {
			s.rooms.leave(a.member)
		}
		linger(conn)
		s.remove(conn)
		return
	}
	_ = conn.SetDeadline(time.Time{})
	if a.member != nil {
		go s.attend(a.member)
	} else {
		go s.echo(conn)
	}
}

// upgrade answers the request. A connection that asks for a room is a member before it is told so, so that it
// misses nothing from then on.
func (s *server) upgrade(conn net.Conn, a *arrival) error {
	u := ws.Upgrader{
		OnRequest: func(uri []byte) error {
			room, err := destination(string(uri))
			a.room = room
			return err
		},
		Protocol: func(p []byte) bool { return !bytes.HasPrefix(p, tokenPrefix) },
		OnBeforeUpgrade: func() (ws.HandshakeHeader, error) {
			if a.room != "" {
				a.member = newMember(conn, s.QueueBytes)
				s.rooms.join(a.room, a.member)
			}
			return ws.HandshakeHeaderString(""), nil
		},
	}
	// The library reads header lines of any length and number.
	_, err := u.Upgrade(struct {
		io.Reader
		io.Writer
	}{io.LimitReader(conn, headBytes), conn})
	return err
}

// destination is the room that a request is for, empty for an echo, or the answer to everything else.
func destination(uri string) (room string, err error) {
	path, _, _ := strings.Cut(uri, "?")
	switch room, ok := strings.CutPrefix(path, "/raw/"); {
	case path == "/echo":
		return "", nil
	case ok && room != "" && !strings.Contains(room, "/"):
		return room, nil
	case path == "/healthz":
		return "", ws.RejectConnectionError(ws.RejectionStatus(http.StatusOK), ws.RejectionReason("ok"))
	default:
		return "", ws.RejectConnectionError(ws.RejectionStatus(http.StatusNotFound), ws.RejectionReason("no such path"))
	}
}

// lingerTimeout is how long a peer may take to close its side.
const lingerTimeout = 500 * time.Millisecond

// linger lets the peer read what was written last: closing a socket with unread input resets it, and a reset takes
// away what is still on its way (RFC 6455, section 7.1.1).
func linger(conn net.Conn) {
	if c, ok := conn.(interface{ CloseWrite() error }); ok && c.CloseWrite() == nil {
		_ = conn.SetReadDeadline(time.Now().Add(lingerTimeout))
		_, _ = io.Copy(io.Discard, io.LimitReader(conn, 1<<20))
	}
}
