// The box a node runs on: held against its connections before it starts, and followed while it runs.

package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/VictoriaMetrics/metrics"

	"github.com/roost-ws/roost/cmd/internal/config"
	"github.com/roost-ws/roost/sysctl"
)

// boxFresh is how long a sample of the box is good for.
const boxFresh = 5 * time.Second

// box implements engine.Box with what package sysctl knows. Its methods may be called from any goroutine once the
// connections are set.
type box struct {
	// Static after aim.
	sampler *sysctl.Sampler
	facts   *sysctl.Facts
	target  sysctl.Target
	before  sysctl.KernelMemory
	// held is how many connections there are.
	held func() int

	mu    sync.Mutex // guards what follows, and what moves in facts
	taken time.Time
	stops []sysctl.Stop
}

// newBox reads the box below root.
func newBox(root string, process sysctl.Process) *box {
	b := &box{sampler: sysctl.NewSampler(root), facts: sysctl.Read(root, process), held: func() int { return 0 }}
	b.before = b.sampler.KernelMemory(b.facts.Live)
	return b
}

// aim says what the box is wanted for, and how many connections there are.
func (b *box) aim(connections int, held func() int) {
	b.target = sysctl.Target{Connections: max(connections, 1), Role: sysctl.Node}
	b.held = held
}

// check holds the box against the connections of a node. With limits.check refuse, and a number of connections that
// somebody asked for, what is too small for it is an error; everything else is logged, in a line each for what is too
// small, and one for what could be better.
func (b *box) check(c *config.Config, log *slog.Logger) error {
	report := sysctl.Check(b.facts, b.target)
	var warned []string
	for i := range report.Rows {
		row := &report.Rows[i]
		switch {
		case row.Verdict == sysctl.Warn:
			warned = append(warned, row.ID)
		case row.Verdict != sysctl.Fail:
		case c.Limits.Connections > 0 && c.Limits.Check == config.CheckRefuse:
			return fmt.Errorf("limits.connections: this box does not hold %d: %s is %s, and %s is needed; %s; or write limits.check: warn",
				b.target.Connections, row.ID, row.Have, row.Need, row.Fix)
		default:
			log.Warn("the box is too small for its connections", "connections", b.target.Connections, "knob", row.ID,
				"have", row.Have, "need", row.Need, "fix", row.Fix)
		}
	}
	if len(warned) > 0 {
		log.Warn("the box could be better for its connections", "connections", b.target.Connections, "knobs", strings.Join(warned, " "),
			"see", fmt.Sprintf("roost tune check --connections %d", b.target.Connections))
	}
	if stops := report.Stops; len(stops) > 0 {
		log.Info("what the box has room for", "connections", stops[0].Connections, "because", string(stops[0].Cause))
	}
	return nil
}

// sample reads what moves, if that was not done a moment ago. mu is held.
func (b *box) sample() {
	if time.Since(b.taken) < boxFresh {
		return
	}
	b.sampler.Refresh(b.facts)
	b.taken = time.Now()
	target := b.target
	target.Held = b.held()
	b.stops = sysctl.Forecast(b.facts, target)
}

// Capacity implements engine.Box.
func (b *box) Capacity() (connections int, cause string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.sample(); len(b.stops) == 0 {
		return 0, ""
	}
	return int(min(b.stops[0].Connections, sysctl.MostConnections)), string(b.stops[0].Cause)
}

// Causes implements engine.Box.
func (b *box) Causes() []string {
	var words []string
	for _, c := range sysctl.Causes() {
		words = append(words, string(c))
	}
	return words
}

// KernelPerConnection implements engine.Box: what the control group counts, where it counts this process's sockets.
func (b *box) KernelPerConnection(connections int) (float64, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sample()
	now := b.sampler.KernelMemory(b.facts.Live)
	if now.Source != sysctl.KernelByGroup {
		return 0, false
	}
	return now.PerConnection(b.before, connections)
}

// writeMetrics writes the live values in Prometheus text format; what can't be read here is left out.
func (b *box) writeMetrics(w io.Writer) {
	b.mu.Lock()
	b.sample()
	l := b.facts.Live
	b.mu.Unlock()
	for _, f := range []struct {
		name  string
		value sysctl.Figure
	}{
		{"roost_box_tcp_sockets", l.Sockets},
		{"roost_box_tcp_orphans", l.Orphans},
		{"roost_box_tcp_time_wait", l.TimeWait},
		{"roost_box_tcp_pages", l.TCPPages},
		{"roost_box_files", l.Files},
		{"roost_box_conntrack_entries", l.Tracked},
		{"roost_box_memory_available_bytes", l.MemoryAvailable},
	} {
		if f.value.Known {
			metrics.WriteGaugeUint64(w, f.name, f.value.Value)
		}
	}
	for _, f := range []struct {
		name  string
		value sysctl.Figure
	}{
		{"roost_box_listen_overflows_total", l.ListenOverflows},
		{"roost_box_time_wait_overflows_total", l.TimeWaitOverflows},
		{"roost_box_packets_dropped_total", l.PacketsDropped},
		{"roost_box_throttled_periods_total", l.Throttled},
	} {
		if f.value.Known {
			metrics.WriteCounterUint64(w, f.name, f.value.Value)
		}
	}
}
