package protocol

// Form says in what kind of WebSocket message an encoded push travels.
type Form uint8

// The forms of a push. NoMessage means the dialect has no word for it and nothing is to be sent, which is not
// the same as an empty message: that one is a TextMessage or a BinaryMessage with no bytes.
const (
	NoMessage Form = iota
	TextMessage
	BinaryMessage
)

// Codec translates one dialect. AppendPush and AppendReply keep no state and may be called from any goroutine;
// Decode may use scratch of the codec's own, so each loop has a Codec of its own and calls Decode only there.
type Codec interface {
	// Decode reads one whole message into cmd, which it empties first. A text message has to be valid UTF-8, as
	// the framing made sure. On a failure it returns the ErrorCode to answer with and a sentence for the client,
	// which never repeats the input; then nothing in cmd counts but the ID, set if it could still be read.
	Decode(msg []byte, binary bool, cmd *Command) (code ErrorCode, detail string)
	// AppendReply appends r in the dialect's words to dst, as the payload of a text message; a dialect
	// without answers appends nothing, and then nothing is to be sent.
	AppendReply(dst []byte, r *Reply) []byte
	// AppendPush appends p to dst and says as what it travels. For NoMessage out is dst as it was; for the
	// other forms the bytes appended are the message, even when there are none.
	AppendPush(dst []byte, p *Push) (out []byte, form Form)
}
