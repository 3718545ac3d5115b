package fanout_test

// Nodes whose bus goes away and comes back.

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/roost-ws/roost/fanout"
)

// wire is a bus that delivers within Publish, and plug one node's end of it, which can be pulled out.
type wire struct {
	plugs []*plug
}

type plug struct {
	wire *wire
	sink fanout.Sink

	mu    sync.Mutex
	out   bool
	mute  bool // a part of the bus is away: nothing can be published, and rooms can be subscribed
	rooms map[string]bool
}

func (w *wire) plug() *plug {
	p := &plug{wire: w, rooms: map[string]bool{}}
	w.plugs = append(w.plugs, p)
	return p
}

func (p *plug) Start(sink fanout.Sink) error { p.sink = sink; return nil }
func (p *plug) Close() error                 { return nil }
func (p *plug) Up() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.out && !p.mute
}

func (p *plug) hears(room string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.out && p.rooms[room]
}

func (p *plug) Publish(x *fanout.Publication, done fanout.Completion) {
	err := fmt.Errorf("publishing: %w", fanout.ErrDown)
	if p.Up() {
		err = nil
		for _, other := range p.wire.plugs {
			if other.hears(x.Room) {
				other.sink.HandlePublication(x)
			}
		}
	}
	if done != nil {
		done.Published(fanout.Position{}, err)
	}
}

func (p *plug) Subscribe(room string, done func(error)) {
	p.mu.Lock()
	out := p.out
	p.mu.Unlock()
	if out {
		done(fmt.Errorf("subscribing: %w", fanout.ErrDown))
		return
	}
	p.mu.Lock()
	p.rooms[room] = true
	p.mu.Unlock()
	done(nil)
}

func (p *plug) Unsubscribe(room string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.rooms, room)
}

// pull takes the plug out; put puts it back and tells the rooms that were subscribed of a gap, as a broker does.
func (p *plug) pull() { p.mu.Lock(); p.out = true; p.mu.Unlock() }
func (p *plug) put() {
	p.mu.Lock()
	p.out = false
	rooms := make([]string, 0, len(p.rooms))
	for room := range p.rooms {
		rooms = append(rooms, room)
	}
	p.mu.Unlock()
	for _, room := range rooms {
		p.sink.HandleGap(room, fanout.Position{})
	}
}

// listening is a node's loops that remember what they heard, in order: publications, and "gap".
type listening struct {
	mu    sync.Mutex
	heard map[string][]string
}

func (l *listening) Ready(string, int, error) {}
func (l *listening) note(room, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard[room] = append(l.heard[room], text)
}
func (l *listening) Deliver(_ fanout.LoopSet, p *fanout.Publication)      { l.note(p.Room, string(p.Data)) }
func (l *listening) Gap(_ fanout.LoopSet, room string, _ fanout.Position) { l.note(room, "gap") }
func (l *listening) hasHeard(room string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.heard[room], " ")
}

// outcomeOf is a completion that keeps the error.
type outcomeOf struct{ err error }

func (o *outcomeOf) Published(_ fanout.Position, err error) { o.err = err }

func TestOffline(t *testing.T) {
	w := &wire{}
	ends, heard, routers := []*plug{w.plug(), w.plug()}, []*listening{}, []*fanout.Router{}
	for i, end := range ends {
		l := &listening{heard: map[string][]string{}}
		r := fanout.NewRouter(end, l, fanout.RouterOptions{Name: fmt.Sprint("node", i), StayLocal: true,
			Keeps: func(room string) bool { return room == "kept" }})
		if err := r.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = r.Close() })
		heard, routers = append(heard, l), append(routers, r)
	}
	want := func(r *fanout.Router, room string, ok bool) {
		t.Helper()
		if ready, err := r.Want(room, 0); ready != ok || (err == nil) != ok {
			t.Errorf("Want(%q): %v, %v", room, ready, err)
		}
	}
	say := func(r *fanout.Router, room, text string) error {
		o := &outcomeOf{}
		r.Publish(&fanout.Publication{Room: room, Data: []byte(text), Node: "node0"}, o)
		return o.err
	}
	for _, r := range routers {
		want(r, "old", true)
		want(r, "kept", true)
		want(r, "quiet", true)
	}
	_ = say(routers[0], "old", "1")
	ends[0].pull()
	want(routers[0], "new", true)
	want(routers[1], "new", true)
	for _, room := range []string{"old", "new"} {
		if err := say(routers[0], room, "2"); err != nil {
			t.Errorf("said in %q while the bus was away: %v", room, err)
		}
	}
	if err := say(routers[0], "kept", "2"); !errors.Is(err, fanout.ErrDown) {
		t.Errorf("said in a room that keeps history: %v, want ErrDown", err)
	}
	_ = say(routers[1], "old", "elsewhere")
	if got := heard[0].hasHeard("old"); got != "1 2" {
		t.Errorf("the node that was cut off heard %q", got)
	}
	ends[0].put()
	// Both ends learn of what they missed, and hear each other again.
	for i, rooms := range []map[string]string{
		{"old": "1 2 gap", "new": "2 gap", "quiet": "gap", "kept": "gap"},
		{"old": "1 elsewhere gap", "new": "gap", "quiet": "", "kept": ""},
	} {
		for room, all := range rooms {
			waitUntil(t, fmt.Sprintf("%q of node %d in %q (it heard %q)", all, i, room, heard[i].hasHeard(room)),
				func() bool { return heard[i].hasHeard(room) == all })
		}
	}
	for i, r := range routers {
		if err := say(r, "new", "3"); err != nil {
			t.Errorf("node %d: %v", i, err)
		}
	}
	for i := range routers {
		if got := heard[i].hasHeard("new"); !strings.HasSuffix(got, "gap 3 3") {
			t.Errorf("node %d heard %q", i, got)
		}
	}
	if got := heard[0].heard["new"]; slices.Contains(got, "elsewhere") {
		t.Errorf("heard %q", got)
	}
}

// Talk that goes on does not put off what waits for the bus.
func TestOfflineTalkDoesNotHoldUp(t *testing.T) {
	w := &wire{}
	end, l := w.plug(), &listening{heard: map[string][]string{}}
	r := fanout.NewRouter(end, l, fanout.RouterOptions{Name: "node", StayLocal: true})
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	if ready, err := r.Want("old", 0); !ready || err != nil {
		t.Fatal(ready, err)
	}
	end.pull()
	if ready, err := r.Want("new", 0); !ready || err != nil {
		t.Fatal(ready, err)
	}
	end.mu.Lock()
	end.out, end.mute = false, true
	end.mu.Unlock()
	waitUntil(t, "the room's subscription, while others talk", func() bool {
		r.Publish(&fanout.Publication{Room: "old", Data: []byte("x"), Node: "node"}, nil)
		return end.hears("new")
	})
}

// Without StayLocal nothing works while the bus is away, and says so.
func TestOfflineRefused(t *testing.T) {
	w := &wire{}
	end, l := w.plug(), &listening{heard: map[string][]string{}}
	r := fanout.NewRouter(end, l, fanout.RouterOptions{Name: "node"})
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	if ready, err := r.Want("old", 0); !ready || err != nil {
		t.Fatal(ready, err)
	}
	end.pull()
	o := &outcomeOf{}
	r.Publish(&fanout.Publication{Room: "old", Data: []byte("1")}, o)
	if _, err := r.Want("new", 0); !errors.Is(o.err, fanout.ErrDown) || !errors.Is(err, fanout.ErrDown) {
		t.Errorf("published: %v, wanted: %v; want ErrDown twice", o.err, err)
	}
	if got := l.hasHeard("old"); got != "" {
		t.Errorf("heard %q", got)
	}
}
