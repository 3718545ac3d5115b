// What is wrong with a configuration, and where a value came from.

package config

import (
	"strconv"
	"strings"
)

// Layer is one of the places a value can come from; the later wins.
type Layer uint8

// The layers in the order they are read. FromKeyFile is no layer of its own: it marks a secret whose text was
// read from the file that another setting names.
const (
	FromDefault Layer = iota
	FromDev
	FromFile
	FromEnv
	FromFlag
	FromKeyFile
)

// Origin says where a value was written.
type Origin struct {
	Layer Layer
	// Name is the file's path, the environment variable, or the flag without its dashes.
	Name string
	// Line counts from 1 in a file and is 0 elsewhere.
	Line int
}

// String is the origin as roost check prints it: "default", "dev", "file roost.yaml:12", "env ROOST_LOOPS",
// "flag --loops", "read from /etc/roost/key".
func (o Origin) String() string {
	switch o.Layer {
	case FromDefault:
		return "default"
	case FromDev:
		return "dev"
	case FromFile:
		return "file " + o.place()
	case FromKeyFile:
		return "read from " + o.Name
	}
	return o.place()
}

// place is the origin at the head of an error line; empty for a default, which has no place.
func (o Origin) place() string {
	switch o.Layer {
	case FromDev:
		return "flag --dev"
	case FromFile:
		if o.Line > 0 {
			return o.Name + ":" + strconv.Itoa(o.Line)
		}
		return o.Name
	case FromEnv:
		return "env " + o.Name
	case FromFlag:
		return "flag --" + o.Name
	case FromKeyFile:
		return o.Name
	}
	return ""
}

// Problem is one mistake, or one thing to know, on one line.
type Problem struct {
	Origin Origin
	// Key is the setting concerned; empty when it is the file as a whole.
	Key string
	// Wrong says what is wrong, Fix what to write instead. Neither holds a secret.
	Wrong, Fix string
}

// Error is the line: where, key, what is wrong; what to write instead.
func (p Problem) Error() string {
	var b strings.Builder
	for _, head := range []string{p.Origin.place(), p.Key} {
		if head != "" {
			b.WriteString(head + ": ")
		}
	}
	b.WriteString(p.Wrong)
	if p.Fix != "" {
		b.WriteString("; " + p.Fix)
	}
	return b.String()
}

// Problems are all mistakes of one load, in the order of the layers.
type Problems []Problem

// Error is one line for each problem.
func (p Problems) Error() string {
	lines := make([]string, len(p))
	for i := range p {
		lines[i] = p[i].Error()
	}
	return strings.Join(lines, "\n")
}
