package fanout_test

// A bus in memory that behaves like one on a network: everything happens later, on goroutines of its own, after
// delays of random length.

import (
	"bytes"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/fanout/fanouttest"
)

func TestAsynchronousBroker(t *testing.T) {
	shared := &bus{rooms: map[string]map[*busNode]bool{}}
	fanouttest.RunBroker(t, func(*testing.T) fanout.Broker { return newBusNode(shared) }, fanouttest.OneBus)
}

// busDepth is how many publications may wait to be sent before Publish says busy. No test publishes as many at once that
// counts on all of them: which goroutine runs first is the machine's to say.
const busDepth = 3000

// bus knows which node is subscribed to which room.
type bus struct {
	mu    sync.Mutex
	rooms map[string]map[*busNode]bool
}

func (b *bus) set(room string, n *busNode, subscribed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !subscribed {
		if delete(b.rooms[room], n); len(b.rooms[room]) == 0 {
			delete(b.rooms, room)
		}
		return
	}
	if b.rooms[room] == nil {
		b.rooms[room] = map[*busNode]bool{}
	}
	b.rooms[room][n] = true
}

// send puts p into the inbox of every node subscribed to its room.
func (b *bus) send(p *fanout.Publication) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for n := range b.rooms[p.Room] {
		n.inbox.push(func(closed bool) {
			if !closed {
				n.sink.HandlePublication(p)
			}
		})
	}
}

func (b *bus) subscribedRooms() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Sorted(maps.Keys(b.rooms))
}

// busNode is one node's broker: one goroutine sends, one delivers.
type busNode struct {
	bus           *bus
	sink          fanout.Sink
	outbox, inbox *queue
	goroutines    sync.WaitGroup
	up            atomic.Bool
	refuse        func(room string) error // decides about each Subscribe; nil refuses none
}

func newBusNode(b *bus) *busNode {
	return &busNode{bus: b, outbox: newQueue(), inbox: newQueue()}
}

func (n *busNode) Start(sink fanout.Sink) error {
	if n.outbox.isClosed() {
		return fanout.ErrClosed
	}
	n.sink = sink
	n.goroutines.Go(n.outbox.run)
	n.goroutines.Go(n.inbox.run)
	n.up.Store(true)
	return nil
}

func (n *busNode) Publish(p *fanout.Publication, done fanout.Completion) {
	tell := func(err error) {
		if done != nil {
			done.Published(fanout.Position{}, err)
		}
	}
	if n.outbox.length() > busDepth {
		tell(fanout.ErrBusy)
		return
	}
	sent := *p
	sent.Data = bytes.Clone(p.Data)
	if !n.outbox.push(func(closed bool) {
		if closed {
			tell(fanout.ErrClosed)
			return
		}
		n.bus.send(&sent)
		tell(nil)
	}) {
		tell(fanout.ErrClosed)
	}
}

func (n *busNode) Subscribe(room string, done func(error)) {
	if !n.outbox.push(func(closed bool) {
		if closed {
			done(fanout.ErrClosed)
			return
		}
		if n.refuse != nil {
			if err := n.refuse(room); err != nil {
				done(err)
				return
			}
		}
		n.bus.set(room, n, true)
		done(nil)
	}) {
		done(fanout.ErrClosed)
	}
}

func (n *busNode) Unsubscribe(room string) {
	n.outbox.push(func(bool) { n.bus.set(room, n, false) })
}

func (n *busNode) Up() bool { return n.up.Load() }

func (n *busNode) Close() error {
	if !n.outbox.close() {
		return fanout.ErrClosed
	}
	n.up.Store(false)
	n.inbox.close()
	n.goroutines.Wait()
	n.bus.mu.Lock()
	rooms := slices.Collect(maps.Keys(n.bus.rooms))
	n.bus.mu.Unlock()
	for _, room := range rooms {
		n.bus.set(room, n, false)
	}
	return nil
}

// queue runs work in order, each after a random delay. What is left when it is closed runs at once and is told so.
type queue struct {
	mu     sync.Mutex
	filled sync.Cond
	work   []func(closed bool)
	closed bool
}

func newQueue() *queue {
	q := &queue{}
	q.filled.L = &q.mu
	return q
}

func (q *queue) push(do func(closed bool)) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.work = append(q.work, do)
	q.filled.Signal()
	return true
}

func (q *queue) run() {
	for {
		q.mu.Lock()
		for len(q.work) == 0 && !q.closed {
			q.filled.Wait()
		}
		if len(q.work) == 0 {
			q.mu.Unlock()
			return
		}
		do, closed := q.work[0], q.closed
		q.work = q.work[1:]
		q.mu.Unlock()
		if !closed && rand.IntN(50) == 0 {
			time.Sleep(rand.N(200 * time.Microsecond)) // what a network does, not a wait for anything
		}
		do(closed)
	}
}

func (q *queue) length() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.work)
}

func (q *queue) isClosed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed
}

func (q *queue) close() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return false
	}
	q.closed = true
	q.filled.Signal()
	return true
}
