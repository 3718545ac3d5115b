package engine

import (
	"fmt"
	"net"
	"os"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// pacer lets a loop go on with a long walk, or with connections that wait (postpone.go), after the other connections of
// the round have had their turn.
//
// A task that queues itself again would run in the same round and starve every socket; a goroutine or a timer
// would wait for a scheduler that a busy loop leaves little of. So the loop owns a pair of sockets: it writes a
// byte into one, and the other, which is enrolled like a connection, becomes readable in the next round beside
// whatever else did. Its event queues the step as a task, which gnet runs after that round's events.
type pacer struct {
	fd     int // the end that is written to
	ready  chan struct{}
	asked  bool
	enroll *net.UnixConn
}

func newPacer() (*pacer, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("making a loop's wake-up sockets: %w", err)
	}
	f := os.NewFile(uintptr(fds[1]), "pacer")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		unix.Close(fds[0])
		return nil, fmt.Errorf("making a loop's wake-up sockets: %w", err)
	}
	return &pacer{fd: fds[0], ready: make(chan struct{}), enroll: c.(*net.UnixConn)}, nil
}

// opened is the enrolment reaching the loop: it tells the loop's handle for tasks. On the loop.
func (p *pacer) opened(l *Loop, gc gnet.Conn) {
	l.events = gc.EventLoop()
	close(p.ready)
}

// ring asks for one more step in the next round. On the loop.
func (p *pacer) ring() {
	if !p.asked {
		p.asked = true
		_, _ = rawWrite(p.fd, []byte{1})
	}
}

// rung is the byte coming back. On the loop.
func (p *pacer) rung(l *Loop) {
	p.asked = false
	l.resume()
	if len(l.active) > 0 {
		l.askStep()
	}
}

func (p *pacer) close() { _ = unix.Close(p.fd) }
