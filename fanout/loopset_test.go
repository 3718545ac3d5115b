package fanout_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/roost-ws/roost/fanout"
)

// walk collects a set's loops by Next.
func walk(set fanout.LoopSet) []int {
	var loops []int
	for loop := set.Next(-1); loop >= 0; loop = set.Next(loop) {
		loops = append(loops, loop)
	}
	return loops
}

func TestLoopSet(t *testing.T) {
	cases := []struct {
		name        string
		add, remove []int
		want        []int
	}{
		{name: "empty"},
		{name: "lowest", add: []int{0}, want: []int{0}},
		{name: "highest", add: []int{255}, want: []int{255}},
		{name: "word borders", add: []int{64, 63, 192, 191, 128, 127}, want: []int{63, 64, 127, 128, 191, 192}},
		{name: "twice", add: []int{7, 7}, want: []int{7}},
		{name: "removed", add: []int{1, 2, 3}, remove: []int{2}, want: []int{1, 3}},
		{name: "removed all", add: []int{1, 200}, remove: []int{200, 1}},
		{name: "removing what is not there", add: []int{1}, remove: []int{0, 2, -1, 256, 1 << 40}, want: []int{1}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var set fanout.LoopSet
			for _, loop := range c.add {
				set.Add(loop)
			}
			for _, loop := range c.remove {
				set.Remove(loop)
			}
			if got := walk(set); !slices.Equal(got, c.want) {
				t.Errorf("walk gives %v, want %v", got, c.want)
			}
			if set.Len() != len(c.want) || set.Empty() != (len(c.want) == 0) {
				t.Errorf("Len %d, Empty %v of %v", set.Len(), set.Empty(), c.want)
			}
		})
	}
}

func TestLoopSetBounds(t *testing.T) {
	var full fanout.LoopSet
	for loop := range fanout.MaxLoops {
		full.Add(loop)
	}
	for _, loop := range []int{-1, -64, fanout.MaxLoops, 1 << 40} {
		if full.Has(loop) {
			t.Errorf("the full set has %d", loop)
		}
	}
	for after, want := range map[int]int{-1 << 40: 0, -2: 0, -1: 0, 0: 1, 254: 255, 255: -1, 256: -1, 1<<63 - 1: -1} {
		if got := full.Next(after); got != want {
			t.Errorf("Next(%d) = %d, want %d", after, got, want)
		}
	}
}

func TestLoopSetLikeMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var set fanout.LoopSet
		model := map[int]bool{}
		loops := rapid.IntRange(0, fanout.MaxLoops-1)
		t.Repeat(map[string]func(*rapid.T){
			"add":    func(t *rapid.T) { loop := loops.Draw(t, "loop"); set.Add(loop); model[loop] = true },
			"remove": func(t *rapid.T) { loop := loops.Draw(t, "loop"); set.Remove(loop); delete(model, loop) },
			"": func(t *rapid.T) {
				if got := walk(set); len(got) != len(model) || set.Len() != len(model) || !slices.IsSorted(got) {
					t.Fatalf("set %v, Len %d, model %v", got, set.Len(), model)
				}
				for loop := range model {
					if !set.Has(loop) {
						t.Fatalf("%d is missing", loop)
					}
				}
			},
		})
	})
}

func TestLoopSetAllocatesNothing(t *testing.T) {
	var set fanout.LoopSet
	set.Add(3)
	set.Add(250)
	sum := 0
	if n := testing.AllocsPerRun(1000, func() {
		for loop := set.Next(-1); loop >= 0; loop = set.Next(loop) {
			sum += loop
		}
	}); n != 0 {
		t.Errorf("%v allocations a walk, want 0", n)
	}
}

func BenchmarkLoopSetWalk(b *testing.B) {
	var set fanout.LoopSet
	for loop := 0; loop < 16; loop += 2 {
		set.Add(loop)
	}
	b.ReportAllocs()
	for b.Loop() {
		for loop := set.Next(-1); loop >= 0; loop = set.Next(loop) {
		}
	}
}
