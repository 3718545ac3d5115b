package frame

// The reader of one byte stream: pieces of any size go in, messages and control frames come out.

import (
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// firstBuffer is the least that is asked of the pool for a message in pieces, in bytes, unless it is shorter.
const firstBuffer = 64

// Buffers is the pool behind an [Assembler]. It is called on the assembler's goroutine and must not block.
type Buffers interface {
	// Get returns a slice with room for n bytes (cap >= n); its content does not matter.
	Get(n int) []byte
	// Put takes back a slice from Get or Grow, which is not used any more.
	Put([]byte)
	// Grow returns a slice with the content and length of b and room for n more bytes (cap >= len(b) + n); b is
	// not used any more.
	Grow(b []byte, n int) []byte
}

// Limits bounds what a peer may send. Nothing in it is "off" when zero.
type Limits struct {
	// MessageBytes is the most payload a message may have, all its frames together. A compressed one, which has to be
	// held to it once more when it is inflated, may have an eighth and 16 bytes more until then: what can't be made
	// smaller is longer when compressed, in zlib's worst case by that much, and browsers compress everything.
	MessageBytes int
	// Fragments is the most frames a message may have. A message in one frame is always allowed.
	Fragments int
	// Deflate says that permessage-deflate was negotiated: a message's first frame may have RSV1.
	Deflate bool
	// ClientSide says that the stream is a server's: its frames must not be masked, instead of must.
	ClientSide bool
}

// payload is the most payload of a message on the wire.
func (l *Limits) payload(compressed bool) int {
	if compressed {
		return l.MessageBytes + l.MessageBytes/8 + 16
	}
	return l.MessageBytes
}

// EventKind says what [Assembler.Next] found.
type EventKind uint8

// The kinds of events. None means that all bytes are used up and more are needed.
const (
	None EventKind = iota
	Message
	Ping
	Pong
	Close
)

// Event is a whole message or control frame.
type Event struct {
	Kind EventKind
	// Op is ws.OpText or ws.OpBinary for a Message, else 0.
	Op ws.OpCode
	// Compressed says that a Message's payload is still to be inflated, and then, if it is text, checked for
	// UTF-8. Text that is not compressed has been checked.
	Compressed bool
	// CloseCode is a Close's code; ws.StatusNoStatusRcvd if it bore none.
	CloseCode ws.StatusCode
	// Payload is the message's or control frame's payload, unmasked. It may point into the bytes given to Next
	// or into a pooled buffer, may be written to, and is good until the next call of Next or Release. Its capacity
	// is its length, so that appending to it copies it.
	Payload []byte
	// CloseReason is a Close's reason, valid UTF-8; it points into Payload.
	CloseReason []byte
}

// lent says which buffer the last event's payload is in.
type lent uint8

const (
	lentNone lent = iota
	lentMessage
	lentControl
)

// Assembler turns one connection's bytes into events. The zero value is ready. It holds what a stream leaves
// unfinished: part of a header, part of a payload, the frames of an open message. Buffers come from a pool, only
// when something is unfinished, and grow with the bytes received, never with those announced.
//
// It is not safe for concurrent use. While [Assembler.Idle] it may go on with another connection's stream.
type Assembler struct {
	message []byte // payload of the open message, as far as it is not handed out from the caller's bytes
	control []byte // the same for a control frame, which may come while a message is open
	left    int    // payload bytes of the current frame still to come
	frames  int    // frames of the open message, with the current one
	key     uint32 // mask for the next payload byte

	head     [ws.MaxHeaderSize]byte // start of a header that is not complete
	headSize uint8

	inFrame    bool      // header read, payload not complete
	fin        bool      // of the current frame
	op         ws.OpCode // of the current frame
	messageOp  ws.OpCode // of the open message; 0 if none is open
	compressed bool      // the open message
	textTail   uint8     // bytes at the end of message that are a code point not yet complete
	lent       lent
}

// Idle reports whether the stream is between two messages, so that nothing has to be remembered for it. An event
// whose payload is still on loan does not count: it ends with the next call of Next or Release, for whichever
// stream.
func (a *Assembler) Idle() bool { return a.headSize == 0 && !a.inFrame && a.messageOp == 0 }

// Open reports whether a message has begun that has not ended, whatever control frames came in between.
func (a *Assembler) Open() bool { return a.messageOp != 0 }

// Release gives every buffer back to bufs and makes a ready for a new stream. The last event's payload is lost.
func (a *Assembler) Release(bufs Buffers) {
	if a.message != nil {
		bufs.Put(a.message)
	}
	if a.control != nil {
		bufs.Put(a.control)
	}
	*a = Assembler{}
}

// Next reads p up to the end of one event and returns it with the rest of p, or uses p up and returns an event
// of kind None. Call it until then, also with the empty rest: that is when the last payload's buffer goes back.
// It does not block.
//
// p is unmasked in place and must not be given again; a payload that lies whole in p is handed out from there
// without a copy and without an allocation. bufs must be the same pool for all calls until Release. lim may
// change between messages.
//
// The error is an [Error]. After it, and after a Close event, the stream is over and only Release may follow.
func (a *Assembler) Next(p []byte, lim *Limits, bufs Buffers) (ev Event, rest []byte, err error) {
	if a.lent != lentNone {
		a.takeBack(bufs)
	}
	for {
		var e Error
		if !a.inFrame {
			if p, e = a.readHeader(p, lim); e != 0 {
				return Event{}, nil, e
			}
			if !a.inFrame {
				return Event{}, nil, nil
			}
		}
		n := min(a.left, len(p))
		// The capacity is cut so that nobody can append over the frames that follow.
		chunk := p[:n:n]
		p = p[n:]
		a.key = mask(chunk, a.key)
		a.left -= n
		a.inFrame = a.left > 0

		if a.op.IsControl() {
			e = a.readControl(chunk, &ev, bufs)
		} else {
			e = a.readData(chunk, &ev, lim, bufs)
		}
		switch {
		case e != 0:
			return Event{}, nil, e
		case ev.Kind != None:
			return ev, p, nil
		case a.inFrame:
			return Event{}, nil, nil
		}
	}
}

// readHeader reads a header, partly from the spill if there is one, and starts its frame. If p ends before the
// header does, p goes to the spill and no frame is started.
func (a *Assembler) readHeader(p []byte, lim *Limits) (rest []byte, e Error) {
	if len(p) == 0 {
		return nil, 0
	}
	state := ws.StateServerSide
	if lim.ClientSide {
		state = ws.StateClientSide
	}
	if lim.Deflate {
		state = state.Set(ws.StateExtended)
	}
	from, spilled := p, int(a.headSize)
	if spilled > 0 {
		from = a.head[:spilled+copy(a.head[spilled:], p)]
	}
	compressed := from[0]>>4&rsv1 != 0
	if a.messageOp != 0 {
		compressed = a.compressed
		if a.frames >= lim.Fragments && ws.OpCode(from[0]&opcodeBits) == ws.OpContinuation {
			return nil, ErrTooManyFragments
		}
		state = state.Set(ws.StateFragmented)
	}
	var h ws.Header
	size, e := parseHeader(&h, from, state, int64(lim.payload(compressed)-len(a.message)))
	if e != 0 {
		return nil, e
	}
	if size == 0 {
		// The longest header fits the spill, so an incomplete one has used up all of p.
		a.headSize = uint8(copy(a.head[:], from))
		return nil, 0
	}
	a.headSize = 0
	switch {
	case h.OpCode == ws.OpContinuation:
		a.frames++
	case h.OpCode.IsData():
		a.messageOp, a.compressed, a.frames = h.OpCode, compressed, 1
	}
	a.inFrame, a.fin, a.op = true, h.Fin, h.OpCode
	a.left, a.key = int(h.Length), maskKey(h.Mask)
	return p[size-spilled:], 0
}

// readControl takes the next part of a control frame's payload and sets ev when the frame is complete.
func (a *Assembler) readControl(chunk []byte, ev *Event, bufs Buffers) Error {
	payload := chunk
	if a.inFrame || len(a.control) > 0 {
		a.control = a.keep(a.control, chunk, maxControl, bufs)
		payload = a.control[:len(a.control):len(a.control)]
	}
	if a.inFrame {
		return 0
	}
	switch a.op {
	case ws.OpPing:
		ev.Kind = Ping
	case ws.OpPong:
		ev.Kind = Pong
	default:
		var e Error
		if ev.CloseCode, ev.CloseReason, e = parseClose(payload); e != 0 {
			return e
		}
		ev.Kind = Close
	}
	ev.Payload = payload
	if len(a.control) > 0 {
		a.lent = lentControl
	}
	return 0
}

// readData takes the next part of a data frame's payload and sets ev when that completes a message.
func (a *Assembler) readData(chunk []byte, ev *Event, lim *Limits, bufs Buffers) Error {
	last := a.fin && !a.inFrame
	text := a.messageOp == ws.OpText && !a.compressed
	payload := chunk
	if last && len(a.message) == 0 {
		if text && !utf8.Valid(chunk) {
			return ErrInvalidUTF8
		}
	} else {
		a.message = a.keep(a.message, chunk, lim.payload(a.compressed), bufs)
		payload = a.message[:len(a.message):len(a.message)]
		if text {
			unchecked := int(a.textTail) + len(chunk)
			tail, ok := textPrefix(payload[len(payload)-unchecked:])
			if !ok || last && tail > 0 {
				return ErrInvalidUTF8
			}
			a.textTail = uint8(tail)
		}
	}
	if !last {
		return 0
	}
	ev.Kind, ev.Op, ev.Compressed, ev.Payload = Message, a.messageOp, a.compressed, payload
	a.messageOp, a.textTail = 0, 0
	if len(a.message) > 0 {
		a.lent = lentMessage
	}
	return 0
}

// keep appends chunk to buf, which it grows by doubling, but not beyond what can still come: the end of the
// current frame if that is the last one, else most.
func (a *Assembler) keep(buf, chunk []byte, most int, bufs Buffers) []byte {
	need := len(buf) + len(chunk)
	if need > cap(buf) {
		if a.fin {
			most = need + a.left
		}
		size := max(need, min(max(2*cap(buf), firstBuffer), most))
		if buf == nil {
			buf = bufs.Get(size)[:0]
		} else {
			buf = bufs.Grow(buf, size-len(buf))
		}
	}
	return append(buf, chunk...)
}

// takeBack ends the loan of the last event's payload.
func (a *Assembler) takeBack(bufs Buffers) {
	switch a.lent {
	case lentMessage:
		bufs.Put(a.message)
		a.message = nil
	case lentControl:
		bufs.Put(a.control)
		a.control = nil
	}
	a.lent = lentNone
}
