// Package baseline is what an event-loop server has to be compared with: the same tiny application, echo and rooms,
// written the usual way, with a goroutine for each connection, on github.com/gobwas/ws.
//
// It is meant to be as good as somebody who knows that library would write it, so that a comparison says something
// about event loops and not about neglect: the handshake is the library's zero-copy one, without net/http; a
// message is read into the buffer that it is written from; a frame is made once and shared by all members of a
// room; and a member's queue is emptied by one gathered write. What every other compared server leaves out is left
// out here too: no pings, no deadlines on reading and writing, no compression, no checks of origin or token.
//
// The package owns the connections of a listener that is handed to [Serve] and nothing else of the process. It
// knows nothing of the engine, and never logs. [Host] is the life of a server process that a comparison starts,
// whichever server runs in it.
//
// The servers in the directory others are programs of a module of their own, so that the libraries they use are
// never required by this one.
package baseline
