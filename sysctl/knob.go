// The catalogue's form: what there is to say about each thing that decides.

package sysctl

import (
	"fmt"
	"slices"
)

// Verdict is what a check says about a knob.
type Verdict uint8

// The verdicts, from the mildest. Skip is what can't be told: the file is not there, or nobody knows.
const (
	Pass Verdict = iota
	Skip
	Warn
	Fail
)

// String is the verdict as table and JSON have it.
func (v Verdict) String() string { return [...]string{"pass", "skip", "warn", "fail"}[v] }

// MarshalText is String, for JSON.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// Scope is how far a change of a knob reaches.
type Scope string

// The scopes.
const (
	// ScopeNetwork is a network namespace: a container has its own.
	ScopeNetwork Scope = "network namespace"
	// ScopeMachine is the kernel: a change in a container that may make it is one for all of them.
	ScopeMachine Scope = "machine"
	// ScopeGroup is a control group, set by whoever started the process.
	ScopeGroup Scope = "control group"
	// ScopeProcess is one process and its children.
	ScopeProcess Scope = "process"
)

// Cause is a word for what ends the connections, fit for a metric's label.
type Cause string

// The causes. A node has one more of its own, what its configuration says.
const (
	CauseDescriptors  Cause = "descriptors"
	CauseNrOpen       Cause = "nr_open"
	CauseFileMax      Cause = "file_max"
	CauseEpollWatches Cause = "epoll_watches"
	CauseSourcePorts  Cause = "source_ports"
	CauseTCPMem       Cause = "tcp_mem"
	CauseConntrack    Cause = "conntrack"
	CauseMemory       Cause = "memory"
	CauseCgroupMemory Cause = "cgroup_memory"
)

// Causes are all there are: the closed list of a label's values.
func Causes() []Cause {
	return []Cause{CauseDescriptors, CauseNrOpen, CauseFileMax, CauseEpollWatches, CauseSourcePorts, CauseTCPMem,
		CauseConntrack, CauseMemory, CauseCgroupMemory}
}

// Knob is one thing that decides.
type Knob struct {
	// ID is its word in tables and JSON, and does not change.
	ID string
	// Keys are the kernel parameters it looks at, the first of which names it; Reads the other files.
	Keys, Reads []string
	Scope       Scope
	// Needed is the formula: N is connections, R new ones a second.
	Needed string
	// Why it decides, and what is risky about changing it.
	Why, Risk string
	// ForGood says how it is set so that it stays, where that is not by its Settings.
	ForGood string
	// Cause is the word for it in a forecast; empty for what ends no connections.
	Cause Cause

	// judge says what the facts mean for the target.
	judge func(*Facts, *Target) Finding
	// holds is how many connections it has room for; nil without a Cause.
	holds func(*Facts, *Target) Figure
	// want lists what to write; nil for what is not ours to change.
	want func(*Facts, *Target) []Setting
}

// Finding is a judgement.
type Finding struct {
	Verdict Verdict
	// Have is the value found, Need the one needed, as text; empty when there is none.
	Have, Need string
	// Because is the arithmetic, or what is missing.
	Because string
}

// Knobs returns a copy of the catalogue in its order.
func Knobs() []Knob { return slices.Clone(catalogue) }

// catalogue is all that decides, by subject.
var catalogue = slices.Concat(descriptorKnobs(), queueKnobs(), portKnobs(), bufferKnobs(), tcpKnobs(), conntrackKnobs(),
	memoryKnobs(), groupKnobs(), cpuKnobs())

// Direction says which of two values of a setting is the better one.
type Direction uint8

// The directions, for each number of a setting.
const (
	Exactly Direction = iota
	AtLeast
	AtMost
	// Widest is for a range: the lower its first number the better, and the higher its second.
	Widest
)

// Setting is a value for a kernel parameter, or for another file of the kernel's.
type Setting struct {
	// Key is the parameter; empty for a file that is none, which Path names.
	Key, Path string
	Value     string
	Direction Direction
}

// File is where it is written.
func (s *Setting) File() string {
	if s.Key != "" {
		return sysctlPath(s.Key)
	}
	return s.Path
}

// missing is the finding for what could not be read.
func missing(what string) Finding {
	return Finding{Verdict: Skip, Because: what + " can't be read here"}
}

// atMost is the judgement of a value that must not be higher.
func atMost(have Figure, most uint64, over Verdict, name, because string) Finding {
	if !have.Known {
		return missing(name)
	}
	f := Finding{Have: count(have.Value), Need: "at most " + count(most), Because: because}
	if have.Value > most {
		f.Verdict = over
	}
	return f
}

// atLeast is the judgement of a value that fails below one number and warns below another.
func atLeast(have Figure, fail, warn uint64, name, because string) Finding {
	if !have.Known {
		return missing(name)
	}
	f := Finding{Have: count(have.Value), Need: count(max(fail, warn)), Because: because}
	switch {
	case have.Value < fail:
		f.Verdict = Fail
	case have.Value < warn:
		f.Verdict = Warn
	}
	return f
}

// number makes a setting of one number.
func number(key string, value uint64, direction Direction) Setting {
	return Setting{Key: key, Value: fmt.Sprint(value), Direction: direction}
}

// always is a want that does not depend on anything.
func always(settings ...Setting) func(*Facts, *Target) []Setting {
	return func(*Facts, *Target) []Setting { return settings }
}
