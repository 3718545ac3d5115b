// What is written: values that are wanted, joined with those that are there so that nothing gets worse.

package sysctl

import (
	"fmt"
	"strings"
)

// settle is the value to write where have is there: of each number the better one. Values that are no numbers, or
// not as many, are replaced.
func (s *Setting) settle(have string) string {
	old, wanted := parseFigures(have), parseFigures(s.Value)
	if s.Direction == Exactly || len(wanted) == 0 || len(old) != len(wanted) {
		return s.Value
	}
	words := make([]string, len(wanted))
	for i, w := range wanted {
		if s.keeps(old[i], w, i) {
			w = old[i]
		}
		words[i] = fmt.Sprint(w)
	}
	return strings.Join(words, " ")
}

// keeps says whether the i-th number that is there is at least as good as the wanted one.
func (s *Setting) keeps(old, wanted uint64, i int) bool {
	switch {
	case s.Direction == AtLeast, s.Direction == Widest && i == 1:
		return old >= wanted
	default:
		return old <= wanted
	}
}

// have is the value that facts have of a setting.
func (f *Facts) have(s *Setting) (string, bool) {
	if s.Key == "" {
		if s.Path == maxPtesNone && f.MaxPtesNone.Known {
			return fmt.Sprint(f.MaxPtesNone.Value), true
		}
		return "", false
	}
	text, ok := f.Settings[s.Key]
	return text, ok
}

// settled are the settings of a knob as they are to be written.
func (k *Knob) settled(f *Facts, t *Target) []Setting {
	if k.want == nil {
		return nil
	}
	all := k.want(f, t)
	for i := range all {
		if have, ok := f.have(&all[i]); ok {
			all[i].Value = all[i].settle(have)
		}
	}
	return all
}

// lines shows a knob's settings in one line.
func (k *Knob) lines(f *Facts, t *Target) string {
	var words []string
	for _, s := range k.settled(f, t) {
		words = append(words, s.name()+" = "+s.Value)
	}
	return strings.Join(words, ", ")
}

// name is the key, or the path of what has none.
func (s *Setting) name() string {
	if s.Key != "" {
		return s.Key
	}
	return s.Path
}
