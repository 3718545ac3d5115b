// The unit with a node's listeners, which stay open while the node restarts.

package deploy

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/roost-ws/roost/cmd/internal/config"
)

// Socket makes the unit that opens the listeners which listen of c names by their descriptors: the addresses of bind,
// host:port or :port for all of them, become fd:3, fd:4 and so on. The error is a [config.Problems].
func Socket(c *config.Config, bind []string) ([]byte, error) {
	var problems config.Problems
	var named []int
	for _, address := range c.Listen {
		if n, ok := config.InheritedDescriptor(address); ok {
			named = append(named, n)
		}
	}
	if len(named) == 0 {
		return nil, append(problems, config.Problem{Key: "listen", Wrong: "names no descriptor, so the sockets would serve nobody",
			Fix: "write fd:3 there, and its address after --bind"})
	}
	slices.Sort(named)
	for i, n := range named {
		if n != 3+i {
			problems = append(problems, config.Problem{Key: "listen", Wrong: fmt.Sprintf("names fd:%d but not fd:%d, and descriptors are passed from 3 on without a gap", n, 3+i),
				Fix: fmt.Sprintf("write fd:%d", 3+i)})
			break
		}
	}
	if len(bind) != len(named) {
		problems = append(problems, aboutFlag("bind", fmt.Sprintf("has %d addresses, and listen names %d descriptors", len(bind), len(named)),
			"write one for each, in the order fd:3, fd:4, such as :8080,:8082"))
	}
	var streams []string
	for _, text := range bind {
		stream, ok := readStream(text)
		if !ok {
			problems = append(problems, aboutFlag("bind", fmt.Sprintf("%q is not an IP address and a port", text), "write :8080, or one such as 10.0.0.11:8080"))
		}
		if slices.Contains(streams, stream) && ok {
			problems = append(problems, aboutFlag("bind", stream+" is there twice", "remove one"))
		}
		streams = append(streams, stream)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	var b bytes.Buffer
	err := parsed.ExecuteTemplate(&b, "roost.socket.tmpl", streams)
	return b.Bytes(), err
}

// readStream takes an address as systemd writes it: names are looked up by nobody there.
func readStream(text string) (string, bool) {
	if strings.HasPrefix(text, ":") {
		text = "[::]" + text
	}
	at, err := netip.ParseAddrPort(text)
	if err != nil || at.Port() == 0 || at.Addr().Zone() != "" || at.Addr().IsMulticast() {
		return "", false
	}
	return net.JoinHostPort(at.Addr().Unmap().String(), fmt.Sprint(at.Port())), true
}
