// Control groups as limits: memory with the kernel's share in it, and threads.

package sysctl

import "fmt"

const (
	// wantedThreads is for loops, collector, blocking calls and what a burst adds; fewThreads is not enough to start.
	wantedThreads, fewThreads = 512, 64
)

func groupKnobs() []Knob {
	return []Knob{{
		ID: "cgroup_memory", Reads: []string{"/proc/self/cgroup", "/proc/self/mountinfo", "memory.max, memory.high, memory.current, memory.stat",
			"memory.limit_in_bytes, memory.usage_in_bytes"}, Scope: ScopeGroup, Cause: CauseCgroupMemory,
		Needed:  "base + N x (user + kernel bytes of a connection): sockets and their buffers are charged to the group",
		Why:     "above it the process is killed, or slowed to a halt (memory.high)",
		Risk:    "none",
		ForGood: "MemoryMax= and MemoryHigh= in the unit, or the container's memory limit",
		judge: func(f *Facts, t *Target) Finding {
			switch limit := f.Cgroup.Memory; {
			case !limit.Known:
				return missing("a memory controller")
			case !limit.limited():
				return Finding{Have: "no limit"}
			}
			return judgeMemory(f, t, f.groupRoom(), "left of "+size(float64(f.Cgroup.Memory.Value)))
		},
		holds: func(f *Facts, t *Target) Figure { return f.holdsMemory(t, f.groupRoom()) },
	}, {
		ID: "cgroup_tasks", Reads: []string{"pids.max, pids.current"}, Scope: ScopeGroup,
		Needed:  "512 free",
		Why:     "threads of all processes in the group; Go ends the process when it can't start one",
		Risk:    "none",
		ForGood: "TasksMax=4096 in the unit (roost tune print systemd), or the container's pids limit",
		judge:   judgeTasks,
	}}
}

// groupRoom is the memory that the group has left.
func (f *Facts) groupRoom() Figure {
	limit, used := f.Cgroup.Memory, f.Cgroup.MemoryUsed
	if !limit.limited() || !used.Known {
		return Figure{}
	}
	return known(limit.Value - min(limit.Value, used.Value))
}

func judgeTasks(f *Facts, _ *Target) Finding {
	limit, used := f.Cgroup.Tasks, f.Cgroup.TasksUsed
	switch {
	case !limit.Known || !used.Known:
		return missing("a pids controller")
	case !limit.limited():
		return Finding{Have: "no limit"}
	}
	left := limit.Value - min(limit.Value, used.Value)
	return atLeast(known(left), fewThreads, wantedThreads, "", fmt.Sprintf("%s allowed, %s in use; below %d fails", count(limit.Value), count(used.Value), fewThreads))
}
