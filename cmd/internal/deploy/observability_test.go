package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/roost-ws/roost/cmd/internal/config"
)

// ruleFile is the part of the rules that is looked at.
type ruleFile struct {
	Groups []struct {
		Rules []struct {
			Record, Alert, Expr string
			Labels, Annotations map[string]string
		}
	}
}

func defaults() *config.Config {
	c := config.Default()
	return &c
}

func readRules(t *testing.T) (r ruleFile) {
	t.Helper()
	text, err := Alerts(defaults(), DefaultJob)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	return r
}

// TestAlertsTellWhatToDo: each has a severity, a sentence on what is wrong with which node, and one on what to do.
func TestAlertsTellWhatToDo(t *testing.T) {
	seen := 0
	for _, g := range readRules(t).Groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			seen++
			if s := r.Labels["severity"]; s != "critical" && s != "warning" {
				t.Errorf("%s: severity %q", r.Alert, s)
			}
			if !strings.Contains(r.Annotations["summary"], "{{ $labels.instance }}") || len(r.Annotations["description"]) < 60 {
				t.Errorf("%s: %v", r.Alert, r.Annotations)
			}
		}
	}
	if seen < 13 {
		t.Errorf("%d alerts", seen)
	}
}

func TestJob(t *testing.T) {
	text, err := Alerts(defaults(), "chat/eu-1")
	if err != nil || strings.Contains(string(text), `"roost"`) || strings.Contains(string(text), "job_name: roost") ||
		strings.Count(string(text), `job="chat/eu-1"`) != strings.Count(string(alerts), `job="roost"`) {
		t.Errorf("%v\n%s", err, text)
	}
	for _, job := range []string{"", `a"b`, "a b", "a\nb", "{{a}}", strings.Repeat("a", 200)} {
		text, err := Alerts(defaults(), job)
		refused(t, text, err, `flag --job: `)
	}
}

// TestScrape: the rules tell where a node with this configuration is found.
func TestScrape(t *testing.T) {
	const local = "# With admin.listen: "
	for listen, want := range map[string]string{"127.0.0.1:8081": local + "127.0.0.1:8081, only", "localhost:9000": local + "localhost:9000, only",
		"[::1]:9000": `"10.0.0.11:9000"`, ":9100": `"10.0.0.11:9100", "10.0.0.12:9100"`} {
		c := defaults()
		c.Admin.Listen = listen
		text, err := Alerts(c, DefaultJob)
		if err != nil || !strings.Contains(string(text), want) || strings.Contains(string(text), local) != (listen != ":9100") {
			t.Errorf("%s: %v\n%.1000s", listen, err, text)
		}
	}
	c := defaults()
	c.Admin.Listen = "127.0.0.1:0"
	text, err := Alerts(c, DefaultJob)
	refused(t, text, err, "admin.listen: does not tell where Prometheus finds a node; write an address with a port, such as :8081")
}

// promtool runs a command of it in dir.
func promtool(dir string, args ...string) (string, error) {
	c := exec.Command("promtool", args...)
	c.Dir = dir
	said, err := c.CombinedOutput()
	return string(said), err
}

// ruleTests are the unit tests of the rules, and testRules is how promtool runs them.
var (
	ruleTests = []string{"alerts_test.yml", "alerts_day_test.yml"}
	testRules = append([]string{"test", "rules"}, ruleTests...)
)

// readRuleTests are their texts.
func readRuleTests(t *testing.T) map[string][]byte {
	t.Helper()
	texts := map[string][]byte{}
	for _, name := range ruleTests {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = text
	}
	return texts
}

// rulesFolder holds the rules and their unit tests, as promtool finds them.
func rulesFolder(t *testing.T, rules []byte) string {
	t.Helper()
	dir := t.TempDir()
	files := readRuleTests(t)
	files["alerts.yml"] = rules
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestPrometheusAccepts has promtool read the rules and run their unit tests.
func TestPrometheusAccepts(t *testing.T) {
	installed(t, "promtool")
	for _, job := range []string{DefaultJob, "chat/eu-1"} {
		text, err := Alerts(defaults(), job)
		if err != nil {
			t.Fatal(err)
		}
		dir := rulesFolder(t, text)
		if said, err := promtool(dir, "check", "rules", "--lint=all", "--lint-fatal", "alerts.yml"); err != nil {
			t.Errorf("%s: %v\n%s", job, err, said)
		}
		if job != DefaultJob {
			continue
		}
		if said, err := promtool(dir, testRules...); err != nil {
			t.Errorf("%v\n%s", err, said)
		}
	}
}

// TestPrometheusRefuses: the unit tests notice each alert that never fires, and one that always does.
func TestPrometheusRefuses(t *testing.T) {
	installed(t, "promtool")
	var names []string
	for _, g := range readRules(t).Groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				names = append(names, r.Alert)
			}
		}
	}
	alert := regexp.MustCompile(`(- alert: \w+\n +expr: )(?:>-\n(?: {10}.*\n)+|.*\n)`)
	if found := len(alert.FindAll(alerts, -1)); found != len(names) {
		t.Fatalf("%d of %d alerts can be changed", found, len(names))
	}
	changed := func(expr string) string {
		dir := rulesFolder(t, alert.ReplaceAll(alerts, []byte("${1}"+expr+"\n")))
		said, err := promtool(dir, testRules...)
		if err == nil {
			t.Errorf("alerts on %s are accepted", expr)
		}
		return said
	}
	never, always := changed("vector(0) > 1"), changed("vector(1)")
	for _, name := range names {
		if !regexp.MustCompile(`exp: \{alertname="` + name + `"\} 1E\+00\s+got: nil`).MatchString(never) {
			t.Errorf("that %s never fires is not noticed", name)
		}
		if !strings.Contains(always, `{alertname="`+name+`"}`) {
			t.Errorf("that %s always fires is not noticed", name)
		}
	}
	if silent := strings.Count(always, "exp: nil"); silent != len(names) {
		t.Errorf("of %d alerts that always fire, %d are noticed", len(names), silent)
	}
}

// TestEveryAlertIsTested: there is a unit test in which it fires and one in which it does not, on the same series.
func TestEveryAlertIsTested(t *testing.T) {
	type group struct {
		Name   string
		Series []struct{ Series string } `yaml:"input_series"`
		Cases  []struct {
			Samples []struct{ Labels string } `yaml:"exp_samples"`
		} `yaml:"promql_expr_test"`
	}
	type seen struct{ series, expects string }
	tests := map[string]seen{}
	look := func(g group) {
		name, _, _ := strings.Cut(g.Name, ":")
		var names, expects []string
		for _, s := range g.Series {
			names = append(names, s.Series)
		}
		for _, c := range g.Cases {
			for _, s := range c.Samples {
				expects = append(expects, s.Labels)
			}
		}
		slices.Sort(names)
		tests[name] = seen{fmt.Sprint(names), fmt.Sprint(expects)}
	}
	for name, text := range readRuleTests(t) {
		var file struct{ Tests []group }
		if err := yaml.Unmarshal(text, &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for _, g := range file.Tests {
			look(g)
		}
	}
	for _, g := range readRules(t).Groups {
		for _, r := range g.Rules {
			if r.Alert == "" {
				continue
			}
			fires, silent := tests[r.Alert+" fires"], tests[r.Alert+" stays silent"]
			if fires.expects != fmt.Sprintf(`[{alertname=%q}]`, r.Alert) || silent.expects != "[]" || fires.series != silent.series {
				t.Errorf("%s: fires %v, stays silent %v", r.Alert, fires, silent)
			}
		}
	}
}

// panel is the part of a dashboard's panel that is looked at.
type panel struct {
	ID          int
	Type, Title string
	Description string
	Datasource  struct{ Type, UID string }
	GridPos     struct{ H, W, X, Y int }
	FieldConfig struct{ Defaults struct{ Unit string } }
	Targets     []struct{ RefID, Expr, LegendFormat string }
	Collapsed   bool
	Panels      []any
}

type dashboardFile struct {
	UID, Title    string
	SchemaVersion int
	Panels        []panel
	Templating    struct {
		List []struct {
			Name, Type string
			Query      any
		}
	}
}

func readDashboard(t *testing.T) (d dashboardFile) {
	t.Helper()
	if err := json.Unmarshal(Dashboard(), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDashboard: Grafana would show it as it is meant.
func TestDashboard(t *testing.T) {
	d := readDashboard(t)
	if d.UID == "" || d.Title == "" || d.SchemaVersion < 36 {
		t.Errorf("uid %q, title %q, schema %d", d.UID, d.Title, d.SchemaVersion)
	}
	var variables []string
	for _, v := range d.Templating.List {
		variables = append(variables, v.Name)
	}
	if fmt.Sprint(variables) != "[datasource job node]" || d.Templating.List[0].Type != "datasource" {
		t.Errorf("variables %v", variables)
	}
	ids, titles, taken := map[int]bool{}, []string{}, map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 {
			t.Errorf("%s: id %d is there twice", p.Title, p.ID)
		}
		ids[p.ID] = true
		titles = append(titles, p.Title)
		g := p.GridPos
		if g.X < 0 || g.W < 1 || g.H < 1 || g.X+g.W > 24 {
			t.Errorf("%s: at %+v", p.Title, g)
		}
		for x := g.X; x < g.X+g.W; x++ {
			for y := g.Y; y < g.Y+g.H; y++ {
				if other, is := taken[[2]int{x, y}]; is {
					t.Fatalf("%s lies on %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type != "row" {
			p.check(t)
		}
	}
	// The five figures come first.
	if want := []string{"The five figures", "Connections", "Deliveries", "Reconnects", "Memory a connection", "Ping, p99"}; !slices.Equal(titles[:len(want)], want) {
		t.Errorf("begins with %v", titles[:len(want)])
	}
}

// units are Grafana's words for what the panels show.
var grafanaUnits = []string{"short", "ops", "bytes", "Bps", "s", "percentunit"}

func (p *panel) check(t *testing.T) {
	t.Helper()
	if p.Title == "" || p.Description == "" || len(p.Targets) == 0 || !slices.Contains(grafanaUnits, p.FieldConfig.Defaults.Unit) {
		t.Errorf("%+v", p)
	}
	if p.Datasource.UID != "${datasource}" || p.Datasource.Type != "prometheus" {
		t.Errorf("%s: asks %v", p.Title, p.Datasource)
	}
	seconds := strings.Contains(p.Targets[0].Expr, "_seconds_bucket")
	if seconds != (p.FieldConfig.Defaults.Unit == "s") {
		t.Errorf("%s: unit %s of %s", p.Title, p.FieldConfig.Defaults.Unit, p.Targets[0].Expr)
	}
	refs := map[string]bool{}
	for _, target := range p.Targets {
		if refs[target.RefID] || target.RefID == "" || !strings.Contains(target.Expr, `{job="$job", instance=~"$node"`) {
			t.Errorf("%s: %+v", p.Title, target)
		}
		refs[target.RefID] = true
	}
}

// shown are the dashboard's expressions as Grafana sends them.
func shown(t *testing.T) []string {
	t.Helper()
	grafana := strings.NewReplacer("$__rate_interval", "1m", "$job", "roost", "$node", ".*")
	var all []string
	for _, p := range readDashboard(t).Panels {
		for _, target := range p.Targets {
			all = append(all, grafana.Replace(target.Expr))
		}
	}
	return all
}

// TestPrometheusUnderstandsDashboard hands the expressions to promtool, as rules.
func TestPrometheusUnderstandsDashboard(t *testing.T) {
	installed(t, "promtool")
	type rule struct {
		Record string `yaml:"record"`
		Expr   string `yaml:"expr"`
	}
	var rules []rule
	for i, expr := range shown(t) {
		rules = append(rules, rule{fmt.Sprint("panel:", i), expr})
	}
	text, err := yaml.Marshal(map[string]any{"groups": []any{map[string]any{"name": "dashboard", "rules": rules}}})
	if err != nil {
		t.Fatal(err)
	}
	dir := rulesFolder(t, text)
	if said, err := promtool(dir, "check", "rules", "alerts.yml"); err != nil || !strings.Contains(said, fmt.Sprint(len(rules), " rules found")) {
		t.Errorf("%v\n%s", err, said)
	}
}
