// roost bench compare: several servers under the same work, and a report.

package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/roost-ws/roost/bench"
	"github.com/roost-ws/roost/bench/compare"
	"github.com/roost-ws/roost/bench/report"
	"github.com/roost-ws/roost/engine/auth"
)

// othersDir is where the servers on other libraries are, from the root of the repository.
const othersDir = "bench/baseline/others"

// compareFlags are the flags of `roost bench compare`.
type compareFlags struct {
	servers, parts []string
	rounds         int
	short          bool
	serverFile     string
	out, against   string
	title          string
}

func newBenchCompare() *cobra.Command {
	c := &cobra.Command{
		Use:   "compare",
		Short: "Runs servers under the same work and writes a report",
		Long: "Runs each server in turn, several rounds, each server on one processor and the load generator on another,\n" +
			"and writes report.html, report.md and report.json. Takes about ten minutes; --short less.\n" +
			"Run it on a quiet machine.\n\n" +
			"Servers: roost and goroutine are in this program. gorilla, coder, gws and nbio are built with Go from\n" +
			othersDir + " when the command runs in the root of the repository. A --server-file adds others.\n\n" +
			"With --against, the report is held against an earlier one of the same machine, and the exit code is 1 if a\n" +
			"figure of roost has become worse than both reports' spread explains.",
		Example: "  go run ./cmd/roost bench compare\n" +
			"  roost bench compare --servers roost,goroutine --parts echo,fanout --rounds 5 --out /tmp/report",
		Args: noArguments,
	}
	var f compareFlags
	flags := c.Flags()
	flags.SortFlags = false
	flags.StringSliceVar(&f.servers, "servers", nil, "servers to compare; all there are without this flag")
	flags.StringSliceVar(&f.parts, "parts", nil, "parts to run: "+strings.Join(compare.Parts, ", ")+"; all without this flag")
	flags.IntVar(&f.rounds, "rounds", 3, "how often everything is measured; figures are medians")
	flags.BoolVar(&f.short, "short", false, "less of everything, to see a regression within minutes")
	flags.StringVar(&f.serverFile, "server-file", "", "YAML file with further servers")
	flags.StringVar(&f.out, "out", "roost-report", "directory for the report")
	flags.StringVar(&f.against, "against", "", "directory with an earlier report of this machine")
	flags.StringVar(&f.title, "title", "", "title of the report")
	c.RunE = func(c *cobra.Command, _ []string) error { return f.run(c) }
	return c
}

func (f *compareFlags) run(c *cobra.Command) error {
	plan := compare.DefaultPlan()
	if f.short {
		plan = compare.ShortPlan()
	}
	if len(f.parts) > 0 {
		if err := plan.Keep(f.parts); err != nil {
			return fmt.Errorf("--parts: %w", err)
		}
	}
	if f.rounds < 1 {
		return fmt.Errorf("--rounds is %d; write 1 or more", f.rounds)
	}
	var earlier *bench.Report
	if f.against != "" {
		var err error
		if earlier, err = readReport(filepath.Join(f.against, "report.json")); err != nil {
			return fmt.Errorf("--against: %w", err)
		}
	}
	work, err := os.MkdirTemp("", "roost-bench-*")
	if err != nil {
		return failed(err)
	}
	defer os.RemoveAll(work)
	ctx, stop := interruptible()
	defer stop()
	say := progress(c.ErrOrStderr())
	set := serverSet{work: work, say: say}
	servers, err := set.choose(ctx, f.servers, f.serverFile)
	if err != nil {
		return err
	}
	worker, err := workerCommand()
	if err != nil {
		return err
	}
	o := compare.Options{Servers: servers, Plan: plan, Rounds: f.rounds, Worker: worker, Command: typed(), Progress: say}
	o.ServerCPUs, o.ClientCPUs = compare.Split()
	r, err := compare.Run(ctx, o)
	if err != nil {
		return failed(err)
	}
	if f.title != "" {
		r.Title = f.title
	}
	return f.finish(c.OutOrStdout(), r, earlier)
}

// finish writes the report and the comparison with the earlier one.
func (f *compareFlags) finish(w io.Writer, r, earlier *bench.Report) error {
	page, err := report.WriteFiles(f.out, r)
	if err != nil {
		return failed(err)
	}
	if err := report.WriteMarkdown(w, r); err != nil {
		return failed(err)
	}
	if earlier != nil {
		changes, err := report.Changes(earlier, r, engineGoroutine)
		if err != nil {
			return failed(fmt.Errorf("--against: %w", err))
		}
		if err := report.WriteChanges(w, changes); err != nil {
			return failed(err)
		}
		if slices.ContainsFunc(changes, func(c report.Change) bool { return c.Verdict == report.Regressed }) {
			_, _ = fmt.Fprintln(w, page)
			return failed(errors.New("at least one figure has become worse than the spread of the rounds explains"))
		}
	}
	_, err = fmt.Fprintln(w, page)
	return failedIf(err)
}

func readReport(name string) (*bench.Report, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%w; write a directory that an earlier comparison wrote with --out", err)
	}
	defer f.Close()
	return report.ReadJSON(f)
}

// typed is the command line, for the report: a reader repeats it in a clone of the repository.
func typed() string {
	return strings.Join(append([]string{"go run ./cmd/roost"}, os.Args[1:]...), " ")
}

// serverSet knows the servers that can be compared.
type serverSet struct {
	work string // a directory for what is made on the way
	say  func(string)
}

// choose returns the named servers, or all that can be run here.
func (s *serverSet) choose(ctx context.Context, names []string, file string) ([]compare.Server, error) {
	all, err := s.own()
	if err != nil {
		return nil, err
	}
	others, err := s.others(ctx, names)
	if err != nil {
		return nil, err
	}
	all = append(all, others...)
	if file != "" {
		further, err := readServers(file)
		if err != nil {
			return nil, fmt.Errorf("--server-file: %w", err)
		}
		all = append(all, further...)
	}
	if len(names) == 0 {
		return all, nil
	}
	var chosen []compare.Server
	for _, name := range names {
		i := slices.IndexFunc(all, func(c compare.Server) bool { return c.Name == name })
		if i < 0 {
			return nil, fmt.Errorf("--servers: there is no server %q; there are %s", name, serverNames(all))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

func serverNames(all []compare.Server) string {
	var names []string
	for i := range all {
		names = append(names, all[i].Name)
	}
	return strings.Join(names, ", ")
}

// mostTokens is how many different users connect.
const mostTokens = 20000

// own are the servers in this program.
func (s *serverSet) own() ([]compare.Server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, failed(err)
	}
	secret := make([]byte, 32)
	_, _ = rand.Read(secret) // never fails
	text := hex.EncodeToString(secret)
	file := filepath.Join(s.work, "secret")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		return nil, failed(err)
	}
	tokens, err := mintMany(text, mostTokens)
	if err != nil {
		return nil, failed(err)
	}
	version, _ := buildVersion()
	return []compare.Server{
		{
			Server: bench.Server{Name: engineRoost, Ours: true, Version: version,
				About:   "this project: event loops, a room of one for each echo, a signed token in every handshake",
				Command: "roost bench serve --engine roost --auth.hmac_secret_file secret"},
			Start:        []string{self, "bench", "serve", "--engine", engineRoost, "--auth.hmac_secret_file", file},
			Echo:         "/raw/echo-{i}",
			Room:         "/raw/all",
			Subprotocols: []string{"roost.v1", "token.{token}"},
			Tokens:       tokens,
		},
		{
			Server: bench.Server{Name: engineGoroutine, Version: version,
				About:   "a goroutine for each connection on gobwas/ws; a member's queue leaves in one gathered write",
				Command: "roost bench serve --engine goroutine"},
			Start: []string{self, "bench", "serve", "--engine", engineGoroutine},
			Echo:  "/echo",
			Room:  "/raw/all",
		},
	}, nil
}

// mintMany makes tokens of as many users, good for a day and every room.
func mintMany(secret string, n int) ([]string, error) {
	signer, end := auth.Mint{HMACSecret: []byte(secret)}, time.Now().Add(24*time.Hour)
	tokens := make([]string, n)
	for i := range tokens {
		var err error
		if tokens[i], err = signer.Token(auth.Claims{User: fmt.Sprintf("user-%d", i), Rooms: []string{"**"}, ExpiresAt: end}); err != nil {
			return nil, fmt.Errorf("making tokens: %w", err)
		}
	}
	return tokens, nil
}

// others builds the servers on other libraries, unless none of them is wanted. Where there is no source or no Go
// they are left out, with a word about it.
func (s *serverSet) others(ctx context.Context, wanted []string) ([]compare.Server, error) {
	names := slices.Collect(maps.Keys(aboutOthers))
	slices.Sort(names)
	if len(wanted) > 0 && !slices.ContainsFunc(names, func(n string) bool { return slices.Contains(wanted, n) }) {
		return nil, nil
	}
	if _, err := os.Stat(filepath.Join(othersDir, "go.mod")); err != nil {
		s.say("without " + strings.Join(names, ", ") + ": " + othersDir + " is not here; run in the root of the repository to have them")
		return nil, nil
	}
	binary := filepath.Join(s.work, "others")
	s.say("building " + othersDir)
	build := exec.CommandContext(ctx, "go", "build", "-C", othersDir, "-trimpath", "-o", binary, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, failed(fmt.Errorf("building %s: %w: %s", othersDir, err, strings.TrimSpace(string(out))))
	}
	versions, err := exec.CommandContext(ctx, binary, "--version").Output()
	if err != nil {
		return nil, failed(fmt.Errorf("asking %s for its versions: %w", othersDir, err))
	}
	var all []compare.Server
	for line := range strings.Lines(string(versions)) {
		name, version, _ := strings.Cut(strings.TrimSpace(line), " ")
		about, known := aboutOthers[name]
		if !known {
			return nil, failed(fmt.Errorf("%s has an engine %q that this program does not know", othersDir, name))
		}
		all = append(all, compare.Server{
			Server: bench.Server{Name: name, About: about, Version: version, Command: "others --engine " + name},
			Start:  []string{binary, "--engine", name, "--listen", "127.0.0.1:0"},
			Echo:   "/echo",
			Room:   "/raw/all",
		})
	}
	return all, nil
}

// aboutOthers says of each of the other libraries what the server on it is; how it is written stands in its source.
var aboutOthers = map[string]string{
	"gorilla": "a goroutine or two for each connection on gorilla/websocket, as its chat example has it",
	"coder":   "a goroutine or two for each connection on coder/websocket, as its chat example has it",
	"gws":     "a goroutine for each connection on lxzan/gws, rooms by its Broadcaster",
	"nbio":    "event loops of lesismal/nbio, non-blocking, as in its examples",
}

// fileServer is an entry of a --server-file.
type fileServer struct {
	Name         string   `yaml:"name"`
	About        string   `yaml:"about"`
	Version      string   `yaml:"version"`
	Start        []string `yaml:"start"`
	Echo         string   `yaml:"echo"`
	Room         string   `yaml:"room"`
	Headers      []string `yaml:"headers"`
	Subprotocols []string `yaml:"subprotocols"`
	Tokens       []string `yaml:"tokens"`
}

func readServers(name string) ([]compare.Server, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%w; write the path of a YAML file", err)
	}
	defer f.Close()
	var entries []fileServer
	in := yaml.NewDecoder(f)
	in.KnownFields(true)
	if err := in.Decode(&entries); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	var all []compare.Server
	for i, e := range entries {
		if e.Name == "" || len(e.Start) == 0 || e.Echo == "" || e.Room == "" {
			return nil, fmt.Errorf("%s: entry %d lacks one of name, start, echo, room", name, i+1)
		}
		all = append(all, compare.Server{
			Server: bench.Server{Name: e.Name, About: e.About, Version: e.Version, Command: strings.Join(e.Start, " ")},
			Start:  e.Start, Echo: e.Echo, Room: e.Room, Headers: e.Headers, Subprotocols: e.Subprotocols, Tokens: e.Tokens,
		})
	}
	return all, nil
}
