// The formats of /proc, /sys and cgroups. What does not read as expected is absent, never zero: a check that could
// not see something must not pass it.

package sysctl

import (
	"math"
	"strconv"
	"strings"
)

// Figure is a number that may not be there.
type Figure struct {
	Value uint64
	Known bool
}

// Unlimited is the value of a limit that is none. From noLimit on a number means the same: the kernel and service
// managers write the largest that fits into a long, or into pages.
const (
	Unlimited = math.MaxUint64
	noLimit   = 1 << 62
)

func known(v uint64) Figure { return Figure{v, true} }

// limited tells whether there is a number that limits something.
func (f Figure) limited() bool { return f.Known && f.Value < noLimit }

// least is the lower of two limits, of which either may be unknown.
func (f Figure) least(g Figure) Figure {
	if !f.Known || g.Known && g.Value < f.Value {
		return g
	}
	return f
}

// parseFigure reads one number, "max" or "unlimited".
func parseFigure(text string) Figure {
	text = strings.TrimSpace(text)
	if text == "max" || text == "unlimited" {
		return known(Unlimited)
	}
	v, err := strconv.ParseUint(text, 10, 64)
	return Figure{v, err == nil}
}

// parseFigures reads numbers with blanks between; nil if any is none.
func parseFigures(text string) []uint64 {
	var all []uint64
	for field := range strings.FieldsSeq(text) {
		v, err := strconv.ParseUint(field, 10, 64)
		if err != nil {
			return nil
		}
		all = append(all, v)
	}
	return all
}

// parseNamed finds the line that begins with name and returns the number after it: "Slab:  35752 kB" in bytes,
// "sock 4096" as it is.
func parseNamed(text, name string) Figure {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 || fields[0] != name {
			continue
		}
		f := parseFigure(fields[1])
		if len(fields) > 2 && fields[2] == "kB" {
			if f.Value > math.MaxUint64>>10 {
				return Figure{}
			}
			f.Value <<= 10
		}
		return f
	}
	return Figure{}
}

// parsePairs reads the line of /proc/net/sockstat that begins with name: "TCP: inuse 5 orphan 0 tw 0 alloc 7 mem 3".
func parsePairs(text, name string) map[string]uint64 {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != name {
			continue
		}
		pairs := map[string]uint64{}
		for i := 1; i+1 < len(fields); i += 2 {
			if f := parseFigure(fields[i+1]); f.Known {
				pairs[fields[i]] = f.Value
			}
		}
		return pairs
	}
	return nil
}

// parseTwoLines reads /proc/net/netstat and /proc/net/snmp, where a line of names is followed by one of values.
func parseTwoLines(text, name string) map[string]uint64 {
	var names []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != name {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		values := map[string]uint64{}
		for i := 1; i < min(len(names), len(fields)); i++ {
			if f := parseFigure(fields[i]); f.Known {
				values[names[i]] = f.Value
			}
		}
		return values
	}
	return nil
}

// parseSoftnet sums /proc/net/softnet_stat, a line of hexadecimal numbers for each processor: packets taken, and
// packets dropped because its input queue was full.
func parseSoftnet(text string) (taken, dropped Figure) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			return Figure{}, Figure{}
		}
		t, err := strconv.ParseUint(fields[0], 16, 32)
		d, err2 := strconv.ParseUint(fields[1], 16, 32)
		if err != nil || err2 != nil {
			return Figure{}, Figure{}
		}
		taken, dropped = known(taken.Value+t), known(dropped.Value+d)
	}
	return taken, dropped
}

// parseLimit reads a line of /proc/self/limits: "Max open files  1024  524288  files".
func parseLimit(text, name string) (soft, hard Figure) {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			if fields := strings.Fields(rest); len(fields) >= 2 {
				return parseFigure(fields[0]), parseFigure(fields[1])
			}
		}
	}
	return Figure{}, Figure{}
}

// parseCPUList counts the processors of a list such as "0-3,8".
func parseCPUList(text string) Figure {
	var n uint64
	for part := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		a, err := strconv.ParseUint(first, 10, 16)
		b, err2 := strconv.ParseUint(last, 10, 16)
		if err != nil || err2 != nil || b < a {
			return Figure{}
		}
		n += b - a + 1
	}
	return known(n)
}

// parseChosen finds the word in brackets: "always [madvise] never".
func parseChosen(text string) string {
	_, rest, _ := strings.Cut(text, "[")
	word, _, ok := strings.Cut(rest, "]")
	if !ok {
		return ""
	}
	return word
}

// parseSoftirqs reads the line NET_RX of /proc/softirqs, a column for each processor.
func parseSoftirqs(text string) []uint64 {
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), "NET_RX:"); ok {
			return parseFigures(rest)
		}
	}
	return nil
}

// parseListening reads the ports of listeners from the text of /proc/net/tcp or tcp6. They come first there, and
// reading ends with them: the rest may be a million lines.
func parseListening(text string) []uint16 {
	const listen = "0A"
	var ports []uint16
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[0] == "sl" {
			continue
		}
		if fields[3] != listen {
			break
		}
		_, port, _ := strings.Cut(fields[1], ":")
		if p, err := strconv.ParseUint(port, 16, 16); err == nil {
			ports = append(ports, uint16(p))
		}
	}
	return ports
}

// parsePorts reads ip_local_reserved_ports: "8080,9000-9010". What can't be read reserves nothing.
func parsePorts(text string) func(uint16) bool {
	type span struct{ first, last uint64 }
	var spans []span
	for part := range strings.SplitSeq(strings.TrimSpace(text), ",") {
		first, last, ranged := strings.Cut(part, "-")
		if !ranged {
			last = first
		}
		a, err := strconv.ParseUint(first, 10, 16)
		b, err2 := strconv.ParseUint(last, 10, 16)
		if err == nil && err2 == nil {
			spans = append(spans, span{a, b})
		}
	}
	return func(port uint16) bool {
		for _, s := range spans {
			if s.first <= uint64(port) && uint64(port) <= s.last {
				return true
			}
		}
		return false
	}
}
