// Flags: one for each setting, and the two that are no settings, --config and --dev.

package config

import (
	"errors"
	"strings"

	"github.com/spf13/pflag"
)

const (
	flagFile = "config"
	flagDev  = "dev"
)

// Flags holds what the command line said about settings. It is filled by the parsing of the flag set it was bound
// to, and belongs to the goroutine that does that.
type Flags struct {
	file   string
	dev    bool
	values []*flagValue
}

// BindFlags registers a flag for each setting on fs (--limits.connections), and --config and --dev, so that they
// show in its help. Parse fs, then give the result to [Load]: values are judged there, with all others.
func BindFlags(fs *pflag.FlagSet) *Flags {
	f := &Flags{}
	fs.StringVar(&f.file, flagFile, "", "YAML file with settings; also "+envFile)
	fs.BoolVar(&f.dev, flagDev, false, "no tokens, any origin, loopback addresses only, one node: for trying things out")
	table := (&Config{}).settings()
	for i := range table {
		s := &table[i]
		v := &flagValue{key: s.key, word: kindOf(s.field).word, list: kindOf(s.field).list}
		if v.word == "" {
			v.word = "yaml"
		}
		f.values = append(f.values, v)
		usage := s.doc
		if len(s.words) > 0 {
			usage += " (" + alternatives(s.words) + ")"
		}
		flag := fs.VarPF(v, s.key, "", usage)
		flag.DefValue = s.def
		if v.word == kindBool.word {
			flag.NoOptDefVal = "true"
		}
	}
	return f
}

// flagValue collects what was written after one flag.
type flagValue struct {
	key, word string
	list      bool
	text      string
	given     bool
}

// Set keeps text for Load. Of several the last wins, but a list grows: --listen :1 --listen :2.
func (v *flagValue) Set(text string) error {
	if v.list && v.given {
		text = v.text + "," + text
	}
	v.text, v.given = text, true
	return nil
}

// String says only whether the flag was given: its text may be a secret.
func (v *flagValue) String() string {
	if v.given {
		return "(given)"
	}
	return ""
}

// Type is the word shown after the flag in help.
func (v *flagValue) Type() string { return v.word }

func (r *reader) readFlags(f *Flags) {
	for _, v := range f.values {
		if !v.given {
			continue
		}
		at := Origin{Layer: FromFlag, Name: v.key}
		s := lookup(r.table, v.key)
		r.assignText(s, v.text, at)
		r.warnVisible("", []setting{*s})
		if e := entriesOf(s.field); e != nil {
			for i := range e.length() {
				r.warnVisible(entryKey(s.key, i)+".", e.table(i))
			}
		}
	}
}

// warnVisible warns of the secrets in a table that the command line has filled; name is put before its keys.
func (r *reader) warnVisible(name string, table []setting) {
	for i := range table {
		if secret, ok := table[i].field.(*Secret); ok && *secret != "" {
			key := name + table[i].key
			r.warn(key, "every user of this machine sees it in the process list", "set "+key+"_file")
		}
	}
}

// FlagError turns pflag's error about a flag that does not exist into one that names the nearest of fs; other
// errors come back as they are. Give it to the CLI as its flag error function.
func FlagError(fs *pflag.FlagSet, err error) error {
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) || unknown.GetSpecifiedShortnames() != "" {
		return err
	}
	var names []string
	fs.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, f.Name)
		}
	})
	name := strings.TrimLeft(unknown.GetSpecifiedName(), "-")
	p := Problem{Origin: Origin{Layer: FromFlag, Name: shownKey(name)}, Wrong: "is not a flag"}
	if near := nearest(name, names); near != "" {
		p.Fix = "the nearest is --" + near
	}
	return p
}
