package engine

// Panics on a loop: the connection concerned ends with 1011, everybody else goes on, and nothing of what a client
// sent gets into the log.

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/protocol"
)

// fragile is a codec that breaks over certain messages.
type fragile struct{ protocol.Codec }

func (f fragile) Decode(message []byte, bin bool, c *protocol.Command) (protocol.ErrorCode, string) {
	switch {
	case bytes.Contains(message, []byte("index")):
		_ = message[len(message)+c.Limit]
	case bytes.Contains(message, []byte("value")):
		panic("canary " + string(message))
	case bytes.Contains(message, []byte("error")):
		panic(errors.New("canary " + string(message)))
	}
	return f.Codec.Decode(message, bin, c)
}

func TestPanicEndsOneConnection(t *testing.T) {
	var log enginetest.Log
	s, addr := serve(t, func(o *Options) { o.Loops = 1; o.Log = slog.New(slog.NewTextHandler(&log, nil)) })
	if err := s.each(t.Context(), func(l *Loop, done func()) {
		l.codecs[dialectV1] = fragile{l.codecs[dialectV1]}
		done()
	}); err != nil {
		t.Fatal(err)
	}
	other := newBystander(t, addr, enginetest.Options{})
	for _, c := range []struct {
		name string
		send func(c *enginetest.Client)
		log  string
	}{
		{"runtime error", func(c *enginetest.Client) { c.SendText("index canary") }, "index out of range"},
		{"value", func(c *enginetest.Client) { c.SendText("value canary") }, "a value of type string"},
		{"error", func(c *enginetest.Client) { c.SendText("error canary") }, "*errors.errorString"},
		{"in fragments", func(c *enginetest.Client) {
			c.SendFrame(enginetest.Frame{Op: ws.OpText, Payload: []byte("va")}, true)
			round(t, s)
			c.SendFrame(enginetest.Frame{Fin: true, Op: ws.OpContinuation, Payload: []byte("lue canary")}, true)
		}, "a value of type string"},
		{"with more behind it", func(c *enginetest.Client) {
			frame := enginetest.TextFrame([]byte("value canary"))
			c.SendRaw(append(frame, bytes.Repeat([]byte{0xff}, 100)...))
		}, "a value of type string"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before, logged := scrape(s), len(log.String())
			client := dialV1(t, addr, "/ws?room=fenced", v1)
			c.send(client)
			client.ExpectClose(1011)
			other.mustBeServed()
			grew(t, s, before, 1, "roost_panics_total")
			grew(t, s, before, 1, closedSeries("internal"))
			text := log.String()[logged:]
			if !strings.Contains(text, c.log) || !strings.Contains(text, "contain_test.go") {
				t.Errorf("the log lacks the cause %q or where it was: %s", c.log, text)
			}
			if strings.Contains(text, "canary") {
				t.Errorf("what the client sent is in the log: %s", text)
			}
		})
	}
}

func TestPanicInALetter(t *testing.T) {
	s, addr := serve(t, nil)
	other := newBystander(t, addr, enginetest.Options{})
	before := scrape(s)
	for _, l := range s.loops {
		l.mailbox.post(letter{kind: letterCall, call: func(*Loop) { panic("a letter") }})
	}
	grew(t, s, before, float64(len(s.loops)), "roost_panics_total")
	other.mustBeServed()
}
