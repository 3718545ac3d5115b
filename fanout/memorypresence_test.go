package fanout_test

import (
	"fmt"
	"maps"
	"runtime"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/fanout/fanouttest"
)

func TestMemoryPresence(t *testing.T) {
	fanouttest.RunPresence(t, fanouttest.PresenceStore{
		Broker: func(*testing.T) fanout.Broker { return fanout.NewMemory() },
		Open: func(_ *testing.T, _ string, _ time.Duration, broker fanout.Broker) fanout.Presence {
			return fanout.NewMemoryPresence(fanout.MemoryPresenceOptions{Broker: broker})
		},
	})
}

// A bus that takes its time, and tells of members later than they come and go.
func TestMemoryPresenceOnASlowBroker(t *testing.T) {
	fanouttest.RunPresence(t, fanouttest.PresenceStore{
		Broker: func(*testing.T) fanout.Broker { return newBusNode(&bus{rooms: map[string]map[*busNode]bool{}}) },
		Open: func(_ *testing.T, _ string, _ time.Duration, broker fanout.Broker) fanout.Presence {
			return fanout.NewMemoryPresence(fanout.MemoryPresenceOptions{Broker: broker})
		},
	})
}

func startedPresence(t testing.TB, o fanout.MemoryPresenceOptions) *fanout.MemoryPresence {
	t.Helper()
	m := fanout.NewMemoryPresence(o)
	if err := m.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// The list of members against a map: whatever order users come and go in, with blocks that are cut and joined.
func TestMemoryPresenceModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := fanout.NewMemoryPresence(fanout.MemoryPresenceOptions{})
		if err := m.Start(); err != nil {
			rt.Fatal(err)
		}
		defer func() { _ = m.Close() }() // it holds nothing but memory
		model := map[string]int{}
		user := rapid.Custom(func(rt *rapid.T) string { return fmt.Sprintf("u%03x", rapid.IntRange(0, 999).Draw(rt, "user")) })
		for range rapid.IntRange(1, 12).Draw(rt, "phases") {
			leave := rapid.Bool().Draw(rt, "leave")
			from, step := rapid.IntRange(0, 999).Draw(rt, "from"), rapid.SampledFrom([]int{1, 2, 7, 999}).Draw(rt, "step")
			for i := range rapid.IntRange(1, 600).Draw(rt, "count") {
				name := fmt.Sprintf("u%03x", (from+i*step)%1000)
				if leave {
					m.Leave("room", name, false)
					delete(model, name)
				} else if m.Enter("room", name, false); model[name] == 0 {
					model[name] = 1
				}
			}
			name, connections := user.Draw(rt, "refreshed"), rapid.IntRange(1, 9).Draw(rt, "connections")
			m.Refresh("room", []fanout.PresentUser{{User: name, Connections: connections}}, false)
			model[name] = connections
			checkModel(rt, m, model)
		}
	})
}

func checkModel(t *rapid.T, m *fanout.MemoryPresence, model map[string]int) {
	var want []fanout.PresentUser
	for _, name := range slices.Sorted(maps.Keys(model)) {
		want = append(want, fanout.PresentUser{User: name, Connections: model[name]})
	}
	m.Users("room", 1<<20, func(got []fanout.PresentUser, total int, err error) {
		if err != nil || total != len(want) || !slices.Equal(got, want) {
			t.Fatalf("%d users, %d in all, %v; want %d", len(got), total, err, len(want))
		}
	})
	if stats := m.Stats(); stats.Entries != len(want) {
		t.Fatalf("%d entries, want %d", stats.Entries, len(want))
	}
}

// loopingBroker calls back into the presence from every publication.
type loopingBroker struct {
	*fanout.Memory
	presence *fanout.MemoryPresence
	told     []string
}

func (b *loopingBroker) Publish(p *fanout.Publication, done fanout.Completion) {
	b.told = append(b.told, fmt.Sprint(p.Kind, p.From))
	b.presence.Users(p.Room, 10, func([]fanout.PresentUser, int, error) {})
	if p.From == "alice" {
		b.presence.Enter(p.Room, "bob", true)
		b.presence.Leave(p.Room, "bob", true)
	}
	done.Published(fanout.Position{}, fanout.ErrBusy)
}

func TestMemoryPresenceIsCalledBack(t *testing.T) {
	broker := &loopingBroker{Memory: fanout.NewMemory()}
	m := startedPresence(t, fanout.MemoryPresenceOptions{Broker: broker})
	broker.presence = m
	m.Enter("room", "alice", true)
	joined, left := fmt.Sprint(fanout.MemberJoined), fmt.Sprint(fanout.MemberLeft)
	if want := []string{joined + "alice", joined + "bob", left + "bob"}; !slices.Equal(broker.told, want) {
		t.Errorf("told %q, want %q", broker.told, want)
	}
	if got := m.Stats().Untold; got != 3 {
		t.Errorf("%d announcements are counted as lost, want 3", got)
	}
}

// An empty presence after everybody has left: nothing of a room stays.
func TestMemoryPresenceForgets(t *testing.T) {
	m := startedPresence(t, fanout.MemoryPresenceOptions{})
	for i := range 1000 {
		m.Enter(fmt.Sprint("room.", i%10), fmt.Sprint("user.", i), false)
	}
	for i := range 1000 {
		m.Leave(fmt.Sprint("room.", i%10), fmt.Sprint("user.", i), false)
	}
	if stats := m.Stats(); stats.Rooms != 0 || stats.Entries != 0 {
		t.Errorf("%+v, want nothing", stats)
	}
}

// Bytes for each entry beside the strings, which are the caller's.
func BenchmarkMemoryPresenceBytes(b *testing.B) {
	const entries = 100_000
	names := make([]string, entries)
	for i := range names {
		names[i] = fmt.Sprintf("user-%07d", i*7919%entries)
	}
	for _, users := range []int{2, 10, 100, 1000, entries} {
		b.Run(fmt.Sprintf("room-of-%d", users), func(b *testing.B) {
			rooms := make([]string, entries/users)
			for i := range rooms {
				rooms[i] = fmt.Sprint("room-", i)
			}
			for b.Loop() {
				m := startedPresence(b, fanout.MemoryPresenceOptions{})
				before := heapInUse()
				for i, name := range names {
					m.Enter(rooms[i/users], name, false)
				}
				b.ReportMetric(float64(heapInUse()-before)/entries, "B/entry")
				runtime.KeepAlive(m)
			}
		})
	}
}

func heapInUse() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}

// One user comes and goes in a room of many, whose names are in no order.
func BenchmarkMemoryPresenceEnterLeave(b *testing.B) {
	for _, users := range []int{10, 100_000} {
		b.Run(fmt.Sprintf("room-of-%d", users), func(b *testing.B) {
			m := startedPresence(b, fanout.MemoryPresenceOptions{})
			names := make([]string, users)
			for i := range names {
				names[i] = fmt.Sprintf("user-%07d", i*7919%users)
				m.Enter("room", names[i], false)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				m.Leave("room", names[i%users], false)
				m.Enter("room", names[i%users], false)
			}
		})
	}
}
