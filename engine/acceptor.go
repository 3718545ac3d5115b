package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// acceptor takes connections from the node's listeners and enrols them into loops.
//
// The listeners are ours and not gnet's, because gnet ends its whole engine, and every connection with it, when
// an accept fails for lack of descriptors or memory. Here such an accept waits and is tried again. Beside that,
// connections are counted before they are accepted: accept takes the last descriptor and enrolment, which
// duplicates it, would then fail and drop a client that was already connected.
type acceptor struct {
	server    *Server
	listeners []net.Listener
	working   sync.WaitGroup
	stopped   atomic.Bool
	stopping  chan struct{}
	refusals  refusals

	// Any goroutine.
	accepted, refusedFull, failed atomic.Uint64
}

// arrival travels through gnet with a connection that is being enrolled.
type arrival struct{ opened bool }

const (
	// acceptWorkers enrol connections of one listener at once: enrolment waits for the loop, and one busy loop
	// must not stop the others' accepts.
	acceptWorkers = 4
	// A failed accept is tried again after a pause that doubles up to the maximum.
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
	// arrivingMost is how many connections of a loop may wait to be let in before the acceptors give way; their
	// requests are some five milliseconds' work. acceptPressed is how long each accept then waits.
	arrivingMost  = 256
	acceptPressed = time.Millisecond
	// userTimeout is how long sent data may stay unacknowledged before the kernel gives a peer up
	// (TCP_USER_TIMEOUT); without it that takes a quarter of an hour.
	userTimeout = 30 * time.Second
	// notSentLowat keeps what a client has not taken yet in our bounded queue rather than in the kernel's, which
	// grows to megabytes (TCP_NOTSENT_LOWAT).
	notSentLowat = 64 << 10
)

// listen opens every address, in this order. Inherited listeners come first: a listener of our own might be given the
// number of one that was not inherited, and would then be taken for it.
func (a *acceptor) listen(addresses []string) error {
	a.listeners = make([]net.Listener, len(addresses))
	for _, inherited := range []bool{true, false} {
		for i, address := range addresses {
			number, is := strings.CutPrefix(address, inheritedPrefix)
			if is != inherited {
				continue
			}
			var err error
			if inherited {
				a.listeners[i], err = inheritListener(number)
			} else {
				a.listeners[i], err = openListener(address)
			}
			if err != nil {
				a.closeListeners()
				return fmt.Errorf("listening on %s: %w", address, err)
			}
		}
	}
	return nil
}

// closeListeners closes those that were opened, and forgets them all.
func (a *acceptor) closeListeners() {
	for _, l := range a.listeners {
		if l != nil {
			l.Close()
		}
	}
	a.listeners = nil
}

func openListener(address string) (net.Listener, error) {
	config := net.ListenConfig{KeepAlive: -1, Control: prepareListener}
	return config.Listen(context.Background(), "tcp", address)
}

// inheritedPrefix is what an address begins with that is the number of an inherited descriptor.
const inheritedPrefix = "fd:"

// inheritListener takes over a listener that whoever started this process has opened. Nothing is closed that is not
// one: the number may be that of a descriptor of the runtime.
func inheritListener(number string) (net.Listener, error) {
	fd, err := strconv.Atoi(number)
	if err != nil || fd < 3 {
		return nil, errors.New("not the number of an inherited descriptor (3 or more)")
	}
	listens, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	switch {
	case errors.Is(err, unix.EBADF):
		return nil, fmt.Errorf("%w: descriptor %d is not open", ErrNotInherited, fd)
	case err != nil || listens == 0:
		return nil, fmt.Errorf("%w: descriptor %d is not a listener", ErrNotInherited, fd)
	}
	// Go programs listen that way unless told not to. It lacks the options that bound what a slow client costs.
	if protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL); err == nil && protocol == unix.IPPROTO_MPTCP {
		return nil, fmt.Errorf("%w: descriptor %d is a listener of multipath TCP, and has to be one of TCP", ErrNotInherited, fd)
	}
	f := os.NewFile(uintptr(fd), "listener")
	defer f.Close() // FileListener keeps a duplicate
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	t, ok := l.(*net.TCPListener)
	if !ok {
		l.Close()
		return nil, fmt.Errorf("%w: descriptor %d is a listener, but not of TCP", ErrNotInherited, fd)
	}
	raw, err := t.SyscallConn()
	if err == nil {
		err = prepareListener("tcp", "", raw)
	}
	if err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// ErrNotInherited is an address such as fd:3 behind which there is no listener.
var ErrNotInherited = errors.New("no listener was inherited")

// prepareListener sets what accepted sockets inherit, so that accepting one takes no further calls. SO_REUSEADDR,
// which a restart needs while old connections are in TIME_WAIT, is Go's default; SO_REUSEPORT lets several
// processes share a port.
func prepareListener(_, _ string, c syscall.RawConn) error {
	var err error
	set := func(fd uintptr) {
		for _, o := range [...]struct{ level, name, value int }{
			{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1},
			{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout / time.Millisecond)},
			{unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSentLowat},
		} {
			if err == nil {
				err = unix.SetsockoptInt(int(fd), o.level, o.name, o.value)
			}
		}
	}
	if e := c.Control(set); e != nil {
		return e
	}
	return err
}

// start begins to accept.
func (a *acceptor) start() {
	for _, l := range a.listeners {
		for range acceptWorkers {
			a.working.Go(func() { a.accept(l) })
		}
	}
}

// stop closes the listeners and waits for the last enrolment.
func (a *acceptor) stop() {
	a.stopped.Store(true)
	close(a.stopping)
	for _, l := range a.listeners {
		l.Close()
	}
	a.working.Wait()
}

func (a *acceptor) accept(l net.Listener) {
	pause := time.Duration(0)
	for {
		a.giveWay()
		c, err := l.Accept()
		switch {
		case a.stopped.Load() || errors.Is(err, net.ErrClosed):
			if err == nil {
				c.Close()
			}
			return
		case err != nil:
			a.failed.Add(1)
		case a.take(c.(*net.TCPConn)):
			pause = 0
			continue
		}
		pause = min(max(2*pause, minAcceptPause), maxAcceptPause)
		a.server.log.Warn("a connection could not be taken, pausing", "error", err, "pause", pause)
		select {
		case <-time.After(pause):
		case <-a.stopping:
			return
		}
	}
}

// giveWay leaves clients in the kernel's queue a little longer while more of those that were taken from it wait to be
// let in than a loop should meet at once: a crowd that is accepted at full speed sends its requests at full speed, and
// whoever is served beside it waits for all of them. It waits for a moment only, since heads may be slow on purpose and
// others be at the door.
func (a *acceptor) giveWay() {
	if a.server.arriving() <= arrivingMost*len(a.server.loops) {
		return
	}
	select {
	case <-time.After(acceptPressed):
	case <-a.stopping:
	}
}

// take enrols one accepted connection into the loop with the fewest, or refuses it. False means that enrolment
// failed, for lack of a descriptor most likely.
func (a *acceptor) take(c *net.TCPConn) bool {
	s := a.server
	if !s.admission.reserve() {
		a.refuse(c)
		return true
	}
	l := s.emptiest()
	l.population.Add(1)
	arrived := new(arrival)
	_, err := l.client.EnrollContext(c, arrived) // closes c, keeps a duplicate
	if err == nil && arrived.opened {
		a.accepted.Add(1)
		return true
	}
	l.population.Add(-1)
	s.admission.giveBack()
	a.failed.Add(1)
	return false
}
