package fanouttest

// What a sink heard and what a completion was told, with waiting that ends at a deadline.

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/roost-ws/roost/fanout"
)

// recordingSink is a sink that writes down what it hears.
type recordingSink interface {
	fanout.Sink
	record() *recorder
}

// recorder is a sink that keeps a copy of every publication, by room, in the order of arrival.
type recorder struct {
	mu      sync.Mutex
	rooms   map[string][]fanout.Publication
	changed chan struct{} // closed, and replaced, by each arrival
}

func newRecorder() *recorder {
	return &recorder{rooms: map[string][]fanout.Publication{}, changed: make(chan struct{})}
}

func (r *recorder) record() *recorder { return r }

// HandlePublication implements [fanout.Sink].
func (r *recorder) HandlePublication(p *fanout.Publication) {
	kept := *p
	kept.Data = bytes.Clone(p.Data)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.rooms[p.Room] = append(r.rooms[p.Room], kept)
	close(r.changed)
	r.changed = make(chan struct{})
}

// HandleGap implements [fanout.Sink]. No case takes the bus away, and a gap without need is allowed.
func (r *recorder) HandleGap(string, fanout.Position) {}

// in returns what arrived in room until now.
func (r *recorder) in(room string) []fanout.Publication {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.rooms[room])
}

// last returns the offset of what arrived in room last, 0 if nothing did.
func (r *recorder) last(room string) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.rooms[room]
	if len(all) == 0 {
		return 0
	}
	return all[len(all)-1].Position.Offset
}

// texts returns the payloads that arrived in room until now.
func (r *recorder) texts(room string) []string {
	var texts []string
	for _, p := range r.in(room) {
		texts = append(texts, string(p.Data))
	}
	return texts
}

// names returns the rooms in which anything arrived.
func (r *recorder) names() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var names []string
	for name := range r.rooms {
		names = append(names, name)
	}
	return names
}

// wait waits until at least n publications arrived in room, and returns all that did.
func (r *recorder) wait(t *testing.T, room string, n int) []fanout.Publication {
	t.Helper()
	late := time.After(patience)
	for {
		r.mu.Lock()
		got, changed := len(r.rooms[room]), r.changed
		r.mu.Unlock()
		if got >= n {
			return r.in(room)
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("%d of %d publications arrived in %q", got, n, room)
		}
	}
}

// waitFor waits until text arrived in room.
func (r *recorder) waitFor(t *testing.T, room, text string) {
	t.Helper()
	late := time.After(patience)
	for {
		r.mu.Lock()
		changed := r.changed
		r.mu.Unlock()
		if slices.Contains(r.texts(room), text) {
			return
		}
		select {
		case <-changed:
		case <-late:
			t.Fatalf("%q did not arrive in %q", text, room)
		}
	}
}

// errNoOutcome is what a case sees of a call that was never answered.
var errNoOutcome = errors.New("no outcome came")

// outcome is a completion that remembers how often it was told, and what it was told first.
type outcome struct {
	first chan error
	mu    sync.Mutex
	calls int
}

func newOutcome() *outcome { return &outcome{first: make(chan error, 1)} }

// Published implements [fanout.Completion].
func (o *outcome) Published(_ fanout.Position, err error) { o.tell(err) }

func (o *outcome) tell(err error) {
	o.mu.Lock()
	o.calls++
	first := o.calls == 1
	o.mu.Unlock()
	if first {
		o.first <- err
	}
}

// wait waits for the first call and returns what it said, or errNoOutcome.
func (o *outcome) wait() error {
	select {
	case err := <-o.first:
		return err
	case <-time.After(patience):
		return errNoOutcome
	}
}

// mustCome is wait for the case's own goroutine; without an outcome the case ends.
func (o *outcome) mustCome(t *testing.T, of string) error {
	t.Helper()
	err := o.wait()
	if errors.Is(err, errNoOutcome) {
		t.Fatalf("%s: %v", of, err)
	}
	return err
}

// checkOnce fails the case when it was told more often than once.
func (o *outcome) checkOnce(t *testing.T, of string) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.calls != 1 {
		t.Errorf("%s had %d outcomes, want 1", of, o.calls)
	}
}
