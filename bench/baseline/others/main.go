// Command others serves the application of package baseline, echo and rooms, on other people's libraries: gorilla,
// coder, gws or nbio. It exists to be compared with.
//
// Each server is written as its library's own documentation says, with the options that the documentation advises
// for this work, and every such choice has a comment that says where it comes from. Where a library leaves a thing
// open, all servers do the same:
//
//   - /echo sends every message back to its sender, /raw/{room} to every member of the room, the sender too;
//   - a message may have 64 KiB;
//   - a member of a room for whom too much waits is cut, and nobody waits for it (flag -queue);
//   - no compression, no pings and no deadlines on an open connection: what they cost is not what is compared;
//   - Go's garbage collector is left as it is.
//
// It is a process as package baseline's Host describes it: the first line on standard output is
// "listening HOST:PORT", it serves until standard input ends or SIGTERM comes, and on SIGUSR1 it returns memory to
// the system and writes "collected". It is a module of its own so that nothing else requires these libraries.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
)

// options are what every engine is given.
type options struct {
	queue int // how much may wait for a member of a room; see flag -queue
}

// messageBytes is the most that a message may have.
const messageBytes = 64 << 10

// engine is one library's server. serve owns l, and returns nil when ctx ends.
type engine struct {
	name, module string
	serve        func(ctx context.Context, l net.Listener, o options) error
}

var engines = []engine{
	{"gorilla", "github.com/gorilla/websocket", serveGorilla},
	{"coder", "github.com/coder/websocket", serveCoder},
	{"gws", "github.com/lxzan/gws", serveGWS},
	{"nbio", "github.com/lesismal/nbio", serveNBIO},
}

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "others:", err)
		os.Exit(1)
	}
}

func run(args []string, stdin io.Reader, stdout io.Writer) error {
	var names []string
	for _, e := range engines {
		names = append(names, e.name)
	}
	flags := flag.NewFlagSet("others", flag.ContinueOnError)
	name := flags.String("engine", "", "library to serve with: "+strings.Join(names, ", "))
	listen := flags.String("listen", "127.0.0.1:0", "address to listen on")
	procs := flags.Int("gomaxprocs", 0, "threads that run Go code; 0 leaves it to Go")
	queue := flags.Int("queue", 256, "messages that may wait for a member of a room; nbio, which counts bytes, takes 1 KiB for each")
	version := flags.Bool("version", false, "print the engines and the versions of their libraries")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *version {
		return printVersions(stdout)
	}
	for _, e := range engines {
		if e.name != *name {
			continue
		}
		runtime.GOMAXPROCS(*procs)
		return host(stdin, stdout, func(ctx context.Context, ready func(string)) error {
			l, err := net.Listen("tcp", *listen)
			if err != nil {
				return err
			}
			ready(l.Addr().String())
			return e.serve(ctx, l, options{queue: *queue})
		})
	}
	return fmt.Errorf("no engine %q; there are %s", *name, strings.Join(names, ", "))
}

// printVersions writes a line for each engine: its name, its library and the version that was built in.
func printVersions(w io.Writer) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return fmt.Errorf("this binary was built without its modules' versions")
	}
	versions := map[string]string{}
	for _, m := range info.Deps {
		versions[m.Path] = m.Version
	}
	for _, e := range engines {
		if _, err := fmt.Fprintln(w, e.name, e.module, versions[e.module]); err != nil {
			return err
		}
	}
	return nil
}
