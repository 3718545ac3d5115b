package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// host is the life of the process, the same as package baseline's Host, which this module cannot import. It runs
// serve, which has to call ready once with its address and to return when ctx ends, which it does when stdin ends
// or on SIGTERM or SIGINT.
func host(stdin io.Reader, stdout io.Writer, serve func(ctx context.Context, ready func(address string)) error) error {
	ctx, end := context.WithCancel(context.Background())
	defer end()
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt, syscall.SIGUSR1)
	defer signal.Stop(signals)

	// Whoever asked for a line and cannot have it is gone.
	say := func(format string, args ...any) {
		if _, err := fmt.Fprintf(stdout, format+"\n", args...); err != nil {
			end()
		}
	}
	go func() {
		_, _ = io.Copy(io.Discard, stdin)
		end()
	}()
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case s := <-signals:
				if s != syscall.SIGUSR1 {
					end()
					return
				}
				debug.FreeOSMemory()
				say("collected")
			}
		}
	}()
	return serve(ctx, func(address string) { say("listening %s", address) })
}
