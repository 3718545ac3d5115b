//go:build linux

package enginetest

import (
	"fmt"
	"math"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// This file is one epoll loop of a swarm: its mailbox, its timers and the dispatch of events.

// wakeSlot marks the event of the wake-up descriptor; no connection has this number.
const wakeSlot = math.MaxInt32

// loop owns every Loops-th connection of a swarm. All fields but the mailbox's are its goroutine's.
type loop struct {
	swarm *Swarm
	id    int
	epoll int
	wake  int
	slots []slot
	stats Stats

	queue     []int // connections to dial
	inFlight  int   // connecting or in the handshake
	paceStart time.Time
	paced     int

	slowNext time.Time
	back     returns // ended connections that will be opened anew
	echo     *echoRun
	delays   Histogram
	stamp    []byte // Config.StampMark
	marks    [][]byte
	marked   []int64 // for each of marks

	buf     []byte // what read(2) fills
	scratch []byte // frames being built

	mu      sync.Mutex // guards posts and stopped
	posts   []func()
	stopped bool
	quit    bool
	done    chan struct{}
}

// readBuffer is the most that one read takes from a connection.
const readBuffer = 64 << 10

func newLoop(s *Swarm, id int) (*loop, error) {
	epoll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create an epoll instance: %w", err)
	}
	wake, err := unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		unix.Close(epoll)
		return nil, fmt.Errorf("create a wake-up descriptor: %w", err)
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: wakeSlot}
	if err := unix.EpollCtl(epoll, unix.EPOLL_CTL_ADD, wake, &event); err != nil {
		unix.Close(epoll)
		unix.Close(wake)
		return nil, fmt.Errorf("watch the wake-up descriptor: %w", err)
	}
	n := (s.cfg.N - id + s.cfg.Loops - 1) / s.cfg.Loops
	l := &loop{swarm: s, id: id, epoll: epoll, wake: wake, slots: make([]slot, n), stats: newStats(),
		buf: make([]byte, readBuffer), stamp: []byte(s.cfg.StampMark), done: make(chan struct{})}
	for i := range l.slots {
		l.slots[i].fd, l.slots[i].index = -1, int32(i)
	}
	for _, mark := range s.cfg.Marks {
		l.marks = append(l.marks, []byte(mark))
	}
	l.marked = make([]int64, len(l.marks))
	return l, nil
}

// slot is the state of connection i, which must be one of this loop's.
func (l *loop) slot(i int) *slot { return &l.slots[i/l.swarm.cfg.Loops] }

// number is the connection's number in the swarm.
func (l *loop) number(c *slot) int { return int(c.index)*l.swarm.cfg.Loops + l.id }

// snapshot is the loop's counters.
func (l *loop) snapshot() Stats {
	st := l.stats.clone()
	for k, mark := range l.swarm.cfg.Marks {
		st.Marked[mark] = l.marked[k]
	}
	return st
}

// span calls f for each of the loop's connections from <= i < to.
func (l *loop) span(from, to int, f func(i int, c *slot)) {
	loops := l.swarm.cfg.Loops
	from = max(from, 0)
	i := from + ((l.id-from)%loops+loops)%loops
	for ; i < min(to, l.swarm.cfg.N); i += loops {
		f(i, l.slot(i))
	}
}

// do runs f on the loop's goroutine and waits for it; after the loop has ended it runs f here.
func (l *loop) do(f func()) {
	ran := make(chan struct{})
	l.mu.Lock()
	if l.stopped {
		l.mu.Unlock()
		<-l.done
		l.mu.Lock()
		defer l.mu.Unlock()
		f()
		return
	}
	l.posts = append(l.posts, func() { f(); close(ran) })
	l.ring()
	l.mu.Unlock()
	<-ran
}

// ring makes epoll_wait return. It is called under mu while stopped is false or being set, so the descriptor
// is still ours; its counter cannot overflow here, so the error says nothing.
func (l *loop) ring() { unix.Write(l.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}) }

// stop ends the loop and waits for it.
func (l *loop) stop() {
	l.mu.Lock()
	first := !l.stopped
	l.stopped = true
	if first {
		l.posts = append(l.posts, func() { l.quit = true })
		l.ring()
	}
	l.mu.Unlock()
	<-l.done
}

// run is the loop's goroutine.
func (l *loop) run() {
	defer close(l.done)
	events := make([]unix.EpollEvent, 512)
	busy := false
	for !l.quit {
		now := time.Now()
		l.comeBack(now)
		l.dialQueued(now)
		l.slowly(now)
		l.echoTick(now)
		timeout := 0
		if !busy {
			timeout = l.timeout(now)
		}
		n, err := unix.EpollWait(l.epoll, events, timeout)
		if err != nil && err != unix.EINTR {
			l.stats.Failed["epoll_wait: "+cause(err)]++
			break
		}
		// One look without blocking after each batch: a blocking call costs a hand-over of the processor.
		if busy = n > 0; !busy && timeout == 0 {
			runtime.Gosched()
		}
		for _, event := range events[:max(n, 0)] {
			l.dispatch(event)
		}
	}
	l.mu.Lock()
	l.stopped = true
	l.mu.Unlock()
	l.runPosts()
	l.quit = true
	if l.echo != nil {
		l.finishEcho(time.Now())
	}
	l.span(0, l.swarm.cfg.N, func(_ int, c *slot) { l.reset(c) })
	unix.Close(l.epoll)
	unix.Close(l.wake)
}

// timeout is how long epoll_wait may sleep, in milliseconds; -1 is for ever.
func (l *loop) timeout(now time.Time) int {
	wait := time.Duration(-1)
	sooner := func(d time.Duration) {
		if d = max(d, 0); wait < 0 || d < wait {
			wait = d
		}
	}
	if len(l.queue) > 0 && l.inFlight < l.share(l.swarm.cfg.InFlight) {
		sooner(time.Millisecond) // the pace holds it back
	}
	if l.swarm.cfg.SlowEvery > 0 && l.stats.Open+l.stats.Silent > 0 {
		sooner(l.slowNext.Sub(now))
	}
	if len(l.back) > 0 {
		sooner(l.back[0].due.Sub(now))
	}
	if l.echo != nil {
		sooner(l.echo.nextStep(now).Sub(now))
	}
	if wait < 0 {
		return -1
	}
	return int((wait + time.Millisecond - 1) / time.Millisecond)
}

func (l *loop) dispatch(event unix.EpollEvent) {
	if event.Fd == wakeSlot {
		var count [8]byte
		unix.Read(l.wake, count[:])
		l.runPosts()
		return
	}
	c := &l.slots[event.Fd]
	// The slot may have been closed, and even opened anew, by an earlier event of the same batch.
	if c.fd < 0 || c.gen != event.Pad {
		return
	}
	if c.state == connecting {
		l.connected(c)
		return
	}
	if event.Events&unix.EPOLLOUT != 0 {
		l.flush(c)
	}
	if c.fd >= 0 && event.Events&^unix.EPOLLOUT != 0 {
		l.readable(c, event.Events)
	}
}

func (l *loop) runPosts() {
	l.mu.Lock()
	posts := l.posts
	l.posts = nil
	l.mu.Unlock()
	for _, f := range posts {
		f()
	}
}
