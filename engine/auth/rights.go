// Which rooms a token opens: patterns, and matching a room's name against them.

package auth

import (
	"fmt"
	"slices"
	"strings"
	"unsafe"
)

const (
	// maxPatterns bounds each of the two lists; more would make every join a long search.
	maxPatterns = 64
	// maxPatternBytes is the longest pattern, as long as the longest room name by default.
	maxPatternBytes = 128
	// everything is the pattern of all rooms.
	everything = "**"
)

// Rights is the set of rooms that may be joined and published in. It is immutable and shared: tokens that
// carry the same patterns, in whatever order, get the same pointer from one Verifier while any of them is in
// use, so equal pointers mean equal rights. A nil Rights allows nothing.
//
// A pattern is an exact room name, or has "*" in place of one whole segment between dots, or ends with the
// segment "**", which stands for any rest of at least one byte; "**" alone is every room. "*" does not stand
// for an empty segment. Matching is linear in the name and the patterns, allocates nothing and blocks nobody.
type Rights struct {
	key     string // canonical form; the patterns below are parts of it
	publish patternSet
	read    patternSet
}

// All allows everything; it is what an anonymous user has when anonymous users are let in.
var All = newRights(canonical([]string{everything}, nil))

// CanJoin reports whether the room may be joined. Any goroutine.
func (r *Rights) CanJoin(room []byte) bool {
	return r != nil && (r.publish.matches(room) || r.read.matches(room))
}

// CanPublish reports whether publications may be sent to the room. Any goroutine.
func (r *Rights) CanPublish(room []byte) bool {
	return r != nil && r.publish.matches(room)
}

// CanJoinString is CanJoin for a name held as a string.
func (r *Rights) CanJoinString(room string) bool { return r.CanJoin(bytesOf(room)) }

// CanPublishString is CanPublish for a name held as a string.
func (r *Rights) CanPublishString(room string) bool { return r.CanPublish(bytesOf(room)) }

// bytesOf views a string as bytes without copying it; matching only reads them.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// patternSet is one list of patterns, sorted by how they are looked up.
type patternSet struct {
	exact []string // ascending
	wild  []string // with "*" or "**"
	all   bool     // "**" is among them, and so is alone
}

func (s *patternSet) matches(room []byte) bool {
	if s.all {
		return len(room) > 0
	}
	low, high := 0, len(s.exact)
	for low < high {
		middle := int(uint(low+high) >> 1)
		if s.exact[middle] < string(room) {
			low = middle + 1
		} else {
			high = middle
		}
	}
	if low < len(s.exact) && s.exact[low] == string(room) {
		return true
	}
	for _, pattern := range s.wild {
		if matchWild(pattern, room) {
			return true
		}
	}
	return false
}

// matchWild goes through a checked pattern and a room side by side. Neither wildcard can stand for more than
// one thing at its place, so there is never a step back.
func matchWild(pattern string, room []byte) bool {
	at := 0
	for i := 0; i < len(pattern); i++ {
		if pattern[i] != '*' {
			if at >= len(room) || room[at] != pattern[i] {
				return false
			}
			at++
			continue
		}
		if i+1 < len(pattern) && pattern[i+1] == '*' {
			return at < len(room)
		}
		start := at
		for at < len(room) && room[at] != '.' {
			at++
		}
		if at == start {
			return false
		}
	}
	return at == len(room)
}

// checkPatterns says what is wrong with a list of patterns, naming the claim it came from.
func checkPatterns(claim string, patterns []string) error {
	if len(patterns) > maxPatterns {
		return fmt.Errorf("%s has %d patterns, at most %d are allowed", claim, len(patterns), maxPatterns)
	}
	for i, pattern := range patterns {
		if err := checkPattern(pattern); err != nil {
			return fmt.Errorf("%s[%d]: %w", claim, i, err)
		}
	}
	return nil
}

func checkPattern(pattern string) error {
	if pattern == "" {
		return fmt.Errorf("a pattern is empty")
	}
	if len(pattern) > maxPatternBytes {
		return fmt.Errorf("a pattern has %d bytes, at most %d are allowed", len(pattern), maxPatternBytes)
	}
	for rest, more := pattern, true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, ".")
		switch {
		case segment == "*", segment == everything && !more:
		case segment == everything:
			return fmt.Errorf("in %q, ** must be the last segment", pattern)
		case strings.Contains(segment, "*"):
			return fmt.Errorf("in %q, * must stand alone between dots", pattern)
		default:
			for i := range len(segment) {
				if !roomByte(segment[i]) {
					return fmt.Errorf("in %q, byte %#02x is not allowed in a room name", pattern, segment[i])
				}
			}
		}
	}
	return nil
}

// roomByte is the alphabet of room names, less the dot: [A-Za-z0-9_~:-].
func roomByte(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c == '_' || c == '~' || c == ':' || c == '-'
}

// canonical writes checked lists in one form for all that mean the same at first sight: sorted, each pattern
// once, nothing beside "**", and nothing to read that may be published in anyway.
func canonical(rooms, roomsRead []string) string {
	publish := tidy(rooms)
	var read []string
	if !slices.Contains(publish, everything) {
		read = slices.DeleteFunc(tidy(roomsRead), func(pattern string) bool {
			_, also := slices.BinarySearch(publish, pattern)
			return also
		})
	}
	return strings.Join(publish, ",") + "|" + strings.Join(read, ",")
}

func tidy(patterns []string) []string {
	if slices.Contains(patterns, everything) {
		return []string{everything}
	}
	sorted := slices.Clone(patterns)
	slices.Sort(sorted)
	return slices.Compact(sorted)
}

// newRights builds the Rights of a canonical form.
func newRights(key string) *Rights {
	publish, read, _ := strings.Cut(key, "|")
	return &Rights{key: key, publish: newPatternSet(publish), read: newPatternSet(read)}
}

func newPatternSet(joined string) patternSet {
	if joined == "" {
		return patternSet{}
	}
	if joined == everything {
		return patternSet{all: true}
	}
	wildcards, patterns := 0, strings.Split(joined, ",")
	for _, pattern := range patterns {
		if strings.Contains(pattern, "*") {
			wildcards++
		}
	}
	set := patternSet{
		exact: slices.Grow([]string(nil), len(patterns)-wildcards),
		wild:  slices.Grow([]string(nil), wildcards),
	}
	for _, pattern := range patterns {
		if strings.Contains(pattern, "*") {
			set.wild = append(set.wild, pattern)
		} else {
			set.exact = append(set.exact, pattern)
		}
	}
	return set
}
