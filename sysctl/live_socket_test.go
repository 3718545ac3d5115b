package sysctl

import (
	"net"
	"os"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// up brings the loopback interface of this namespace up; down has what is sent go unacknowledged.
func up(t *testing.T)   { t.Helper(); setLoopback(t, unix.IFF_UP) }
func down(t *testing.T) { t.Helper(); setLoopback(t, 0) }

func setLoopback(t *testing.T, flags uint16) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	request, err := unix.NewIfreq("lo")
	if err != nil {
		t.Fatal(err)
	}
	request.SetUint16(flags)
	if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
		t.Fatal(err)
	}
}

// TestLiveSockets: connections to a listener on all addresses are counted, which are sockets of IPv6.
func TestLiveSockets(t *testing.T) {
	if !inNamespace(t, unix.CLONE_NEWNET) {
		return
	}
	up(t)
	before := Sample("/")
	if before.Sockets != known(0) {
		t.Fatalf("a new namespace has %+v", before.Sockets)
	}
	listener, err := net.Listen("tcp", ":8080")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	const many = 50
	for range many {
		client, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		server, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
	}
	if now := Sample("/"); now.Sockets != known(2*many+1) || now.Established != known(2*many) || now.Opened != known(2*many) {
		t.Errorf("of %d connections: sockets %+v, established %+v, opened %+v", many, now.Sockets, now.Established, now.Opened)
	}
}

// TestLivePage is what the arithmetic of tcp_mem rests on: a publication that nobody has acknowledged yet takes one
// page of its socket, as long as it is a usual one.
func TestLivePage(t *testing.T) {
	if !inNamespace(t, unix.CLONE_NEWNET) {
		return
	}
	up(t)
	listener, err := net.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, size := range []int{125, 1000, 2000} {
		client, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		server, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer server.Close()
		down(t)
		if _, err := server.Write(make([]byte, size)); err != nil {
			t.Fatal(err)
		}
		if pages := socketPages(t, server.(*net.TCPConn)); pages != 1 {
			t.Errorf("%d bytes take %.2f pages", size, pages)
		}
		up(t)
	}
}

// socketPages is what a socket has of the memory of TCP (SO_MEMINFO): what is queued and what is kept for more.
func socketPages(t *testing.T, conn *net.TCPConn) float64 {
	t.Helper()
	const optionMeminfo, received, queued, spare = 55, 0, 5, 4
	raw, err := conn.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var pages float64
	if err := raw.Control(func(fd uintptr) {
		var values [9]uint32
		length := uint32(unsafe.Sizeof(values))
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, optionMeminfo,
			uintptr(unsafe.Pointer(&values)), uintptr(unsafe.Pointer(&length)), 0)
		if errno != 0 {
			t.Errorf("SO_MEMINFO: %v", errno)
		}
		t.Logf("received %d, queued %d, spare %d", values[received], values[queued], values[spare])
		pages = float64(values[received]+values[queued]+values[spare]) / float64(os.Getpagesize())
	}); err != nil {
		t.Fatal(err)
	}
	return pages
}

// TestLiveOverflows fills an accept queue until the kernel counts who found it full.
func TestLiveOverflows(t *testing.T) {
	if !inNamespace(t, unix.CLONE_NEWNET) {
		return
	}
	up(t)
	if err := tree("/").write(sysctlPath("net.core.somaxconn"), "1"); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	row := func() *Row { return find(t, Check(Read("/", properProcess), proper), "listen_overflows") }
	if r := row(); r.Verdict != Pass {
		t.Fatalf("before: %+v", r)
	}
	for deadline := time.Now().Add(10 * time.Second); row().Verdict != Warn; {
		if time.Now().After(deadline) {
			t.Fatalf("nobody found the queue full: %+v", row())
		}
		if client, err := net.DialTimeout("tcp", listener.Addr().String(), 100*time.Millisecond); err == nil {
			defer client.Close()
		}
	}
}
