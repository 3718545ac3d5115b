package fanout

// The bytes of a publication on a bus. Nodes write a compact envelope; a backend that has nothing but a client of the
// bus writes JSON.
//
//	0x01 kind flags [time] [sender] [node] [from] data    what a node writes
//	0x02 epoch ':' offset ':' envelope                    the same with its place in the stream, in digits, so that a
//	                                                      script inside a broker can put it in front
//	0x04 count offset... envelope                         the same published again, and the offsets that it had before
//	{"roomId": "...", "content": <JSON>}                  what a backend writes
//	0x03 (length envelope)...                             a pack: several of what a node writes, in their order; see
//	                                                      pack.go
//
// Numbers are unsigned varints, strings a varint of their length and their bytes. Which of the parts in brackets are
// there is told by flags. The room is not among them: it is where the envelope was found.

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

const (
	envelopeV1         = 0x01
	envelopePositioned = 0x02
	envelopePack       = 0x03
	envelopeRestored   = 0x04
	envelopePlain      = '{'
)

// The parts that an envelope may have.
const (
	hasTime = 1 << iota
	hasSender
	hasNode
	hasFrom
	knownParts = 1<<iota - 1
)

// maxEpoch bounds the text of an epoch in an envelope.
const maxEpoch = 64

// ErrEnvelope is what every error of [DecodeEnvelope] wraps.
var ErrEnvelope = errors.New("not an envelope of a publication")

// AppendEnvelope appends the envelope of p to dst. The room and the Position are not in it.
func AppendEnvelope(dst []byte, p *Publication) []byte {
	at := len(dst)
	dst = append(dst, envelopeV1, byte(p.Kind), 0)
	flags := byte(0)
	if p.Time > 0 {
		flags |= hasTime
		dst = binary.AppendUvarint(dst, uint64(p.Time))
	}
	if p.Sender != 0 {
		flags |= hasSender
		dst = binary.AppendUvarint(dst, p.Sender)
	}
	if p.Node != "" {
		flags |= hasNode
		dst = appendText(dst, p.Node)
	}
	if p.From != "" {
		flags |= hasFrom
		dst = appendText(dst, p.From)
	}
	dst[at+2] = flags
	return append(dst, p.Data...)
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// AppendPositioned appends to dst what stands in front of an envelope that has a place in its room's stream. The epoch
// must not be empty, longer than 64 bytes or hold a colon.
func AppendPositioned(dst []byte, pos Position) []byte {
	dst = append(append(dst, envelopePositioned), pos.Epoch...)
	return append(strconv.AppendUint(append(dst, ':'), pos.Offset, 10), ':')
}

// MaxWas is how many offsets an envelope may say that its publication had.
const MaxWas = 8

// AppendRestored appends to dst what stands in front of the envelope of a publication that a broker had lost: the offsets
// that it had, up to MaxWas of them.
func AppendRestored(dst []byte, was []uint64) []byte {
	dst = binary.AppendUvarint(append(dst, envelopeRestored), uint64(len(was)))
	for _, offset := range was {
		dst = binary.AppendUvarint(dst, offset)
	}
	return dst
}

// DecodeEnvelope reads what was found in room into p, whose Data then points into b. From an envelope that a backend
// wrote it takes the content; its roomId has to be room. A name that p had before and that comes again is used again,
// so that one p for many envelopes saves memory. The error wraps [ErrEnvelope] and does not repeat the input.
func DecodeEnvelope(room string, b []byte, p *Publication) error {
	node, from := p.Node, p.From
	*p = Publication{Room: room}
	if len(b) > 0 && b[0] == envelopePositioned {
		rest, err := decodePosition(b[1:], &p.Position)
		if err != nil {
			return err
		}
		b = rest
	}
	if len(b) > 0 && b[0] == envelopeRestored {
		r := envelopeReader{b: b[1:]}
		for n := min(r.number(), MaxWas+1); n > 0 && !r.bad; n-- {
			p.Was = append(p.Was, r.number())
		}
		if b = r.b; r.bad || len(p.Was) == 0 || len(p.Was) > MaxWas {
			return fmt.Errorf("%w: the places that it had are damaged", ErrEnvelope)
		}
	}
	switch {
	case len(b) == 0:
		return fmt.Errorf("%w: it is empty", ErrEnvelope)
	case b[0] == envelopeV1:
		return decodeV1(b[1:], p, node, from)
	case b[0] == envelopePlain:
		return decodePlain(b, p)
	case b[0] == envelopePack:
		return fmt.Errorf("%w: it is a pack of several", ErrEnvelope)
	}
	return fmt.Errorf("%w: version %d is unknown", ErrEnvelope, b[0])
}

func decodePosition(b []byte, pos *Position) (rest []byte, err error) {
	epoch, b, found := bytes.Cut(b, []byte{':'})
	digits, rest, complete := bytes.Cut(b, []byte{':'})
	if !found || !complete || len(epoch) == 0 || len(epoch) > maxEpoch || len(digits) > 20 {
		return nil, fmt.Errorf("%w: its position is damaged", ErrEnvelope)
	}
	offset, err := strconv.ParseUint(string(digits), 10, 64)
	if err != nil || offset == 0 {
		return nil, fmt.Errorf("%w: its offset is not a positive number", ErrEnvelope)
	}
	*pos = Position{Epoch: string(epoch), Offset: offset}
	return rest, nil
}

// decodeV1 uses node and from again if those are the names that it reads.
func decodeV1(b []byte, p *Publication, node, from string) error {
	if len(b) < 2 || Kind(b[0]) > Missed || b[1]&^knownParts != 0 {
		return fmt.Errorf("%w: its head is damaged", ErrEnvelope)
	}
	p.Kind = Kind(b[0])
	r := envelopeReader{b: b[2:]}
	flags := b[1]
	if flags&hasTime != 0 {
		p.Time = int64(r.number() & (1<<63 - 1))
	}
	if flags&hasSender != 0 {
		p.Sender = r.number()
	}
	if flags&hasNode != 0 {
		p.Node = r.text(node)
	}
	if flags&hasFrom != 0 {
		p.From = r.text(from)
	}
	if r.bad {
		return fmt.Errorf("%w: it ends too early", ErrEnvelope)
	}
	p.Data = r.b
	return checkText(p)
}

// checkText refuses what must be UTF-8 and is not: a client would have to close its connection over it.
func checkText(p *Publication) error {
	if p.Kind != Binary && !utf8.Valid(p.Data) || !utf8.ValidString(p.From) {
		return fmt.Errorf("%w: its text is not UTF-8", ErrEnvelope)
	}
	return nil
}

// envelopeReader reads parts until one is damaged; from then on everything is empty.
type envelopeReader struct {
	b   []byte
	bad bool
}

func (r *envelopeReader) number() uint64 {
	n, size := binary.Uvarint(r.b)
	if size <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[size:]
	return n
}

// text returns perhaps itself if that is what it reads.
func (r *envelopeReader) text(perhaps string) string {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return ""
	}
	b := r.b[:n]
	r.b = r.b[n:]
	if string(b) == perhaps {
		return perhaps
	}
	return string(b)
}

// decodePlain reads a backend's envelope. Members it does not know are refused rather than ignored: whoever writes
// "room" for "roomId" should not wonder where the publication went.
func decodePlain(b []byte, p *Publication) error {
	var plain struct {
		RoomID  *string         `json:"roomId"`
		Content json.RawMessage `json:"content"`
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	switch err := d.Decode(&plain); {
	case err != nil:
		return fmt.Errorf("%w: it is not JSON of the form {\"roomId\", \"content\"}", ErrEnvelope)
	case d.More():
		return fmt.Errorf("%w: something follows the JSON", ErrEnvelope)
	case plain.RoomID == nil || *plain.RoomID != p.Room:
		return fmt.Errorf("%w: its roomId is not the room it was published in", ErrEnvelope)
	case len(plain.Content) == 0:
		return fmt.Errorf("%w: it has no content", ErrEnvelope)
	}
	p.Kind, p.Data = JSON, plain.Content
	return checkText(p)
}
