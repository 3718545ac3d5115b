package fanout

// Packs: several publications of one room as one message of a bus, for which a message costs more than its bytes.

import (
	"encoding/binary"
	"fmt"
	"iter"
)

// AppendPacked appends an envelope of [AppendEnvelope] to a pack, which an empty dst begins.
func AppendPacked(dst []byte, envelope string) []byte {
	if len(dst) == 0 {
		dst = append(dst, envelopePack)
	}
	return appendText(dst, envelope)
}

// PackedBytes is how many bytes an envelope of so many takes in a pack, the pack's own first byte aside.
func PackedBytes(envelope int) int {
	prefix := 1
	for n := envelope; n >= 0x80; n >>= 7 {
		prefix++
	}
	return prefix + envelope
}

// IsPack reports whether what was found in a room is a pack, which [Unpack] takes apart and [DecodeEnvelope] refuses.
func IsPack[T string | []byte](b T) bool { return len(b) > 0 && b[0] == envelopePack }

// Unpack goes over the envelopes in a pack in their order; they point into it. In the place of one that no node writes
// into a pack, such as another pack, it gives an error, and goes on with the next; where the pack itself is damaged it
// gives an error and ends. Each wraps [ErrEnvelope].
func Unpack(pack []byte) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		if !IsPack(pack) || len(pack) == 1 {
			yield(nil, fmt.Errorf("%w: it is an empty pack or none", ErrEnvelope))
			return
		}
		for rest := pack[1:]; len(rest) > 0; {
			n, size := binary.Uvarint(rest)
			if size <= 0 || n > uint64(len(rest)-size) {
				yield(nil, fmt.Errorf("%w: its pack ends too early", ErrEnvelope))
				return
			}
			envelope := rest[size : size+int(n)]
			rest = rest[size+int(n):]
			var err error
			if len(envelope) == 0 || envelope[0] != envelopeV1 {
				envelope, err = nil, fmt.Errorf("%w: it is none that belongs into a pack", ErrEnvelope)
			}
			if !yield(envelope, err) {
				return
			}
		}
	}
}
