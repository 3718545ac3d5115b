// Named cases for the wheel: when things fire, what fire may do, what a jump of time costs.

package wheel

import (
	"math"
	"slices"
	"testing"
	"unsafe"
)

// slab is a Table over one slice that counts how often it is asked.
type slab struct {
	entries []Entry
	asked   int
}

func newSlab(n int) *slab { return &slab{entries: make([]Entry, n)} }

func (s *slab) Entry(id uint32) *Entry {
	s.asked++
	return &s.entries[id-1]
}

// advance returns the ids that fire, sorted.
func advance(w *Wheel, now uint32) []uint32 {
	var ids []uint32
	w.Advance(now, func(id uint32) { ids = append(ids, id) })
	slices.Sort(ids)
	return ids
}

func TestEntryIsTwelveBytes(t *testing.T) {
	if size := unsafe.Sizeof(Entry{}); size != 12 {
		t.Fatalf("an Entry has %d bytes, connections reckon with 12", size)
	}
}

func TestFires(t *testing.T) {
	type timer struct{ id, due uint32 }
	type step struct {
		now  uint32
		want []uint32
	}
	cases := []struct {
		name   string
		timers []timer
		steps  []step
	}{
		{"nothing scheduled", nil, []step{{11, nil}, {5000, nil}}},
		{"not early", []timer{{1, 15}}, []step{{14, nil}, {15, []uint32{1}}, {16, nil}}},
		{"late when ticks were skipped", []timer{{1, 12}}, []step{{17, []uint32{1}}}},
		{"several in a slot", []timer{{1, 12}, {2, 12}, {3, 12}}, []step{{12, []uint32{1, 2, 3}}}},
		{"same slot, another lap", []timer{{1, 12}, {2, 20}, {3, 28}}, []step{{12, []uint32{1}}, {19, nil}, {20, []uint32{2}}, {28, []uint32{3}}}},
		{"exactly one lap ahead", []timer{{1, 18}}, []step{{10, nil}, {17, nil}, {18, []uint32{1}}}},
		{"many laps ahead", []timer{{1, 1_000_000}}, []step{{999_999, nil}, {1_000_000, []uint32{1}}}},
		{"jump over more than a lap", []timer{{1, 11}, {2, 18}, {3, 40}, {4, 41}}, []step{{40, []uint32{1, 2, 3}}, {41, []uint32{4}}}},
		{"due now, same tick again", []timer{{1, 10}}, []step{{10, []uint32{1}}, {10, nil}}},
		{"due in the past", []timer{{1, 3}}, []step{{11, []uint32{1}}}},
		{"due zero counts as past", []timer{{1, 0}}, []step{{11, []uint32{1}}, {12, nil}}},
		{"past due moved ahead", []timer{{1, 3}, {1, 12}}, []step{{11, nil}, {12, []uint32{1}}}},
		{"ahead moved to the past", []timer{{1, 12}, {1, 3}}, []step{{10, []uint32{1}}, {12, nil}}},
		{"rescheduled, the last one counts", []timer{{1, 12}, {1, 14}, {1, 13}}, []step{{12, nil}, {13, []uint32{1}}, {20, nil}}},
		{"time going back counts as standing still", []timer{{1, 11}, {2, 10}}, []step{{4, []uint32{2}}, {10, nil}, {11, []uint32{1}}}},
		{"last tick there is", []timer{{1, math.MaxUint32}}, []step{{math.MaxUint32 - 1, nil}, {math.MaxUint32, []uint32{1}}}},
		{"id none", []timer{{0, 11}}, []step{{20, nil}}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			w := New(newSlab(8), 8, 10)
			for _, timer := range c.timers {
				w.Schedule(timer.id, timer.due)
			}
			for _, s := range c.steps {
				if got := advance(w, s.now); !slices.Equal(got, s.want) {
					t.Fatalf("Advance(%d) fired %v, want %v", s.now, got, s.want)
				}
			}
			if w.Len() != 0 {
				t.Fatalf("Len = %d at the end", w.Len())
			}
		})
	}
}

func TestCancel(t *testing.T) {
	s := newSlab(4)
	w := New(s, 8, 1)
	w.Cancel(0)
	w.Cancel(1)
	for id := uint32(1); id <= 3; id++ {
		w.Schedule(id, 5)
	}
	w.Schedule(4, 1)
	w.Cancel(2)
	w.Cancel(2)
	w.Cancel(4)
	if w.Len() != 2 || s.entries[1].Scheduled() || s.entries[1].Due() != 0 {
		t.Fatalf("Len = %d, entry %+v after Cancel", w.Len(), s.entries[1])
	}
	if got := advance(w, 9); !slices.Equal(got, []uint32{1, 3}) {
		t.Fatalf("fired %v, want [1 3]", got)
	}
}

func TestFireChangesTheWheel(t *testing.T) {
	// Entries 1 to 4 are due at tick 12 of a wheel of 8 slots; the slot is walked 4, 3, 2, 1.
	cases := []struct {
		name        string
		act         func(w *Wheel, id uint32)
		first, next []uint32 // fired by Advance(12), then by Advance(13)
	}{
		{"cancels itself", func(w *Wheel, id uint32) { w.Cancel(id) }, []uint32{1, 2, 3, 4}, nil},
		{"cancels the next of the walk", func(w *Wheel, id uint32) { w.Cancel(id - 1) }, []uint32{2, 4}, nil},
		{"cancels all others", func(w *Wheel, id uint32) {
			for other := uint32(1); other <= 4; other++ {
				w.Cancel(other)
			}
		}, []uint32{4}, nil},
		{"schedules itself at now", func(w *Wheel, id uint32) { w.Schedule(id, 12) }, []uint32{1, 2, 3, 4}, []uint32{1, 2, 3, 4}},
		{"schedules itself in the past", func(w *Wheel, id uint32) { w.Schedule(id, 0) }, []uint32{1, 2, 3, 4}, []uint32{1, 2, 3, 4}},
		{"schedules itself for the next tick", func(w *Wheel, id uint32) { w.Schedule(id, 13) }, []uint32{1, 2, 3, 4}, []uint32{1, 2, 3, 4}},
		{"schedules itself into the same slot", func(w *Wheel, id uint32) { w.Schedule(id, 20) }, []uint32{1, 2, 3, 4}, nil},
		{"puts off the next of the walk", func(w *Wheel, id uint32) { w.Schedule(max(id-1, 1), 20) }, []uint32{2, 4}, nil},
		{"moves the next of the walk to now", func(w *Wheel, id uint32) { w.Schedule(max(id-1, 1), 12) }, []uint32{2, 4}, []uint32{1, 3}},
		{"schedules one that has fired", func(w *Wheel, id uint32) { w.Schedule(4, 12) }, []uint32{1, 2, 3, 4}, []uint32{4}},
		{"schedules a new one at now", func(w *Wheel, id uint32) { w.Schedule(5, 12) }, []uint32{1, 2, 3, 4}, []uint32{5}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := newSlab(8)
			w := New(s, 8, 10)
			for id := uint32(1); id <= 4; id++ {
				w.Schedule(id, 12)
			}
			var got []uint32
			fired := w.Advance(12, func(id uint32) {
				if s.entries[id-1].Scheduled() {
					t.Errorf("entry %d is still scheduled when it fires", id)
				}
				got = append(got, id)
				c.act(w, id)
			})
			if fired != len(got) {
				t.Errorf("Advance returned %d, fired %d", fired, len(got))
			}
			slices.Sort(got)
			if !slices.Equal(got, c.first) {
				t.Errorf("fired %v, want %v", got, c.first)
			}
			if got := advance(w, 13); !slices.Equal(got, c.next) {
				t.Errorf("then fired %v, want %v", got, c.next)
			}
			checkRings(t, w, s)
		})
	}
}

func TestSlabGrowsWhileFiring(t *testing.T) {
	s := newSlab(2)
	w := New(s, 8, 1)
	w.Schedule(1, 2)
	w.Schedule(2, 2)
	w.Advance(2, func(id uint32) {
		s.entries = append(slices.Clone(s.entries), Entry{})
		w.Schedule(uint32(len(s.entries)), 3)
	})
	if got := advance(w, 3); !slices.Equal(got, []uint32{3, 4}) {
		t.Fatalf("fired %v, want [3 4]", got)
	}
}

// A stalled loop that wakes up billions of ticks later must not count through them: each slot is walked once,
// so each entry is looked at a fixed number of times.
func TestJumpWalksEachSlotOnce(t *testing.T) {
	const n = 1000
	s := newSlab(n)
	w := New(s, 64, 1)
	for id := uint32(1); id <= n; id++ {
		w.Schedule(id, math.MaxUint32-id)
	}
	s.asked = 0
	if got := advance(w, 4_000_000_000); got != nil {
		t.Fatalf("fired %v before they were due", got)
	}
	if s.asked != n {
		t.Fatalf("%d look-ups for %d entries, want one each", s.asked, n)
	}
	if got := advance(w, math.MaxUint32); len(got) != n {
		t.Fatalf("fired %d, want %d", len(got), n)
	}
}

func TestNewRoundsUp(t *testing.T) {
	for slots, want := range map[int]int{-1: 1, 0: 1, 1: 1, 2: 2, 3: 4, 512: 512, 513: 1024} {
		if w := New(newSlab(1), slots, 0); len(w.heads) != want+1 || int(w.mask) != want-1 {
			t.Errorf("New(%d slots): %d heads, mask %#x, want %d slots", slots, len(w.heads), w.mask, want)
		}
	}
}

func TestAllocations(t *testing.T) {
	s := newSlab(100)
	w := New(s, 64, 1)
	now := uint32(1)
	fire := func(id uint32) { w.Schedule(id, now+id) }
	for id := uint32(1); id <= 100; id++ {
		w.Schedule(id, now+id)
	}
	allocs := testing.AllocsPerRun(1000, func() {
		now++
		w.Cancel(7)
		w.Schedule(7, now+3)
		w.Advance(now, fire)
	})
	if allocs != 0 {
		t.Fatalf("%v allocations a tick, want none", allocs)
	}
}

// checkRings follows every ring both ways and compares what hangs there with the entries' own state.
func checkRings(t interface{ Fatalf(string, ...any) }, w *Wheel, s *slab) {
	linked := 0
	for i := range w.heads {
		head := headBit | uint32(i)
		before := head
		for link := w.heads[i].next; link != head; link = s.entries[link-1].next {
			e := &s.entries[link-1]
			late := i == len(w.heads)-1
			switch {
			case e.prev != before:
				t.Fatalf("entry %d: prev %#x, reached from %#x", link, e.prev, before)
			case e.due == 0:
				t.Fatalf("entry %d is linked but not scheduled", link)
			case late != (e.due <= w.now), !late && e.due&w.mask != uint32(i):
				t.Fatalf("entry %d, due %d at tick %d, hangs in list %d", link, e.due, w.now, i)
			}
			before = link
			if linked++; linked > w.len {
				t.Fatalf("more entries are linked than Len = %d", w.len)
			}
		}
		if w.heads[i].prev != before {
			t.Fatalf("list %d: prev %#x, the last is %#x", i, w.heads[i].prev, before)
		}
	}
	scheduled := 0
	for i := range s.entries {
		if s.entries[i].Scheduled() {
			scheduled++
		}
	}
	if linked != w.len || scheduled != w.len {
		t.Fatalf("Len = %d, but %d are linked and %d scheduled", w.len, linked, scheduled)
	}
}
