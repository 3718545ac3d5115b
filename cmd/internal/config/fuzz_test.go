package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// FuzzLoadYAML loads any bytes as the file, as ROOST_ROOMS and as ROOST_AUTH_ISSUERS. Whatever they are: no panic, one line for each
// problem, values within their rows, and what was accepted loads again from what it is printed as.
func FuzzLoadYAML(f *testing.F) {
	reference := &bytes.Buffer{}
	if err := WriteReference(reference); err != nil {
		f.Fatal(err)
	}
	f.Add(reference.Bytes())
	for _, seed := range []string{"", "{", "a: &a [*a]", "limits: &l\n  limits: *l", "<<: *x", "? {a: b}\n: c", "listen: [a, [b]]",
		"rooms:\n- &r {match: a.**, publish: anyone}\n- *r", "---\n---\n", "loops: !!binary aGk=", "\xff\xfe", "a: \"\\x\"",
		"limits: {message_bytes: 64 KiB}\nlimits.message_bytes: 1", "[{match: a.*, history: {size: 1}}]", "rooms: [~, 1, []]",
		"auth.issuers: [{issuer: a, jwks_url: 'https://a/'}, {issuer: a}, ~]", "[{issuer: a, algorithms: ES256, public_key: b}]",
		"auth: {issuers: [&i {issuer: a}, *i], audience: x}"} {
		f.Add([]byte(seed))
	}
	path := filepath.Join(f.TempDir(), "roost.yaml")
	f.Fuzz(func(t *testing.T, data []byte) {
		if bytes.Contains(data, []byte("_file")) {
			t.Skip("names other files")
		}
		if err := os.WriteFile(path, data, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := Load(Options{Environ: []string{"ROOST_CONFIG=" + path}})
		fuzzProblems(t, err)
		for _, s := range l.Config.settings() {
			if s.bounds == "" || s.key == "loops" {
				continue
			}
			if bad := s.read([]string{kindOf(s.field).show(s.field)}); bad != nil {
				t.Errorf("%s: %v", s.key, bad)
			}
		}
		if err := l.WriteOrigins(&bytes.Buffer{}); err != nil {
			t.Error(err)
		}
		_, err = Load(Options{Environ: []string{"ROOST_AUTH_ISSUERS=" + string(data)}})
		fuzzProblems(t, err)
		fuzzRooms(t, data)
	})
}

func fuzzProblems(t *testing.T, err error) {
	var problems Problems
	errors.As(err, &problems)
	for _, p := range problems {
		if strings.Contains(p.Error(), "\n") || p.Wrong == "" || p.Fix == "" {
			t.Errorf("problem %q", p.Error())
		}
	}
}

// fuzzRooms checks that rules which are accepted are printed as YAML that means the same.
func fuzzRooms(t *testing.T, data []byte) {
	l, err := Load(Options{Environ: []string{anonymous, "ROOST_ROOMS=" + string(data)}})
	if err != nil || len(l.Config.Rooms) == 0 {
		return
	}
	var shown []string
	for _, rule := range l.Config.Rooms {
		shown = append(shown, rule.String())
	}
	again, err := Load(Options{Environ: []string{anonymous, "ROOST_ROOMS=[" + strings.Join(shown, ", ") + "]"}})
	if err != nil || !reflect.DeepEqual(again.Config.Rooms, l.Config.Rooms) {
		t.Errorf("%v comes back as %v, %v", l.Config.Rooms, again.Config.Rooms, err)
	}
}

// FuzzValues checks that what a size, a duration or a network is shown as reads back as itself.
func FuzzValues(f *testing.F) {
	for _, seed := range []string{"64KiB", "16 kib", "1h0m5s", "-1s", "10.0.0.0/8", "::/0", "fd:3", "[::1]:80", "https://*.a:1", "redis://a:b@c?d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if size, err := ParseSize(text); err == nil {
			if back, err := ParseSize(size.String()); back != size || err != nil || size < 0 {
				t.Errorf("size %q: %v comes back as %v, %v", text, size, back, err)
			}
		}
		if d, err := parseDuration(text); err == nil {
			if back, err := time.ParseDuration(formatDuration(d)); back != d || err != nil {
				t.Errorf("duration %q: %v comes back as %v, %v", text, d, back, err)
			}
		}
		if p, err := parsePrefix(text); err == nil {
			if back, err := parsePrefix(p.String()); back != p || err != nil {
				t.Errorf("network %q: %v comes back as %v, %v", text, p, back, err)
			}
		}
		if a, bad := parseAddress(text); bad == nil && a.clashes(a) != (a.port != 0 || a.fd >= 0) {
			t.Errorf("address %q: clashes with itself: %v", text, a.clashes(a))
		}
		if shown := URL(text).String(); strings.Contains(text, "@") && !strings.Contains(shown, "...") {
			t.Errorf("address %q is shown as %q", text, shown)
		}
		_, _ = checkOrigin(text), checkPattern(text)
		if line := yamlString(text); strings.Contains(line, "\n") {
			t.Errorf("%q is shown on two lines", text)
		}
	})
}
