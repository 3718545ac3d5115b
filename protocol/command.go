package protocol

// CommandType says what a client asks for.
type CommandType uint8

// The commands of contract section 3.
const (
	Join CommandType = iota + 1
	Leave
	Publish
	Presence
	History
	Ping
	Refresh
)

// Kind says what the bytes of a publication are, so that each dialect can show them faithfully.
type Kind uint8

const (
	// JSON is one JSON value, valid and byte for byte as its publisher wrote it.
	JSON Kind = iota
	// Text is UTF-8 text that need not be JSON.
	Text
	// Binary is anything.
	Binary
)

// Position is a place in a room's stream of publications. The zero Position means the room keeps no history.
type Position struct {
	Epoch  string
	Offset uint64
}

// Command is one request of a client. Its slices point into the message or into the codec's scratch, so they are
// good until the message's buffer is reused or the codec decodes again, whichever comes first.
type Command struct {
	Type CommandType
	// ID is the request's id exactly as the client wrote it, quotes included; nil if it sent none.
	ID []byte
	// Room is the room's name, not yet checked against [CheckRoom].
	Room []byte
	// Data is what to publish, of the given Kind.
	Data []byte
	Kind Kind
	// NoEcho asks that the sender does not hear its own publication.
	NoEcho bool
	// Since is where the client wants to resume; HasSince tells an absent one from a zero one.
	Since    Position
	HasSince bool
	// Limit bounds the answer to a history query; 0 if the client named none.
	Limit int
	// Token is the new token of a refresh.
	Token []byte
}

// Reset makes c empty for the next message.
func (c *Command) Reset() { *c = Command{} }
