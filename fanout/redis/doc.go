// Package redis is the bus between nodes on Redis 7 or Valkey: one server, several that share the rooms, a master
// under Sentinel, or a cluster with sharded Pub/Sub.
//
// [Broker] owns, for each server, two connections and the goroutines that keep them: one connection carries
// publications, the other what the node is subscribed to and what it asks of rooms' histories. Its methods may be
// called from any goroutine, event loops included, and never block, but for Start and Close. [Layout] says where in
// Redis everything is, so that a backend can work it out too.
//
// It never publishes twice what Redis still has, never hides that publications may have been lost, and never holds more
// than its queues' bounds for a server that does not answer.
package redis
