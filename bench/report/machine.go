// Which reports may be compared: those of one machine, about the same work.

package report

import (
	"fmt"
	"slices"

	"github.com/roost-ws/roost/bench"
)

// machineKeys are the facts that make a machine what it is for a comparison. Memory is not one of them: what the
// kernel reports differs by some pages from boot to boot and changes no figure as long as there is enough. Neither
// is the version of Go: what a new one does to the figures is what a comparison is for.
var machineKeys = []string{"cpu", "cpus", "kernel"}

// MismatchError says why two reports cannot be compared.
type MismatchError struct {
	About    string // "machine" or "work"
	Name     string // the fact that differs
	Old, New string // its values; empty where the fact is lacking
}

// Error names the fact and both values.
func (e *MismatchError) Error() string {
	said := func(value string) string {
		if value == "" {
			return "nothing"
		}
		return fmt.Sprintf("%q", value)
	}
	return fmt.Sprintf("reports of another %s: %s was %s and is %s", e.About, e.Name, said(e.Old), said(e.New))
}

// SameMachine returns nil if both reports were made on machines that are alike as far as their facts "cpu", "cpus" and
// "kernel" tell, and else a [*MismatchError]. A report that lacks one of them matches none.
func SameMachine(old, new *bench.Report) error {
	for _, key := range machineKeys {
		was, name := fact(old.Machine, key)
		is, _ := fact(new.Machine, key)
		if was != is || was == "" {
			return &MismatchError{About: "machine", Name: name, Old: was, New: is}
		}
	}
	return nil
}

// sameWork does the same for the settings, all of which have to be equal: fewer connections are other figures.
func sameWork(old, new *bench.Report) error {
	for _, f := range slices.Concat(old.Settings, new.Settings) {
		was, _ := fact(old.Settings, f.Key)
		is, _ := fact(new.Settings, f.Key)
		if was != is {
			return &MismatchError{About: "work", Name: f.Name, Old: was, New: is}
		}
	}
	return nil
}

// fact looks up a fact's value and its name for readers, which is the key if it is lacking.
func fact(facts []bench.Fact, key string) (value, name string) {
	for _, f := range facts {
		if f.Key == key {
			return f.Value, f.Name
		}
	}
	return "", key
}
