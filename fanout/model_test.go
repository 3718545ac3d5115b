package fanout_test

// The Router against a model of it that is simple enough to be right: any order of calls and answers.

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/roost-ws/roost/fanout"
)

// modelRoom is what the model knows of a room.
type modelRoom struct {
	wanted, waiting map[int]bool
	pending, on     bool
	idleSince       time.Time // when the last loop dropped it, or it was confirmed for nobody
}

// model drives a Router and says what it has to do.
type model struct {
	broker *script
	loops  *scriptedLoops
	router *fanout.Router
	linger time.Duration
	rooms  map[string]*modelRoom
	expect []string // what the loops have to be told by the action that runs
	next   int      // numbers the publications
}

func TestRouterLikeModel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // one bubble for all runs: time moves only by sleeping
		rapid.Check(struct{ testing.TB }{t}, func(t *rapid.T) { // a bare T would be asked for its deadline, which a bubble forbids
			m := &model{broker: newScript(), loops: &scriptedLoops{}, rooms: map[string]*modelRoom{}}
			for _, name := range []string{"a", "b", "c"} {
				m.rooms[name] = &modelRoom{wanted: map[int]bool{}, waiting: map[int]bool{}}
			}
			m.linger = rapid.SampledFrom([]time.Duration{0, lingerTime}).Draw(t, "linger")
			m.router = fanout.NewRouter(m.broker, m.loops, fanout.RouterOptions{Linger: m.linger})
			if err := m.router.Start(); err != nil {
				t.Fatal(err)
			}
			defer m.router.Close()
			t.Repeat(map[string]func(*rapid.T){
				"want": m.want, "drop": m.drop, "answer": m.answer, "publish": m.publish, "gap": m.gap, "sleep": m.sleep,
				"": m.check,
			})
			m.close(t)
		})
	})
}

func (m *model) draw(t *rapid.T) (name string, room *modelRoom, loop int) {
	name = rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "room")
	return name, m.rooms[name], rapid.SampledFrom([]int{0, 63, 64, 255}).Draw(t, "loop")
}

// want asks for a room, unless the loop has it already: a loop asks once.
func (m *model) want(t *rapid.T) {
	name, room, loop := m.draw(t)
	if room.wanted[loop] {
		t.SkipNow()
	}
	m.broker.answer = rapid.SampledFrom([]answer{later, atOnce, failsOnce}).Draw(t, "answer")
	asked := !room.on && !room.pending
	ready, err := m.router.Want(name, loop)
	wantReady, wantErr := room.on || asked && m.broker.answer == atOnce, error(nil)
	if asked && m.broker.answer == failsOnce {
		wantErr = errRefused
	}
	if ready != wantReady || !errors.Is(err, wantErr) {
		t.Fatalf("Want(%s, %d) = %v, %v, want %v, %v", name, loop, ready, err, wantReady, wantErr)
	}
	if wantErr != nil {
		return
	}
	room.wanted[loop] = true
	room.on = wantReady
	room.pending = !wantReady
	if !wantReady {
		room.waiting[loop] = true
	}
}

// drop drops a room, also one not wanted. If the node unsubscribes at once, another loop may ask in the middle of it.
func (m *model) drop(t *rapid.T) {
	name, room, loop := m.draw(t)
	other := m.interrupt(t, name)
	delete(room.waiting, loop)
	had := room.wanted[loop]
	delete(room.wanted, loop)
	m.router.Drop(name, loop)
	if had && room.on && len(room.wanted) == 0 {
		m.idle(name, room, other)
	}
	m.broker.inUnsubscribe = nil
}

// interrupt perhaps lets a loop want room inside the next Unsubscribe of it; it returns the loop, or -1.
func (m *model) interrupt(t *rapid.T, name string) int {
	other := rapid.SampledFrom([]int{-1, 1, 65}).Draw(t, "wants inside Unsubscribe")
	m.broker.answer = rapid.SampledFrom([]answer{later, atOnce, failsOnce}).Draw(t, "its answer")
	if other >= 0 {
		m.broker.inUnsubscribe = func(room string) {
			if ready, err := m.router.Want(room, other); ready || err != nil {
				m.loops.note(fmt.Sprintf("Want inside Unsubscribe of %s: %v, %v", room, ready, err))
			}
		}
	}
	return other
}

// idle is what a subscribed room does when nobody wants it: it lingers, or it ends and other asked meanwhile.
func (m *model) idle(name string, room *modelRoom, other int) {
	room.idleSince = time.Now()
	if m.linger == 0 {
		m.end(name, room, other)
	}
}

func (m *model) end(name string, room *modelRoom, other int) {
	room.on = false
	if other < 0 {
		return
	}
	switch m.broker.answer {
	case atOnce:
		room.on, room.wanted[other] = true, true
		m.expect = append(m.expect, readyNote(name, other, nil))
	case failsOnce:
		m.expect = append(m.expect, readyNote(name, other, errRefused))
	case later:
		room.pending, room.wanted[other], room.waiting[other] = true, true, true
	}
}

// answer confirms or refuses a pending Subscribe.
func (m *model) answer(t *rapid.T) {
	name, room, _ := m.draw(t)
	if !room.pending {
		t.SkipNow()
	}
	err := rapid.SampledFrom([]error{nil, errRefused}).Draw(t, "outcome")
	other := m.interrupt(t, name)
	room.pending = false
	for _, loop := range slices.Sorted(maps.Keys(room.waiting)) {
		m.expect = append(m.expect, readyNote(name, loop, err))
	}
	clear(room.waiting)
	if err == nil {
		room.on = true
	} else {
		clear(room.wanted)
	}
	m.broker.outcome(name, err)
	if room.on && len(room.wanted) == 0 {
		m.idle(name, room, other)
	}
	m.broker.inUnsubscribe = nil
}

func (m *model) publish(t *rapid.T) {
	name, room, _ := m.draw(t)
	m.next++
	if len(room.wanted) > 0 {
		m.expect = append(m.expect, fmt.Sprintf("deliver %s %v %d", name, slices.Sorted(maps.Keys(room.wanted)), m.next))
	}
	m.router.Publish(&fanout.Publication{Room: name, Data: fmt.Append(nil, m.next)}, nil)
}

func (m *model) gap(t *rapid.T) {
	name, room, _ := m.draw(t)
	m.next++
	if len(room.wanted) > 0 {
		m.expect = append(m.expect, fmt.Sprintf("gap %s %v %d", name, slices.Sorted(maps.Keys(room.wanted)), m.next))
	}
	m.router.HandleGap(name, fanout.Position{Offset: uint64(m.next)})
}

// sleep lets time pass. A room idle for its linger time ends within another eighth of it, and not sooner.
func (m *model) sleep(t *rapid.T) {
	time.Sleep(time.Duration(rapid.IntRange(0, int(lingerTime)).Draw(t, "time")))
	synctest.Wait()
	for name, room := range m.rooms {
		if !room.on || len(room.wanted) > 0 {
			continue
		}
		idle := time.Since(room.idleSince)
		m.broker.mu.Lock()
		on := m.broker.on[name]
		m.broker.mu.Unlock()
		switch {
		case !on && idle < m.linger:
			t.Fatalf("%s ended after %v, want at least %v", name, idle, m.linger)
		case on && idle > m.linger*9/8:
			t.Fatalf("%s still lingers after %v, want at most an eighth more than %v", name, idle, m.linger)
		}
		room.on = on
	}
}

// check compares everything that can be seen.
func (m *model) check(t *rapid.T) {
	if wrong := m.broker.wrong; len(wrong) > 0 {
		t.Fatal(wrong)
	}
	if told := m.loops.took(); !slices.Equal(told, m.expect) {
		t.Fatalf("the loops were told %q, want %q", told, m.expect)
	}
	m.expect = nil
	var names []string
	lingering := 0
	for name, room := range m.rooms {
		if len(room.wanted) > 0 {
			names = append(names, name)
		} else if room.on {
			lingering++
		}
		if m.broker.on[name] != room.on || (m.broker.pending[name] != nil) != room.pending {
			t.Fatalf("%s is on %v, pending %v, want %v, %v", name, m.broker.on[name], m.broker.pending[name] != nil, room.on, room.pending)
		}
	}
	slices.Sort(names)
	if got := m.router.RoomNames("", 10); !slices.Equal(got, names) {
		t.Fatalf("rooms %q, want %q", got, names)
	}
	if stats := m.router.Stats(); stats.Rooms != len(names) || stats.Lingering != lingering {
		t.Fatalf("%d rooms, %d lingering, want %d, %d", stats.Rooms, stats.Lingering, len(names), lingering)
	}
}

// close closes the Router: who still waits hears that.
func (m *model) close(t *rapid.T) {
	for _, name := range slices.Sorted(maps.Keys(m.rooms)) {
		for _, loop := range slices.Sorted(maps.Keys(m.rooms[name].waiting)) {
			m.expect = append(m.expect, readyNote(name, loop, fanout.ErrClosed))
		}
	}
	if err := m.router.Close(); err != nil {
		t.Fatal(err)
	}
	if told := m.loops.took(); !slices.Equal(told, m.expect) {
		t.Fatalf("closing told the loops %q, want %q", told, m.expect)
	}
}
