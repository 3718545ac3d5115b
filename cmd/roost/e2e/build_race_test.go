//go:build race

package e2e

// Under -race the server is watched, which is where the races would be; one that it sees makes its exit code 66.
var (
	buildFlags = []string{"-race", "-tags", "loopcheck"}
	buildEnv   = []string{"CGO_ENABLED=1"}
)
