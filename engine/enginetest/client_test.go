package enginetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/golang-jwt/jwt/v5"
)

func TestClientTalks(t *testing.T) {
	addr := startServer(t)
	c := Dial(t, addr, "/", Options{Subprotocols: []string{"roost.v1"}, Token: "abc", SourceIP: "127.0.0.9"})
	if c.Subprotocol != "roost.v1" {
		t.Errorf("subprotocol %q", c.Subprotocol)
	}
	if ip := c.LocalAddr().IP.String(); ip != "127.0.0.9" {
		t.Errorf("source %s", ip)
	}
	c.SendText("hello")
	c.ExpectText("hello")
	c.SendBinary([]byte{0, 1, 255})
	c.ExpectBinary([]byte{0, 1, 255})
	c.SendJSON(map[string]any{"type": "first"})
	c.SendJSON(map[string]any{"type": "second", "n": 7})
	if got := c.WaitType("second"); got["n"] != 7.0 {
		t.Errorf("second message %v", got)
	}
	c.SendPing("p")
	c.ExpectPong("p")
	c.ExpectNothing()
	c.SendFrame(Frame{Op: ws.OpText, Payload: []byte("zwei H\xc3")}, true)
	c.SendFrame(Frame{Fin: true, Op: ws.OpContinuation, Payload: []byte("\xa4lften")}, true)
	c.ExpectText("zwei Hälften")
	long := strings.Repeat("long", 1<<15)
	c.SendText(long)
	c.ExpectText(long)
	c.CloseHandshake(1000)
}

func TestClientAnswers(t *testing.T) {
	addr := startServer(t)
	t.Run("ping", func(t *testing.T) {
		c := Dial(t, addr, "/ping", Options{})
		c.ExpectText("pong are you there")
	})
	t.Run("no pong", func(t *testing.T) {
		c := Dial(t, addr, "/ping", Options{NoPong: true})
		c.ExpectNothing()
	})
	t.Run("close", func(t *testing.T) {
		c := Dial(t, addr, "/close/4401", Options{})
		if reason := c.ExpectClose(4401); reason != "as asked" {
			t.Errorf("reason %q", reason)
		}
		c.ExpectEnd()
	})
	t.Run("reset", func(t *testing.T) {
		Dial(t, addr, "/reset", Options{}).ExpectReset()
	})
	t.Run("early bytes", func(t *testing.T) {
		c := Dial(t, addr, "/", Options{Early: TextFrame([]byte("early"))})
		c.ExpectText("early")
	})
	t.Run("token", func(t *testing.T) {
		claims := jwt.MapClaims{}
		_, err := jwt.ParseWithClaims(Token(t, "ada", time.Minute, "chat.*"), claims,
			func(*jwt.Token) (any, error) { return []byte(Secret), nil }, jwt.WithValidMethods([]string{"HS256"}))
		if err != nil || claims["sub"] != "ada" || fmt.Sprint(claims["rooms"]) != "[chat.*]" {
			t.Errorf("claims %v, error %v", claims, err)
		}
	})
}

func TestClientRefused(t *testing.T) {
	addr := startServer(t)
	a := DialRefused(t, addr, "/answer/HTTP/1.1+401+Unauthorized\\r\\nContent-Length:+2\\r\\nConnection:+close\\r\\n\\r\\nno", Options{}, 401)
	if string(a.Body) != "no" || a.Header.Get("Connection") != "close" {
		t.Errorf("answer %+v", a)
	}
}

// judge stands in for a test that is expected to fail.
type judge struct {
	testing.TB
	verdict string
}

func (j *judge) Helper() {}
func (j *judge) Fatalf(format string, args ...any) {
	j.verdict = fmt.Sprintf(format, args...)
	panic(j)
}

// verdictOf runs f with a judge and returns what it failed with, or "".
func verdictOf(t *testing.T, f func(tb testing.TB)) (verdict string) {
	j := &judge{TB: t}
	defer func() {
		if r := recover(); r != nil && r != any(j) {
			panic(r)
		}
		verdict = j.verdict
	}()
	f(j)
	return ""
}

func TestClientCondemnsFrames(t *testing.T) {
	addr := startServer(t)
	for _, tc := range []struct{ name, bytes, want string }{
		{"masked", `\x81\x80\x01\x02\x03\x04`, "masked frame"},
		{"reserved bit", `\xc1\x00`, "reserved bit"},
		{"reserved opcode", `\x83\x00`, "reserved opcode"},
		{"sixteen bits for five bytes", `\x81\x7e\x00\x05hello`, "shortest form"},
		{"sixty-four bits for five bytes", `\x81\x7f\x00\x00\x00\x00\x00\x00\x00\x05hello`, "shortest form"},
		{"length beyond all", `\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xff`, "longer than any test"},
		{"long ping", `\x89\x7e\x00\x80`, "125 bytes"},
		{"fragmented ping", `\x09\x00`, "fragmented control"},
		{"continuation alone", `\x80\x00`, "without a start"},
		{"message in a message", `\x01\x01a\x81\x01b`, "inside a fragmented"},
		{"text that is none", `\x81\x02\xc3\x28`, "not UTF-8"},
		{"text that is none in two", `\x01\x01\xc3\x80\x01\x28`, "not UTF-8"},
		{"close of one byte", `\x88\x01\x03`, "one byte"},
		{"close 1005", `\x88\x02\x03\xed`, "close frame:"},
		{"close 999", `\x88\x02\x03\xe7`, "close frame:"},
		{"close reason that is no text", `\x88\x04\x03\xe8\xc3\x28`, "close frame:"},
		{"frame after close", `\x88\x02\x03\xe8\x81\x00`, "after the close"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			verdict := verdictOf(t, func(tb testing.TB) {
				c := Dial(tb, addr, "/bytes/"+tc.bytes, Options{})
				c.ReadFrame()
				c.ReadFrame()
			})
			if !strings.Contains(verdict, "RFC 6455") || !strings.Contains(verdict, tc.want) {
				t.Errorf("verdict %q, want %q", verdict, tc.want)
			}
		})
	}
}

func TestClientCondemnsAnswers(t *testing.T) {
	addr := startServer(t)
	const upgrade = `HTTP/1.1+101+S\r\nUpgrade:+websocket\r\nConnection:+Upgrade\r\n`
	for _, tc := range []struct{ name, answer, want string }{
		{"wrong accept", upgrade + `Sec-WebSocket-Accept:+x\r\n\r\n`, "accept"},
		{"no upgrade", `HTTP/1.1+101+S\r\nConnection:+Upgrade\r\n\r\n`, "upgrade header"},
		{"no connection", `HTTP/1.1+101+S\r\nUpgrade:+websocket\r\n\r\n`, "connection header"},
		{"old version", `HTTP/1.0+101+S\r\n\r\n`, "status line"},
		{"bare line feed", `HTTP/1.1+101+S\nUpgrade:+websocket\r\n\r\n`, "status line"},
		{"space before the colon", `HTTP/1.1+101+S\r\nUpgrade+:+websocket\r\n\r\n`, "header line"},
		{"refusal", `HTTP/1.1+403+F\r\n\r\n`, "refused with 403"},
		{"silence", ``, "EOF (fin)"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			verdict := verdictOf(t, func(tb testing.TB) { Dial(tb, addr, "/answer/"+tc.answer, Options{}) })
			if !strings.Contains(verdict, tc.want) {
				t.Errorf("verdict %q, want %q", verdict, tc.want)
			}
		})
	}
}

func TestClientCondemnsEnds(t *testing.T) {
	addr := startServer(t)
	for _, tc := range []struct {
		name string
		run  func(tb testing.TB)
		want string
	}{
		{"second answer", func(tb testing.TB) {
			DialRefused(tb, addr, `/answer/HTTP/1.1+401+U\r\nContent-Length:+0\r\n\r\nHTTP/1.1+401+U\r\n\r\n`, Options{}, 401)
		}, "content length"},
		{"other status", func(tb testing.TB) {
			DialRefused(tb, addr, `/answer/HTTP/1.1+401+U\r\n\r\n`, Options{}, 403)
		}, "want 403"},
		{"reset for an orderly end", func(tb testing.TB) { Dial(tb, addr, "/reset", Options{}).ExpectEOF() }, "ended with rst"},
		{"bytes for an end", func(tb testing.TB) { Dial(tb, addr, "/ping", Options{}).ExpectEOF() }, "more bytes"},
		{"other close code", func(tb testing.TB) { Dial(tb, addr, "/close/4403", Options{}).ExpectClose(1001) }, "have 4403"},
		{"close for a message", func(tb testing.TB) { Dial(tb, addr, "/close/4403", Options{}).ReadMessage() }, "closed with 4403"},
		{"something for nothing", func(tb testing.TB) {
			c := Dial(tb, addr, "/", Options{})
			c.SendText("x")
			c.ExpectNothing()
		}, "want nothing"},
		{"deadline", func(tb testing.TB) {
			Dial(tb, addr, "/", Options{Timeout: 20 * time.Millisecond}).ReadMessage()
		}, "within 20ms"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if verdict := verdictOf(t, tc.run); !strings.Contains(verdict, tc.want) {
				t.Errorf("verdict %q, want %q", verdict, tc.want)
			}
		})
	}
}

// FuzzParseFrame cuts input anywhere: the same frames and the same verdict come out.
func FuzzParseFrame(f *testing.F) {
	for _, seed := range []string{"\x81\x05hello", "\x81\x7e\x00\x80", "\x88\x02\x03\xe8", "\x01\x01a\x80\x01b", "\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"} {
		f.Add([]byte(seed), uint8(1))
	}
	f.Fuzz(func(t *testing.T, data []byte, step uint8) {
		whole := transcript(data, len(data))
		if pieces := transcript(data, int(step%7)+1); whole != pieces {
			t.Errorf("whole %q, in pieces %q", whole, pieces)
		}
	})
}

// transcript feeds data in pieces of step bytes and writes down what came out.
func transcript(data []byte, step int) string {
	var out strings.Builder
	var pending []byte
	var seq sequence
	for len(data) > 0 {
		n := min(step, len(data))
		pending, data = append(pending, data[:n]...), data[n:]
		for {
			f, n, err := parseFrame(pending)
			if err == nil && n > 0 {
				var op ws.OpCode
				var message []byte
				var whole bool
				op, message, whole, err = seq.add(f)
				fmt.Fprintf(&out, "%d %q %v;", op, message, whole)
			}
			if err != nil {
				return out.String() + err.Error()
			}
			if n == 0 {
				break
			}
			pending = pending[n:]
		}
	}
	return out.String()
}
