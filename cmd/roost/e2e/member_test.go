package e2e

// A client for tests of many nodes: it stays in its rooms whatever happens to its connections, as a good client does,
// and writes down what it hears.

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// door is where members come in: a balancer or a node.
type door struct {
	url string // ws:// or wss://, host and port
	tls *tls.Config
}

func (s *server) door() door   { return door{url: "ws://" + s.address} }
func (b *balancer) door() door { return door{url: "wss://" + b.address, tls: b.tls} }

// ask is a command that waits for its answer.
type ask struct {
	kind   string
	room   string
	number int // of a publication
	answer chan push
}

// member is one client. Its methods may be called from any goroutine.
type member struct {
	user, token string
	door        door
	said        *transcript
	home        bool // it does not come back when a connection ends; static after enter
	stopped     chan struct{}
	stopOnce    sync.Once
	running     sync.WaitGroup

	write  sync.Mutex // held over the numbering and the writing of a command
	lastID uint64
	frame  bytes.Buffer

	mu     sync.Mutex // guards what follows
	conn   net.Conn   // nil while it is away
	node   string
	opened int
	asks   map[uint64]ask
	places map[string]*place
	ends   []error // how connections ended, and dials that failed
	codes  map[string]int
}

// newMember is a client that has not come in yet.
func newMember(t *testing.T, said *transcript, d door, user string, rooms ...string) *member {
	t.Helper()
	m := &member{user: user, token: pass(t, user), door: d, said: said, stopped: make(chan struct{}), asks: map[uint64]ask{},
		places: map[string]*place{}, codes: map[string]int{}}
	for _, room := range rooms {
		m.places[room] = &place{}
	}
	t.Cleanup(m.leave)
	return m
}

// enter lets the member come in, and come back, until leave.
func (m *member) enter() { m.running.Go(m.stay) }

// leave ends its connection, for good.
func (m *member) leave() {
	m.stopOnce.Do(func() { close(m.stopped) })
	m.mu.Lock()
	if m.conn != nil {
		_ = m.conn.Close()
	}
	m.mu.Unlock()
	m.running.Wait()
}

// The waits between attempts: doubling up to the longest, each stretched or shortened by half of it at random.
const (
	firstWait   = 100 * time.Millisecond
	longestWait = 2 * time.Second
)

func (m *member) stay() {
	for attempt := 0; ; attempt++ {
		lasted, wait, again := m.connect(attempt)
		if !again || m.home {
			return
		}
		if lasted {
			attempt = 0
		}
		wait += time.Duration((0.5 + rand.Float64()) * float64(min(longestWait, firstWait<<min(attempt, 10))))
		select {
		case <-time.After(wait):
		case <-m.stopped:
			return
		}
	}
}

// connect is one connection from its beginning to its end: whether it was open, how long the node asked to wait, and
// whether to come back.
func (m *member) connect(attempt int) (lasted bool, wait time.Duration, again bool) {
	dialer := ws.Dialer{Timeout: tunnelWithin, Protocols: []string{"roost.v1", "token." + m.token}, TLSConfig: m.door.tls}
	conn, in, _, err := dialer.Dial(context.Background(), fmt.Sprint(m.door.url, "/ws?attempt=", attempt))
	if err != nil {
		m.mu.Lock()
		m.ends = append(m.ends, err)
		m.mu.Unlock()
		var refused ws.StatusError
		return false, 0, !errors.As(err, &refused) || refused != 401 && refused != 403
	}
	if in == nil {
		in = bufio.NewReaderSize(conn, 1024)
	}
	defer conn.Close()
	m.mu.Lock()
	select {
	case <-m.stopped:
		m.mu.Unlock()
		return false, 0, false
	default:
		m.conn = conn
	}
	m.mu.Unlock()
	err = m.read(in, &wait)
	m.away(err)
	var closed closedError
	if errors.As(err, &closed) && (closed == 4401 || closed == 4403 || closed == 4409) {
		return true, 0, false
	}
	return true, wait, true
}

// closedError is the code of a close frame.
type closedError ws.StatusCode

// Error names the code.
func (c closedError) Error() string { return fmt.Sprintf("closed with %d", int(c)) }

// longestFrame is above what a node sends of a history at once.
const longestFrame = 1 << 20

// read takes what comes until the connection ends.
func (m *member) read(in io.Reader, wait *time.Duration) error {
	for {
		h, err := ws.ReadHeader(in)
		if err != nil {
			return err
		}
		if h.Length > longestFrame || !h.Fin {
			return fmt.Errorf("a frame that no node sends: %+v", h)
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(in, payload); err != nil {
			return err
		}
		switch h.OpCode {
		case ws.OpPing:
			m.write.Lock()
			err = m.writeFrame(ws.NewPongFrame(payload))
			m.write.Unlock()
			if err != nil {
				return err
			}
		case ws.OpClose:
			code, _ := ws.ParseCloseFrameData(payload)
			return closedError(code)
		case ws.OpText:
			var p push
			if err := json.Unmarshal(payload, &p); err != nil {
				return fmt.Errorf("%.100q: %w", payload, err)
			}
			if p.Type == "shutdown" {
				*wait = time.Duration(p.ReconnectIn) * time.Second
			}
			m.take(&p)
		}
	}
}

// writeFrame writes one frame in one piece. The caller has m.write.
func (m *member) writeFrame(f ws.Frame) error {
	m.mu.Lock()
	conn := m.conn
	m.mu.Unlock()
	if conn == nil {
		return net.ErrClosed
	}
	m.frame.Reset()
	_ = ws.WriteFrame(&m.frame, ws.MaskFrameInPlace(f)) // a buffer takes everything
	_ = conn.SetWriteDeadline(time.Now().Add(tunnelWithin))
	_, err := conn.Write(m.frame.Bytes())
	if err != nil {
		_ = conn.Close() // which is how the reader learns of it
	}
	return err
}

// command sends a command whose JSON has begun with its type and room, and remembers what it waits for. The caller has
// m.write.
func (m *member) command(a ask, more string) error {
	m.lastID++
	m.mu.Lock()
	m.asks[m.lastID] = a
	m.mu.Unlock()
	text := `{"type":"` + a.kind + `","id":` + strconv.FormatUint(m.lastID, 10) + `,"room":"` + a.room + `"` + more + `}`
	return m.writeFrame(ws.NewTextFrame([]byte(text)))
}

// publish says the next number in room, unless the member is away.
func (m *member) publish(room string) bool {
	m.write.Lock()
	defer m.write.Unlock()
	m.mu.Lock()
	here := m.conn != nil && m.places[room].joined
	m.mu.Unlock()
	if !here {
		return false
	}
	n := m.said.next(room, m.user)
	return m.command(ask{kind: "publish", room: room, number: n}, `,"data":`+strconv.Itoa(n)) == nil
}

// presence asks who is in room.
func (m *member) presence(room string) (push, error) {
	answer := make(chan push, 1)
	m.write.Lock()
	err := m.command(ask{kind: "presence", room: room, answer: answer}, "")
	m.write.Unlock()
	if err != nil {
		return push{}, err
	}
	select {
	case p, ok := <-answer:
		if !ok {
			return p, net.ErrClosed
		}
		return p, nil
	case <-time.After(tunnelWithin):
		return push{}, errors.New("no answer")
	}
}

// join asks to be let into rooms, or to be told what was missed there.
func (m *member) join(rooms ...string) {
	m.write.Lock()
	defer m.write.Unlock()
	for _, room := range rooms {
		m.mu.Lock()
		since := ""
		if at := m.places[room].at; at != nil {
			m.places[room].catch = true
			text, _ := json.Marshal(at)
			since = `,"since":` + string(text)
		}
		m.mu.Unlock()
		_ = m.command(ask{kind: "join", room: room}, since)
	}
}
