// What a box is wanted for, and what a connection costs there.

package sysctl

import "fmt"

// Role is what a box does with connections.
type Role string

// The roles. A node runs roost; a balancer stands in front of nodes and has two sockets for each connection; a load
// generator opens connections.
const (
	Node     Role = "node"
	Balancer Role = "balancer"
	LoadGen  Role = "loadgen"
)

// Roles are all there are.
func Roles() []Role { return []Role{Node, Balancer, LoadGen} }

// Target is what a box is to carry.
type Target struct {
	// Connections are N in the formulas.
	Connections int `json:"connections"`
	// PerSecond is R, new connections a second at the worst; 0 has everybody come back within two minutes.
	PerSecond int `json:"per_second"`
	// Role is Node if empty.
	Role Role `json:"role"`
	// Tuples are pairs of a source address and a destination's address and port between balancer and node; 0 is
	// not known to a node, and one pair to those that open connections.
	Tuples int `json:"tuples,omitempty"`
	// Held are the connections of N that this process holds already: what they use is not in the way of the others.
	Held int `json:"held,omitempty"`
	// UserBytes and KernelBytes are what a connection costs where that has been measured; 0 takes the constants.
	UserBytes   float64 `json:"user_bytes,omitempty"`
	KernelBytes float64 `json:"kernel_bytes,omitempty"`
}

// MostConnections bounds a target: far more than one box holds, and far from where products overflow.
const MostConnections = 100_000_000

// Check says what is wrong with a target, and what to write instead.
func (t *Target) Check() error {
	switch {
	case t.Connections < 1 || t.Connections > MostConnections:
		return fmt.Errorf("connections are %d; write 1 to %d", t.Connections, MostConnections)
	case t.PerSecond < 0 || t.PerSecond > MostConnections:
		return fmt.Errorf("connections a second are %d; write 1 to %d, or 0 for all within two minutes", t.PerSecond, MostConnections)
	case t.Tuples < 0 || t.Tuples > MostConnections:
		return fmt.Errorf("tuples are %d; write how many pairs of source address and destination port there are", t.Tuples)
	case t.Held < 0 || t.UserBytes < 0 || t.KernelBytes < 0:
		return fmt.Errorf("what is held and what was measured can't be negative")
	}
	switch t.Role {
	case "", Node, Balancer, LoadGen:
		return nil
	}
	return fmt.Errorf("role %q is none; write node, balancer or loadgen", t.Role)
}

const (
	// comeBack is the time within which everybody is back after a node has gone, in seconds, where nobody says
	// better: what NATS spreads its lame duck over, and a handshake rate that one core manages up to a million.
	comeBack = 120
	// resting is how long a closed connection lingers as TIME_WAIT or as an orphan, in seconds (TCP_TIMEWAIT_LEN).
	resting = 60
	// reserveDescriptors is what a node keeps for everything but connections (engine/box.go): what is above the
	// limit without them makes it refuse to start.
	reserveDescriptors = 256
)

// withDefaults fills in what the caller left open.
func (t Target) withDefaults() Target {
	if t.Role == "" {
		t.Role = Node
	}
	if t.PerSecond == 0 {
		t.PerSecond = (t.Connections + comeBack - 1) / comeBack
	}
	if t.Tuples == 0 && t.Role != Node {
		t.Tuples = 1
	}
	if t.UserBytes == 0 {
		t.UserBytes = costs[t.Role].user
	}
	if t.KernelBytes == 0 {
		t.KernelBytes = kernelPerSocket * float64(t.sockets())
	}
	return t
}

// sockets are those of one connection.
func (t *Target) sockets() uint64 {
	if t.Role == Balancer {
		return 2
	}
	return 1
}

func (t *Target) n() uint64 { return uint64(t.Connections) }

// descriptors is what N connections need: spare is for bursts above the cap, files and brokers.
func (t *Target) descriptors() (least, wanted uint64) {
	n := t.n() * t.sockets()
	return n + reserveDescriptors, n + max(4096, n/50)
}

// unitLimit is LimitNOFILE of a service's unit.
func (t *Target) unitLimit() uint64 { return t.n()*t.sockets()*105/100 + 4096 }

// kernelPerSocket is what Linux keeps for one idle TCP socket in an epoll set: the socket, its inode, file, dentry
// and epoll entry. Measured as the slope of the slab counters over 16,000 connections on 6.18 (engine/box.go), and
// 4,120 over a million.
const kernelPerSocket = 4100

// costs are the bytes of a process before its first connection, and of each.
var costs = map[Role]struct{ base, user float64 }{
	// A node: what one more takes with a token and in one of 1,000 rooms (go test ./engine -run
	// TestMemoryPerConnection), and what is left of roost serve when that is taken from its resident memory with
	// 2,000 and 18,000 of them a minute after they came. Two thirds of the base are the program itself.
	Node: {base: 22_000_000, user: 531},
	// HAProxy: its two buffers of 16 KiB (tune.bufsize) for a connection that moves data. An idle tunnel gives
	// them back, so this is the most and not the usual.
	Balancer: {base: 64 << 20, user: 32 << 10},
	// roost bench load --scenario idle, measured with 2,000 and 18,000: two processes, which share their program.
	LoadGen: {base: 34_400_000, user: 170},
}

// conntrackEntry is what connection tracking keeps for a flow (nf_conntrack objects of 6.x, with its extensions).
const conntrackEntry = 384
