package fanouttest

// The cases about outcomes and ends: each exactly once, also on Close, and nothing blocks because a sink is slow.

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/roost-ws/roost/fanout"
)

func completesOnce(t *testing.T, b *bench) {
	n := b.start()
	n.subscribe("once.subscribed")
	var outcomes []*outcome
	for i := range 500 {
		done := newOutcome()
		outcomes = append(outcomes, done)
		n.Publish(&fanout.Publication{Room: []string{"once.subscribed", "once.nobody"}[i%2], Data: []byte("1")}, done)
		n.Publish(&fanout.Publication{Room: "once.subscribed", Data: []byte("2")}, nil)
	}
	for i, done := range outcomes {
		of := fmt.Sprintf("Publish %d", i)
		if err := done.mustCome(t, of); err != nil && !errors.Is(err, fanout.ErrBusy) {
			t.Errorf("%s: %v", of, err)
		}
	}
	b.atEnd(func() {
		for i, done := range outcomes {
			done.checkOnce(t, fmt.Sprintf("Publish %d", i))
		}
	})
}

// Publishers go on while the broker is closed: every Publish has one outcome, and one that was taken was taken.
func completesOnceWhileClosing(t *testing.T, b *bench) {
	const publishers, each = 4, 500
	n := b.start()
	n.subscribe("closing")
	outcomes := make([][]*outcome, publishers)
	halfway := make(chan struct{}, publishers)
	var all sync.WaitGroup
	for publisher := range publishers {
		all.Go(func() {
			for i := range each {
				if i == each/2 {
					halfway <- struct{}{}
				}
				done := newOutcome()
				outcomes[publisher] = append(outcomes[publisher], done)
				n.Publish(&fanout.Publication{Room: "closing", Data: []byte("1")}, done)
			}
		})
	}
	<-halfway
	n.close()
	within(t, "Publish", all.Wait)
	for publisher := range outcomes {
		for i, done := range outcomes[publisher] {
			of := fmt.Sprintf("Publish %d of publisher %d", i, publisher)
			err := done.mustCome(t, of)
			if err != nil && !errors.Is(err, fanout.ErrClosed) && !errors.Is(err, fanout.ErrBusy) {
				t.Errorf("%s: %v", of, err)
			}
			b.atEnd(func() { done.checkOnce(t, of) })
		}
	}
}

func subscribeAnswersWhileClosing(t *testing.T, b *bench) {
	const count = 200
	n := b.start()
	var outcomes []*outcome
	halfway := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for i := range count {
			if i == count/2 {
				close(halfway)
			}
			done := newOutcome()
			outcomes = append(outcomes, done)
			n.Subscribe(fmt.Sprintf("closing.%d", i), done.tell)
		}
	})
	<-halfway
	n.close()
	within(t, "Subscribe", all.Wait)
	for i, done := range outcomes {
		of := fmt.Sprintf("Subscribe %d", i)
		if err := done.mustCome(t, of); err != nil && !errors.Is(err, fanout.ErrClosed) {
			t.Errorf("%s: %v", of, err)
		}
		b.atEnd(func() { done.checkOnce(t, of) })
	}
}

func closedBroker(t *testing.T, b *bench) {
	n := b.start()
	if !n.Up() {
		t.Error("the broker is not up after Start")
	}
	n.subscribe("closed")
	n.publish("closed", "before")
	n.recorder.waitFor(t, "closed", "before")
	n.close()
	refuses(t, b, n.Broker)
	n.Unsubscribe("closed")
	if err := n.Close(); err != nil && !errors.Is(err, fanout.ErrClosed) {
		t.Errorf("the second Close: %v", err)
	}
	b.atEnd(func() {
		if got := n.recorder.texts("closed"); len(got) != 1 {
			t.Errorf("heard %q, want what was published before Close", got)
		}
	})
}

// A broker that is closed without ever having been started ends as cleanly.
func neverStarted(t *testing.T, b *bench) {
	broker := b.open(t)
	if broker.Up() {
		t.Error("the broker is up before Start")
	}
	within(t, "Close", func() {
		if err := broker.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	refuses(t, b, broker)
	if err := broker.Start(newRecorder()); !errors.Is(err, fanout.ErrClosed) {
		t.Errorf("Start after Close: %v, want ErrClosed", err)
	}
}

// refuses checks that a closed broker says so.
func refuses(t *testing.T, b *bench, broker fanout.Broker) {
	t.Helper()
	published, subscribed := newOutcome(), newOutcome()
	broker.Publish(&fanout.Publication{Room: "closed", Data: []byte("after")}, published)
	broker.Publish(&fanout.Publication{Room: "closed", Data: []byte("after")}, nil)
	broker.Subscribe("closed", subscribed.tell)
	if err := published.wait(); !errors.Is(err, fanout.ErrClosed) {
		t.Errorf("Publish after Close: %v, want ErrClosed", err)
	}
	if err := subscribed.wait(); !errors.Is(err, fanout.ErrClosed) {
		t.Errorf("Subscribe after Close: %v, want ErrClosed", err)
	}
	if broker.Up() {
		t.Error("the broker is up after Close")
	}
	b.atEnd(func() {
		published.checkOnce(t, "Publish after Close")
		subscribed.checkOnce(t, "Subscribe after Close")
	})
}

// stuckSink does not return from a publication in one room until it is released.
type stuckSink struct {
	*recorder
	room     string
	stuck    chan struct{} // closed when it is inside
	once     sync.Once
	released chan struct{}
}

// HandlePublication implements [fanout.Sink].
func (s *stuckSink) HandlePublication(p *fanout.Publication) {
	if p.Room == s.room {
		s.once.Do(func() { close(s.stuck) })
		<-s.released
	}
	s.recorder.HandlePublication(p)
}

// A sink must not block, but one that does costs nobody else more than waiting for deliveries: Publish returns on
// every other goroutine, and when the sink goes on all that was taken arrives.
func slowSink(t *testing.T, b *bench) {
	const publishers, each = 4, 25
	sink := &stuckSink{recorder: newRecorder(), room: "slow.stuck", stuck: make(chan struct{}), released: make(chan struct{})}
	n := b.startWith(func(fanout.Broker) recordingSink { return sink })
	n.subscribe("slow.stuck", "slow.other")
	var stuck sync.WaitGroup
	stuck.Go(func() { n.Publish(&fanout.Publication{Room: "slow.stuck", Data: []byte("1")}, nil) })
	within(t, "the first delivery", func() { <-sink.stuck })
	outcomes := make([][]*outcome, publishers)
	var all sync.WaitGroup
	for publisher := range publishers {
		all.Go(func() {
			for range each {
				done := newOutcome()
				outcomes[publisher] = append(outcomes[publisher], done)
				n.Publish(&fanout.Publication{Room: "slow.other", Data: []byte("1")}, done)
			}
		})
	}
	within(t, "Publish beside a slow sink", all.Wait)
	close(sink.released)
	within(t, "Publish into a slow sink", stuck.Wait)
	taken := 0
	for publisher := range outcomes {
		for _, done := range outcomes[publisher] {
			if done.mustCome(t, "Publish beside a slow sink") == nil {
				taken++
			}
		}
	}
	n.recorder.wait(t, "slow.other", taken)
	n.recorder.wait(t, "slow.stuck", 1)
}

// chainSink publishes, subscribes and unsubscribes from inside the sink, as a loop's code may.
type chainSink struct {
	*recorder
	broker fanout.Broker
	done   *outcome
}

// HandlePublication implements [fanout.Sink].
func (s *chainSink) HandlePublication(p *fanout.Publication) {
	s.recorder.HandlePublication(p)
	if p.Room == "chain.first" {
		s.broker.Unsubscribe("chain.unknown")
		s.broker.Subscribe("chain.third", func(error) {})
		s.broker.Publish(&fanout.Publication{Room: "chain.second", Data: p.Data}, s.done)
	}
}

func callsBackFromTheSink(t *testing.T, b *bench) {
	done := newOutcome()
	n := b.startWith(func(broker fanout.Broker) recordingSink {
		return &chainSink{recorder: newRecorder(), broker: broker, done: done}
	})
	n.subscribe("chain.first", "chain.second")
	within(t, "Publish", func() { n.Publish(&fanout.Publication{Room: "chain.first", Data: []byte("link")}, nil) })
	n.recorder.waitFor(t, "chain.second", "link")
	if err := done.wait(); err != nil {
		t.Errorf("Publish inside the sink: %v", err)
	}
}
