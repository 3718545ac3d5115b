package engine

import (
	"net"
	"reflect"
	"unsafe"

	"github.com/panjf2000/gnet/v2"
)

// gnet keeps three address objects for each connection: the local address, which is the same for thousands of
// them, the remote one, which we keep in four bytes, and a socket address that only datagrams need. Together
// they are 128 bytes of heap, a fifth of an idle connection. There is no API to let go of them, so this file
// does, by the fields' names: where a field is missing or has another type than in the gnet that this was
// written for, that object stays and nothing else changes. A test fails when that happens.

// slimmer knows where in gnet's connection the addresses are.
type slimmer struct {
	kind                  reflect.Type // *gnet.conn
	local, remote, socket uintptr      // offsets; 0 = not found (a pointer field is never first)
}

var (
	addrType     = reflect.TypeFor[net.Addr]()
	sockaddrName = "Sockaddr"
)

// newSlimmer looks at one connection's type.
func newSlimmer(gc gnet.Conn) slimmer {
	s := slimmer{kind: reflect.TypeOf(gc)}
	if s.kind.Kind() != reflect.Pointer || s.kind.Elem().Kind() != reflect.Struct {
		return s
	}
	conn := s.kind.Elem()
	if f, ok := conn.FieldByName("localAddr"); ok && f.Type == addrType {
		s.local = f.Offset
	}
	if f, ok := conn.FieldByName("remoteAddr"); ok && f.Type == addrType {
		s.remote = f.Offset
	}
	if f, ok := conn.FieldByName("remote"); ok && f.Type.Kind() == reflect.Interface && f.Type.Name() == sockaddrName {
		s.socket = f.Offset
	}
	return s
}

// slim lets go of a connection's addresses, but for the remote one of IPv6, which has no place in a Conn. It has
// to be called on the loop, before anything else can ask for them; gnet itself does not, for a stream.
func (c *Conn) slim(l *Loop) {
	if l.slimmer.kind == nil {
		l.slimmer = newSlimmer(c.gc)
	}
	s := &l.slimmer
	if reflect.TypeOf(c.gc) != s.kind {
		return
	}
	base := reflect.ValueOf(c.gc).UnsafePointer()
	if a, ok := c.gc.RemoteAddr().(*net.TCPAddr); ok && s.remote != 0 {
		if ip := a.IP.To4(); ip != nil {
			copy(c.ip4[:], ip)
			*(*net.Addr)(unsafe.Add(base, s.remote)) = nil
		}
	}
	if s.local != 0 {
		if a, ok := c.gc.LocalAddr().(*net.TCPAddr); ok {
			*(*net.Addr)(unsafe.Add(base, s.local)) = l.sharedLocal(a)
		}
	}
	if s.socket != 0 {
		*(*any)(unsafe.Add(base, s.socket)) = nil
	}
}

// sharedLocal is one address object for all connections that came to the same address in a row.
func (l *Loop) sharedLocal(a *net.TCPAddr) *net.TCPAddr {
	if s := l.localAddr; s == nil || s.Port != a.Port || s.Zone != a.Zone || !s.IP.Equal(a.IP) {
		l.localAddr = a
	}
	return l.localAddr
}
