package deploy

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/cmd/internal/config"
)

// units are configurations whose units are kept in testdata and shown to systemd.
var units = []struct {
	name string
	set  func(*config.Config, *ServiceOptions)
	bind []string // of the socket unit, for those that have one
}{
	{"plain", func(*config.Config, *ServiceOptions) {}, nil},
	{"full", func(c *config.Config, o *ServiceOptions) {
		o.User = "roost"
		c.Limits.Connections, c.Limits.Memory = 2_000_000, 16<<30
		c.Drain.Grace, c.Drain.Window = 1500*time.Millisecond, 2*time.Minute
		c.Listen = []string{"0.0.0.0:80", "[::]:8082"}
		c.Admin.KeyFile, c.Auth.HMACSecretFile, c.Auth.PublicKeyFile = "/etc/roost/admin.key", "/etc/roost/secret", "/etc/roost/keys.pem"
	}, nil},
	{"issuers", func(c *config.Config, o *ServiceOptions) {
		o.User = "roost"
		c.Auth.Issuers = []config.Signer{
			{Issuer: "a", HMACSecretFile: "/etc/roost/a.secret"}, {Issuer: "b", PublicKeyFile: "/etc/roost/b.pem"}, {Issuer: "c", JWKSURL: "https://c/"},
		}
	}, nil},
	{"activated", func(c *config.Config, o *ServiceOptions) {
		c.Listen = []string{"fd:4", "fd:3"}
		c.Limits.Connections, c.Limits.Memory = 100, 1<<20
	}, []string{":80", "10.0.0.11:8082"}},
}

func serviceOf(set func(*config.Config, *ServiceOptions)) (*config.Config, ServiceOptions) {
	c := config.Default()
	o := ServiceOptions{Binary: "/usr/local/bin/roost", ConfigPath: "/etc/roost/roost.yaml"}
	set(&c, &o)
	return &c, o
}

func TestServiceGolden(t *testing.T) {
	for _, u := range units {
		c, o := serviceOf(u.set)
		text, err := Service(c, o)
		if err != nil {
			t.Errorf("%s: %v", u.name, err)
			continue
		}
		golden(t, "testdata/service-"+u.name+".golden", text)
		if u.bind != nil {
			if text, err = Socket(c, u.bind); err != nil {
				t.Errorf("%s: %v", u.name, err)
				continue
			}
			golden(t, "testdata/socket-"+u.name+".golden", text)
		}
	}
}

// TestServiceLimits is the table of what follows from limits.
func TestServiceLimits(t *testing.T) {
	for _, c := range []struct {
		name        string
		connections int
		memory      config.Size
		window      time.Duration
		want        []string
		lacks       string
	}{
		{"nothing", 0, 0, 10 * time.Second, []string{"LimitNOFILE=1048576", "TimeoutStopSec=42s"}, "Memory(High|Max)|GOMEMLIMIT|fs.nr_open="},
		{"few", 100, 0, 0, []string{"LimitNOFILE=4196", "TimeoutStopSec=32s"}, "fs.nr_open"},
		{"two in a hundred", 500_000, 0, 100 * time.Millisecond, []string{"LimitNOFILE=510000", "TimeoutStopSec=33s"}, "fs.nr_open"},
		{"more than a kernel allows", 1_100_000, 0, 0, []string{"LimitNOFILE=1122000", "sysctl -w fs.nr_open=1122000"}, "GOMEMLIMIT"},
		{"memory alone", 0, 1 << 30, 0, []string{"MemoryHigh=1280M", "MemoryMax=1536M", "GOMEMLIMIT=922MiB", "MemorySwapMax=0"}, "fs.nr_open="},
		{"the kernel's share", 100_000, 1 << 30, 0, []string{"GOMEMLIMIT=570MiB"}, "fs.nr_open"},
		{"half at least", 1_000_000, 1 << 30, 0, []string{"GOMEMLIMIT=461MiB"}, "fs.nr_open"},
		{"less than a node needs", 1, 1 << 10, 0, []string{"MemoryHigh=64M", "MemoryMax=64M", "GOMEMLIMIT=64MiB"}, "fs.nr_open"},
	} {
		t.Run(c.name, func(t *testing.T) {
			settings, o := serviceOf(func(s *config.Config, _ *ServiceOptions) {
				s.Limits.Connections, s.Limits.Memory, s.Drain.Window = c.connections, c.memory, c.window
			})
			text, err := Service(settings, o)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if !regexp.MustCompile(`(?m)(^|=|: )` + regexp.QuoteMeta(want) + `$`).Match(text) {
					t.Errorf("%s is missing in\n%s", want, text)
				}
			}
			if found := regexp.MustCompile(c.lacks).Find(text); found != nil {
				t.Errorf("%s is there", found)
			}
		})
	}
}

// TestServiceMistakes: each is refused with the flag or key to mend, on a line of its own, and nothing is made.
func TestServiceMistakes(t *testing.T) {
	for _, c := range []struct {
		name string
		set  func(*config.Config, *ServiceOptions)
		want string
	}{
		{"relative binary", func(_ *config.Config, o *ServiceOptions) { o.Binary = "roost" }, `flag --binary: "roost" is not an absolute path of`},
		{"a specifier", func(_ *config.Config, o *ServiceOptions) { o.Binary = "/opt/%n" }, `flag --binary: "/opt/%n" is not`},
		{"a second word", func(_ *config.Config, o *ServiceOptions) { o.ConfigPath = "/etc/roost.yaml --dev" }, `flag --config-path: "/etc/roost.yaml --dev" is not`},
		{"a second line", func(_ *config.Config, o *ServiceOptions) { o.ConfigPath = "/a\nExecStartPre=/b" }, `flag --config-path: "/a\nExecStartPre=/b" is not`},
		{"hidden binary", func(_ *config.Config, o *ServiceOptions) { o.Binary = "/home/ada/roost" }, `flag --binary: "/home/ada/roost" lies in /home/, which the unit keeps from the node; write one such as /usr/local/bin/roost`},
		{"hidden configuration", func(_ *config.Config, o *ServiceOptions) { o.ConfigPath = "/tmp/roost.yaml" }, `flag --config-path: "/tmp/roost.yaml" lies in /tmp/`},
		{"root", func(_ *config.Config, o *ServiceOptions) { o.User = "root" }, `flag --user: "root" is not the name of a user to run a service as`},
		{"no user", func(_ *config.Config, o *ServiceOptions) { o.User = "a b" }, `flag --user: "a b" is not`},
		{"relative key", func(c *config.Config, _ *ServiceOptions) { c.Auth.HMACSecretFile = "secret" }, `auth.hmac_secret_file: "secret" is not an absolute path of`},
		{"a key's path with a colon", func(c *config.Config, _ *ServiceOptions) { c.Admin.KeyFile = "/etc/a:b" }, `admin.key_file: "/etc/a:b" is not an absolute path of`},
		{"an issuer's secret", func(c *config.Config, _ *ServiceOptions) {
			c.Auth.Issuers = []config.Signer{{Issuer: "a", HMACSecretFile: "/etc/a"}}
		}, `auth.issuers[0].hmac_secret_file: could not be read by a user that systemd makes up, unless by everybody; name a user that may read it with --user`},
		{"an issuer's hidden key", func(c *config.Config, _ *ServiceOptions) {
			c.Auth.Issuers = []config.Signer{{Issuer: "a", PublicKeyFile: "/root/a.pem"}}
		}, `auth.issuers[0].public_key_file: "/root/a.pem" lies in /root/`},
	} {
		t.Run(c.name, func(t *testing.T) {
			settings, o := serviceOf(c.set)
			text, err := Service(settings, o)
			refused(t, text, err, c.want)
		})
	}
}

func refused(t *testing.T, text []byte, err error, want string) {
	t.Helper()
	var problems config.Problems
	if !errors.As(err, &problems) || !strings.Contains(err.Error(), want) || text != nil {
		t.Fatalf("%v, want %s", err, want)
	}
	if strings.Contains(err.Error(), "\n") {
		t.Errorf("more than one line: %v", err)
	}
}

func TestSocketMistakes(t *testing.T) {
	for _, c := range []struct {
		name         string
		listen, bind []string
		want         string
	}{
		{"nobody to serve", []string{":8080"}, []string{":8080"}, "listen: names no descriptor, so the sockets would serve nobody; write fd:3 there, and its address after --bind"},
		{"a gap", []string{"fd:3", "fd:5"}, []string{":1", ":2"}, "listen: names fd:5 but not fd:4, and descriptors are passed from 3 on without a gap; write fd:4"},
		{"no address", []string{"fd:3"}, nil, "flag --bind: has 0 addresses, and listen names 1 descriptors; write one for each"},
		{"a name", []string{"fd:3"}, []string{"localhost:80"}, `flag --bind: "localhost:80" is not an IP address and a port; write :8080`},
		{"any port", []string{"fd:3"}, []string{":0"}, `flag --bind: ":0" is not an IP address and a port`},
		{"a second line", []string{"fd:3"}, []string{":80\nExecStartPre=/b"}, `is not an IP address and a port`},
		{"twice", []string{"fd:3", "fd:4"}, []string{":80", "[::]:80"}, `flag --bind: [::]:80 is there twice; remove one`},
	} {
		t.Run(c.name, func(t *testing.T) {
			settings := config.Default()
			settings.Listen = c.listen
			text, err := Socket(&settings, c.bind)
			refused(t, text, err, c.want)
		})
	}
}

// installed looks for a program that a test needs.
func installed(t *testing.T, program string) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a program from outside: not with -short")
	}
	if _, err := exec.LookPath(program); err != nil {
		t.Fatalf("%s is not installed: run .ci/install (as root it installs Debian's), or test with -short", program)
	}
}

// TestSystemdAccepts has systemd read the units, without a word of complaint, and judge how little a node may do: 2.0
// of 10 at most.
func TestSystemdAccepts(t *testing.T) {
	installed(t, "systemd-analyze")
	for _, u := range units {
		t.Run(u.name, func(t *testing.T) {
			dir := t.TempDir()
			c, o := serviceOf(u.set)
			o.Binary = "/bin/true" // one that exists
			files := map[string][]byte{}
			var err error
			if files["roost.service"], err = Service(c, o); err != nil {
				t.Fatal(err)
			}
			if u.bind != nil {
				if files["roost.socket"], err = Socket(c, u.bind); err != nil {
					t.Fatal(err)
				}
			}
			for name, text := range files {
				if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for name := range files {
				said, err := exec.Command("systemd-analyze", "verify", "--man=no", filepath.Join(dir, name)).CombinedOutput()
				if err != nil || strings.Contains(string(said), dir) {
					t.Errorf("%s: %v\n%s", name, err, said)
				}
			}
			said, err := exec.Command("systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager", filepath.Join(dir, "roost.service")).CombinedOutput()
			score := regexp.MustCompile(`Overall exposure level for roost.service: ([\d.]+)`).FindSubmatch(said)
			if err != nil || score == nil {
				t.Fatalf("%v\n%s", err, said)
			}
			t.Logf("exposure %s", score[1])
		})
	}
}

// TestSystemdRefuses: the check above would see a mistake.
func TestSystemdRefuses(t *testing.T) {
	installed(t, "systemd-analyze")
	c, o := serviceOf(units[0].set)
	o.Binary = "/bin/true"
	text, err := Service(c, o)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "roost.service")
	for _, wrong := range []struct{ from, to string }{
		{"NoNewPrivileges=yes", "NoNewPrivilege=yes"}, {"WatchdogSec=20s", "WatchdogSec=soon"}, {"/bin/true", "/bin/nowhere"},
	} {
		if err := os.WriteFile(file, []byte(strings.Replace(string(text), wrong.from, wrong.to, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		said, err := exec.Command("systemd-analyze", "verify", "--man=no", file).CombinedOutput()
		if err == nil && !strings.Contains(string(said), file) {
			t.Errorf("%s is accepted", wrong.to)
		}
	}
	loose := regexp.MustCompile(`(?m)^(Protect|Private|Restrict|SystemCall).*$`).ReplaceAll(text, nil)
	if err := os.WriteFile(file, loose, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := exec.Command("systemd-analyze", "security", "--offline=yes", "--threshold=20", "--no-pager", file).Run(); err == nil {
		t.Error("a unit that may do much is accepted")
	}
}
