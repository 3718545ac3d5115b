package engine

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	vm "github.com/VictoriaMetrics/metrics"

	"github.com/roost-ws/roost/engine/auth"
)

const (
	// reserveDescriptors are kept for everything but client connections: listeners, loops, the operator's port,
	// brokers, and the refusals of connections above the cap.
	reserveDescriptors = 256
	// kernelPerSocket is what Linux keeps for one idle TCP socket in an epoll set: the socket, its inode, file,
	// dentry and epoll entry. Measured as the slope of the slab counters over 16,000 connections on 6.18.
	kernelPerSocket = 4100
)

// connectionCap is how many connections this process may hold: as many as asked for, or what the descriptor
// limit leaves. A demand above that is an error that says what to do.
func connectionCap(asked int) (int, string, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, "", fmt.Errorf("reading the descriptor limit: %w", err)
	}
	room := int(min(limit.Cur, 1<<30)) - reserveDescriptors
	switch {
	case room <= 0:
		return 0, "", fmt.Errorf("the descriptor limit is %d, and %d are needed before the first connection: raise it (ulimit -n, LimitNOFILE=)", limit.Cur, reserveDescriptors)
	case asked == 0:
		return room, "descriptors", nil
	case asked > room:
		return 0, "", fmt.Errorf("limits.connections is %d, but the descriptor limit of %d leaves room for %d: raise the limit to %d (ulimit -n, LimitNOFILE=) or lower limits.connections",
			asked, limit.Cur, room, asked+reserveDescriptors)
	}
	return asked, "configured", nil
}

// Box is what a node asks about its machine. Its methods may be called from any goroutine, and may read some files.
type Box interface {
	// Capacity says how many connections the machine has room for, and what ends them: one of Causes, which is a closed
	// list of words. 0 if it can't be told.
	Capacity() (connections int, cause string)
	Causes() []string
	// KernelPerConnection is the kernel's share of one connection's memory, where that can be counted.
	KernelPerConnection(connections int) (bytes float64, ok bool)
}

// box is what the process used before its first connection, so that a connection's share can be told from it.
type box struct{ heap, rss uint64 }

func newBox() box { return box{heap: heapBytes(), rss: residentBytes()} }

// heapBytes is the memory of live and not yet collected objects.
func heapBytes() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// residentBytes is what the kernel counts as this process's memory; 0 where /proc does not tell.
func residentBytes() uint64 {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := bytes.Fields(b)
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseUint(string(fields[1]), 10, 64)
	return pages * uint64(os.Getpagesize())
}

// socketBufferBytes is what all TCP sockets of this network namespace hold in buffers, and how many they are: of both
// families, since a listener on all addresses is one of IPv6 and so are the sockets that it accepts. The buffers of
// both stand in the first file.
func socketBufferBytes() (held, sockets uint64) {
	held = sockstat("/proc/net/sockstat", "TCP:", "mem") * uint64(os.Getpagesize())
	return held, sockstat("/proc/net/sockstat", "TCP:", "inuse") + sockstat("/proc/net/sockstat6", "TCP6:", "inuse")
}

// sockstat reads one number of a line of such a file; 0 if it is not there.
func sockstat(path, line, name string) uint64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	for text := range bytes.Lines(b) {
		if rest, ok := bytes.CutPrefix(text, []byte(line)); ok {
			fields := bytes.Fields(rest)
			for i := 0; i+1 < len(fields); i += 2 {
				if string(fields[i]) == name {
					n, _ := strconv.ParseUint(string(fields[i+1]), 10, 64)
					return n
				}
			}
		}
	}
	return 0
}

// MemoryPerConnection is this node's memory a connection, in bytes: of the Go heap, resident, and the kernel's
// share, which is estimated from its object sizes and the socket buffers in use. Zero without connections.
func (s *Server) MemoryPerConnection() (heap, rss, kernel float64) {
	n := float64(s.Connections())
	if n <= 0 {
		return 0, 0, 0
	}
	above := func(now, before uint64) float64 { return max(0, float64(now)-float64(before)) / n }
	counted := false
	if s.machine != nil {
		kernel, counted = s.machine.KernelPerConnection(int(n))
	}
	if held, sockets := socketBufferBytes(); !counted {
		kernel = kernelPerSocket
		if sockets > 0 {
			kernel += float64(held) / float64(sockets)
		}
	}
	return above(heapBytes(), s.box.heap), above(residentBytes(), s.box.rss), kernel
}

// writeBox writes what this machine has to do with it.
func (s *Server) writeBox(w io.Writer, _ *counters) {
	heap, rss, kernel := s.MemoryPerConnection()
	for kind, v := range map[string]float64{"heap": heap, "rss": rss, "kernel": kernel} {
		vm.WriteGaugeFloat64(w, "roost_"+labelled("memory_bytes_per_connection", "kind", kind), v)
	}
	s.writeCapacity(w)
	up := uint64(0)
	if s.broker.Up() {
		up = 1
	}
	gauge(w, "broker_up", up)
}

// writeCapacity writes how many connections this node can hold, and what ends them: its cap, or its machine.
func (s *Server) writeCapacity(w io.Writer) {
	room, cause := s.limits.Connections, s.capCause
	causes := []string{"configured", "descriptors"}
	if s.machine != nil {
		if n, why := s.machine.Capacity(); why != "" && n < room {
			room, cause = n, why
		}
		for _, c := range s.machine.Causes() {
			if !slices.Contains(causes, c) {
				causes = append(causes, c)
			}
		}
	}
	gauge(w, "capacity_connections", uint64(room))
	for _, c := range causes {
		v := uint64(0)
		if c == cause {
			v = 1
		}
		gauge(w, labelled("capacity_limit", "cause", c), v)
	}
}

func (s *Server) writeTokenRefusals(w io.Writer, t *counters) {
	for _, r := range auth.Refusals() {
		counter(w, labelled("tokens_refused_total", "reason", r.String()), t.tokensRefused[r])
	}
}

// trimMemory gives memory that a burst of connections left behind back to the system: the runtime keeps as much
// again as is live, for as long as it thinks that it may be needed. Runs on its own goroutine until stop closes.
func (s *Server) trimMemory(stop <-chan struct{}) {
	look := time.NewTicker(time.Minute)
	defer look.Stop()
	for {
		select {
		case <-stop:
			return
		case <-look.C:
		}
		if idle, used := unreturnedBytes(); idle > used/10+(1<<20) {
			debug.FreeOSMemory()
		}
	}
}

// unreturnedBytes is heap memory that is free but still the process's, and memory that is in use.
func unreturnedBytes() (idle, used uint64) {
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
	}
	metrics.Read(samples)
	return samples[0].Value.Uint64() + samples[1].Value.Uint64(), samples[2].Value.Uint64()
}

// GCPercent is the collector setting that a node runs best with (debug.SetGCPercent): a served message allocates
// next to nothing, so collecting at half of the usual growth costs nothing there, and the garbage of a storm of
// handshakes has less time to scatter over the heap among what stays.
const GCPercent = 50
