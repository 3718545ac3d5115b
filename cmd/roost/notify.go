// What a service manager is told while a node runs (sd_notify): that clients can connect, that all loops answer, that
// the node is about to end.

package main

import (
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/roost-ws/roost/cmd/internal/config"
	"github.com/roost-ws/roost/cmd/internal/deploy"
)

// notifier speaks to the socket that NOTIFY_SOCKET names. Without one it says nothing. All of it runs on one
// goroutine at a time: ready on that of the start, then run on its own.
type notifier struct {
	send func(state string) error // nil: nobody listens
	log  *slog.Logger
	// watchdog is how long the service manager waits for a sign of life, 0 = for ever.
	watchdog time.Duration
	// end is how long an orderly end may take.
	end time.Duration
	// deaf says that the last message did not arrive, so that it is logged once.
	deaf bool
}

// statusEvery is how often the line that systemctl status shows is renewed, where no watchdog asks for more.
const statusEvery = 10 * time.Second

// newNotifier reads the environment that a service manager sets. A watchdog's time that makes no sense is an error:
// without a sign of life the node would be killed later on.
func newNotifier(c *config.Config, log *slog.Logger) (*notifier, error) {
	n := &notifier{log: log, end: deploy.StopTimeout(c)}
	if os.Getenv("NOTIFY_SOCKET") == "" {
		return n, nil
	}
	n.send = func(state string) error {
		_, err := daemon.SdNotify(false, state)
		return err
	}
	var err error
	if n.watchdog, err = daemon.SdWatchdogEnabled(false); err != nil {
		return nil, fmt.Errorf("reading WATCHDOG_USEC and WATCHDOG_PID: %w; leave them to the service manager (WatchdogSec=)", err)
	}
	return n, nil
}

// figures are what a service manager is told about a node.
type figures interface {
	Stalled() time.Duration
	Connections() int
	MaxConnections() int
}

// ready tells that clients can connect.
func (n *notifier) ready(f figures) { n.tell("READY=1\nSTATUS=" + serving(f)) }

// follow has run on a goroutine of its own; the function it returns ends that and waits for it.
func (n *notifier) follow(f figures, drain <-chan struct{}) (end func()) {
	ended, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		n.run(f, drain, ended)
	}()
	return func() {
		close(ended)
		<-over
	}
}

// run tells how the node is until it has ended, and once drain is closed, that it is about to. Returns when ended is
// closed, at once if nobody listens.
func (n *notifier) run(f figures, drain, ended <-chan struct{}) {
	if n.send == nil {
		return
	}
	every := statusEvery
	if n.watchdog > 0 {
		every = n.watchdog / 4 // half is asked for; a loop that was late for one look is given others
	}
	look := time.NewTicker(every)
	defer look.Stop()
	status := serving
	for {
		select {
		case <-ended:
			return
		case <-drain:
			drain, status = nil, draining
			// The unit may have been written for another drain.window than the one in force.
			n.tell(fmt.Sprintf("STOPPING=1\nEXTEND_TIMEOUT_USEC=%d\nSTATUS=%s", n.end.Microseconds(), status(f)))
		case <-look.C:
			n.tell("STATUS=" + status(f) + n.life(f))
		}
	}
}

// life is the sign of life if all loops have answered lately. A loop that hangs is given up after one and a quarter
// of the watchdog's time at most, one that goes on after half of it never.
func (n *notifier) life(f figures) string {
	if n.watchdog == 0 {
		return ""
	}
	if stalled := f.Stalled(); stalled > n.watchdog/4 {
		n.log.Error("an event loop does not answer, the watchdog is told nothing", "for", stalled, "watchdog", n.watchdog)
		return ""
	}
	return "\nWATCHDOG=1"
}

// tell sends one message. It is lost if the service manager does not take it, which is no reason to end.
func (n *notifier) tell(state string) {
	if n.send == nil {
		return
	}
	err := n.send(state)
	if err != nil && !n.deaf {
		n.log.Warn("the service manager cannot be told", "error", err)
	}
	n.deaf = err != nil
}

func serving(f figures) string {
	return fmt.Sprintf("serving %d of %d connections", f.Connections(), f.MaxConnections())
}

func draining(f figures) string {
	return fmt.Sprintf("draining, %d connections are left", f.Connections())
}
