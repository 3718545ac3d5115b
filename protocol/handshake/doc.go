// Package handshake reads the request head of a WebSocket upgrade and writes the answer to it.
//
// It owns the HTTP/1.1 grammar (RFC 9112, as strict as the RFC allows a server to be, stricter where leniency is
// what request smuggling lives on), the upgrade rules of RFC 6455 section 4.2, the rule where a token may travel,
// the origin rule, the rule which forwarded address is the client's, and the bytes of every answer given before a
// connection is open. Whether a path exists, a token is good or a limit is reached is the caller's business; it names
// the [Refusal] and gets the answer here.
//
// A [Request] belongs to one connection's handshake, or to a loop that finishes one head at a time; it is not for
// concurrent use. Everything else here is pure or immutable and may be called from any goroutine.
//
// Nothing here reads a socket, waits, starts a goroutine, keeps the caller's bytes after the head is dealt with,
// or lets a byte of the request into a refusal. Nothing on the way to a 101 allocates.
package handshake
