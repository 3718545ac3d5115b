package load_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gobwas/ws"
)

// server is a WebSocket server that can be told to do wrong: one goroutine reads and one writes for each connection.
// The path is the room: what a member sends, all members get.
type server struct {
	address string
	faults  faults

	// Counted, so that a test knows what a client has to have found.
	handshakes, refused, pongs, closes atomic.Int64
	lost, swapped, doubled             atomic.Int64

	mu    sync.Mutex // guards the rest
	rooms map[string][]*member
	conns map[net.Conn]bool
}

// faults are what the server does wrong, or beside its work.
type faults struct {
	// refuse says what the n-th handshake is refused with; nothing if status is 0.
	refuse func(n int64) (status int, retryAfter string)
	// fate is what becomes of the n-th push to the m-th member of a room.
	fate func(m, n int) fate
	// greetings are sent on open, ping too if it is set.
	greetings []string
	ping      bool
	// closeAfter closes a connection with this code once it has sent so many messages.
	closeAfter int
	closeCode  ws.StatusCode
	// fragments cuts each push into two frames.
	fragments bool
	// around is a frame of text around each push, as in a protocol of the server's own.
	before, after string
	// stray delivers to all members of the other rooms as well.
	stray bool
	// protocol chooses a subprotocol.
	protocol func(string) bool
	// deaf accepts connections and never answers.
	deaf bool
}

type fate int

const (
	deliver fate = iota
	lose
	double
	swap // with the next one
)

// member is a connection in a room.
type member struct {
	conn  net.Conn
	index int
	out   chan []byte
	// Owned by its writer.
	pushes int
	held   []byte
}

func startServer(tb testing.TB, f faults) *server {
	tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	s := &server{address: l.Addr().String(), faults: f, rooms: map[string][]*member{}, conns: map[net.Conn]bool{}}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns[c] = true
			s.mu.Unlock()
			all.Go(func() { s.serve(c) })
		}
	})
	tb.Cleanup(func() {
		l.Close()
		s.mu.Lock()
		for c := range s.conns {
			c.Close()
		}
		s.mu.Unlock()
		all.Wait()
	})
	return s
}

func (s *server) serve(c net.Conn) {
	defer func() {
		c.Close()
		s.mu.Lock()
		delete(s.conns, c)
		s.mu.Unlock()
	}()
	if s.faults.deaf {
		_, _ = c.Read(make([]byte, 1))
		_, _ = c.Read(make([]byte, 1<<20))
		_, _ = c.Read(make([]byte, 1))
		return
	}
	m := &member{conn: c, out: make(chan []byte, 1<<16)}
	room, ok := s.upgrade(m)
	if !ok {
		return
	}
	var writing sync.WaitGroup
	writing.Go(func() { s.write(m) })
	defer func() {
		s.leave(room, m)
		close(m.out)
		c.Close() // a writer that waits for this client need not wait longer
		writing.Wait()
	}()
	s.read(room, m)
}

// upgrade shakes hands and joins the room of the path.
func (s *server) upgrade(m *member) (room string, ok bool) {
	n := s.handshakes.Add(1) - 1
	u := ws.Upgrader{
		OnRequest: func(uri []byte) error { room = string(uri); return nil },
		Protocol:  func(p []byte) bool { return s.faults.protocol != nil && s.faults.protocol(string(p)) },
		OnBeforeUpgrade: func() (ws.HandshakeHeader, error) {
			if s.faults.refuse == nil {
				return nil, nil
			}
			status, retry := s.faults.refuse(n)
			if status == 0 {
				return nil, nil
			}
			s.refused.Add(1)
			return nil, ws.RejectConnectionError(ws.RejectionStatus(status), ws.RejectionHeader(ws.HandshakeHeaderHTTP(http.Header{"Retry-After": {retry}})))
		},
	}
	if _, err := u.Upgrade(m.conn); err != nil {
		return "", false
	}
	for _, text := range s.faults.greetings {
		m.out <- ws.MustCompileFrame(ws.NewTextFrame([]byte(text)))
	}
	if s.faults.ping {
		m.out <- ws.MustCompileFrame(ws.NewPingFrame([]byte("ping")))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	m.index = len(s.rooms[room])
	s.rooms[room] = append(s.rooms[room], m)
	return room, true
}

func (s *server) leave(room string, m *member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, other := range s.rooms[room] {
		if other == m {
			s.rooms[room] = append(s.rooms[room][:i:i], s.rooms[room][i+1:]...)
		}
	}
}

func (s *server) read(room string, m *member) {
	for messages := 1; ; {
		h, err := ws.ReadHeader(m.conn)
		if err != nil || h.Length > 1<<20 {
			return
		}
		f := ws.Frame{Header: h, Payload: make([]byte, h.Length)}
		if _, err := io.ReadFull(m.conn, f.Payload); err != nil {
			return
		}
		ws.Cipher(f.Payload, h.Mask, 0)
		switch h.OpCode {
		case ws.OpPong:
			s.pongs.Add(1)
		case ws.OpClose:
			s.closes.Add(1)
			_, _ = m.conn.Write(ws.MustCompileFrame(ws.NewCloseFrame(f.Payload)))
			return
		case ws.OpText, ws.OpBinary:
			s.publish(room, f)
			if messages == s.faults.closeAfter {
				m.out <- ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(s.faults.closeCode, "")))
			}
			messages++
		}
	}
}

// publish puts a message before all members. One that takes nothing any more misses it.
func (s *server) publish(room string, f ws.Frame) {
	var text strings.Builder
	text.WriteString(s.faults.before)
	text.Write(f.Payload)
	text.WriteString(s.faults.after)
	whole := ws.NewFrame(f.Header.OpCode, true, []byte(text.String()))
	push := ws.MustCompileFrame(whole)
	if s.faults.fragments {
		first, second := whole.Payload[:20], whole.Payload[20:]
		push = append(ws.MustCompileFrame(ws.NewFrame(f.Header.OpCode, false, first)), ws.MustCompileFrame(ws.NewFrame(ws.OpContinuation, true, second))...)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, members := range s.rooms {
		if name != room && !s.faults.stray {
			continue
		}
		for _, m := range members {
			select {
			case m.out <- push:
			default:
			}
		}
	}
}

func (s *server) write(m *member) {
	for b := range m.out {
		if b[0]&0x0f > 2 || s.faults.fate == nil {
			_, _ = m.conn.Write(b)
			continue
		}
		m.pushes++
		switch s.faults.fate(m.index, m.pushes-1) {
		case lose:
			s.lost.Add(1)
			continue
		case double:
			s.doubled.Add(1)
			b = append(b[:len(b):len(b)], b...)
		case swap:
			if m.held == nil {
				m.held = b
				continue
			}
		case deliver:
		}
		if m.held != nil {
			s.swapped.Add(1)
			b = append(b[:len(b):len(b)], m.held...)
			m.held = nil
		}
		_, _ = m.conn.Write(b)
	}
	if m.held != nil {
		_, _ = m.conn.Write(m.held)
	}
}
