package baseline

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

var (
	// errAnswered ends a connection whose peer said goodbye, or broke a rule in a control frame: it has had its
	// close frame.
	errAnswered = errors.New("closed with an answer")
	errText     = errors.New("text that is not UTF-8")
)

// headroom is what a buffer keeps free in front of a payload, for the header of the frame that will be written.
const headroom = ws.MaxHeaderSize

// reader takes messages from a connection and makes frames of them that can be written. It belongs to the
// connection's reading goroutine.
type reader struct {
	frames  wsutil.Reader
	control wsutil.FrameHandlerFunc
	scratch [ws.MaxHeaderSize]byte
	head    headerWriter
}

// newReader reads from in. answer is called with what a control frame wants as an answer, one whole frame which it
// may keep.
func (s *server) newReader(in io.Reader, answer func(frame []byte)) *reader {
	buffer := bufio.NewReaderSize(in, s.ReadBuffer)
	r := &reader{frames: wsutil.Reader{
		Source:         buffer,
		State:          ws.StateServerSide,
		MaxMessageSize: int64(s.MessageBytes),
	}}
	r.control = func(h ws.Header, payload io.Reader) error {
		var frame bytes.Buffer // some answers are written in two pieces
		err := wsutil.ControlHandler{
			Src:                 payload,
			DisableSrcCiphering: true, // the payload comes unmasked
			Dst:                 &frame,
			State:               ws.StateServerSide,
		}.Handle(h)
		if frame.Len() > 0 {
			answer(frame.Bytes())
		}
		if err != nil {
			return errAnswered
		}
		return nil
	}
	r.frames.OnIntermediate = r.control // between the fragments of a message
	return r
}

// wait blocks until a message begins. Meanwhile no buffer is held but the one that is read through.
func (r *reader) wait() (ws.Header, error) {
	for {
		h, err := r.frames.NextFrame()
		if err != nil || !h.OpCode.IsControl() {
			return h, err
		}
		if err := r.control(h, &r.frames); err != nil {
			return h, err
		}
	}
}

// read reads the message that began with h into space, which it lets grow, and returns the frame to write, which
// is a part of it.
func (r *reader) read(h ws.Header, space []byte) (frame, grown []byte, err error) {
	n := int(h.Length) // at most MessageBytes
	grown = slices.Grow(space[:0], headroom+n)[:headroom]
	if h.Fin {
		grown = grown[:headroom+n]
		_, err = io.ReadFull(&r.frames, grown[headroom:])
	} else {
		whole := bytes.NewBuffer(grown)
		_, err = whole.ReadFrom(&r.frames)
		grown = whole.Bytes()
	}
	if err == nil && h.OpCode == ws.OpText && !utf8.Valid(grown[headroom:]) {
		err = errText
	}
	if err != nil {
		return nil, grown, err
	}
	return r.seal(grown, h.OpCode), grown, nil
}

// seal writes a header in front of the payload, into the room that was left for it.
func (r *reader) seal(space []byte, op ws.OpCode) []byte {
	h := ws.Header{Fin: true, OpCode: op, Length: int64(len(space) - headroom)}
	frame := space[headroom-ws.HeaderSize(h):]
	r.head.to = frame
	_ = ws.WriteHeaderBuffer(&r.head, h, r.scratch[:]) // fails only for a negative length
	r.head.to = nil
	return frame
}

// headerWriter writes over the beginning of what it is given.
type headerWriter struct{ to []byte }

func (w *headerWriter) Write(b []byte) (int, error) { return copy(w.to, b), nil }

// farewell is the close frame for an error that reading ended with; nil if the peer has had one or is gone.
func farewell(err error) []byte {
	var violation ws.ProtocolError
	switch {
	case errors.Is(err, errText):
		return ws.CompiledCloseInvalidFramePayloadData
	case errors.Is(err, wsutil.ErrMessageTooLarge):
		return ws.CompiledCloseMessageTooBig
	case errors.As(err, &violation):
		return ws.CompiledCloseProtocolError
	}
	return nil
}

// spaces are the buffers of echoes. One is held from the beginning of a message until it is written.
var spaces = sync.Pool{New: func() any { return new([]byte) }}
