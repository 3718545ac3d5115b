package enginetest

import (
	"encoding/json"
	"fmt"
	"math/bits"
	"time"
)

// This file is a log-linear histogram of durations: 32 buckets for each power of two, so that every figure
// is at most about 3 % too high, from a nanosecond to centuries, in one fixed array.

const (
	subBits     = 5
	subBuckets  = 1 << subBits
	allBuckets  = (64 - subBits) * subBuckets
	bucketsMask = subBuckets - 1
)

// Histogram counts durations. The zero Histogram is empty; it is not safe for concurrent use.
type Histogram struct {
	counts [allBuckets]uint64
	total  uint64
	sum    time.Duration
	max    time.Duration
}

// Add counts d; a negative d counts as 0.
func (h *Histogram) Add(d time.Duration) {
	d = max(d, 0)
	h.counts[bucketOf(uint64(d))]++
	h.total++
	h.sum += d
	h.max = max(h.max, d)
}

// bucketOf keeps the five bits behind the leading one.
func bucketOf(v uint64) int {
	if v < subBuckets {
		return int(v)
	}
	shift := bits.Len64(v) - 1 - subBits
	return (shift+1)<<subBits | int(v>>shift)&bucketsMask
}

// upperBound is the largest value in a bucket.
func upperBound(bucket int) time.Duration {
	if bucket < subBuckets {
		return time.Duration(bucket)
	}
	shift := bucket>>subBits - 1
	return time.Duration((uint64(bucket&bucketsMask|subBuckets)+1)<<shift - 1)
}

// Merge adds what other counted.
func (h *Histogram) Merge(other *Histogram) {
	for i, n := range other.counts {
		h.counts[i] += n
	}
	h.total += other.total
	h.sum += other.sum
	h.max = max(h.max, other.max)
}

// Count is how many durations were added.
func (h *Histogram) Count() uint64 { return h.total }

// Max is the longest, exactly.
func (h *Histogram) Max() time.Duration { return h.max }

// Mean is the average, exactly; 0 when empty.
func (h *Histogram) Mean() time.Duration {
	if h.total == 0 {
		return 0
	}
	return h.sum / time.Duration(h.total)
}

// Quantile is the duration that the share q (0 to 1) of all did not exceed; 0 when empty.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank := uint64(q * float64(h.total))
	var seen uint64
	for i, n := range h.counts {
		if seen += n; n > 0 && (seen > rank || seen == h.total) {
			return min(upperBound(i), h.max)
		}
	}
	return 0
}

// String names the quantiles that reports speak of.
func (h *Histogram) String() string {
	return fmt.Sprintf("p50 %v p99 %v p99.9 %v max %v", h.Quantile(0.5), h.Quantile(0.99), h.Quantile(0.999), h.max)
}

// histogramJSON lists the buckets that are not empty as pairs of number and count.
type histogramJSON struct {
	Buckets [][2]uint64   `json:"buckets"`
	Sum     time.Duration `json:"sum"`
	Max     time.Duration `json:"max"`
}

// MarshalJSON writes h so that another process can merge it.
func (h *Histogram) MarshalJSON() ([]byte, error) {
	out := histogramJSON{Sum: h.sum, Max: h.max}
	for i, n := range h.counts {
		if n > 0 {
			out.Buckets = append(out.Buckets, [2]uint64{uint64(i), n})
		}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (h *Histogram) UnmarshalJSON(text []byte) error {
	var in histogramJSON
	if err := json.Unmarshal(text, &in); err != nil {
		return err
	}
	*h = Histogram{sum: in.Sum, max: in.Max}
	for _, pair := range in.Buckets {
		if pair[0] < allBuckets {
			h.counts[pair[0]] += pair[1]
			h.total += pair[1]
		}
	}
	return nil
}
