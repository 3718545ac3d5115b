// A service manager's files: what is asked for, and what follows from the configuration.

package deploy

import (
	"bytes"
	"fmt"
	"net"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/roost-ws/roost/cmd/internal/config"
)

// endMargin is what an orderly end may take beyond the drain: close frames that nobody answers, the broker, requests
// at the operator's port.
const endMargin = 30 * time.Second

// StopTimeout is how long a node may take from SIGTERM to its exit before something is wrong.
func StopTimeout(c *config.Config) time.Duration { return c.Drain.Grace + c.Drain.Window + endMargin }

// ServiceOptions say what the configuration of a node does not know. The names of the flags are in the errors.
type ServiceOptions struct {
	// Binary and ConfigPath are where roost and the configuration lie on the node, as absolute paths.
	Binary, ConfigPath string
	// User is who the node runs as; empty lets systemd make one up while the node runs.
	User string
}

// Service makes the unit of a node that has the configuration c, for systemd 247 or newer. The error is a
// [config.Problems] that names flags and keys; then there is no file.
func Service(c *config.Config, o ServiceOptions) ([]byte, error) {
	s := &service{ServiceOptions: o}
	s.checkOptions()
	s.readKeyFiles(c)
	s.readAddresses(c)
	if len(s.problems) > 0 {
		return nil, s.problems
	}
	s.size(c)
	var b bytes.Buffer
	err := parsed.ExecuteTemplate(&b, "roost.service.tmpl", s)
	return b.Bytes(), err
}

// service is what the unit's template sees.
type service struct {
	ServiceOptions
	// Credentials are files that systemd reads and passes on, so that the user need not be able to.
	Credentials []credential
	// Readable are files that the user itself has to be able to read.
	Readable []string
	// Activated says that listeners are passed by the socket unit.
	Activated bool
	// LowPorts says that a port below 1024 is to be opened.
	LowPorts bool

	Connections int // limits.connections, 0 = not set
	Files       int
	RaiseFiles  bool // Files are more than a kernel allows that was told nothing
	Stop        time.Duration

	Mark             config.Size // limits.memory, 0 = not set
	High, Most, Heap int         // MiB, where there is a mark

	problems config.Problems
}

// credential is a key file: Name is the setting that has its path.
type credential struct{ Name, Path string }

// userName is what useradd accepts as one.
var userName = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,30}$`)

func (s *service) refuse(at config.Problem) { s.problems = append(s.problems, at) }

func (s *service) checkOptions() {
	s.checkPath(aboutFlag("binary", "", "write one such as /usr/local/bin/roost"), s.Binary, true)
	s.checkPath(aboutFlag("config-path", "", "write one such as /etc/roost/roost.yaml"), s.ConfigPath, true)
	if s.User == "root" || s.User != "" && !userName.MatchString(s.User) {
		s.refuse(aboutFlag("user", fmt.Sprintf("%q is not the name of a user to run a service as", s.User),
			"write one such as roost, or leave the flag away for one that systemd makes up"))
	}
}

// hidden are folders that the unit keeps from the node.
var hidden = []string{"/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/", "/dev/"}

// checkPath refuses a path that a unit would take apart or, if the node itself opens it, that the unit hides.
func (s *service) checkPath(about config.Problem, path string, opens bool) {
	if !plainPath.MatchString(path) {
		about.Wrong = fmt.Sprintf("%q is not an absolute path of A-Z a-z 0-9 / . _ + @ = -", path)
		s.refuse(about)
		return
	}
	for _, folder := range hidden {
		if opens && strings.HasPrefix(path, folder) {
			about.Wrong = fmt.Sprintf("%q lies in %s, which the unit keeps from the node", path, folder)
			s.refuse(about)
		}
	}
}

// readKeyFiles sorts the key files of c. Those of a list cannot be given by flags, so the user has to read them.
func (s *service) readKeyFiles(c *config.Config) {
	const fix = "write an absolute path"
	for _, k := range []credential{
		{"admin.key_file", c.Admin.KeyFile},
		{"auth.hmac_secret_file", c.Auth.HMACSecretFile},
		{"auth.public_key_file", c.Auth.PublicKeyFile},
	} {
		if k.Path != "" {
			s.checkPath(config.Problem{Key: k.Name, Fix: fix}, k.Path, false)
			s.Credentials = append(s.Credentials, k)
		}
	}
	for i := range c.Auth.Issuers {
		name := fmt.Sprintf("auth.issuers[%d].", i)
		if path := c.Auth.Issuers[i].HMACSecretFile; path != "" {
			at := config.Problem{Key: name + "hmac_secret_file", Fix: fix}
			s.checkPath(at, path, true)
			if s.User == "" {
				at.Wrong, at.Fix = "could not be read by a user that systemd makes up, unless by everybody", "name a user that may read it with --user"
				s.refuse(at)
			}
			s.Readable = append(s.Readable, path)
		}
		if path := c.Auth.Issuers[i].PublicKeyFile; path != "" {
			s.checkPath(config.Problem{Key: name + "public_key_file", Fix: fix}, path, true)
			s.Readable = append(s.Readable, path)
		}
	}
}

// readAddresses looks for what listeners need: to be passed, or a privilege.
func (s *service) readAddresses(c *config.Config) {
	for _, address := range append([]string{c.Admin.Listen}, c.Listen...) {
		if _, inherited := config.InheritedDescriptor(address); inherited {
			s.Activated = true
			continue
		}
		_, port, _ := net.SplitHostPort(address)
		n, err := strconv.Atoi(port)
		s.LowPorts = s.LowPorts || err == nil && n > 0 && n < 1024
	}
}

const (
	// usualFiles is fs.nr_open of a kernel that was told nothing.
	usualFiles = 1 << 20
	// kernelBytes is what the kernel keeps for one connection.
	kernelBytes = 4100
	// leastMiB is what a node needs before its first connection, and some more.
	leastMiB = 64
)

// size follows the limits of c.
func (s *service) size(c *config.Config) {
	s.Stop = (StopTimeout(c) + time.Second - 1).Truncate(time.Second)
	s.Connections, s.Files = c.Limits.Connections, usualFiles
	if s.Connections > 0 {
		s.Files = s.Connections + max(4096, s.Connections/50)
	}
	s.RaiseFiles = s.Files > usualFiles
	if mark := int(c.Limits.Memory); mark > 0 {
		heap := max(mark-s.Connections*kernelBytes, mark/2) / 10 * 9
		mib := func(bytes int) int { return max(ceil(bytes, 1<<20), leastMiB) }
		s.Mark, s.High, s.Most, s.Heap = c.Limits.Memory, mib(mark/4*5), mib(mark/2*3), mib(heap)
	}
}
