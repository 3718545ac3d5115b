// Ready lines for whoever writes the files himself.

package sysctl

import (
	"fmt"
	"io"
	"strings"
)

// PrintKind is what Print prints.
type PrintKind string

// The kinds.
const (
	PrintSysctl  PrintKind = "sysctl"
	PrintLimits  PrintKind = "limits"
	PrintSystemd PrintKind = "systemd"
)

// PrintKinds are all there are.
func PrintKinds() []PrintKind { return []PrintKind{PrintSysctl, PrintLimits, PrintSystemd} }

// Print writes the lines for a target: for sysctl.d, for limits.d, or for a service's unit. Values that facts know to
// be better already are printed as they are.
func Print(w io.Writer, kind PrintKind, f *Facts, target Target) error {
	t := target.withDefaults()
	_, descriptors := t.descriptors()
	text := ""
	switch kind {
	case PrintSysctl:
		text = printSysctl(f, &t)
	case PrintLimits:
		text = limitsText(descriptors)
	case PrintSystemd:
		text = printSystemd(f, &t)
	default:
		return fmt.Errorf("there are no lines of kind %q; write sysctl, limits or systemd", kind)
	}
	_, err := io.WriteString(w, text)
	return err
}

func header(t *Target) string {
	return fmt.Sprintf("# For %s connections, %s new ones a second, on a %s.\n", count(t.n()), count(uint64(t.PerSecond)), t.Role)
}

func printSysctl(f *Facts, t *Target) string {
	var b strings.Builder
	b.WriteString(header(t))
	for i := range catalogue {
		k := &catalogue[i]
		settings := k.settled(f, t)
		if len(settings) == 0 || settings[0].Key == "" {
			continue
		}
		fmt.Fprintf(&b, "\n# %s: %s\n# Why: %s.\n", k.ID, k.Needed, k.Why)
		if k.Risk != "none" {
			fmt.Fprintf(&b, "# Risk: %s.\n", k.Risk)
		}
		for _, s := range settings {
			fmt.Fprintf(&b, "%s = %s\n", s.Key, s.Value)
		}
	}
	return b.String()
}

// printSystemd is a drop-in for a unit: [Service] and what the box decides about it.
func printSystemd(f *Facts, t *Target) string {
	m := memoryOf(f, t)
	limit := t.unitLimit()
	var b strings.Builder
	b.WriteString(header(t))
	b.WriteString("[Service]\n")
	fmt.Fprintf(&b, "# Connections + 5 %% + 4,096. fs.nr_open must be at least that, or the service does not start (205/LIMITS).\nLimitNOFILE=%d\n", limit)
	if most := f.setting("fs.nr_open"); most.Known && most.Value < limit {
		fmt.Fprintf(&b, "# Here fs.nr_open is %s: raise it first (roost tune print sysctl).\n", count(most.Value))
	}
	b.WriteString("# Threads; Go ends the process when it can't start one.\nTasksMax=4096\n" +
		"# A heap on disk stops all loops.\nMemorySwapMax=0\n" +
		"# Tokens are in memory.\nLimitCORE=0\n" +
		"# Under pressure others go first.\nOOMScoreAdjust=-500\n")
	fmt.Fprintf(&b, "# Idle, they take %s of the process and %s of the kernel, both of which count for MemoryMax=; with a page of\n"+
		"# buffer for each, %s. Set it no lower, if at all.\n",
		size(m.Base+m.User), size(m.Kernel), size(m.Base+m.User+m.Kernel+float64(t.n()*t.sockets()*f.pageSize())))
	return b.String()
}
