package frame

// Masking, RFC 6455 section 5.3: the same operation masks and unmasks.

import (
	"encoding/binary"
	"math/bits"

	"github.com/gobwas/ws"
)

// vectorMin is the payload size from which the vector code of ws.Cipher beats the loop below, call included.
const vectorMin = 256

// maskKey turns the four mask bytes of a header into the word that [mask] takes.
func maskKey(m [4]byte) uint32 { return binary.LittleEndian.Uint32(m[:]) }

// mask XORs p in place with the repeated key and returns the key for the byte that follows p, so that a payload
// may be done in pieces. A zero key, which is also that of an unmasked frame, costs nothing.
func mask(p []byte, key uint32) uint32 {
	if key == 0 {
		return 0
	}
	next := bits.RotateLeft32(key, -8*(len(p)&3))
	if len(p) >= vectorMin {
		var m [4]byte
		binary.LittleEndian.PutUint32(m[:], key)
		ws.Cipher(p, m, 0)
		return next
	}
	wide := uint64(key)<<32 | uint64(key)
	if len(p) < 8 {
		for i := range p {
			p[i] ^= byte(wide >> (8 * i))
		}
		return next
	}
	// The last eight bytes are taken before and written after the loop, which saves it an end in single bytes;
	// where it meets them it writes the same.
	end := p[len(p)-8:]
	tail := binary.LittleEndian.Uint64(end) ^ bits.RotateLeft64(wide, -8*(len(p)&7))
	for len(p) >= 32 {
		b := p[:32]
		binary.LittleEndian.PutUint64(b[0:], binary.LittleEndian.Uint64(b[0:])^wide)
		binary.LittleEndian.PutUint64(b[8:], binary.LittleEndian.Uint64(b[8:])^wide)
		binary.LittleEndian.PutUint64(b[16:], binary.LittleEndian.Uint64(b[16:])^wide)
		binary.LittleEndian.PutUint64(b[24:], binary.LittleEndian.Uint64(b[24:])^wide)
		p = p[32:]
	}
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^wide)
		p = p[8:]
	}
	binary.LittleEndian.PutUint64(end, tail)
	return next
}
