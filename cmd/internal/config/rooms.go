// The setting rooms: a list of rules, each a small mapping with a table of its own.

package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// ruleSource remembers of one rule what its values no longer tell.
type ruleSource struct {
	origin Origin
	// given holds the keys the rule names itself; the others follow the settings outside.
	given map[string]bool
}

// readRooms sets Config.Rooms from a YAML list.
func (r *reader) readRooms(list *yaml.Node, at Origin) {
	if list.Kind != yaml.SequenceNode {
		r.problem(at, "rooms", "is not a list", `write rules such as [{match: "chat.*", publish: members}]`)
		return
	}
	rules := make([]RoomRule, len(list.Content))
	sources := make([]ruleSource, len(list.Content))
	for i, n := range list.Content {
		name := fmt.Sprintf("rooms[%d]", i)
		source := ruleSource{origin: at.line(n.Line), given: map[string]bool{}}
		if n = aliased(n); n.Kind != yaml.MappingNode {
			r.problem(source.origin, name, "is not a rule", `write one such as {match: "chat.*", publish: members}`)
			continue
		}
		r.readRule(&rules[i], source, n, name+".")
		sources[i] = source
	}
	r.cfg.Rooms, r.rules = rules, sources
	r.origins["rooms"] = at
}

// readRule reads one rule; name is what problems call it.
func (r *reader) readRule(rule *RoomRule, source ruleSource, n *yaml.Node, name string) {
	table := rule.settings()
	for i := range table {
		if table[i].def != "" {
			_ = table[i].read([]string{table[i].def}) // defaults of the tables fit their rows, a test says so
		}
	}
	m := &mapping{reader: r, at: source.origin, name: name, table: table, seen: map[string]int{}}
	m.found = func(s *setting, value *yaml.Node, at Origin) {
		source.given[s.key] = true
		words, bad := items(s, value)
		if bad == nil {
			bad = s.read(words)
		}
		if bad != nil {
			r.problem(at, name+s.key, bad.wrong, bad.fix)
		}
	}
	m.walk(n, "")
	if !source.given["match"] {
		r.problem(source.origin, name+"match", "is missing", `write which rooms the rule is for, such as match: "chat.*"`)
	}
}

// inherit fills in what the rules leave out. It runs after all layers, so that a flag changes them too.
func (r *reader) inherit() {
	for i := range r.cfg.Rooms {
		rule, given := &r.cfg.Rooms[i], r.rules[i].given
		if !given["history.size"] {
			rule.HistorySize = r.cfg.History.Size
		}
		if !given["presence.events"] {
			rule.PresenceEvents = r.cfg.Presence.Events
		}
		if !given["slow_consumer"] {
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
func (r RoomRule) String() string {
	table := r.settings()
	pairs := make([]string, len(table))
	for i := range table {
		pairs[i] = table[i].key + ": " + kindOf(table[i].field).show(table[i].field)
	}
	return "{" + strings.Join(pairs, ", ") + "}"
}
