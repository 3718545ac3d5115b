// The report as JSON, which is what later runs are compared with.

package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/roost-ws/roost/bench"
)

// MaxBytes is the longest JSON that [ReadJSON] takes. A report of six servers and a hundred figures is a tenth of a
// megabyte.
const MaxBytes = 16 << 20

// WriteJSON writes r, indented. It takes any report, even one that the other functions refuse, so that what was
// measured is never lost; a value that is no number becomes 0 with the mark "not a number".
func WriteJSON(w io.Writer, r *bench.Report) error {
	out, err := json.MarshalIndent(readable(r), "", "  ")
	if err != nil {
		return fmt.Errorf("encode report: %w", err)
	}
	if _, err := w.Write(append(out, '\n')); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}

// ReadJSON reads what [WriteJSON] wrote, up to the end of r. An error names the field that is wrong, and fields that
// this version does not know are wrong too: what they mean might change what the others do.
func ReadJSON(r io.Reader) (*bench.Report, error) {
	text, err := io.ReadAll(io.LimitReader(r, MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	if len(text) > MaxBytes {
		return nil, fmt.Errorf("read report: it is longer than %d bytes", MaxBytes)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	var report bench.Report
	if err := decoder.Decode(&report); err != nil {
		return nil, fmt.Errorf("read report: %w", named(err))
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read report: there is more after its end, at byte %d", decoder.InputOffset())
	}
	if err := check(&report); err != nil {
		return nil, fmt.Errorf("read report: %w", err)
	}
	return &report, nil
}

// named puts the field before an error of decoding that does not begin with it.
func named(err error) error {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		return fmt.Errorf("%s: a JSON %s where a %s belongs, at byte %d", kind.Field, kind.Value, kind.Type, kind.Offset)
	}
	var clock *time.ParseError
	if errors.As(err, &clock) {
		return fmt.Errorf("started: %w", err) // the one time of a report
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		return fmt.Errorf("not JSON at byte %d: %w", syntax.Offset, err)
	}
	return err
}
