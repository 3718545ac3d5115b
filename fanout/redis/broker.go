package redis

// The broker: its life, and the calls that only put something into a queue.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/redis/rueidis"

	"github.com/roost-ws/roost/fanout"
)

// The life of a Broker.
const (
	fresh int32 = iota
	starting
	open
	closed
)

var errStarted = errors.New("redis: the broker was started before")

// Broker is a [fanout.Broker] and a [fanout.History] on Redis. What is published while Redis can't be reached fails at
// once with an error that wraps ErrDown; rooms that may have missed something hear HandleGap when they are heard again.
type Broker struct {
	// Static after New.
	options Options
	log     *slog.Logger
	layout  Layout
	lines   lineSettings
	parts   []*part
	epochs  *epochs
	ctx     context.Context // ends with stop
	cancel  context.CancelFunc
	stop    <-chan struct{}
	// Static after Start.
	sink fanout.Sink
	// Any goroutine.
	life     atomic.Int32
	counters counters
	running  sync.WaitGroup
	mu       sync.Mutex
	links    []*link // replaced, never changed, after Start
	// unsettled holds a token when the topology of a cluster has to be looked at.
	unsettled chan struct{}
	lease     lease
	recent    recent
	// moves counts how often a part went to another link.
	moves atomic.Uint64
}

// New returns a Broker that waits for Start. It connects to nothing.
func New(o Options) (*Broker, error) {
	o, address, err := o.complete()
	if err != nil {
		return nil, err
	}
	b := &Broker{options: o, log: o.Log, lines: lineSettings{Address: address, timeout: o.Timeout},
		layout: address.layout(o.Prefix), epochs: newEpochs(), unsettled: make(chan struct{}, 1)}
	b.lease.holder = b.epochs.process
	b.ctx, b.cancel = context.WithCancel(context.Background())
	b.stop = b.ctx.Done()
	for range b.layout.Parts() {
		b.parts = append(b.parts, newPart())
	}
	switch address.Mode {
	case One, Several:
		for i, host := range address.Hosts {
			l := b.newLink(host, func(context.Context) (string, error) { return host, nil })
			b.links = append(b.links, l)
			b.parts[i].link = l
		}
	case Sentinel:
		s := &sentinels{settings: b.lines}
		l := b.newLink(address.Master+" of "+address.String(), s.find)
		b.links = append(b.links, l)
		b.parts[0].link = l
	case Cluster: // its first look finds the servers
	}
	return b, nil
}

// Layout says where the broker's channels and keys are.
func (b *Broker) Layout() Layout { return b.layout }

// Start implements [fanout.Broker]: it connects to every server and takes the node's name, waiting little longer
// than Options.Timeout. After an error the broker is closed.
func (b *Broker) Start(sink fanout.Sink) error {
	if !b.life.CompareAndSwap(fresh, starting) {
		if b.life.Load() == closed {
			return fanout.ErrClosed
		}
		return errStarted
	}
	b.sink = sink
	for _, l := range b.allLinks() {
		l.start()
	}
	if err := b.begin(); err != nil {
		_ = b.Close() // the first error is the one to tell
		return err
	}
	if !b.life.CompareAndSwap(starting, open) {
		return fanout.ErrClosed
	}
	b.unsettle() // while it was being started, what went wrong went unnoticed
	return nil
}

func (b *Broker) begin() error {
	// A little longer than one attempt, which then can say what is wrong.
	ctx, cancel := context.WithTimeout(b.ctx, b.options.Timeout+b.options.Timeout/4)
	defer cancel()
	if b.layout.cluster {
		if err := b.lookUntil(ctx); err != nil {
			return err
		}
		b.running.Go(b.follow)
	}
	for _, l := range b.allLinks() {
		if err := l.await(ctx); err != nil {
			return err
		}
	}
	return b.takeName(ctx)
}

// await waits until the server was reached for the first time.
func (l *link) await(ctx context.Context) error {
	select {
	case <-l.ready:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.trouble != nil {
		return l.trouble
	}
	return fmt.Errorf("connecting to redis at %s: %w", l.name, ErrDown)
}

// check says whether the broker can be used.
func (b *Broker) check() error {
	if b.life.Load() != open {
		return fanout.ErrClosed
	}
	return nil
}

// Publish implements [fanout.Broker]. The error wraps ErrDown (and fanout.ErrDown if nothing was sent), ErrTooLarge,
// fanout.ErrBusy or fanout.ErrClosed, or is Redis's own. When the connection broke before the answer came, the publication may have been taken all the same.
func (b *Broker) Publish(p *fanout.Publication, done fanout.Completion) {
	err := b.check()
	if err == nil {
		err = b.enqueue(p, done)
	}
	if err == nil {
		return
	}
	if done != nil {
		done.Published(fanout.Position{}, err)
	}
}

func (b *Broker) enqueue(p *fanout.Publication, done fanout.Completion) error {
	l := b.parts[b.layout.Part(p.Room)].owner()
	b.counters.publishes.Add(1)
	if l == nil || !l.up() {
		b.counters.failed.Add(1)
		return b.lost("publishing", errAway)
	}
	room := len(p.Data) + len(p.From) + len(p.Node) + 40
	envelope := fanout.AppendEnvelope(make([]byte, 0, room), p)
	if len(envelope) > b.options.MaxBytes {
		b.counters.failed.Add(1)
		return fmt.Errorf("publishing %d bytes where %d are the most: %w", len(envelope), b.options.MaxBytes, ErrTooLarge)
	}
	o := outgoing{room: p.Room, envelope: rueidis.BinaryString(envelope), data: len(p.Data), done: done}
	if p.Kind < fanout.MemberJoined {
		o.kept = b.options.Retention(p.Room)
	}
	if err := l.out.put(o); err != nil {
		b.counters.busy.Add(1)
		return err
	}
	if l.ctx.Err() != nil {
		l.drain() // the writer may have looked for the last time before o came
	}
	return nil
}

// Subscribe implements [fanout.Broker]. The error wraps ErrDown, fanout.ErrBusy or fanout.ErrClosed, or is Redis's own.
func (b *Broker) Subscribe(room string, done func(error)) {
	if err := b.check(); err != nil {
		done(err)
		return
	}
	b.request(request{kind: subscribeRequest, index: b.layout.Part(room), room: room, done: done})
}

// Unsubscribe implements [fanout.Broker].
func (b *Broker) Unsubscribe(room string) {
	if b.check() == nil {
		b.request(request{kind: unsubscribeRequest, index: b.layout.Part(room), room: room})
	}
}

// request hands r to the link that serves its part.
func (b *Broker) request(r request) {
	part := b.parts[r.index]
	l := part.owner()
	if l == nil {
		if r.kind == unsubscribeRequest {
			part.remove(r.room)
		}
		r.fail(b.lost("asking redis", errAway))
		return
	}
	if err := l.in.put(r); err != nil {
		r.fail(err)
		return
	}
	if l.ctx.Err() != nil {
		// The link's goroutine may have looked for the last time before r came.
		l.refuse(errAway)
	}
}

// Up implements [fanout.Broker]: whether every server can be reached.
func (b *Broker) Up() bool {
	if b.check() != nil {
		return false
	}
	for _, part := range b.parts {
		if l := part.owner(); l == nil || !l.up() {
			return false
		}
	}
	return true
}

// allLinks returns the links as they are now.
func (b *Broker) allLinks() []*link {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.links
}

// Close implements [fanout.Broker]. What is in flight gets as long as the servers take to drop the connections. A second
// Close returns fanout.ErrClosed.
func (b *Broker) Close() error {
	before := b.life.Swap(closed)
	if before == closed {
		return fanout.ErrClosed
	}
	if before != fresh {
		b.giveBackName()
	}
	b.cancel()
	b.running.Wait()
	for _, l := range b.allLinks() {
		l.refuse(errAway)
		l.drain()
	}
	return nil
}

// partsOf returns the indices of the parts that l serves.
func (b *Broker) partsOf(l *link) []int {
	var indices []int
	for i, part := range b.parts {
		if part.owner() == l {
			indices = append(indices, i)
		}
	}
	return indices
}

// room finds out which room a channel belongs to, and which part.
func (b *Broker) room(channel string) (room string, index int, ok bool) {
	room, index, ok = b.layout.Room(channel)
	if ok && len(b.layout.shards) > 0 {
		index = b.layout.Part(room)
	}
	return room, index, ok
}

// suspect is told of every error of a command. A server that turns out to be no master any more is left, to find the one
// that is.
func (b *Broker) suspect(line *line, err error) {
	if moved(err) {
		b.unsettle()
		return
	}
	answer, ok := rueidis.IsRedisErr(err)
	if ok && (strings.HasPrefix(answer.Error(), "READONLY") || strings.HasPrefix(answer.Error(), "MASTERDOWN")) {
		line.blame(fmt.Errorf("redis answers %s", answer.Error()))
		line.cut()
	}
}
