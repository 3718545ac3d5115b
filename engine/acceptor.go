package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/roost-ws/roost/protocol/handshake"
	"github.com/roost-ws/roost/protocol/proxyproto"
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
	refusing  chan struct{} // bounds the refusals that are under way

	// Any goroutine.
	accepted, refusedFull, failed atomic.Uint64
}

// arrival travels through gnet with a connection that is being enrolled.
type arrival struct{ opened bool }

const (
	// maxRefusing is how many refused connections may be told so at once; more are closed without a word.
	maxRefusing = 64
	// acceptWorkers enrol connections of one listener at once: enrolment waits for the loop, and one busy loop
	// must not stop the others' accepts.
	acceptWorkers = 4
	// A failed accept is tried again after a pause that doubles up to the maximum.
	minAcceptPause = 5 * time.Millisecond
	maxAcceptPause = time.Second
	// userTimeout is how long sent data may stay unacknowledged before the kernel gives a peer up
	// (TCP_USER_TIMEOUT); without it that takes a quarter of an hour.
	userTimeout = 30 * time.Second
	// notSentLowat keeps what a client has not taken yet in our bounded queue rather than in the kernel's, which
	// grows to megabytes (TCP_NOTSENT_LOWAT).
	notSentLowat = 64 << 10
)

// listen opens every address. "fd:3" takes a listener that was inherited.
func (a *acceptor) listen(addresses []string) error {
	for _, address := range addresses {
		l, err := openListener(address)
		if err != nil {
			for _, l := range a.listeners {
				l.Close()
			}
			return fmt.Errorf("listening on %s: %w", address, err)
		}
		a.listeners = append(a.listeners, l)
	}
	return nil
}

func openListener(address string) (net.Listener, error) {
	if n, ok := strings.CutPrefix(address, "fd:"); ok {
		return inheritListener(n)
	}
	config := net.ListenConfig{KeepAlive: -1, Control: prepareListener}
	return config.Listen(context.Background(), "tcp", address)
}

func inheritListener(number string) (net.Listener, error) {
	fd, err := strconv.Atoi(number)
	if err != nil || fd < 3 {
		return nil, errors.New("not the number of an inherited descriptor (3 or more)")
	}
	f := os.NewFile(uintptr(fd), "listener")
	if f == nil {
		return nil, errors.New("not an open descriptor")
	}
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, err
	}
	t, ok := l.(*net.TCPListener)
	if !ok {
		l.Close()
		return nil, errors.New("not a TCP listener")
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

// refuse tells a connection above the cap so, from a few goroutines: the descriptor limit's reserve has room for
// them. A balancer's health check is answered as ever, or a full node would be taken for a dead one.
func (a *acceptor) refuse(c *net.TCPConn) {
	select {
	case a.refusing <- struct{}{}:
	default:
		a.refusedFull.Add(1)
		_ = c.SetLinger(0)
		c.Close()
		return
	}
	a.working.Go(func() {
		defer func() { <-a.refusing }()
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Second))
		_, _ = c.Write(a.answer(c))
		_ = c.CloseWrite()
		_, _ = io.CopyN(io.Discard, c, int64(a.server.limits.HeadBytes))
	})
}

// answer reads a request head as far as it comes and says what a node without room says to it.
func (a *acceptor) answer(c io.Reader) []byte {
	var r handshake.Request
	var head []byte
	buf := make([]byte, 2048)
	proxied := a.server.proxyRequired
	for {
		n, err := c.Read(buf)
		head = append(head, buf[:n]...)
		if proxied {
			_, n, fault := proxyproto.Parse(head, &a.server.proxyLimits)
			if fault != nil || n == 0 && err != nil {
				a.refusedFull.Add(1)
				return nil
			}
			if n == 0 {
				continue
			}
			head, proxied = head[n:], false
		}
		parsed, refusal := r.Parse(head, &a.server.headLimits)
		t := targetOf(r.Path)
		if refusal == handshake.HTTPVersion {
			t = oldCheck(head)
		}
		switch {
		case t == targetHealth || t == targetReady:
			status, body := a.server.check(t)
			return handshake.AppendText(nil, status, body)
		case refusal != handshake.Accepted:
			return refusal.Append(nil, retryAfter)
		case parsed > 0 || err != nil:
			a.refusedFull.Add(1)
			return handshake.Full.Append(nil, retryAfter)
		}
	}
}
