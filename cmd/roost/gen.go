// roost gen: ready files made from the configuration.

package main

import (
	"github.com/spf13/cobra"

	"github.com/roost-ws/roost/cmd/internal/config"
)

func newGen() *cobra.Command {
	gen := group(&cobra.Command{
		Use:     "gen",
		Short:   "Prints ready files: the configuration with its defaults",
		Example: "  roost gen config > roost.yaml",
	})
	gen.AddCommand(&cobra.Command{
		Use:   "config",
		Short: "Prints a configuration file with every setting, what it means and its default",
		Example: "  roost gen config > roost.yaml\n" +
			"  roost check --config roost.yaml --auth.mode anonymous",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return failedIf(config.WriteReference(c.OutOrStdout())) },
	})
	for _, kind := range []struct{ use, short string }{
		{"haproxy", "Prints a configuration of HAProxy"},
		{"nginx", "Prints a configuration of nginx"},
		{"envoy", "Prints a configuration of Envoy"},
		{"systemd", "Prints a systemd unit"},
		{"dashboard", "Prints a Grafana dashboard"},
		{"alerts", "Prints alert rules for Prometheus"},
	} {
		gen.AddCommand(unavailable(kind.use, kind.short))
	}
	return gen
}
