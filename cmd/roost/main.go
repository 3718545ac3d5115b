// Command roost is the whole server in one binary: serve runs a node, the other subcommands help to run one.
//
// It is the only place that knows configuration, broker, engine and operator's port at once; it builds them in
// that order and ends them in the reverse one. It owns the process: exit codes, signals, standard output and
// standard error. Everything here runs on the main goroutine but for the one that waits for signals and the one
// that drains. It holds no logic of its own about connections, tokens or rooms.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// The exit codes of contract section 1.
const (
	exitDone   = 0
	exitFailed = 1 // failed while running
	exitUsage  = 2 // bad usage or configuration
)

func main() { os.Exit(run(os.Args[1:])) }

// run executes the command that args name and returns the exit code of the process.
func run(args []string) int {
	root := newRoot()
	root.SetArgs(args)
	err := root.Execute()
	var end *exitError
	switch {
	case err == nil:
		return exitDone
	case !errors.As(err, &end):
		end = &exitError{exitUsage, err}
	}
	if end.err != nil {
		// A configuration has all its mistakes reported, each on its line.
		for line := range strings.SplitSeq(end.err.Error(), "\n") {
			fmt.Fprintln(os.Stderr, "error: "+line)
		}
	}
	return end.code
}

// exitError is how a command ends with a code of its choice; any other error is bad usage or configuration. A nil
// err is an end about which everything has been said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return fmt.Sprintf("exit code %d", e.code)
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

// failed is an end with exit code 1; failedIf is one only if there is an error.
func failed(err error) error { return &exitError{exitFailed, err} }

func failedIf(err error) error {
	if err == nil {
		return nil
	}
	return failed(err)
}

// newRoot is the table of commands, contract section 1.
func newRoot() *cobra.Command {
	root := group(&cobra.Command{
		Use:   "roost",
		Short: "A WebSocket connection server",
		Long: "Roost holds many WebSocket connections, puts them into rooms, and carries publications between them.\n" +
			"Every setting is a key of the configuration file, an environment variable and a flag; roost gen config lists them.",
		Example: "  roost serve --dev\n  roost check --config /etc/roost/roost.yaml",
	})
	root.CompletionOptions.DisableDefaultCmd = true
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(newHelp())
	root.AddCommand(newServe(), newCheck(), newGen(), newToken(),
		newTune(), newBench(),
		newVersion())
	return root
}
