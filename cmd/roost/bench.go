// roost bench: load for any WebSocket server, servers to load, and a comparison of both.

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	loadgen "github.com/roost-ws/roost/bench/load"
)

func newBench() *cobra.Command {
	c := group(&cobra.Command{
		Use:   "bench",
		Short: "Loads a server and compares servers",
		Long: "Proof on your own machine: load makes connections and traffic against any WebSocket server, serve is a server\n" +
			"to load, and compare runs several servers under the same work and writes a report.",
		Example: "  roost bench compare\n" +
			"  roost bench load --scenario echo --url 'ws://127.0.0.1:8080/raw/echo-{i}' --connections 1000",
	})
	c.AddCommand(newBenchLoad(), newBenchServe(), newBenchCompare(), newBenchWorker())
	return c
}

// workerCommand is how a worker of the load generator is started: this binary again.
func workerCommand() ([]string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, failed(fmt.Errorf("finding this program for the workers: %w", err))
	}
	return []string{self, "bench", "worker"}, nil
}

// newBenchWorker is the process that load starts for its connections; nobody types it.
func newBenchWorker() *cobra.Command {
	return &cobra.Command{
		Use:    "worker",
		Short:  "Holds connections for load and compare, which start it",
		Hidden: true,
		Args:   noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			return failedIf(loadgen.Worker(c.InOrStdin(), c.OutOrStdout()))
		},
	}
}

// interruptible is a context that the first SIGINT or SIGTERM ends; a second one ends the process as usual.
func interruptible() (context.Context, func()) {
	return signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
}

// progress writes a line at a time to w: over the one before on a terminal, else one below the other.
func progress(w io.Writer) func(string) {
	return func(line string) { _, _ = fmt.Fprintln(w, line) }
}

// writeFile writes text as a whole or not at all; "-" is standard output.
func writeFile(c *cobra.Command, name string, write func(io.Writer) error) error {
	if name == "-" {
		return failedIf(write(c.OutOrStdout()))
	}
	f, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return failed(err)
	}
	defer os.Remove(f.Name()) // after the rename there is nothing of that name
	if err := write(f); err != nil {
		f.Close()
		return failed(err)
	}
	if err := f.Close(); err != nil {
		return failed(err)
	}
	return failedIf(os.Rename(f.Name(), name))
}

// jsonWriter writes v as indented JSON.
func jsonWriter(v any) func(io.Writer) error {
	return func(w io.Writer) error {
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		return out.Encode(v)
	}
}
