package fanout

import "unsafe"

// ShardSize is asked by the test that keeps shards from sharing cache lines.
const ShardSize = unsafe.Sizeof(shard{})
