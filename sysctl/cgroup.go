// Control groups, version 1 and 2 or both at once: where this process is in them, what they allow it, and what they
// count of it.

package sysctl

import (
	"path"
	"strings"
)

// Cgroup is what the control groups of this process allow it: of each limit the lowest on the way up to the root
// that can be seen from here.
type Cgroup struct {
	// Version is 1 or 2, as the memory controller has it; 0 without one.
	Version int
	// Memory is the limit in bytes, Unlimited for none; MemoryUsed what counts against it and can't be reclaimed
	// from files at once.
	Memory, MemoryUsed Figure
	// Tasks and TasksUsed are threads, of all processes in the group.
	Tasks, TasksUsed Figure
	// Processors is the quota, in processors; 0 for none. QuotaKnown says that there is a controller to ask.
	Processors float64
	QuotaKnown bool
}

// groups is where the controllers of this process are: for each a chain of folders from its own group up.
type groups struct {
	version           int // of the memory controller
	memory, pids, cpu []string
	// own says that the memory group is not the root of all: what it counts is of this process and its neighbours.
	own bool
}

// findGroups follows /proc/self/cgroup through the mounts. A path that can't be seen from here, as in a container
// that shares the host's namespace of groups, falls back to the mount's root, which is this container's own there.
func findGroups(t tree) groups {
	var g groups
	membership, _ := t.read("/proc/self/cgroup")
	mounts, _ := t.read("/proc/self/mountinfo")
	paths := map[string]string{} // controller to path; "" is version 2
	for line := range strings.Lines(membership) {
		if parts := strings.SplitN(strings.TrimSpace(line), ":", 3); len(parts) == 3 {
			for controller := range strings.SplitSeq(parts[1], ",") {
				paths[controller] = parts[2]
			}
		}
	}
	for line := range strings.Lines(mounts) {
		before, after, ok := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(kind) < 3 {
			continue
		}
		root, point := fields[3], fields[4]
		switch kind[0] {
		case "cgroup2":
			g.second(t, chain(t, root, point, paths[""]))
		case "cgroup":
			for option := range strings.SplitSeq(kind[2], ",") {
				own, ok := paths[option]
				if !ok {
					continue
				}
				g.first(option, chain(t, root, point, own), own != "/" || root != "/")
			}
		}
	}
	return g
}

// second takes the controllers that are on in version 2. Beside version 1 there may be none.
func (g *groups) second(t tree, chain []string) {
	for _, folder := range chain {
		g.own = g.own || t.exists(folder+"/memory.max")
		if t.exists(folder+"/memory.stat") && t.exists(folder+"/memory.current") && g.version == 0 {
			g.version, g.memory = 2, chain
		}
		if t.exists(folder+"/pids.max") && g.pids == nil {
			g.pids = chain
		}
		if t.exists(folder+"/cpu.max") && g.cpu == nil {
			g.cpu = chain
		}
	}
}

func (g *groups) first(controller string, chain []string, own bool) {
	switch controller {
	case "memory":
		g.version, g.memory, g.own = 1, chain, own
	case "pids":
		g.pids = chain
	case "cpu":
		g.cpu = chain
	}
}

// mostGroups bounds how deep groups may be nested to be followed.
const mostGroups = 64

// chain lists the folders of a group and those above it below a mount, the group's own first.
func chain(t tree, root, point, own string) []string {
	inside, ok := strings.CutPrefix(own, strings.TrimSuffix(root, "/"))
	if !ok || strings.Contains(own, "..") || !t.exists(path.Join(point, inside)) {
		inside = "/"
	}
	var folders []string
	for at := path.Join("/", inside); len(folders) < mostGroups; at = path.Dir(at) {
		folders = append(folders, path.Join(point, at))
		if at == "/" {
			break
		}
	}
	return folders
}

func readCgroup(t tree, g groups) Cgroup {
	c := Cgroup{Version: g.version}
	c.Memory, c.MemoryUsed = groupMemory(t, g)
	c.Tasks, c.TasksUsed = tightest(t, g.pids, []string{"pids.max"}, "pids.current", nil)
	c.Processors, c.QuotaKnown = readQuota(t, g)
	return c
}

// groupMemory is the limit of memory that leaves least, and what counts against it without what the kernel would
// take back from files before it refuses.
func groupMemory(t tree, g groups) (limit, used Figure) {
	// Above memory.high a group is not refused memory but slowed down until it has given some back, which a node
	// has no way to do: it is as much of an end as memory.max.
	limits, uses, reclaimable := []string{"memory.max", "memory.high"}, "memory.current", "inactive_file"
	if g.version == 1 {
		limits, uses, reclaimable = []string{"memory.limit_in_bytes"}, "memory.usage_in_bytes", "total_inactive_file"
	}
	return tightest(t, g.memory, limits, uses, func(folder string) uint64 {
		stat, _ := t.read(folder + "/memory.stat")
		return parseNamed(stat, reclaimable).Value
	})
}

// tightest is the limit with the least room below it of all groups of a chain, and what is used there. A group
// without a file for a limit, such as the root, has none.
func tightest(t tree, chain, limits []string, uses string, free func(folder string) uint64) (limit, used Figure) {
	for _, folder := range chain {
		u := t.figure(folder + "/" + uses)
		if !u.Known {
			continue
		}
		if free != nil {
			u.Value -= min(u.Value, free(folder))
		}
		l := known(Unlimited)
		for _, name := range limits {
			l = l.least(t.figure(folder + "/" + name))
		}
		if !limit.Known || l.Value-min(l.Value, u.Value) < limit.Value-min(limit.Value, used.Value) {
			limit, used = l, u
		}
	}
	return limit, used
}

// readQuota is the lowest quota of processor time, in processors, and whether there is a controller that has one.
func readQuota(t tree, g groups) (processors float64, asked bool) {
	for _, folder := range g.cpu {
		quota, period, ok := folderQuota(t, folder)
		if !ok {
			continue
		}
		asked = true
		if quota.limited() && period.Known && period.Value > 0 {
			share := float64(quota.Value) / float64(period.Value)
			if processors == 0 || share < processors {
				processors = share
			}
		}
	}
	return processors, asked
}

func folderQuota(t tree, folder string) (quota, period Figure, ok bool) {
	if text, ok := t.read(folder + "/cpu.max"); ok {
		first, second, _ := strings.Cut(strings.TrimSpace(text), " ")
		quota, period = parseFigure(first), parseFigure(second)
		return quota, period, quota.Known
	}
	text, ok := t.read(folder + "/cpu.cfs_quota_us")
	if !ok {
		return Figure{}, Figure{}, false
	}
	if quota = parseFigure(text); strings.TrimSpace(text) == "-1" {
		quota = known(Unlimited)
	}
	return quota, t.figure(folder + "/cpu.cfs_period_us"), quota.Known
}
