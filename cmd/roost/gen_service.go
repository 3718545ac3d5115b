// roost gen systemd: the units of a node.

package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/roost-ws/roost/cmd/internal/config"
	"github.com/roost-ws/roost/cmd/internal/deploy"
)

// defaultConfigPath is where a configuration lies on a node unless somebody says otherwise.
const defaultConfigPath = "/etc/roost/roost.yaml"

func newGenSystemd() *cobra.Command {
	c := &cobra.Command{
		Use:   "systemd",
		Short: "Prints a unit for systemd",
		Long: "Prints the unit of a node with this configuration: its descriptor limit fits limits.connections, its stop waits\n" +
			"for the drain, its memory follows limits.memory, key files reach the node whoever it runs as, and a watchdog\n" +
			"restarts a node with an event loop that hangs. With --socket, the unit that opens the listeners, which then\n" +
			"stay open while the node restarts: listen names them as fd:3, fd:4 and so on, --bind their addresses.",
		Example: "  roost gen systemd --config /etc/roost/roost.yaml > /etc/systemd/system/roost.service\n" +
			"  systemd-analyze verify /etc/systemd/system/roost.service\n" +
			"  roost gen systemd --listen fd:3,fd:4 --socket --bind :8080,:8082 > /etc/systemd/system/roost.socket",
		Args: noArguments,
	}
	o := deploy.ServiceOptions{}
	var bind []string
	socket := false
	own := c.Flags()
	own.SortFlags = false
	own.StringVar(&o.Binary, "binary", "/usr/local/bin/roost", "`path` of roost on the node")
	own.StringVar(&o.ConfigPath, "config-path", "", "`path` of the configuration on the node; without it that of --config, or "+defaultConfigPath)
	own.StringVar(&o.User, "user", "", "`name` of the user to run as; without it one that systemd makes up while the node runs")
	own.BoolVar(&socket, "socket", false, "print the unit that opens the listeners")
	own.StringArrayVar(&bind, "bind", nil, "with --socket, the `addresses` of fd:3, fd:4 and so on, with commas between")
	flags := settingFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		loaded, err := loadWithoutKeys(flags)
		if err != nil {
			return err
		}
		if o.ConfigPath, err = configPath(loaded, o.ConfigPath); err != nil {
			return err
		}
		var text []byte
		if socket {
			text, err = deploy.Socket(&loaded.Config, elements(bind))
		} else {
			text, err = serviceUnit(c, loaded, o)
		}
		if err != nil {
			return err
		}
		_, err = c.OutOrStdout().Write(text)
		return failedIf(err)
	}
	return c
}

// configPath is where the node finds its configuration.
func configPath(l *config.Loaded, asked string) (string, error) {
	switch {
	case asked != "":
		return asked, nil
	case l.File != "":
		return filepath.Abs(l.File)
	}
	return defaultConfigPath, nil
}

// serviceUnit is the unit of the node, with warnings about what shaped it and is not in the file that the node reads.
func serviceUnit(c *cobra.Command, l *config.Loaded, o deploy.ServiceOptions) ([]byte, error) {
	fix := "write it into " + o.ConfigPath + ", which is all that the node reads"
	switch {
	case l.Dev:
		return nil, config.Problem{Origin: config.Origin{Layer: config.FromFlag, Name: "dev"}, Wrong: "is for trying things out, and no node of a service",
			Fix: "leave it away; auth.mode: anonymous lets everybody in, too"}
	case c.Flags().Changed("bind"):
		return nil, config.Problem{Origin: config.Origin{Layer: config.FromFlag, Name: "bind"}, Wrong: "is for --socket alone", Fix: "write listen"}
	}
	text, err := deploy.Service(&l.Config, o)
	if err != nil {
		return nil, err
	}
	for _, key := range []string{"listen", "admin.listen", "limits.connections", "limits.memory", "drain.grace", "drain.window"} {
		if at := l.Origin(key); at.Layer == config.FromEnv || at.Layer == config.FromFlag {
			p := config.Problem{Origin: at, Key: key, Wrong: "shapes this unit, and is not in it", Fix: fix}
			fmt.Fprintln(c.ErrOrStderr(), "warning: "+p.Error())
		}
	}
	if o.User == "" {
		warnOfSecrets(c.ErrOrStderr(), l)
	}
	return text, nil
}

// warnOfSecrets says which secrets stand in the configuration itself, of which systemd makes no credential.
func warnOfSecrets(w io.Writer, l *config.Loaded) {
	keys := []string{"auth.hmac_secret", "admin.key"}
	for i := range l.Config.Auth.Issuers {
		keys = append(keys, fmt.Sprintf("auth.issuers[%d].hmac_secret", i))
	}
	warn := func(key, fix string) {
		if at := l.Origin(key); at.Layer == config.FromFile {
			p := config.Problem{Origin: at, Key: key, Wrong: "stands in a file that a user made up by systemd can read only if everybody can", Fix: fix}
			fmt.Fprintln(w, "warning: "+p.Error())
		}
	}
	for _, key := range keys {
		warn(key, "use "+key+"_file, or name a user with --user")
	}
	if url := l.Config.Broker.URL; url.String() != string(url) { // there is something in it that is not shown
		warn("broker.url", "name a user with --user")
	}
}
