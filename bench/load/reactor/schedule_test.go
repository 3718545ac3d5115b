package reactor

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func TestSchedule(t *testing.T) {
	for _, tc := range []struct {
		perSecond float64
		workers   int
		length    time.Duration
		all       uint64
	}{
		{6, 1, 5 * time.Second, 30},
		{0.5, 1, 3 * time.Second, 2},
		{100_000, 3, time.Second, 100_000},
		{7, 3, time.Second, 7},
		{1e8, 2, time.Millisecond, 100_000},
		{10, 4, 50 * time.Millisecond, 1},
		{10, 1, 0, 0},
	} {
		const begin = int64(1_000_000_007)
		var all []int64
		for w := range tc.workers {
			s := newSchedule(begin, tc.perSecond, w, tc.workers)
			n := s.until(begin + int64(tc.length))
			if n > 0 && s.at(n-1) >= begin+int64(tc.length) || s.at(n) < begin+int64(tc.length) {
				t.Errorf("%+v: worker %d has %d until the end", tc, w, n)
			}
			for k := range n {
				all = append(all, s.at(k))
			}
		}
		if uint64(len(all)) != tc.all {
			t.Errorf("%+v: %d in all", tc, len(all))
			continue
		}
		slices.Sort(all)
		interval := 1e9 / tc.perSecond
		for k, at := range all {
			if want := begin + int64(float64(k)*interval); at != want {
				t.Fatalf("%+v: number %d is due at %d, want %d", tc, k, at, want)
			}
		}
	}
}

func TestAgenda(t *testing.T) {
	var a agenda
	if a.next() != never {
		t.Error("an empty agenda has something due")
	}
	var want []int64
	for range 2000 {
		// Taking in between, as a loop does.
		if len(a) > 0 && rand.IntN(3) == 0 {
			slices.Sort(want)
			if got := a.take().at; got != want[0] {
				t.Fatalf("%d before %d", got, want[0])
			}
			want = want[1:]
			continue
		}
		at := rand.Int64N(500)
		a.add(appointment{at: at, slot: int32(at)})
		want = append(want, at)
	}
	slices.Sort(want)
	for _, at := range want {
		if a.next() != at {
			t.Fatalf("next is %d, want %d", a.next(), at)
		}
		if got := a.take(); got.at != at || int64(got.slot) != at {
			t.Fatalf("took %+v, want %d", got, at)
		}
	}
	if len(a) != 0 {
		t.Errorf("%d left", len(a))
	}
}

func TestGaps(t *testing.T) {
	// Each number comes once, some twice, in an order that is stirred: exactly the repeated ones are duplicates.
	for range 200 {
		n := 1 + rand.IntN(60)
		var numbers []uint32
		twice := int64(0)
		for i := range n {
			if rand.IntN(5) == 0 {
				continue // lost
			}
			numbers = append(numbers, uint32(i))
			if rand.IntN(6) == 0 {
				numbers = append(numbers, uint32(i))
				twice++
			}
		}
		for range n / 4 {
			if len(numbers) > 1 {
				i, j := rand.IntN(len(numbers)), rand.IntN(len(numbers))
				numbers[i], numbers[j] = numbers[j], numbers[i]
			}
		}
		var o order
		c := &conn{slot: 7}
		highest, late := int64(-1), int64(0)
		seen := map[uint32]bool{}
		for _, number := range numbers {
			if first := o.check(c, number); first == seen[number] {
				t.Fatalf("%v: %d is new: %v", numbers, number, first)
			}
			if !seen[number] && int64(number) < highest {
				late++
			}
			highest, seen[number] = max(highest, int64(number)), true
		}
		if o.duplicates != twice || o.disorder != late {
			t.Fatalf("%v: %d twice and %d late, want %d and %d", numbers, o.duplicates, o.disorder, twice, late)
		}
	}
}

func TestGapsAreBounded(t *testing.T) {
	var o order
	c := &conn{}
	for number := uint32(1); o.gaps.count < mostGaps; number += 2 {
		o.check(c, number)
	}
	last := c.next
	o.check(c, last+1) // passes over one more, which is not remembered
	if o.check(c, last) || o.duplicates != 1 || o.gaps.count != mostGaps {
		t.Errorf("%d duplicates, %d gaps", o.duplicates, o.gaps.count)
	}
}

func TestSources(t *testing.T) {
	for _, tc := range []struct {
		prefix string
		i      int
		want   string
	}{
		{"127.0.0.0/8", 0, "127.0.0.1"},
		{"127.0.0.0/8", 254, "127.0.0.255"},
		{"127.0.0.0/8", 255, "127.0.1.0"},
		{"127.0.0.0/8", 1<<24 - 3, "127.255.255.254"},
		{"127.0.0.0/8", 1<<24 - 2, "127.0.0.1"},
		{"127.9.8.7/30", 2, "127.9.8.5"},
		{"127.0.0.1/32", 5, "127.0.0.1"},
		{"10.0.0.0/31", 1, "10.0.0.1"},
		{"fd00::/64", 65535, "fd00::1:0"},
	} {
		s, err := newSources(tc.prefix)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.of(tc.i); got != netip.MustParseAddr(tc.want) {
			t.Errorf("%s: connection %d has %v, want %s", tc.prefix, tc.i, got, tc.want)
		}
	}
	if s, err := newSources(""); err != nil || s.count != 0 {
		t.Errorf("no range gives %+v, %v", s, err)
	}
	if _, err := newSources("127.0.0.1"); err == nil {
		t.Error("an address was taken for a range")
	}
}
