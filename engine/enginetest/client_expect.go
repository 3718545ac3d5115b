package enginetest

import (
	"errors"
	"fmt"
	"io"

	"github.com/gobwas/ws"
)

// This file holds the expectations of table tests: each reads until it is met and fails the test otherwise.

// ExpectType reads the next message, which must be a JSON object whose "type" is typ, and returns it.
func (c *Client) ExpectType(typ string) map[string]any {
	c.tb.Helper()
	object := c.ReadJSON()
	if object["type"] != typ {
		c.tb.Fatalf("want type %q, have %v", typ, object)
	}
	return object
}

// WaitType reads on until a message of type typ and returns it; messages of other types are skipped.
func (c *Client) WaitType(typ string) map[string]any {
	c.tb.Helper()
	for {
		if object := c.ReadJSON(); object["type"] == typ {
			return object
		}
	}
}

// ExpectText reads the next message, which must be this text.
func (c *Client) ExpectText(text string) {
	c.tb.Helper()
	if op, payload := c.ReadMessage(); op != ws.OpText || string(payload) != text {
		c.tb.Fatalf("want text %q, have opcode %d %q", text, op, payload)
	}
}

// ExpectBinary reads the next message, which must be binary and hold exactly payload.
func (c *Client) ExpectBinary(payload []byte) {
	c.tb.Helper()
	if op, got := c.ReadMessage(); op != ws.OpBinary || string(got) != string(payload) {
		c.tb.Fatalf("want binary %q, have opcode %d %q", payload, op, got)
	}
}

// ExpectPong reads on until a pong, which must carry payload; data messages are skipped.
func (c *Client) ExpectPong(payload string) {
	c.tb.Helper()
	for {
		if f := c.ReadFrame(); f.Op == ws.OpPong {
			if string(f.Payload) != payload {
				c.tb.Fatalf("want pong %q, have %q", payload, f.Payload)
			}
			return
		}
	}
}

// ExpectNothing makes sure that the server has nothing more to say: it sends a ping, and the pong must be
// the next frame. It needs no waiting, but sees only what was already on its way when the ping was read.
func (c *Client) ExpectNothing() {
	c.tb.Helper()
	c.pings++
	mark := fmt.Sprintf("nothing-%d", c.pings)
	c.SendPing(mark)
	for {
		f := c.ReadFrame()
		if f.Op == ws.OpPing {
			continue
		}
		if f.Op != ws.OpPong || string(f.Payload) != mark {
			c.tb.Fatalf("want nothing, have opcode %d %q", f.Op, f.Payload)
		}
		return
	}
}

// ExpectClose reads on until the close frame, which must carry code, and returns its reason. Messages and
// pings before it are skipped; a connection that ends without one fails the test.
func (c *Client) ExpectClose(code int) (reason string) {
	c.tb.Helper()
	for {
		f := c.ReadFrame()
		if f.Op != ws.OpClose {
			continue
		}
		if f.CloseCode() != code {
			c.tb.Fatalf("want close %d, have %d %q", code, f.CloseCode(), f.CloseReason())
		}
		return f.CloseReason()
	}
}

// ExpectEOF waits for an orderly end (FIN) and fails the test on more bytes or on a RST.
func (c *Client) ExpectEOF() { c.tb.Helper(); c.expectEnd(EndFIN) }

// ExpectReset waits for a RST and fails the test on more bytes or on an orderly end.
func (c *Client) ExpectReset() { c.tb.Helper(); c.expectEnd(EndRST) }

func (c *Client) expectEnd(want End) {
	c.tb.Helper()
	var err error
	if len(c.in) == 0 {
		err = c.fill(c.deadline())
	}
	switch {
	case len(c.in) > 0:
		c.tb.Fatalf("want the end (%s), have %d more bytes: %q", want, len(c.in), c.in)
	case !errors.Is(err, io.EOF):
		c.tb.Fatalf("want the end (%s): %v", want, err)
	case c.end != want:
		c.tb.Fatalf("connection ended with %s, want %s", c.end, want)
	}
}

// ExpectEnd waits for the end of the connection, orderly or not, skipping whatever still arrives.
func (c *Client) ExpectEnd() End {
	c.tb.Helper()
	var err error
	for deadline := c.deadline(); err == nil; c.in = nil {
		err = c.fill(deadline)
	}
	if !errors.Is(err, io.EOF) {
		c.tb.Fatalf("want the end: %v", err)
	}
	return c.end
}

// CloseHandshake closes as RFC 6455 section 7 wants it: our close frame, the server's with the same code, FIN.
func (c *Client) CloseHandshake(code int) {
	c.tb.Helper()
	c.SendClose(code, "")
	c.ExpectClose(code)
	c.ExpectEOF()
}
