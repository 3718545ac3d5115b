// Package deflate is the WebSocket extension permessage-deflate (RFC 7692) without context takeover in either
// direction: every message is compressed for itself.
//
// It owns the negotiation ([Negotiate]) and the payload's way in ([Inflater]) and out ([Deflater]). RSV1 belongs to
// package frame. Without context takeover a connection keeps nothing but the fact that the extension was agreed on,
// and a publication's compressed form is the same for everybody, so it is made once and shared.
//
// An Inflater or Deflater is big and serves one goroutine at a time: a loop has one of each for all of its
// connections. They hold nothing before their first message, and after it (see each) only memory for the next one.
// Negotiate and the values of this package may be used from any goroutine.
//
// Nothing here blocks, starts a goroutine, keeps the caller's bytes, panics on input, or allocates by a length that
// the peer claims: what a message inflates to is bounded while it is inflated. Text that was inflated is not checked
// for UTF-8; that is the caller's.
//
// What secrets share a message with text that an attacker can choose should not be compressed: its length would
// tell them (RFC 7692 section 8). Publications have no secrets; answers to a token may.
package deflate
