package frame

// The frame header: bytes to ws.Header, with every check that a header allows.

import (
	"encoding/binary"

	"github.com/gobwas/ws"
)

const (
	finBit     = 0x80
	opcodeBits = 0x0f
	maskBit    = 0x80

	rsv1 = 0b100 // in ws.Header.Rsv, which holds the three bits right-aligned

	length16 = 126 // the 7-bit length that announces a 16-bit one
	length64 = 127 // the 7-bit length that announces a 64-bit one

	maxControl = ws.MaxControlFramePayloadSize
)

// ParseHeader reads the frame header at the start of p. A size of 0 with a nil error means that p ends before
// the header does; else the payload starts at p[size]. It neither keeps p nor allocates.
//
// s says what is legal now: ws.StateServerSide demands a mask, ws.StateClientSide forbids it,
// ws.StateFragmented means a message is open, and ws.StateExtended that permessage-deflate was negotiated,
// which allows RSV1 on the first frame of a message (RFC 7692, section 6). most is how many payload bytes a data
// frame may have; control frames are bound by 125 alone.
//
// The error is an [Error]. It is returned as soon as p holds the byte that proves it, even if the header is not
// complete, and more bytes never change it.
func ParseHeader(p []byte, s ws.State, most int64) (h ws.Header, size int, err error) {
	size, e := parseHeader(&h, p, s, most)
	switch {
	case e != 0:
		return ws.Header{}, 0, e
	case size == 0:
		return ws.Header{}, 0, nil
	}
	return h, size, nil
}

// parseHeader is ParseHeader into *h, which spares the [Assembler] a copy that costs as much as the parsing. *h
// is only good with a size.
func parseHeader(h *ws.Header, p []byte, s ws.State, most int64) (size int, e Error) {
	if len(p) == 0 {
		return 0, 0
	}
	op := ws.OpCode(p[0] & opcodeBits)
	h.Fin, h.Rsv, h.OpCode = p[0]&finBit != 0, p[0]>>4&0b111, op
	if e := checkFirstByte(h.Fin, h.Rsv, op, s); e != 0 {
		return 0, e
	}
	if len(p) == 1 {
		return 0, 0
	}
	masked, short := p[1]&maskBit != 0, p[1]&^maskBit
	h.Masked = masked
	switch {
	case !masked && s.ServerSide():
		return 0, ErrUnmasked
	case masked && s.ClientSide():
		return 0, ErrMasked
	case short < length16:
		if int64(short) > most && !op.IsControl() {
			return 0, ErrTooBig
		}
		h.Length, size = int64(short), 2
	case op.IsControl():
		return 0, ErrControlTooLong
	default:
		if h.Length, size, e = parseLongLength(p, short, most); size == 0 {
			return 0, e
		}
	}
	if !masked {
		return size, 0
	}
	if len(p) < size+4 {
		return 0, 0
	}
	h.Mask = [4]byte(p[size:])
	return size + 4, 0
}

// checkFirstByte judges what the first byte alone decides: reserved bits, opcode, FIN and fragmentation.
func checkFirstByte(fin bool, rsv byte, op ws.OpCode, s ws.State) Error {
	if rsv != 0 && (rsv != rsv1 || !s.Extended() || op.IsControl() || op == ws.OpContinuation) {
		return ErrReservedBits
	}
	switch op {
	case ws.OpText, ws.OpBinary:
		if s.Fragmented() {
			return ErrExpectedContinuation
		}
	case ws.OpContinuation:
		if !s.Fragmented() {
			return ErrUnexpectedContinuation
		}
	case ws.OpClose, ws.OpPing, ws.OpPong:
		if !fin {
			return ErrControlFragmented
		}
	default:
		return ErrBadOpcode
	}
	return 0
}

// parseLongLength reads the 16-bit or 64-bit length that follows the first two bytes of p. A size of 0 means
// that it is not complete yet. An incomplete one is judged by the least value it can still take.
func parseLongLength(p []byte, short byte, most int64) (length int64, size int, e Error) {
	width := 2
	if short == length64 {
		width = 8
	}
	var least uint64
	var missing int
	if len(p) >= 2+width {
		if width == 2 {
			least = uint64(binary.BigEndian.Uint16(p[2:]))
		} else {
			least = binary.BigEndian.Uint64(p[2:])
		}
	} else {
		missing = 2 + width - len(p)
		for _, digit := range p[2:] {
			least = least<<8 | uint64(digit)
		}
		least <<= 8 * missing
	}
	switch {
	case least>>63 != 0:
		return 0, 0, ErrBadLength
	case width == 8 && missing <= 2 && least>>16 == 0: // the upper six bytes are here, and all zero
		return 0, 0, ErrNonMinimalLength
	case width == 2 && missing == 0 && least < length16:
		return 0, 0, ErrNonMinimalLength
	case int64(least) > most:
		return 0, 0, ErrTooBig
	case missing > 0:
		return 0, 0, 0
	}
	return int64(least), 2 + width, 0
}
