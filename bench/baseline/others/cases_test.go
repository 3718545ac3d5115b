package main

// What every compared server has to do alike. The others' module has this file too, with another package line.

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// patience bounds every wait.
const patience = 10 * time.Second

// cases are run against a server at address, all against the same one, each in rooms of its own.
var cases = []struct {
	name string
	run  func(t *testing.T, address string)
}{
	{"echo of a text", func(t *testing.T, address string) { echoes(t, address, ws.OpText, []byte("grüße")) }},
	{"echo of bytes", func(t *testing.T, address string) { echoes(t, address, ws.OpBinary, []byte{0, 0xff, 0xfe, 7}) }},
	{"echo of nothing", func(t *testing.T, address string) { echoes(t, address, ws.OpBinary, nil) }},
	{"echo of 125, 126 and 65,536 bytes", testLengths},
	{"echo of a message in fragments, with a ping between them", testFragments},
	{"echo of 16 messages in one write, in order", testPipelined},
	{"a ping is answered", testPing},
	{"a close is answered", func(t *testing.T, address string) { testClose(t, address, "/echo") }},
	{"a close is answered in a room", func(t *testing.T, address string) { testClose(t, address, "/raw/parting") }},
	{"a message that is too long closes with 1009 or at once", testTooLong},
	{"three members hear everything once and in order", testRoom},
	{"text stays text and bytes stay bytes in a room", testKinds},
	{"rooms are apart", testApart},
	{"who left is missed by nobody", testLeave},
	{"a slow member is cut and delays nobody", testSlow},
	{"another path is not found", testPath},
	{"healthz", testHealth},
}

// client is a connection to a server.
type client struct {
	*testing.T
	net.Conn
	in *bufio.Reader
}

func dial(t *testing.T, address, path string) *client {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, in, _, err := ws.Dial(ctx, "ws://"+address+path)
	if err != nil {
		t.Fatalf("dialling %s: %v", path, err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(2 * patience)); err != nil {
		t.Fatal(err)
	}
	if in == nil {
		in = bufio.NewReader(conn)
	}
	return &client{t, conn, in}
}

// join dials into a room until every member is in it: a server may answer the handshake first.
func join(t *testing.T, address, room string, n int) []*client {
	t.Helper()
	var members []*client
	for i := range n {
		c := dial(t, address, "/raw/"+room)
		members = append(members, c)
		hello := fmt.Sprintf("member %d", i)
		c.send(ws.OpText, []byte(hello))
		for _, m := range members {
			m.expect(ws.OpText, []byte(hello))
		}
	}
	return members
}

func (c *client) write(frames ...ws.Frame) {
	c.Helper()
	var b bytes.Buffer
	for _, f := range frames {
		if err := ws.WriteFrame(&b, ws.MaskFrame(f)); err != nil {
			c.Fatal(err)
		}
	}
	if _, err := c.Conn.Write(b.Bytes()); err != nil {
		c.Fatalf("writing: %v", err)
	}
}

func (c *client) send(op ws.OpCode, payload []byte) {
	c.Helper()
	c.write(ws.NewFrame(op, true, payload))
}

// next is the next message, or control frame; a message in fragments is put together.
func (c *client) next() (wsutil.Message, error) {
	var out wsutil.Message
	for {
		h, err := ws.ReadHeader(c.in)
		if err != nil {
			return out, err
		}
		if h.Masked {
			return out, errors.New("a server's frame is masked")
		}
		if h.OpCode != ws.OpContinuation {
			out.OpCode = h.OpCode
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(c.in, payload); err != nil {
			return out, err
		}
		out.Payload = append(out.Payload, payload...)
		if h.Fin {
			return out, nil
		}
	}
}

func (c *client) expect(op ws.OpCode, payload []byte) {
	c.Helper()
	m, err := c.next()
	if err != nil {
		c.Fatalf("reading: %v", err)
	}
	if m.OpCode != op || !bytes.Equal(m.Payload, payload) {
		c.Fatalf("got opcode %#x with %.40q (%d bytes), want %#x with %.40q (%d bytes)", m.OpCode, m.Payload, len(m.Payload), op, payload, len(payload))
	}
}

// expectEnd is satisfied when nothing more comes.
func (c *client) expectEnd() {
	c.Helper()
	if m, err := c.next(); err == nil {
		c.Fatalf("got opcode %#x with %.40q, want the end", m.OpCode, m.Payload)
	} else if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
		c.Fatalf("no end within %v", 2*patience)
	}
}

func echoes(t *testing.T, address string, op ws.OpCode, payload []byte) {
	t.Helper()
	c := dial(t, address, "/echo")
	c.send(op, payload)
	c.expect(op, payload)
}

func testLengths(t *testing.T, address string) {
	c := dial(t, address, "/echo")
	for _, n := range []int{1, 125, 126, 4096, 65535, 65536} {
		payload := bytes.Repeat([]byte("x"), n)
		c.send(ws.OpText, payload)
		c.expect(ws.OpText, payload)
	}
}

func testFragments(t *testing.T, address string) {
	c := dial(t, address, "/echo")
	c.write(
		ws.NewFrame(ws.OpText, false, []byte("one, ")),
		ws.NewFrame(ws.OpContinuation, false, []byte("two, ")),
		ws.NewPingFrame([]byte("between")),
		ws.NewFrame(ws.OpContinuation, true, []byte("three")),
		ws.NewTextFrame([]byte("next")),
	)
	c.expect(ws.OpPong, []byte("between"))
	c.expect(ws.OpText, []byte("one, two, three"))
	c.expect(ws.OpText, []byte("next"))
}

func testPipelined(t *testing.T, address string) {
	c := dial(t, address, "/echo")
	for range 50 {
		var frames []ws.Frame
		for i := range 16 {
			frames = append(frames, ws.NewTextFrame(fmt.Appendf(nil, "message %d", i)))
		}
		c.write(frames...)
		for i := range 16 {
			c.expect(ws.OpText, fmt.Appendf(nil, "message %d", i))
		}
	}
}

func testPing(t *testing.T, address string) {
	for _, path := range []string{"/echo", "/raw/pinged"} {
		c := dial(t, address, path)
		c.write(ws.NewPingFrame([]byte("are you there")), ws.NewPingFrame(nil))
		c.expect(ws.OpPong, []byte("are you there"))
		c.expect(ws.OpPong, nil)
	}
}

func testClose(t *testing.T, address, path string) {
	c := dial(t, address, path)
	c.send(ws.OpText, []byte("last words"))
	c.expect(ws.OpText, []byte("last words"))
	c.write(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "done")))
	m, err := c.next()
	if err != nil {
		t.Fatalf("no close frame: %v", err)
	}
	if code, _ := ws.ParseCloseFrameData(m.Payload); m.OpCode != ws.OpClose || code != ws.StatusNormalClosure {
		t.Fatalf("got opcode %#x, code %d, want a close with 1000", m.OpCode, code)
	}
	c.expectEnd()
}

func testTooLong(t *testing.T, address string) {
	c := dial(t, address, "/echo")
	// Written beside, since a server may stop reading in the middle of it.
	go func() {
		f := ws.MaskFrame(ws.NewBinaryFrame(make([]byte, 1<<20)))
		_ = ws.WriteFrame(c.Conn, f)
	}()
	m, err := c.next()
	if err != nil {
		return
	}
	if code, _ := ws.ParseCloseFrameData(m.Payload); m.OpCode != ws.OpClose || code != ws.StatusMessageTooBig {
		t.Fatalf("got opcode %#x, code %d, want a close with 1009", m.OpCode, code)
	}
}

func testRoom(t *testing.T, address string) {
	members := join(t, address, "three", 3)
	const rounds = 200
	for i := range rounds {
		members[i%3].send(ws.OpText, fmt.Appendf(nil, "publication %d", i))
		if i%20 == 19 { // so that some come together and some alone
			for _, m := range members {
				hearAll(m, i-19, i)
			}
		}
	}
}

// hearAll expects each publication of a range once. Publications of different members may overtake each other;
// those of one may not.
func hearAll(c *client, from, to int) {
	c.Helper()
	last := [3]int{-1, -1, -1}
	for range to - from + 1 {
		m, err := c.next()
		if err != nil {
			c.Fatalf("reading: %v", err)
		}
		var i int
		if _, err := fmt.Sscanf(string(m.Payload), "publication %d", &i); err != nil || i < from || i > to {
			c.Fatalf("got %.40q, want one of publications %d to %d", m.Payload, from, to)
		}
		if i <= last[i%3] {
			c.Fatalf("got publication %d of member %d after %d", i, i%3, last[i%3])
		}
		last[i%3] = i
	}
}

func testKinds(t *testing.T, address string) {
	members := join(t, address, "kinds", 2)
	large := bytes.Repeat([]byte{0xfe}, 64<<10)
	members[0].send(ws.OpBinary, large)
	members[0].send(ws.OpText, []byte("text"))
	members[0].write(ws.NewFrame(ws.OpText, false, []byte("in ")), ws.NewFrame(ws.OpContinuation, true, []byte("two")))
	for _, m := range members {
		m.expect(ws.OpBinary, large)
		m.expect(ws.OpText, []byte("text"))
		m.expect(ws.OpText, []byte("in two"))
	}
}

func testApart(t *testing.T, address string) {
	here, there := join(t, address, "here", 2), join(t, address, "there", 2)
	here[0].send(ws.OpText, []byte("here"))
	there[0].send(ws.OpText, []byte("there"))
	here[1].expect(ws.OpText, []byte("here"))
	there[1].expect(ws.OpText, []byte("there"))
}

func testLeave(t *testing.T, address string) {
	members := join(t, address, "leaving", 4)
	members[1].write(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "")))
	_ = members[3].Close()
	for i := range 20 {
		payload := fmt.Appendf(nil, "without them %d", i)
		members[0].send(ws.OpText, payload)
		members[0].expect(ws.OpText, payload)
		members[2].expect(ws.OpText, payload)
	}
	// The room is still one that can be joined.
	newcomer := dial(t, address, "/raw/leaving")
	newcomer.send(ws.OpText, []byte("me too"))
	for _, m := range []*client{newcomer, members[0], members[2]} {
		m.expect(ws.OpText, []byte("me too"))
	}
}

func testSlow(t *testing.T, address string) {
	members := join(t, address, "slow", 3)
	slow := members[2]
	// Now more than the queue of any of the servers and the kernel's buffers hold together.
	if err := slow.Conn.(*net.TCPConn).SetReadBuffer(256 << 10); err != nil {
		t.Fatal(err)
	}
	payload, rounds := bytes.Repeat([]byte("x"), 32<<10), 1000
	worst := time.Duration(0)
	for range rounds {
		begin := time.Now()
		members[0].send(ws.OpText, payload)
		members[0].expect(ws.OpText, payload)
		members[1].expect(ws.OpText, payload)
		worst = max(worst, time.Since(begin))
	}
	if worst > 2*time.Second {
		t.Errorf("a publication took %v beside a slow member", worst)
	}
	for range rounds {
		_, err := slow.next()
		if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() {
			t.Fatal("the slow member gets nothing any more, and no end")
		}
		if err != nil {
			return
		}
	}
	t.Errorf("the slow member was never cut: %d MiB were kept for it", rounds*len(payload)>>20)
}

func testPath(t *testing.T, address string) {
	for _, path := range []string{"/", "/nowhere", "/raw/", "/raw/a/b", "/echoes"} {
		_, _, _, err := ws.Dial(t.Context(), "ws://"+address+path)
		var status ws.StatusError
		if !errors.As(err, &status) || int(status) != http.StatusNotFound {
			t.Errorf("%s: got %v, want 404", path, err)
		}
	}
}

func testHealth(t *testing.T, address string) {
	answer, err := http.Get("http://" + address + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK || !strings.HasPrefix(string(body), "ok") {
		t.Fatalf("got %d %q, %v", answer.StatusCode, body, err)
	}
}
