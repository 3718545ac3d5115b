// From the configuration to the options of what it configures. Nothing here opens a socket or starts a goroutine.

package main

import (
	"fmt"
	"io"
	"log/slog"

	"github.com/roost-ws/roost/cmd/internal/config"
	"github.com/roost-ws/roost/engine"
	"github.com/roost-ws/roost/engine/auth"
	"github.com/roost-ws/roost/engine/ratelimit"
	"github.com/roost-ws/roost/protocol/handshake"
	"github.com/roost-ws/roost/sysctl"
)

// tokenCacheEntries is how many verified tokens are remembered where checking one takes a public key, for 3 MB: a
// storm of reconnects brings back the tokens of the last minutes, not those of all users. A shared secret checks a
// token in the time that a few of its system calls take, and remembering it would be a tenth more memory for each
// connection.
const tokenCacheEntries = 64 << 10

func cacheEntries(a *config.Auth) int {
	for _, s := range signers(a) {
		if len(s.PublicKeyPEM) > 0 || s.JWKSURL != "" {
			return tokenCacheEntries
		}
	}
	return 0
}

// signers are whose tokens are accepted: those of auth.issuers, or else the one that stands in auth itself.
func signers(a *config.Auth) []config.Signer {
	if len(a.Issuers) > 0 {
		return a.Issuers
	}
	return []config.Signer{a.Signer}
}

// parts is a node that has been built; start and close are in serve.go.
type parts struct {
	verifier *auth.Verifier // nil in anonymous mode
	keySets  *keySets
	bus      *bus
	box      *box
	server   *engine.Server
}

// build makes the parts of a node: verifier, broker, engine. Its errors are mistakes in the configuration, or
// demands this machine cannot meet. edit changes the engine's options beyond what the configuration can say; it may
// be nil.
func build(l *config.Loaded, log *slog.Logger, edit func(*engine.Options)) (*parts, error) {
	p := &parts{keySets: &keySets{log: log}}
	if l.Config.Auth.Mode == config.AuthJWT {
		v, err := newVerifier(&l.Config.Auth, p.keySets)
		if err != nil {
			return nil, err
		}
		p.verifier = v
	}
	o, err := engineOptions(&l.Config)
	if err != nil {
		return nil, err
	}
	p.bus, err = newBus(&l.Config, log)
	if err != nil {
		return nil, err
	}
	p.bus.connect(&l.Config, &o)
	o.Verifier, o.Log = p.verifier, log
	p.box = newBox("/", sysctl.ThisProcess())
	o.Box = p.box
	o.Metrics = func(w io.Writer) {
		p.keySets.writeMetrics(w)
		p.bus.writeMetrics(w)
		p.box.writeMetrics(w)
	}
	if edit != nil {
		edit(&o)
	}
	p.server, err = engine.New(o)
	if err != nil {
		return nil, err
	}
	p.box.aim(p.server.MaxConnections(), p.server.Connections)
	return p, nil
}

// admits says in words who may connect.
func (p *parts) admits() string {
	if p.verifier == nil {
		return "everybody may connect"
	}
	return "tokens signed with " + p.verifier.Algorithms()
}

// capOrigin says what set the connection cap.
func capOrigin(c *config.Config) string {
	if c.Limits.Connections > 0 {
		return "limits.connections"
	}
	return "descriptor limit"
}

// newVerifier makes the verifier, and in sets the key sets that it looks keys up in, which the caller starts.
func newVerifier(a *config.Auth, sets *keySets) (*auth.Verifier, error) {
	fetched, err := sets.at("auth.jwks_url", a.JWKSURL)
	if err != nil {
		return nil, err
	}
	o := auth.Options{
		HMACSecret:   []byte(a.HMACSecret),
		PublicKeys:   a.PublicKeyPEM,
		KeySet:       fetched,
		Algorithms:   a.Algorithms,
		Issuer:       a.Issuer,
		Audience:     a.Audience,
		Leeway:       a.Leeway,
		CacheEntries: cacheEntries(a),
	}
	for i, s := range a.Issuers {
		if fetched, err = sets.at(fmt.Sprintf("auth.issuers[%d].jwks_url", i), s.JWKSURL); err != nil {
			return nil, err
		}
		o.Issuers = append(o.Issuers, auth.Issuer{
			Name:       s.Issuer,
			Audience:   s.Audience,
			HMACSecret: []byte(s.HMACSecret),
			PublicKeys: s.PublicKeyPEM,
			KeySet:     fetched,
			Algorithms: s.Algorithms,
		})
	}
	return auth.New(o)
}

// engineOptions are the options that follow from the configuration alone.
func engineOptions(c *config.Config) (engine.Options, error) {
	origins, err := handshake.NewOriginPolicy(c.Origins)
	if err != nil {
		return engine.Options{}, fmt.Errorf("origins: %w", err)
	}
	o := engine.Options{
		Listen:           c.Listen,
		Loops:            c.Loops,
		Node:             c.Node,
		TokenLeeway:      c.Auth.Leeway,
		RefuseByClose:    c.Auth.Refuse == config.RefuseClose,
		QueryToken:       c.Auth.QueryToken,
		Origins:          origins,
		Compression:      engine.CompressionOptions{On: c.Compression.Mode == config.CompressionOn, Threshold: int(c.Compression.Threshold)},
		ProxyRequired:    c.Proxy.Mode == config.ProxyRequire,
		Trusted:          c.Proxy.Trusted,
		Limits:           engineLimits(c),
		Heartbeat:        c.Heartbeat.Interval,
		HeartbeatTimeout: c.Heartbeat.Timeout,
		Drain:            engine.DrainOptions{Grace: c.Drain.Grace, Window: c.Drain.Window, ReconnectIn: c.Drain.ReconnectIn},
		SlowConsumer:     slowConsumer[c.SlowConsumer],
		History:          c.History.Size,
		PresenceEvents:   c.Presence.Events,
		PresenceTTL:      c.Presence.TTL,
	}
	for i := range c.Rooms {
		r := &c.Rooms[i]
		o.Rooms = append(o.Rooms, engine.RoomRule{Match: r.Match, Publish: publish[r.Publish], SlowConsumer: slowConsumer[r.SlowConsumer],
			History: r.HistorySize, PresenceEvents: r.PresenceEvents})
	}
	return o, nil
}

// slowConsumer and publish translate the configuration's words; a test holds them against its tables.
var (
	slowConsumer = map[string]engine.SlowConsumerPolicy{
		config.SlowDisconnect: engine.Disconnect,
		config.SlowDropNewest: engine.DropNewest,
		config.SlowKeepLatest: engine.KeepLatest,
	}
	publish = map[string]engine.PublishPolicy{
		config.PublishMembers: engine.PublishMembers,
		config.PublishAnyone:  engine.PublishAnyone,
		config.PublishBackend: engine.PublishBackend,
	}
)

// engineLimits starts from the engine's own bounds, since some of them have no key.
func engineLimits(c *config.Config) engine.Limits {
	l := engine.DefaultLimits()
	l.Connections = c.Limits.Connections
	l.ConnectionsPerIP = c.Limits.ConnectionsPerIP
	l.ConnectionsPerUser = c.Limits.ConnectionsPerUser
	l.HandshakesPerSecond = c.Limits.HandshakesPerSecond
	l.HandshakesPerIP = c.Limits.HandshakesPerIP
	l.Memory = int64(c.Limits.Memory)
	l.MaxAge = c.Limits.MaxAge
	l.HandshakeTimeout = c.Limits.HandshakeTimeout
	l.HeadBytes = int(c.Limits.HeaderBytes)
	l.MessageBytes = int(c.Limits.MessageBytes)
	l.Fragments = c.Limits.Fragments
	l.RoomsPerConnection = c.Limits.RoomsPerConnection
	l.RoomBytes = c.Limits.RoomBytes
	l.OutboundBytes = int(c.Limits.OutboundBytes)
	l.OutboundStall = c.Limits.OutboundStall
	l.OutboundTotal = int(c.Limits.OutboundTotal)
	l.Messages = ratelimit.NewRate(c.Rate.Messages, c.Rate.Burst)
	l.Controls = ratelimit.NewRate(c.Rate.Controls, c.Rate.ControlBurst)
	l.SharedRate = c.Rate.Scope == config.ScopeUser
	return l
}

// quiet is the log of commands that only look.
var quiet = slog.New(slog.DiscardHandler)

// newLog is the node's log.
func newLog(w io.Writer, c config.Log) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // the configuration takes slog's own words only
	o := &slog.HandlerOptions{Level: level}
	if c.Format == config.LogJSON {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}
