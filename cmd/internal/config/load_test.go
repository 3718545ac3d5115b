package config

import (
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// input is what one load gets. The file, if any, is roost.yaml in an empty working directory.
type input struct {
	file string
	env  []string
	args []string
	// files are others beside it, by name.
	files map[string]string
}

// load runs Load on in. Without args the file is named by --config.
func load(t *testing.T, in input) (*Loaded, error) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range in.files {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	args := in.args
	if in.file != "" {
		if err := os.WriteFile("roost.yaml", []byte(in.file), 0o600); err != nil {
			t.Fatal(err)
		}
		args = append([]string{"--config", "roost.yaml"}, args...)
	}
	fs := pflag.NewFlagSet("roost", pflag.ContinueOnError)
	flags := BindFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return Load(Options{Flags: flags, Environ: in.env})
}

// anonymous makes a load pass that is not about tokens.
const anonymous = "ROOST_AUTH_MODE=anonymous"

func TestLayers(t *testing.T) {
	const key = "limits.message_bytes"
	file := "limits:\n  message_bytes: 1KiB\n"
	for _, c := range []struct {
		name   string
		in     input
		want   Size
		origin string
	}{
		{"default", input{}, 64 << 10, "default"},
		{"file", input{file: file}, 1 << 10, "file roost.yaml:2"},
		{"env over file", input{file: file, env: []string{"ROOST_LIMITS_MESSAGE_BYTES=2KiB"}}, 2 << 10, "env ROOST_LIMITS_MESSAGE_BYTES"},
		{"flag over env", input{file: file, env: []string{"ROOST_LIMITS_MESSAGE_BYTES=2KiB"},
			args: []string{"--limits.message_bytes=3KiB"}}, 3 << 10, "flag --limits.message_bytes"},
		{"flag alone", input{args: []string{"--limits.message_bytes", "3 KiB"}}, 3 << 10, "flag --limits.message_bytes"},
		{"last of two flags", input{args: []string{"--limits.message_bytes=3KiB", "--limits.message_bytes=4KiB"}}, 4 << 10, "flag --limits.message_bytes"},
		{"flag back to the default", input{file: file, args: []string{"--limits.message_bytes=64KiB"}}, 64 << 10, "flag --limits.message_bytes"},
		{"dotted key in the file", input{file: "\nlimits.message_bytes: 1KiB"}, 1 << 10, "file roost.yaml:2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.in.env = append(c.in.env, anonymous)
			l, err := load(t, c.in)
			if err != nil {
				t.Fatal(err)
			}
			if got := l.Config.Limits.MessageBytes; got != c.want || l.Origin(key).String() != c.origin {
				t.Errorf("%v from %v, want %v from %s", got, l.Origin(key), c.want, c.origin)
			}
		})
	}
}

// TestEveryKeyInEveryLayer sets each key to something else than its default by file, variable and flag.
func TestEveryKeyInEveryLayer(t *testing.T) {
	values := map[string]string{
		"auth.hmac_secret": strings.Repeat("k", 32), "admin.key": strings.Repeat("a", 32), "listen": "127.0.0.1:9000",
		"admin.listen": "127.0.0.1:9001", "loops": "3", "origins": "https://a.example", "proxy.trusted": "10.0.0.0/8",
		"broker.url": "nats://host", "auth.jwks_url": "https://a.example/keys", "rooms": "[{match: a, publish: anyone}]",
		"auth.algorithms": "HS256", "limits.outbound_bytes": "300KiB", "limits.outbound_total": "300MiB",
		"auth.issuers":          "[{issuer: a, jwks_url: 'https://a.example/keys'}]",
		"auth.hmac_secret_file": "hmac", "admin.key_file": "key", "auth.public_key_file": "pem",
	}
	files := map[string]string{"hmac": strings.Repeat("k", 32), "key": strings.Repeat("a", 32), "pem": "text"}
	for _, s := range (&Config{}).settings() {
		value, ok := values[s.key]
		if !ok {
			value = other(&s)
		}
		for layer, in := range map[string]input{
			"file": {file: s.key + ": " + quotedUnlessList(s.key, value)},
			"env":  {env: []string{s.env() + "=" + value}},
			"flag": {args: []string{"--" + s.key + "=" + value}},
		} {
			t.Run(s.key+"/"+layer, func(t *testing.T) {
				in.files = files
				if s.key != "auth.mode" {
					in.env = append(in.env, anonymous)
				}
				l, err := load(t, in)
				if err != nil && !strings.Contains(err.Error(), notYet) && !strings.Contains(err.Error(), "proxy.trusted: is empty") {
					t.Fatal(err)
				}
				got, def := reflect.ValueOf(lookup(l.Config.settings(), s.key).field).Elem(), Default()
				if reflect.DeepEqual(got.Interface(), reflect.ValueOf(lookup(def.settings(), s.key).field).Elem().Interface()) {
					t.Errorf("is still %v", got)
				}
				if !strings.HasPrefix(l.Origin(s.key).String(), layer+" ") {
					t.Errorf("origin is %v", l.Origin(s.key))
				}
			})
		}
	}
}

// other is a legal value of s that is not its default.
func other(s *setting) string {
	if lo, hi, ok := strings.Cut(s.bounds, ".."); ok {
		if lo == s.def {
			return hi
		}
		return lo
	}
	for _, w := range s.words {
		if w != s.def {
			return w
		}
	}
	if _, ok := s.field.(*bool); ok {
		return "true"
	}
	return "other"
}

func quotedUnlessList(key, value string) string {
	if key == "rooms" || key == "auth.issuers" {
		return value
	}
	return yamlString(value)
}

func TestLists(t *testing.T) {
	two := []string{":1", "[::1]:2"}
	for _, c := range []struct {
		name string
		in   input
		want []string
	}{
		{"flow", input{file: `listen: [":1", "[::1]:2"]`}, two},
		{"block", input{file: "listen:\n  - :1\n  - '[::1]:2'\n"}, two},
		{"one text in the file", input{file: `listen: ":1, [::1]:2"`}, two},
		{"alias", input{file: "origins: [&a \"https://x.example\", *a]\nlisten: [\":1\", \"[::1]:2\"]"}, two},
		{"env", input{env: []string{"ROOST_LISTEN=:1, [::1]:2,"}}, two},
		{"flag with commas", input{args: []string{"--listen=:1,[::1]:2"}}, two},
		{"flag repeated", input{args: []string{"--listen=:1", "--listen=[::1]:2"}}, two},
		{"flag replaces the file", input{file: "listen: [\":3\"]", args: []string{"--listen=:1"}}, []string{":1"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.in.env = append(c.in.env, anonymous)
			l, err := load(t, c.in)
			if err != nil || !reflect.DeepEqual(l.Config.Listen, c.want) {
				t.Errorf("%q, %v; want %q", l.Config.Listen, err, c.want)
			}
		})
	}
}

func TestRooms(t *testing.T) {
	inherited := RoomRule{Match: "a.*", SlowConsumer: SlowKeepLatest, Publish: PublishMembers}
	full := RoomRule{Match: "b", SlowConsumer: SlowDropNewest, Publish: PublishBackend}
	const text = `[{match: "a.*"}, {match: b, slow_consumer: drop_newest, publish: backend, history.size: 0, presence: {events: false}}]`
	for name, in := range map[string]input{
		"file": {file: "slow_consumer: keep_latest\nrooms:\n- match: a.*\n- match: b\n  slow_consumer: drop_newest\n  publish: backend\n"},
		"env":  {env: []string{"ROOST_ROOMS=" + text, "ROOST_SLOW_CONSUMER=keep_latest"}},
		"flag": {args: []string{"--rooms", text, "--slow_consumer=keep_latest"}},
		"flag over file": {file: "rooms: [{match: c}]",
			args: []string{"--rooms", text, "--slow_consumer=keep_latest"}},
	} {
		t.Run(name, func(t *testing.T) {
			in.env = append(in.env, anonymous)
			l, err := load(t, in)
			if err != nil {
				t.Fatal(err)
			}
			if want := []RoomRule{inherited, full}; !reflect.DeepEqual(l.Config.Rooms, want) {
				t.Errorf("%v, want %v", l.Config.Rooms, want)
			}
		})
	}
	t.Run("emptied by env", func(t *testing.T) {
		l, err := load(t, input{file: "rooms: [{match: c}]", env: []string{"ROOST_ROOMS=", anonymous}})
		if err != nil || len(l.Config.Rooms) != 0 || l.Origin("rooms").Layer != FromEnv {
			t.Errorf("%v from %v, %v", l.Config.Rooms, l.Origin("rooms"), err)
		}
	})
}

func TestDerived(t *testing.T) {
	l, err := load(t, input{env: []string{anonymous}})
	if err != nil {
		t.Fatal(err)
	}
	if l.Config.Loops != runtime.GOMAXPROCS(0) {
		t.Errorf("loops %d", l.Config.Loops)
	}
	again, _ := load(t, input{env: []string{anonymous}})
	if l.Config.Node == again.Config.Node || len(l.Config.Node) < 9 {
		t.Errorf("nodes are called %s and %s", l.Config.Node, again.Config.Node)
	}
	if l.Config.Log.Format != LogJSON {
		t.Errorf("log.format %s without a terminal", l.Config.Log.Format)
	}
	if l, _ = Load(Options{Terminal: true}); l.Config.Log.Format != LogText {
		t.Errorf("log.format %s on a terminal", l.Config.Log.Format)
	}
	if name := nodeName("höst name." + strings.Repeat("x", 100)); strings.Trim(name, nodeBytes) != "" || len(name) > 70 {
		t.Errorf("node name %q", name)
	}
}

func TestConfigVariable(t *testing.T) {
	in := input{files: map[string]string{"a.yaml": "heartbeat.interval: 20s", "b.yaml": "heartbeat.interval: 25s"},
		env: []string{"ROOST_CONFIG=a.yaml", anonymous}}
	l, err := load(t, in)
	if err != nil || l.Config.Heartbeat.Interval != 20*time.Second || l.File != "a.yaml" {
		t.Errorf("%v of %s, %v", l.Config.Heartbeat.Interval, l.File, err)
	}
	in.args = []string{"--config=b.yaml"}
	l, err = load(t, in)
	if err != nil || l.Config.Heartbeat.Interval != 25*time.Second || l.File != "b.yaml" {
		t.Errorf("%v of %s, %v", l.Config.Heartbeat.Interval, l.File, err)
	}
}

func TestDev(t *testing.T) {
	for _, c := range []struct {
		name string
		in   input
		err  string
	}{
		{name: "alone"},
		{name: "file changes something else", in: input{file: "heartbeat.interval: 20s"}},
		{name: "other loopback", in: input{args: []string{"--listen=[::1]:9,localhost:10", "--admin.listen=127.9.9.9:1"}}},
		{name: "tokens after all", in: input{file: "auth: {mode: jwt, hmac_secret: " + strings.Repeat("s", 32) + "}"}},
		{name: "everywhere", in: input{args: []string{"--listen=:8080"}},
			err: `flag --listen: listen: ":8080" is not loopback, which --dev insists on because it lets everybody in; write 127.0.0.1:8080, or leave --dev away`},
		{name: "inherited", in: input{env: []string{"ROOST_LISTEN=fd:3"}}, err: "is not loopback"},
		{name: "a name", in: input{file: "admin.listen: box:1"}, err: "roost.yaml:1: admin.listen: \"box:1\" is not loopback"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.in.args = append(c.in.args, "--dev")
			l, err := load(t, c.in)
			if !says(err, c.err) || !l.Dev {
				t.Fatalf("%v, want %q", err, c.err)
			}
			if o := l.Config.Origins; len(o) != 1 || o[0] != "*" || l.Origin("origins").String() != "dev" {
				t.Errorf("origins %q from %v", o, l.Origin("origins"))
			}
		})
	}
}

func TestEnvOfOthers(t *testing.T) {
	l, err := load(t, input{env: []string{anonymous, "PATH=/bin", "ROOSTER=1", "NOVALUE",
		"ROOST_SERVICE_HOST=10.0.0.1", "ROOST_SERVICE_PORT=80", "ROOST_SERVICE_PORT_HTTP=80", "ROOST_PORT=tcp://10.0.0.1:80",
		"ROOST_PORT_80_TCP=tcp://10.0.0.1:80", "ROOST_PORT_80_TCP_PROTO=tcp", "ROOST_PORT_80_TCP_PORT=80",
		"ROOST_PORT_80_TCP_ADDR=10.0.0.1", "ROOST_ADMIN_PORT=tcp://10.0.0.1:80", "ROOST_ADMIN_SERVICE_HOST=10.0.0.1"}})
	if err != nil {
		t.Errorf("%v", err)
	}
	if l.Config.Auth.Mode != AuthAnonymous {
		t.Error("our own variable was not read")
	}
}

func TestFlagError(t *testing.T) {
	fs := pflag.NewFlagSet("roost", pflag.ContinueOnError)
	BindFlags(fs)
	for arg, want := range map[string]string{
		"--limits.conections=5": "flag --limits.conections: is not a flag; the nearest is --limits.connections",
		"--confg=x":             "flag --confg: is not a flag; the nearest is --config",
		"-x":                    "unknown shorthand flag: 'x' in -x",
		"--loops":               "flag needs an argument: --loops",
	} {
		if err := FlagError(fs, fs.Parse([]string{arg})); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", arg, err, want)
		}
	}
	if err := FlagError(fs, nil); err != nil {
		t.Errorf("an error out of nothing: %v", err)
	}
}

func TestFlagsShowInHelp(t *testing.T) {
	fs := pflag.NewFlagSet("roost", pflag.ContinueOnError)
	BindFlags(fs)
	usage := fs.FlagUsages()
	for _, want := range []string{"--limits.message_bytes size", "(default 64KiB)", "--rooms yaml", "--config string", "(jwt or anonymous)"} {
		if !strings.Contains(usage, want) {
			t.Errorf("help does not show %q", want)
		}
	}
	if err := fs.Parse([]string{"--auth.hmac_secret=canary"}); err != nil || strings.Contains(fs.FlagUsages(), "canary") ||
		strings.Contains(fs.Lookup("auth.hmac_secret").Value.String(), "canary") {
		t.Errorf("a flag shows its secret, %v", err)
	}
}

func TestSecretFiles(t *testing.T) {
	secret := strings.Repeat("s", 32)
	for _, c := range []struct {
		name, text string
		want       Secret
		err        string
	}{
		{"bare", secret, Secret(secret), ""},
		{"line end", secret + "\n", Secret(secret), ""},
		{"windows line end", secret + "\r\n", Secret(secret), ""},
		{"two line ends", secret + "\n\n", Secret(secret + "\n"), ""},
		{"carriage return alone", secret + "\r", Secret(secret + "\r"), ""},
		{"binary", "\x00\xff" + secret, Secret("\x00\xff" + secret), ""},
		{"short", "canary\n", "canary", `hmac: auth.hmac_secret: has 6 bytes, fewer than 32; make one with: openssl rand -hex 32`},
		{"empty", "\n", "", `flag --auth.hmac_secret_file: auth.hmac_secret_file: "hmac" is empty`},
		{"huge", strings.Repeat("s", maxFileBytes+1), "", "larger than 1MiB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l, err := load(t, input{files: map[string]string{"hmac": c.text}, args: []string{"--auth.hmac_secret_file=hmac"}})
			if !says(err, c.err) || l.Config.Auth.HMACSecret != c.want {
				t.Errorf("%q, %v", string(l.Config.Auth.HMACSecret), err)
			}
			if c.err == "" && l.Origin("auth.hmac_secret").String() != "read from hmac" {
				t.Errorf("origin %v", l.Origin("auth.hmac_secret"))
			}
		})
	}
	t.Run("directory", func(t *testing.T) {
		_, err := load(t, input{args: []string{"--admin.key_file=."}, env: []string{anonymous}})
		if !says(err, `admin.key_file: "." cannot be read: is a directory`) {
			t.Error(err)
		}
	})
	t.Run("public key", func(t *testing.T) {
		l, err := load(t, input{files: map[string]string{"pem": "pem text\n"}, args: []string{"--auth.public_key_file=pem"}})
		if err != nil || string(l.Config.Auth.PublicKeyPEM) != "pem text\n" {
			t.Errorf("%q, %v", l.Config.Auth.PublicKeyPEM, err)
		}
	})
}

func TestReadableSecretsWarn(t *testing.T) {
	t.Chdir(t.TempDir())
	secret := strings.Repeat("s", 32)
	for name, text := range map[string]string{"key": secret, "roost.yaml": "auth.hmac_secret: " + secret} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for mode, want := range map[os.FileMode]int{0o600: 0, 0o640: 0, 0o644: 2} {
		for _, name := range []string{"key", "roost.yaml"} {
			if err := os.Chmod(name, mode); err != nil {
				t.Fatal(err)
			}
		}
		l, err := Load(Options{Environ: []string{"ROOST_CONFIG=" + filepath.Join(".", "roost.yaml"), "ROOST_ADMIN_KEY_FILE=key"}})
		if err != nil || len(l.Warnings) != want {
			t.Errorf("mode %v: %v, %v", mode, l.Warnings, err)
		}
	}
}
