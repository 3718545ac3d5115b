package frame

// Fuzz targets for headers and streams, each against a slow reference and against itself at other splits.

import (
	"bytes"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// FuzzParseHeader compares with ws.ReadHeader and ws.CheckHeader, and feeds each prefix of the input: once there
// is a verdict, more bytes must not change it.
func FuzzParseHeader(f *testing.F) {
	for _, cases := range [][]rfcCase{headerCases(), opcodeCases()} {
		for _, c := range cases {
			stream, _ := c.stream(true)
			f.Add(stream[:min(len(stream), 20)], uint8(1), uint32(1<<16))
		}
	}
	f.Add([]byte{0xc1, 0x80, 0, 0, 0, 0}, uint8(5), uint32(100))
	f.Add([]byte{0x00, 0x7e, 1, 0}, uint8(2|8), uint32(10))
	f.Fuzz(func(t *testing.T, p []byte, state uint8, most uint32) {
		s := ws.State(state & 0x0f)
		var h ws.Header
		var size int
		var err error
		for n := range len(p) + 1 {
			h2, size2, err2 := ParseHeader(p[:n:n], s, int64(most))
			if decided := size > 0 || err != nil; decided && (h2 != h || size2 != size || err2 != err) {
				t.Fatalf("%x: verdict %+v, %d, %v became %+v, %d, %v at byte %d", p, h, size, err, h2, size2, err2, n)
			}
			if size2 > n || (size2 == 0 || err2 != nil) && h2 != (ws.Header{}) || err2 != nil && size2 != 0 {
				t.Fatalf("%x: %+v, %d, %v", p[:n], h2, size2, err2)
			}
			h, size, err = h2, size2, err2
		}
		want, wantSize, wantErr := slowHeader(p, s, int64(most))
		switch {
		case wantErr == io.ErrUnexpectedEOF: // we may know better before the header is whole
			if size != 0 {
				t.Fatalf("%x: size %d of an incomplete header", p, size)
			}
		case (err != nil) != (wantErr != nil):
			t.Fatalf("%x: error %v, reference %v", p, err, wantErr)
		case err == nil && (h != want || size != wantSize):
			t.Fatalf("%x: %+v, %d, reference %+v, %d", p, h, size, want, wantSize)
		}
	})
}

// slowHeader reads a header by means of gobwas/ws, and adds the rules which that does not know.
func slowHeader(p []byte, s ws.State, most int64) (h ws.Header, size int, err error) {
	r := bytes.NewReader(p)
	h, err = ws.ReadHeader(r)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return h, 0, err
	}
	size = len(p) - r.Len()
	if err = ws.CheckHeader(h, s); err != nil {
		return h, 0, err
	}
	switch {
	case h.Rsv != 0 && (h.Rsv != rsv1 || h.OpCode.IsControl() || h.OpCode == ws.OpContinuation):
		return h, 0, ErrReservedBits
	case size != ws.HeaderSize(h):
		return h, 0, ErrNonMinimalLength
	case !h.OpCode.IsControl() && h.Length > most:
		return h, 0, ErrTooBig
	}
	return h, size, nil
}

// FuzzAssembler reads a stream whole, byte by byte and at random splits, which all have to give the same, and
// compares it with slowRead.
func FuzzAssembler(f *testing.F) {
	for _, cases := range [][]rfcCase{pingCases(), reservedBitCases(), fragmentationCases(), utf8Cases(), closeCases(),
		limitCases(), compressedCases(), headerCases()} {
		for _, c := range cases {
			if stream, _ := c.stream(true); len(stream) < 2000 {
				f.Add(stream, uint16(500), c.lim.Deflate, false, false)
			}
			if stream, _ := c.stream(false); len(stream) < 2000 {
				f.Add(stream, uint16(500), c.lim.Deflate, true, false)
			}
		}
	}
	f.Add([]byte("\x01\x05\x09\x02\x00\x03\x80\x04\x88\x02"), uint16(1000), false, false, true)
	f.Fuzz(func(t *testing.T, data []byte, most uint16, deflate, clientSide, program bool) {
		lim := &Limits{MessageBytes: int(most), Fragments: 8, Deflate: deflate, ClientSide: clientSide}
		if program {
			data = runProgram(data, !clientSide)
		}
		all := feed(t, data, lim, whole)
		rng := rand.New(rand.NewPCG(uint64(most), uint64(len(data))))
		for name, cut := range map[string]func(int) int{"bytewise": bytewise,
			"short": func(int) int { return 1 + rng.IntN(16) }, "long": func(left int) int { return 1 + rng.IntN(left) }} {
			got := feed(t, data, lim, cut)
			if !slices.Equal(got.events, all.events) || got.err != all.err || got.err == nil && got.idle != all.idle {
				t.Fatalf("%s: %v, %v, idle %v; whole: %v, %v, idle %v", name, got.events, got.err, got.idle, all.events, all.err, all.idle)
			}
			if limit := lim.payload(lim.Deflate) + maxControl; got.peak > limit {
				t.Fatalf("%s: held %d bytes, more than %d", name, got.peak, limit)
			}
		}
		events, err := slowRead(data, lim)
		switch {
		case all.err == nil && err != nil && err != io.ErrUnexpectedEOF:
			t.Fatalf("no error, reference %v", err)
		case all.err == nil && !slices.Equal(all.events, events):
			t.Fatalf("events %v, reference %v", all.events, events)
		case all.err != nil && err == nil:
			t.Fatalf("error %v, reference has none", all.err)
		case all.err != nil && (len(all.events) > len(events) || !slices.Equal(all.events, events[:len(all.events)])):
			t.Fatalf("events %v before %v, reference %v", all.events, all.err, events)
		}
	})
}

// runProgram makes a stream of frames from data, two bytes a frame, so that fuzzing need not find out about
// lengths and masks: first byte as in a frame; the second is the payload's length, which follows in data.
func runProgram(data []byte, masked bool) (stream []byte) {
	for len(data) >= 2 {
		first, n := data[0], min(int(data[1]), len(data)-2)
		w := wire{fin: first&finBit != 0, rsv: first >> 4 & 7, op: ws.OpCode(first & opcodeBits), payload: string(data[2 : 2+n])}
		stream = w.append(stream, masked)
		data = data[2+n:]
	}
	return stream
}

// slowRead is the reference: all bytes at hand, gobwas/ws for headers, text judged at a message's end. It returns
// io.ErrUnexpectedEOF when the stream ends inside a message; it may name other faults than the Assembler and tell
// them later.
func slowRead(p []byte, lim *Limits) (events []seen, err error) {
	side := ws.StateServerSide
	if lim.ClientSide {
		side = ws.StateClientSide
	}
	if lim.Deflate {
		side |= ws.StateExtended
	}
	var message []byte
	var op ws.OpCode
	var compressed bool
	frames := 0
	for len(p) > 0 {
		s := side
		if frames > 0 {
			s |= ws.StateFragmented
		}
		most := lim.MessageBytes
		if frames > 0 && compressed || frames == 0 && p[0]&0x40 != 0 {
			most += most/8 + 16
		}
		h, size, err := slowHeader(p, s, int64(most-len(message)))
		if err != nil {
			return events, err
		}
		p = p[size:]
		if int64(len(p)) < h.Length {
			return events, io.ErrUnexpectedEOF
		}
		payload := bytes.Clone(p[:h.Length])
		maskSlowly(payload, h.Mask, 0)
		p = p[h.Length:]
		if h.OpCode.IsControl() {
			ev, err := slowControl(h.OpCode, payload)
			if err != nil {
				return events, err
			}
			events = append(events, ev)
			continue
		}
		if frames++; frames == 1 {
			op, compressed = h.OpCode, h.Rsv != 0
		} else if frames > lim.Fragments {
			return events, ErrTooManyFragments
		}
		message = append(message, payload...)
		if !h.Fin {
			continue
		}
		if op == ws.OpText && !compressed && !utf8.Valid(message) {
			return events, ErrInvalidUTF8
		}
		events = append(events, seen{kind: Message, op: op, compressed: compressed, payload: string(message)})
		message, frames = nil, 0
	}
	if frames > 0 {
		err = io.ErrUnexpectedEOF
	}
	return events, err
}

// slowControl is the reference for control frames.
func slowControl(op ws.OpCode, payload []byte) (seen, error) {
	switch {
	case op == ws.OpPing:
		return seen{kind: Ping, payload: string(payload)}, nil
	case op == ws.OpPong:
		return seen{kind: Pong, payload: string(payload)}, nil
	case len(payload) == 0:
		return seen{kind: Close, code: ws.StatusNoStatusRcvd}, nil
	case len(payload) == 1:
		return seen{}, ErrBadClose
	}
	code, reason := ws.ParseCloseFrameData(payload)
	if code >= 5000 { // section 7.4.2 ends there; the library lets them pass
		return seen{}, ErrBadClose
	}
	err := ws.CheckCloseFrameData(code, reason)
	if 1012 <= code && code <= 1014 { // registered since
		err = ws.CheckCloseFrameData(1000, reason)
	}
	return seen{kind: Close, code: code, reason: reason, payload: string(payload)}, err
}
