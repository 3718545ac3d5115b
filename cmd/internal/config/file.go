// The YAML file: which lines set what. Works on YAML nodes, because only they know their line.

package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxFileBytes bounds what is read of a configuration or key file: a wrong path may lead to anything.
const maxFileBytes = 1 << 20

// readFile reads the whole file at path, up to maxFileBytes. Its errors do not repeat the path.
func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(data) > maxFileBytes {
		return nil, fmt.Errorf("larger than %v", Size(maxFileBytes))
	}
	return data, nil
}

func withoutPath(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

// yamlLine takes the line out of the YAML library's messages; those about the first line name none.
var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?((?s:.*))$`)

const yamlHint = "check this line and the one above, and quote text that holds any of : # * & { ["

// parseYAML returns the one document in data, nil if it is empty. Origins of problems are at, moved to their line.
func (r *reader) parseYAML(data []byte, at Origin) *yaml.Node {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document, second yaml.Node
	err := decoder.Decode(&document)
	if err == nil {
		err = decoder.Decode(&second)
		if err == nil {
			r.problem(at.line(second.Line), "", "is a second document", "keep everything in one, without a line ---")
			return nil
		}
	}
	if !errors.Is(err, io.EOF) {
		line, text := 1, err.Error()
		if m := yamlLine.FindStringSubmatch(text); m != nil {
			text = m[2]
			if n, err := strconv.Atoi(m[1]); err == nil {
				line = n
			}
		}
		r.problem(at.line(line), "", "is not YAML: "+strings.ReplaceAll(text, "\n", " "), yamlHint)
		return nil
	}
	if len(document.Content) == 0 {
		return nil
	}
	return aliased(document.Content[0])
}

// line is o at a line of its file; other layers have no lines.
func (o Origin) line(n int) Origin {
	if o.Layer == FromFile {
		o.Line = n
	}
	return o
}

// aliased follows *name to what &name marks. A mark inside itself does no harm: nothing here descends further
// than the tables of settings do.
func aliased(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}

// isNull reports whether n is a value that was left out.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// mapping walks one YAML mapping against a table of settings. Keys may be nested (limits: connections:) or
// dotted (limits.connections:), in an entry of a list as well as at the top.
type mapping struct {
	reader *reader
	at     Origin
	// name is put before keys in problems: empty at the top, "rooms[2]." in an entry of a list.
	name  string
	table []setting
	// seen holds the line each key was first given on.
	seen map[string]int
	// found takes the value of a known key.
	found func(s *setting, value *yaml.Node, at Origin)
}

// walk reads the pairs of n, whose keys lie in section ("" or "limits.").
func (m *mapping) walk(n *yaml.Node, section string) {
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], aliased(n.Content[i+1])
		at := m.at.line(key.Line)
		if key.Kind != yaml.ScalarNode {
			m.reader.problem(at, m.name+strings.TrimSuffix(section, "."), "a key is not plain text", "write key: value")
			continue
		}
		if key.ShortTag() == "!!merge" {
			m.reader.problem(at, m.name+strings.TrimSuffix(section, "."), "merge keys are not supported", "write the settings out")
			continue
		}
		m.pair(section+key.Value, value, at)
	}
}

// pair reads one key, which is whole by now.
func (m *mapping) pair(key string, value *yaml.Node, at Origin) {
	label := m.name + shownKey(key)
	if first, again := m.seen[key]; again {
		earlier := "is given twice"
		if at.Line > 0 {
			earlier = fmt.Sprintf("is given twice, first on line %d", first)
		}
		m.reader.problem(at, label, earlier, "keep one of them")
		return
	}
	m.seen[key] = at.Line
	if s := lookup(m.table, key); s != nil {
		if isNull(value) {
			m.reader.problem(at, label, "has no value", "write one, or remove the line for the default")
			return
		}
		m.found(s, value, at)
		return
	}
	example := firstUnder(m.table, key+".")
	switch {
	case example == "":
		m.reader.unknown(at, label, key, keysOf(m.table))
	case value.Kind == yaml.MappingNode:
		m.walk(value, key+".")
	case !isNull(value): // a section whose lines are all commented out is fine
		m.reader.problem(at, label, "is a section, not a value", "write settings such as "+example+" below it")
	}
}

// items reads the value of a setting that is no list of entries.
func items(s *setting, value *yaml.Node) ([]string, *fault) {
	k := kindOf(s.field)
	switch value.Kind {
	case yaml.ScalarNode:
		return k.split(value.Value), nil
	case yaml.SequenceNode:
		if !k.list {
			return nil, &fault{"is a list", "write " + k.wants}
		}
		list := make([]string, 0, len(value.Content))
		for _, n := range value.Content {
			if n = aliased(n); n.Kind != yaml.ScalarNode || isNull(n) {
				return nil, &fault{"has an item that is not plain text", "write " + k.wants}
			}
			list = append(list, n.Value)
		}
		return list, nil
	}
	return nil, &fault{"is a section", "write " + k.wants}
}

// shownKey is key as problems print it: as it is when it looks like a key, else quoted and cut short.
func shownKey(key string) string {
	if plain.MatchString(key) && len(key) <= 100 {
		return key
	}
	return quote(key)
}

// lookup finds key in table, nil if it is not there.
func lookup(table []setting, key string) *setting {
	for i := range table {
		if table[i].key == key {
			return &table[i]
		}
	}
	return nil
}

// firstUnder is the first key that begins with prefix, "" if there is no such section.
func firstUnder(table []setting, prefix string) string {
	for i := range table {
		if strings.HasPrefix(table[i].key, prefix) {
			return table[i].key
		}
	}
	return ""
}

func keysOf(table []setting) []string {
	keys := make([]string, len(table))
	for i := range table {
		keys[i] = table[i].key
	}
	return keys
}
