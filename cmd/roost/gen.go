// roost gen: ready files made from the configuration.

package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roost-ws/roost/cmd/internal/config"
	"github.com/roost-ws/roost/cmd/internal/deploy"
)

func newGen() *cobra.Command {
	gen := group(&cobra.Command{
		Use:     "gen",
		Short:   "Prints ready files: the configuration with its defaults, a balancer's, a unit, a dashboard, alerts",
		Example: "  roost gen config > roost.yaml\n  roost gen haproxy --config roost.yaml --nodes 10.0.0.11,10.0.0.12 > haproxy.cfg",
	})
	gen.AddCommand(&cobra.Command{
		Use:   "config",
		Short: "Prints a configuration file with every setting, what it means and its default",
		Example: "  roost gen config > roost.yaml\n" +
			"  roost check --config roost.yaml --auth.mode anonymous",
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error { return failedIf(config.WriteReference(c.OutOrStdout())) },
	})
	gen.AddCommand(
		newGenBalancer(deploy.HAProxy, "HAProxy", "haproxy.cfg", "haproxy -c -f haproxy.cfg"),
		newGenBalancer(deploy.Nginx, "nginx", "nginx.conf", "nginx -t -c $PWD/nginx.conf"),
		newGenBalancer(deploy.Envoy, "Envoy", "envoy.yaml", "envoy --mode validate -c envoy.yaml"),
		newGenSystemd(), newGenDashboard(), newGenAlerts())
	return gen
}

// newGenBalancer is `roost gen` for one balancer; file and check are the rest of its example.
func newGenBalancer(program deploy.Program, name, file, check string) *cobra.Command {
	c := &cobra.Command{
		Use:   string(program),
		Short: "Prints a configuration of " + name,
		Long: "Prints a configuration of " + name + " that ends TLS in front of nodes with this configuration: its timeouts fit\n" +
			"the heartbeat, its size fits limits.connections, its checks let a draining node end in peace, and its log holds\n" +
			"no token. Where the balancer could not hold limits.connections, for want of source ports, it says what to add.\n\n" +
			"--sticky chooses the node of a connection: none is the one with the fewest; room has the members of a room meet\n" +
			"on few nodes, by ?room= or /raw/{room}, which makes publications cheaper; ip and cookie keep a client on its\n" +
			"node. Nothing depends on it but cost.",
		Example: "  roost gen " + string(program) + " --nodes 10.0.0.11:8080,10.0.0.12:8080 --sticky room > " + file + "\n" +
			"  " + check + "\n" +
			"  roost gen " + string(program) + " --listen :8080,:8082,:8084 --limits.connections 300000 \\\n" +
			"    --nodes 10.0.0.11,10.0.0.12 --sources 10.0.0.2,10.0.0.3",
		Args: noArguments,
	}
	o := deploy.BalancerOptions{Program: program}
	var nodes, sources []string // not pflag's slices, which read no further than a newline
	sticky := string(deploy.StickyNone)
	own := c.Flags()
	own.SortFlags = false
	own.StringArrayVar(&nodes, "nodes", nil, "the nodes, as `addresses` with commas between: host:port, or a host alone for all ports of listen; without it the one on this machine")
	own.StringVar(&sticky, "sticky", sticky, "who meets on a node: none, room, ip or cookie")
	own.StringVar(&o.Bind, "bind", ":443", "address for clients; [::]:443 is all of IPv6 and IPv4")
	own.StringVar(&o.Certificate, "certificate", program.Certificate(), "PEM file with certificate, chain and key, on the balancer")
	own.StringVar(&o.ServerName, "server-name", "", "the only host name to serve; without it any")
	own.StringArrayVar(&sources, "sources", nil, "the balancer's own `addresses` to reach nodes from; each has source ports of its own")
	own.BoolVar(&o.ProxyProtocol, "proxy-protocol", false, "begin connections with a PROXY header; without it as proxy.mode says")
	flags := settingFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		loaded, err := loadWithoutKeys(flags)
		if err != nil {
			return err
		}
		o.Sticky, o.Nodes, o.Sources = deploy.Sticky(sticky), elements(nodes), elements(sources)
		if !c.Flags().Changed("proxy-protocol") {
			o.ProxyProtocol = loaded.Config.Proxy.Mode == config.ProxyRequire
		}
		text, warnings, err := deploy.Balancer(&loaded.Config, o)
		if err != nil {
			return err
		}
		for _, w := range warnings {
			fmt.Fprintln(c.ErrOrStderr(), "warning: "+w.Error())
		}
		_, err = c.OutOrStdout().Write(text)
		return failedIf(err)
	}
	return c
}

// elements takes lists apart that have commas between their elements.
func elements(lists []string) []string {
	var all []string
	for _, list := range lists {
		all = append(all, strings.Split(list, ",")...)
	}
	return all
}

// keySettings are those that only a node can judge, by files that are there.
var keySettings = []string{"auth.mode", "auth.hmac_secret", "auth.hmac_secret_file", "auth.public_key_file", "admin.key", "admin.key_file"}

// loadWithoutKeys loads the configuration on a machine that need not have the keys it names.
func loadWithoutKeys(flags *config.Flags) (*config.Loaded, error) {
	loaded, err := load(flags)
	var problems config.Problems
	if errors.As(err, &problems) {
		problems = slices.DeleteFunc(problems, func(p config.Problem) bool {
			return slices.Contains(keySettings, p.Key) || strings.HasPrefix(p.Key, "auth.issuers[")
		})
		if len(problems) == 0 {
			return loaded, nil
		}
		err = problems
	}
	return loaded, err
}
