package redis

// The scripts that run inside Redis, and how they are called.

import (
	"crypto/sha1" // #nosec G505: it is how Redis names a script
	_ "embed"
	"encoding/hex"
	"strconv"
	"strings"

	"github.com/redis/rueidis"
)

var (
	//go:embed lua/stand.lua
	standText string
	//go:embed lua/publish.lua
	publishText string
	//go:embed lua/history.lua
	historyText string
	//go:embed lua/restore.lua
	restoreText string
	//go:embed lua/lives.lua
	livesText string
	//go:embed lua/lease.lua
	leaseText string
	//go:embed lua/release.lua
	releaseText string
)

var (
	publishScript = newScript(standText + publishText)
	historyScript = newScript(standText + historyText)
	restoreScript = newScript(standText + restoreText)
	livesScript   = newScript(livesText)
	leaseScript   = newScript(leaseText)
	releaseScript = newScript(releaseText)
)

// script is a script by its text and by the name that Redis gives it.
type script struct{ text, sha string }

func newScript(text string) script {
	sum := sha1.Sum([]byte(text)) // #nosec G401: see above
	return script{text: text, sha: hex.EncodeToString(sum[:])}
}

// load makes the server remember the script, so that a pipeline of called does not find it missing in the middle.
func (s script) load(b rueidis.Builder) rueidis.Completed {
	return b.ScriptLoad().Script(s.text).Build()
}

// called calls the script by its name; the answer may be that the server does not know it, see unknown.
func (s script) called(b rueidis.Builder, keys []string, args ...string) rueidis.Completed {
	return b.Arbitrary("EVALSHA", s.sha, strconv.Itoa(len(keys))).Keys(keys...).Args(args...).Build()
}

// whole calls the script by its text, after which the server knows it.
func (s script) whole(b rueidis.Builder, keys []string, args ...string) rueidis.Completed {
	return b.Arbitrary("EVAL", s.text, strconv.Itoa(len(keys))).Keys(keys...).Args(args...).Build()
}

// unknown reports whether err says that the server does not know a script: it ran nothing then.
func unknown(err error) bool {
	redisError, ok := rueidis.IsRedisErr(err)
	return ok && strings.HasPrefix(redisError.Error(), "NOSCRIPT")
}
