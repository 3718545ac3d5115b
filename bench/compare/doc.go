// Package compare runs the same work against several servers and makes one report of what came out.
//
// It owns the server processes that it starts, the order of the rounds and the arithmetic: rounds are interleaved
// (each server in turn, then all again) so that a machine that changes its speed changes it for all; every
// scenario gets a fresh server; server and clients are bound to processors of their own where there are two; and
// what the load generator rather than the server decided is marked and not used. Everything runs on the calling
// goroutine, which blocks for minutes; a cancelled context ends it within a second and ends every process.
//
// It knows servers only as processes that say where they listen (see Server) and never looks inside.
package compare
