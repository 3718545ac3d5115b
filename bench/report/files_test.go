package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestWriteFiles(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "here")
	for range 2 { // the second time over the first
		html, err := WriteFiles(dir, sample())
		if err != nil || html != filepath.Join(dir, "report.html") {
			t.Fatalf("%q, %v", html, err)
		}
	}
	holds(t, dir, "report.html", "report.json", "report.md")
	info, err := os.Stat(filepath.Join(dir, "report.json"))
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
}

func TestWriteFilesKeepsWhatItCan(t *testing.T) {
	dir := t.TempDir()
	r := sample()
	r.Figures[0].Better = "sideways"
	_, err := WriteFiles(dir, r)
	if err == nil || !strings.Contains(err.Error(), "report.html: report: figures[0].better") {
		t.Errorf("%v", err)
	}
	holds(t, dir, "report.json")
	blocked := t.TempDir()
	if err := os.MkdirAll(filepath.Join(blocked, "report.md", "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := WriteFiles(blocked, sample()); err == nil {
		t.Error("a folder was replaced")
	}
	holds(t, blocked, "report.html", "report.json", "report.md") // and nothing half-written
	if _, err := WriteFiles(filepath.Join(blocked, "report.json"), sample()); err == nil {
		t.Error("a file is no folder")
	}
}

// holds checks that there is nothing else in a folder.
func holds(t *testing.T, dir string, names ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, e := range entries {
		found = append(found, e.Name())
	}
	if strings.Join(found, " ") != strings.Join(names, " ") {
		t.Errorf("%v, want %v", found, names)
	}
}
