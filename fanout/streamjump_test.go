package fanout_test

// The Router over a bus that loses what it had taken, and goes on at another offset: who publishes it again must not be
// heard twice, and nothing may be missing.

import (
	"slices"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"github.com/roost-ws/roost/fanout"
)

// jumpyBus is a broker for one room whose stream jumps. Everything happens on the test's goroutine.
type jumpyBus struct {
	sink    fanout.Sink
	top     uint64
	base    uint64 // of the last jump
	bases   []uint64
	stream  []fanout.Publication
	lost    []fanout.Publication // taken once, and not in the stream
	number  int
	waiting []func()
}

func (b *jumpyBus) Start(sink fanout.Sink) error                   { b.sink = sink; return nil }
func (b *jumpyBus) Publish(*fanout.Publication, fanout.Completion) {}
func (b *jumpyBus) Subscribe(_ string, done func(error))           { done(nil) }
func (b *jumpyBus) Unsubscribe(string)                             {}
func (b *jumpyBus) Up() bool                                       { return true }
func (b *jumpyBus) Close() error                                   { return nil }

func (b *jumpyBus) position() fanout.Position { return fanout.Position{Epoch: "e", Offset: b.top} }

// History reads at once and answers later.
func (b *jumpyBus) History(_ string, q fanout.Query, done func(fanout.Page, error)) {
	page := fanout.Page{Position: b.position(), Base: b.base}
	for _, p := range b.stream {
		heard := slices.ContainsFunc(p.Was, func(was uint64) bool {
			jumped := slices.ContainsFunc(b.bases, func(base uint64) bool { return was <= base && base <= q.Since.Offset })
			return was <= q.Since.Offset && !jumped
		})
		if p.Position.Offset > q.Since.Offset && !heard {
			page.Publications = append(page.Publications, p)
		}
	}
	page.Complete = q.HasSince && q.Since.Epoch == "e"
	page.Follows = page.Complete
	b.waiting = append(b.waiting, func() { done(page, nil) })
}

// add puts a publication into the stream.
func (b *jumpyBus) add(text string, was []uint64) fanout.Publication {
	b.top++
	p := fanout.Publication{Room: "room", Kind: fanout.Text, Data: []byte(text), Position: b.position(), Was: was}
	b.stream = append(b.stream, p)
	return p
}

func (b *jumpyBus) publish() fanout.Publication {
	b.number++
	return b.add(strconv.Itoa(b.number), nil)
}

// jump loses the last of what was taken since the last jump, and goes on elsewhere.
func (b *jumpyBus) jump(most int) {
	for ; most > 0 && len(b.stream) > 0 && b.stream[len(b.stream)-1].Position.Offset > b.base; most-- {
		last := len(b.stream) - 1
		b.lost = append([]fanout.Publication{b.stream[last]}, b.lost...)
		b.stream = b.stream[:last]
	}
	b.base = (b.top/1000 + 1) * 1000
	b.bases, b.top = append(b.bases, b.base), b.base
}

// once hears what a loop is handed.
type once struct {
	t     *rapid.T
	heard map[string]bool
	told  bool // of a gap, behind which anything may come
}

func (o *once) Ready(string, int, error)                    {}
func (o *once) Gap(fanout.LoopSet, string, fanout.Position) { o.told = true }
func (o *once) Deliver(_ fanout.LoopSet, p *fanout.Publication) {
	if o.heard[string(p.Data)] && !o.told {
		o.t.Fatalf("%s is heard again at %v, where it was %v", p.Data, p.Position, p.Was)
	}
	o.heard[string(p.Data)] = true
}

func TestStreamJumps(t *testing.T) {
	whole, again := 0, uint64(0)
	rapid.Check(t, func(t *rapid.T) {
		bus, loop := &jumpyBus{}, &once{t: t, heard: map[string]bool{}}
		router := fanout.NewRouter(bus, loop, fanout.RouterOptions{})
		if err := router.Start(); err != nil {
			t.Fatal(err)
		}
		defer router.Close()
		if ready, err := router.Want("room", 0); !ready || err != nil {
			t.Fatal(ready, err)
		}
		answer := func() {
			first := bus.waiting[0]
			bus.waiting = bus.waiting[1:]
			first()
		}
		push := func(p fanout.Publication) { bus.sink.HandlePublication(&p) }
		restore := func(heard bool) {
			p := bus.lost[0]
			bus.lost = bus.lost[1:]
			if p = bus.add(string(p.Data), append(slices.Clone(p.Was), p.Position.Offset)); heard {
				push(p)
			}
		}
		push(bus.publish()) // the place to begin at
		t.Repeat(map[string]func(*rapid.T){
			"publish": func(*rapid.T) { push(bus.publish()) },
			"miss":    func(*rapid.T) { bus.publish() },
			"jump": func(t *rapid.T) {
				if len(bus.bases) == 8 {
					t.Skip("no more jumps are remembered")
				}
				bus.jump(rapid.IntRange(0, 3).Draw(t, "lost"))
				pos := fanout.Position{}
				if rapid.Bool().Draw(t, "known") {
					pos = bus.position()
				}
				bus.sink.HandleGap("room", pos)
			},
			"restore": func(t *rapid.T) {
				if len(bus.lost) == 0 {
					t.Skip("nothing is lost")
				}
				restore(rapid.Bool().Draw(t, "heard"))
			},
			"gap": func(*rapid.T) { bus.sink.HandleGap("room", bus.position()) },
			"answer": func(t *rapid.T) {
				if len(bus.waiting) == 0 {
					t.Skip("nothing was asked")
				}
				answer()
			},
		})
		for len(bus.lost) > 0 {
			restore(true)
		}
		push(bus.publish()) // shows any loss that is still hidden
		for len(bus.waiting) > 0 {
			answer()
		}
		for n := 1; n <= bus.number && !loop.told; n++ {
			if !loop.heard[strconv.Itoa(n)] {
				t.Fatalf("%d of %d was never heard, and no gap was told", n, bus.number)
			}
		}
		if !loop.told {
			whole++
		}
		again += router.Stats().Duplicates
	})
	if whole == 0 || again == 0 {
		t.Errorf("%d runs without a gap, %d publications heard before: the model does not reach it", whole, again)
	}
}
