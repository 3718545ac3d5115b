// Package proxyproto reads the PROXY header with which a balancer begins a connection: version 1, one line of text,
// and version 2, which is binary (haproxy's proxy-protocol.txt, sections 2.1 and 2.2).
//
// It owns the grammar of the header and nothing else. It does not decide whether there has to be one: on a port
// that takes PROXY headers each connection must begin with one, and one that comes from a peer that is not trusted
// ([clientaddr.Trust]) must be closed unread, because whoever may send a header may be anybody. The specification
// forbids to guess (section 2), so nothing here says "no header, go on". The deadline is the caller's, too: at least
// three seconds, the time a lost segment takes to come again.
//
// Nothing here reads a socket, waits, allocates, keeps the caller's bytes or starts a goroutine. [Parse] is pure and
// may be called from any goroutine. A fault is an [Error] with a word for logs and metrics; there is nothing to
// answer it with, the connection is closed.
package proxyproto
