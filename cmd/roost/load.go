// The configuration as every command loads it.

package main

import (
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"github.com/roost-ws/roost/cmd/internal/config"
)

// settingFlags gives c a flag for each setting, in the order of the reference file.
func settingFlags(c *cobra.Command) *config.Flags {
	c.Flags().SortFlags = false
	return config.BindFlags(c.Flags())
}

// load reads the configuration of this process.
func load(flags *config.Flags) (*config.Loaded, error) {
	_, err := unix.IoctlGetTermios(int(os.Stderr.Fd()), unix.TCGETS)
	return config.Load(config.Options{Flags: flags, Environ: os.Environ(), Terminal: err == nil})
}
