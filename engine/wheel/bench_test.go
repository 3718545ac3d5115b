// What the wheel costs a loop. The slab here is one slice of bare entries: in a server each entry sits in a
// connection of 100 bytes or more and is colder, so these figures are too good where the cache counts.

package wheel

import "testing"

const benchEntries = 100_000

func benchWheel() (*Wheel, *slab) {
	s := newSlab(benchEntries)
	w := New(s, 512, 1)
	for id := uint32(1); id <= benchEntries; id++ {
		w.Schedule(id, 2+id%300)
	}
	return w, s
}

// BenchmarkReschedule moves a deadline, each time that of another entry.
func BenchmarkReschedule(b *testing.B) {
	w, _ := benchWheel()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		w.Schedule(uint32(i*7919)%benchEntries+1, uint32(i)%300+2)
	}
}

// BenchmarkAdvance is one tick of 100,000 connections with a heartbeat each 300 ticks: about 333 fire and are
// scheduled again.
func BenchmarkAdvance(b *testing.B) {
	w, _ := benchWheel()
	now, fired := uint32(1), 0
	fire := func(id uint32) { w.Schedule(id, now+300) }
	b.ReportAllocs()
	for b.Loop() {
		now++
		fired += w.Advance(now, fire)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(max(fired, 1)), "ns/fired")
}
