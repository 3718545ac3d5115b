// What the commands have in common: groups, and what is said about a command or flag that does not exist.

package main

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/roost-ws/roost/cmd/internal/config"
)

// group makes c a command that only holds others. It reads its flags itself, so that of `roost srve --dev` the
// wrong command is reported and not the flag, which that command may well have.
func group(c *cobra.Command) *cobra.Command {
	c.DisableFlagParsing, c.DisableFlagsInUseLine = true, true
	c.SuggestionsMinimumDistance = 2
	c.Args = cobra.ArbitraryArgs
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			c.SetOut(c.ErrOrStderr())
			_ = c.Help()
			return &exitError{code: exitUsage}
		case args[0] == "-h" || args[0] == "--help":
			return c.Help()
		}
		return unknownCommand(c, args[0])
	}
	return c
}

// harmless is text that may be repeated in an error: a token pasted in the wrong place is not.
var harmless = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,24}$`)

// unknownCommand says which command of c was meant instead of word.
func unknownCommand(c *cobra.Command, word string) error {
	shown := "the first argument"
	if harmless.MatchString(word) {
		shown = fmt.Sprintf("%q", word)
	}
	name := strings.TrimLeft(word, "-")
	near := c.SuggestionsFor(name)
	switch {
	case name != word && !slices.Contains(near, name): // but --version is a wish for version
		return fmt.Errorf("%s comes before the command; write it behind, as in: %s", shown, firstExample(c))
	case len(near) > 0 && name != "":
		return fmt.Errorf("%s is not a command of %s; the nearest is: %s %s", shown, c.CommandPath(), c.CommandPath(), near[0])
	}
	var names []string
	for _, sub := range c.Commands() {
		if sub.IsAvailableCommand() {
			names = append(names, sub.Name())
		}
	}
	return fmt.Errorf("%s is not a command of %s; write one of %s", shown, c.CommandPath(), strings.Join(names, ", "))
}

func firstExample(c *cobra.Command) string {
	line, _, _ := strings.Cut(c.Example, "\n")
	return strings.TrimSpace(line)
}

// flagError names the nearest flag to one that does not exist, and where to look for anything else.
func flagError(c *cobra.Command, err error) error {
	var known config.Problem
	if err = config.FlagError(c.Flags(), err); errors.As(err, &known) {
		return err
	}
	return fmt.Errorf("%w; %s --help lists the flags", err, c.CommandPath())
}

// noArguments is for commands that take flags alone. What was written is not repeated: it may be a token.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no arguments, only flags, as in: %s", c.CommandPath(), firstExample(c))
	}
	return nil
}

// newHelp is `roost help serve`, the same as `roost serve --help`.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:    "help [command]",
		Short:  "Shows the help of a command",
		Hidden: true,
		RunE: func(c *cobra.Command, args []string) error {
			about := c.Root()
			for _, name := range args {
				next, _, err := about.Find([]string{name})
				if err != nil || next == about {
					return unknownCommand(about, name)
				}
				about = next
			}
			about.InitDefaultHelpFlag()
			return about.Help()
		},
	}
}
