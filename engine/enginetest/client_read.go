package enginetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/gobwas/ws"
)

// This file reads: HTTP answers, frames and messages, with the automatic answers of a well-behaved client.

// ReadHTTP reads one refusal: status, headers, and the body until the server closes. It fails the test if
// the answer is malformed, if it is a 101, or if more follows than one answer.
func (c *Client) ReadHTTP() *Answer {
	c.tb.Helper()
	a, err := c.readHead()
	if err != nil {
		c.tb.Fatalf("read an HTTP answer: %v", err)
	}
	if a.Status == 101 {
		c.tb.Fatalf("read an HTTP answer: upgraded, want a refusal")
	}
	for deadline := c.deadline(); err == nil; {
		err = c.fill(deadline)
	}
	if !errors.Is(err, io.EOF) {
		c.tb.Fatalf("read the end after %d: %v", a.Status, err)
	}
	a.Body, a.End, c.in = c.in, c.end, nil
	if err := a.checkBody(); err != nil {
		c.tb.Fatalf("answer %d: %v", a.Status, err)
	}
	return a
}

func (c *Client) readHead() (*Answer, error) {
	deadline := c.deadline()
	for {
		a, n, err := parseAnswer(c.in)
		if err != nil {
			return nil, err
		}
		if n > 0 {
			c.in = c.in[n:]
			return a, nil
		}
		if err := c.fill(deadline); err != nil {
			return nil, fmt.Errorf("%w (%s) after %q", err, c.end, c.in)
		}
	}
}

// ReadFrame reads the next frame, whatever it is. Pings and the first close frame are answered before it
// returns, unless the options say otherwise. The payload is the caller's.
func (c *Client) ReadFrame() Frame {
	c.tb.Helper()
	f, _, err := c.next(c.deadline())
	if err != nil {
		c.tb.Fatalf("read a frame: %v", err)
	}
	return f
}

// message is a whole data message that the last frame completed; op is 0 if it completed none.
type message struct {
	op      ws.OpCode
	payload []byte
}

// next is ReadFrame with an error, io.EOF at the end of the connection.
func (c *Client) next(deadline time.Time) (Frame, message, error) {
	for {
		f, n, err := parseFrame(c.in)
		if err != nil {
			return f, message{}, err
		}
		if n == 0 {
			if err := c.fill(deadline); err != nil {
				return f, message{}, c.ended(err)
			}
			continue
		}
		// A copy: c.in is reused as soon as it is empty, and the caller may keep the payload.
		f.Payload = append([]byte(nil), f.Payload...)
		c.consume(n)
		op, payload, whole, err := c.seq.add(f)
		if err != nil {
			return f, message{}, err
		}
		if err := c.answer(f); err != nil {
			return f, message{}, err
		}
		if !whole {
			return f, message{}, nil
		}
		if f.Op == ws.OpContinuation {
			payload = append([]byte(nil), payload...)
		}
		return f, message{op, payload}, nil
	}
}

func (c *Client) ended(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("connection ended (%s) with %d bytes of a frame: %w", c.end, len(c.in), err)
	}
	return err
}

func (c *Client) consume(n int) {
	if c.in = c.in[n:]; len(c.in) == 0 {
		c.in = nil
	}
}

// answer does what RFC 6455 asks of an endpoint: a pong for a ping (5.5.2), a close for a close (5.5.1).
func (c *Client) answer(f Frame) error {
	switch {
	case f.Op == ws.OpPing && !c.opts.NoPong && !c.barred:
		return c.write(AppendFrame(nil, Frame{Fin: true, Op: ws.OpPong, Payload: f.Payload}, true))
	case f.Op == ws.OpClose && !c.opts.NoCloseReply && !c.barred:
		c.barred = true
		return c.write(AppendFrame(nil, Frame{Fin: true, Op: ws.OpClose, Payload: f.Payload}, true))
	}
	return nil
}

// ReadMessage reads the next data message, its fragments joined; control frames on the way are only
// answered. A close frame or the end of the connection fails the test.
func (c *Client) ReadMessage() (ws.OpCode, []byte) {
	c.tb.Helper()
	op, payload, err := c.Receive()
	if err != nil {
		c.tb.Fatalf("read a message: %v", err)
	}
	return op, payload
}

// Receive is ReadMessage for goroutines that must not call FailNow: it returns what went wrong. A close
// frame is a [*ClosedError], the end of the connection wraps io.EOF.
func (c *Client) Receive() (ws.OpCode, []byte, error) {
	for deadline := c.deadline(); ; {
		f, m, err := c.next(deadline)
		if err != nil {
			return 0, nil, err
		}
		if f.Op == ws.OpClose {
			return 0, nil, &ClosedError{Code: f.CloseCode(), Reason: f.CloseReason()}
		}
		if m.op != 0 {
			return m.op, m.payload, nil
		}
	}
}

// ClosedError is a close frame where a message was due.
type ClosedError struct {
	Code   int
	Reason string
}

// Error names the code and the server's reason.
func (e *ClosedError) Error() string { return fmt.Sprintf("closed with %d %q", e.Code, e.Reason) }

// ReadJSON reads the next message, which must be a text message holding one JSON object.
func (c *Client) ReadJSON() map[string]any {
	c.tb.Helper()
	op, payload := c.ReadMessage()
	var object map[string]any
	if err := json.Unmarshal(payload, &object); err != nil || op != ws.OpText || object == nil {
		c.tb.Fatalf("want a JSON object as text, have opcode %d %q (%v)", op, payload, err)
	}
	return object
}

// SendJSON sends v as one text message.
func (c *Client) SendJSON(v any) {
	c.tb.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		c.tb.Fatalf("encode %T: %v", v, err)
	}
	c.SendText(string(text))
}
