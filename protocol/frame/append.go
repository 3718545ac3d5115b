package frame

// Writing frames: each function appends to dst and returns it, as the built-in append does. They may be called
// from any goroutine, keep nothing, and allocate only when dst has no room.

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// HeaderSize is the length in bytes of an unmasked header for n bytes of payload: 2, 4 or 10.
func HeaderSize(n int) int {
	switch {
	case n < length16:
		return 2
	case n <= 0xffff:
		return 4
	default:
		return 10
	}
}

// AppendHeader appends the server's header of a whole (FIN) frame with n bytes of payload, which the caller
// appends next.
func AppendHeader(dst []byte, op ws.OpCode, n int) []byte {
	return appendHeader(dst, finBit|byte(op), 0, n)
}

// AppendCompressedHeader is [AppendHeader] with RSV1 set: the n bytes are a message compressed by
// permessage-deflate (RFC 7692, section 6). op is text or binary.
func AppendCompressedHeader(dst []byte, op ws.OpCode, n int) []byte {
	return appendHeader(dst, finBit|rsv1<<4|byte(op), 0, n)
}

// Append appends a server's whole frame. payload is copied. For control frames see the functions below, which
// keep to their length limit.
func Append(dst []byte, op ws.OpCode, payload []byte) []byte {
	return append(AppendHeader(dst, op, len(payload)), payload...)
}

// AppendCompressed appends a server's whole frame with RSV1 set around a payload that is already compressed.
func AppendCompressed(dst []byte, op ws.OpCode, payload []byte) []byte {
	return append(AppendCompressedHeader(dst, op, len(payload)), payload...)
}

// AppendPing appends a server's ping. Payload beyond 125 bytes is cut off.
func AppendPing(dst, payload []byte) []byte {
	return Append(dst, ws.OpPing, payload[:min(len(payload), maxControl)])
}

// AppendPong appends a server's pong; the answer to a ping bears that ping's payload (section 5.5.3). Payload
// beyond 125 bytes is cut off.
func AppendPong(dst, payload []byte) []byte {
	return Append(dst, ws.OpPong, payload[:min(len(payload), maxControl)])
}

// AppendClose appends a server's close frame. The reason is cut to 123 bytes at the border of a code point, and
// what is not UTF-8 in it is replaced, which is the only case that allocates. A code that may not travel
// ([ValidCloseCode]) gives an empty body, so the code of a received [Event] can be echoed as it is.
func AppendClose(dst []byte, code ws.StatusCode, reason string) []byte {
	if !ValidCloseCode(code) {
		return AppendHeader(dst, ws.OpClose, 0)
	}
	reason = cutReason(strings.ToValidUTF8(reason, "\uFFFD"))
	dst = AppendHeader(dst, ws.OpClose, 2+len(reason))
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}

// AppendMasked appends a client's frame: fin and rsv (three bits, RSV1 is 4) as given, the payload copied and
// masked. It checks nothing, so that tests can also send what the RFC forbids.
func AppendMasked(dst []byte, fin bool, rsv byte, op ws.OpCode, key [4]byte, payload []byte) []byte {
	first := rsv<<4 | byte(op)
	if fin {
		first |= finBit
	}
	dst = appendHeader(dst, first, maskBit, len(payload))
	dst = append(dst, key[:]...)
	start := len(dst)
	dst = append(dst, payload...)
	mask(dst[start:], maskKey(key))
	return dst
}

// appendHeader appends the first byte, then n in its shortest form with the mask bit beside it.
func appendHeader(dst []byte, first, maskFlag byte, n int) []byte {
	switch HeaderSize(n) {
	case 2:
		return append(dst, first, maskFlag|byte(n))
	case 4:
		return append(dst, first, maskFlag|length16, byte(n>>8), byte(n))
	default:
		return binary.BigEndian.AppendUint64(append(dst, first, maskFlag|length64), uint64(n))
	}
}

// cutReason shortens a close reason to what fits beside the code, without splitting a code point.
func cutReason(reason string) string {
	n := maxControl - 2
	if len(reason) <= n {
		return reason
	}
	for n > 0 && !utf8.RuneStart(reason[n]) {
		n--
	}
	return reason[:n]
}
