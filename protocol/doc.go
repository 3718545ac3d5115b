// Package protocol holds the words that clients and roost exchange, apart from how a dialect writes them.
//
// A message from a client becomes a [Command]; an answer is a [Reply]; what nobody asked for is a [Push].
// A [Codec] translates one dialect (package roostv1, package raw) from and to them. Nothing here runs,
// dials or waits: all of it is called on an event loop or, for pushes, on the goroutine that publishes.
//
// A codec keeps nothing of its input. Slices that it puts into a Command point into the message or into the
// codec's own scratch, and are good until the next Decode; who needs them longer copies them.
package protocol
