package fanout

// The broker of a node that is alone: no bus, no goroutine, no copy.

import (
	"errors"
	"sync/atomic"
)

var errStarted = errors.New("fanout: broker was started before")

// The life of a Memory.
const (
	memoryNew int32 = iota
	memoryOpen
	memoryClosed
)

// Memory is a [Broker] for a single node. Publish calls the sink on the caller's goroutine, so a publication is
// delivered when Publish returns, nothing can get lost on the way, and the sink's cost is the publisher's. It takes
// no lock, allocates nothing and copies nothing.
//
// It keeps no list of rooms: the sink hears every publication, and the [Router], which has to look the room up
// anyway, drops those nobody here wants. It keeps no history either: every Position is zero.
type Memory struct {
	sink  Sink // set before life becomes memoryOpen, static from then on
	life  atomic.Int32
	start atomic.Bool
}

// NewMemory returns a Memory that waits for Start.
func NewMemory() *Memory { return &Memory{} }

// Start implements [Broker]. It fails when it was called before, or after Close.
func (m *Memory) Start(sink Sink) error {
	if m.life.Load() == memoryClosed {
		return ErrClosed
	}
	if !m.start.CompareAndSwap(false, true) {
		return errStarted
	}
	m.sink = sink
	if !m.life.CompareAndSwap(memoryNew, memoryOpen) {
		return ErrClosed
	}
	return nil
}

// Publish implements [Broker]: the sink is called, then done, both before it returns.
func (m *Memory) Publish(p *Publication, done Completion) {
	err := m.check()
	if err == nil {
		m.sink.HandlePublication(p)
	}
	if done != nil {
		done.Published(Position{}, err)
	}
}

// Subscribe implements [Broker]: done is called before it returns.
func (m *Memory) Subscribe(_ string, done func(error)) { done(m.check()) }

// Unsubscribe implements [Broker]. There is nothing to undo.
func (m *Memory) Unsubscribe(string) {}

// Up implements [Broker]: true from Start to Close.
func (m *Memory) Up() bool { return m.life.Load() == memoryOpen }

// Close implements [Broker]. A Publish that is under way on another goroutine is not waited for. A second Close
// returns ErrClosed.
func (m *Memory) Close() error {
	if m.life.Swap(memoryClosed) == memoryClosed {
		return ErrClosed
	}
	return nil
}

func (m *Memory) check() error {
	if m.life.Load() != memoryOpen {
		return ErrClosed
	}
	return nil
}
