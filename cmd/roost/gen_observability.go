// roost gen dashboard and roost gen alerts: what watches nodes.

package main

import (
	"github.com/spf13/cobra"

	"github.com/roost-ws/roost/cmd/internal/deploy"
)

func newGenDashboard() *cobra.Command {
	return &cobra.Command{
		Use:   "dashboard",
		Short: "Prints a dashboard for Grafana",
		Long: "Prints a dashboard for Grafana 10 or newer, to import as it is: connections, throughput, reconnect rate, memory a\n" +
			"connection and ping latency first, then what wakes somebody, then the machine. It asks for the data source,\n" +
			"the scrape job and the nodes at its top.",
		Example: "  roost gen dashboard > roost.json",
		Args:    noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			_, err := c.OutOrStdout().Write(deploy.Dashboard())
			return failedIf(err)
		},
	}
}

func newGenAlerts() *cobra.Command {
	c := &cobra.Command{
		Use:   "alerts",
		Short: "Prints rules for Prometheus",
		Long: "Prints recording and alerting rules for Prometheus 2.40 or newer. Each alert says which node, how much, and what to\n" +
			"do; severity is critical where clients are or soon will be without service, else warning. Of the configuration only\n" +
			"admin.listen counts: the head of the file says how to scrape it.",
		Example: "  roost gen alerts > /etc/prometheus/rules/roost.yml\n" +
			"  promtool check rules /etc/prometheus/rules/roost.yml",
		Args: noArguments,
	}
	c.Flags().SortFlags = false
	job := c.Flags().String("job", deploy.DefaultJob, "`name` of the nodes' scrape job in Prometheus")
	flags := settingFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		loaded, err := loadWithoutKeys(flags)
		if err != nil {
			return err
		}
		text, err := deploy.Alerts(&loaded.Config, *job)
		if err != nil {
			return err
		}
		_, err = c.OutOrStdout().Write(text)
		return failedIf(err)
	}
	return c
}
