// Settings of the contract that this version cannot serve yet. They are refused, so that nothing is silently ignored.

package config

// unavailable lists them; a row goes when its feature comes.
var unavailable = []struct {
	key    string
	wanted func(*Config) bool
	fix    string
}{
	{"broker.url", func(c *Config) bool { return c.Broker.URL != brokerMemory }, "write memory:"},
	{"history.size", func(c *Config) bool { return c.History.Size > 0 }, "write 0"},
	{"presence.events", func(c *Config) bool { return c.Presence.Events }, "write false"},
}

// unavailableInRules lists the same for rules of rooms.
var unavailableInRules = []struct {
	key    string
	wanted func(*RoomRule) bool
	fix    string
}{
	{"history.size", func(r *RoomRule) bool { return r.HistorySize > 0 }, "write 0"},
	{"presence.events", func(r *RoomRule) bool { return r.PresenceEvents }, "write false"},
}

const notYet = "is not available in this version"

func (r *reader) refuseUnavailable() {
	for _, u := range unavailable {
		if u.wanted(r.cfg) {
			r.check(u.key, notYet, u.fix)
		}
	}
	for _, u := range unavailableInRules {
		for i := range r.cfg.Rooms {
			if key := entryKey("rooms", i) + "." + u.key; r.written(key) && u.wanted(&r.cfg.Rooms[i]) {
				r.check(key, notYet, u.fix)
			}
		}
	}
}
