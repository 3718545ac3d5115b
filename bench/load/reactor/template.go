package reactor

// Templates: texts of a target that differ from one connection to the next.

import (
	"slices"
	"strconv"
	"strings"

	"github.com/roost-ws/roost/bench"
)

// field is what a part of a template stands for.
type field uint8

const (
	literal field = iota
	number
	room
	token
	payload
)

var fieldNames = [...]string{number: "{i}", room: "{room}", token: "{token}", payload: "{payload}"}

// template is a text cut at its fields. Braces that are not around the name of a field mean themselves, as they do
// in JSON.
type template []part

type part struct {
	field field
	text  string // of a literal
}

func parseTemplate(text string) template {
	var t template
	for text != "" {
		at, which := len(text), literal
		for f := number; f <= payload; f++ {
			if i := strings.Index(text, fieldNames[f]); i >= 0 && i < at {
				at, which = i, f
			}
		}
		if at > 0 {
			t = append(t, part{literal, text[:at]})
		}
		if which == literal {
			break
		}
		t = append(t, part{field: which})
		text = text[at+len(fieldNames[which]):]
	}
	return t
}

func parseTemplates(texts []string) []template {
	all := make([]template, 0, len(texts))
	for _, text := range texts {
		all = append(all, parseTemplate(text))
	}
	return all
}

// names is what a connection's number means in templates.
type names struct {
	rooms   int
	tokens  []string
	profile *Profile
	total   int  // connections that the profile is spread over
	used    bool // some template of the target has {room}
}

func newNames(t *bench.Target, profile *Profile, total int) names {
	texts := slices.Concat([]string{t.Path, t.Host, t.Message}, t.Headers, t.Subprotocols, t.First)
	used := slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(text, fieldNames[room]) })
	return names{rooms: t.Rooms, tokens: t.Tokens, profile: profile, total: total, used: used}
}

// expand appends t for connection i. measured stands for {payload}.
func (n *names) expand(dst []byte, t template, i int, measured []byte) []byte {
	for _, p := range t {
		switch p.field {
		case literal:
			dst = append(dst, p.text...)
		case number:
			dst = strconv.AppendInt(dst, int64(i), 10)
		case room:
			dst = n.appendRoom(dst, i)
		case token:
			if len(n.tokens) > 0 {
				dst = append(dst, n.tokens[i%len(n.tokens)]...)
			}
		case payload:
			dst = append(dst, measured...)
		}
	}
	return dst
}

// appendRoom appends the name of connection i's room.
func (n *names) appendRoom(dst []byte, i int) []byte {
	if n.profile != nil && len(n.profile.Rooms) > 0 {
		class, within := n.profile.roomOf(i, n.total)
		dst = strconv.AppendInt(append(dst, 's'), int64(n.profile.Rooms[class].Members), 10)
		return strconv.AppendInt(append(dst, '-'), int64(within), 10)
	}
	if n.rooms > 0 {
		i %= n.rooms
	}
	return strconv.AppendInt(append(dst, 'r'), int64(i), 10)
}
