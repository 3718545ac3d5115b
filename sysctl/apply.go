// Apply: what would be written, what may not be and why, and the writing.

package sysctl

import (
	"fmt"
	"strings"
)

// Change is one value to be written.
type Change struct {
	// Knob is the ID of the row that asks for it.
	Knob    string
	Setting Setting
	From    string
	Scope   Scope
	// Refused says why it can't be written here; empty when it can.
	Refused string
}

// Name is what the change is to: a kernel parameter, or a file that is none.
func (c *Change) Name() string { return c.Setting.name() }

// Plan is what an apply comes to.
type Plan struct {
	Changes []Change
	// Files are those to be written, with their content.
	Files []File
	// Advice is about what is not ours to change: control groups, this process's limit, hardware.
	Advice []string
	root   tree
}

// File is a file to be written as a whole. Refused says why it can't be; empty when it can.
type File struct{ Name, Content, Refused string }

// NewPlan says what Apply would do below root for a target, given the facts from there: a change for each setting of
// a row that warns or fails and is not good enough already, and advice for each row that has no setting. It asks the
// kernel whether it would allow a change, and writes nothing.
func NewPlan(root string, f *Facts, target Target) *Plan {
	t := target.withDefaults()
	p := &Plan{root: tree(root)}
	for i := range catalogue {
		k := &catalogue[i]
		found := k.judge(f, &t)
		if found.Verdict < Warn {
			continue
		}
		before := len(p.Changes)
		for _, s := range k.settled(f, &t) {
			if have, ok := f.have(&s); !ok || have != s.Value {
				p.Changes = append(p.Changes, Change{Knob: k.ID, Setting: s, From: have, Scope: k.Scope, Refused: p.root.refusal(s.File())})
			}
		}
		if len(p.Changes) == before {
			p.Advice = append(p.Advice, k.ID+": "+k.advice(found))
		}
	}
	p.files(f, &t)
	return p
}

// advice is for a row that nothing here could put right.
func (k *Knob) advice(found Finding) string {
	if k.ForGood != "" {
		return k.ForGood
	}
	return "what can be set is set already; " + found.Because
}

// files adds the files that keep the changes over a restart. Refused values are left out of them: this is not the
// place where they are set.
func (p *Plan) files(f *Facts, t *Target) {
	var settings []Setting
	for i := range p.Changes {
		if p.Changes[i].Refused == "" {
			settings = append(settings, p.Changes[i].Setting)
		}
	}
	parameters, others := false, tmpfilesText(settings)
	for i := range settings {
		parameters = parameters || settings[i].Key != ""
	}
	if parameters {
		before, _ := p.root.read(sysctlFile)
		p.addFile(sysctlFile, sysctlText(settings, before))
		p.Advice = append(p.Advice, overriders(p.root, settings)...)
	}
	if others != "" {
		p.addFile(tmpfilesFile, others)
	}
	p.addLimits(f, t)
}

func (p *Plan) addFile(name, content string) {
	p.Files = append(p.Files, File{name, content, p.root.folderRefusal(name)})
}

// addLimits adds the descriptor limit of logins, unless it would shut them out: a limit that can't be set, above
// fs.nr_open or where even root may not raise it, ends a login with an error.
func (p *Plan) addLimits(f *Facts, t *Target) {
	_, wanted := t.descriptors()
	if !f.OpenFiles.Known || f.OpenFiles.Value >= wanted {
		return
	}
	most := f.setting("fs.nr_open")
	for i := range p.Changes {
		if c := &p.Changes[i]; c.Setting.Key == "fs.nr_open" && c.Refused == "" {
			most = parseFigure(c.Setting.Value)
		}
	}
	switch {
	case f.Process.MayRaise.Known && f.Process.MayRaise.Value == 0:
		p.Advice = append(p.Advice, limitsFile+" is not written: this process may not raise its limit, and a login that is to and can't is refused")
	case !most.Known || most.Value < wanted:
		p.Advice = append(p.Advice, limitsFile+" is not written: fs.nr_open is lower, and a login that can't have its limit is refused")
	default:
		p.addFile(limitsFile, limitsText(wanted))
	}
}

// Refused counts the changes and files that can't be made.
func (p *Plan) Refused() int {
	n := 0
	for i := range p.Changes {
		if p.Changes[i].Refused != "" {
			n++
		}
	}
	for i := range p.Files {
		if p.Files[i].Refused != "" {
			n++
		}
	}
	return n
}

// Apply makes the changes of a plan that the kernel allows, and writes the files. Before each it notes in the undo
// file what was there, so that an apply that was cut short can be undone as well. A change that fails all the same,
// or that the kernel turns into something else, is an error after all others have been made.
func (p *Plan) Apply() error {
	if p.Refused() == len(p.Changes)+len(p.Files) {
		return nil
	}
	j, err := openJournal(p.root)
	if err != nil {
		return err
	}
	if err := j.save(); err != nil {
		return fmt.Errorf("nothing has been changed, there would be no way back: %w", err)
	}
	var failures []string
	for i := range p.Changes {
		c := &p.Changes[i]
		if c.Refused != "" {
			continue
		}
		if err := p.set(j, c); err != nil {
			failures = append(failures, err.Error())
		}
	}
	for _, f := range p.Files {
		if f.Refused != "" {
			continue
		}
		if err := p.write(j, f); err != nil {
			failures = append(failures, err.Error())
		}
	}
	if len(failures) > 0 {
		return fmt.Errorf("%s", strings.Join(failures, "\n"))
	}
	return nil
}

func (p *Plan) set(j *journal, c *Change) error {
	file := c.Setting.File()
	before, ok := p.root.read(file)
	if !ok {
		return fmt.Errorf("reading %s before it is changed: not readable", file)
	}
	if err := j.noteValue(file, normal(before), c.Setting.Value); err != nil {
		return err
	}
	if err := p.root.write(file, c.Setting.Value); err != nil {
		return err
	}
	if now, _ := p.root.read(file); normal(now) != normal(c.Setting.Value) {
		if err := j.noteValue(file, normal(before), normal(now)); err != nil {
			return err
		}
		return fmt.Errorf("%s is %s after %s was written: the kernel has its own bound", c.Setting.name(), normal(now), c.Setting.Value)
	}
	return nil
}

func (p *Plan) write(j *journal, f File) error {
	before, existed := p.root.read(f.Name)
	if err := j.noteFile(f.Name, before, existed, f.Content); err != nil {
		return err
	}
	return p.root.replace(f.Name, f.Content)
}

// normal is a kernel's value with single blanks.
func normal(text string) string { return strings.Join(strings.Fields(text), " ") }
