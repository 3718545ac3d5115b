package fanout

import (
	"time"
	"unsafe"
)

// ShardSize is asked by the test that keeps shards from sharing cache lines.
const ShardSize = unsafe.Sizeof(shard{})

// RecoverLater has a test decide when a history is asked again. It is called before Start.
func (r *Router) RecoverLater(after func(time.Duration, func())) { r.after = after }
