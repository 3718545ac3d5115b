// Package config is the typed configuration of roost: what can be set, what each setting means, and who set it.
//
// It owns the tree of settings ([Config]). Each setting is declared once, in the table beside the struct that
// holds it (settings.go): key, default, bounds, words and the sentence users read. From that one row come the
// YAML key, the environment variable, the flag, the help text and the reference file.
//
// [Load] reads four layers, each of which wins over the one before: defaults (with --dev: the preset on top of
// them), the YAML file, the environment, flags. It collects every mistake of all layers instead of stopping at
// the first, and remembers for each value where it came from.
//
// Load runs once, on the goroutine that starts the process, and reads files (the configuration and key files).
// A [Config] is plain data afterwards; whoever shares it must not change it. The package never dials, never
// looks up a name, never asks the machine for its limits, and never prints a secret.
package config

import (
	"net/netip"
	"time"
)

// Words that settings with a closed list of values take. The tables in settings.go are made of them.
const (
	AuthJWT       = "jwt"
	AuthAnonymous = "anonymous"

	RefuseHTTP  = "http"
	RefuseClose = "close"

	ProxyOff     = "off"
	ProxyRequire = "require"

	ScopeConnection = "connection"
	ScopeUser       = "user"

	SlowDisconnect = "disconnect"
	SlowDropNewest = "drop_newest"
	SlowKeepLatest = "keep_latest"

	CompressionOff = "off"
	CompressionOn  = "on"

	CheckRefuse = "refuse"
	CheckWarn   = "warn"

	OfflineLocal  = "local"
	OfflineRefuse = "refuse"

	PublishMembers = "members"
	PublishAnyone  = "anyone"
	PublishBackend = "backend"

	LogText = "text"
	LogJSON = "json"
	logAuto = "auto"

	brokerMemory = "memory:"
)

// Config is the configuration of one node, after all layers. The zero value is not usable: [Default] and [Load]
// make one. What each field means is said once, in settings.go.
type Config struct {
	Listen       []string
	Loops        int
	Node         string
	Admin        Admin
	Auth         Auth
	Origins      []string
	Proxy        Proxy
	Limits       Limits
	Rate         Rate
	Heartbeat    Heartbeat
	SlowConsumer string
	Drain        Drain
	Compression  Compression
	Broker       Broker
	Presence     Presence
	History      History
	Rooms        []RoomRule
	Log          Log
}

// Admin is the operator's port. After [Load], Key holds the key whether it was given as text or in KeyFile.
type Admin struct {
	Listen  string
	Key     Secret
	KeyFile string
	Pprof   bool
}

// Auth says who may connect. Tokens are those of one signer, or of the Issuers, and then Signer is empty.
type Auth struct {
	Mode string
	Signer
	Issuers    []Signer
	Leeway     time.Duration
	QueryToken bool
	Refuse     string
}

// Signer is somebody whose tokens are accepted: what they must claim, and the keys they are checked with. After
// [Load], HMACSecret holds the secret whether it was given as text or in HMACSecretFile, and PublicKeyPEM holds what
// PublicKeyFile contains.
type Signer struct {
	Issuer         string
	Audience       string
	Algorithms     []string
	HMACSecret     Secret
	HMACSecretFile string
	PublicKeyFile  string
	JWKSURL        URL

	// PublicKeyPEM has no key of its own: it is what PublicKeyFile holds, not looked into here.
	PublicKeyPEM []byte
}

// Proxy is the balancer in front and how far it is believed.
type Proxy struct {
	Mode    string
	Trusted []netip.Prefix
}

// Limits are the bounds on clients and their messages.
type Limits struct {
	Connections         int
	Check               string
	ConnectionsPerIP    int
	ConnectionsPerUser  int
	HandshakesPerSecond float64
	HandshakesPerIP     float64
	Memory              Size
	MaxAge              time.Duration
	HandshakeTimeout    time.Duration
	HeaderBytes         Size
	MessageBytes        Size
	Fragments           int
	RoomsPerConnection  int
	RoomBytes           int
	OutboundBytes       Size
	OutboundStall       time.Duration
	OutboundTotal       Size
}

// Rate holds the token buckets: Messages and Controls are refills per second, the bursts are what a full bucket holds.
type Rate struct {
	Messages     float64
	Burst        int
	Controls     float64
	ControlBurst int
	Scope        string
}

// Heartbeat says how often clients are pinged and how long an answer may take.
type Heartbeat struct {
	Interval time.Duration
	Timeout  time.Duration
}

// Drain shapes the end of a node, contract section 6.
type Drain struct {
	Grace       time.Duration
	Window      time.Duration
	ReconnectIn time.Duration
}

// Compression is permessage-deflate (RFC 7692).
type Compression struct {
	Mode      string
	Threshold Size
}

// Broker is the bus between nodes.
type Broker struct {
	URL     URL
	Prefix  string
	Offline string
	Linger  time.Duration
}

// Alone reports whether there is no bus: this node has no others to talk to.
func (b *Broker) Alone() bool { return b.URL == brokerMemory }

// Presence is who is in a room.
type Presence struct {
	TTL    time.Duration
	Events bool
}

// History is what rooms keep.
type History struct {
	Size   int
	TTL    time.Duration
	Memory Size
}

// RoomRule changes settings for the rooms whose name Match fits; the first rule that fits a room is the only one
// that counts. After [Load] every field is set: what a rule leaves out is copied from the setting it overrides.
type RoomRule struct {
	Match          string
	HistorySize    int
	PresenceEvents bool
	SlowConsumer   string
	Publish        string
}

// Log is the node's log.
type Log struct {
	Level  string
	Format string
}

// Default is the configuration of a node that was told nothing, before [Load] fills in what depends on the
// machine (loops, node, log.format).
func Default() Config {
	r := newReader()
	r.readDefaults()
	return *r.cfg
}
