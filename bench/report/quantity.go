// Numbers with units as people write them: 531 B, 4.1 KiB, 1.32 M/s, 350 µs.

package report

import (
	"math"
	"strconv"
	"strings"
)

// scale is a unit with its prefix, and how many of the plain unit it stands for. The page's script chooses among the
// same ones.
type scale struct {
	Factor float64 `json:"factor"`
	Unit   string  `json:"unit"`
}

// seconds is how long each unit of time is that a report may use.
var seconds = map[string]float64{"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1}

// scalesOf lists what a number in unit may be written in, the smallest first: bytes in powers of 1024, times in units
// of time, shares and ratios as they are, and everything else in thousands.
func scalesOf(unit string) []scale {
	if own, ok := seconds[unit]; ok {
		return []scale{{1e-9 / own, "ns"}, {1e-6 / own, "µs"}, {1e-3 / own, "ms"}, {1 / own, "s"}}
	}
	if unit == "%" || unit == "×" {
		return []scale{{1, unit}}
	}
	if rest, ok := strings.CutPrefix(unit, "B"); ok && (rest == "" || rest[0] == '/' || rest[0] == ' ') {
		return []scale{{1, unit}, {1 << 10, "KiB" + rest}, {1 << 20, "MiB" + rest}, {1 << 30, "GiB" + rest}, {1 << 40, "TiB" + rest}}
	}
	gap := " "
	if unit == "" || unit[0] == '/' {
		gap = ""
	}
	return []scale{{1, unit}, {1e3, "k" + gap + unit}, {1e6, "M" + gap + unit}, {1e9, "G" + gap + unit}}
}

// scaleFor is the one in which value has one to three digits before its point, as far as there is one.
func scaleFor(value float64, unit string) scale {
	all := scalesOf(unit)
	chosen := all[0]
	if value == 0 {
		if _, timed := seconds[unit]; timed {
			return scale{1, unit} // 0 ms rather than 0 ns
		}
		return chosen
	}
	for _, s := range all[1:] {
		// What rounds to 1000 of one unit is 1 of the next: 999,700 is 1 M and not 1000 k.
		if math.Abs(value) >= s.Factor*(1-0.5e-3) {
			chosen = s
		}
	}
	return chosen
}

// number writes value in s, without the unit.
func (s scale) number(value float64) string { return digits(value / s.Factor) }

// with puts the unit behind a number. A rate without prefix is written together: 531/s, but 1.32 M/s.
func (s scale) with(number string) string {
	if s.Unit == "" || s.Unit[0] == '/' {
		return number + s.Unit
	}
	return number + " " + s.Unit
}

// quantity writes value, which is in unit, with the prefix that suits it.
func quantity(value float64, unit string) string {
	s := scaleFor(value, unit)
	return s.with(s.number(value))
}

// digits writes v with three significant digits, or all of those before the point, and no zeros at the end.
func digits(v float64) string {
	size := math.Abs(v)
	if size == 0 || math.IsInf(v, 0) || math.IsNaN(v) {
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	behind := 2 - int(math.Floor(math.Log10(size)))
	if behind <= 0 {
		return strconv.FormatFloat(v, 'f', 0, 64)
	}
	if behind > 9 {
		return strconv.FormatFloat(v, 'g', 3, 64)
	}
	text := strconv.FormatFloat(v, 'f', behind, 64)
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".")
}

// share writes a part from 0 to 1 in percent.
func share(part float64) string { return strconv.FormatFloat(part*100, 'f', 0, 64) + " %" }
