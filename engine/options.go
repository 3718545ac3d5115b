package engine

import (
	"io"
	"log/slog"
	"net/netip"
	"time"

	"github.com/roost-ws/roost/engine/auth"
	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/protocol/handshake"
)

// Options are what a Server is made from. Only Broker is needed; the zero value of the rest is usable.
type Options struct {
	// Listen are the client addresses: host:port, or fd:3 for an inherited listener, which the server makes its own.
	Listen []string
	// Loops is the number of event loops, 0 = GOMAXPROCS. More than the processors really granted cost speed.
	Loops int
	// Node names this node; it must not contain a colon.
	Node string
	// Verifier checks tokens; nil lets everybody in as one anonymous user with all rights.
	Verifier *auth.Verifier
	// TokenLeeway is the clock difference that the verifier grants, and so how long after its exp a token's
	// connection may live.
	TokenLeeway time.Duration
	// RefuseByClose answers a bad token with 101 and a close frame instead of 401, so that a browser can see why.
	RefuseByClose bool
	// QueryToken also takes a token from ?token=, where logs see it.
	QueryToken bool
	// Origins decides which pages may connect; nil means the same host only.
	Origins *handshake.OriginPolicy
	// ProxyRequired makes every connection begin with a PROXY header, version 1 or 2, from one of Trusted.
	ProxyRequired bool
	// Trusted are the peers whose PROXY header, X-Forwarded-For and Forwarded are believed.
	Trusted []netip.Prefix
	// Broker carries publications. The Server starts and closes it.
	Broker fanout.Broker
	// Peers says that there are other nodes on the Broker, to know of and to pass orders on to.
	Peers bool
	// StayLocal lets members go on talking on this node while the Broker is away.
	StayLocal bool
	// Linger is how long the node stays subscribed to a room without members.
	Linger time.Duration
	// Limits are the bounds; zero fields take their defaults.
	Limits Limits
	// Compression says whether permessage-deflate is offered to clients.
	Compression CompressionOptions
	// Heartbeat is how often a ping is sent, HeartbeatTimeout how long after one a peer may stay silent.
	Heartbeat, HeartbeatTimeout time.Duration
	// Drain are the times of an orderly end.
	Drain DrainOptions
	// SlowConsumer is the policy of rooms that no rule matches; Rooms are the rules, first match wins.
	SlowConsumer SlowConsumerPolicy
	Rooms        []RoomRule
	// Presence knows who is where over all nodes, and tells the members of rooms with PresenceEvents. The Server starts
	// and closes it. Without one presence is counted when somebody asks, on this node.
	Presence fanout.Presence
	// PresenceShared keeps presence of every room and user, for the other nodes; else it is kept of rooms with
	// PresenceEvents alone.
	PresenceShared bool
	// PresenceTTL is how long Presence believes what it was told; it is repeated three times in that.
	PresenceTTL time.Duration
	// PresenceEvents is for rooms that no rule matches.
	PresenceEvents bool
	// History is how many publications the broker keeps of a room that no rule matches, 0 = none. The broker must be
	// a fanout.History that goes by the same rules.
	History int
	// Box is the machine, as far as it is known; nil = only the descriptor limit is.
	Box Box
	// Metrics adds figures of what runs beside the server to its own, in Prometheus text format; nil = none.
	Metrics func(io.Writer)
	// Log is where the server speaks; nil = slog.Default.
	Log *slog.Logger
	// Wall is the wall clock, which only tokens and timestamps ask for; nil = time.Now.
	Wall func() time.Time
}
