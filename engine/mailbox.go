package engine

import (
	"sync"
	"sync/atomic"

	"github.com/roost-ws/roost/engine/auth"
	"github.com/roost-ws/roost/fanout"
)

// letterKind says what a letter brings to a loop.
type letterKind uint8

const (
	letterDelivery   letterKind = iota // a publication for a room of this loop
	letterReady                        // the broker confirmed or refused a room
	letterGap                          // publications of a room may have been missed
	letterPublished                    // the broker took a client's publication
	letterAuthorized                   // the verifier pool is done with a token
	letterTick                         // 100 ms have passed
	letterCall                         // a question of the operator's port
)

// letter is one thing for a loop to do. Which fields count depends on its kind.
type letter struct {
	kind     letterKind
	delivery *delivery
	room     string
	position fanout.Position
	err      error
	ack      *acknowledgement
	id       []byte // of the command that a verdict belongs to
	handle   handle
	identity auth.Identity
	posted   int64 // monotonic nanoseconds
	call     func(*Loop)
}

// mailbox is the only door into a loop: many goroutines post, the loop alone takes. However many post, at most
// one wake-up is under way, and none at all while the loop is in a turn, because a turn ends by emptying it.
type mailbox struct {
	wake  func() // tells the loop to come and look; any goroutine
	limit int    // publications that may wait

	mu        sync.Mutex
	letters   []letter
	spare     []letter // the other half of the double buffer
	waiting   int      // publications among letters
	overflow  map[string]struct{}
	everyRoom bool // overflow was not large enough: every room may have lost something

	some    atomic.Bool // letters is not empty, or overflow is not
	attend  atomic.Bool // the loop is in a turn and will look here before it ends
	waking  atomic.Bool // a wake-up was asked for and has not come yet
	dropped atomic.Uint64
}

// maxOverflowRooms is how many rooms a full mailbox remembers by name.
const maxOverflowRooms = 1024

// post hands x to the loop. Any goroutine; never blocks.
func (m *mailbox) post(x letter) {
	m.mu.Lock()
	m.letters = append(m.letters, x)
	m.mu.Unlock()
	m.rouse()
}

// deliver posts a publication unless too many wait already; then the room is remembered, so that its members
// are told of the gap, and the delivery is given back.
func (m *mailbox) deliver(d *delivery) {
	m.mu.Lock()
	if m.waiting >= m.limit {
		m.lose(d.room)
		m.mu.Unlock()
		m.dropped.Add(1)
		d.release()
	} else {
		m.waiting++
		m.letters = append(m.letters, letter{kind: letterDelivery, delivery: d})
		m.mu.Unlock()
	}
	m.rouse()
}

func (m *mailbox) lose(room string) {
	if m.overflow == nil {
		m.overflow = make(map[string]struct{})
	}
	if len(m.overflow) >= maxOverflowRooms {
		m.everyRoom = true
		return
	}
	m.overflow[room] = struct{}{}
}

func (m *mailbox) rouse() {
	m.some.Store(true)
	if !m.attend.Load() && !m.waking.Swap(true) {
		m.wake()
	}
}

// take empties the mailbox. The letters are good until the next take. Loop only.
func (m *mailbox) take() (letters []letter, lost map[string]struct{}, everyRoom bool) {
	if !m.some.Load() {
		return nil, nil, false
	}
	m.mu.Lock()
	m.some.Store(false)
	letters, m.letters = m.letters, m.spare[:0]
	m.spare = letters
	m.waiting = 0
	lost, everyRoom = m.overflow, m.everyRoom
	m.overflow, m.everyRoom = nil, false
	m.mu.Unlock()
	return letters, lost, everyRoom
}

// done forgets what the letters pointed to, and lets a burst's buffer go.
func (m *mailbox) done(letters []letter) {
	clear(letters)
	if cap(letters) > 1024 {
		m.mu.Lock()
		m.spare = nil
		m.mu.Unlock()
	}
}

// enter says that the loop is in a turn. Loop only.
func (m *mailbox) enter() { m.attend.Store(true) }

// leave says that the turn is over. What was posted since the last take asks for a wake-up now, because its
// poster relied on the turn. Loop only.
func (m *mailbox) leave() {
	m.attend.Store(false)
	if m.some.Load() && !m.waking.Swap(true) {
		m.wake()
	}
}

// woken is called first thing in the wake-up. Loop only.
func (m *mailbox) woken() { m.waking.Store(false) }
