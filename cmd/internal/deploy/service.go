// A service manager's files.

package deploy

import (
	"time"

	"github.com/roost-ws/roost/cmd/internal/config"
)

// endMargin is what an orderly end may take beyond the drain: close frames that nobody answers, the broker, requests
// at the operator's port.
const endMargin = 30 * time.Second

// StopTimeout is how long a node may take from SIGTERM to its exit before something is wrong.
func StopTimeout(c *config.Config) time.Duration { return c.Drain.Grace + c.Drain.Window + endMargin }
