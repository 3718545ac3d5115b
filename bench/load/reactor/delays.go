package reactor

// Histograms of delays.

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/roost-ws/roost/bench"
)

// The range of a histogram, in nanoseconds, and its precision: three digits.
const (
	delayUnit   = 100
	longest     = int64(10 * time.Minute)
	delayDigits = 3
)

// Delays is a histogram of delays. It belongs to one goroutine. In JSON it is the text form that the HdrHistogram
// tools of all languages read.
type Delays struct{ h *hdrhistogram.Histogram }

// NewDelays is an empty histogram; it takes about 190 KiB.
func NewDelays() *Delays {
	return &Delays{hdrhistogram.New(delayUnit, longest, delayDigits)}
}

// record counts one delay in nanoseconds. One below zero, which two readings of the clock can give, is zero; one
// above ten minutes is that.
func (d *Delays) record(ns int64) {
	_ = d.h.RecordValue(min(max(ns, 0), longest)) // in range by now
}

// Add adds all delays of other.
func (d *Delays) Add(other *Delays) { d.h.Merge(other.h) }

// Record counts one delay.
func (d *Delays) Record(delay time.Duration) { d.record(int64(delay)) }

// Summary is the histogram in a few figures.
func (d *Delays) Summary() bench.Latency {
	if d == nil || d.h.TotalCount() == 0 {
		return bench.Latency{}
	}
	at := func(percent float64) time.Duration { return time.Duration(d.h.ValueAtPercentile(percent)) }
	return bench.Latency{Count: d.h.TotalCount(), Mean: time.Duration(d.h.Mean()),
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: time.Duration(d.h.Max())}
}

// MarshalJSON writes the histogram as a string.
func (d *Delays) MarshalJSON() ([]byte, error) {
	text, err := d.h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, fmt.Errorf("encode a histogram: %w", err)
	}
	return json.Marshal(string(text))
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (d *Delays) UnmarshalJSON(text []byte) error {
	var encoded string
	if err := json.Unmarshal(text, &encoded); err != nil {
		return fmt.Errorf("decode a histogram: %w", err)
	}
	h, err := hdrhistogram.Decode([]byte(encoded))
	if err != nil {
		return fmt.Errorf("decode a histogram: %w", err)
	}
	d.h = h
	return nil
}
