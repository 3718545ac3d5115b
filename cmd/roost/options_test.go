package main

import (
	"bytes"
	"errors"
	"log/slog"
	"net/netip"
	"reflect"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/roost-ws/roost/cmd/internal/config"
	"github.com/roost-ws/roost/engine"
	"github.com/roost-ws/roost/engine/ratelimit"
)

// loadArgs loads a configuration from flags alone.
func loadArgs(t *testing.T, args ...string) (*config.Loaded, error) {
	t.Helper()
	fs := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags := config.BindFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return config.Load(config.Options{Flags: flags})
}

// TestEverySettingArrives gives each setting of the engine a value of its own.
func TestEverySettingArrives(t *testing.T) {
	l, err := loadArgs(t, "--auth.mode=anonymous", "--listen=:1", "--listen=:2", "--loops=3", "--node=n",
		"--auth.leeway=4s", "--auth.refuse=close", "--auth.query_token",
		"--limits.connections=5", "--limits.connections_per_ip=6", "--limits.connections_per_user=7",
		"--limits.handshakes_per_second=8.5", "--limits.handshake_timeout=9s", "--limits.header_bytes=10KiB",
		"--limits.message_bytes=11KiB", "--limits.fragments=12", "--limits.rooms_per_connection=13", "--limits.room_bytes=14",
		"--limits.outbound_bytes=15KiB", "--limits.outbound_stall=16s", "--limits.outbound_total=17MiB",
		"--rate.messages=18", "--rate.burst=19", "--rate.controls=20", "--rate.control_burst=21", "--rate.scope=user",
		"--heartbeat.interval=22s", "--heartbeat.timeout=23s", "--slow_consumer=drop_newest",
		"--limits.handshakes_per_ip=27.5", "--limits.memory=28MiB", "--limits.max_age=29m",
		"--compression.mode=on", "--compression.threshold=30", "--proxy.mode=require", "--proxy.trusted=10.0.0.0/8",
		"--drain.grace=24s", "--drain.window=25s", "--drain.reconnect_in=26s",
		"--history.size=30", "--presence.events", "--presence.ttl=31s",
		"--rooms=[{match: 'a.*', publish: backend, slow_consumer: keep_latest}, {match: b, publish: anyone, history.size: 32}, {match: c, presence.events: false}]")
	if err != nil {
		t.Fatal(err)
	}
	got, err := engineOptions(&l.Config)
	if err != nil {
		t.Fatal(err)
	}
	limits := engine.DefaultLimits()
	limits.Connections, limits.ConnectionsPerIP, limits.ConnectionsPerUser = 5, 6, 7
	limits.HandshakesPerSecond, limits.HandshakeTimeout, limits.HeadBytes = 8.5, 9*time.Second, 10<<10
	limits.MessageBytes, limits.Fragments, limits.RoomsPerConnection, limits.RoomBytes = 11<<10, 12, 13, 14
	limits.OutboundBytes, limits.OutboundStall, limits.OutboundTotal = 15<<10, 16*time.Second, 17<<20
	limits.HandshakesPerIP, limits.Memory, limits.MaxAge = 27.5, 28<<20, 29*time.Minute
	limits.Messages, limits.Controls, limits.SharedRate = ratelimit.NewRate(18, 19), ratelimit.NewRate(20, 21), true
	want := engine.Options{
		Listen: []string{":1", ":2"}, Loops: 3, Node: "n", TokenLeeway: 4 * time.Second, RefuseByClose: true, QueryToken: true,
		Origins: got.Origins, Limits: limits, Heartbeat: 22 * time.Second, HeartbeatTimeout: 23 * time.Second,
		Drain:         engine.DrainOptions{Grace: 24 * time.Second, Window: 25 * time.Second, ReconnectIn: 26 * time.Second},
		Compression:   engine.CompressionOptions{On: true, Threshold: 30},
		ProxyRequired: true, Trusted: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")},
		SlowConsumer: engine.DropNewest,
		Rooms: []engine.RoomRule{
			{Match: "a.*", Publish: engine.PublishBackend, SlowConsumer: engine.KeepLatest, History: 30, PresenceEvents: true},
			{Match: "b", Publish: engine.PublishAnyone, SlowConsumer: engine.DropNewest, History: 32, PresenceEvents: true},
			{Match: "c", Publish: engine.PublishMembers, SlowConsumer: engine.DropNewest, History: 30},
		},
		History: 30, PresenceEvents: true, PresenceTTL: 31 * time.Second,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestOriginsArrive(t *testing.T) {
	for _, c := range []struct {
		origins      string
		same, stated bool
	}{
		{"", true, false},
		{"https://app.example.com", false, true},
		{"*", true, true},
	} {
		l, err := loadArgs(t, "--auth.mode=anonymous", "--origins="+c.origins)
		if err != nil {
			t.Fatal(err)
		}
		o, err := engineOptions(&l.Config)
		if err != nil {
			t.Fatal(err)
		}
		host := []byte("ws.example.com")
		same := o.Origins.Allows([]byte("https://ws.example.com"), host)
		stated := o.Origins.Allows([]byte("https://app.example.com"), host)
		if same != c.same || stated != c.stated {
			t.Errorf("origins %q: same host %v, stated %v", c.origins, same, stated)
		}
	}
}

// TestEveryWordIsTranslated asks the configuration which words a setting takes: a map that lacked one would turn
// it into the default without a sound.
func TestEveryWordIsTranslated(t *testing.T) {
	for _, c := range []struct {
		name  string
		args  []string
		known func(word string) bool
	}{
		{"slow_consumer", []string{"--slow_consumer=?"}, func(w string) bool { _, ok := slowConsumer[w]; return ok }},
		{"rooms.publish", []string{"--rooms=[{match: a, publish: '?'}]"}, func(w string) bool { _, ok := publish[w]; return ok }},
		{"log.level", []string{"--log.level=?"}, func(w string) bool { var l slog.Level; return l.UnmarshalText([]byte(w)) == nil }},
	} {
		_, err := loadArgs(t, append(c.args, "--auth.mode=anonymous")...)
		var problems config.Problems
		if !errors.As(err, &problems) || len(problems) != 1 {
			t.Fatalf("%s: %v", c.name, err)
		}
		list, ok := strings.CutPrefix(problems[0].Fix, "write ")
		words := strings.Split(strings.ReplaceAll(list, " or ", ", "), ", ")
		if !ok || len(words) < 2 {
			t.Fatalf("%s: no list of words in %q", c.name, problems[0].Fix)
		}
		for _, w := range words {
			if !c.known(w) {
				t.Errorf("%s: %q is not translated", c.name, w)
			}
		}
	}
}

func TestLog(t *testing.T) {
	for _, c := range []struct {
		level, format string
		debug, warn   bool
		start         string
	}{
		{"debug", config.LogJSON, true, true, `{"time":`},
		{"info", config.LogText, false, true, "time="},
		{"error", config.LogText, false, false, ""},
	} {
		var b bytes.Buffer
		log := newLog(&b, config.Log{Level: c.level, Format: c.format})
		log.Debug("first")
		log.Warn("second")
		text := b.String()
		if strings.Contains(text, "first") != c.debug || strings.Contains(text, "second") != c.warn || !strings.HasPrefix(text, c.start) {
			t.Errorf("%s %s: %q", c.level, c.format, text)
		}
	}
}

func TestVersionOf(t *testing.T) {
	for _, c := range []struct {
		name, linked string
		info         string
		want, at     string
	}{
		{"a release", "1.2.3", "build\tvcs.revision=abc\n", "1.2.3", "abc"},
		{"a changed tree", "", "build\tvcs.revision=abc\nbuild\tvcs.modified=true\n", "(devel)", "abc (changed since)"},
		{"go install", "", "mod\tgithub.com/roost-ws/roost\tv1.0.0\n", "v1.0.0", "unknown"},
		{"nothing known", "", "", "(devel)", "unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			version = c.linked
			defer func() { version = "" }()
			info, err := debug.ParseBuildInfo(c.info)
			if err != nil {
				t.Fatal(err)
			}
			if name, revision := versionOf(info, c.info != ""); name != c.want || revision != c.at {
				t.Errorf("%q %q, want %q %q", name, revision, c.want, c.at)
			}
		})
	}
}
