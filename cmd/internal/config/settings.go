// One declaration for each setting: everything else in this package is made from these tables.

package config

import "strings"

// setting is one row: a key and the field behind it, bound to one Config (or one entry of a list in it).
type setting struct {
	// key is relative to its section inside a section's table, whole in Config.settings.
	key string
	// field points at the value; its type decides how text is read and written (kinds.go).
	field any
	// def is the default as text, lists separated by commas.
	def string
	// bounds is "lowest..highest" in the setting's own notation; every kind that has an order needs it.
	bounds string
	// words are the only values a text setting, or each element of a list, may take.
	words []string
	// doc is what users read: a sentence without the full stop at its end, no backquotes (pflag gives them a meaning).
	doc string
}

// settings lists every setting of c in the order of the reference file. Keys of one section stay together.
func (c *Config) settings() []setting {
	list := []setting{
		{key: "listen", field: &c.Listen, def: ":8080",
			doc: "addresses for clients: host:port, or fd:3 for an inherited listener; more ports give a balancer more source ports"},
		{key: "loops", field: &c.Loops, def: "0", bounds: "0..1024",
			doc: "event loops; 0 is one for each CPU the process may use"},
		{key: "node", field: &c.Node, def: "",
			doc: "this node's name; empty is the host name and a random suffix, new at each start"},
	}
	list = append(list, under("admin", c.Admin.settings())...)
	list = append(list, under("auth", c.Auth.settings())...)
	list = append(list, setting{key: "origins", field: &c.Origins, def: "",
		doc: "origins a browser may connect from: exact, https://*.example.com, or *; empty is the same host only"})
	list = append(list, under("proxy", c.Proxy.settings())...)
	list = append(list, under("limits", c.Limits.settings())...)
	list = append(list, under("rate", c.Rate.settings())...)
	list = append(list, under("heartbeat", c.Heartbeat.settings())...)
	list = append(list, setting{key: "slow_consumer", field: &c.SlowConsumer, def: SlowDisconnect, words: slowWords,
		doc: "what happens to a client that reads too slowly; keep_latest keeps the newest publication of each room"})
	list = append(list, under("drain", c.Drain.settings())...)
	list = append(list, under("compression", c.Compression.settings())...)
	list = append(list, under("broker", c.Broker.settings())...)
	list = append(list, under("presence", c.Presence.settings())...)
	list = append(list, under("history", c.History.settings())...)
	list = append(list, setting{key: "rooms", field: &c.Rooms, def: "[]",
		doc: "rules for rooms by name, the first match wins; * is one dot-separated segment, ** at the end any rest"})
	return append(list, under("log", c.Log.settings())...)
}

var slowWords = []string{SlowDisconnect, SlowDropNewest, SlowKeepLatest}

// under puts a section's name before the keys of its table.
func under(section string, list []setting) []setting {
	for i := range list {
		list[i].key = section + "." + list[i].key
	}
	return list
}

func (a *Admin) settings() []setting {
	return []setting{
		{key: "listen", field: &a.Listen, def: "127.0.0.1:8081",
			doc: "address for operators and backends: metrics, API, console, health"},
		{key: "key", field: &a.Key, def: "",
			doc: "bearer key for /api/; without one the API answers only when admin.listen is loopback"},
		{key: "key_file", field: &a.KeyFile, def: "",
			doc: "file that holds admin.key"},
		{key: "pprof", field: &a.Pprof, def: "false",
			doc: "serve /debug/pprof/ on admin.listen"},
	}
}

func (a *Auth) settings() []setting {
	list := []setting{
		{key: "mode", field: &a.Mode, def: AuthJWT, words: []string{AuthJWT, AuthAnonymous},
			doc: "who may connect: holders of a valid token, or anyone"},
	}
	list = append(list, a.sources()...)
	list = append(list, a.demands()...)
	return append(list, []setting{
		{key: "issuers", field: &a.Issuers, def: "[]",
			doc: "several issuers in place of one, each with its own keys and demands; a token's iss claim says whose it is"},
		{key: "leeway", field: &a.Leeway, def: "10s", bounds: "0s..30s",
			doc: "how far clocks may differ when exp and nbf are checked"},
		{key: "query_token", field: &a.QueryToken, def: "false",
			doc: "also accept ?token= in the address, which leaks into logs"},
		{key: "refuse", field: &a.Refuse, def: RefuseHTTP, words: []string{RefuseHTTP, RefuseClose},
			doc: "how a bad token is refused: http answers 401; close upgrades and closes with 4401, so that a browser can see why"},
	}...)
}

// settings lists what one entry of auth.issuers may hold.
func (s *Signer) settings() []setting { return append(s.demands(), s.sources()...) }

// sources are the settings that bring keys.
func (s *Signer) sources() []setting {
	return []setting{
		{key: "hmac_secret", field: &s.HMACSecret, def: "",
			doc: "shared secret of HS256, HS384 and HS512 tokens, at least 32 bytes"},
		{key: "hmac_secret_file", field: &s.HMACSecretFile, def: "",
			doc: "file that holds auth.hmac_secret; one newline at its end is not part of it"},
		{key: "public_key_file", field: &s.PublicKeyFile, def: "",
			doc: "PEM file with the public key of RS256, PS256, ES256 or EdDSA tokens"},
		{key: "jwks_url", field: &s.JWKSURL, def: "",
			doc: "address that public keys are fetched from in place of a file (a key set, RFC 7517): https, or http on this machine"},
	}
}

// demands are the settings that say what a token must be like.
func (s *Signer) demands() []setting {
	return []setting{
		{key: "issuer", field: &s.Issuer, def: "",
			doc: "required iss claim; empty is not checked"},
		{key: "audience", field: &s.Audience, def: "",
			doc: "required aud claim; empty is not checked"},
		{key: "algorithms", field: &s.Algorithms, def: "",
			words: []string{"HS256", "HS384", "HS512", "RS256", "PS256", "ES256", "EdDSA"},
			doc:   "algorithms a token may be signed with; empty is those that fit the configured keys"},
	}
}

func (p *Proxy) settings() []setting {
	return []setting{
		{key: "mode", field: &p.Mode, def: ProxyOff, words: []string{ProxyOff, ProxyRequire},
			doc: "whether every connection has to begin with a PROXY header, version 1 or 2"},
		{key: "trusted", field: &p.Trusted, def: "",
			doc: "networks whose PROXY header or X-Forwarded-For is believed"},
	}
}

func (l *Limits) settings() []setting {
	return []setting{
		{key: "connections", field: &l.Connections, def: "0", bounds: "0..100000000",
			doc: "how many connections may be open; 0 is what the descriptor limit leaves after a reserve"},
		{key: "check", field: &l.Check, def: CheckRefuse, words: []string{CheckRefuse, CheckWarn},
			doc: "what happens when this box does not hold limits.connections (roost tune check): refuse to start, or warn; without limits.connections it is a warning"},
		{key: "connections_per_ip", field: &l.ConnectionsPerIP, def: "0", bounds: "0..100000000",
			doc: "how many may be open from one address, a /64 of IPv6; 0 is no limit"},
		{key: "connections_per_user", field: &l.ConnectionsPerUser, def: "0", bounds: "0..100000000",
			doc: "how many one user may have open; 0 is no limit"},
		{key: "handshakes_per_second", field: &l.HandshakesPerSecond, def: "0", bounds: "0..1000000",
			doc: "new connections per second, above it 503 with Retry-After; 0 is no limit"},
		{key: "handshakes_per_ip", field: &l.HandshakesPerIP, def: "0", bounds: "0..1000000",
			doc: "new connections per second from one address, refused ones counted, above it 429 with Retry-After; 0 is no limit"},
		{key: "memory", field: &l.Memory, def: "0", bounds: "0..64TiB",
			doc: "memory of the process and of its sockets in the kernel, above it new connections get 503; 0 is no limit"},
		{key: "max_age", field: &l.MaxAge, def: "0s", bounds: "0s..8760h",
			doc: "how long a connection may live; it is sent away to reconnect in the last fifth of that; 0 is no limit"},
		{key: "handshake_timeout", field: &l.HandshakeTimeout, def: "5s", bounds: "100ms..5m",
			doc: "from accept to the answer 101, whatever the client sends meanwhile"},
		{key: "header_bytes", field: &l.HeaderBytes, def: "16KiB", bounds: "1KiB..1MiB",
			doc: "the whole request head"},
		{key: "message_bytes", field: &l.MessageBytes, def: "64KiB", bounds: "128..64MiB",
			doc: "one message of a client"},
		{key: "fragments", field: &l.Fragments, def: "64", bounds: "1..65536",
			doc: "frames one message may come in"},
		{key: "rooms_per_connection", field: &l.RoomsPerConnection, def: "128", bounds: "1..100000",
			doc: "rooms one connection may be in"},
		{key: "room_bytes", field: &l.RoomBytes, def: "128", bounds: "1..1024",
			doc: "length of a room's name, which is made of A-Z a-z 0-9 . _ ~ : -"},
		{key: "outbound_bytes", field: &l.OutboundBytes, def: "256KiB", bounds: "4KiB..1GiB",
			doc: "what may wait for one slow client"},
		{key: "outbound_stall", field: &l.OutboundStall, def: "10s", bounds: "100ms..1h",
			doc: "how long a slow client may take nothing of what waits for it"},
		{key: "outbound_total", field: &l.OutboundTotal, def: "256MiB", bounds: "1MiB..1TiB",
			doc: "what may wait for all slow clients of the node together"},
	}
}

func (r *Rate) settings() []setting {
	return []setting{
		{key: "messages", field: &r.Messages, def: "1", bounds: "0.001..1000000",
			doc: "publishes per second, for each connection or user (rate.scope)"},
		{key: "burst", field: &r.Burst, def: "10", bounds: "1..1000000",
			doc: "publishes at once after a pause"},
		{key: "controls", field: &r.Controls, def: "20", bounds: "0.001..1000000",
			doc: "joins, leaves, queries and pings per second, for each connection"},
		{key: "control_burst", field: &r.ControlBurst, def: "100", bounds: "1..1000000",
			doc: "joins, leaves, queries and pings at once after a pause"},
		{key: "scope", field: &r.Scope, def: ScopeConnection, words: []string{ScopeConnection, ScopeUser},
			doc: "who has a bucket for publishes; user shares it among the connections of a user"},
	}
}

func (h *Heartbeat) settings() []setting {
	return []setting{
		{key: "interval", field: &h.Interval, def: "30s", bounds: "1s..1h",
			doc: "time between two pings; stay below the idle limit of every proxy on the way"},
		{key: "timeout", field: &h.Timeout, def: "30s", bounds: "1s..1h",
			doc: "no sign of life for interval and timeout together closes a connection"},
	}
}

func (d *Drain) settings() []setting {
	return []setting{
		{key: "grace", field: &d.Grace, def: "2s", bounds: "0s..10m",
			doc: "time for the balancer to notice before clients are sent away"},
		{key: "window", field: &d.Window, def: "10s", bounds: "0s..24h",
			doc: "time over which clients are sent away"},
		{key: "reconnect_in", field: &d.ReconnectIn, def: "5s", bounds: "1s..1h",
			doc: "when clients are asked to come back; spread for each client"},
	}
}

func (c *Compression) settings() []setting {
	return []setting{
		{key: "mode", field: &c.Mode, def: CompressionOff, words: []string{CompressionOff, CompressionOn},
			doc: "whether permessage-deflate is offered, without context takeover either way"},
		{key: "threshold", field: &c.Threshold, def: "256", bounds: "0..64MiB",
			doc: "messages shorter than this stay as they are"},
	}
}

func (b *Broker) settings() []setting {
	return []setting{
		{key: "url", field: &b.URL, def: brokerMemory,
			doc: "the bus between nodes: redis://host:6379 (several hosts with commas between share the rooms), rediss:// with TLS, redis+sentinel://a,b/master, redis+cluster://a,b; memory: is none, one node alone"},
		{key: "prefix", field: &b.Prefix, def: "roost:",
			doc: "what each channel and key on the bus begins with; two installations on one Redis need two, whatever their database"},
		{key: "offline", field: &b.Offline, def: OfflineLocal, words: []string{OfflineLocal, OfflineRefuse},
			doc: "what members can do while the bus is away: local lets them talk on this node, in rooms without history; refuse answers unavailable"},
		{key: "linger", field: &b.Linger, def: "10s", bounds: "0s..10m",
			doc: "how long a room without members on this node stays subscribed"},
	}
}

func (p *Presence) settings() []setting {
	return []setting{
		{key: "ttl", field: &p.TTL, def: "60s", bounds: "5s..24h",
			doc: "how long a user of a crashed node seems present"},
		{key: "events", field: &p.Events, def: "false",
			doc: "tell members who joins and who leaves"},
	}
}

func (h *History) settings() []setting {
	return []setting{
		{key: "size", field: &h.Size, def: "0", bounds: "0..1000000",
			doc: "publications kept in each room; 0 is none"},
		{key: "ttl", field: &h.TTL, def: "5m", bounds: "1s..720h",
			doc: "how long they are kept"},
		{key: "memory", field: &h.Memory, def: "256MiB", bounds: "1MiB..1TiB",
			doc: "what memory: may keep of all rooms together; above it the rooms that were silent longest are forgotten"},
	}
}

func (l *Log) settings() []setting {
	return []setting{
		{key: "level", field: &l.Level, def: "info", words: []string{"debug", "info", "warn", "error"},
			doc: "least important line that is written"},
		{key: "format", field: &l.Format, def: logAuto, words: []string{logAuto, LogText, LogJSON},
			doc: "how lines are written; auto is text on a terminal, else json"},
	}
}

// settings lists what one rule of rooms may hold. A default of "" means: as the setting of that name outside.
func (r *RoomRule) settings() []setting {
	return []setting{
		{key: "match", field: &r.Match, doc: "which rooms: a name, chat.*, or chat.**"},
		{key: "history.size", field: &r.HistorySize, bounds: "0..1000000", doc: "overrides history.size"},
		{key: "presence.events", field: &r.PresenceEvents, doc: "overrides presence.events"},
		{key: "slow_consumer", field: &r.SlowConsumer, words: slowWords, doc: "overrides slow_consumer"},
		{key: "publish", field: &r.Publish, def: PublishMembers,
			words: []string{PublishMembers, PublishAnyone, PublishBackend},
			doc:   "who may publish: members, anyone whose token allows the room, or only the backend"},
	}
}

// env is the name of the environment variable for s.
func (s *setting) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(s.key, ".", "_"))
}
