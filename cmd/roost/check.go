// roost check: what is in force, who set it, and whether this machine can do it.

package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roost-ws/roost/cmd/internal/config"
)

func newCheck() *cobra.Command {
	c := &cobra.Command{
		Use:   "check",
		Short: "Checks the configuration against this machine and prints each value with its origin",
		Long: "Loads the configuration as serve would, checks it against this machine, and prints each value with its\n" +
			"origin: default, dev, file, env or flag. Secrets are shown as their length. Nothing is opened,\n" +
			"started or fetched.",
		Example: "  roost check --dev\n" +
			"  roost check --config /etc/roost/roost.yaml --limits.connections 10000",
		Args: noArguments,
	}
	flags := settingFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		loaded, err := load(flags)
		if err != nil {
			return err
		}
		parts, err := build(loaded, quiet, nil)
		if err != nil {
			return err
		}
		for _, w := range loaded.Warnings {
			fmt.Fprintln(c.ErrOrStderr(), "warning: "+w.Error())
		}
		return failedIf(writeCheck(c.OutOrStdout(), loaded, parts))
	}
	return c
}

// writeCheck prints the values, and as comments what follows from them on this machine.
func writeCheck(w io.Writer, l *config.Loaded, p *parts) error {
	if err := l.WriteOrigins(w); err != nil {
		return err
	}
	var b strings.Builder
	fmt.Fprintf(&b, "\n# on this machine: %d connections (%s), %d loops, %s\n",
		p.server.MaxConnections(), capOrigin(&l.Config), p.server.Stats().Loops, p.admits())
	for _, set := range p.keySets.all {
		fmt.Fprintf(&b, "# keys come from %v once a node starts; to fetch them now: roost token explain\n", set.address)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
