// Package raw is the dialect of /raw/{room}: no envelope, a message is a publication and the other way round.
//
// There are no commands but to publish, no answers and no news: a client hears publications and nothing else,
// byte for byte, the empty ones too. Bots, sensors and comparisons with bare WebSocket servers want that.
//
// A [Codec] holds nothing, so one value serves any number of goroutines. Nothing here blocks, allocates beyond
// growing a destination, or looks at the bytes: that a text message is valid UTF-8 is the framing's promise.
package raw

import "github.com/roost-ws/roost/protocol"

// Codec is the dialect. Its zero value is ready.
type Codec struct{}

var _ protocol.Codec = Codec{}

// Decode makes msg a publish of kind Text or Binary, and never fails. cmd.Data is msg itself; cmd.Room stays nil,
// because the connection's path has named its one room.
func (Codec) Decode(msg []byte, binary bool, cmd *protocol.Command) (protocol.ErrorCode, string) {
	cmd.Reset()
	cmd.Type, cmd.Data, cmd.Kind = protocol.Publish, msg, protocol.Text
	if binary {
		cmd.Kind = protocol.Binary
	}
	return protocol.NoError, ""
}

// AppendReply appends nothing: the dialect has no answers.
func (Codec) AppendReply(dst []byte, _ *protocol.Reply) []byte { return dst }

// AppendPush appends a Message's data as it is: a binary message for kind Binary, else a text message. Every
// other push is [protocol.NoMessage].
func (Codec) AppendPush(dst []byte, p *protocol.Push) ([]byte, protocol.Form) {
	if p.Type != protocol.Message {
		return dst, protocol.NoMessage
	}
	dst = append(dst, p.Data...)
	if p.Kind == protocol.Binary {
		return dst, protocol.BinaryMessage
	}
	return dst, protocol.TextMessage
}
