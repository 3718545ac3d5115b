// roost bench serve: a server to load, on our engine or with a goroutine for each connection.

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/roost-ws/roost/bench/baseline"
	"github.com/roost-ws/roost/cmd/internal/config"
	"github.com/roost-ws/roost/engine"
	"github.com/roost-ws/roost/engine/ratelimit"
)

// The engines of bench serve.
const (
	engineRoost     = "roost"
	engineGoroutine = "goroutine"
)

func newBenchServe() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Serves a tiny application to load: messages back to their sender, and to all members of a room",
		Long: "Serves on --listen until SIGTERM or the end of standard input. The first line on standard output is\n" +
			"\"listening HOST:PORT\"; SIGUSR1 gives unused memory back and writes \"collected\".\n\n" +
			"--engine roost is a node as serve runs it, without an operator's port and with no rate limits; all settings\n" +
			"of serve are flags here, too. It admits everybody unless it is given a key for tokens. An echo is a room of\n" +
			"one: /raw/{room}. --engine goroutine is a server of the usual kind, a goroutine for each connection on\n" +
			"gobwas/ws, with /echo and /raw/{room}.",
		Example: "  roost bench serve --engine roost --listen 127.0.0.1:9000\n" +
			"  roost bench serve --engine goroutine --listen 127.0.0.1:9000",
		Args: noArguments,
	}
	c.Flags().SortFlags = false
	kind := c.Flags().String("engine", engineRoost, "roost or goroutine")
	flags := config.BindFlags(c.Flags())
	c.RunE = func(c *cobra.Command, _ []string) error {
		if err := benchDefaults(c.Flags()); err != nil {
			return err
		}
		loaded, err := load(flags)
		if err != nil {
			return err
		}
		var serve func(context.Context, func(string)) error
		switch *kind {
		case engineRoost:
			serve = func(ctx context.Context, ready func(string)) error { return serveRoost(ctx, loaded, ready) }
		case engineGoroutine:
			serve = func(ctx context.Context, ready func(string)) error {
				return serveGoroutine(ctx, loaded.Config.Listen, ready)
			}
		default:
			return fmt.Errorf("--engine %q is not known; write %s or %s", *kind, engineRoost, engineGoroutine)
		}
		return baseline.Host(c.InOrStdin(), c.OutOrStdout(), serve)
	}
	return c
}

// benchDefaults are the settings that differ from serve's where they are not written.
func benchDefaults(flags *pflag.FlagSet) error {
	mode := config.AuthAnonymous
	for _, key := range []string{"auth.hmac_secret", "auth.hmac_secret_file", "auth.public_key_file", "auth.jwks_url", "auth.issuers"} {
		if flags.Changed(key) {
			mode = config.AuthJWT
		}
	}
	for _, s := range []struct{ key, value string }{
		{"listen", "127.0.0.1:0"}, {"auth.mode", mode}, {"log.level", "warn"},
	} {
		if flags.Changed(s.key) {
			continue
		}
		if err := flags.Set(s.key, s.value); err != nil {
			return err
		}
	}
	return nil
}

func serveRoost(ctx context.Context, l *config.Loaded, ready func(string)) error {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(engine.GCPercent)
	}
	p, err := build(l, newLog(os.Stderr, l.Config.Log), unlimitedRates)
	if err != nil {
		return err
	}
	if err := p.start(nil); err != nil {
		return err
	}
	defer p.close()
	ready(p.server.Addresses()[0].String())
	<-ctx.Done()
	return failedIf(p.server.Stop())
}

// unlimitedRates lets clients say as much as they can: what is measured is the server, not its patience.
func unlimitedRates(o *engine.Options) {
	o.Limits.Messages, o.Limits.Controls = ratelimit.Rate{}, ratelimit.Rate{}
}

func serveGoroutine(ctx context.Context, listen []string, ready func(string)) error {
	l, err := net.Listen("tcp", listen[0])
	if err != nil {
		return failed(withFix("listen", err))
	}
	ready(l.Addr().String())
	return failedIf(baseline.Serve(ctx, l, baseline.Options{}))
}
