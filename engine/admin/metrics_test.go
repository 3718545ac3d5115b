package admin

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/roost-ws/roost/engine/enginetest"
)

// promised is contract section 5: the figures with the labels that tell them apart.
var promised = map[string]string{
	"connections": "", "handshakes_total": "", "handshakes_refused_total": "reason", "closes_total": "reason", "reconnects_total": "",
	"messages_received_total": "", "messages_sent_total": "", "received_bytes_total": "", "sent_bytes_total": "",
	"publications_total": "source", "deliveries_total": "", "deliveries_dropped_total": "reason", "gaps_total": "", "rooms": "", "members": "",
	"outbound_bytes": "", "rate_limited_total": "kind", "broker_up": "", "memory_bytes_per_connection": "kind",
	"capacity_connections": "", "capacity_limit": "cause",
	"ping_rtt_seconds_bucket": "le", "ping_rtt_seconds_sum": "", "ping_rtt_seconds_count": "",
	"delivery_seconds_bucket": "le", "delivery_seconds_sum": "", "delivery_seconds_count": "",
	"loop_lag_seconds_bucket": "le", "loop_lag_seconds_sum": "", "loop_lag_seconds_count": "",
	"broker_delay_seconds_bucket": "le", "broker_delay_seconds_sum": "", "broker_delay_seconds_count": "",
}

var (
	metricLine  = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[a-zA-Z_][a-zA-Z0-9_]*="[^"\\\n]*"(?:, ?)?)*)\})? (\S+)$`)
	metricLabel = regexp.MustCompile(`([a-zA-Z_][a-zA-Z0-9_]*)="([^"]*)"`)
)

// scrape reads the metrics and returns the value of each series of ours, by its name and labels without the prefix.
func (p *port) scrape() map[string]float64 {
	p.t.Helper()
	got := p.ask("GET", "/metrics", "")
	if got.status != 200 || got.header.Get("Content-Type") != "text/plain; version=0.0.4; charset=utf-8" {
		p.t.Fatalf("%d %v", got.status, got.header)
	}
	all, ours := map[string]bool{}, map[string]float64{}
	for line := range strings.Lines(got.body) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		m := metricLine.FindStringSubmatch(line)
		if m == nil {
			p.t.Errorf("no metric: %q", line)
			continue
		}
		value, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			p.t.Errorf("no value: %q", line)
		}
		series, _, _ := strings.Cut(line, " ")
		if i := strings.LastIndex(line, "} "); i >= 0 {
			series = line[:i+1]
		}
		if all[series] {
			p.t.Errorf("twice: %q", series)
		}
		all[series] = true
		if name, ok := strings.CutPrefix(series, "roost_"); ok {
			ours[name] = value
		}
	}
	for _, name := range []string{"go_goroutines", "go_memstats_heap_alloc_bytes", "process_resident_memory_bytes"} {
		if !all[name] {
			p.t.Errorf("%s is missing", name)
		}
	}
	return ours
}

func TestMetricsArePromised(t *testing.T) {
	p := open(t, setup{})
	labels := map[string]string{}
	for series := range p.scrape() {
		name, rest, _ := strings.Cut(series, "{")
		var names []string
		for _, m := range metricLabel.FindAllStringSubmatch(rest, -1) {
			names = append(names, m[1])
		}
		labels[name] = strings.Join(names, ",")
	}
	for name, want := range promised {
		if got, ok := labels[name]; !ok || got != want {
			t.Errorf("roost_%s{%s}: have {%s}, %v", name, want, got, ok)
		}
	}
	for name, label := range labels {
		if !slices.Contains([]string{"", "reason", "source", "kind", "cause", "code", "le"}, label) {
			t.Errorf("roost_%s has a label %s", name, label)
		}
	}
}

func TestMetricsCount(t *testing.T) {
	p := open(t, setup{})
	c, _ := p.openClient("/ws?room=a", v1)
	for range 3 {
		p.expect(200, `{"offset":0,"epoch":""}`, "POST", "/api/publish", `{"room":"a","data":1}`)
		c.ExpectType("message")
	}
	c.SendText(`{"type":"publish","room":"a","data":2}`)
	c.ExpectType("message")
	want := map[string]float64{
		"connections": 1, "handshakes_total": 1, "rooms": 1, "members": 1, "messages_received_total": 1,
		`publications_total{source="api"}`: 3, `publications_total{source="client"}`: 1, "deliveries_total": 4, "broker_up": 1,
		"capacity_connections": 1000, `capacity_limit{cause="configured"}`: 1, `capacity_limit{cause="descriptors"}`: 0,
	}
	var wrong string
	waitFor(t, func() bool { // a loop's figures are as of its last tick
		have := p.scrape()
		wrong = ""
		for series, value := range want {
			if have[series] != value {
				wrong += fmt.Sprintf("%s is %v, want %v\n", series, have[series], value)
			}
		}
		return wrong == "" || t.Failed()
	})
}

// A thousand rooms, and users, paths and addresses besides, make no series.
func TestLabelsAreClosed(t *testing.T) {
	p := open(t, setup{node: withTokens(t)})
	series := func() []string {
		var names []string
		for name := range p.scrape() {
			names = append(names, name)
		}
		slices.Sort(names)
		return names
	}
	before := series()
	clients := make([]*enginetest.Client, 10)
	for i := range clients {
		clients[i], _ = p.openClient("/ws", as(t, fmt.Sprintf("canary-user-%d", i)))
	}
	for i := range 1000 {
		c, room := clients[i/100], fmt.Sprintf("canary-room-%d-%x", i, i*7919)
		c.SendText(`{"type":"join","room":"` + room + `","id":1}`)
		if i%100 == 99 {
			for range 100 {
				c.WaitType("joined")
			}
			p.ask("POST", "/api/publish", `{"room":"`+room+`","data":1}`)
			p.ask("GET", "/api/users/"+room, "")
			p.ask("GET", "/"+room, "")
			enginetest.DialRefused(t, p.client, "/"+room, enginetest.Options{}, 404)
		}
	}
	after := series()
	if !slices.Equal(before, after) {
		t.Errorf("%d series before, %d after", len(before), len(after))
	}
	for _, name := range after {
		if strings.Contains(name, "canary") {
			t.Errorf("series %s", name)
		}
	}
}
