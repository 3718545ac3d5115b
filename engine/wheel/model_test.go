// The wheel against a map: whatever the calls, also from within fire, the two agree on what fires when.

package wheel

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// timer is what the model knows of a scheduled id. A late one was due when it was scheduled; fresh is the
// number of the Advance within which that happened, which must not fire it.
type timer struct {
	due   uint32
	fresh int
}

// model drives a wheel and a map side by side.
type model struct {
	*rapid.T
	slab   *slab
	wheel  *Wheel
	timers map[uint32]timer
	now    uint32
	round  int // of the running Advance; 0 between them
	rounds int
}

const modelIDs = 12

func (m *model) schedule() {
	id := rapid.Uint32Range(1, modelIDs).Draw(m.T, "id")
	// Mostly near, so that entries share slots and laps; now and then anywhere.
	due := rapid.OneOf(
		rapid.Uint32Range(m.now-min(m.now, 3), m.now+20),
		rapid.Uint32(),
	).Draw(m.T, "due")
	m.wheel.Schedule(id, due)
	m.timers[id] = timer{max(due, 1), m.round}
}

func (m *model) cancel() {
	id := rapid.Uint32Range(1, modelIDs).Draw(m.T, "id")
	m.wheel.Cancel(id)
	delete(m.timers, id)
}

func (m *model) fire(id uint32) {
	due, ok := m.timers[id]
	switch {
	case !ok:
		m.Fatalf("%d fired at %d, but is not scheduled", id, m.now)
	case due.due > m.now:
		m.Fatalf("%d fired at %d, due only at %d", id, m.now, due.due)
	case due.fresh == m.round:
		m.Fatalf("%d fired at %d in the Advance that scheduled it", id, m.now)
	}
	delete(m.timers, id)
	for range rapid.IntRange(0, 3).Draw(m.T, "actions") {
		if rapid.Bool().Draw(m.T, "schedule") {
			m.schedule()
		} else {
			m.cancel()
		}
	}
}

func (m *model) advance() {
	// No further than leaves room for a due date ahead, whatever the number of steps.
	step := rapid.OneOf(rapid.Uint32Range(0, 20), rapid.Uint32Range(0, 1<<20)).Draw(m.T, "step")
	m.now = min(m.now+step, math.MaxUint32-64)
	m.rounds++
	m.round = m.rounds
	count := 0
	fired := m.wheel.Advance(m.now, func(id uint32) { count++; m.fire(id) })
	if fired != count {
		m.Fatalf("Advance returned %d, fired %d", fired, count)
	}
	for id, due := range m.timers {
		if due.due <= m.now && due.fresh != m.round {
			m.Fatalf("%d, due at %d, did not fire at %d", id, due.due, m.now)
		}
	}
	m.round = 0
}

func (m *model) check() {
	if m.wheel.Len() != len(m.timers) {
		m.Fatalf("Len = %d, want %d", m.wheel.Len(), len(m.timers))
	}
	for id := uint32(1); id <= modelIDs; id++ {
		e := m.slab.Entry(id)
		if due := m.timers[id].due; e.Due() != due || e.Scheduled() != (due != 0) {
			m.Fatalf("entry %d: due %d, want %d", id, e.Due(), due)
		}
	}
	checkRings(m, m.wheel, m.slab)
}

func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := rapid.OneOf(rapid.Uint32Range(1, 20), rapid.Uint32Range(1, 1<<31)).Draw(t, "start")
		s := newSlab(modelIDs)
		m := &model{
			T:      t,
			slab:   s,
			wheel:  New(s, rapid.IntRange(1, 16).Draw(t, "slots"), now),
			timers: map[uint32]timer{},
			now:    now,
		}
		t.Repeat(map[string]func(*rapid.T){
			"schedule": func(*rapid.T) { m.schedule() },
			"cancel":   func(*rapid.T) { m.cancel() },
			"advance":  func(*rapid.T) { m.advance() },
			"":         func(*rapid.T) { m.check() },
		})
	})
}
