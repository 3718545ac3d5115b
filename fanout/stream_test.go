package fanout_test

// The Router over a bus that loses publications and keeps them: what loops hear is the stream, whole and in order, or
// they are told of a gap where something is missing.

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/roost-ws/roost/fanout"
)

// lossyBus is a broker for one room whose test decides what arrives. Everything happens on the test's goroutine.
type lossyBus struct {
	sink     fanout.Sink
	epoch    int
	stream   []fanout.Publication // of this epoch
	trimmed  int                  // how many of them the history has lost
	waiting  []func()             // answers of the history that are under way
	failNext bool
}

func (b *lossyBus) Start(sink fanout.Sink) error                   { b.sink = sink; return nil }
func (b *lossyBus) Publish(*fanout.Publication, fanout.Completion) {}
func (b *lossyBus) Subscribe(_ string, done func(error))           { done(nil) }
func (b *lossyBus) Unsubscribe(string)                             {}
func (b *lossyBus) Up() bool                                       { return true }
func (b *lossyBus) Close() error                                   { return nil }

func (b *lossyBus) position() fanout.Position {
	return fanout.Position{Epoch: "e" + strconv.Itoa(b.epoch), Offset: uint64(len(b.stream))}
}

// add puts the next publication into the stream and returns it.
func (b *lossyBus) add() fanout.Publication {
	b.stream = append(b.stream, fanout.Publication{})
	p := &b.stream[len(b.stream)-1]
	p.Room, p.Position = "room", b.position()
	p.Data = []byte(fmt.Sprint(p.Position))
	return *p
}

// History reads at once and answers later.
func (b *lossyBus) History(_ string, q fanout.Query, done func(fanout.Page, error)) {
	page := fanout.Page{Position: b.position()}
	if q.Since.Epoch == page.Position.Epoch && int(q.Since.Offset) >= b.trimmed {
		page.Publications, page.Complete = slices.Clone(b.stream[q.Since.Offset:]), true
	}
	var err error
	if b.failNext {
		page, err, b.failNext = fanout.Page{}, fanout.ErrBusy, false
	}
	b.waiting = append(b.waiting, func() { done(page, err) })
}

// hearing is a loop that checks what it hears.
type hearing struct {
	t interface {
		Fatalf(format string, args ...any)
	}
	last fanout.Position
	gaps int
	gap  bool // since the last publication
}

func (h *hearing) Ready(string, int, error) {}
func (h *hearing) Gap(fanout.LoopSet, string, fanout.Position) {
	h.gap = true
	h.gaps++
}

func (h *hearing) Deliver(_ fanout.LoopSet, p *fanout.Publication) {
	if string(p.Data) != fmt.Sprint(p.Position) {
		h.t.Fatalf("%v has the data of %s", p.Position, p.Data)
	}
	next := h.last.Epoch == p.Position.Epoch && h.last.Offset+1 == p.Position.Offset
	if h.last.Epoch != "" && !next && !h.gap {
		h.t.Fatalf("%v was heard behind %v, and no gap was told", p.Position, h.last)
	}
	if h.last.Epoch == p.Position.Epoch && p.Position.Offset <= h.last.Offset {
		h.t.Fatalf("%v was heard behind %v", p.Position, h.last)
	}
	h.last, h.gap = p.Position, false
}

// TestStreamModel loses publications, tells of gaps, delays and fails the history, trims it and begins it anew.
func TestStreamModel(t *testing.T) {
	mended := 0
	rapid.Check(t, func(t *rapid.T) {
		bus, loops := &lossyBus{}, &hearing{t: t}
		router := fanout.NewRouter(bus, loops, fanout.RouterOptions{Linger: time.Hour})
		router.RecoverLater(func(_ time.Duration, again func()) { bus.waiting = append(bus.waiting, again) })
		if err := router.Start(); err != nil {
			t.Fatal(err)
		}
		defer router.Close()
		if ready, err := router.Want("room", 0); !ready || err != nil {
			t.Fatal(ready, err)
		}
		answered := func() {
			first := bus.waiting[0]
			bus.waiting = bus.waiting[1:]
			first()
		}
		push := func() {
			p := bus.add()
			bus.sink.HandlePublication(&p)
		}
		t.Repeat(map[string]func(*rapid.T){
			"publish": func(*rapid.T) { push() },
			"lose":    func(*rapid.T) { bus.add() },
			"repeat": func(t *rapid.T) {
				if n := len(bus.stream); n > 0 {
					p := bus.stream[rapid.IntRange(0, n-1).Draw(t, "which")]
					if p.Position.Epoch == loops.last.Epoch && p.Position.Offset <= loops.last.Offset {
						bus.sink.HandlePublication(&p)
					}
				}
			},
			"gap":    func(*rapid.T) { bus.sink.HandleGap("room", bus.position()) },
			"gap at": func(*rapid.T) { bus.sink.HandleGap("room", fanout.Position{}) },
			"answer": func(t *rapid.T) {
				if len(bus.waiting) == 0 {
					t.Skip("nothing was asked")
				}
				answered()
			},
			"fail":  func(*rapid.T) { bus.failNext = true },
			"trim":  func(*rapid.T) { bus.trimmed = len(bus.stream) },
			"renew": func(*rapid.T) { bus.epoch, bus.stream, bus.trimmed = bus.epoch+1, nil, 0 },
			"join": func(*rapid.T) {
				router.History("room", fanout.Query{}, func(page fanout.Page, err error) {
					if err != nil {
						return
					}
					if loops.last.Epoch == page.Position.Epoch && loops.last.Offset < page.Position.Offset && !loops.gap {
						t.Fatalf("a page of %v was answered when %v was heard last", page.Position, loops.last)
					}
				})
			},
		})
		bus.failNext = false
		push() // shows any loss that is still hidden
		for len(bus.waiting) > 0 {
			answered()
		}
		if loops.last != bus.position() {
			t.Fatalf("heard up to %v of %v", loops.last, bus.position())
		}
		mended += int(router.Stats().Recoveries)
	})
	if mended == 0 {
		t.Error("no recovery ever succeeded: the model does not reach it")
	}
}

// More came than may be held while the history was asked: the rest is a gap, and then the stream goes on.
func TestStreamHoldsNoMoreThanItMay(t *testing.T) {
	bus, loops := &lossyBus{}, &hearing{t: t}
	router := fanout.NewRouter(bus, loops, fanout.RouterOptions{})
	if err := router.Start(); err != nil {
		t.Fatal(err)
	}
	defer router.Close()
	if _, err := router.Want("room", 0); err != nil {
		t.Fatal(err)
	}
	push := func() {
		p := bus.add()
		bus.sink.HandlePublication(&p)
	}
	push()
	bus.add() // lost
	for range 5000 {
		push()
	}
	if len(bus.waiting) != 1 {
		t.Fatalf("the history was asked %d times, want once", len(bus.waiting))
	}
	for len(bus.waiting) > 0 {
		first := bus.waiting[0]
		bus.waiting = bus.waiting[1:]
		first()
	}
	if loops.gaps == 0 {
		t.Fatal("more came than can be held, and no gap was told")
	}
	push()
	if loops.last != bus.position() {
		t.Fatalf("heard up to %v of %v", loops.last, bus.position())
	}
}
