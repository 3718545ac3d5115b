// roost version.

package main

import (
	"cmp"
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set when a release is linked (-ldflags "-X main.version=1.2.3"); empty otherwise.
var version string

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Prints the version, the Go version and the revision",
		Example: "  roost version",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			name, revision := buildVersion()
			_, err := fmt.Fprintf(c.OutOrStdout(), "roost %s\ngo %s %s/%s\nrevision %s\n", name, runtime.Version(), runtime.GOOS, runtime.GOARCH, revision)
			return failedIf(err)
		},
	}
}

func buildVersion() (name, revision string) { return versionOf(debug.ReadBuildInfo()) }

// versionOf names the version and the revision as far as the build knows them.
func versionOf(info *debug.BuildInfo, ok bool) (name, revision string) {
	name, revision = version, "unknown"
	if !ok {
		return cmp.Or(name, "(devel)"), revision
	}
	changed := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = " (changed since)"
		}
	}
	return cmp.Or(name, info.Main.Version, "(devel)"), revision + changed
}
