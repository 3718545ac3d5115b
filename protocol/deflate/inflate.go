package deflate

// Messages in: compressed payload to what was compressed (RFC 7692 section 7.2.2).

import (
	"bytes"
	"io"
	"slices"

	"github.com/klauspost/compress/flate"
)

const (
	// tail ends the empty stored block whose first byte is the last of every message; the sender cut it off.
	tail = "\x00\x00\xff\xff"
	// lastBlock is an empty block with BFINAL, so that the reader comes to an end of its own.
	lastBlock = "\x01\x00\x00\xff\xff"
	trailer   = tail + lastBlock

	// primer is a block of no bytes whose code tables have one code each, and an empty stored block to end at the
	// border of a byte. It goes before every message because the library keeps its tables from one stream to the next
	// (klauspost/compress v1.19.2 and v1.20.3) and does not clear them for a block that has no code in one of them: a
	// broken message that uses such a table would be read with what the message before it, another connection's, left
	// there. The distance code of primer, 24577 bytes and more, is one that a broken message can hardly use.
	primer = "\x04\xdd\x81\x00\x00\x00\x00\x00\x90\xff\x6b\x25\x00" + tail

	// firstRoom is the least room that is made for inflated bytes.
	firstRoom = 512
	// slack is how much more than what came out of it a message may be. Blocks that hold nothing but code tables cost
	// the library some hundred times what data of their size does, and no compressor writes them: literals take at
	// most nine bits for eight, and one window of output, 32 KiB, may be on its way.
	slack = 40 << 10
	// pauseEvery is after how many bytes of input InflateSlowly pauses: some 0.1 ms where they are code tables alone.
	pauseEvery = 256
	// keptInput bounds the memory that a large message leaves behind.
	keptInput = 128 << 10
)

// Inflater inflates messages, one after the other. The zero value is ready.
//
// It is for one goroutine at a time. Its first message allocates about 40 KiB (the LZ77 window and the code tables),
// and the memory of compressed bytes, up to 128 KiB, is kept too; nothing else is allocated as long as dst has room.
type Inflater struct {
	reader io.Reader // of input; the one from package flate, which is also a flate.Resetter
	input  bytes.Reader
	bytes  []byte // primer, the message and trailer, for input
	ahead  int    // how much of bytes input has not been given yet
	paused pausingInput
	probe  [1]byte
}

// pausingInput reads input and pauses.
type pausingInput struct {
	input *bytes.Reader
	read  int         // bytes since the last pause
	pause func() bool // nil once it was false
}

func (p *pausingInput) ReadByte() (byte, error) {
	if !p.goesOn(1) {
		return 0, io.ErrUnexpectedEOF
	}
	return p.input.ReadByte()
}

func (p *pausingInput) Read(b []byte) (int, error) {
	if !p.goesOn(len(b)) {
		return 0, io.ErrUnexpectedEOF
	}
	return p.input.Read(b)
}

func (p *pausingInput) goesOn(n int) bool {
	if p.read += n; p.read < pauseEvery || p.pause == nil {
		return p.pause != nil
	}
	p.read = 0
	if !p.pause() {
		p.pause = nil
	}
	return p.pause != nil
}

// Inflate appends what the payload of a compressed message, all of its frames, stands for. It neither changes nor
// keeps src, and dst must not overlap it. dst grows with what comes out, by doubling, never by what src claims.
//
// It is [ErrTooLarge] as soon as more than most bytes come out, of which the rest is not looked at, and [ErrCorrupt]
// if src is no message of RFC 7692. On an error dst is returned as long as it was, perhaps in new memory.
//
// Blocks with BFINAL, which some senders end a message with, may be anywhere; what comes behind one begins with an
// empty window. A payload of no bytes is an empty message. One that is
// far longer than what it stands for is ErrCorrupt: it would cost time out of proportion.
func (f *Inflater) Inflate(dst, src []byte, most int) ([]byte, error) {
	return f.message(dst, src, most, &f.input)
}

// InflateSlowly is Inflate for a message that may cost much: some 0.4 ms for each KiB of src, were it made for that. It
// calls pause again and again between short pieces of work. If that is false it gives up, and the message is ErrCorrupt.
func (f *Inflater) InflateSlowly(dst, src []byte, most int, pause func() bool) ([]byte, error) {
	f.paused = pausingInput{input: &f.input, pause: pause}
	dst, err := f.message(dst, src, most, &f.paused)
	f.paused.pause = nil
	return dst, err
}

// message inflates one message, which the library reads from input.
func (f *Inflater) message(dst, src []byte, most int, input flate.Reader) ([]byte, error) {
	if len(src) == 0 {
		return dst, nil
	}
	f.bytes = append(append(append(f.bytes[:0], primer...), src...), trailer...)
	f.ahead = len(f.bytes)
	f.input.Reset(nil)
	f.feed(0)
	dst, e := f.inflate(dst, most, input)
	f.input.Reset(nil)
	if cap(f.bytes) > keptInput {
		f.bytes = nil
	}
	if e != 0 {
		return dst, e
	}
	return dst, nil
}

// inflate reads one DEFLATE stream after the other until the message is used up: more than one only if a block has
// BFINAL. Where the last one ends says whether the message was whole.
func (f *Inflater) inflate(dst []byte, most int, input flate.Reader) ([]byte, Error) {
	start := len(dst)
	for f.left() > len(trailer) {
		if f.reader == nil {
			f.reader = flate.NewReader(input)
		} else if f.reader.(flate.Resetter).Reset(input, nil) != nil {
			return dst[:start], ErrCorrupt
		}
		var e Error
		if dst, e = f.stream(dst, start, most); e != 0 {
			return dst[:start], e
		}
	}
	// Nothing is left behind lastBlock, or all of trailer behind a block with BFINAL that ends the message.
	if left := f.left(); left != 0 && left != len(trailer) {
		return dst[:start], ErrCorrupt
	}
	return dst, 0
}

// stream appends what comes out of one DEFLATE stream. start is where the message begins in dst.
func (f *Inflater) stream(dst []byte, start, most int) ([]byte, Error) {
	for {
		got := len(dst) - start
		room := f.probe[:]
		if got < most {
			if len(dst) == cap(dst) {
				dst = slices.Grow(dst, min(max(got, firstRoom), most-got))
			}
			room = dst[len(dst):min(cap(dst), start+most)]
		}
		f.feed(got)
		n, err := f.reader.Read(room)
		switch {
		case n > 0 && got >= most:
			return dst, ErrTooLarge
		case n > 0 && f.left() < len(lastBlock):
			// The reader hands out all it has when it meets the end of an empty stored block, which is where tail
			// ends. What comes later was made of lastBlock: the message ends inside of a block.
			return dst, ErrCorrupt
		}
		dst = dst[:len(dst)+n]
		switch err {
		case nil:
		case io.EOF:
			return dst, 0
		default:
			return dst, ErrCorrupt
		}
	}
}

// left is how much of the message and its trailer has not been read.
func (f *Inflater) left() int { return f.input.Len() + f.ahead }

// feed gives the reader as much input as is in proportion to the output that it has made so far. The reader holds on to
// input itself, so more can be put into it under its hands.
func (f *Inflater) feed(made int) {
	given, allowed := len(f.bytes)-f.ahead, min(len(f.bytes), len(primer)+made+made/8+slack)
	if allowed > given {
		f.input.Reset(f.bytes[given-f.input.Len() : allowed])
		f.ahead = len(f.bytes) - allowed
	}
}
