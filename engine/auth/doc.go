// Package auth decides who a connection is: it turns a signed token (RFC 7519 over RFC 7515 compact form) into
// a user, a moment of expiry and a set of rooms.
//
// It owns the verification keys, those of the configuration and those fetched from issuers, the list of
// algorithms they may be used with, a fixed-size cache of tokens verified before, the table of room rights shared
// between connections, and the table of who is refused for a while. Which algorithm is acceptable follows from
// the configuration alone: a token can pick among the configured ones and nothing else, its header's jwk, jku,
// x5u and x5c are never looked at, and each key serves one family of algorithms. Of what nobody has signed yet
// two things are read, and both do nothing but select an entry of a map: iss among the configured issuers, and
// kid among the keys of that issuer's set.
//
// Every method of [Verifier], [Identity], [Rights], [KeySet] and [Revocations] may be called from any goroutine.
// [Verifier.Cached], [Verifier.Inline] and [Revocations.Refused] are cheap enough for an event loop;
// [Verifier.Check] costs about 5 us for an HMAC token and 30 to 250 us for the others, so those belong on a worker.
// None of them waits for the network: that is for the one goroutine of each [KeySet], between its Start and its
// Close, and for nothing else in the package.
//
// The package never opens a file, never keeps a byte of a token (the cache knows tokens by their SHA-256), never
// builds an address from anything in a token, and never puts a token or a part of one into an error.
package auth
