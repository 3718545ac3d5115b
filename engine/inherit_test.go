package engine

// Listeners that whoever started the process has opened, and numbers behind which there is none.

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/fanout"
)

// inherited opens a listener and returns the number of a descriptor for it that nothing in this process owns, which
// is what a process is started with.
func inherited(t *testing.T, network, address string) (number int, addr net.Addr) {
	t.Helper()
	plain := net.ListenConfig{}
	plain.SetMultipathTCP(false)
	l, err := plain.Listen(t.Context(), network, address)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	f, err := l.(interface{ File() (*os.File, error) }).File()
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if number, err = unix.Dup(int(f.Fd())); err != nil {
		t.Fatal(err)
	}
	return number, l.Addr()
}

// TestInheritedListeners: several, in any order and with one of our own among them, all serve, and end with the server.
func TestInheritedListeners(t *testing.T) {
	first, firstAt := inherited(t, "tcp", "127.0.0.1:0")
	second, secondAt := inherited(t, "tcp", "127.0.0.1:0")
	s, _ := serve(t, func(o *Options) {
		o.Listen = []string{fmt.Sprint("fd:", second), "127.0.0.1:0", fmt.Sprint("fd:", first)}
	})
	at := s.Addresses()
	if len(at) != 3 || at[0].String() != secondAt.String() || at[2].String() != firstAt.String() {
		t.Fatalf("listens on %v, want %v, one of its own, %v", at, secondAt, firstAt)
	}
	for _, addr := range at {
		c := enginetest.Dial(t, addr.String(), "/raw/a", enginetest.Options{})
		c.SendText("hello")
		c.ExpectText("hello")
		c.CloseHandshake(1000)
	}
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	for _, addr := range at {
		if c, err := net.Dial("tcp", addr.String()); err == nil {
			c.Close()
			t.Errorf("%v still listens", addr)
		}
	}
}

// TestNotInherited: a number with something else behind it is refused, and that something stays as it was.
func TestNotInherited(t *testing.T) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(socket)
	multipath, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_MPTCP)
	if err == nil {
		defer unix.Close(multipath)
		err = unix.Listen(multipath, 1) // on a free port
	}
	if err != nil {
		multipath = -1
	}
	local, _ := inherited(t, "unix", filepath.Join(t.TempDir(), "socket"))
	good, goodAt := inherited(t, "tcp", "127.0.0.1:0")
	for _, c := range []struct {
		name string
		fd   int
		left bool // is still open afterwards
	}{
		{"not open", 1 << 19, false},
		{"a file", int(file.Fd()), true},
		{"a socket that does not listen", socket, true},
		{"a listener of multipath TCP", multipath, true},
		{"a local listener", local, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.fd < 0 {
				t.Skip("this kernel has none")
			}
			s, err := New(Options{Listen: []string{"127.0.0.1:0", fmt.Sprint("fd:", c.fd)}, Node: "test",
				Broker: fanout.NewMemory(), Log: slog.New(slog.DiscardHandler)})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Start(); !errors.Is(err, ErrNotInherited) {
				t.Errorf("started with %v", err)
			}
			if _, err := unix.FcntlInt(uintptr(c.fd), unix.F_GETFD, 0); (err == nil) != c.left {
				t.Errorf("descriptor afterwards: %v", err)
			}
			if at := s.Addresses(); len(at) != 0 {
				t.Errorf("listens on %v", at)
			}
		})
	}

	// One that is refused takes those before it along.
	s, err := New(Options{Listen: []string{fmt.Sprint("fd:", good), fmt.Sprint("fd:", 1<<19)}, Node: "test",
		Broker: fanout.NewMemory(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Start(); !errors.Is(err, ErrNotInherited) {
		t.Errorf("started with %v", err)
	}
	if c, err := net.Dial("tcp", goodAt.String()); err == nil {
		c.Close()
		t.Error("a listener is left behind")
	}
}
