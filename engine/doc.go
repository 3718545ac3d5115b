// Package engine knows sockets, event loops and the rooms of one node.
//
// # Threads
//
// A [Server] runs a few [Loop]s, one for each processor it was granted. A loop is one goroutine of gnet's with
// everything that its connections need: the connections themselves, their rooms, a timer wheel, buffers, scratch
// memory and counters. Nothing of that is locked, because nothing of it is ever touched by another goroutine: who
// wants something of a loop posts a letter to its mailbox. The build tag loopcheck makes the loops check it.
//
// Beside the loops there are the acceptor, whose goroutines take connections and enrol them into the loop with
// the fewest; the authorizer, whose goroutines check signatures that would hold a loop up; a ticker, which posts
// to each loop ten times a second; and whoever publishes, asks or orders something from outside.
//
// Nothing on a loop blocks or waits.
//
// # Ownership
//
// A [Conn] lives by value in a slab of its loop and is 104 bytes. What only a busy connection needs, partial input,
// waiting output, rate debts, is in an activity that is lent while it lasts. Other goroutines know a connection by
// its handle: loop, slot and generation. A handle that comes back late finds nothing, so that nothing late ever
// reaches the next connection on the same slot or descriptor.
//
// Bytes that gnet hands in are good during the call and are used up in it. Bytes queued for a connection are the
// turn's: they are written at its end, and what the kernel would not take is copied by gnet.
//
// # Turns
//
// gnet calls a loop with one connection's bytes or with a task, and that is a turn: the mail that came before, the
// work asked for and the mail that it made, then a slice of the rooms that have something to say, then one write for
// each connection that something came together for, then the sockets that are to be closed. So in the middle of a
// walk nothing is written, closed or freed.
//
// # Phases
//
//	handshake -> authorizing -> open -> closing -> gone
//	     |            |
//	     +------------+-> linger -> gone        (refused: an HTTP answer, then the peer's end is awaited)
//
// A connection has one timer entry, set to the earliest deadline of its phase. Activity does not move it: it notes
// a time, and the deadline is looked at again when it comes.
//
// # One inbound message
//
//  1. Loop.OnTraffic (loop.go): gnet has read from a socket.
//  2. Conn.onTraffic (upgrade.go) switches on the phase; an open one goes to Conn.receive (receive.go).
//  3. frame.Assembler: bytes to frames to a message, unmasked in place; a whole frame is not copied.
//     A compressed one may have to wait for its turn, and what comes behind it (postpone.go).
//  4. Codec.Decode: the message to a protocol.Command, whose slices point into the message.
//  5. Loop.dispatch (dispatch.go): rate, permission, action.
//  6. Router.Publish: the broker has the publication. It never blocks, and copies what it keeps.
//  7. acknowledgement.Published, on any goroutine: a letter, and in that turn the answer.
//
// # One publication
//
//  1. Router.HandlePublication: one lookup says which loops want the room.
//  2. Server.Deliver (deliver.go): the payload is copied once, and posted once to each of those loops.
//  3. Loop.deliver: each dialect's frame is made once, by the first loop that has such a member, and added to what
//     the room gathers.
//  4. Loop.fly (walk.go): a walk serves the members in slices; what gathers meanwhile flies next, in one piece.
//  5. Conn.deliverTo (send.go): a client that can't keep up gets what its room's policy leaves (slow.go).
//  6. Loop.flush: one write for each connection, whatever came together for it.
//
// In a room that keeps history a join is answered with the place where the stream stands and with what was missed; until
// then its member is quiet, and what the room hears is held (recover.go). Who is present is counted when somebody asks,
// or kept for other nodes and members to be told (presence.go). What is ordered of one node is done on all (orders.go).
//
// From the broker to the socket that is one hop between goroutines, and none if the publisher's loop is the
// member's.
package engine
