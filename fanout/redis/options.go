package redis

// A broker's settings.

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/roost-ws/roost/fanout"
)

// Options are a Broker's settings. URL and Node are required, the rest has defaults for its zero value.
type Options struct {
	// URL says where Redis is; [ParseURL] has the forms. Its password is kept out of every log and error.
	URL string
	// Node is this node's name, which no other node on the bus may have.
	Node string
	// Prefix begins each channel and key, DefaultPrefix if empty. All nodes and backends of one bus use the same.
	Prefix string
	// Retention says what a room keeps; the same on all nodes. Nil means that no room keeps anything. It is called for
	// each publication, on any goroutine, and must not block.
	Retention func(room string) fanout.Retention
	// MaxBytes is the largest envelope that is sent or accepted: data, user and node names and some 30 bytes. 1 MiB.
	MaxBytes int
	// Timeout bounds everything that waits for Redis: Start and each dialling, and the PING that is sent when nothing
	// was heard for as long. A server that stays silent is given up after one to two of it. 5 s.
	Timeout time.Duration
	// Log hears of connections lost and found, never of a password, a user or a payload. Nil means slog.Default().
	Log *slog.Logger
}

// The bounds of what waits for one server.
const (
	queuedPublications = 16384
	queuedBytes        = 16 << 20
	queuedSubscribes   = 65536
	queuedQueries      = 16384
)

// The sizes of batches: what one exchange with a server carries at most.
const (
	batchPublications = 2048 // the more, the larger are the packs; but the first hears its outcome only with the last
	batchKept         = 512  // of these, the most that each take a script; the others travel in packs
	batchBytes        = 1 << 20
	batchRooms        = 512 // in one SUBSCRIBE
	batchRequests     = 8 * batchRooms
	batchQueries      = 64
	batchQueryBytes   = 64 << 20 // if each page is as large as it may be
)

// complete checks the options and fills in the defaults.
func (o Options) complete() (Options, Address, error) {
	address, err := ParseURL(o.URL)
	if err != nil {
		return o, address, err
	}
	if o.Node == "" {
		return o, address, errors.New("redis: this node has no name: set node")
	}
	if o.Prefix == "" {
		o.Prefix = DefaultPrefix
	}
	if strings.ContainsAny(o.Prefix, "{}") {
		return o, address, fmt.Errorf("redis: prefix %q holds a brace, which decides over slots on a cluster: write one without", o.Prefix)
	}
	if o.Retention == nil {
		o.Retention = func(string) fanout.Retention { return fanout.Retention{} }
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 1 << 20
	}
	if o.Timeout <= 0 {
		o.Timeout = 5 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	return o, address, nil
}
