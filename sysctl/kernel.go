// The kernel's share of memory, for a node that runs: what to subtract from what, and when that means something.

package sysctl

// KernelSource says how the kernel's share was counted.
type KernelSource string

// The sources, from the best.
const (
	// KernelByGroup is by the control group: its slab objects and its socket buffers, nobody else's.
	KernelByGroup KernelSource = "cgroup"
	// KernelBySockets multiplies the sockets of this network namespace with what one takes, and adds the buffers of
	// TCP, which are counted for the whole machine alone: on one that does little else they are the node's.
	KernelBySockets KernelSource = "sockets"
	// KernelUnknown is when not even the sockets can be counted.
	KernelUnknown KernelSource = ""
)

// KernelMemory is what the kernel holds for sockets, in bytes.
type KernelMemory struct {
	// Objects are sockets, files and their like; Buffers what is queued in them.
	Objects, Buffers uint64
	Source           KernelSource
}

// chargesAccepted says whether a control group counts an accepted socket itself, the larger half of what one takes:
// from Linux 6.13 on, and in version 2 alone. Elsewhere it counts the file and the inode, and the socket only of
// who connects.
func chargesAccepted(groups int, release string) bool {
	major, minor := version(release)
	return groups == 2 && (major > 6 || major == 6 && minor >= 13)
}

func kernelMemory(l Live, byGroup bool, page uint64) KernelMemory {
	switch {
	case byGroup && l.GroupObjects.Known && l.GroupSockets.Known:
		return KernelMemory{l.GroupObjects.Value, l.GroupSockets.Value, KernelByGroup}
	case l.Sockets.Known:
		return KernelMemory{l.Sockets.Value * kernelPerSocket, l.TCPPages.Value * page, KernelBySockets}
	}
	return KernelMemory{}
}

// PerConnection is the kernel's share of one connection: what has been added since before, when none was open, by
// connections. False where the two readings were counted differently, or without a connection.
func (now KernelMemory) PerConnection(before KernelMemory, connections int) (float64, bool) {
	if connections <= 0 || now.Source == KernelUnknown || now.Source != before.Source {
		return 0, false
	}
	added := float64(now.Objects+now.Buffers) - float64(before.Objects+before.Buffers)
	return max(0, added) / float64(connections), true
}
