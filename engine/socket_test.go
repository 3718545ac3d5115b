//go:build linux

package engine

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/roost-ws/roost/engine/enginetest"
)

// TestSocketOptions looks at an accepted socket: what it needs is set on the listener and has to be inherited.
func TestSocketOptions(t *testing.T) {
	s, addr := serve(t, func(o *Options) { o.Loops = 1 })
	c := enginetest.Dial(t, addr, "/raw/a", enginetest.Options{})
	c.SendText("x")
	c.ExpectText("x")
	got := make(chan map[string]int, 1)
	s.loops[0].mailbox.post(letter{kind: letterCall, call: func(l *Loop) {
		options := map[string]int{}
		for slot := range l.conns.slots() {
			if c := l.conns.at(slot); c.phase == phaseOpen {
				for name, option := range map[string]int{"TCP_USER_TIMEOUT": unix.TCP_USER_TIMEOUT,
					"TCP_NOTSENT_LOWAT": unix.TCP_NOTSENT_LOWAT, "TCP_NODELAY": unix.TCP_NODELAY} {
					options[name], _ = unix.GetsockoptInt(c.gc.Fd(), unix.IPPROTO_TCP, option)
				}
			}
		}
		got <- options
	}})
	options := <-got
	for name, want := range map[string]int{"TCP_USER_TIMEOUT": int(userTimeout / time.Millisecond),
		"TCP_NOTSENT_LOWAT": notSentLowat, "TCP_NODELAY": 1} {
		if options[name] != want {
			t.Errorf("%s is %d, want %d", name, options[name], want)
		}
	}
}

// TestSlim holds what slim.go relies on against the gnet in use: if it fails, a connection costs 128 bytes more.
func TestSlim(t *testing.T) {
	s, addr := serve(t, func(o *Options) { o.Loops = 1 })
	enginetest.Dial(t, addr, "/raw/a", enginetest.Options{SourceIP: "127.0.0.9"})
	type found struct {
		slimmer slimmer
		address string
		remote  bool
	}
	got := make(chan found, 1)
	s.loops[0].mailbox.post(letter{kind: letterCall, call: func(l *Loop) {
		f := found{slimmer: l.slimmer}
		for slot := range l.conns.slots() {
			if c := l.conns.at(slot); c.phase == phaseOpen {
				f.address, f.remote = c.address(l).String(), c.gc.RemoteAddr() != nil
			}
		}
		got <- f
	}})
	f := <-got
	if f.slimmer.local == 0 || f.slimmer.remote == 0 || f.slimmer.socket == 0 || f.remote {
		t.Errorf("gnet's connection has other fields than slim.go knows: %+v, remote address kept: %v", f.slimmer, f.remote)
	}
	if f.address != "127.0.0.9" {
		t.Errorf("address %s", f.address)
	}
}

// TestConnBytes pins the size of a connection: each byte more costs a megabyte for a million of them.
func TestConnBytes(t *testing.T) {
	if connBytes != 104 {
		t.Errorf("a Conn has %d bytes, want 104", connBytes)
	}
}

// TestOldHealthCheck sends what HAProxy sends by default.
func TestOldHealthCheck(t *testing.T) {
	_, addr := serve(t, nil)
	for request, status := range map[string]int{
		"GET /readyz HTTP/1.0\r\n\r\n":              200,
		"GET /healthz HTTP/1.0\r\nA: b\r\n\r\n":     200,
		"GET /ws HTTP/1.0\r\n\r\n":                  505,
		"HEAD /readyz HTTP/1.0\r\n\r\n":             505,
		"GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n":   200,
		"GET /readyz HTTP/1.1\r\n\r\n":              400,
		"GET /readyz/x HTTP/1.0\r\nHost: a\r\n\r\n": 505,
	} {
		c := enginetest.DialRaw(t, addr, enginetest.Options{})
		c.SendRaw([]byte(request))
		if a := c.ReadHTTP(); a.Status != status {
			t.Errorf("%q: %d, want %d", request, a.Status, status)
		}
	}
}
