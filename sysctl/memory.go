// Memory: what N connections take of it, and what the kernel does when it gets short.

package sysctl

import "fmt"

const (
	hugePages   = "/sys/kernel/mm/transparent_hugepage/"
	maxPtesNone = hugePages + "khugepaged/max_ptes_none"

	// fewMaps is the kernel's default number of mappings, enough for Go.
	fewMaps = 65530
	// mostSwappiness is for a box that would rather drop files than swap a heap out.
	mostSwappiness = 10
	// mostMinFree bounds what is kept free for packets.
	mostMinFree = 1 << 30
)

func memoryKnobs() []Knob {
	return []Knob{{
		ID: "memory", Reads: []string{"/proc/meminfo"}, Scope: ScopeMachine, Cause: CauseMemory,
		Needed:  "base + N x (user + kernel bytes of a connection); warns without a page of buffer for each beside it",
		Why:     "an idle connection is a few objects in the kernel and half a kilobyte of ours",
		Risk:    "none",
		ForGood: "more memory, or fewer connections on this box",
		judge: func(f *Facts, t *Target) Finding {
			return judgeMemory(f, t, f.Live.MemoryAvailable, "available")
		},
		holds: func(f *Facts, t *Target) Figure { return f.holdsMemory(t, f.Live.MemoryAvailable) },
	}, {
		ID: "swap", Keys: []string{"vm.swappiness"}, Reads: []string{"/proc/meminfo", "/proc/self/status"}, Scope: ScopeMachine,
		Needed: "no swap, or swappiness of at most 10 and nothing of this process swapped",
		Why:    "a collection walks the whole heap: what is on disk stops all loops until it is back",
		Risk:   "file caches shrink first",
		judge:  judgeSwap,
		want:   always(number("vm.swappiness", mostSwappiness, AtMost)),
	}, {
		ID: "overcommit", Keys: []string{"vm.overcommit_memory"}, Scope: ScopeMachine,
		Needed: "0 or 1",
		Why:    "Go reserves large addresses that it never fills; mode 2 may refuse them",
		Risk:   "0 is the kernel's default; a database beside it may want 2",
		judge: func(f *Facts, _ *Target) Finding {
			return atMost(f.setting("vm.overcommit_memory"), 1, Warn, "vm.overcommit_memory", "")
		},
		want: func(f *Facts, _ *Target) []Setting {
			if f.setting("vm.overcommit_memory").Value < 2 {
				return nil
			}
			return []Setting{number("vm.overcommit_memory", 0, Exactly)}
		},
	}, {
		ID: "map_count", Keys: []string{"vm.max_map_count"}, Scope: ScopeMachine,
		Needed: "65,530",
		Why:    "mappings of one process; without a free one Go ends it",
		Risk:   "none",
		judge: func(f *Facts, _ *Target) Finding {
			return atLeast(f.setting("vm.max_map_count"), fewMaps, 0, "vm.max_map_count", "")
		},
		want: always(number("vm.max_map_count", fewMaps, AtLeast)),
	}, {
		ID: "min_free", Keys: []string{"vm.min_free_kbytes"}, Reads: []string{"/proc/meminfo"}, Scope: ScopeMachine,
		Needed: "1 % of memory, at most 1 GiB; warns below a quarter of that",
		Why:    "a packet is received into memory that is free at that moment or not at all",
		Risk:   "that much memory is not for programs",
		judge:  judgeMinFree,
		want: func(f *Facts, _ *Target) []Setting {
			if !f.MemoryTotal.Known {
				return nil
			}
			return []Setting{number("vm.min_free_kbytes", f.wantedMinFree(), AtLeast)}
		},
	}, {
		ID: "huge_pages", Reads: []string{hugePages + "enabled", maxPtesNone}, Scope: ScopeMachine,
		Needed: "madvise or never, or always with khugepaged/max_ptes_none 0",
		Why:    "always, the kernel backs a sparse heap with huge pages: memory that nobody asked for",
		Risk:   "less use of huge pages by other programs",
		judge:  judgeHugePages,
		want: func(f *Facts, _ *Target) []Setting {
			if f.HugePages != "always" {
				return nil
			}
			return []Setting{{Path: maxPtesNone, Value: "0", Direction: AtMost}}
		},
	}}
}

// each is what a connection takes in memory, idle.
func (f *Facts) each(t *Target) float64 {
	each := t.UserBytes + t.KernelBytes
	if tracks, _ := f.tracks(); tracks {
		each += conntrackEntry * float64(t.sockets())
	}
	return each
}

// base is what the process takes before its first connection; one that runs already has it.
func (t *Target) base() float64 {
	if t.Held > 0 {
		return 0
	}
	return costs[t.Role].base
}

// holdsMemory is how many connections go into room, with those that are there already.
func (f *Facts) holdsMemory(t *Target, room Figure) Figure {
	if !room.limited() {
		return Figure{}
	}
	return known(uint64(max(0, float64(room.Value)-t.base())/f.each(t)) + uint64(t.Held))
}

func judgeMemory(f *Facts, t *Target, room Figure, name string) Finding {
	if !room.limited() {
		return missing("memory")
	}
	more := float64(max(0, t.Connections-t.Held))
	need := t.base() + more*f.each(t)
	crowded := need + more*float64(t.sockets()*f.pageSize())
	found := Finding{Have: size(float64(room.Value)) + " " + name, Need: size(need),
		Because: fmt.Sprintf("%s + %s x %.0f B = %s; with a page of buffer each %s", size(t.base()), count(uint64(more)), f.each(t), size(need), size(crowded))}
	switch {
	case f.holdsMemory(t, room).Value < t.n():
		found.Verdict = Fail
	case crowded > float64(room.Value):
		found.Verdict = Warn
	}
	return found
}

func judgeSwap(f *Facts, _ *Target) Finding {
	swappiness := f.setting("vm.swappiness")
	switch {
	case !f.SwapTotal.Known:
		return missing("/proc/meminfo")
	case f.Swapped.Value > 0:
		return Finding{Verdict: Warn, Have: size(float64(f.Swapped.Value)) + " swapped", Need: "none", Because: "of this process; swapoff -a brings it back"}
	case f.SwapTotal.Value == 0:
		return Finding{Have: "no swap"}
	case !swappiness.Known || !f.Swapped.Known:
		return missing("vm.swappiness or VmSwap")
	}
	return atMost(swappiness, mostSwappiness, Warn, "vm.swappiness", size(float64(f.SwapTotal.Value))+" of swap")
}

// wantedMinFree is in KiB.
func (f *Facts) wantedMinFree() uint64 { return min(f.MemoryTotal.Value/100, mostMinFree) >> 10 }

func judgeMinFree(f *Facts, _ *Target) Finding {
	have := f.setting("vm.min_free_kbytes")
	if !have.Known || !f.MemoryTotal.Known {
		return missing("vm.min_free_kbytes or MemTotal")
	}
	found := Finding{Have: count(have.Value) + " KiB", Need: count(f.wantedMinFree()/4) + " KiB",
		Because: fmt.Sprintf("1 %% of %s is %s KiB; at least a quarter of that", size(float64(f.MemoryTotal.Value)), count(f.wantedMinFree()))}
	if have.Value < f.wantedMinFree()/4 {
		found.Verdict = Warn
	}
	return found
}

func judgeHugePages(f *Facts, _ *Target) Finding {
	if f.HugePages == "" {
		return missing(hugePages + "enabled")
	}
	found := Finding{Have: f.HugePages}
	if f.HugePages != "always" {
		return found
	}
	if !f.MaxPtesNone.Known {
		return missing(maxPtesNone)
	}
	found.Because = "max_ptes_none " + count(f.MaxPtesNone.Value)
	if f.MaxPtesNone.Value > 0 {
		found.Verdict, found.Need = Warn, "madvise, or max_ptes_none 0"
	}
	return found
}
