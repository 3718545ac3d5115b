package redis

// A server, as long as the broker lives: it is connected to again and again, and each time the rooms that are heard
// through it are subscribed anew and told that they may have missed something.

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/roost-ws/roost/fanout"
)

// The wait between two attempts to connect doubles from the first to the last of these, and is drawn between half of it
// and all, so that the nodes do not come back in one rush.
const (
	firstPause = 100 * time.Millisecond
	lastPause  = time.Second
)

// link is one server with what waits for it. Its fields may be used by any goroutine.
type link struct {
	b    *Broker
	name string // for logs: the server's address, or the sentinels' name of it
	// find says where the server is now, and may ask others.
	find func(ctx context.Context) (address string, err error)
	// ctx ends with the broker, or when the server has nothing to serve any more.
	ctx    context.Context
	cancel context.CancelFunc

	in     inbox
	out    outbox
	packer packer               // the writer's
	line   atomic.Pointer[line] // nil while the server can't be reached
	// ready is closed when the server was reached for the first time.
	ready chan struct{}
	once  sync.Once

	restored restored // the writer's

	mu      sync.Mutex
	trouble error // the last attempt's
}

func (b *Broker) newLink(name string, find func(context.Context) (string, error)) *link {
	l := &link{b: b, name: name, find: find, ready: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(b.ctx)
	l.in.wake, l.out.wake = make(chan struct{}, 1), make(chan struct{}, 1)
	return l
}

// start runs the link's two goroutines until its context ends.
func (l *link) start() {
	l.b.running.Go(l.write)
	l.b.running.Go(l.run)
}

// do sends the commands that build makes, one at least, on the connection that publications go out on, and waits for the
// answers. It fails with ErrDown, at once, while the server can't be reached. It is for goroutines that may wait.
func (l *link) do(ctx context.Context, build func(rueidis.Builder) []rueidis.Completed) ([]rueidis.RedisResult, error) {
	line := l.line.Load()
	if line == nil {
		return nil, ErrDown
	}
	return line.client.DoMulti(ctx, build(line.client.B())...), nil
}

// call runs one script, by its text if the server does not know it yet. Otherwise it is as do.
func (l *link) call(ctx context.Context, s script, keys []string, args ...string) rueidis.RedisResult {
	answers, err := l.do(ctx, func(b rueidis.Builder) []rueidis.Completed {
		return []rueidis.Completed{s.called(b, keys, args...)}
	})
	if err == nil && unknown(answers[0].Error()) {
		answers, err = l.do(ctx, func(b rueidis.Builder) []rueidis.Completed {
			return []rueidis.Completed{s.whole(b, keys, args...)}
		})
	}
	if err != nil {
		return rueidis.NewErrorResult(err)
	}
	return answers[0]
}

// up reports whether the server can be reached.
func (l *link) up() bool { return l.line.Load() != nil }

// run is the link's own goroutine.
func (l *link) run() {
	defer l.cancel()
	pause := time.Duration(0)
	for l.ctx.Err() == nil {
		line := l.connect(pause)
		if line == nil {
			pause = min(max(2*pause, firstPause), lastPause)
			continue
		}
		began := time.Now()
		l.serve(line)
		l.line.Store(nil)
		line.close()
		if l.ctx.Err() != nil {
			break
		}
		l.b.counters.losses.Add(1)
		l.b.log.Warn("the connection to redis is lost", "server", l.name, "reason", line.reason())
		l.b.unsettle()
		// A server that takes connections and drops them is as bad as one that takes none.
		if pause = firstPause; time.Since(began) < lastPause {
			pause = min(2*pause, lastPause)
		}
	}
	l.refuse(errAway)
}

// connect waits for about pause and tries once. Meanwhile it refuses what comes in.
func (l *link) connect(pause time.Duration) *line {
	if pause > 0 {
		pause = pause/2 + rand.N(pause/2) // #nosec G404: any will do
	}
	wait := time.NewTimer(pause)
	defer wait.Stop()
	var result chan *line
	for {
		select {
		case <-wait.C:
			result = make(chan *line, 1)
			go func() { result <- l.dial(l.ctx) }()
		case line := <-result:
			return line
		case <-l.in.wake:
			l.refuse(errAway)
		case <-l.ctx.Done():
			if result != nil {
				if line := <-result; line != nil { // it does not take long, its context has ended
					line.close()
				}
			}
			return nil
		}
	}
}

// dial finds the server and connects to it; nil after an error, which is logged when it is another than last time.
func (l *link) dial(ctx context.Context) *line {
	address, err := l.find(ctx)
	var line *line
	if err == nil {
		line, err = l.b.lines.dial(ctx, address, l.b.hooks)
	}
	l.mu.Lock()
	before := l.trouble
	l.trouble = err
	l.mu.Unlock()
	if err != nil {
		if ctx.Err() == nil && (before == nil || before.Error() != err.Error()) {
			l.b.log.Warn("redis can't be reached", "server", l.name, "error", err)
		}
		return nil
	}
	return line
}

// refuse answers all that waits. Unsubscribes hold all the same: the room is not subscribed again.
func (l *link) refuse(err error) {
	err = l.b.lost("asking redis", err)
	for batch := l.in.take(); batch != nil; batch = l.in.take() {
		for i := range batch {
			r := &batch[i]
			if r.kind == unsubscribeRequest {
				l.b.parts[r.index].remove(r.room)
			}
			r.fail(err)
		}
	}
}

// serve is what a link does while line lives.
func (l *link) serve(line *line) {
	parts := l.b.partsOf(l)
	for _, index := range parts {
		l.b.parts[index].believe(line)
	}
	l.line.Store(line)
	wake(l.out.wake) // there may be something to restore
	first := false
	l.once.Do(func() { first = true; close(l.ready) })
	if !first {
		l.b.counters.reconnects.Add(1)
	}
	began, rooms := time.Now(), 0
	for _, index := range parts {
		rooms += l.resubscribe(line, index)
	}
	level := slog.LevelInfo
	if first {
		level = slog.LevelDebug
	}
	l.b.log.Log(context.Background(), level, "connected to redis", "server", l.name, "address", line.address,
		"rooms", rooms, "took", time.Since(began))
	if l.b.lines.Mode == Sentinel {
		ctx, cancel := context.WithCancel(l.ctx)
		var watching sync.WaitGroup
		watching.Go(func() { l.watch(ctx, line) })
		defer watching.Wait()
		defer cancel()
	}
	l.exchanges(line)
}

// exchanges carries out requests until the line is dead. Now and then it looks whether the server still is what it was
// taken for: a master that was made a replica takes publications and passes them on to nobody.
func (l *link) exchanges(line *line) {
	look := time.NewTicker(min(l.b.options.Timeout, livesEvery))
	defer look.Stop()
	l.live(line)
	for {
		select {
		case <-line.dead:
			return
		case <-l.ctx.Done():
			return
		case <-look.C:
			if err := line.look(l.ctx); err != nil {
				line.blame(err)
				line.cut()
			}
			l.live(line)
		case <-l.in.wake:
			for l.exchange(line) {
			}
		}
	}
}

// exchange carries out one batch of requests, and reports false when there was none or the line is dead. The caller of
// a Subscribe waits for its end before it undoes it, so of the requests for one room in a batch an unsubscribe is always
// the older.
func (l *link) exchange(line *line) bool {
	batch := l.in.take()
	if batch == nil {
		return false
	}
	batch = l.forward(batch)
	l.unsubscribe(line, batch)
	l.subscribe(line, batch)
	l.queries(line, batch)
	for i := range batch {
		if part := l.b.parts[batch[i].index]; batch[i].kind == adoptRequest && !part.believes(line) {
			part.believe(line)
			wake(l.out.wake)
			l.resubscribe(line, batch[i].index)
		}
	}
	select {
	case <-line.dead:
		return false
	default:
		return true
	}
}

// forward hands requests for parts that have gone to another link on to that one, and returns the others.
func (l *link) forward(batch []request) []request {
	if !l.b.layout.cluster {
		return batch
	}
	return slices.DeleteFunc(batch, func(r request) bool {
		if l.b.parts[r.index].owner() == l {
			return false
		}
		if r.kind != adoptRequest {
			l.b.request(r)
		}
		return true
	})
}

func (l *link) unsubscribe(line *line, batch []request) {
	var commands []rueidis.Completed
	for _, g := range groups(batch, unsubscribeRequest) {
		for _, room := range g.rooms {
			l.b.parts[g.index].remove(room)
		}
		commands = append(commands, l.b.unsubscribing(line.subscriber.B(), g.rooms))
	}
	for _, answer := range line.subscriber.DoMulti(context.Background(), commands...) {
		if err := answer.Error(); err != nil {
			l.b.suspect(line, err)
		}
	}
}

func (l *link) subscribe(line *line, batch []request) {
	var commands []rueidis.Completed
	all := groups(batch, subscribeRequest)
	for _, g := range all {
		commands = append(commands, l.b.subscribing(line.subscriber.B(), g.rooms))
	}
	for i, answer := range line.subscriber.DoMulti(context.Background(), commands...) {
		g := all[i]
		err := answer.Error()
		if err != nil {
			l.b.suspect(line, err)
			err = l.b.lostAsking("subscribing", err)
		} else {
			l.joined(l.b.parts[g.index], g.rooms)
		}
		for _, done := range g.done {
			done(err)
		}
	}
}

// joined adds rooms that were subscribed to their part. If the part has moved to another link meanwhile, that one may
// have subscribed without them, and has to begin again.
func (l *link) joined(part *part, rooms []string) {
	part.add(rooms)
	if l.b.layout.cluster && part.owner() != l {
		part.believe(nil)
		l.b.unsettle()
	}
}

// resubscribe subscribes again to what the node hears in a part, a piece at a time with other requests between, and
// sees to it that each room is told of a gap as soon as it is heard again. It returns how many rooms there were.
func (l *link) resubscribe(line *line, index int) int {
	part := l.b.parts[index]
	names := part.names()
	total := len(names)
	for len(names) > 0 {
		n := min(len(names), batchRooms)
		rooms := part.still(names[:n:n])
		names = names[n:]
		if len(rooms) > 0 && !l.again(line, part, rooms) {
			return total
		}
		l.exchange(line)
	}
	return total
}

func (l *link) again(line *line, part *part, rooms []string) bool {
	part.expectGaps(rooms)
	builder := line.subscriber.B()
	commands := []rueidis.Completed{l.b.subscribing(builder, rooms)}
	var kept []string
	for _, room := range rooms {
		if r := l.b.options.Retention(room); r.Size > 0 {
			kept = append(kept, room)
			keys, args := l.b.asking(room, r, fanout.Query{}, line)
			commands = append(commands, historyScript.called(builder, keys, args...))
		}
	}
	answers := line.subscriber.DoMulti(context.Background(), commands...)
	if err := answers[0].Error(); err != nil {
		l.b.suspect(line, err)
		switch {
		case moved(err):
			part.believe(nil) // until the topology says who is to be believed
		case isAnswer(err):
			l.b.log.Error("redis refuses to subscribe rooms again", "server", l.name, "rooms", len(rooms), "error", err)
			line.cut() // they would stay silent: begin again
		}
		return false
	}
	for i, room := range kept {
		page, err := l.page(room, fanout.Query{}, answers[i+1])
		if unknown(err) {
			page, err = l.ask(line, room, fanout.Query{})
		}
		if err != nil && !isAnswer(err) && !errors.Is(err, errAnswer) {
			return false // the line is dead, and the next one tells the gap
		}
		l.b.settleGap(part, line, room, page.Position)
	}
	return true
}
