package engine

import "time"

// memoryLook is how often memory is compared with its mark. Handshakes at full speed take some 25 MB meanwhile.
const memoryLook = 250 * time.Millisecond

// watchMemory keeps admission informed of whether Limits.Memory is passed, until stop closes. Reading two files of
// /proc takes some 30 microseconds, on a goroutine of its own.
func (s *Server) watchMemory(stop <-chan struct{}) {
	look := time.NewTicker(memoryLook)
	defer look.Stop()
	for {
		select {
		case <-stop:
			return
		case <-look.C:
			s.lookAtMemory(s.memoryInUse())
		}
	}
}

// lookAtMemory opens or shuts the door, and says so once.
func (s *Server) lookAtMemory(used uint64) {
	over := used > uint64(s.limits.Memory)
	if s.admission.overMemory.Swap(over) == over {
		return
	}
	if over {
		s.log.Warn("above limits.memory: new connections are refused", "used", used, "limit", s.limits.Memory)
		return
	}
	s.log.Info("below limits.memory again: new connections are taken", "used", used, "limit", s.limits.Memory)
}

// memoryInUse is what this process holds, in bytes, and what the kernel holds for its sockets: their objects, by
// the size that was measured, and all TCP buffers of this network namespace, which are nearly all ours on a box
// that only serves.
func (s *Server) memoryInUse() uint64 {
	buffers, _ := socketBufferBytes()
	return residentBytes() + uint64(max(s.Connections(), 0))*kernelPerSocket + buffers
}
