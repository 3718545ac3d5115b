package bench

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Target is how clients reach a server and how they talk to it, for any server that speaks RFC 6455. Texts marked
// as templates may hold {i}, the connection's number from 0, {room}, its room, and {token}, its token.
type Target struct {
	// Addresses are where to connect, host:port with a literal IP; connections take them in turn.
	Addresses []string `json:"addresses"`
	// Sources is the range that connections' own addresses are taken from in turn, so that no single one runs out
	// of ports; empty lets the kernel choose. Only loopback addresses can be made up freely.
	Sources string `json:"sources,omitempty"`
	// Path is the request target, a template.
	Path string `json:"path"`
	// Host is the Host header; empty takes the address.
	Host string `json:"host,omitempty"`
	// Headers are further header lines, "Name: value", templates.
	Headers []string `json:"headers,omitempty"`
	// Subprotocols are offered in this order, templates.
	Subprotocols []string `json:"subprotocols,omitempty"`
	// Tokens take the place of {token}, in turn.
	Tokens []string `json:"tokens,omitempty"`
	// Rooms is over how many rooms connections are spread: connection i is in room "r" + i mod Rooms. 0 is one room
	// for each connection.
	Rooms int `json:"rooms,omitempty"`
	// First are text messages that each connection sends once it is open, templates.
	First []string `json:"first,omitempty"`
	// Greetings is how many messages a connection must have received before it counts as ready: a server's
	// welcome, and its answers to First.
	Greetings int `json:"greetings,omitempty"`
	// Message is the template of what a connection sends when it talks; {payload} is the measured payload, which is
	// plain ASCII without characters that JSON would escape. Empty is the payload alone.
	Message string `json:"message,omitempty"`
	// Binary sends messages as binary rather than as text.
	Binary bool `json:"binary,omitempty"`
	// PayloadBytes is the length of the measured payload, at least MinPayload.
	PayloadBytes int `json:"payload_bytes"`
}

// MinPayload is the shortest payload that has room for the stamp by which a message is recognised.
const MinPayload = 48

// Validate reports everything that is wrong with t.
func (t *Target) Validate() error {
	var problems []error
	if len(t.Addresses) == 0 {
		problems = append(problems, errors.New("no address to connect to"))
	}
	for _, a := range t.Addresses {
		if _, err := netip.ParseAddrPort(a); err != nil {
			problems = append(problems, fmt.Errorf("address %q is not a literal IP and a port, such as 127.0.0.1:8080", a))
		}
	}
	if t.Sources != "" {
		if _, err := netip.ParsePrefix(t.Sources); err != nil {
			problems = append(problems, fmt.Errorf("sources %q is not a range such as 127.0.0.0/8", t.Sources))
		}
	}
	if !strings.HasPrefix(t.Path, "/") {
		problems = append(problems, fmt.Errorf("path %q does not begin with /", t.Path))
	}
	for _, h := range t.Headers {
		if name, _, ok := strings.Cut(h, ": "); !ok || name == "" || strings.ContainsAny(h, "\r\n") {
			problems = append(problems, fmt.Errorf("header %q is not of the form Name: value", h))
		}
	}
	if t.PayloadBytes < MinPayload {
		problems = append(problems, fmt.Errorf("a payload of %d bytes has no room for its stamp of %d", t.PayloadBytes, MinPayload))
	}
	if t.Message != "" && !strings.Contains(t.Message, "{payload}") {
		problems = append(problems, errors.New("the message template lacks {payload}"))
	}
	return errors.Join(problems...)
}
