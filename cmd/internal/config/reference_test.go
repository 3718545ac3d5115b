package config

import (
	"bytes"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write golden files anew")

func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; go test -update writes it anew. Got:\n%s", path, got)
	}
}

func TestReference(t *testing.T) {
	var b bytes.Buffer
	if err := WriteReference(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/reference.yaml", b.Bytes())
	for line := range strings.Lines(b.String()) {
		if len(line) > 121 {
			t.Errorf("long line: %s", line)
		}
	}
	l, err := load(t, input{file: b.String()})
	if err == nil || !strings.Contains(err.Error(), "auth.mode: jwt has no key") || strings.Contains(err.Error(), "\n") {
		t.Fatalf("loading it does not fail for the missing key alone: %v", err)
	}
	want := Default()
	want.Node, want.Loops, want.Log.Format = l.Config.Node, l.Config.Loops, l.Config.Log.Format
	if !reflect.DeepEqual(l.Config, want) {
		t.Errorf("loading it changes something:\n%+v\n%+v", l.Config, want)
	}
	for _, s := range l.Config.settings() {
		if l.Origin(s.key).Layer != FromFile {
			t.Errorf("%s is not in it", s.key)
		}
	}
}

// TestReferenceExamples removes the comment signs of the examples.
func TestReferenceExamples(t *testing.T) {
	l, err := load(t, input{file: strings.ReplaceAll(referenceRooms, "# ", ""), env: []string{anonymous}})
	if err != nil || len(l.Config.Rooms) != 1 {
		t.Errorf("%v, %v", l.Config.Rooms, err)
	}
	issuers := strings.NewReplacer("# ", "  ", "/etc/roost/", "").Replace(referenceIssuers)
	l, err = load(t, input{file: "auth:\n" + issuers, files: map[string]string{"partner.pem": "text"}})
	if err != nil || len(l.Config.Auth.Issuers) != 2 {
		t.Errorf("%v, %v", l.Config.Auth.Issuers, err)
	}
}

func TestWriteOrigins(t *testing.T) {
	l, err := load(t, input{
		file: "limits:\n  connections: 100000\nproxy.trusted: [10.0.0.0/8]\nadmin.key: canary-canary-canary\n" +
			"rooms:\n  - match: chat.*\n    publish: anyone\n  - match: \"**\"\n",
		env:   []string{"ROOST_NODE=a", "ROOST_AUTH_HMAC_SECRET_FILE=hmac"},
		args:  []string{"--loops=4", "--listen=:1,:2"},
		files: map[string]string{"hmac": strings.Repeat("canary", 7) + "!\n"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := l.WriteOrigins(&b); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), "canary") {
		t.Error("shows a secret")
	}
	for _, want := range []string{
		"limits.connections = 100000  (file roost.yaml:2)\n",
		"proxy.trusted = [10.0.0.0/8]  (file roost.yaml:3)\n",
		"admin.key = (set, 20 bytes)  (file roost.yaml:4)\n",
		"auth.hmac_secret = (set, 43 bytes)  (read from hmac)\n",
		"auth.hmac_secret_file = hmac  (env ROOST_AUTH_HMAC_SECRET_FILE)\n",
		"loops = 4  (flag --loops)\n",
		"listen = [\":1\", \":2\"]  (flag --listen)\n",
		"node = a  (env ROOST_NODE)\n",
		"heartbeat.interval = 30s  (default)\n",
		"rooms[0] = {match: \"chat.*\", history.size: 0, presence.events: false, slow_consumer: disconnect, publish: anyone}  (file roost.yaml:6)\n",
		"rooms[1] = {match: \"**\", history.size: 0, presence.events: false, slow_consumer: disconnect, publish: members}  (file roost.yaml:8)\n",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no line %s", want)
		}
	}
	if lines := strings.Count(b.String(), "\n"); lines != len(l.Config.settings())+1 {
		t.Errorf("%d lines for %d settings and two rules", lines, len(l.Config.settings()))
	}
}

// TestPlacesOfProblems covers origins that have no line.
func TestPlacesOfProblems(t *testing.T) {
	for want, o := range map[string]Origin{
		"default": {}, "dev": {Layer: FromDev}, "file a": {Layer: FromFile, Name: "a"}, "file a:3": {Layer: FromFile, Name: "a", Line: 3},
		"env A": {Layer: FromEnv, Name: "A"}, "flag --a": {Layer: FromFlag, Name: "a"}, "read from a": {Layer: FromKeyFile, Name: "a"},
	} {
		if o.String() != want {
			t.Errorf("%v, want %s", o, want)
		}
	}
	if got := (Problem{Wrong: "is wrong"}).Error(); got != "is wrong" {
		t.Error(got)
	}
}
