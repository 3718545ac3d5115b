package baseline

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
)

// Host is the life of a server in a process that a comparison started: it runs serve, which has to call ready once
// with its address, HOST:PORT, and to return when ctx ends. Host returns what serve returned.
//
// ctx ends when stdin does, so that no server outlives who started it, and on SIGTERM or SIGINT. The first line on
// stdout is "listening HOST:PORT". On SIGUSR1 all memory that is not needed goes back to the system, and then the
// line "collected" comes. Host takes these signals from the whole process and its goroutine keeps reading stdin to
// the end; so it is for a main function, which ends afterwards.
func Host(stdin io.Reader, stdout io.Writer, serve func(ctx context.Context, ready func(address string)) error) error {
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
