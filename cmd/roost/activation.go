// Listeners that a service manager has opened (socket activation, sd_listen_fds): whether those that listen names
// were passed, and whether all that were passed are named.

package main

import (
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/roost-ws/roost/cmd/internal/config"
)

// firstPassed is the number of the first descriptor that is passed.
const firstPassed = 3

// passed is what the environment says was passed to this process.
type passed struct {
	pid, count string // LISTEN_PID and LISTEN_FDS
}

func readPassed() passed { return passed{os.Getenv("LISTEN_PID"), os.Getenv("LISTEN_FDS")} }

// check holds listen against what was passed to the process pid. A process that got its descriptors in another way
// has neither variable, and what it names is taken as it comes. The warning is "" if there is none.
func (p passed) check(listen []string, pid int) (warning string, err error) {
	about := func(wrong, fix string) error { return config.Problem{Key: "listen", Wrong: wrong, Fix: fix} }
	var named []int
	for _, address := range listen {
		if n, ok := config.InheritedDescriptor(address); ok {
			named = append(named, n)
		}
	}
	if p.pid != "" && p.pid != strconv.Itoa(pid) {
		if len(named) == 0 {
			return "", nil // they are another process's, and so is what is to be said about them
		}
		return "", about(fmt.Sprintf("fd:%d was passed to process %s (LISTEN_PID), and this is %d", named[0], p.pid, pid),
			"start roost without a shell or wrapper between, or have that end with exec")
	}
	if p.count == "" {
		return "", nil
	}
	count, err := strconv.Atoi(p.count)
	if err != nil || count < 0 || count > 1<<16 {
		return "", about(fmt.Sprintf("LISTEN_FDS=%q is not a number of descriptors", p.count), "leave it to the service manager (ListenStream=)")
	}
	for _, n := range named {
		if n >= firstPassed+count {
			return "", about(fmt.Sprintf("fd:%d was not passed: LISTEN_FDS is %d%s", n, count, span(count)),
				"give the socket unit a ListenStream= line for each, or remove it here")
		}
	}
	for n := firstPassed; n < firstPassed+count; n++ {
		if !slices.Contains(named, n) {
			return fmt.Sprintf("listen: fd:%d was passed (LISTEN_FDS is %d%s), and nobody is served there; add it to listen, or remove its ListenStream= line",
				n, count, span(count)), nil
		}
	}
	return "", nil
}

// span names the descriptors that were passed.
func span(count int) string {
	switch count {
	case 0:
		return ""
	case 1:
		return ", fd:3 alone"
	}
	return fmt.Sprintf(", fd:3 to fd:%d", firstPassed+count-1)
}
