package enginetest

import (
	"encoding/binary"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// This file is the client's half of RFC 6455 framing: it appends client frames and reads server frames
// with every rule that a server must keep checked. Client and Swarm share it.

// maxServerFrame bounds what a test is willing to receive in one frame.
const maxServerFrame = 64 << 20

// Frame is one frame as it travels, its payload unmasked.
type Frame struct {
	Fin bool
	// Rsv holds the reserved bits as gobwas/ws does: RSV1 is 4, RSV2 is 2, RSV3 is 1.
	Rsv     byte
	Op      ws.OpCode
	Payload []byte
}

// CloseCode is the status code of a close frame, and 1005 if it carries none (RFC 6455, section 7.1.5).
func (f Frame) CloseCode() int {
	if len(f.Payload) < 2 {
		return int(ws.StatusNoStatusRcvd)
	}
	return int(binary.BigEndian.Uint16(f.Payload))
}

// CloseReason is the reason text of a close frame.
func (f Frame) CloseReason() string {
	if len(f.Payload) < 2 {
		return ""
	}
	return string(f.Payload[2:])
}

// ViolationError is a breach of RFC 6455 by the server.
type ViolationError struct {
	// Rule says what the server did and the section that forbids it.
	Rule string
}

// Error is the rule that was broken.
func (e *ViolationError) Error() string { return "server broke RFC 6455: " + e.Rule }

func violation(rule string) error { return &ViolationError{Rule: rule} }

// testMask is the key of every frame that nobody chose a key for. It is constant, which is legal for a peer
// that has no scripts to defend against, and has no zero byte, so that unmasking is real work for the server.
var testMask = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// AppendFrame appends f as a client sends it, masked or (which no server may accept) unmasked. It writes
// what it is told: reserved bits, unknown opcodes and oversized control frames are the caller's business.
// f.Payload is not kept and not changed.
func AppendFrame(dst []byte, f Frame, masked bool) []byte {
	first := f.Rsv<<4&0x70 | byte(f.Op)&0x0f
	if f.Fin {
		first |= 0x80
	}
	var maskBit byte
	if masked {
		maskBit = 0x80
	}
	switch n := len(f.Payload); {
	case n < 126:
		dst = append(dst, first, maskBit|byte(n))
	case n <= 0xffff:
		dst = append(dst, first, maskBit|126)
		dst = binary.BigEndian.AppendUint16(dst, uint16(n))
	default:
		dst = append(dst, first, maskBit|127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(n))
	}
	if !masked {
		return append(dst, f.Payload...)
	}
	dst = append(dst, testMask[:]...)
	start := len(dst)
	dst = append(dst, f.Payload...)
	ws.Cipher(dst[start:], testMask, 0)
	return dst
}

// TextFrame is one whole masked text message, ready to be sent.
func TextFrame(payload []byte) []byte {
	return AppendFrame(nil, Frame{Fin: true, Op: ws.OpText, Payload: payload}, true)
}

// BinaryFrame is one whole masked binary message, ready to be sent.
func BinaryFrame(payload []byte) []byte {
	return AppendFrame(nil, Frame{Fin: true, Op: ws.OpBinary, Payload: payload}, true)
}

// CloseFrame is one masked close frame; code 0 stands for one without a body.
func CloseFrame(code int, reason string) []byte {
	return AppendFrame(nil, Frame{Fin: true, Op: ws.OpClose, Payload: closeBody(code, reason)}, true)
}

func closeBody(code int, reason string) []byte {
	if code == 0 {
		return nil
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(code)), reason...)
}

// parseFrame reads the server frame at the front of b and how many bytes it took; n is 0 while b is too
// short. The verdict on a header comes as soon as the header is whole. f.Payload points into b.
func parseFrame(b []byte) (f Frame, n int, err error) {
	if len(b) < 2 {
		return f, 0, nil
	}
	f.Fin, f.Rsv, f.Op = b[0]&0x80 != 0, b[0]>>4&7, ws.OpCode(b[0]&0x0f)
	length, head := uint64(b[1]&0x7f), 2
	switch {
	case b[1]&0x80 != 0:
		return f, 0, violation("masked frame from the server (section 5.1)")
	case f.Op.IsReserved():
		return f, 0, violation("reserved opcode (section 5.2)")
	case f.Op.IsControl() && length > 125:
		return f, 0, violation("control frame longer than 125 bytes (section 5.5)")
	case f.Op.IsControl() && !f.Fin:
		return f, 0, violation("fragmented control frame (section 5.5)")
	}
	switch length {
	case 126:
		if len(b) < 4 {
			return f, 0, nil
		}
		length, head = uint64(binary.BigEndian.Uint16(b[2:])), 4
		if length < 126 {
			return f, 0, violation("length not in its shortest form (section 5.2)")
		}
	case 127:
		if len(b) < 10 {
			return f, 0, nil
		}
		length, head = binary.BigEndian.Uint64(b[2:]), 10
		if length <= 0xffff {
			return f, 0, violation("length not in its shortest form (section 5.2)")
		}
	}
	if length > maxServerFrame {
		return f, 0, violation("frame longer than any test sends")
	}
	n = head + int(length)
	if len(b) < n {
		return f, 0, nil
	}
	f.Payload = b[head:n]
	return f, n, nil
}

// sequence checks what only shows across frames and joins fragments. The zero sequence is ready.
type sequence struct {
	// extended allows RSV1 on the first frame of a message, after an extension was agreed on.
	extended bool
	open     bool // inside a fragmented message
	closed   bool // a close frame has arrived
	coded    bool // the open message has RSV1, so its bytes are not text yet
	op       ws.OpCode
	partial  []byte
}

// add takes the next frame. whole says that message is a complete data message; it points into f or, for a
// fragmented one, into a buffer of its own that is good until the next message.
func (s *sequence) add(f Frame) (op ws.OpCode, message []byte, whole bool, err error) {
	allowed := byte(0)
	if s.extended && f.Op.IsData() && f.Op != ws.OpContinuation {
		allowed = 4
	}
	switch {
	case s.closed:
		return 0, nil, false, violation("frame after the close frame (section 5.5.1)")
	case f.Rsv&^allowed != 0:
		return 0, nil, false, violation("reserved bit without an extension (section 5.2)")
	case f.Op == ws.OpClose:
		s.closed = true
		return 0, nil, false, checkClose(f)
	case f.Op.IsControl():
		return 0, nil, false, nil
	case f.Op == ws.OpContinuation && !s.open:
		return 0, nil, false, violation("continuation without a start (section 5.4)")
	case f.Op != ws.OpContinuation && s.open:
		return 0, nil, false, violation("new message inside a fragmented one (section 5.4)")
	}
	if f.Op != ws.OpContinuation {
		s.op, s.coded = f.Op, f.Rsv != 0
	}
	message = f.Payload
	if s.open || !f.Fin {
		if !s.open {
			s.partial = s.partial[:0]
		}
		s.partial = append(s.partial, f.Payload...)
		message = s.partial
	}
	s.open = !f.Fin
	if f.Fin && s.op == ws.OpText && !s.coded && !utf8.Valid(message) {
		return 0, nil, false, violation("text message that is not UTF-8 (section 8.1)")
	}
	return s.op, message, f.Fin, nil
}

// checkClose checks the body of a close frame, RFC 6455 sections 5.5.1 and 7.4.
func checkClose(f Frame) error {
	if len(f.Payload) == 0 {
		return nil
	}
	if len(f.Payload) == 1 {
		return violation("close frame with one byte (section 5.5.1)")
	}
	code := f.CloseCode()
	if code >= 1012 && code <= 1014 { // registered with IANA after the RFC; the check does not know them
		code = int(ws.StatusNormalClosure)
	}
	if err := ws.CheckCloseFrameData(ws.StatusCode(code), f.CloseReason()); err != nil {
		return violation("close frame: " + err.Error() + " (section 7.4)")
	}
	return nil
}
