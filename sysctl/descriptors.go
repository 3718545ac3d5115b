// Descriptors: what a process may have, what the machine may have, and what one user may watch.

package sysctl

import "fmt"

func descriptorKnobs() []Knob {
	return []Knob{{
		ID: "descriptors", Reads: []string{"/proc/self/limits"}, Scope: ScopeProcess, Cause: CauseDescriptors,
		Needed: "N + max(4096, 2 %); below N + 256 a node refuses to start",
		Why:    "each connection is a descriptor; without a free one nobody is accepted",
		Risk:   "a leak takes longer to show",
		ForGood: "LimitNOFILE= in the service's unit (roost tune print systemd), limits.d for logins (roost tune print limits). A " +
			"hard limit that root can't raise was set by whoever started this container or machine",
		judge: judgeDescriptors, holds: func(f *Facts, t *Target) Figure { return roomFor(f.OpenFiles, 0, t) },
	}, {
		ID: "nr_open", Keys: []string{"fs.nr_open"}, Scope: ScopeMachine, Cause: CauseNrOpen,
		Needed: "what the unit asks for: 1.05 N + 4,096",
		Why:    "no descriptor limit can be above it: a unit that asks for more does not start (205/LIMITS)",
		Risk:   "none",
		judge:  judgeNrOpen,
		holds:  func(f *Facts, t *Target) Figure { return roomFor(f.setting("fs.nr_open"), 0, t) },
		want: func(_ *Facts, t *Target) []Setting {
			return []Setting{number("fs.nr_open", t.unitLimit(), AtLeast)}
		},
	}, {
		ID: "file_max", Keys: []string{"fs.file-max"}, Reads: []string{"/proc/sys/fs/file-nr"}, Scope: ScopeMachine, Cause: CauseFileMax,
		Needed: "1.2 N + 100,000, and no more than 80 % of it in use",
		Why:    "open files of all processes together; above it nobody but root opens anything",
		Risk:   "none; what files cost is memory that is judged there",
		judge:  judgeFileMax, holds: holdsFileMax,
		want: func(_ *Facts, t *Target) []Setting {
			return []Setting{number("fs.file-max", t.wantedFiles(), AtLeast)}
		},
	}, {
		ID: "epoll_watches", Keys: []string{"fs.epoll.max_user_watches"}, Scope: ScopeMachine, Cause: CauseEpollWatches,
		Needed: "1.2 N",
		Why:    "each connection is watched by one loop; the kernel's default, a 25th of memory, is too little on small machines",
		Risk:   "160 bytes of kernel memory for each watch that is used",
		judge: func(f *Facts, t *Target) Finding {
			n := t.n() * t.sockets()
			return atLeast(f.setting("fs.epoll.max_user_watches"), n+reserveDescriptors, n*12/10, "fs.epoll.max_user_watches",
				fmt.Sprintf("1.2 x %s; at least %s, of one user", count(n), count(n+reserveDescriptors)))
		},
		holds: func(f *Facts, t *Target) Figure { return roomFor(f.setting("fs.epoll.max_user_watches"), 0, t) },
		want: func(_ *Facts, t *Target) []Setting {
			return []Setting{number("fs.epoll.max_user_watches", t.n()*t.sockets()*12/10+reserveDescriptors, AtLeast)}
		},
	}}
}

// roomFor is how many connections a limit of descriptors has room for beside what others use and the reserve.
func roomFor(limit Figure, others uint64, t *Target) Figure {
	if !limit.limited() {
		return limit
	}
	return known((limit.Value - min(limit.Value, others+reserveDescriptors)) / t.sockets())
}

func judgeDescriptors(f *Facts, t *Target) Finding {
	least, wanted := t.descriptors()
	because := fmt.Sprintf("%s + max(4,096, 2 %%); at least %s", count(t.n()*t.sockets()), count(least))
	if room := roomFor(f.OpenFiles, 0, t); room.limited() {
		because += fmt.Sprintf("; %s - %d leave room for %s", count(f.OpenFiles.Value), reserveDescriptors, count(room.Value))
	}
	if f.Process.MayRaise == known(0) && f.OpenFiles.Value < wanted {
		because += "; this process may not raise it"
	}
	return atLeast(f.OpenFiles, least, wanted, "the descriptor limit", because)
}

func judgeNrOpen(f *Facts, t *Target) Finding {
	least, _ := t.descriptors()
	return atLeast(f.setting("fs.nr_open"), least, t.unitLimit(), "fs.nr_open",
		fmt.Sprintf("1.05 x %s + 4,096; at least %s", count(t.n()*t.sockets()), count(least)))
}

func (t *Target) wantedFiles() uint64 { return t.n()*t.sockets()*12/10 + 100_000 }

// otherFiles are the open files that are not connections of ours.
func (f *Facts) otherFiles(t *Target) uint64 {
	return f.Live.Files.Value - min(f.Live.Files.Value, uint64(t.Held)*t.sockets())
}

func holdsFileMax(f *Facts, t *Target) Figure {
	return roomFor(f.setting("fs.file-max"), f.otherFiles(t), t)
}

func judgeFileMax(f *Facts, t *Target) Finding {
	most, used := f.setting("fs.file-max"), f.Live.Files
	if !most.Known || !used.Known {
		return missing("fs.file-max or fs.file-nr")
	}
	others := f.otherFiles(t)
	found := atLeast(most, t.n()*t.sockets()+others+reserveDescriptors, t.wantedFiles(), "fs.file-max",
		fmt.Sprintf("1.2 x %s + 100,000; %s of %s are open", count(t.n()*t.sockets()), count(used.Value), count(most.Value)))
	found.Verdict = max(found.Verdict, fullness(used.Value, most.Value, 80, 95))
	return found
}

// fullness warns above one percentage and fails above another.
func fullness(used, most uint64, warn, fail float64) Verdict {
	switch full := share(used, most); {
	case full > fail:
		return Fail
	case full > warn:
		return Warn
	}
	return Pass
}
