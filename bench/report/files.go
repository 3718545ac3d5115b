// The three forms of a report as files.

package report

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/roost-ws/roost/bench"
)

// WriteFiles writes r to dir, which it makes if it must, as report.json, report.md and report.html, and returns where
// the last one is. Each is replaced as a whole or stays as it was. A report that cannot be written in one form
// is still written in the others.
func WriteFiles(dir string, r *bench.Report) (html string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the folder of the report: %w", err)
	}
	html = filepath.Join(dir, "report.html")
	err = errors.Join(
		writeFile(filepath.Join(dir, "report.json"), r, WriteJSON),
		writeFile(filepath.Join(dir, "report.md"), r, WriteMarkdown),
		writeFile(html, r, WriteHTML),
	)
	if err != nil {
		return "", err
	}
	return html, nil
}

// writeFile puts what write writes at path: into a file beside it first, which then takes its name.
func writeFile(path string, r *bench.Report, write func(io.Writer, *bench.Report) error) error {
	var text bytes.Buffer
	if err := write(&text, r); err != nil {
		return fmt.Errorf("%s: %w", filepath.Base(path), err)
	}
	beside, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	_, err = beside.Write(text.Bytes())
	if err == nil {
		err = beside.Chmod(0o644) // CreateTemp's are for their owner alone
	}
	if err == nil {
		err = beside.Sync()
	}
	if closing := beside.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(beside.Name(), path)
	}
	if err != nil {
		_ = os.Remove(beside.Name()) // the first error says more
		return fmt.Errorf("write report: %w", err)
	}
	return nil
}
