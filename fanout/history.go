package fanout

// What a room keeps, and how it is asked for.

import "time"

// Retention says what a room keeps of its publications. The zero Retention keeps nothing, and then the room's
// publications have no Position.
type Retention struct {
	// Size is how many publications are kept at most, TTL how long the last of them is.
	Size int
	TTL  time.Duration
}

// Query asks a room's history for a part of its stream.
type Query struct {
	// Since is the place behind which to begin; without HasSince the newest publications are asked for.
	Since    Position
	HasSince bool
	// Limit is how many publications to return at most. A Limit of 0 asks where the stream stands and for nothing else.
	Limit int
	// Bytes is how much data they may hold together, 0 = any amount; one of them is returned whatever it holds.
	Bytes int
}

// Page is the answer to a Query.
type Page struct {
	// Position is where the stream stood when it was read; its Epoch is never empty.
	Position Position
	// Publications are oldest first. With Query.HasSince they are the first ones behind Since, else the newest.
	Publications []Publication
	// Follows says that Publications go on where Query.Since ends, however far they reach: if not, publications behind
	// it are lost, or it is of another epoch. Complete says that they are all there is behind it, too: neither Limit
	// nor Bytes cut anything off. Both are false without Query.HasSince.
	Follows, Complete bool
	// Base is the offset that the stream jumped to last; see [Position]. 0 if it never did.
	Base uint64
}

// History is a [Broker] that keeps publications. Which rooms keep what is a setting of the broker: a function from a
// room's name to its Retention, the same on all nodes. In those rooms every publication of a node that
// HandlePublication hears of has a Position, the next one in its room's stream, unless publications were lost. What
// a backend put on the bus past the broker has none: it is heard, and not kept.
type History interface {
	// History reads a part of room's stream and calls done exactly once, on any goroutine and perhaps before it
	// returned; done must not block. The Page is done's to keep. While the room is subscribed, done is called after
	// HandlePublication has returned from every publication up to Page.Position that reaches this node at all. So
	// what is heard later is newer, and a Position above the last one heard means that publications were lost.
	// In a room that keeps nothing the error is [ErrNoHistory].
	History(room string, q Query, done func(Page, error))
}
