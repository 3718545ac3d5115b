package fanout_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roost-ws/roost/fanout"
)

// scriptedNode is a node that remembers what it was told.
type scriptedNode struct {
	name string
	deaf bool // does not answer orders in time

	mu     sync.Mutex
	state  string
	learnt []string
	obeyed []string
}

func (n *scriptedNode) Figures() []byte { return fmt.Appendf(nil, `{"name":%q}`, n.name) }
func (n *scriptedNode) State() []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	return []byte(n.state)
}
func (n *scriptedNode) Learn(state []byte) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.learnt = append(n.learnt, string(state))
}
func (n *scriptedNode) Obey(order []byte) []byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.obeyed = append(n.obeyed, string(order))
	if n.deaf {
		return []byte(`"` + string(make([]byte, 1<<20)) + `"`) // too large to be sent: nothing arrives
	}
	return fmt.Appendf(nil, `"done by %s"`, n.name)
}

// member is a node on a bus.
func member(t *testing.T, shared *bus, n *scriptedNode) *fanout.Router {
	t.Helper()
	r := fanout.NewRouter(newBusNode(shared), &scriptedLoops{}, fanout.RouterOptions{Name: n.name, Node: n})
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// waitUntil waits for something that has to come.
func waitUntil(t *testing.T, what string, done func() bool) {
	t.Helper()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(10 * time.Second); !done(); <-look.C {
		if time.Now().After(end) {
			t.Fatalf("%s has not come", what)
		}
	}
}

func peerNames(r *fanout.Router) []string {
	var names []string
	for _, p := range r.Control().Peers() {
		if !p.Leaving {
			names = append(names, p.Name+string(p.Figures))
		}
	}
	return names
}

func TestControl(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	shared := &bus{rooms: map[string]map[*busNode]bool{}}
	a, b, c := &scriptedNode{name: "a", state: `["what a knows"]`}, &scriptedNode{name: "b"}, &scriptedNode{name: "c"}
	first, second, third := member(t, shared, a), member(t, shared, b), member(t, shared, c)
	want := map[*fanout.Router][]string{
		first: {`b{"name":"b"}`, `c{"name":"c"}`}, second: {`a{"name":"a"}`, `c{"name":"c"}`}, third: {`a{"name":"a"}`, `b{"name":"b"}`},
	}
	for r, names := range want {
		waitUntil(t, "the list of peers", func() bool { return slices.Equal(peerNames(r), names) })
	}
	waitUntil(t, "what a knows", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return slices.Contains(c.learnt, a.state)
	})

	answers, silent := second.Control().Order(t.Context(), []byte(`{"do":"it"}`))
	if len(silent) > 0 || len(answers) != 2 || string(answers["a"]) != `"done by a"` || string(answers["c"]) != `"done by c"` {
		t.Errorf("answers %q, silent %q", answers, silent)
	}
	if len(b.obeyed) > 0 || !slices.Equal(a.obeyed, []string{`{"do":"it"}`}) {
		t.Errorf("a obeyed %q, b itself %q", a.obeyed, b.obeyed)
	}

	c.mu.Lock()
	c.deaf = true
	c.mu.Unlock()
	answers, silent = second.Control().Order(t.Context(), []byte(`1`))
	if !slices.Equal(silent, []string{"c"}) || len(answers) != 1 {
		t.Errorf("answers %q, silent %q, want c to be silent", answers, silent)
	}
	c.mu.Lock()
	if !slices.Equal(c.obeyed, []string{`{"do":"it"}`, `1`, `1`}) {
		t.Errorf("c heard %q, want the order twice", c.obeyed)
	}
	c.mu.Unlock()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, silent = second.Control().Order(gone, []byte(`2`)); len(silent) == 0 {
		t.Error("an order whose caller has gone waited for answers")
	}

	third.Control().Leave()
	waitUntil(t, "c's goodbye", func() bool { return slices.Equal(peerNames(first), []string{`b{"name":"b"}`}) })
	for _, r := range []*fanout.Router{first, second, third} {
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Notes that no node has written are dropped and counted.
func TestControlDropsWhatItCannotRead(t *testing.T) {
	shared := &bus{rooms: map[string]map[*busNode]bool{}}
	a := &scriptedNode{name: "a"}
	r := member(t, shared, a)
	other := newBusNode(shared)
	if err := other.Start(&orderSink{last: map[string]uint64{}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	bad := []fanout.Publication{
		{Data: []byte(`{"type":"order","from":"x"}`)}, // from a backend
		{Node: "x", Data: []byte(`nonsense`)},
		{Node: "x", Data: []byte(`{"type":"start","from":"x"}`)},
		{Node: "x", Data: []byte(`{"type":"here"}`)},
		{Node: "x", Data: fmt.Appendf(nil, `{"type":"order","from":"x","body":"%01000000d"}`, 1)},
	}
	for i := range bad {
		bad[i].Room = fanout.ControlRoom
		other.Publish(&bad[i], nil)
	}
	waitUntil(t, "the count of notes that were dropped", func() bool { return r.Control().Dropped() == uint64(len(bad)) })
	if a.mu.Lock(); len(a.obeyed) > 0 {
		t.Errorf("it obeyed %.100q", a.obeyed)
	}
	a.mu.Unlock()
}
