package fanout_test

// What the way through the Router costs, and what it may not: an allocation.

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/roost-ws/roost/fanout"
)

// countingLoops is a Local that counts.
type countingLoops struct{ delivered int }

func (l *countingLoops) Deliver(fanout.LoopSet, *fanout.Publication) { l.delivered++ }
func (l *countingLoops) Ready(string, int, error)                    {}
func (l *countingLoops) Gap(fanout.LoopSet, string, fanout.Position) {}

// openRouter returns a started Router over a Memory in which loop 3 wants the given number of rooms, and their names.
func openRouter(t testing.TB, local fanout.Local, rooms int, linger time.Duration) (*fanout.Router, []string) {
	t.Helper()
	router := fanout.NewRouter(fanout.NewMemory(), local, fanout.RouterOptions{Linger: linger})
	if err := router.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = router.Close() })
	names := make([]string, rooms)
	for i := range names {
		names[i] = fmt.Sprintf("chat.room.%d", i)
		if ready, err := router.Want(names[i], 3); !ready || err != nil {
			t.Fatalf("Want: %v, %v", ready, err)
		}
	}
	return router, names
}

func TestShardFillsCacheLines(t *testing.T) {
	if fanout.ShardSize%128 != 0 {
		t.Errorf("a shard has %d B, want a multiple of 128", fanout.ShardSize)
	}
}

func TestRouterAllocatesNothing(t *testing.T) {
	loops, done := &countingLoops{}, &countingSink{}
	router, names := openRouter(t, loops, 10, 0)
	wanted, unwanted := &fanout.Publication{Room: names[5]}, &fanout.Publication{Room: "nobody"}
	for name, run := range map[string]func(){
		"HandlePublication":                  func() { router.HandlePublication(wanted) },
		"HandlePublication, nobody wants it": func() { router.HandlePublication(unwanted) },
		"Publish through Memory":             func() { router.Publish(wanted, done) },
		"HandleGap":                          func() { router.HandleGap(names[5], fanout.Position{}) },
		"Want and Drop of a second loop":     func() { _, _ = router.Want(names[5], 9); router.Drop(names[5], 9) },
	} {
		if n := testing.AllocsPerRun(1000, run); n != 0 {
			t.Errorf("%s: %v allocations, want 0", name, n)
		}
	}
	if loops.delivered == 0 {
		t.Error("nothing was delivered")
	}
}

// One goroutine; a hundred thousand rooms show the cache misses that one room hides.
func BenchmarkRouterHandlePublication(b *testing.B) {
	for _, rooms := range []int{1, 1000, 100_000} {
		b.Run(fmt.Sprintf("rooms=%d", rooms), func(b *testing.B) {
			router, names := openRouter(b, &countingLoops{}, rooms, 0)
			publications := make([]fanout.Publication, rooms)
			for i := range publications {
				publications[i].Room = names[i*7919%rooms]
			}
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				router.HandlePublication(&publications[i])
				if i++; i == rooms {
					i = 0
				}
			}
		})
	}
}

func BenchmarkRouterNobodyWantsIt(b *testing.B) {
	router, _ := openRouter(b, &countingLoops{}, 1000, 0)
	p := &fanout.Publication{Room: "chat.room.nobody"}
	b.ReportAllocs()
	for b.Loop() {
		router.HandlePublication(p)
	}
}

// Publish through Memory and back: the whole way on one node, without loops.
func BenchmarkRouterPublishMemory(b *testing.B) {
	router, names := openRouter(b, &countingLoops{}, 1000, 0)
	p, done := &fanout.Publication{Room: names[500]}, &countingSink{}
	b.ReportAllocs()
	for b.Loop() {
		router.Publish(p, done)
	}
}

// quietLoops is a Local that does nothing, so that goroutines do not meet in it.
type quietLoops struct{}

func (quietLoops) Deliver(fanout.LoopSet, *fanout.Publication) {}
func (quietLoops) Ready(string, int, error)                    {}
func (quietLoops) Gap(fanout.LoopSet, string, fanout.Position) {}

// All cores, each walking its own stretch of the rooms. It would be wrong about one hot room, in which all meet.
func BenchmarkRouterParallel(b *testing.B) {
	router, names := openRouter(b, quietLoops{}, 1000, 0)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		p := &fanout.Publication{}
		for i := 0; pb.Next(); i++ {
			p.Room = names[i%len(names)]
			router.HandlePublication(p)
		}
	})
}

// A loop joins a room others are in, and leaves it.
func BenchmarkRouterWantDrop(b *testing.B) {
	router, names := openRouter(b, quietLoops{}, 1000, 0)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = router.Want(names[500], 9)
		router.Drop(names[500], 9)
	}
}

// The first member comes and the last one leaves, with and without a linger time to fall back into.
func BenchmarkRouterFirstLast(b *testing.B) {
	for _, linger := range []time.Duration{0, time.Hour} {
		b.Run(fmt.Sprintf("linger=%v", linger), func(b *testing.B) {
			router, _ := openRouter(b, quietLoops{}, 1000, linger)
			b.ReportAllocs()
			for b.Loop() {
				_, _ = router.Want("chat.room.new", 9)
				router.Drop("chat.room.new", 9)
			}
		})
	}
}

// Bytes a room, without its name: the figures in Router's comment.
func BenchmarkRouterMemory(b *testing.B) {
	const rooms = 1_000_000
	for b.Loop() {
		names := make([]string, rooms)
		for i := range names {
			names[i] = fmt.Sprintf("chat.room.%d", i)
		}
		router := fanout.NewRouter(fanout.NewMemory(), quietLoops{}, fanout.RouterOptions{Linger: time.Hour})
		if err := router.Start(); err != nil {
			b.Fatal(err)
		}
		empty := heap()
		for _, name := range names {
			_, _ = router.Want(name, 3)
		}
		wanted := heap()
		begin := time.Now()
		page := router.RoomNames("", 1000)
		b.ReportMetric(float64(time.Since(begin).Milliseconds()), "ms/page")
		for _, name := range names {
			router.Drop(name, 3)
		}
		lingering := heap()
		b.ReportMetric(float64(wanted-empty)/rooms, "B/wanted")
		b.ReportMetric(float64(lingering-wanted)/rooms, "B/lingering-on-top")
		runtime.KeepAlive(page)
		runtime.KeepAlive(names)
		if err := router.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// heap returns the bytes in use once garbage is gone.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
