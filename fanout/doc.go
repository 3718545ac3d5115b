// Package fanout knows nodes and brokers, and no sockets.
//
// A [Broker] carries publications between nodes; the [Router] remembers which event loops of this node want a
// room and hands each publication to them through [Local]. A publication of this node takes the same road as
// one from another node: into the broker and back, so there is one order and one code path. [Memory] and
// [MemoryHistory] are the brokers of a node that is alone.
//
// What the package promises: publications of one publisher in one room arrive in order; each is delivered at
// most once; a hole is never silent, it is told through [Local.Gap]. A room that keeps history has one order for all
// publishers, told by [Position]; a hole in its stream is mended from the [History] before anybody sees it, where that
// still has what is missing (stream.go). While the bus is away members may talk on through their node (offline.go).
//
// [Presence] knows who is in a room over all nodes, and [Control] which nodes there are; it carries orders to them.
//
// Everything here may be called from any goroutine, event loops included, and none of it blocks, but for the
// methods that start and end something. No lock is held across a call into a Broker, a Sink or a Local, so each of
// them may call back on the same goroutine. The package keeps no bytes: a [Publication] belongs to its caller.
//
// It never encodes for a client, opens no connection of its own, and writes no metrics: [Router.Stats] has the
// figures. Package fanouttest holds the cases every Broker has to pass.
package fanout
