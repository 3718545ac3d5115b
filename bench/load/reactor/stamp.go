package reactor

// The stamp in a measured payload: by it a message is known again wherever a server puts it.

import (
	"bytes"
	"encoding/binary"

	"github.com/roost-ws/roost/bench"
)

// stampSize is the length of a stamp. All of it is ASCII that JSON leaves as it is, and all of it has a fixed place
// and width, so that reading it takes a few word operations:
//
//	marker    8 bytes, the same in each
//	run       8 digits: which measurement it belongs to, so that a straggler of an earlier one is not counted
//	sender    8 digits: the number of the connection that sent it
//	sequence  8 digits: from 0, by sender
//	due       16 digits: when it should have been sent, as in Now
//
// The digits are hexadecimal, in lower case.
const stampSize = bench.MinPayload

const (
	runAt      = 8
	senderAt   = 16
	sequenceAt = 24
	dueAt      = 32
)

var (
	marker     = []byte("roost-at")
	markerWord = binary.LittleEndian.Uint64(marker)
)

// stamp is what a stamp says.
type stamp struct {
	run, sender, sequence uint32
	due                   int64
}

// put writes s over p.
func (s stamp) put(p *[stampSize]byte) {
	copy(p[:], marker)
	putHex(p[runAt:], s.run)
	putHex(p[senderAt:], s.sender)
	putHex(p[sequenceAt:], s.sequence)
	putHex(p[dueAt:], uint32(uint64(s.due)>>32))
	putHex(p[dueAt+8:], uint32(s.due))
}

// stampOf reads the stamp at p. What does not consist of digits gives some number or other: a caller compares the run
// before it believes the rest.
func stampOf(p *[stampSize]byte) stamp {
	return stamp{run: hex(p[runAt:]), sender: hex(p[senderAt:]), sequence: sequenceOf(p), due: dueOf(p)}
}

func sequenceOf(p *[stampSize]byte) uint32 { return hex(p[sequenceAt:]) }

func dueOf(p *[stampSize]byte) int64 {
	return int64(uint64(hex(p[dueAt:]))<<32 | uint64(hex(p[dueAt+8:])))
}

// runWord is the run's digits as they stand, to be compared without being read.
func runWord(p *[stampSize]byte) uint64 { return binary.LittleEndian.Uint64(p[runAt:]) }

// wordOf is what runWord gives for v.
func wordOf(v uint32) uint64 {
	var p [8]byte
	putHex(p[:], v)
	return binary.LittleEndian.Uint64(p[:])
}

// findStamp returns where in p a stamp is, -1 if nowhere. It looks at hint first, where the last one was: messages
// of one kind differ little. It never looks beyond p.
func findStamp(p []byte, hint int) int {
	if hint+stampSize <= len(p) && binary.LittleEndian.Uint64(p[hint:]) == markerWord {
		return hint
	}
	at := bytes.Index(p, marker)
	if at < 0 || at+stampSize > len(p) {
		return -1
	}
	return at
}

// Eight digits are one word. In each of its bytes a digit from 0 to 9 is 0x30 and more, one from a to f 0x61 and
// more: bit 6 tells them apart.
const (
	everyByte   = 0x0101010101010101
	everyNibble = 0x0f0f0f0f0f0f0f0f
)

func putHex(p []byte, v uint32) {
	x := uint64(v)
	x = (x<<16 | x) & 0x0000ffff0000ffff
	x = (x<<8 | x) & 0x00ff00ff00ff00ff
	x = (x<<4 | x) & everyNibble
	letters := (x + 6*everyByte) >> 4 & everyByte // 1 in each byte that is above 9
	binary.BigEndian.PutUint64(p, x+'0'*everyByte+letters*('a'-'0'-10))
}

func hex(p []byte) uint32 {
	x := binary.BigEndian.Uint64(p)
	x = x&everyNibble + x>>6&everyByte*9
	x = (x>>4 | x) & 0x00ff00ff00ff00ff
	x = (x>>8 | x) & 0x0000ffff0000ffff
	return uint32(x>>16 | x)
}
