package enginetest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// This file opens clients and moves their bytes; client_read.go and client_expect.go say what they mean.

// Client is one strict WebSocket client on a real TCP connection. It belongs to one goroutine at a time.
// Each wait lasts at most the timeout of its [Options] and fails the test when it is over.
type Client struct {
	tb   testing.TB
	conn *net.TCPConn
	addr string
	opts Options

	in     []byte // received, not yet read as frames
	chunk  []byte
	end    End // how the connection ended, if it has
	seq    sequence
	barred bool // we have sent a close frame
	pings  int

	// Upgraded is the 101 after Dial or Upgrade.
	Upgraded *Answer
	// Subprotocol is the one that the server chose.
	Subprotocol string
}

// Dial opens a WebSocket connection to path at addr ("host:port") and fails the test unless the answer is a
// faultless 101. The connection is closed when the test ends.
func Dial(tb testing.TB, addr, path string, o Options) *Client {
	tb.Helper()
	c := DialRaw(tb, addr, o)
	c.Upgrade(path)
	return c
}

// DialRefused asks for a WebSocket connection and fails the test unless the server refuses with status,
// one whole answer, and an orderly end.
func DialRefused(tb testing.TB, addr, path string, o Options, status int) *Answer {
	tb.Helper()
	c := DialRaw(tb, addr, o)
	c.SendRaw(append(appendHead(nil, c.addr, path, newKey(), &c.opts), o.Early...))
	a := c.ReadHTTP()
	if a.Status != status {
		tb.Fatalf("refused with %d %q, want %d", a.Status, a.Body, status)
	}
	if a.End != EndFIN {
		tb.Fatalf("refusal %d ended with %s, want %s", status, a.End, EndFIN)
	}
	return a
}

// DialRaw opens nothing but the TCP connection, for tests that write the first bytes themselves.
func DialRaw(tb testing.TB, addr string, o Options) *Client {
	tb.Helper()
	dialer := net.Dialer{Timeout: o.timeout()}
	if o.SourceIP != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(o.SourceIP)}
	}
	conn, err := dialer.DialContext(tb.Context(), "tcp", addr)
	if err != nil {
		tb.Fatalf("dial %s: %v", addr, err)
	}
	c := &Client{tb: tb, conn: conn.(*net.TCPConn), addr: addr, opts: o, chunk: make([]byte, 4096)}
	tb.Cleanup(c.Close)
	return c
}

// Upgrade sends the upgrade request for path, which is what [Dial] does after [DialRaw].
func (c *Client) Upgrade(path string) {
	c.tb.Helper()
	key := newKey()
	c.SendRaw(append(appendHead(nil, c.addr, path, key, &c.opts), c.opts.Early...))
	a, err := c.readHead()
	if err != nil {
		c.tb.Fatalf("upgrade %s: %v", path, err)
	}
	if a.Status != 101 {
		c.tb.Fatalf("upgrade %s: refused with %d %v %q", path, a.Status, a.Header, c.in)
	}
	if err := checkUpgrade(a, key, &c.opts); err != nil {
		c.tb.Fatalf("upgrade %s: %v", path, err)
	}
	c.Upgraded, c.Subprotocol = a, a.Header.Get("Sec-WebSocket-Protocol")
	c.seq.extended = a.Header.Get("Sec-WebSocket-Extensions") != ""
}

// SetTimeout changes the bound of each later wait.
func (c *Client) SetTimeout(d time.Duration) { c.opts.Timeout = d }

// LocalAddr is this side's address, which is what the server sees.
func (c *Client) LocalAddr() *net.TCPAddr { return c.conn.LocalAddr().(*net.TCPAddr) }

// NetConn is the TCP connection itself, for socket options. The client stays its owner.
func (c *Client) NetConn() *net.TCPConn { return c.conn }

// Close ends the TCP connection without a close frame. It may be called more than once.
func (c *Client) Close() { c.conn.Close() }

// CloseWrite sends a FIN and leaves reading open.
func (c *Client) CloseWrite() {
	c.tb.Helper()
	if err := c.conn.CloseWrite(); err != nil {
		c.tb.Fatalf("close the writing side: %v", err)
	}
}

// Reset ends the TCP connection with a RST.
func (c *Client) Reset() {
	c.tb.Helper()
	if err := c.conn.SetLinger(0); err != nil {
		c.tb.Fatalf("reset: %v", err)
	}
	c.conn.Close()
}

// SendRaw writes b as it is. That the server has hung up meanwhile is no failure here: hostile bytes are
// often cut off in mid-write, and what the server said about them is found by reading.
func (c *Client) SendRaw(b []byte) {
	c.tb.Helper()
	if err := c.write(b); err != nil {
		c.tb.Fatalf("send %d bytes: %v", len(b), err)
	}
}

func (c *Client) write(b []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(c.opts.timeout())); err != nil {
		return err
	}
	_, err := c.conn.Write(b)
	switch {
	case errors.Is(err, syscall.ECONNRESET):
		// The kernel reports a reset once: the next read would call it an orderly end.
		c.end = EndRST
		return nil
	case errors.Is(err, syscall.EPIPE):
		return nil
	}
	return err
}

// SendFrame sends one frame exactly as described, legal or not.
func (c *Client) SendFrame(f Frame, masked bool) {
	c.tb.Helper()
	c.SendRaw(AppendFrame(nil, f, masked))
}

// SendText sends one text message.
func (c *Client) SendText(text string) {
	c.tb.Helper()
	c.SendRaw(TextFrame([]byte(text)))
}

// SendBinary sends one binary message. payload is not kept.
func (c *Client) SendBinary(payload []byte) {
	c.tb.Helper()
	c.SendRaw(BinaryFrame(payload))
}

// SendPing sends a ping with at most 125 bytes.
func (c *Client) SendPing(payload string) {
	c.tb.Helper()
	c.SendFrame(Frame{Fin: true, Op: ws.OpPing, Payload: []byte(payload)}, true)
}

// SendClose starts the close handshake; code 0 sends a close frame without a body.
func (c *Client) SendClose(code int, reason string) {
	c.tb.Helper()
	c.barred = true
	c.SendRaw(CloseFrame(code, reason))
}

// fill reads once from the connection, until deadline. After the end it returns io.EOF.
func (c *Client) fill(deadline time.Time) error {
	if c.end == EndFIN {
		return io.EOF
	}
	if err := c.conn.SetReadDeadline(deadline); err != nil {
		return err
	}
	n, err := c.conn.Read(c.chunk)
	c.in = append(c.in, c.chunk[:n]...)
	switch {
	case n > 0:
		return nil
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF) && c.end == EndRST:
		c.end = EndRST
		return io.EOF
	case errors.Is(err, io.EOF):
		c.end = EndFIN
		return io.EOF
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("nothing from the server within %v", c.opts.timeout())
	}
	return err
}

func (c *Client) deadline() time.Time { return time.Now().Add(c.opts.timeout()) }
