// How the type of a field decides what text it takes and how it is shown.

package config

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// kind is what all fields of one Go type have in common. The zero kind belongs to lists of entries (entries.go).
type kind struct {
	// word names the kind in --help; wants completes "write ...".
	word, wants string
	// list says that a value is any number of items instead of exactly one.
	list bool
	// hidden says that errors must not repeat what was written.
	hidden bool
	// set reads items into the field; on an error the field keeps its value. The error is a *fault when there is
	// more to say than what is wrong with the text.
	set func(field any, items []string, bounds string) error
	// show writes the field's value as YAML on one line, without anything secret.
	show func(field any) string
}

// fault is what is wrong with a value, and what to write instead.
type fault struct{ wrong, fix string }

func (f *fault) Error() string { return f.wrong + "; " + f.fix }

// itemError says which item of a list is wrong.
type itemError struct {
	item string
	err  error
}

func (e *itemError) Error() string { return e.err.Error() }

var (
	kindString = single("string", "one value", parseAs[string], yamlString)
	kindSecret = hidden(single("string", "one value", parseAs[Secret], showSecret))
	kindURL    = hidden(single("url", "one address", parseAs[URL], showURL))
	kindBool   = single("bool", "true or false", parseBool, strconv.FormatBool)

	kindInt      = ordered("int", "a whole number such as 100", parseInt, strconv.Itoa)
	kindFloat    = ordered("number", "a number such as 0.5 or 100", parseFloat, formatFloat)
	kindDuration = ordered("duration", "a duration such as 500ms, 30s or 5m", parseDuration, formatDuration)
	kindSize     = ordered("size", "a size such as 512, 64KiB or 1MiB", ParseSize, Size.String)

	kindStrings  = many("list", "a list such as [a, b]", parseAs[string], yamlString)
	kindPrefixes = many("networks", "networks such as 10.0.0.0/8", parsePrefix, netip.Prefix.String)
)

// kindOf picks by type. Lists of entries, and nothing else in the tables, have the zero kind.
func kindOf(field any) kind {
	switch field.(type) {
	case *string:
		return kindString
	case *Secret:
		return kindSecret
	case *URL:
		return kindURL
	case *bool:
		return kindBool
	case *int:
		return kindInt
	case *float64:
		return kindFloat
	case *time.Duration:
		return kindDuration
	case *Size:
		return kindSize
	case *[]string:
		return kindStrings
	case *[]netip.Prefix:
		return kindPrefixes
	}
	return kind{}
}

// single is a kind with exactly one item and no order.
func single[T any](word, wants string, parse func(string) (T, error), show func(T) string) kind {
	return kind{
		word: word, wants: wants,
		set: func(field any, items []string, _ string) error {
			if len(items) != 1 {
				return errors.New("is not one value")
			}
			v, err := parse(items[0])
			if err == nil {
				*field.(*T) = v
			}
			return err
		},
		show: func(field any) string { return show(*field.(*T)) },
	}
}

// hidden is k with errors that do not repeat the value.
func hidden(k kind) kind {
	k.hidden = true
	return k
}

// ordered is a single kind whose values are held against bounds.
func ordered[T cmp.Ordered](word, wants string, parse func(string) (T, error), show func(T) string) kind {
	k := single(word, wants, parse, show)
	set := k.set
	k.set = func(field any, items []string, bounds string) error {
		var v T
		if err := set(&v, items, bounds); err != nil {
			return err
		}
		if least, most, ok := strings.Cut(bounds, ".."); ok {
			lo, _ := parse(least)
			hi, _ := parse(most)
			if v < lo || v > hi {
				return &fault{"is out of range", "write " + least + " to " + most}
			}
		}
		*field.(*T) = v
		return nil
	}
	return k
}

// many is a kind with any number of items.
func many[T any](word, wants string, parse func(string) (T, error), show func(T) string) kind {
	return kind{
		word: word, wants: wants, list: true,
		set: func(field any, items []string, _ string) error {
			var list []T
			for _, item := range items {
				v, err := parse(item)
				if err != nil {
					return &itemError{item, err}
				}
				list = append(list, v)
			}
			*field.(*[]T) = list
			return nil
		},
		show: func(field any) string {
			var shown []string
			for _, v := range *field.(*[]T) {
				shown = append(shown, show(v))
			}
			return "[" + strings.Join(shown, ", ") + "]"
		},
	}
}

// given reports whether the field holds anything.
func (s *setting) given() bool { return !reflect.ValueOf(s.field).Elem().IsZero() }

// split turns the text of an environment variable, a flag or a default into items.
func (k *kind) split(text string) []string {
	if !k.list {
		return []string{text}
	}
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// read sets the field from items, held against the row's words and bounds. The field keeps its value when
// something is wrong.
func (s *setting) read(items []string) *fault {
	for _, item := range items {
		if len(s.words) > 0 && !slices.Contains(s.words, item) {
			return &fault{quote(item) + " is not a choice", "write " + alternatives(s.words)}
		}
	}
	k := kindOf(s.field)
	err := k.set(s.field, items, s.bounds)
	if err == nil {
		return nil
	}
	what := "the value"
	if len(items) == 1 && !k.hidden {
		what = quote(items[0])
	}
	var bad *itemError
	if errors.As(err, &bad) {
		what, err = quote(bad.item), bad.err
	}
	var f *fault
	if errors.As(err, &f) {
		return &fault{what + " " + f.wrong, f.fix}
	}
	return &fault{what + " " + err.Error(), "write " + k.wants}
}

func parseAs[T ~string](text string) (T, error) { return T(text), nil }

func parseBool(text string) (bool, error) {
	switch text {
	case "true":
		return true, nil
	case "false":
		return false, nil
	}
	return false, errors.New("is neither true nor false")
}

func parseInt(text string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(text))
	if errors.Is(err, strconv.ErrRange) {
		return 0, errors.New("is too large")
	}
	if err != nil {
		return 0, errors.New("is not a whole number")
	}
	return n, nil
}

func parseFloat(text string) (float64, error) {
	f, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return 0, errors.New("is not a number")
	}
	return f, nil
}

func formatFloat(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// parsePrefix takes a network. A single address, or a network with host bits, is more often a slip than a wish,
// so both are refused with the network they most likely mean.
func parsePrefix(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil && addr.Zone() == "" {
		return netip.Prefix{}, &fault{"is an address, not a network", fmt.Sprintf("write %s/%d", addr, addr.BitLen())}
	}
	p, err := netip.ParsePrefix(text)
	if err != nil {
		return netip.Prefix{}, errors.New("is not a network")
	}
	if p != p.Masked() {
		return netip.Prefix{}, &fault{"has bits beyond its length", "write " + p.Masked().String()}
	}
	return p, nil
}

func showSecret(s Secret) string {
	if s == "" {
		return `""`
	}
	return s.String()
}

func showURL(u URL) string { return yamlString(u.String()) }

// plain matches text that every YAML reader takes for itself; true, null and the like are not looked for, since
// they are only ever written where they mean that.
var plain = regexp.MustCompile(`^[A-Za-z/][A-Za-z0-9_./-]*$`)

// yamlString writes text as a YAML scalar on one line.
func yamlString(text string) string {
	if plain.MatchString(text) {
		return text
	}
	return strconv.QuoteToGraphic(text)
}

// quote shows what somebody wrote, on one line and cut short: it may be anything, a misplaced key file included.
func quote(text string) string {
	const most = 40
	if len(text) > most {
		return strconv.Quote(text[:most]) + "..."
	}
	return strconv.Quote(text)
}

// alternatives joins words the way a sentence does: a, b or c.
func alternatives(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
