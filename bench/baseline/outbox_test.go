package baseline

import (
	"fmt"
	"testing"
)

func newOutbox(limit int) *outbox {
	o := &outbox{limit: limit}
	o.filled.L = &o.mu
	return o
}

func TestOutboxBounds(t *testing.T) {
	o := newOutbox(10)
	if !o.push(make([]byte, 100)) {
		t.Error("a frame longer than the limit is refused by an empty queue")
	}
	if o.push(make([]byte, 1)) {
		t.Error("the limit is not kept")
	}
	if !o.push(make([]byte, 1)) {
		t.Error("an overflow is reported twice")
	}
	if got := o.take(nil); got != nil {
		t.Errorf("%d frames are left after an overflow", len(got))
	}
}

func TestOutboxFinish(t *testing.T) {
	o := newOutbox(1000)
	o.push([]byte("a"))
	o.push([]byte("b"))
	o.finish()
	o.push([]byte("c"))
	if got := o.take(nil); len(got) != 2 {
		t.Errorf("%d frames, want the 2 from before the end", len(got))
	}
	if o.take(nil) != nil {
		t.Error("no end")
	}
}

// TestOutboxOrder takes while others push, and reuses memory as the writer does.
func TestOutboxOrder(t *testing.T) {
	const n = 10000
	o := newOutbox(1 << 30)
	go func() {
		for i := range n {
			o.push(fmt.Appendf(nil, "%d", i))
		}
		o.finish()
	}()
	next := 0
	var batch [][]byte
	for {
		if batch = o.take(batch); batch == nil {
			break
		}
		for _, frame := range batch {
			if got, want := string(frame), fmt.Sprint(next); got != want {
				t.Fatalf("got %s, want %s", got, want)
			}
			next++
		}
		clear(batch)
		batch = batch[:0]
	}
	if next != n {
		t.Errorf("%d frames of %d", next, n)
	}
}

// TestOutboxForgetsLength is about a member that was slow once.
func TestOutboxForgetsLength(t *testing.T) {
	o := newOutbox(1 << 20)
	for range 10 * keptFrames {
		o.push([]byte("x"))
	}
	batch := o.take(nil)
	o.push([]byte("x"))
	o.take(batch[:0])
	if cap(o.frames) > keptFrames {
		t.Errorf("an empty queue keeps memory for %d frames", cap(o.frames))
	}
}

// TestPublishAllocates says that delivering costs nothing but the frame itself.
func TestPublishAllocates(t *testing.T) {
	rs := rooms{byName: map[string]*room{}}
	var members []*member
	for range 100 {
		m := newMember(nil, 1<<20)
		rs.join("room", m)
		members = append(members, m)
	}
	frame := make([]byte, 127)
	spares := make([][][]byte, len(members))
	once := func() {
		members[0].room.publish(frame)
		for i, m := range members {
			batch := m.out.take(spares[i])
			clear(batch)
			spares[i] = batch[:0]
		}
	}
	once()
	once()
	if n := testing.AllocsPerRun(100, once); n > 0 {
		t.Errorf("%v allocations for a publication to %d members", n, len(members))
	}
}
