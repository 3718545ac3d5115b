package main

import (
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/cmd/internal/config"
	"github.com/roost-ws/roost/engine"
	"github.com/roost-ws/roost/fanout"
)

// busOf makes the bus of a configuration file.
func busOf(t *testing.T, file string) (*bus, *config.Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "roost.yaml")
	if err := os.WriteFile(path, []byte("auth.mode: anonymous\nnode: n\n"+file), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := loadArgs(t, "--config="+path)
	if err != nil {
		t.Fatal(err)
	}
	b, err := newBus(&l.Config, slog.New(slog.DiscardHandler))
	return b, &l.Config, err
}

func TestBusAlone(t *testing.T) {
	for file, want := range map[string]struct{ history, presence bool }{
		"":                                     {},
		"history.size: 5":                      {history: true},
		"presence.events: true":                {presence: true},
		"rooms: [{match: a, history.size: 5}]": {history: true},
		"rooms: [{match: a, presence.events: true}]": {presence: true},
	} {
		b, c, err := busOf(t, file)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		var o engine.Options
		b.connect(c, &o)
		_, history := o.Broker.(fanout.History)
		if history != want.history || (o.Presence != nil) != want.presence || o.Peers || o.PresenceShared || o.StayLocal || o.Linger != 10*time.Second {
			t.Errorf("%s: history %v, presence %v in %+v", file, history, o.Presence, o)
		}
		if b.writeMetrics(io.Discard); b.redis != nil {
			t.Errorf("%s: Redis", file)
		}
	}
}

func TestBusOnRedis(t *testing.T) {
	for file, local := range map[string]bool{
		"broker.url: redis://127.0.0.1:1": true,
		"broker: {url: 'redis+sentinel://127.0.0.1:1,127.0.0.1:2/master', offline: refuse}": false,
	} {
		b, c, err := busOf(t, file)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		var o engine.Options
		b.connect(c, &o)
		if _, history := o.Broker.(fanout.History); !history || !o.Peers || o.StayLocal != local {
			t.Errorf("%s: %+v", file, o)
		}
		var text strings.Builder
		if b.writeMetrics(&text); !strings.Contains(text.String(), "roost_broker_publishes_total 0\n") {
			t.Errorf("%s: figures %q", file, &text)
		}
	}
	if _, _, err := busOf(t, "broker.url: redis://user:canary@:notaport"); err == nil || !strings.HasPrefix(err.Error(), "broker.url: ") || strings.Contains(err.Error(), "canary") {
		t.Errorf("a bad address: %v", err)
	}
}

func TestRetention(t *testing.T) {
	_, c, err := busOf(t, "history: {size: 7, ttl: 3m}\nrooms: [{match: 'a.*', history.size: 0}, {match: '**', history.size: 9}]")
	if err != nil {
		t.Fatal(err)
	}
	for room, want := range map[string]int{"a.b": 0, "a.b.c": 9, "x": 9, fanout.ControlRoom: 0} {
		if got := retention(c)(room); got.Size != want || want > 0 && got.TTL != 3*time.Minute {
			t.Errorf("%s keeps %+v, want %d", room, got, want)
		}
	}
	_, c, _ = busOf(t, "history.size: 7")
	if got := retention(c)("x"); got.Size != 7 {
		t.Errorf("without rules: %+v", got)
	}
}
