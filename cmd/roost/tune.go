// roost tune: what stops this machine below a number of connections, and how that is put right and undone.

package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roost-ws/roost/sysctl"
)

func newTune() *cobra.Command {
	tune := group(&cobra.Command{
		Use:     "tune",
		Short:   "Says what stops the machine below a number of connections, and tunes it",
		Example: "  roost tune check --connections 500000\n  roost tune apply --connections 500000 --yes",
	})
	tune.AddCommand(newTuneCheck(), newTunePrint(), newTuneApply(), newTuneUndo())
	return tune
}

// tuneFlags are what the commands need to know: what the machine is wanted for, and where its files are.
type tuneFlags struct {
	target sysctl.Target
	role   string
	root   string
}

func bindTune(c *cobra.Command) *tuneFlags {
	f := &tuneFlags{}
	flags := c.Flags()
	flags.SortFlags = false
	flags.IntVar(&f.target.Connections, "connections", 0, "connections that the machine is to hold")
	flags.IntVar(&f.target.PerSecond, "per-second", 0, "new connections a second at the worst; 0 has everybody come back within two minutes")
	flags.StringVar(&f.role, "role", string(sysctl.Node), "what the machine does: node, balancer or loadgen")
	flags.IntVar(&f.target.Tuples, "tuples", 0, "pairs of a balancer's address and a node's address and port; 0 is not known to a node, and 1 to the others")
	bindRoot(c, &f.root)
	return f
}

func bindRoot(c *cobra.Command, root *string) {
	c.Flags().StringVar(root, "root", "/", "folder that holds /proc, /sys and /etc, as of a copy from another machine")
}

// read checks the flags and collects the facts. Of another machine nothing is known that only a process can say.
func (f *tuneFlags) read(c *cobra.Command) (*sysctl.Facts, error) {
	if !c.Flags().Changed("connections") {
		return nil, errors.New("--connections is missing; write how many the machine is to hold, as in: --connections 100000")
	}
	f.target.Role = sysctl.Role(f.role)
	if err := f.target.Check(); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(f.root, "proc")); err != nil {
		return nil, fmt.Errorf("--root: %s has no /proc; write the folder that holds /proc, /sys and /etc", f.root)
	}
	var process sysctl.Process
	if f.root == "/" {
		process = sysctl.ThisProcess()
	}
	return sysctl.Read(f.root, process), nil
}

func newTuneCheck() *cobra.Command {
	c := &cobra.Command{
		Use:   "check",
		Short: "Says at how many connections the machine stops, why, and what is wrong below that",
		Long: "Holds descriptors, queues, ports, TCP's memory, connection tracking, memory, control groups and processors\n" +
			"against a number of connections. The first line is the forecast; then come rows that fail, warn, pass, and\n" +
			"those that can't be told here, with their arithmetic. It changes nothing and needs no root.\n\n" +
			"The descriptor limit and the control group are those of this command: run it as the service runs, for\n" +
			"instance with systemd-run -p LimitNOFILE=1100000.\n\n" +
			"The exit code is 0 when all is well, 1 with warnings, 2 with a failure.",
		Example: "  roost tune check --connections 500000\n" +
			"  roost tune check --connections 500000 --per-second 5000 --role balancer --tuples 9 --json",
		Args: noArguments,
	}
	f := bindTune(c)
	asJSON := c.Flags().Bool("json", false, "prints one JSON object")
	c.RunE = func(c *cobra.Command, _ []string) error {
		facts, err := f.read(c)
		if err != nil {
			return err
		}
		report := sysctl.Check(facts, f.target)
		write := report.WriteText
		if *asJSON {
			write = report.WriteJSON
		}
		if err := write(c.OutOrStdout()); err != nil {
			return failed(err)
		}
		switch report.Verdict {
		case sysctl.Warn:
			return &exitError{code: exitFailed}
		case sysctl.Fail:
			return &exitError{code: exitUsage}
		}
		return nil
	}
	return c
}

func newTunePrint() *cobra.Command {
	var words []string
	for _, kind := range sysctl.PrintKinds() {
		words = append(words, string(kind))
	}
	c := &cobra.Command{
		Use:   "print " + strings.Join(words, "|"),
		Short: "Prints the lines for sysctl.d, limits.d or a service's unit",
		Long: "Prints the lines that a number of connections needs, each with why and with its risk. Values that are better\n" +
			"on this machine already are printed as they are.",
		Example: "  roost tune print sysctl --connections 500000 > 99-roost.conf\n" +
			"  roost tune print systemd --connections 500000 > /etc/systemd/system/roost.service.d/limits.conf",
	}
	c.Args = func(c *cobra.Command, args []string) error {
		for _, word := range words {
			if len(args) == 1 && args[0] == word {
				return nil
			}
		}
		return fmt.Errorf("%s takes one of %s, as in: %s", c.CommandPath(), strings.Join(words, ", "), firstExample(c))
	}
	f := bindTune(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		facts, err := f.read(c)
		if err != nil {
			return err
		}
		return failedIf(sysctl.Print(c.OutOrStdout(), sysctl.PrintKind(args[0]), facts, f.target))
	}
	return c
}

func newTuneApply() *cobra.Command {
	c := &cobra.Command{
		Use:   "apply",
		Short: "Shows what it would change; with --yes changes it, now and for the next start of the machine",
		Long: "Shows a change for each row of roost tune check that fails or warns and can be put right from here, and why the\n" +
			"others can't. With --yes it writes the values, a file in /etc/sysctl.d, one in /etc/security/limits.d where the\n" +
			"descriptor limit is low, and before each what was there into /var/lib/roost/tune-undo.json. A value that is\n" +
			"better already stays.\n\n" +
			"The exit code is 1 when with --yes something could not be changed.",
		Example: "  roost tune apply --connections 500000\n  roost tune apply --connections 500000 --yes",
		Args:    noArguments,
	}
	f := bindTune(c)
	yes := c.Flags().Bool("yes", false, "writes; without it nothing is changed")
	c.RunE = func(c *cobra.Command, _ []string) error {
		facts, err := f.read(c)
		if err != nil {
			return err
		}
		plan := sysctl.NewPlan(f.root, facts, f.target)
		if err := writePlan(c.OutOrStdout(), plan, *yes); err != nil {
			return failed(err)
		}
		if !*yes {
			return nil
		}
		if err := plan.Apply(); err != nil {
			return failed(err)
		}
		if n := plan.Refused(); n > 0 {
			return failed(fmt.Errorf("%d of the changes can't be made here; the lines above say why", n))
		}
		return nil
	}
	return c
}

// writePlan shows a plan: changes, files, and what is for others to do.
func writePlan(w io.Writer, p *sysctl.Plan, yes bool) error {
	var b strings.Builder
	for i := range p.Changes {
		change := &p.Changes[i]
		from, verb := change.From, "set"
		if from == "" {
			from = "not there"
		}
		if change.Refused != "" {
			verb = "can't set"
		}
		fmt.Fprintf(&b, "%s %s = %s (now: %s; %s of the %s)\n", verb, change.Name(), change.Setting.Value, from, change.Knob, change.Scope)
		if change.Refused != "" {
			fmt.Fprintf(&b, "  %s\n", change.Refused)
		}
	}
	for _, file := range p.Files {
		if file.Refused != "" {
			fmt.Fprintf(&b, "can't write %s\n  %s\n", file.Name, file.Refused)
			continue
		}
		fmt.Fprintf(&b, "write %s\n", file.Name)
	}
	for _, advice := range p.Advice {
		fmt.Fprintf(&b, "yours: %s\n", advice)
	}
	switch {
	case len(p.Changes)+len(p.Files) == 0:
		b.WriteString("nothing to change\n")
	case !yes:
		b.WriteString("nothing has been changed; --yes does it\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func newTuneUndo() *cobra.Command {
	c := &cobra.Command{
		Use:   "undo",
		Short: "Restores what roost tune apply has changed",
		Long: "Restores the values and files that were there before roost tune apply --yes, of all applies since the last undo.\n" +
			"What somebody else has changed since is left alone, and said.",
		Example: "  roost tune undo --dry-run\n  roost tune undo",
		Args:    noArguments,
	}
	var root string
	c.Flags().SortFlags = false
	dry := c.Flags().Bool("dry-run", false, "only shows what it would restore")
	bindRoot(c, &root)
	c.RunE = func(c *cobra.Command, _ []string) error {
		steps, err := sysctl.Undo(root, *dry)
		if errors.Is(err, sysctl.ErrNothingToUndo) {
			return fmt.Errorf("%w; roost tune apply --yes writes it", err)
		}
		for _, step := range steps {
			line := "restored " + step.String()
			switch {
			case step.Left != "":
				line = "left " + step.String() + ": " + step.Left
			case *dry:
				line = "would restore " + step.String()
			}
			if _, err := fmt.Fprintln(c.OutOrStdout(), line); err != nil {
				return failed(err)
			}
		}
		return failedIf(err)
	}
	return c
}
