// Numbers as people read them.

package sysctl

import (
	"fmt"
	"strconv"
)

// count is a number with commas: 262,144.
func count(v uint64) string {
	if v >= noLimit {
		return "unlimited"
	}
	digits := strconv.FormatUint(v, 10)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// size is a number of bytes in the decimal unit that leaves it short: 4.1 GB.
func size(bytes float64) string {
	for _, unit := range []struct {
		bytes float64
		name  string
	}{{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}} {
		if bytes >= unit.bytes {
			return fmt.Sprintf("%.3g %s", bytes/unit.bytes, unit.name)
		}
	}
	return fmt.Sprintf("%.0f B", bytes)
}

// share is a part of a whole in percent; 0 of nothing.
func share(part, whole uint64) float64 {
	if whole == 0 {
		return 0
	}
	return 100 * float64(part) / float64(whole)
}

func clamp(v, low, high uint64) uint64 { return min(max(v, low), high) }
