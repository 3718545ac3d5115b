package fanout

// What travels: a message in a room, and its place in the room's stream.

// Kind says what the bytes of a publication are.
type Kind uint8

const (
	// JSON is one JSON value as its publisher wrote it.
	JSON Kind = iota
	// Text is UTF-8 text that need not be JSON.
	Text
	// Binary is anything.
	Binary
	// MemberJoined and MemberLeft are no messages but news of the room's members: From came as the first of its
	// connections, or left as the last, over all nodes. They have no Data, and no Position in any room.
	MemberJoined
	MemberLeft
	// Missed tells the other nodes that publications of this room have not reached the bus or, with a Position, that the
	// bus has lost one for good. It has nothing else.
	Missed
)

// Position is a place in a room's stream. The zero Position means that the room keeps no history.
type Position struct {
	// Epoch names one life of the stream; offsets of different epochs can't be compared.
	Epoch string
	// Offset grows with each publication, from 1 on and by 1, but where the bus took up the stream again after it may have
	// lost the end of it: there it jumps, so that no offset is given twice.
	Offset uint64
}

// Publication is one message in one room.
type Publication struct {
	Room string
	// Data is whose the Publication is; see each function that takes one.
	Data []byte
	Kind Kind
	// From is the user who published, empty for a backend; or the member that came or left.
	From string
	// Time is when the first node took it, in Unix milliseconds.
	Time int64
	// Position is given by the broker; zero in a room without history.
	Position Position
	// Was is not empty if the bus had lost this publication, and it was published again: the offsets that it had before in
	// the same epoch. Who heard it at one of them has heard it.
	Was []uint64
	// Node is the node that took it; Sender the connection on that node that must not hear it, 0 for none.
	Node   string
	Sender uint64
}
