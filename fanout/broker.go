package fanout

// The contracts between a node and the bus: Broker, what it calls, and what the node's loops look like.

import "errors"

// ErrBusy means that the broker's pipeline is full and the caller should try again later.
var ErrBusy = errors.New("fanout: broker is busy")

// ErrDown means that the bus can't be reached now, and that nothing of what was asked was done. The errors of brokers
// wrap it.
var ErrDown = errors.New("fanout: the bus can't be reached")

// ErrNoHistory means that a room keeps nothing.
var ErrNoHistory = errors.New("fanout: the room keeps no history")

// ErrClosed means that the broker was closed, or never started.
var ErrClosed = errors.New("fanout: broker is closed")

// Completion hears the outcome of one Publish.
type Completion interface {
	// Published is called exactly once, on any goroutine and perhaps before Publish returned. It must not block.
	// A nil err means that the bus took the publication, not that anyone has received it yet; pos is its place in
	// the room's stream, zero without history. After any other err it was not taken, as far as the broker knows.
	Published(pos Position, err error)
}

// Broker is a bus between nodes. None of its methods blocks but Start and Close; all may be called from any
// goroutine, also inside a call the broker makes.
type Broker interface {
	// Start begins to call sink. It is called once, before anything else, and may wait for the bus.
	Start(sink Sink) error
	// Publish sends p to every node subscribed to its room, this one included. p and p.Data are the caller's
	// again when Publish returns; a broker that needs them longer copies them. done may be nil.
	// Two calls for one room from one goroutine reach every subscriber in that order. A publication the bus can't
	// carry, such as one that is too large for it, completes with an error and reaches nobody.
	Publish(p *Publication, done Completion)
	// Subscribe asks for room's publications and calls done exactly once, perhaps before it returns, when none can
	// be missed any more or when it failed. done must not block.
	// Unsubscribe ends it; what is on its way may still arrive, and it does nothing for a room not subscribed.
	// For one room the caller waits for done before Unsubscribe, and for Unsubscribe to return before the next
	// Subscribe; the broker keeps the order of these calls, so the last one decides.
	// A broker that gets more than it asked for may pass it on: the Router drops and counts it.
	Subscribe(room string, done func(error))
	Unsubscribe(room string)
	// Up reports whether the bus can be reached now; false before Start and after Close.
	Up() bool
	// Close ends it and waits for the broker's goroutines, so it is never called inside one of the broker's own
	// calls. Every Completion and every Subscribe still open is told ErrClosed, and so is every later one; a later
	// Unsubscribe does nothing, a later Close may return ErrClosed.
	Close() error
}

// Sink hears from a Broker, on the broker's goroutines or inside a Publish; it must not block. For one room that
// keeps history the calls of both methods come one after another, in the order of its stream; in others those about
// the publications of one publisher do. Calls for different rooms, or from publishers on different goroutines, may overlap.
type Sink interface {
	// HandlePublication takes p, which is only good during the call, its Data too.
	HandlePublication(p *Publication)
	// HandleGap tells that publications of room may have been lost; pos is where its stream stands now, as far
	// as the broker knows.
	HandleGap(room string, pos Position)
}

// Local is this node's event loops as the Router sees them. Calls come from any goroutine, may overlap, and must not
// block; they may call the Router.
type Local interface {
	// Deliver hands p, which is only good during the call, its Data too, to the loops in the set. It is never empty.
	Deliver(loops LoopSet, p *Publication)
	// Ready answers a Router.Want that could not be answered at once. After an err the loop wants room no longer.
	Ready(room string, loop int, err error)
	// Gap tells the members on these loops that publications of room may have been missed.
	Gap(loops LoopSet, room string, pos Position)
}
