// Settings whose value is a list of entries, each a small mapping with a table of its own: rooms and auth.issuers.

package config

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// entries is what such a setting has in place of a kind.
type entries struct {
	// one and many name them in problems, example is one as YAML.
	one, many, example string
	// required is the key that no entry may lack, missing what to write when one does.
	required, missing string
	// reference is the commented example in the reference file.
	reference string

	// resize makes the list one of n empty entries; length and table tell about those that are there.
	resize func(n int)
	length func() int
	table  func(i int) []setting
}

// entriesOf picks by the type of a setting's field, as kindOf does. It is nil for the settings that have a kind.
func entriesOf(field any) *entries {
	switch list := field.(type) {
	case *[]RoomRule:
		e := entriesIn(list)
		e.one, e.many, e.example = "a rule", "rules", `{match: "chat.*", publish: members}`
		e.required, e.missing = "match", `write which rooms the rule is for, such as match: "chat.*"`
		e.reference = referenceRooms
		return e
	case *[]Signer:
		e := entriesIn(list)
		e.one, e.many, e.example = "an issuer", "issuers", `{issuer: "https://login.example.com", public_key_file: login.pem}`
		e.required, e.missing = "issuer", "write the iss claim of this issuer's tokens, by which they are told from the others'"
		e.reference = referenceIssuers
		return e
	}
	return nil
}

func entriesIn[T any, P interface {
	*T
	settings() []setting
}](list *[]T) *entries {
	return &entries{
		resize: func(n int) { *list = make([]T, n) },
		length: func() int { return len(*list) },
		table:  func(i int) []setting { return P(&(*list)[i]).settings() },
	}
}

// entryKey is how an entry is called in problems and among the origins: rooms[2].
func entryKey(key string, i int) string { return fmt.Sprintf("%s[%d]", key, i) }

// readEntries sets s, which has entries e, from a YAML list; nil is none. Where each entry and each of its keys was
// written is kept among the origins, those of an earlier layer's list are forgotten.
func (r *reader) readEntries(s *setting, e *entries, list *yaml.Node, at Origin) {
	var nodes []*yaml.Node
	if list != nil {
		if list.Kind != yaml.SequenceNode {
			r.problem(at, s.key, "is not a list", fmt.Sprintf("write %s such as [%s]", e.many, e.example))
			return
		}
		nodes = list.Content
	}
	for key := range r.origins {
		if strings.HasPrefix(key, s.key+"[") {
			delete(r.origins, key)
		}
	}
	r.origins[s.key] = at
	e.resize(len(nodes))
	for i, n := range nodes {
		name := entryKey(s.key, i)
		r.origins[name] = at.line(n.Line)
		if n = aliased(n); n.Kind != yaml.MappingNode {
			r.check(name, "is not "+e.one, "write one such as "+e.example)
			continue
		}
		r.readEntry(name, e, e.table(i), n)
	}
}

// readEntry reads the entry called name into the fields of table.
func (r *reader) readEntry(name string, e *entries, table []setting, n *yaml.Node) {
	for i := range table {
		if table[i].def != "" {
			_ = table[i].read([]string{table[i].def}) // defaults of the tables fit their rows, a test says so
		}
	}
	m := &mapping{reader: r, at: r.origins[name], name: name + ".", table: table, seen: map[string]int{}}
	m.found = func(s *setting, value *yaml.Node, at Origin) {
		r.origins[m.name+s.key] = at
		words, bad := items(s, value)
		if bad == nil {
			bad = s.read(words)
		}
		if bad != nil {
			r.problem(at, m.name+s.key, bad.wrong, bad.fix)
		}
	}
	m.walk(n, "")
	if required := m.name + e.required; !r.written(required) {
		r.check(required, "is missing", e.missing)
	}
}

// written reports whether any layer set key. Of entries only those keys count that stand in them: the rest follows
// other settings, or is empty.
func (r *reader) written(key string) bool {
	_, ok := r.origins[key]
	return ok
}

// entryText is one entry as roost check prints it: its table on one line, without anything secret.
func entryText(table []setting) string {
	pairs := make([]string, len(table))
	for i := range table {
		pairs[i] = table[i].key + ": " + kindOf(table[i].field).show(table[i].field)
	}
	return "{" + strings.Join(pairs, ", ") + "}"
}
