package baseline

import (
	"bytes"
	"context"
	"net"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"
)

// start runs a server until the test ends, and checks then that nothing of it is left.
func start(t *testing.T, o Options) (address string) {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l, o) }()
	t.Cleanup(func() {
		end()
		select {
		case err := <-served:
			if err != nil {
				t.Errorf("Serve: %v", err)
			}
		case <-time.After(patience):
			t.Error("Serve did not end")
		}
		goleak.VerifyNone(t, leaks)
	})
	return l.Addr().String()
}

func TestCases(t *testing.T) {
	address := start(t, Options{})
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { c.run(t, address) })
	}
}

// TestSameCases holds the others' file of cases against this one.
func TestSameCases(t *testing.T) {
	var bodies [][]byte
	for _, name := range []string{"cases_test.go", "others/cases_test.go"} {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		_, body, _ := bytes.Cut(b, []byte("\n"))
		bodies = append(bodies, body)
	}
	if !bytes.Equal(bodies[0], bodies[1]) {
		t.Error("others/cases_test.go differs from cases_test.go below its first line: copy it")
	}
}

// TestEndsWithMembers ends a server that has members who read nothing, echoes and half a handshake.
func TestEndsWithMembers(t *testing.T) {
	address := start(t, Options{QueueBytes: 64 << 20})
	members := join(t, address, "ending", 3)
	for range 300 {
		members[0].send(ws.OpBinary, make([]byte, 32<<10))
	}
	dial(t, address, "/echo")
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if _, err := conn.Write([]byte("GET /echo HTTP/1.1\r\nHost: x\r\n")); err != nil {
		t.Fatal(err)
	}
}

// TestServeFails is about a listener that somebody else closes.
func TestServeFails(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	if err := Serve(t.Context(), l, Options{}); err == nil {
		t.Error("no error from a listener that is closed")
	}
}

// TestViolations is about what has to be answered with a close frame.
func TestViolations(t *testing.T) {
	address := start(t, Options{MessageBytes: 1000})
	unmasked := ws.NewTextFrame([]byte("unmasked"))
	for _, c := range []struct {
		name   string
		frames []ws.Frame
		code   ws.StatusCode
	}{
		{"not masked", []ws.Frame{unmasked}, ws.StatusProtocolError},
		{"reserved opcode", []ws.Frame{ws.MaskFrame(ws.NewFrame(3, true, nil))}, ws.StatusProtocolError},
		{"continues nothing", []ws.Frame{ws.MaskFrame(ws.NewFrame(ws.OpContinuation, true, nil))}, ws.StatusProtocolError},
		{"no UTF-8", []ws.Frame{ws.MaskFrame(ws.NewTextFrame([]byte{0xff}))}, ws.StatusInvalidFramePayloadData},
		{"too long", []ws.Frame{ws.MaskFrame(ws.NewBinaryFrame(make([]byte, 1001)))}, ws.StatusMessageTooBig},
		{"too long in fragments", []ws.Frame{
			ws.MaskFrame(ws.NewFrame(ws.OpBinary, false, make([]byte, 600))),
			ws.MaskFrame(ws.NewFrame(ws.OpContinuation, true, make([]byte, 600))),
		}, ws.StatusMessageTooBig},
		{"a close code that may not be sent", []ws.Frame{ws.MaskFrame(ws.NewCloseFrame([]byte{0x03, 0xed}))}, ws.StatusProtocolError},
	} {
		for _, path := range []string{"/echo", "/raw/violations"} {
			t.Run(c.name+" "+path, func(t *testing.T) {
				client := dial(t, address, path)
				for _, f := range c.frames {
					if err := ws.WriteFrame(client.Conn, f); err != nil {
						t.Fatal(err)
					}
				}
				m, err := client.next()
				if err != nil {
					t.Fatal(err)
				}
				if code, _ := ws.ParseCloseFrameData(m.Payload); m.OpCode != ws.OpClose || code != c.code {
					t.Fatalf("got opcode %#x, code %d, want a close with %d", m.OpCode, code, c.code)
				}
				client.expectEnd()
			})
		}
	}
}

func TestSubprotocol(t *testing.T) {
	address := start(t, Options{})
	for _, c := range []struct {
		offered []string
		want    string
	}{
		{nil, ""},
		{[]string{"roost.v1", "token.abc"}, "roost.v1"},
		{[]string{"token.abc", "chat"}, "chat"},
		{[]string{"token.abc"}, ""},
	} {
		conn, _, hs, err := ws.Dialer{Protocols: c.offered}.Dial(t.Context(), "ws://"+address+"/raw/sub?room=x")
		if err != nil {
			t.Errorf("%v: %v", c.offered, err)
			continue
		}
		_ = conn.Close()
		if hs.Protocol != c.want {
			t.Errorf("%v: selected %q, want %q", c.offered, hs.Protocol, c.want)
		}
	}
}

// TestHead is about requests that never end, or not in time.
func TestHead(t *testing.T) {
	address := start(t, Options{HandshakeTimeout: 200 * time.Millisecond})
	for _, c := range []struct{ name, head string }{
		{"too long", "GET /echo HTTP/1.1\r\nHost: x\r\nCookie: " + strings.Repeat("x", headBytes)},
		{"too slow", "GET /echo HTTP/1.1\r\nHost: x\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			conn, err := net.Dial("tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Write([]byte(c.head)); err != nil {
				t.Fatal(err)
			}
			if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
				t.Error("it was answered")
			} else if e, ok := err.(net.Error); ok && e.Timeout() {
				t.Error("it was kept")
			}
		})
	}
}

// TestRoomsAreForgotten looks at what joining and leaving leaves behind.
func TestRoomsAreForgotten(t *testing.T) {
	rs := rooms{byName: map[string]*room{}}
	var members []*member
	for i := range 10 {
		m := newMember(nil, 1000)
		rs.join([]string{"a", "b"}[i%2], m)
		members = append(members, m)
	}
	for _, i := range []int{0, 9, 4, 2, 8, 6, 1, 3, 7, 5} {
		m := members[i]
		heard := len(m.out.frames)
		rs.leave(m)
		m.room.publish([]byte("x"))
		if len(m.out.frames) != heard {
			t.Fatalf("member %d heard something after it had left", i)
		}
		for at, other := range m.room.members {
			if other.place != at {
				t.Fatalf("a member at %d thinks it is at %d", at, other.place)
			}
		}
	}
	if len(rs.byName) != 0 {
		t.Errorf("%d rooms are left without members", len(rs.byName))
	}
}

// TestReaderIsSmall notices a buffer that an idle connection would keep beside the one it reads through.
func TestReaderIsSmall(t *testing.T) {
	s := &server{Options: Options{ReadBuffer: 4096, MessageBytes: 64 << 10}}
	const n = 1000
	kept := make([]*reader, n)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range kept {
		kept[i] = s.newReader(nil, func([]byte) {})
	}
	runtime.ReadMemStats(&after)
	if each := (after.TotalAlloc - before.TotalAlloc) / n; each > 4096+1024 {
		t.Errorf("%d B for one connection's reader", each)
	}
	runtime.KeepAlive(kept)
}
