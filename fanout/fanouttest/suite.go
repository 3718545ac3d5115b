// Package fanouttest holds the cases every [fanout.Broker] has to pass, whatever bus it stands on.
//
// An implementation calls [RunBroker], and if it keeps publications [RunHistory], from its tests. The cases wait for what has to happen, with a deadline
// that only a failure reaches; what must not happen is looked for behind something that was published after it, and
// once more when the broker is closed. They run one after another, because each counts goroutines at its end.
package fanouttest

import (
	"errors"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roost-ws/roost/fanout"
)

// patience is how long a case waits for something that has to happen. Only a failing case takes this long.
const patience = 10 * time.Second

// Trait is something about a broker that changes what the cases may expect of it.
type Trait int

const (
	// DeliversAll marks a broker that hands every publication it hears of to the sink, subscribed or not, and leaves
	// it to the Router to drop what nobody wants. The cases about silence are skipped.
	DeliversAll Trait = iota + 1
	// OneBus marks a broker of which two opened within one case are two nodes on one bus.
	OneBus
)

// RunBroker runs all cases, each as a subtest. open returns a new broker, not yet started, each time it is called; a
// case that started it also closes it. Rooms are named differently in each case, so that brokers on one lasting bus
// do not disturb each other, but a bus is not to be shared by two runs at the same time.
func RunBroker(t *testing.T, open func(t *testing.T) fanout.Broker, traits ...Trait) {
	t.Helper()
	has := map[Trait]bool{}
	for _, trait := range traits {
		has[trait] = true
	}
	cases := []struct {
		name  string
		run   func(t *testing.T, b *bench)
		skip  Trait // the broker must not have this trait, and
		needs Trait // it must have that one
	}{
		{name: "delivers after subscribe", run: deliversAfterSubscribe},
		{name: "order of each publisher", run: orderOfEachPublisher},
		{name: "burst in one room", run: burstInOneRoom},
		{name: "fields survive", run: fieldsSurvive},
		{name: "publication is the caller's again", run: publicationIsTheCallersAgain},
		{name: "payload sizes", run: payloadSizes},
		{name: "hostile room names", run: hostileRoomNames},
		{name: "many rooms", run: manyRooms},
		{name: "two nodes", run: twoNodes, needs: OneBus},
		{name: "silent unless subscribed", run: silentUnlessSubscribed, skip: DeliversAll},
		{name: "silent after unsubscribe", run: silentAfterUnsubscribe, skip: DeliversAll},
		{name: "last call decides", run: lastCallDecides},
		{name: "churn ends right", run: churnEndsRight},
		{name: "completes once", run: completesOnce},
		{name: "completes once while closing", run: completesOnceWhileClosing},
		{name: "subscribe answers while closing", run: subscribeAnswersWhileClosing},
		{name: "closed", run: closedBroker},
		{name: "never started", run: neverStarted},
		{name: "slow sink", run: slowSink},
		{name: "calls back from the sink", run: callsBackFromTheSink},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.skip != 0 && has[c.skip] || c.needs != 0 && !has[c.needs] {
				t.Skip("not for a broker with these traits")
			}
			leaks := goleak.IgnoreCurrent()
			b := &bench{t: t, open: open, deliversAll: has[DeliversAll], oneBus: has[OneBus]}
			defer b.closeAll() // also when the case gives up
			c.run(t, b)
			b.closeAll()
			for _, check := range b.last {
				check()
			}
			goleak.VerifyNone(t, leaks)
		})
	}
}

// bench is what a case works on: it opens nodes, and looks at what was promised to stay so when all are closed.
type bench struct {
	t           *testing.T
	open        func(t *testing.T) fanout.Broker
	deliversAll bool
	oneBus      bool
	nodes       []*node
	last        []func() // checks that wait until every node is closed
}

// atEnd adds a check for when every node is closed, and nothing can arrive any more.
func (b *bench) atEnd(check func()) { b.last = append(b.last, check) }

// closeAll closes every node that is still open.
func (b *bench) closeAll() {
	b.t.Helper()
	for _, n := range b.nodes {
		n.close()
	}
}

// start opens a broker and starts it with a recording sink.
func (b *bench) start() *node {
	b.t.Helper()
	return b.startWith(func(fanout.Broker) recordingSink { return newRecorder() })
}

// startWith opens a broker and starts it with the sink that sinkFor makes for it.
func (b *bench) startWith(sinkFor func(fanout.Broker) recordingSink) *node {
	b.t.Helper()
	broker := b.open(b.t)
	sink := sinkFor(broker)
	n := &node{t: b.t, Broker: broker, recorder: sink.record()}
	b.nodes = append(b.nodes, n)
	if err := n.Start(sink); err != nil {
		b.t.Fatalf("Start: %v", err)
	}
	return n
}

// node is a started broker with what its sink heard.
type node struct {
	fanout.Broker
	t        *testing.T
	recorder *recorder
	closed   bool
}

func (n *node) close() {
	n.t.Helper()
	if n.closed {
		return
	}
	n.closed = true
	within(n.t, "Close", func() {
		if err := n.Close(); err != nil {
			n.t.Errorf("Close: %v", err)
		}
	})
}

// subscribe subscribes to the rooms and waits until all are confirmed.
func (n *node) subscribe(rooms ...string) {
	n.t.Helper()
	answers := make(chan error, 2*len(rooms)) // room for answers given twice
	for _, room := range rooms {
		n.Subscribe(room, func(err error) { answers <- err })
	}
	for range rooms {
		select {
		case err := <-answers:
			if err != nil {
				n.t.Fatalf("Subscribe: %v", err)
			}
		case <-time.After(patience):
			n.t.Fatal("a Subscribe was not answered")
		}
	}
	if len(answers) > 0 {
		n.t.Fatal("a Subscribe was answered more often than once")
	}
}

// publish publishes text and waits for its completion, again and again while the broker is busy. Like subscribe it is
// for the case's own goroutine, which ends when it fails.
func (n *node) publish(room, text string) {
	n.t.Helper()
	if err := n.tryPublish(&fanout.Publication{Room: room, Kind: fanout.Text, Data: []byte(text)}); err != nil {
		n.t.Fatalf("Publish in %q: %v", room, err)
	}
}

// tryPublish is publish for any publication and any goroutine; it returns the outcome.
func (n *node) tryPublish(p *fanout.Publication) error {
	late := time.Now().Add(patience)
	for {
		done := newOutcome()
		n.Publish(p, done)
		if err := done.wait(); !errors.Is(err, fanout.ErrBusy) || time.Now().After(late) {
			return err
		}
	}
}

// within fails the case when do takes longer than anything may. do goes on, on its own goroutine.
func within(t *testing.T, what string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s does not return", what)
	}
}
