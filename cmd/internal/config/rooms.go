// The setting rooms: what its rules inherit, and what a pattern for the names of rooms may look like.

package config

import "strings"

// inherit fills in what the rules leave out. It runs after all layers, so that a flag changes them too.
func (r *reader) inherit() {
	for i := range r.cfg.Rooms {
		rule, name := &r.cfg.Rooms[i], entryKey("rooms", i)
		if !r.written(name + ".history.size") {
			rule.HistorySize = r.cfg.History.Size
		}
		if !r.written(name + ".presence.events") {
			rule.PresenceEvents = r.cfg.Presence.Events
		}
		if !r.written(name + ".slow_consumer") {
			rule.SlowConsumer = r.cfg.SlowConsumer
		}
	}
}

// checkPattern holds a room pattern against the rules tokens use too: segments between dots, each a name or *,
// and ** only as the last.
func checkPattern(pattern string) *fault {
	segments := strings.Split(pattern, ".")
	for i, s := range segments {
		switch {
		case s == "*", s == "**" && i == len(segments)-1:
		case s == "**":
			return &fault{"has ** before its end", "write * for one segment, or end with **"}
		case strings.Contains(s, "*"):
			return &fault{"has a * inside a segment", "write * for a whole dot-separated segment, such as chat.*"}
		case strings.Trim(s, roomBytes) != "":
			return &fault{"has a character no room name has", "write A-Z a-z 0-9 . _ ~ : - and *"}
		}
	}
	if pattern == "" {
		return &fault{"is empty", "write a room name or a pattern such as chat.*"}
	}
	return nil
}

// roomBytes is what room names are made of, contract section 1.
const roomBytes = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._~:-"

// String is the rule as roost check prints it.
func (r RoomRule) String() string { return entryText(r.settings()) }
