// The files that make settings survive a restart of the machine, and what would override them.

package sysctl

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// The files that Apply writes, below the root. Each is ours alone.
const (
	sysctlFile   = "/etc/sysctl.d/99-roost.conf"
	limitsFile   = "/etc/security/limits.d/99-roost.conf"
	tmpfilesFile = "/etc/tmpfiles.d/99-roost.conf"
)

// sysctlText is the text of a file for sysctl.d. Lines of before, the file as it is, stay where settings do not say
// otherwise: it may hold what an earlier apply needed.
func sysctlText(settings []Setting, before string) string {
	var b strings.Builder
	b.WriteString("# Written by roost tune apply; roost tune undo takes it back.\n")
	written := map[string]bool{}
	for _, s := range settings {
		if s.Key != "" {
			fmt.Fprintf(&b, "%s = %s\n", s.Key, s.Value)
			written[s.Key] = true
		}
	}
	for key, value := range assignments(before) {
		if !written[key] {
			fmt.Fprintf(&b, "%s = %s\n", key, value)
		}
	}
	return b.String()
}

// tmpfilesText is the same for files that are no parameters, in the format of tmpfiles.d; empty without any.
func tmpfilesText(settings []Setting) string {
	var b strings.Builder
	for _, s := range settings {
		if s.Key == "" {
			fmt.Fprintf(&b, "w %s - - - - %s\n", s.Path, s.Value)
		}
	}
	if b.Len() == 0 {
		return ""
	}
	return "# Written by roost tune apply; roost tune undo takes it back.\n" + b.String()
}

// limitsText is a file for limits.d, which concerns logins; root has lines of its own, since * is not root.
func limitsText(descriptors uint64) string {
	var b strings.Builder
	b.WriteString("# Written by roost tune; for logins (pam_limits). A service has LimitNOFILE= in its unit.\n")
	for _, who := range []string{"*", "root"} {
		for _, kind := range []string{"soft", "hard"} {
			fmt.Fprintf(&b, "%s %s nofile %d\n", who, kind, descriptors)
		}
	}
	return b.String()
}

// assignments reads the lines of a sysctl.d file, in order: key and value, with the dots that we write.
func assignments(text string) func(yield func(key, value string) bool) {
	return func(yield func(key, value string) bool) {
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			if line == "" || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
				continue
			}
			key, value, ok := strings.Cut(strings.TrimPrefix(line, "-"), "=")
			if !ok {
				continue
			}
			if !yield(dotted(strings.TrimSpace(key)), strings.Join(strings.Fields(value), " ")) {
				return
			}
		}
	}
}

// dotted is a key as we write it: net/ipv4/tcp_mem is net.ipv4.tcp_mem.
func dotted(key string) string {
	if slash := strings.IndexAny(key, "./"); slash >= 0 && key[slash] == '/' {
		return strings.ReplaceAll(key, "/", ".")
	}
	return key
}

// overriders are the files that systemd-sysctl and procps read after ours, where they set a key to something else:
// the next start of the machine would take theirs.
func overriders(t tree, settings []Setting) []string {
	wanted := map[string]string{}
	for _, s := range settings {
		if s.Key != "" {
			wanted[s.Key] = s.Value
		}
	}
	found := []string{}
	for _, file := range laterFiles(t) {
		text, _ := t.read(file)
		for key, value := range assignments(text) {
			if ours, ok := wanted[key]; ok && ours != value {
				found = append(found, fmt.Sprintf("%s sets %s = %s and is read later: remove that line", file, key, value))
			}
		}
	}
	return found
}

// laterFiles are those read after ours, which go by name whatever their folder. procps reads /etc/sysctl.conf last.
func laterFiles(t tree) []string {
	var files []string
	for _, folder := range []string{"/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d"} {
		for _, name := range t.names(folder) {
			if strings.HasSuffix(name, ".conf") && name > path.Base(sysctlFile) {
				files = append(files, path.Join(folder, name))
			}
		}
	}
	slices.SortFunc(files, func(a, b string) int { return strings.Compare(path.Base(a), path.Base(b)) })
	return append(files, "/etc/sysctl.conf")
}
