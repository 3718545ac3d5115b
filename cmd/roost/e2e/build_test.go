//go:build !race

package e2e

// The binary is built as it ships.
var (
	buildFlags = []string{"-trimpath"}
	buildEnv   = []string{"CGO_ENABLED=0"}
)
