package e2e

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// root is the module's folder, seen from here.
const root = "../../.."

// buildDir holds the binary for as long as this process runs.
var buildDir string

func TestMain(m *testing.M) {
	os.Exit(runAll(m))
}

func runAll(m *testing.M) int {
	var err error
	if buildDir, err = os.MkdirTemp("", "roost-e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(buildDir)
	return m.Run()
}

// binary is the program under test. It is built when the first test asks, so that -short and -list build nothing.
var binary = sync.OnceValues(func() (string, error) {
	if given := os.Getenv("ROOST_E2E_BINARY"); given != "" {
		return filepath.Abs(given)
	}
	if err := noteSources(); err != nil {
		return "", err
	}
	path := filepath.Join(buildDir, "roost")
	build := exec.Command("go", append(append([]string{"build"}, buildFlags...), "-o", path, "./cmd/roost")...)
	build.Dir = root
	build.Env = append(os.Environ(), buildEnv...)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w\n%s", err, out)
	}
	return path, nil
})

// noteSources looks at every folder of the module. Go repeats an old success of a test until something changes
// that the test itself has looked at, and it is the compiler and node that look at the files here.
func noteSources() error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && path != root && strings.HasPrefix(entry.Name(), ".") {
			return fs.SkipDir
		}
		return err
	})
}

// program finds a program of the machine; without it the test fails and says what to do.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: run .ci/install (as root it installs Debian's), or test with -short", name)
	}
	return path
}

// outside skips a test that needs more than Go under -short, and checks that node and its packages are there.
func outside(t *testing.T) {
	t.Helper()
	if testing.Short() {
		t.Skip("starts programs from outside: not with -short")
	}
	program(t, "node")
	_, err := os.Stat(filepath.Join(root, ".ci/node/node_modules/ws"))
	if errors.Is(err, os.ErrNotExist) {
		t.Fatal("the npm packages of .ci/node are not installed: run .ci/install, or test with -short")
	}
}
