package engine

import (
	"strconv"
	"strings"
)

// handle names a connection of this node to other goroutines: loop, slot and generation in one word. Whoever
// comes back with it later finds the connection only if it is still the same one. Zero names none.
type handle uint64

// A handle has 8 bits for the loop, 24 for the slot (16 million connections a loop) and 32 for the generation.
const (
	handleSlotBits = 24
	handleLoopFrom = 32 + handleSlotBits
	maxSlot        = 1<<handleSlotBits - 1
)

func makeHandle(loop int, slot, gen uint32) handle {
	return handle(loop)<<handleLoopFrom | handle(slot)<<32 | handle(gen)
}

func (h handle) loop() int    { return int(h >> handleLoopFrom) }
func (h handle) slot() uint32 { return uint32(h>>32) & maxSlot }
func (h handle) gen() uint32  { return uint32(h) }

// connectionID is the name that clients and backends know a connection by: the node's name, a colon, and the
// handle. Node names never contain a colon.
func (s *Server) connectionID(h handle) string { return string(s.appendConnectionID(nil, h)) }

func (s *Server) appendConnectionID(dst []byte, h handle) []byte {
	dst = append(dst, s.node...)
	dst = append(dst, ':')
	return strconv.AppendUint(dst, uint64(h), 36)
}

// parseConnectionID is the way back; ok is false for another node's connection or none at all.
func (s *Server) parseConnectionID(id string) (h handle, ok bool) {
	node, rest, found := strings.Cut(id, ":")
	if !found || node != s.node {
		return 0, false
	}
	n, err := strconv.ParseUint(rest, 36, 64)
	if err != nil || handle(n).loop() >= len(s.loops) {
		return 0, false
	}
	return handle(n), true
}
