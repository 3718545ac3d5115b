// Undo: a journal of what was there before, and the way back.

package sysctl

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
)

// undoFile is where the journal is, below the root.
const undoFile = "/var/lib/roost/tune-undo.json"

// ErrNothingToUndo is for a box where nothing has been applied, or all has been undone.
var ErrNothingToUndo = errors.New("there is no " + undoFile + ": nothing has been applied here")

// journal is the undo file: what was there before the first apply that has not been undone, and what was written
// last. It is written out before anything that it tells of is done.
type journal struct {
	root    tree
	Version int            `json:"version"`
	Values  []journalValue `json:"values"`
	Files   []journalFile  `json:"files"`
}

type journalValue struct {
	File   string `json:"file"`
	Before string `json:"before"`
	// Ours are the values that we may have left there: what was to be written, and what the kernel made of it.
	Ours []string `json:"ours"`
}

type journalFile struct {
	Name    string `json:"name"`
	Existed bool   `json:"existed"`
	Before  string `json:"before"`
	// Ours are the contents that we may have left there.
	Ours []string `json:"ours"`
}

// mostOurs bounds how many of our own values are told from somebody else's: the last ones.
const mostOurs = 8

func addOurs(ours []string, value string) []string {
	if slices.Contains(ours, value) {
		return ours
	}
	return append(ours, value)[max(0, len(ours)+1-mostOurs):]
}

const journalVersion = 1

// openJournal reads the journal, or begins one.
func openJournal(root tree) (*journal, error) {
	j := &journal{root: root, Version: journalVersion}
	text, ok := root.read(undoFile)
	if !ok {
		if root.exists(undoFile) {
			return nil, fmt.Errorf("reading %s: not readable; without it nothing is changed", undoFile)
		}
		return j, nil
	}
	if err := json.Unmarshal([]byte(text), j); err != nil {
		return nil, fmt.Errorf("reading %s: %w; move it away if what it undid no longer matters", undoFile, err)
	}
	if j.Version != journalVersion {
		return nil, fmt.Errorf("%s is of version %d and this program writes %d: undo with the program that wrote it", undoFile, j.Version, journalVersion)
	}
	return j, nil
}

func (j *journal) save() error {
	text, err := json.MarshalIndent(j, "", "  ")
	if err != nil {
		return fmt.Errorf("writing %s: %w", undoFile, err)
	}
	return j.root.replace(undoFile, string(text)+"\n")
}

// noteValue notes a kernel file's value and what is to be there; of a second change the first value stays.
func (j *journal) noteValue(file, before, after string) error {
	for i := range j.Values {
		if j.Values[i].File == file {
			j.Values[i].Ours = addOurs(j.Values[i].Ours, after)
			return j.save()
		}
	}
	j.Values = append(j.Values, journalValue{file, before, []string{after}})
	return j.save()
}

// noteFile is noteValue for a file written as a whole.
func (j *journal) noteFile(name, before string, existed bool, after string) error {
	for i := range j.Files {
		if j.Files[i].Name == name {
			j.Files[i].Ours = addOurs(j.Files[i].Ours, after)
			return j.save()
		}
	}
	j.Files = append(j.Files, journalFile{name, existed, before, []string{after}})
	return j.save()
}

// Undone is one step of an undo.
type Undone struct {
	// Name is the file; From what was there, To what is to be there; To is empty for a file that is to go.
	Name, From, To string
	// Value says that it is a kernel's value and not a file of ours.
	Value bool
	// Left says why it was left alone; empty when it was restored.
	Left string
}

// Undo restores what was there before the applies that have not been undone, the latest change first, and removes
// the undo file. What somebody else has changed since is left as it is, and said. With dry set it only tells. A step
// that fails is an error after all others, and the undo file then keeps it.
func Undo(root string, dry bool) ([]Undone, error) {
	t := tree(root)
	if !t.exists(undoFile) {
		return nil, ErrNothingToUndo
	}
	j, err := openJournal(t)
	if err != nil {
		return nil, err
	}
	var steps []Undone
	var failures []error
	rest := &journal{root: t, Version: journalVersion}
	for i := len(j.Files) - 1; i >= 0; i-- {
		step, err := j.Files[i].undo(t, dry)
		if err != nil {
			failures, rest.Files = append(failures, err), append(rest.Files, j.Files[i])
		}
		steps = append(steps, step)
	}
	for i := len(j.Values) - 1; i >= 0; i-- {
		step, err := j.Values[i].undo(t, dry)
		if err != nil {
			failures, rest.Values = append(failures, err), append(rest.Values, j.Values[i])
		}
		steps = append(steps, step)
	}
	slices.Reverse(rest.Files)
	slices.Reverse(rest.Values)
	switch {
	case dry:
	case len(failures) > 0:
		failures = append(failures, rest.save())
	default:
		failures = append(failures, t.remove(undoFile))
	}
	return steps, errors.Join(failures...)
}

// String is the step without its outcome: "/proc/sys/net/core/somaxconn to 128", "/etc/sysctl.d/99-roost.conf".
func (u *Undone) String() string {
	if u.Value {
		return u.Name + " to " + u.To
	}
	return u.Name
}

const changedSince = "it has been changed since"

func (v *journalValue) undo(t tree, dry bool) (Undone, error) {
	now, ok := t.read(v.File)
	step := Undone{Name: v.File, From: normal(now), To: v.Before, Value: true}
	switch {
	case !ok:
		step.Left = "it is no longer there"
	case step.From == v.Before:
		step.Left = "it is as before already"
	case !slices.Contains(v.Ours, step.From):
		step.Left = changedSince
	case !dry:
		if err := t.write(v.File, v.Before); err != nil {
			step.Left = err.Error()
			return step, err
		}
	}
	return step, nil
}

func (f *journalFile) undo(t tree, dry bool) (Undone, error) {
	now, ok := t.read(f.Name)
	step := Undone{Name: f.Name, From: now, To: f.Before}
	var err error
	switch {
	case ok && !slices.Contains(f.Ours, now):
		step.Left = changedSince
	case !ok && !f.Existed:
		step.Left = "it is no longer there"
	case dry:
	case f.Existed:
		err = t.replace(f.Name, f.Before)
	default:
		err = t.remove(f.Name)
	}
	if err != nil {
		step.Left = err.Error()
	}
	return step, err
}
