// Package auth decides who a connection is: it turns a signed token (RFC 7519 over RFC 7515 compact form) into
// a user, a moment of expiry and a set of rooms.
//
// It owns the verification keys, the list of algorithms they may be used with, a fixed-size cache of tokens
// verified before, and the table of room rights shared between connections. Which algorithm is acceptable
// follows from the configuration alone: a token can pick among the configured ones and nothing else, its
// header's jwk, jku, x5u, x5c and kid are never looked at, and each key serves one family of algorithms.
//
// Every method of [Verifier], [Identity] and [Rights] may be called from any goroutine. [Verifier.Cached] and
// [Verifier.Inline] are cheap enough for an event loop; [Verifier.Verify] costs about 5 us for an HMAC token
// and 30 to 250 us for the others, so those belong on a worker.
//
// The package never opens a socket or a file, never starts a goroutine, never keeps a byte of a token (the
// cache knows tokens by their SHA-256), and never puts a token or a part of one into an error.
package auth
