package deploy

import (
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/roost-ws/roost/engine"
	"github.com/roost-ws/roost/engine/admin"
	"github.com/roost-ws/roost/fanout"
)

// scraped are the series of a node that nobody has connected to yet, by name; each as the text of its labels. A
// histogram is there before its first value, and so is each value of a label, so that no alert has to wait for one.
func scraped(t *testing.T) map[string][]string {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	server, err := engine.New(engine.Options{Listen: []string{"127.0.0.1:0"}, Loops: 1, Node: "test", Broker: fanout.NewMemory(), Log: log,
		Limits: engine.Limits{Connections: 100}})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Stop() })
	port, err := admin.New(admin.Options{Server: server, Listen: "127.0.0.1:0", Drain: func() {}, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	if err := port.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = port.Close(t.Context()) })
	answer, err := http.Get("http://" + port.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%d %v", answer.StatusCode, err)
	}
	series := map[string][]string{}
	for _, m := range regexp.MustCompile(`(?m)^([a-z_]+)(\{.*\})? \S+$`).FindAllStringSubmatch(string(body), -1) {
		series[m[1]] = append(series[m[1]], m[2])
	}
	return series
}

var (
	quoted   = regexp.MustCompile(`"[^"]*"`)
	grouping = regexp.MustCompile(`\b(by|without|ignoring|on) \([a-z, ]*\)`)
	window   = regexp.MustCompile(`\[[^\]]*\]`)
	number   = regexp.MustCompile(`\b[0-9][0-9a-z.]*`)
	word     = regexp.MustCompile(`[a-zA-Z_:][a-zA-Z0-9_:]*`)
	selected = regexp.MustCompile(`([a-zA-Z_:][a-zA-Z0-9_:]*)\{([^}]*)\}`)
	matcher  = regexp.MustCompile(`([a-z]+)(=~|!=|=)"([^"]*)"`)

	// language is what is no metric in our expressions.
	language = []string{"sum", "max", "rate", "increase", "changes", "avg_over_time", "histogram_quantile", "and", "offset"}
)

// unknown are the metrics and the labels' values in an expression that the series do not have.
func unknown(expr string, series map[string][]string) (missing []string) {
	for _, m := range selected.FindAllStringSubmatch(expr, -1) {
		for _, l := range matcher.FindAllStringSubmatch(m[2], -1) {
			if l[1] == "job" || l[1] == "instance" {
				continue // Prometheus's own
			}
			for value := range strings.SplitSeq(l[3], "|") {
				has := func(labels string) bool { return strings.Contains(labels, l[1]+`="`+value+`"`) }
				if !slices.ContainsFunc(series[m[1]], has) {
					missing = append(missing, m[1]+"{"+l[1]+`="`+value+`"}`)
				}
			}
		}
	}
	bare := quoted.ReplaceAllString(expr, "")
	bare = selected.ReplaceAllString(bare, "$1 ")
	bare = window.ReplaceAllString(grouping.ReplaceAllString(bare, " "), " ")
	for _, name := range word.FindAllString(number.ReplaceAllString(bare, " "), -1) {
		if len(series[name]) == 0 && !slices.Contains(language, name) {
			missing = append(missing, name)
		}
	}
	return missing
}

// TestMetricsExist: a node has every metric that the dashboard shows and the rules judge, and each value of a label
// that they ask for.
func TestMetricsExist(t *testing.T) {
	series := scraped(t)
	series["up"] = []string{""} // Prometheus's own
	rules := 0
	for _, g := range readRules(t).Groups {
		for _, r := range g.Rules {
			rules++
			if missing := unknown(r.Expr, series); missing != nil {
				t.Errorf("%s%s: a node has no %v", r.Record, r.Alert, missing)
			}
			if r.Record != "" {
				series[r.Record] = []string{""}
			}
		}
	}
	panels := shown(t)
	for _, expr := range panels {
		if missing := unknown(expr, series); missing != nil {
			t.Errorf("%s: a node has no %v", expr, missing)
		}
	}
	if rules < 20 || len(panels) < 40 {
		t.Errorf("%d rules and %d expressions of panels were looked at", rules, len(panels))
	}
}

// TestUnknownMetrics: the check above sees what is not there.
func TestUnknownMetrics(t *testing.T) {
	series := map[string][]string{"a_total": {`{reason="x"}`, `{reason="y"}`}, "b": {""}}
	for _, c := range []struct {
		expr string
		want []string
	}{
		{`sum by (instance) (rate(a_total{job="roost", reason=~"x|y"}[5m])) > 0.5e3 * b offset 1d`, nil},
		{`sum by (instance) (rate(c_total{job="roost"}[5m])) > b`, []string{"c_total"}},
		{`rate(a_total{reason=~"x|z"}[5m]) and ignoring (reason) d`, []string{`a_total{reason="z"}`, "d"}},
		{`rate(a_total{reason!="z"}[5m])`, []string{`a_total{reason="z"}`}},
		{`b{kind="x"}`, []string{`b{kind="x"}`}},
	} {
		if got := unknown(c.expr, series); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", c.expr, got, c.want)
		}
	}
}
