// What watches nodes: a dashboard for Grafana and rules for Prometheus. Both are files that are good as they are
// (assets/), so that their own tools can read them; only the job's name is put in.

package deploy

import (
	"bytes"
	_ "embed"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"

	"github.com/roost-ws/roost/cmd/internal/config"
)

//go:embed assets/dashboard.json
var dashboard []byte

//go:embed assets/alerts.yml
var alerts []byte

// DefaultJob is the name of the nodes' scrape job in the rules unless another one is given.
const DefaultJob = "roost"

// jobName is what needs no quotes in PromQL and YAML.
var jobName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_./-]{0,127}$`)

// Dashboard is a dashboard for Grafana 10 or newer, as JSON to import. It asks for the data source, the job and the
// nodes at its top. The bytes are the caller's.
func Dashboard() []byte { return bytes.Clone(dashboard) }

// Alerts are recording and alerting rules for Prometheus about the nodes of one scrape job, with a word on how to
// scrape a node that has the configuration c. The error is a [config.Problems] that names the flag; then there is no
// file.
func Alerts(c *config.Config, job string) ([]byte, error) {
	if !jobName.MatchString(job) {
		return nil, config.Problems{aboutFlag("job", fmt.Sprintf("%q is not a job's name of letters, digits, and _ . / -", job),
			"write the job_name of scrape_configs, such as "+DefaultJob)}
	}
	host, port, err := net.SplitHostPort(c.Admin.Listen)
	if err != nil || port == "0" {
		return nil, config.Problems{{Key: "admin.listen", Wrong: "does not tell where Prometheus finds a node", Fix: "write an address with a port, such as :8081"}}
	}
	note := "\n"
	if ip, err := netip.ParseAddr(host); err == nil && ip.IsLoopback() || host == "localhost" {
		note = "\n# With admin.listen: " + c.Admin.Listen + ", only a Prometheus or an agent on the node itself reaches it.\n"
	}
	return []byte(strings.NewReplacer(
		`job="`+DefaultJob+`"`, `job="`+job+`"`,
		`job_name: `+DefaultJob+`,`, `job_name: `+job+`,`,
		`:8081"`, `:`+port+`"`,
		"\n#\n# severity:", note+"#\n# severity:",
	).Replace(string(alerts))), nil
}
