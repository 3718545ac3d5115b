// The value types of the configuration that Go has no word for: sizes, secrets, addresses that may hold one.

package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes, written as 65536, 64KiB or "64 KiB".
type Size int64

var sizeUnits = []struct {
	name  string
	shift uint
}{{"TiB", 40}, {"GiB", 30}, {"MiB", 20}, {"KiB", 10}, {"B", 0}}

// String writes s in the largest unit that holds it exactly; [ParseSize] reads it back.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && u.shift > 0 && int64(s)%(1<<u.shift) == 0 {
			return strconv.FormatInt(int64(s)>>u.shift, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(s), 10)
}

// ParseSize reads a whole number of bytes with an optional unit B, KiB, MiB, GiB or TiB, in any case. Units of
// 1000 (KB) are refused rather than guessed at.
func ParseSize(text string) (Size, error) {
	digits := strings.TrimSpace(text)
	end := strings.IndexFunc(digits, func(r rune) bool { return r < '0' || r > '9' })
	unit := ""
	if end >= 0 {
		digits, unit = digits[:end], strings.TrimSpace(digits[end:])
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return 0, errors.New("is too large")
	}
	if err != nil {
		return 0, errors.New("is not a size")
	}
	if unit == "" {
		return Size(n), nil
	}
	for _, u := range sizeUnits {
		if !strings.EqualFold(u.name, unit) {
			continue
		}
		if n > math.MaxInt64>>u.shift {
			return 0, errors.New("is too large")
		}
		return Size(n << u.shift), nil
	}
	for _, u := range sizeUnits[:4] {
		if strings.EqualFold(u.name[:1], unit) || strings.EqualFold(u.name[:1]+"B", unit) {
			return 0, &fault{"has a unit that may mean 1000 or 1024", "write " + digits + u.name}
		}
	}
	return 0, errors.New("has an unknown unit")
}

// Secret is text that must not be shown. Formatting it by any verb, and marshalling it, shows its length alone;
// string(s) is the secret.
type Secret string

// String says whether s is set and how long it is.
func (s Secret) String() string {
	if s == "" {
		return "(not set)"
	}
	return fmt.Sprintf("(set, %d bytes)", len(s))
}

// Format keeps every verb, %q and %x included, from printing the secret.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// MarshalText keeps the secret out of JSON and of log/slog.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// URL is an address that may hold a password. Formatting it leaves user, password and query out; string(u) is
// the whole address.
type URL string

// String is u without what may be secret in it: everything between the scheme and the last @ (a password may
// itself hold a /, ? or @), and the query.
func (u URL) String() string {
	shown := string(u)
	if at := strings.LastIndexByte(shown, '@'); at >= 0 {
		scheme := ""
		if end := strings.Index(shown[:at], "://"); end >= 0 {
			scheme = shown[:end+3]
		}
		shown = scheme + "..." + shown[at:]
	}
	if address, _, cut := strings.Cut(shown, "?"); cut {
		shown = address + "?..."
	}
	return shown
}

// Format keeps every verb from printing what String hides.
func (u URL) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(u.String())) }

// MarshalText keeps it out of JSON and of log/slog.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

// parseDuration reads 30s, 1m30s, 250ms; a blank before the unit is allowed, as in sizes.
func parseDuration(text string) (time.Duration, error) {
	joined := strings.ReplaceAll(text, " ", "")
	d, err := time.ParseDuration(joined)
	if err == nil {
		return d, nil
	}
	if n, err := strconv.ParseUint(joined, 10, 31); err == nil {
		return 0, &fault{"has no unit", fmt.Sprintf("write %ds", n)}
	}
	if n, err := strconv.ParseUint(strings.TrimSuffix(joined, "d"), 10, 16); err == nil {
		return 0, &fault{"has an unknown unit", fmt.Sprintf("write %dh", 24*n)}
	}
	return 0, errors.New("is not a duration")
}

// formatDuration is Duration.String without the zero units at its end: 5m, not 5m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}
