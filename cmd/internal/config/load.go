// Load: the layers, one after the other, and what each value's origin is.

package config

import (
	"crypto/rand"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

const (
	envPrefix = "ROOST_"
	// envFile names the configuration file when --config does not. It is the one variable that is no setting.
	envFile = "ROOST_CONFIG"
)

// Options say where to read from.
type Options struct {
	// Flags are those that [BindFlags] registered, after parsing; nil is none.
	Flags *Flags
	// Environ holds NAME=value pairs as os.Environ returns them; nil is none.
	Environ []string
	// Terminal says that the log goes to a terminal, which decides what log.format auto means.
	Terminal bool
}

// Loaded is a configuration and what is known about it.
type Loaded struct {
	Config Config
	// Dev says that --dev was given: the preset is in force and every address is loopback.
	Dev bool
	// File is the configuration file that was read, "" without one.
	File string
	// Warnings do not keep a node from starting.
	Warnings []Problem

	origins map[string]Origin
}

// Origin says where the value of key was written; a default for a key that does not exist. Entries of lists have
// keys such as rooms[0] and rooms[0].match.
func (l *Loaded) Origin(key string) Origin { return l.origins[key] }

// Load reads defaults, file, environment and flags, checks the result, and fills in what depends on the machine.
// It reads the configuration file and the key files it names, and blocks for that long.
//
// Every mistake is reported: the error is a [Problems]. The Loaded is never nil; next to an error it holds what
// could be read, which is good for printing and nothing else.
func Load(o Options) (*Loaded, error) {
	r := newReader()
	r.readDefaults()
	flags := o.Flags
	if flags == nil {
		flags = &Flags{}
	}
	if flags.dev {
		r.readPreset()
	}
	env := r.readableEnv(o.Environ)
	path, at := env[envFile], Origin{Layer: FromEnv, Name: envFile}
	if flags.file != "" {
		path, at = flags.file, Origin{Layer: FromFlag, Name: flagFile}
	}
	if path != "" {
		r.readConfigFile(path, at)
	}
	r.readEnv(env)
	r.readFlags(flags)
	r.derive(o.Terminal)

	l := &Loaded{Dev: flags.dev, File: path, origins: r.origins}
	r.readKeys()
	if !r.fileLost {
		r.validate(flags.dev)
	}
	l.Config, l.Warnings = *r.cfg, r.warnings
	if len(r.problems) > 0 {
		return l, r.problems
	}
	return l, nil
}

// reader is one load under way.
type reader struct {
	cfg      *Config
	table    []setting
	origins  map[string]Origin
	problems Problems
	warnings []Problem
	// broken holds the keys that have a problem, so that cross-field rules do not complain about what is left.
	broken map[string]bool
	// fileLost says that nothing of the file could be read, so that what seems missing may be in there.
	fileLost bool
}

func newReader() *reader {
	cfg := &Config{}
	return &reader{cfg: cfg, table: cfg.settings(), origins: map[string]Origin{}, broken: map[string]bool{}}
}

func (r *reader) problem(at Origin, key, wrong, fix string) {
	r.broken[key] = true
	r.problems = append(r.problems, Problem{Origin: at, Key: key, Wrong: wrong, Fix: fix})
}

// unknown is the problem of a key, variable or flag that does not exist; label is how it is shown.
func (r *reader) unknown(at Origin, label, name string, candidates []string) {
	r.problem(at, label, "is not a setting", "the nearest is "+nearest(name, candidates))
}

// assign sets s from items.
func (r *reader) assign(s *setting, items []string, at Origin) {
	if bad := s.read(items); bad != nil {
		r.problem(at, s.key, bad.wrong, bad.fix)
		return
	}
	r.origins[s.key] = at
}

// assignText sets s from the text of a layer that is not YAML.
func (r *reader) assignText(s *setting, text string, at Origin) {
	e := entriesOf(s.field)
	if e == nil {
		k := kindOf(s.field)
		r.assign(s, k.split(text), at)
		return
	}
	before := len(r.problems)
	if list := r.parseYAML([]byte(text), at); len(r.problems) == before {
		r.readEntries(s, e, list, at)
	}
}

func (r *reader) readDefaults() {
	for i := range r.table {
		r.assignText(&r.table[i], r.table[i].def, Origin{Layer: FromDefault})
	}
}

// preset is what --dev puts on top of the defaults, contract section 1.
var preset = []struct{ key, text string }{
	{"listen", "127.0.0.1:8080"},
	{"admin.listen", "127.0.0.1:8081"},
	{"auth.mode", AuthAnonymous},
	{"origins", "*"},
	{"broker.url", brokerMemory},
}

func (r *reader) readPreset() {
	for _, p := range preset {
		r.assignText(lookup(r.table, p.key), p.text, Origin{Layer: FromDev})
	}
}

// readConfigFile reads the YAML file at path, which was named at.
func (r *reader) readConfigFile(path string, named Origin) {
	data, err := readFile(path)
	if err != nil {
		r.fileLost = true
		r.problem(named, "", quote(path)+" cannot be read: "+err.Error(), "write the path of a YAML file, roost gen config prints one")
		return
	}
	at := Origin{Layer: FromFile, Name: path}
	before := len(r.problems)
	root := r.parseYAML(data, at)
	if root == nil || isNull(root) {
		r.fileLost = len(r.problems) > before
		return
	}
	if root.Kind != yaml.MappingNode {
		r.fileLost = true
		r.problem(at.line(root.Line), "", "does not hold settings", "write key: value")
		return
	}
	m := &mapping{reader: r, at: at, table: r.table, seen: map[string]int{}}
	m.found = func(s *setting, value *yaml.Node, at Origin) {
		if e := entriesOf(s.field); e != nil {
			r.readEntries(s, e, value, at)
			return
		}
		words, bad := items(s, value)
		if bad != nil {
			r.problem(at, s.key, bad.wrong, bad.fix)
			return
		}
		r.assign(s, words, at)
	}
	m.walk(root, "")
}

// readableEnv keeps the variables that are ours; of two with one name the later counts, as it does for a shell.
func (r *reader) readableEnv(environ []string) map[string]string {
	env := map[string]string{}
	for _, pair := range environ {
		name, value, ok := strings.Cut(pair, "=")
		if ok && strings.HasPrefix(name, envPrefix) && !fromCluster(name, value) {
			env[name] = value
		}
	}
	return env
}

// clusterVariable is what Kubernetes puts into the environment of each container about a service whose name
// begins with roost: ROOST_SERVICE_HOST, ROOST_PORT_8080_TCP_ADDR, ROOST_ADMIN_PORT and so on. They are not ours,
// and refusing them would keep roost from starting beside a service of its own name.
var clusterVariable = regexp.MustCompile(`^ROOST_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

func fromCluster(name, value string) bool {
	if clusterVariable.MatchString(name) {
		return true
	}
	// ROOST_PORT alone could be somebody's wish to set a port; the cluster's holds an address.
	return strings.HasSuffix(name, "_PORT") &&
		(strings.HasPrefix(value, "tcp://") || strings.HasPrefix(value, "udp://") || strings.HasPrefix(value, "sctp://"))
}

func (r *reader) readEnv(env map[string]string) {
	known := map[string]*setting{}
	candidates := []string{envFile}
	for i := range r.table {
		known[r.table[i].env()] = &r.table[i]
		candidates = append(candidates, r.table[i].env())
	}
	names := make([]string, 0, len(env))
	for name := range env {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		at := Origin{Layer: FromEnv, Name: name}
		switch s := known[name]; {
		case s != nil:
			r.assignText(s, env[name], at)
		case name != envFile:
			at.Name = shownKey(name)
			r.unknown(at, "", name, candidates)
		}
	}
}

// derive replaces the values that stand for "what fits this machine".
func (r *reader) derive(terminal bool) {
	if r.cfg.Loops == 0 {
		r.cfg.Loops = runtime.GOMAXPROCS(0) // knows CPU quotas and affinity
	}
	if r.cfg.Node == "" {
		host, err := os.Hostname()
		if err != nil {
			host = "node" // the suffix keeps it apart from others
		}
		r.cfg.Node = nodeName(host)
	}
	if r.cfg.Log.Format == logAuto {
		r.cfg.Log.Format = LogJSON
		if terminal {
			r.cfg.Log.Format = LogText
		}
	}
	r.inherit()
}

// nodeName is host, reduced to what a node name may hold, and a suffix that differs at each start: a node that
// comes back is another node to its peers, with nothing of the old one's presence.
func nodeName(host string) string {
	const most = 60
	name := strings.Map(func(c rune) rune {
		if strings.ContainsRune(nodeBytes, c) {
			return c
		}
		return '-'
	}, host)
	if len(name) > most {
		name = name[:most]
	}
	return name + "-" + strings.ToLower(rand.Text()[:8])
}
