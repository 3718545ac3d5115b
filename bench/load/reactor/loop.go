package reactor

// The event loop: what it owns, and how it waits.

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/roost-ws/roost/bench"
	"github.com/roost-ws/roost/protocol/frame"
)

const (
	// readBuffer is the most that one read takes: what a connection's socket buffer holds after a large batch.
	readBuffer = 256 << 10
	// mostEvents is how many events are taken from the kernel at once.
	mostEvents = 512
	// stateEvery is how often a busy loop tells how it is doing.
	stateEvery = int64(250 * time.Millisecond)
)

// Descriptors that are not connections, in the place of a slot.
const (
	wakeSlot  = -1
	timerSlot = -2
)

// loop is a worker's event loop. All but the inbox belongs to the goroutine that runs it.
type loop struct {
	// Set once.
	setup     Setup
	targets   []target
	sources   sources
	names     names
	request   request
	first     []template
	message   template // nil: the payload alone
	seed      uint64   // of handshake keys
	answer    func(*Answer)
	epoll     int
	wake      int
	timer     int
	timeout   int64
	textFrame bool

	// Connections.
	conns      []conn
	open       int // ready
	dialing    int // connecting, shaking, greeting
	deadlines  []appointment
	readings   agenda // of slow readers
	assemblers []*frame.Assembler
	pool       pool

	// The task.
	task    task
	taskID  int
	busy    bool
	run     uint32
	runWord uint64 // 0: no message is measured

	// Counted since the beginning.
	sent, received, pings, failed int64
	ended                         map[string]int

	// Scratch memory and the clock.
	in       []byte
	payload  []byte // stamp and padding
	text     []byte // an expanded message
	outgoing []byte // frames
	events   []unix.EpollEvent
	random   *rand.PCG
	now      int64 // the latest reading of the clock
	next     int64 // when something is due
	armed    int64 // what the timer is set to
	stateAt  int64

	mu    sync.Mutex // guards inbox
	inbox []func() error
	quit  bool
}

// target is one address that connections go to.
type target struct {
	text string
	addr netip.AddrPort
}

func newLoop(setup Setup, answer func(*Answer)) (*loop, error) {
	if err := setup.Target.Validate(); err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	if setup.Profile != nil {
		if err := setup.Profile.Validate(); err != nil {
			return nil, err
		}
	}
	t := &setup.Target
	l := &loop{setup: setup, answer: answer, request: newRequest(t), first: parseTemplates(t.First), message: parseTemplate(t.Message),
		names: newNames(t, setup.Profile, setup.Connections), timeout: int64(setup.Timeout), textFrame: !t.Binary,
		seed: rand.Uint64(), random: rand.NewPCG(rand.Uint64(), rand.Uint64()), ended: map[string]int{},
		in: make([]byte, readBuffer), payload: newPayload(t), events: make([]unix.EpollEvent, mostEvents), task: passive{}}
	var err error
	if l.sources, err = newSources(t.Sources); err != nil {
		return nil, err
	}
	for _, a := range t.Addresses {
		l.targets = append(l.targets, target{a, netip.MustParseAddrPort(a)}) // Validate has parsed it
	}
	if err := l.descriptors(); err != nil {
		return nil, err
	}
	return l, nil
}

// newPayload is a payload with room for its stamp and padding that JSON leaves alone.
func newPayload(t *bench.Target) []byte {
	p := make([]byte, t.PayloadBytes)
	for i := range p {
		p[i] = 'x'
	}
	return p
}

// descriptors opens what the loop waits on.
func (l *loop) descriptors() (err error) {
	if l.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return fmt.Errorf("create an epoll instance: %w", err)
	}
	if l.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		return fmt.Errorf("create a wake-up descriptor: %w", err)
	}
	// epoll_wait counts in milliseconds; a timer has the nanoseconds that messages are due at.
	if l.timer, err = unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC); err != nil {
		return fmt.Errorf("create a timer: %w", err)
	}
	for slot, fd := range map[int32]int{wakeSlot: l.wake, timerSlot: l.timer} {
		// By edge, so that each ring and each expiry is one event and nothing has to be read.
		if err := unix.EpollCtl(l.epoll, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: slot}); err != nil {
			return fmt.Errorf("watch a descriptor: %w", err)
		}
	}
	return nil
}

// post has f run on the loop; an error of f ends it. Any goroutine may call it, and nothing waits.
func (l *loop) post(f func() error) {
	l.mu.Lock()
	l.inbox = append(l.inbox, f)
	l.mu.Unlock()
	_, _ = unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) // its counter can't overflow here
}

// work runs the loop until quit, and then resets every connection.
func (l *loop) work() error {
	defer l.dismantle()
	for !l.quit {
		l.now = Now()
		l.turn()
		n := l.wait()
		for i := range l.events[:n] {
			if err := l.dispatch(&l.events[i]); err != nil {
				return err
			}
			// A large batch of input must not hold up what is due meanwhile.
			if l.now >= l.next {
				l.turn()
			}
		}
	}
	return nil
}

// soon has everything that may be due looked at before the next event.
func (l *loop) soon() { l.next = 0 }

// turn does what is due, if anything is.
func (l *loop) turn() {
	if l.now < l.next {
		return
	}
	l.next = never
	l.expire()
	l.readSlowly()
	if l.busy {
		if l.now >= l.stateAt {
			l.stateAt = l.now + stateEvery
			state := l.state()
			l.answer(&Answer{State: &state})
		}
		at, done := l.task.due(l, l.now)
		if done {
			l.finish()
		} else {
			l.next = min(l.next, at, l.stateAt)
		}
	}
	if len(l.deadlines) > 0 {
		l.next = min(l.next, l.deadlines[0].at)
	}
	l.next = min(l.next, l.readings.next())
}

// wait takes events from the kernel. It first looks without blocking: a call that may block costs more.
func (l *loop) wait() int {
	if n := rawEvents(l.epoll, l.events); n > 0 || l.next <= l.now {
		return n
	}
	if l.next != never && l.next != l.armed {
		l.armed = l.next
		// A time that has passed already fires at once. It can't fail with a valid time.
		_ = unix.TimerfdSettime(l.timer, unix.TFD_TIMER_ABSTIME, &unix.ItimerSpec{Value: unix.NsecToTimespec(l.next)}, nil)
	}
	n, err := unix.EpollWait(l.epoll, l.events, -1)
	if err != nil {
		return 0 // a signal: there is nothing else that can go wrong with this descriptor
	}
	return n
}

func (l *loop) dispatch(event *unix.EpollEvent) error {
	switch event.Fd {
	case wakeSlot:
		return l.runInbox()
	case timerSlot:
		l.armed, l.now = 0, Now()
		return nil
	}
	c := &l.conns[event.Fd]
	gen := c.gen
	if int32(gen) != event.Pad {
		return nil // an earlier event of the same batch ended it
	}
	switch {
	case c.phase == connecting:
		l.connected(c)
	case event.Events&unix.EPOLLOUT != 0:
		l.flush(c)
		if c.gen == gen && event.Events&^unix.EPOLLOUT != 0 {
			l.readable(c, len(l.in))
		}
	default:
		l.readable(c, len(l.in))
	}
	return nil
}

func (l *loop) runInbox() error {
	l.mu.Lock()
	inbox := l.inbox
	l.inbox = nil
	l.mu.Unlock()
	for _, f := range inbox {
		if err := f(); err != nil {
			return err
		}
	}
	return nil
}

// state is how the loop is doing.
func (l *loop) state() State {
	return State{Open: l.open, Dialing: l.dialing, Failed: l.failed, Sent: l.sent, Received: l.received, Ended: maps.Clone(l.ended)}
}

func (l *loop) dismantle() {
	for i := range l.conns {
		l.release(&l.conns[i], true)
	}
	for _, fd := range []int{l.epoll, l.wake, l.timer} {
		unix.Close(fd)
	}
}
