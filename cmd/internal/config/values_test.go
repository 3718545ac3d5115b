package config

import (
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

func TestParseSize(t *testing.T) {
	for _, c := range []struct {
		text string
		want Size
		err  string
	}{
		{text: "0"},
		{text: "65536", want: 65536},
		{text: "64KiB", want: 65536},
		{text: "16 KiB", want: 16384},
		{text: " 16 kib ", want: 16384},
		{text: "512B", want: 512},
		{text: "1MiB", want: 1 << 20},
		{text: "3 GiB", want: 3 << 30},
		{text: "2TiB", want: 2 << 40},
		{text: "9223372036854775807", want: math.MaxInt64},
		{text: "9223372036854775808", err: "too large"},
		{text: "8388608TiB", err: "too large"},
		{text: "8388607TiB", want: 8388607 << 40},
		{text: "", err: "not a size"},
		{text: "KiB", err: "not a size"},
		{text: "-1", err: "not a size"},
		{text: "+1", err: "not a size"},
		{text: "1.5MiB", err: "unknown unit"},
		{text: "64KB", err: "write 64KiB"},
		{text: "64k", err: "write 64KiB"},
		{text: "2m", err: "write 2MiB"},
		{text: "64 parsecs", err: "unknown unit"},
	} {
		got, err := ParseSize(c.text)
		if !says(err, c.err) || got != c.want {
			t.Errorf("ParseSize(%q) = %d, %v; want %d, %q", c.text, got, err, c.want, c.err)
		}
	}
}

func TestSizeString(t *testing.T) {
	for size, want := range map[Size]string{0: "0", 256: "256", 1000: "1000", 1024: "1KiB", 1536: "1536",
		64 << 10: "64KiB", 1 << 20: "1MiB", 3 << 30: "3GiB", 1 << 40: "1TiB", 1025 << 30: "1025GiB"} {
		if size.String() != want {
			t.Errorf("%d: %s, want %s", int64(size), size, want)
		}
		if back, err := ParseSize(size.String()); back != size || err != nil {
			t.Errorf("%d comes back as %d, %v", int64(size), int64(back), err)
		}
	}
}

func TestDuration(t *testing.T) {
	for _, c := range []struct {
		text string
		want time.Duration
		show string
		err  string
	}{
		{text: "30s", want: 30 * time.Second, show: "30s"},
		{text: "30 s", want: 30 * time.Second, show: "30s"},
		{text: "60s", want: time.Minute, show: "1m"},
		{text: "1m30s", want: 90 * time.Second, show: "1m30s"},
		{text: "720h", want: 720 * time.Hour, show: "720h"},
		{text: "1h0m5s", want: time.Hour + 5*time.Second, show: "1h0m5s"},
		{text: "90m", want: 90 * time.Minute, show: "1h30m"},
		{text: "250ms", want: 250 * time.Millisecond, show: "250ms"},
		{text: "0", show: "0s"},
		{text: "30", err: "write 30s"},
		{text: "2d", err: "write 48h"},
		{text: "", err: "not a duration"},
		{text: "soon", err: "not a duration"},
	} {
		got, err := parseDuration(c.text)
		if !says(err, c.err) || got != c.want {
			t.Errorf("parseDuration(%q) = %v, %v; want %v, %q", c.text, got, err, c.want, c.err)
		}
		if c.err == "" && formatDuration(got) != c.show {
			t.Errorf("%q is shown as %s, want %s", c.text, formatDuration(got), c.show)
		}
	}
}

func TestScalars(t *testing.T) {
	type fields struct {
		b bool
		i int
		f float64
	}
	for _, c := range []struct {
		name, text, bounds, err string
		want                    fields
	}{
		{name: "bool", text: "true", want: fields{b: true}},
		{name: "bool", text: "yes", err: "write true or false"},
		{name: "bool", text: "True", err: "neither true nor false"},
		{name: "int", text: " 7 ", want: fields{i: 7}},
		{name: "int", text: "1e3", err: "not a whole number"},
		{name: "int", text: "0x10", err: "not a whole number"},
		{name: "int", text: "99999999999999999999", err: "too large"},
		{name: "int", text: "9", bounds: "1..8", err: "write 1 to 8"},
		{name: "int", text: "-1", bounds: "0..8", err: "out of range"},
		{name: "int", text: "8", bounds: "1..8", want: fields{i: 8}},
		{name: "float", text: "0.5", want: fields{f: 0.5}},
		{name: "float", text: "NaN", err: "not a number"},
		{name: "float", text: "Inf", err: "not a number"},
		{name: "float", text: "1e400", err: "not a number"},
		{name: "float", text: "0.0001", bounds: "0.001..1", err: "out of range"},
	} {
		var got fields
		s := setting{bounds: c.bounds, field: map[string]any{"bool": &got.b, "int": &got.i, "float": &got.f}[c.name]}
		var err error
		if bad := s.read([]string{c.text}); bad != nil {
			err = bad
		}
		if !says(err, c.err) || got != c.want {
			t.Errorf("%s %q: %v, %v; want %v, %q", c.name, c.text, got, err, c.want, c.err)
		}
	}
}

func TestURLHidesSecrets(t *testing.T) {
	for address, want := range map[URL]string{
		"":                                     "",
		"memory:":                              "memory:",
		"redis://host:6379/0":                  "redis://host:6379/0",
		"redis://user:canary@host:6379":        "redis://...@host:6379",
		"redis://:canary@host":                 "redis://...@host",
		"redis://u:can@ary@host":               "redis://...@host",
		"redis://u:can/ary?x@host":             "redis://...@host",
		"redis+cluster://u:canary@a:1,b:2,c:3": "redis+cluster://...@a:1,b:2,c:3",
		"redis://host?password=canary":         "redis://host?...",
		"user:canary@host":                     "...@host",
		"nats://a@b,nats://u:canary@c":         "nats://...@c",
	} {
		for _, shown := range everyForm(address) {
			if shown != want && shown != `"`+want+`"` {
				t.Errorf("%s is shown as %s, want %s", string(address), shown, want)
			}
		}
	}
}

func TestSecretHidesItself(t *testing.T) {
	for _, shown := range everyForm(Secret("canary-canary")) {
		if strings.Trim(shown, `"`) != "(set, 13 bytes)" {
			t.Errorf("shown as %s", shown)
		}
	}
	cfg := Default()
	cfg.Auth.HMACSecret, cfg.Admin.Key, cfg.Broker.URL = "canary", "canary", "redis://:canary@host"
	cfg.Auth.Issuers = []Signer{{HMACSecret: "canary", JWKSURL: "https://canary@host/?canary"}}
	for _, shown := range everyForm(cfg) {
		if strings.Contains(shown, "canary") {
			t.Errorf("a Config shows a secret: %s", shown)
		}
	}
}

// everyForm is v through the verbs and encodings that end up in logs.
func everyForm(v any) []string {
	encoded, err := json.Marshal(v)
	if err != nil {
		encoded = []byte(err.Error())
	}
	forms := []string{string(encoded)}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		forms = append(forms, fmt.Sprintf(verb, v))
	}
	return forms
}

func TestNearest(t *testing.T) {
	keys := keysOf((&Config{}).settings())
	for name, want := range map[string]string{
		"limits.conections":     "limits.connections",
		"connections":           "limits.connections",
		"Limits.Connections":    "limits.connections",
		"limits.message_size":   "limits.message_bytes",
		"auth.hmac_secret_path": "auth.hmac_secret_file",
		"jwks_url":              "auth.jwks_url",
		"loglevel":              "log.level",
		"heartbeat.intervall":   "heartbeat.interval",
		"slow":                  "slow_consumer",
		"origin":                "origins",
	} {
		if got := nearest(name, keys); got != want {
			t.Errorf("%s: nearest is %s, want %s", name, got, want)
		}
	}
	if got := nearest(strings.Repeat("x", 1<<20), keys); got == "" {
		t.Error("nothing is nearest to a long name")
	}
	if got := nearest("x", nil); got != "" {
		t.Errorf("%q is nearest of nothing", got)
	}
}

// says reports whether err holds text; "" is no error.
func says(err error, text string) bool {
	if text == "" {
		return err == nil
	}
	return err != nil && strings.Contains(err.Error(), text)
}
