// How a node ends: who asked for it, and in which order things stop.

package main

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

// ending is the wish that the node ends. Its methods may be called from any goroutine and do not block.
type ending struct {
	drain, hurry         chan struct{} // closed when wanted
	drainOnce, hurryOnce sync.Once
}

func newEnding() *ending { return &ending{drain: make(chan struct{}), hurry: make(chan struct{})} }

// Drain asks for an orderly end. Asking again changes nothing, so that a backend may repeat a request that got
// lost, and a SIGTERM after it is still the first.
func (e *ending) Drain() { e.drainOnce.Do(func() { close(e.drain) }) }

// Hurry asks that all clients be told at once.
func (e *ending) Hurry() { e.hurryOnce.Do(func() { close(e.hurry) }) }

// catchSignals takes over the signals that concern a node, from now on. SIGQUIT stays Go's: it prints what all
// goroutines do and exits.
func catchSignals() chan os.Signal {
	caught := make(chan os.Signal, 8)
	signal.Notify(caught, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	signal.Ignore(syscall.SIGPIPE) // whoever read our output being gone must not end the node
	return caught
}

// follow turns signals into wishes until the channel is closed: the first SIGTERM or SIGINT drains, any further
// one hurries.
func (e *ending) follow(caught <-chan os.Signal, log *slog.Logger) {
	asked := false
	for s := range caught {
		switch {
		case s == syscall.SIGHUP:
			log.Info("SIGHUP changes nothing: the configuration is read at start alone")
		case !asked:
			asked = true
			log.Info("asked to end", "signal", s.String())
			e.Drain()
		default:
			log.Info("asked to hurry", "signal", s.String())
			e.Hurry()
		}
	}
}

// server and operatorsPort are what an end needs of [engine.Server] and [admin.Admin].
type (
	server interface {
		Drain(hurry <-chan struct{})
		Stop() error
		Failed() <-chan error
	}
	operatorsPort interface {
		Close(ctx context.Context) error
	}
)

// adminCloseTimeout is how long requests at the operator's port may go on once everything else has ended.
const adminCloseTimeout = 2 * time.Second

// serveUntil waits for the wish to end and ends the node in order: clients are sent away, then the loops and the
// broker stop, then the operator's port closes, so that metrics can be read to the end. A failure of the server
// at any time ends it at once, since nothing that it would still do can be relied on; that and any disorder is an
// error with exit code 1.
func (e *ending) serveUntil(s server, port operatorsPort, log *slog.Logger) error {
	orderly := make(chan error, 1)
	wish := e.drain
	for {
		select {
		case err := <-s.Failed():
			log.Error("the server has failed", "error", err)
			return &exitError{code: exitFailed}
		case <-wish:
			wish = nil
			go func() {
				s.Drain(e.hurry)
				orderly <- s.Stop()
			}()
		case err := <-orderly:
			ctx, cancel := context.WithTimeout(context.Background(), adminCloseTimeout)
			defer cancel()
			if portErr := port.Close(ctx); portErr != nil {
				log.Warn("requests at the operator's port were cut off", "error", portErr)
			}
			if err != nil {
				log.Error("the end was not orderly", "error", err)
				return &exitError{code: exitFailed}
			}
			log.Info("stopped")
			return nil
		}
	}
}
