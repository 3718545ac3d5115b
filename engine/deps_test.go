package engine

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"path"
	"strings"
	"testing"
)

const module = "github.com/roost-ws/roost/"

// mayImport is the direction of imports: for each of our packages what it may import beside the standard library,
// in our own names without the module, in others' by prefix. A package that is not listed may not exist.
var mayImport = map[string][]string{
	"protocol":                     {},
	"protocol/frame":               {"github.com/gobwas/ws"},
	"protocol/clientaddr":          {},
	"protocol/proxyproto":          {"protocol/clientaddr"},
	"protocol/deflate":             {"github.com/gobwas/ws", "github.com/gobwas/httphead", "github.com/klauspost/compress"},
	"protocol/deflate/deflatetest": {},
	"protocol/handshake":           {"protocol/clientaddr", "github.com/gobwas/httphead"},
	"protocol/raw":                 {"protocol"},
	"protocol/roostv1":             {"protocol", "github.com/go-json-experiment/json"},

	"fanout":            {},
	"fanout/fanouttest": {"fanout", "go.uber.org/goleak"},

	"fanout/redis":           {"fanout", "github.com/redis/rueidis"},
	"fanout/redis/redistest": {"github.com/redis/rueidis"},

	"engine/wheel":      {},
	"engine/bufpool":    {},
	"engine/ratelimit":  {},
	"engine/auth":       {"github.com/golang-jwt/jwt", "github.com/MicahParks/jwkset"},
	"engine/enginetest": {"github.com/gobwas/ws", "github.com/golang-jwt/jwt", "golang.org/x/sys"},
	"engine": {"protocol", "protocol/frame", "protocol/handshake", "protocol/raw", "protocol/roostv1", "fanout",
		"protocol/clientaddr", "protocol/proxyproto", "protocol/deflate",
		"engine/wheel", "engine/bufpool", "engine/ratelimit", "engine/auth",
		"github.com/panjf2000/gnet", "github.com/gobwas/ws", "github.com/VictoriaMetrics/metrics", "golang.org/x/sys"},
	"engine/admin": {"engine", "engine/auth", "fanout", "protocol", "protocol/roostv1", "github.com/VictoriaMetrics/metrics", "github.com/go-json-experiment/json"},

	// What knows the box, and nothing of what runs on it.
	"sysctl": {"golang.org/x/sys"},

	// What judges the engine must not know it.
	"bench":              {},
	"bench/probe":        {"bench", "golang.org/x/sys"},
	"bench/load":         {"bench", "bench/load/reactor", "bench/probe", "golang.org/x/sys"},
	"bench/load/reactor": {"bench", "protocol/frame", "github.com/gobwas/ws", "golang.org/x/sys", "github.com/HdrHistogram/hdrhistogram-go"},
	"bench/baseline":     {"github.com/gobwas/ws"},
	"bench/report":       {"bench"},
	"bench/compare":      {"bench", "bench/load", "bench/probe"},

	"cmd/internal/deploy": {"cmd/internal/config"},
	"cmd/internal/config": {"go.yaml.in/yaml", "github.com/spf13/pflag"},
	"cmd/roost":           {"*"},
	"cmd/roost/e2e":       {"*"},
}

// TestImports holds every package against the table.
func TestImports(t *testing.T) {
	list := exec.Command("go", "list", "-json=ImportPath,Imports,GoFiles", "./...")
	list.Dir = ".."
	out, err := list.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := list.Start(); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for decoder := json.NewDecoder(out); ; seen++ {
		var p struct {
			ImportPath string
			Imports    []string
			GoFiles    []string
		}
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		checkImports(t, strings.TrimPrefix(p.ImportPath, module), p.Imports)
	}
	if err := list.Wait(); err != nil || seen < len(mayImport)/2 {
		t.Fatalf("go list saw %d packages: %v", seen, err)
	}
}

func checkImports(t *testing.T, name string, imports []string) {
	allowed, known := mayImport[name]
	if !known {
		t.Errorf("package %s is not in the table of imports: say there what it may use", name)
		return
	}
	for _, imported := range imports {
		own, ours := strings.CutPrefix(imported, module)
		if !ours && !strings.Contains(strings.Split(imported, "/")[0], ".") {
			continue // standard library
		}
		if !mayUse(allowed, own, imported, ours) {
			t.Errorf("%s must not import %s", name, path.Clean(own))
		}
	}
}

func mayUse(allowed []string, own, imported string, ours bool) bool {
	for _, a := range allowed {
		if a == "*" || ours && a == own || !ours && strings.HasPrefix(imported, a) {
			return true
		}
	}
	return false
}
