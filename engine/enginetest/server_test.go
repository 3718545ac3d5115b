package enginetest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// This file is the server that the tests of this package talk to: one goroutine a connection, told by the
// path what to do. It is simple enough to be trusted, and it can be made to break every rule.

// startServer serves on loopback until tb ends.
func startServer(tb testing.TB) (addr string) {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go serve(conn.(*net.TCPConn))
		}
	}()
	return listener.Addr().String()
}

// serve upgrades and then does what the path says; an error ends the connection.
func serve(conn *net.TCPConn) {
	defer conn.Close()
	var path string
	upgrader := ws.Upgrader{
		OnRequest: func(uri []byte) error {
			path = string(uri)
			if status, ok := strings.CutPrefix(path, "/refuse/"); ok {
				code, _ := strconv.Atoi(status)
				return ws.RejectConnectionError(ws.RejectionStatus(code), ws.RejectionReason("no"))
			}
			return nil
		},
		Protocol: func(p []byte) bool { return string(p) == "roost.v1" },
	}
	in := bufio.NewReader(conn)
	head, err := readHead(in)
	if err != nil {
		return
	}
	if raw, ok := rawAnswer(head); ok {
		io.WriteString(conn, raw)
		return
	}
	if _, err := upgrader.Upgrade(struct {
		io.Reader
		io.Writer
	}{strings.NewReader(head), conn}); err != nil {
		return
	}
	verb, argument, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch verb {
	case "reset":
		conn.SetLinger(0)
		return
	case "close":
		code, _ := strconv.Atoi(argument)
		conn.Write(ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(code), "as asked"))))
		for {
			if h, _, err := readFrame(in); err != nil || h.OpCode == ws.OpClose {
				return
			}
		}
	case "ping":
		conn.Write(ws.MustCompileFrame(ws.NewPingFrame([]byte("are you there"))))
	case "bytes":
		raw, _ := strconv.Unquote(`"` + argument + `"`)
		io.WriteString(conn, raw)
	case "flood":
		// It writes until the client's side takes no more, which is what a client that reads slowly is for.
		frame := ws.MustCompileFrame(ws.NewTextFrame([]byte(strings.Repeat("x", 1000))))
		for range 200 {
			if _, err := conn.Write(frame); err != nil {
				return
			}
		}
	}
	echo(conn, in)
}

// readHead reads exactly the request, because frames may follow in the same segment.
func readHead(in *bufio.Reader) (string, error) {
	var head strings.Builder
	for {
		line, err := in.ReadString('\n')
		head.WriteString(line)
		if err != nil || line == "\r\n" {
			return head.String(), err
		}
	}
}

// rawAnswer is the answer of a request whose path is "/answer/" and a quoted text.
func rawAnswer(head string) (answer string, ok bool) {
	quoted, ok := strings.CutPrefix(head, "GET /answer/")
	if !ok {
		return "", false
	}
	quoted, _, _ = strings.Cut(quoted, " HTTP/")
	answer, err := strconv.Unquote(`"` + strings.ReplaceAll(quoted, "+", " ") + `"`)
	return answer, err == nil
}

// echo sends messages back, answers pings with pongs, and says "pong" for a pong.
func echo(conn net.Conn, in *bufio.Reader) {
	for {
		h, payload, err := readFrame(in)
		if err != nil {
			return
		}
		out := ws.Frame{Header: ws.Header{Fin: h.Fin, OpCode: h.OpCode, Length: h.Length}, Payload: payload}
		switch h.OpCode {
		case ws.OpPing:
			out.Header.OpCode = ws.OpPong
		case ws.OpPong:
			out = ws.NewTextFrame(fmt.Appendf(nil, "pong %s", payload))
		}
		if _, err := conn.Write(ws.MustCompileFrame(out)); err != nil || h.OpCode == ws.OpClose {
			return
		}
	}
}

func readFrame(in *bufio.Reader) (ws.Header, []byte, error) {
	h, err := ws.ReadHeader(in)
	if err != nil {
		return h, nil, err
	}
	payload := make([]byte, h.Length)
	_, err = io.ReadFull(in, payload)
	ws.Cipher(payload, h.Mask, 0)
	return h, payload, err
}
