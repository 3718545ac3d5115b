// Reading files below a root.

package sysctl

import (
	"io"
	"os"
	"path/filepath"
	"strings"
)

// tree is a file system below a root: "/" on a machine, a folder in a test or for a copy of another machine's files.
type tree string

// mostFile bounds what is read of one file. The longest that is read is a table with a column for each processor.
const mostFile = 1 << 20

func (t tree) path(name string) string { return filepath.Join(string(t), name) }

// read returns a file's text; false when it is not there or may not be read, which is all the same to a check.
func (t tree) read(name string) (string, bool) { return t.beginning(name, mostFile) }

// beginning is read for the first bytes of a file.
func (t tree) beginning(name string, most int64) (string, bool) {
	f, err := os.Open(t.path(name))
	if err != nil {
		return "", false
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, most))
	return string(text), err == nil
}

// figure is read for a file that holds one number.
func (t tree) figure(name string) Figure {
	text, ok := t.read(name)
	if !ok {
		return Figure{}
	}
	return parseFigure(text)
}

// names lists what is in a folder.
func (t tree) names(name string) []string {
	entries, _ := os.ReadDir(t.path(name))
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func (t tree) exists(name string) bool {
	_, err := os.Stat(t.path(name))
	return err == nil
}

// sysctlPath is the file of a kernel parameter: net.core.somaxconn is /proc/sys/net/core/somaxconn.
func sysctlPath(key string) string { return "/proc/sys/" + strings.ReplaceAll(key, ".", "/") }
