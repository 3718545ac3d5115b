package deflate

// Messages out: payload to compressed payload (RFC 7692 section 7.2.1).

import (
	"errors"

	"github.com/klauspost/compress/flate"
)

// level was chosen by 512 B, 4 KiB and 64 KiB of JSON, compressed once for all members of a room: levels 3 to 5 save up
// to two fifths of the time and send up to 13 % more to each of them, 1 and 2 don't compress 256 B at all, and those
// above 6 clear their tables for every message.
const level = 6

// Deflater compresses messages, one after the other.
//
// It is for one goroutine at a time. Its first message allocates about 1.05 MiB of tables, which it keeps; nothing
// else is allocated as long as dst has room.
type Deflater struct {
	threshold int
	writer    *flate.Writer
	out       output
}

// NewDeflater returns a Deflater that leaves alone what is shorter than threshold bytes.
func NewDeflater(threshold int) *Deflater { return &Deflater{threshold: threshold} }

// Deflate appends the compressed form of src, with an empty window at its begin and without the tail that RFC 7692
// section 7.2.1 cuts off. It is false, and dst as it was, if src is shorter than the threshold or its compressed form
// is not smaller than src, which is then best sent as it is. src is neither changed nor kept and must not overlap dst;
// dst grows to len(src) bytes more at most.
func (d *Deflater) Deflate(dst, src []byte) ([]byte, bool) {
	if len(src) < d.threshold || len(src) == 0 {
		return dst, false
	}
	start := len(dst)
	d.out = output{dst: dst, most: start + len(src) - 1 + len(tail)}
	err := d.deflate(src)
	out := d.out.dst
	d.out = output{}
	if err != nil {
		return out[:start], false
	}
	return out[:len(out)-len(tail)], true
}

// deflate has the writer write src and a flush, which ends with tail.
func (d *Deflater) deflate(src []byte) (err error) {
	if d.writer == nil {
		if d.writer, err = flate.NewWriter(&d.out, level); err != nil {
			return err
		}
	} else {
		d.writer.Reset(&d.out)
	}
	if _, err = d.writer.Write(src); err != nil {
		return err
	}
	return d.writer.Flush()
}

var errNotSmaller = errors.New("deflate: not smaller")

// output is what the writer writes to: dst, with an end to its patience.
type output struct {
	dst  []byte
	most int
}

func (o *output) Write(p []byte) (int, error) {
	if len(p) > o.most-len(o.dst) {
		return 0, errNotSmaller
	}
	o.dst = append(o.dst, p...)
	return len(p), nil
}
