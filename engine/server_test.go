package engine

import (
	"log/slog"
	"os"
	"testing"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/engine/ratelimit"
	"github.com/roost-ws/roost/fanout"
)

// TestMain lets this binary serve as the client process of tests that need one of its own.
func TestMain(m *testing.M) {
	enginetest.MaybeChild()
	maybeServer()
	os.Exit(m.Run())
}

// serve starts a server on a free port of loopback, with anything of the options changed by edit.
func serve(t testing.TB, edit func(*Options)) (*Server, string) {
	t.Helper()
	limits := DefaultLimits()
	limits.Messages = ratelimit.Rate{}
	limits.Connections = 4000
	o := Options{
		Listen: []string{"127.0.0.1:0"},
		Loops:  2,
		Node:   "test",
		Broker: fanout.NewMemory(),
		Limits: limits,
		Log:    slog.New(slog.DiscardHandler),
	}
	if edit != nil {
		edit(&o)
	}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Stop() })
	return s, s.Addresses()[0].String()
}

func TestRawEcho(t *testing.T) {
	_, addr := serve(t, nil)
	c := enginetest.Dial(t, addr, "/raw/a.room", enginetest.Options{})
	c.SendText("hello")
	c.ExpectText("hello")
	c.SendBinary([]byte{1, 2, 3})
	c.ExpectBinary([]byte{1, 2, 3})
	c.SendText("")
	c.ExpectText("")
	c.CloseHandshake(1000)
}

func TestRoomOfTwo(t *testing.T) {
	_, addr := serve(t, nil)
	o := enginetest.Options{Subprotocols: []string{"roost.v1"}}
	a := enginetest.Dial(t, addr, "/ws", o)
	b := enginetest.Dial(t, addr, "/ws?room=chat", o)
	a.ExpectType("welcome")
	if w := b.ExpectType("welcome"); w["rooms"].([]any)[0] != "chat" {
		t.Fatalf("welcome %v", w)
	}
	a.SendText(`{"type":"join","room":"chat","id":1}`)
	a.ExpectType("joined")
	a.SendText(`{"type":"publish","room":"chat","id":"x","data":{"n":1.0}}`)
	a.ExpectType("published")
	if m := a.ExpectType("message"); m["room"] != "chat" {
		t.Fatalf("message %v", m)
	}
	b.ExpectType("message")
	b.SendText(`{"type":"publish","room":"chat","echo":false,"data":2}`)
	a.ExpectType("message")
	b.SendText(`{"type":"ping","id":7}`)
	b.ExpectType("pong")
	b.SendText(`{"type":"leave","room":"chat","id":8}`)
	b.ExpectType("left")
	a.CloseHandshake(1000)
	b.CloseHandshake(1000)
}
