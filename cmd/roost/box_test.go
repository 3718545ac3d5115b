package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/roost-ws/roost/cmd/internal/config"
	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/sysctl"
)

// boxOf makes the box of a machine that has just these files.
func boxOf(t *testing.T, connections int, files map[string]string) *box {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b := newBox(root, sysctl.Process{})
	b.aim(connections, func() int { return 0 })
	return b
}

const fewPages = "1000 1500 2000\n"

func TestBoxCheck(t *testing.T) {
	small := map[string]string{"/proc/sys/net/ipv4/tcp_mem": fewPages}
	const refused = "limits.connections: this box does not hold 100000: tcp_mem is 2,000, and "
	for name, c := range map[string]struct {
		files map[string]string
		asked int
		check string
		err   string
		log   string
	}{
		"nothing can be read":     {nil, 100_000, config.CheckRefuse, "", ""},
		"too small":               {small, 100_000, config.CheckRefuse, refused, ""},
		"too small, and warned":   {small, 100_000, config.CheckWarn, "", "the box is too small"},
		"too small for the limit": {small, 0, config.CheckRefuse, "", "the box is too small"},
	} {
		t.Run(name, func(t *testing.T) {
			b, log := boxOf(t, 100_000, c.files), &enginetest.Log{}
			cfg := &config.Config{Limits: config.Limits{Connections: c.asked, Check: c.check}}
			err := b.check(cfg, slog.New(slog.NewTextHandler(log, nil)))
			switch {
			case c.err == "" && err != nil, c.err != "" && (err == nil || !strings.HasPrefix(err.Error(), c.err)):
				t.Errorf("%v, want %s", err, c.err)
			case err != nil && (strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "net.ipv4.tcp_mem = ")):
				t.Errorf("it is no line with the fix: %v", err)
			case c.log == "" && strings.Contains(log.String(), "WARN"), !strings.Contains(log.String(), c.log):
				t.Errorf("the log says %s", log)
			}
		})
	}
}

func TestBoxCapacity(t *testing.T) {
	if n, cause := boxOf(t, 10, nil).Capacity(); n != 0 || cause != "" {
		t.Errorf("%d because of %s, where nothing is known", n, cause)
	}
	b := boxOf(t, 10, map[string]string{"/proc/sys/net/ipv4/tcp_mem": fewPages, "/proc/net/sockstat": "sockets: used 9\nTCP: inuse 5 orphan 1 tw 2 alloc 6 mem 3\n"})
	if n, cause := b.Capacity(); n <= 0 || n > 2000 || cause != string(sysctl.CauseTCPMem) {
		t.Errorf("%d because of %s, want at most 2000 because of tcp_mem", n, cause)
	}
	if _, counted := b.KernelPerConnection(10); counted {
		t.Error("the kernel's share is counted where no control group counts it")
	}
	var text strings.Builder
	if b.writeMetrics(&text); text.String() != "roost_box_tcp_sockets 5\nroost_box_tcp_orphans 1\nroost_box_tcp_time_wait 2\nroost_box_tcp_pages 3\n" {
		t.Errorf("the figures are\n%s", &text)
	}
}
