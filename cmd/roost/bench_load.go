// roost bench load: connections and traffic against any WebSocket server.

package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/roost-ws/roost/bench"
	loadgen "github.com/roost-ws/roost/bench/load"
)

// loadFlags are the flags of `roost bench load`.
type loadFlags struct {
	target    bench.Target
	urls      []string
	tokenFile string
	profile   string
	json      string
	workers   int
	scenario  loadgen.Scenario
}

func newBenchLoad() *cobra.Command {
	c := &cobra.Command{
		Use:   "load",
		Short: "Makes connections and traffic against any WebSocket server",
		Long: "Scenarios:\n" +
			"  idle    opens connections and holds them, answering pings\n" +
			"  echo    every connection sends messages and has them back: as fast as --in-flight allows, or at --rate\n" +
			"  fanout  --rate publications a second to all members of the room; counts loss, disorder and delays\n" +
			"  churn   opens and closes connections over and over\n" +
			"  storm   cuts all connections at once and sees them come back\n" +
			"  mix     clients of several kinds at once, from a --profile\n\n" +
			"In --url, --header, --subprotocol, --first and --message, {i} is the number of the connection, {room} its\n" +
			"room and {token} a line of --token-file; in --message {payload} is what is measured. An address in 127.0.0.0/8\n" +
			"is connected to from many source addresses, so that ports don't run out. The exit code is 1 if the scenario\n" +
			"could not be run; lost messages and refused connections are results.",
		Example: "  roost bench load --scenario echo --url 'ws://127.0.0.1:8080/raw/echo-{i}' --connections 1000 --in-flight 1\n" +
			"  roost bench load --scenario fanout --url ws://127.0.0.1:8080/raw/all --connections 10000 --rate 6\n" +
			"  roost bench load --scenario echo --url 'ws://127.0.0.1:8080/ws?room=r{i}' --subprotocol roost.v1 --greetings 1 \\\n" +
			"    --message '{\"type\":\"publish\",\"room\":\"r{i}\",\"data\":\"{payload}\"}'",
		Args: noArguments,
	}
	var f loadFlags
	f.bind(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		spec, err := f.spec()
		if err != nil {
			return err
		}
		spec.Progress = progress(c.ErrOrStderr())
		ctx, stop := interruptible()
		defer stop()
		run, err := loadgen.Run(ctx, f.scenario, *spec)
		if err != nil {
			return failed(err)
		}
		if f.json != "" {
			if err := writeFile(c, f.json, jsonWriter(run)); err != nil {
				return err
			}
			if f.json == "-" {
				return nil
			}
		}
		return failedIf(loadgen.WriteTable(c.OutOrStdout(), run))
	}
	return c
}

func (f *loadFlags) bind(c *cobra.Command) {
	flags, s, t := c.Flags(), &f.scenario, &f.target
	flags.SortFlags = false
	flags.StringVar(&s.Name, "scenario", "echo", strings.Join(loadgen.Scenarios, ", "))
	flags.StringArrayVar(&f.urls, "url", nil, "where to connect, ws://IP:PORT/path; more of them are taken in turn")
	flags.IntVar(&s.Connections, "connections", 1000, "connections to hold; in churn, turns under way at once")
	flags.Float64Var(&s.OpenRate, "open-rate", 0, "connections opened a second; 0 is as fast as possible")
	flags.DurationVar(&s.Duration, "duration", 10*time.Second, "how long to measure, or to hold")
	flags.DurationVar(&s.Warmup, "warmup", time.Second, "how long to run before measuring")
	flags.Float64Var(&s.Rate, "rate", 0, "messages, publications or turns a second, over all connections; 0 is as fast as possible")
	flags.IntVar(&s.InFlight, "in-flight", 1, "messages under way on each connection, in an echo without --rate")
	flags.IntVar(&t.PayloadBytes, "payload", 125, fmt.Sprintf("bytes of a message's payload, from %d", bench.MinPayload))
	flags.IntVar(&t.Rooms, "rooms", 0, "rooms that connections are spread over as {room}; 0 is one each")
	flags.StringArrayVar(&t.Subprotocols, "subprotocol", nil, "subprotocol to offer; may be given several times")
	flags.StringArrayVar(&t.Headers, "header", nil, "header line, 'Name: value'; may be given several times")
	flags.StringVar(&t.Host, "host", "", "Host header, if not the address")
	flags.StringVar(&f.tokenFile, "token-file", "", "file with a token on each line, for {token}, taken in turn")
	flags.StringArrayVar(&t.First, "first", nil, "message that each connection sends once it is open; may be given several times")
	flags.IntVar(&t.Greetings, "greetings", 0, "messages that a connection waits for before it counts as ready")
	flags.StringVar(&t.Message, "message", "", "what a connection sends, around {payload}")
	flags.BoolVar(&t.Binary, "binary", false, "sends binary messages")
	flags.StringVar(&t.Sources, "sources", "", "range of source addresses, such as 127.0.0.0/8")
	flags.BoolVar(&s.CloseFrame, "close-frame", false, "ends the turns of a churn with the closing handshake rather than a reset")
	flags.DurationVar(&s.Grace, "grace", 0, "how long messages may still arrive after --duration; 0 is a second")
	flags.StringVar(&f.profile, "profile", "", "YAML file with the kinds of clients of a mix")
	flags.IntVar(&f.workers, "workers", 0, "processes to spread connections over; 0 is as many as descriptors demand")
	flags.StringVar(&f.json, "json", "", "file for the result as JSON, - for standard output in place of the table")
}

// spec checks the flags and makes of them what the load generator wants.
func (f *loadFlags) spec() (*loadgen.Spec, error) {
	if err := f.addresses(); err != nil {
		return nil, err
	}
	if f.tokenFile != "" {
		text, err := os.ReadFile(f.tokenFile)
		if err != nil {
			return nil, fmt.Errorf("--token-file: %w; write the path of a file with a token on each line", err)
		}
		f.target.Tokens = strings.Fields(string(text))
	}
	if f.profile != "" {
		profile, err := readProfile(f.profile)
		if err != nil {
			return nil, fmt.Errorf("--profile: %w", err)
		}
		f.scenario.Profile = profile
	}
	if err := f.scenario.Validate(); err != nil {
		return nil, err
	}
	if err := f.target.Validate(); err != nil {
		return nil, err
	}
	command, err := workerCommand()
	if err != nil {
		return nil, err
	}
	return &loadgen.Spec{Target: f.target, Command: command, Workers: f.workers, Connections: f.scenario.Connections}, nil
}

func readProfile(name string) (*loadgen.Profile, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("%w; write the path of a YAML file", err)
	}
	defer f.Close()
	var p loadgen.Profile
	in := yaml.NewDecoder(f)
	in.KnownFields(true)
	if err := in.Decode(&p); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return &p, nil
}

// addresses takes the URLs apart: the same path on each address.
func (f *loadFlags) addresses() error {
	if len(f.urls) == 0 {
		return errors.New("--url is missing; write where to connect, as in: --url ws://127.0.0.1:8080/raw/all")
	}
	for _, text := range f.urls {
		scheme, rest, _ := strings.Cut(text, "://")
		address, path, _ := strings.Cut(rest, "/")
		if scheme != "ws" {
			return fmt.Errorf("--url %q does not begin with ws://; TLS is the balancer's work, load the node behind it", redactedURL(text))
		}
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return fmt.Errorf("--url %q has no literal IP and port; write it as in: --url ws://127.0.0.1:8080/raw/all", redactedURL(text))
		}
		if f.target.Path != "" && f.target.Path != "/"+path {
			return errors.New("--url: all of them need the same path; write only different addresses")
		}
		f.target.Path = "/" + path
		f.target.Addresses = append(f.target.Addresses, address)
		if f.target.Sources == "" && at.Addr().IsLoopback() && at.Addr().Is4() {
			f.target.Sources = "127.0.0.0/8"
		}
	}
	return nil
}

// redactedURL is a URL without its query, which may hold a token.
func redactedURL(text string) string {
	if u, err := url.Parse(text); err == nil {
		u.RawQuery, u.User = "", nil
		return u.String()
	}
	before, _, _ := strings.Cut(text, "?")
	return before
}
