// roost serve: builds a node from its configuration, runs it, and says where it can be found.

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/roost-ws/roost/cmd/internal/config"
	"github.com/roost-ws/roost/engine"
	"github.com/roost-ws/roost/engine/admin"
)

func newServe() *cobra.Command {
	c := &cobra.Command{
		Use:   "serve",
		Short: "Runs a node",
		Long: "Runs a node until SIGTERM or SIGINT, which sends all clients away over drain.window; a second one sends\n" +
			"away at once all that are left. The exit code is 0 after that, 1 if the node failed, 2 if it could not start\n" +
			"because of its configuration.",
		Example: "  roost serve --dev\n" +
			"  roost serve --config /etc/roost/roost.yaml\n" +
			"  roost serve --auth.hmac_secret_file secret --listen :9000",
		Args: noArguments,
	}
	flags := settingFlags(c)
	c.RunE = func(c *cobra.Command, _ []string) error {
		caught := catchSignals()
		loaded, err := load(flags)
		if err != nil {
			return err
		}
		return serve(loaded, caught, c.OutOrStdout())
	}
	return c
}

// serve runs a node until it is asked to end.
func serve(l *config.Loaded, caught chan os.Signal, stdout io.Writer) error {
	log := newLog(os.Stderr, l.Config.Log)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(engine.GCPercent)
	}
	end := newEnding()
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		end.follow(caught, log)
	}()
	defer func() {
		// A signal from here on finds nothing to hurry, and must not end the process with another code than its own.
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT)
		signal.Stop(caught)
		close(caught)
		<-followed
	}()
	log.Debug("starting", "config", l.File)
	for _, w := range l.Warnings {
		log.Warn("configuration: " + w.Error())
	}
	told, err := newNotifier(&l.Config, log)
	if err != nil {
		return err
	}
	warning, err := readPassed().check(l.Config.Listen, os.Getpid())
	if err != nil {
		return err
	}
	if warning != "" {
		log.Warn(warning)
	}
	n, err := start(l, log, end)
	if err != nil {
		return err
	}
	defer n.close()
	told.ready(n.server)
	defer told.follow(n.server, end.drain)()
	n.announce(l, log)
	if l.Dev {
		writeTryIt(stdout, n.server.Addresses()[0].String(), n.admin.Addr().String())
	}
	return end.serveUntil(n.server, n.admin, log)
}

// node is a node that runs.
type node struct {
	*parts
	admin *admin.Admin
}

// keysPatience is how long a start waits for keys: a healthy address has answered by then, so that those who come
// first are not turned away, and another one keeps nobody out who needs no keys of it.
const keysPatience = 3 * time.Second

// start fetches keys and then opens the clients' side. giveUp, when closed, ends the wait for keys; nil never does.
// On an error nothing is left running; after a start the owner stops the server, and then calls close.
func (p *parts) start(giveUp <-chan struct{}) error {
	p.keySets.start(keysPatience, giveUp)
	if err := p.server.Start(); err != nil {
		p.close()
		return failed(withFix("listen", err))
	}
	return nil
}

// close ends what runs beside the server.
func (p *parts) close() { p.keySets.close() }

// start builds a node and starts it: first the clients' side, then the operator's port, which shows it. On an
// error nothing is left running.
func start(l *config.Loaded, log *slog.Logger, end *ending) (*node, error) {
	p, err := build(l, log, nil)
	if err != nil {
		return nil, err
	}
	if !l.Dev {
		if err := p.box.check(&l.Config, log); err != nil {
			return nil, err
		}
	}
	n := &node{parts: p}
	n.admin, err = admin.New(admin.Options{
		Server: p.server,
		Listen: l.Config.Admin.Listen,
		Key:    string(l.Config.Admin.Key),
		Pprof:  l.Config.Admin.Pprof,
		Drain:  end.Drain,
		Log:    log,
	})
	if err != nil {
		return nil, err
	}
	if err := p.start(end.drain); err != nil {
		return nil, err
	}
	p.bus.spareProcessor(p.server.Stats().Loops)
	if err := n.admin.Start(); err != nil {
		_ = p.server.Stop()
		p.close()
		return nil, failed(withFix("admin.listen", err))
	}
	return n, nil
}

// withFix adds to an error of listening what to write instead; key is the setting with the address.
func withFix(key string, err error) error {
	fix := ""
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		fix = "; stop the process that has the port, or write another address"
	case errors.Is(err, syscall.EACCES):
		fix = "; write a port above 1023, or allow this one: AmbientCapabilities=CAP_NET_BIND_SERVICE"
	case errors.Is(err, engine.ErrNotInherited):
		fix = "; have the service manager pass it (roost gen systemd --socket), or write an address such as :8080"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		fix = "; write an address of this machine, or :port for all of them"
	}
	return fmt.Errorf("%s: %w%s", key, err, fix)
}

// announce writes the one line that says what runs and where.
func (n *node) announce(l *config.Loaded, log *slog.Logger) {
	var addresses []string
	for _, a := range n.server.Addresses() {
		addresses = append(addresses, a.String())
	}
	version, _ := buildVersion()
	log.LogAttrs(context.Background(), slog.LevelInfo, "serving",
		slog.Any("listen", addresses),
		slog.String("admin", n.admin.Addr().String()),
		slog.String("node", n.server.Node()),
		slog.Int("loops", n.server.Stats().Loops),
		slog.Int("connections_max", n.server.MaxConnections()),
		slog.String("connections_from", capOrigin(&l.Config)),
		slog.String("auth", l.Config.Auth.Mode),
		slog.String("version", version))
}

// writeTryIt writes lines to copy for a first look at a node in --dev. They are no part of the log, and a reader
// that has gone is no reason to stop.
func writeTryIt(w io.Writer, clients, admin string) {
	_, _ = fmt.Fprintf(w, tryIt, clients, admin)
}

const tryIt = `
Try it. http://%[2]s/ shows this node, with a client to try. Or paste into the consoles of two tabs of a browser there:

  ws = new WebSocket("ws://%[1]s/ws?room=lobby", "roost.v1"); ws.onmessage = (e) => console.log(e.data)

Then, in one of them:

  ws.send(JSON.stringify({type: "publish", room: "lobby", data: "hello"}))

In two terminals, with a command-line client:

  npx wscat -c ws://%[1]s/raw/lobby

From a backend:

  curl -H 'Content-Type: application/json' -d '{"room":"lobby","data":"hello"}' http://%[2]s/api/publish

`
