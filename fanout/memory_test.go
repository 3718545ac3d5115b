package fanout_test

import (
	"errors"
	"testing"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/fanout/fanouttest"
)

func TestMemoryBroker(t *testing.T) {
	fanouttest.RunBroker(t, func(*testing.T) fanout.Broker { return fanout.NewMemory() }, fanouttest.DeliversAll)
}

// countingSink counts, and is a completion too.
type countingSink struct {
	publications, completions int
	err                       error
}

func (s *countingSink) HandlePublication(*fanout.Publication)  { s.publications++ }
func (s *countingSink) HandleGap(string, fanout.Position)      {}
func (s *countingSink) Published(_ fanout.Position, err error) { s.completions++; s.err = err }

func TestMemoryDeliversInsidePublish(t *testing.T) {
	memory, sink := fanout.NewMemory(), &countingSink{}
	memory.Publish(&fanout.Publication{Room: "a"}, sink)
	if sink.publications != 0 || !errors.Is(sink.err, fanout.ErrClosed) {
		t.Fatalf("before Start: %+v, want ErrClosed and no delivery", sink)
	}
	if err := memory.Start(sink); err != nil {
		t.Fatal(err)
	}
	if err := memory.Start(sink); err == nil {
		t.Error("a second Start is not refused")
	}
	memory.Publish(&fanout.Publication{Room: "a"}, sink)
	if sink.publications != 1 || sink.completions != 2 || sink.err != nil {
		t.Errorf("after Start: %+v, want one delivery and one nil completion", sink)
	}
}

func TestMemoryPublishAllocatesNothing(t *testing.T) {
	memory, sink := fanout.NewMemory(), &countingSink{}
	if err := memory.Start(sink); err != nil {
		t.Fatal(err)
	}
	p := &fanout.Publication{Room: "a", Data: []byte("1")}
	if n := testing.AllocsPerRun(1000, func() { memory.Publish(p, sink) }); n != 0 {
		t.Errorf("%v allocations a Publish, want 0", n)
	}
}

// One goroutine, a sink that does nothing: what the broker itself adds to a publication.
func BenchmarkMemoryPublish(b *testing.B) {
	memory, sink := fanout.NewMemory(), &countingSink{}
	if err := memory.Start(sink); err != nil {
		b.Fatal(err)
	}
	p := &fanout.Publication{Room: "a", Data: []byte("1")}
	b.ReportAllocs()
	for b.Loop() {
		memory.Publish(p, sink)
	}
}
