// What is printed of a configuration: the reference file, and each value with its origin.

package config

import (
	"fmt"
	"io"
	"strings"
)

const referenceHead = `# roost: every setting with its default. Remove what you do not change.
#
# A setting can also come from the environment (limits.connections is ROOST_LIMITS_CONNECTIONS) or from a flag
# (--limits.connections); flags win over the environment, and that over this file. Lists are separated by commas there.
# Durations are written 500ms, 30s, 5m; sizes 512, 64KiB, 1MiB. roost check shows what is in force, and why.
`

const referenceIssuers = `# issuers:
#   - issuer: https://login.example.com
#     audience: chat
#     jwks_url: https://login.example.com/.well-known/jwks.json
#   - issuer: https://partner.example.com
#     public_key_file: /etc/roost/partner.pem
#     algorithms: [ES256]
`

const referenceRooms = `# rooms:
#   - match: "chat.*"
#     history.size: 0
#     presence.events: false
#     slow_consumer: drop_newest
#     publish: members
`

// WriteReference writes a YAML file with all settings, their documentation and their defaults. Loading it
// changes nothing.
func WriteReference(w io.Writer) error {
	var b strings.Builder
	b.WriteString(referenceHead)
	cfg := Default()
	section := ""
	for _, s := range cfg.settings() {
		name, leaf, nested := strings.Cut(s.key, ".")
		indent := ""
		b.WriteByte('\n')
		if nested {
			indent = "  "
			if name != section {
				b.WriteString(name + ":\n")
			}
		} else {
			leaf = s.key
		}
		section = name
		writeComment(&b, indent, s.note())
		fmt.Fprintf(&b, "%s%s: %s\n", indent, leaf, s.reference())
		if e := entriesOf(s.field); e != nil {
			for line := range strings.Lines(e.reference) {
				b.WriteString(indent + line)
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// note is everything there is to say about s.
func (s *setting) note() string {
	note := strings.ToUpper(s.doc[:1]) + s.doc[1:] + "."
	if len(s.words) > 0 {
		note += " One of " + alternatives(s.words) + "."
		if kindOf(s.field).list {
			note = strings.Replace(note, " One of ", " Any of ", 1)
		}
	}
	if lo, hi, ok := strings.Cut(s.bounds, ".."); ok {
		note += " From " + lo + " to " + hi + "."
	}
	return note
}

// reference is the default as it stands in the reference file: as the table writes it where that is YAML.
func (s *setting) reference() string {
	k := kindOf(s.field)
	switch {
	case k.set == nil:
		return s.def
	case k.word == kindDuration.word:
		return s.def // 60s rather than 1m
	}
	return k.show(s.field)
}

// writeComment writes text as comment lines of at most 100 columns.
func writeComment(b *strings.Builder, indent, text string) {
	const most = 100
	line := indent + "#"
	for word := range strings.FieldsSeq(text) {
		if len(line)+1+len(word) > most {
			b.WriteString(line + "\n")
			line = indent + "#"
		}
		line += " " + word
	}
	b.WriteString(line + "\n")
}

// WriteOrigins writes one line for each setting, or each entry of a list: key = value (origin). Secrets show as their
// length.
func (l *Loaded) WriteOrigins(w io.Writer) error {
	var b strings.Builder
	for _, s := range l.Config.settings() {
		e := entriesOf(s.field)
		if e == nil {
			k := kindOf(s.field)
			fmt.Fprintf(&b, "%s = %s  (%v)\n", s.key, k.show(s.field), l.origins[s.key])
			continue
		}
		if e.length() == 0 {
			fmt.Fprintf(&b, "%s = []  (%v)\n", s.key, l.origins[s.key])
		}
		for i := range e.length() {
			name := entryKey(s.key, i)
			fmt.Fprintf(&b, "%s = %s  (%v)\n", name, entryText(e.table(i)), l.origins[name])
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
