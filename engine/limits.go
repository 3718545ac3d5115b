package engine

import (
	"time"

	"github.com/roost-ws/roost/engine/ratelimit"
	"github.com/roost-ws/roost/protocol/proxyproto"
)

// Limits holds every bound of the engine in one place: what a client, a room or a queue may cost.
// A zero field takes the default that [DefaultLimits] names; each bound that is hit has a reason of its own
// in the lists of close.go and package handshake, and a counter.
type Limits struct {
	// Connections is the most that may be open at once, 0 = what the descriptor limit leaves.
	Connections int
	// ConnectionsPerIP and ConnectionsPerUser bound one address (a /64 of IPv6) and one user; 0 = off.
	ConnectionsPerIP, ConnectionsPerUser int
	// HandshakesPerSecond bounds new upgrades of the whole node; 0 = off.
	HandshakesPerSecond float64
	// HandshakesPerIP bounds new upgrades of one address (a /64 of IPv6) a second, before its tokens are looked at;
	// 0 = off.
	HandshakesPerIP float64
	// Memory is the mark above which upgrades are refused: resident memory and the kernel's for our sockets, in
	// bytes; 0 = off.
	Memory int64
	// MaxAge is how long a connection may live; it is sent away, to reconnect, in the last fifth of it. 0 = off.
	MaxAge time.Duration
	// HandshakeTimeout runs from accept to 101, whatever the client sends meanwhile.
	HandshakeTimeout time.Duration
	// ProxyTimeout and ProxyBytes bound the PROXY header, where one is required.
	ProxyTimeout time.Duration
	ProxyBytes   int
	// HeadBytes bounds the request head.
	HeadBytes int
	// MessageBytes and Fragments bound one message, judged on the frame header.
	MessageBytes, Fragments int
	// MessageTimeout is how long the rest of a message may take once its first byte is here.
	MessageTimeout time.Duration
	// CloseTimeout is how long a peer may take to answer a close frame before its socket is reset.
	CloseTimeout time.Duration
	// RoomsPerConnection and RoomBytes bound memberships and room names.
	RoomsPerConnection, RoomBytes int
	// OutboundBytes may wait for one slow client, OutboundStall is how long it may make no progress.
	OutboundBytes int
	OutboundStall time.Duration
	// OutboundTotal may wait for all slow clients of the node together; each loop has an equal share.
	OutboundTotal int
	// Messages and Controls are the token buckets of publishes and of everything else a client asks for.
	Messages, Controls ratelimit.Rate
	// Faults is what a client may do wrong (errors earned, rates passed) before it is closed.
	Faults ratelimit.Rate
	// SharedRate makes one bucket of publishes serve all connections of a user.
	SharedRate bool
	// Authorizing is how many tokens may wait for the verifier pool.
	Authorizing int
	// Mailbox is how many publications may wait for one loop; more are dropped and told as gaps.
	Mailbox int
	// BatchBytes is what one room may gather for its next walk; more are dropped and told as gaps.
	BatchBytes int
	// FreeBufferBytes is what each loop keeps of returned buffers for the next one.
	FreeBufferBytes int
}

// DefaultLimits are the bounds of contract section 1, with those that have no key there.
func DefaultLimits() Limits {
	return Limits{
		HandshakeTimeout:   5 * time.Second,
		ProxyTimeout:       3 * time.Second,
		ProxyBytes:         proxyproto.DefaultHeaderBytes,
		HeadBytes:          16 << 10,
		MessageBytes:       64 << 10,
		Fragments:          64,
		MessageTimeout:     10 * time.Second,
		CloseTimeout:       5 * time.Second,
		RoomsPerConnection: 128,
		RoomBytes:          128,
		OutboundBytes:      256 << 10,
		OutboundStall:      10 * time.Second,
		OutboundTotal:      256 << 20,
		Messages:           ratelimit.NewRate(1, 10),
		Controls:           ratelimit.NewRate(20, 100),
		Faults:             ratelimit.NewRate(1, 60),
		Authorizing:        1024,
		Mailbox:            64 << 10,
		BatchBytes:         4 << 20,
		FreeBufferBytes:    1 << 20,
	}
}

// withDefaults fills what is zero, where zero does not mean "off".
func withDefaults(l Limits) Limits {
	d := DefaultLimits()
	for _, p := range [...][2]*int{
		{&l.ProxyBytes, &d.ProxyBytes}, {&l.HeadBytes, &d.HeadBytes},
		{&l.MessageBytes, &d.MessageBytes}, {&l.Fragments, &d.Fragments},
		{&l.RoomsPerConnection, &d.RoomsPerConnection}, {&l.RoomBytes, &d.RoomBytes},
		{&l.OutboundBytes, &d.OutboundBytes}, {&l.OutboundTotal, &d.OutboundTotal}, {&l.Authorizing, &d.Authorizing},
		{&l.Mailbox, &d.Mailbox}, {&l.BatchBytes, &d.BatchBytes}, {&l.FreeBufferBytes, &d.FreeBufferBytes},
	} {
		if *p[0] == 0 {
			*p[0] = *p[1]
		}
	}
	for _, p := range [...][2]*time.Duration{
		{&l.HandshakeTimeout, &d.HandshakeTimeout}, {&l.ProxyTimeout, &d.ProxyTimeout},
		{&l.MessageTimeout, &d.MessageTimeout},
		{&l.CloseTimeout, &d.CloseTimeout}, {&l.OutboundStall, &d.OutboundStall},
	} {
		if *p[0] == 0 {
			*p[0] = *p[1]
		}
	}
	if l.Faults.Unlimited() {
		l.Faults = d.Faults
	}
	return l
}
