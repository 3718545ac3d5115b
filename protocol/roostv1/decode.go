package roostv1

// This file reads one message: its members first, then what its type makes of them.

import (
	"bytes"
	"errors"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/roost-ws/roost/protocol"
)

// Bounds of what Decode accepts, apart from the message's own length, which the framing bounds.
const (
	maxDepth      = 64      // levels of objects and arrays in a message
	maxIDBytes    = 64      // of an id as written, quotes included
	maxTokenBytes = 8 << 10 // of a refresh's token
	maxEpochBytes = 128     // of since.epoch; ours are far shorter
	keptScratch   = 8 << 10 // scratch larger than this is not kept for the next message
)

// What a client is told about a message that is refused with [protocol.BadRequest].
const (
	sayBinary     = "roost.v1 messages are text, not binary"
	sayTooDeep    = "the message is nested more than 64 levels deep"
	sayNotJSON    = "the message is not valid JSON"
	sayNotObject  = "the message is not a JSON object"
	sayDuplicate  = "a member name occurs twice in one object"
	sayID         = "id must be a number, or a string of at most 64 bytes"
	sayNoID       = "presence and history need an id"
	sayNoType     = "type must be a string"
	sayType       = "type is none that a client may send"
	sayRoom       = "room must be a string"
	sayNoData     = "publish needs data"
	sayEcho       = "echo must be true or false"
	saySince      = "since must be an object with epoch and offset"
	sayEpoch      = "since.epoch must be a string of at most 128 bytes"
	sayOffset     = "since.offset must be a whole number, zero or more"
	sayLimit      = "limit must be a whole number, zero or more"
	sayToken      = "token must be a string that is not empty"
	sayTokenBytes = "token must be at most 8192 bytes long"
)

// Codec is the dialect with the scratch that Decode needs; see the package comment for who may call what.
type Codec struct {
	Encoder
	options []jsontext.Options
	decoder jsontext.Decoder
	input   bytes.Buffer // what decoder reads; it is only ever read from, so the message stays as it is
	scratch []byte       // strings of the current message that had escapes to resolve
}

var _ protocol.Codec = (*Codec)(nil)

// New returns a Codec for one event loop.
func New() *Codec {
	return &Codec{options: []jsontext.Options{jsontext.AllowInvalidUTF8(true)}}
}

// members are the raw JSON values of the members that some type knows; nil where the message has none.
type members struct {
	typeName, id, room, data, echo, since, limit, token jsontext.Value
}

// Decode reads msg into cmd, which it empties first. It does not block and allocates only for a Since. cmd's
// slices point into msg or into the codec's scratch: they are good until the next Decode or until msg is reused,
// and the codec may refer to msg, without reading it, until its next Decode. Every failure is a
// [protocol.BadRequest], after which only cmd.ID counts; room names are left to [protocol.CheckRoom].
func (c *Codec) Decode(msg []byte, binary bool, cmd *protocol.Command) (protocol.ErrorCode, string) {
	cmd.Reset()
	if binary {
		return protocol.BadRequest, sayBinary
	}
	if cap(c.scratch) > keptScratch {
		c.scratch = nil
	}
	c.scratch = c.scratch[:0]
	if deeperThan(maxDepth, msg) {
		return protocol.BadRequest, sayTooDeep
	}
	var m members
	complaint := c.split(msg, &m)
	// The id comes first, even out of a message that turned out broken further on, so that the client can tell
	// which of its requests is being refused.
	if legalID(m.id) {
		cmd.ID = m.id
	} else if m.id != nil && complaint == "" {
		complaint = sayID
	}
	if complaint == "" {
		complaint = c.interpret(&m, cmd)
	}
	if complaint != "" {
		return protocol.BadRequest, complaint
	}
	return protocol.NoError, ""
}

// split sorts the members of msg into m, as far as it can read them, and says what is wrong with msg as JSON.
func (c *Codec) split(msg []byte, m *members) (complaint string) {
	err := c.eachMember(msg, func(name []byte, value jsontext.Value) {
		switch string(name) {
		case "type":
			m.typeName = value
		case "id":
			m.id = value
		case "room":
			m.room = value
		case "data":
			m.data = value
		case "echo":
			m.echo = value
		case "since":
			m.since = value
		case "limit":
			m.limit = value
		case "token":
			m.token = value
		}
	})
	switch {
	case err == nil:
		return ""
	case err == errNotObject:
		return sayNotObject
	case errors.Is(err, jsontext.ErrDuplicateName):
		return sayDuplicate
	default:
		return sayNotJSON
	}
}

// interpret fills cmd with the members that the message's type knows, and says which of them is wrong.
func (c *Codec) interpret(m *members, cmd *protocol.Command) (complaint string) {
	if m.typeName.Kind() != jsontext.KindString {
		return sayNoType
	}
	cmd.Type = commandType(c.text(m.typeName))
	switch cmd.Type {
	case 0:
		return sayType
	case protocol.Ping:
		return ""
	case protocol.Refresh:
		return c.readToken(m.token, cmd)
	}
	if m.room.Kind() != jsontext.KindString {
		return sayRoom
	}
	cmd.Room = c.text(m.room)
	switch cmd.Type {
	case protocol.Publish:
		return readPublish(m, cmd)
	case protocol.Join:
		return c.readSince(m.since, cmd)
	case protocol.Presence, protocol.History:
		if cmd.ID == nil {
			return sayNoID
		}
	}
	if cmd.Type == protocol.History {
		if complaint = readLimit(m.limit, cmd); complaint == "" {
			complaint = c.readSince(m.since, cmd)
		}
	}
	return complaint
}

// commandType is the type that a client calls word, 0 if a client may not send it.
func commandType(word []byte) protocol.CommandType {
	switch string(word) {
	case "publish":
		return protocol.Publish
	case "join":
		return protocol.Join
	case "leave":
		return protocol.Leave
	case "presence":
		return protocol.Presence
	case "history":
		return protocol.History
	case "ping":
		return protocol.Ping
	case "refresh":
		return protocol.Refresh
	}
	return 0
}

func readPublish(m *members, cmd *protocol.Command) (complaint string) {
	if m.data == nil {
		return sayNoData
	}
	if m.echo != nil {
		switch m.echo.Kind() {
		case jsontext.KindFalse:
			cmd.NoEcho = true
		case jsontext.KindTrue:
		default:
			return sayEcho
		}
	}
	cmd.Data, cmd.Kind = m.data, protocol.JSON
	return ""
}

func readLimit(limit jsontext.Value, cmd *protocol.Command) (complaint string) {
	if limit == nil {
		return ""
	}
	n, err := strconv.ParseUint(string(limit), 10, 31)
	if err != nil {
		return sayLimit
	}
	cmd.Limit = int(n)
	return ""
}

func (c *Codec) readToken(token jsontext.Value, cmd *protocol.Command) (complaint string) {
	if token.Kind() != jsontext.KindString {
		return sayToken
	}
	switch text := c.text(token); {
	case len(text) == 0:
		return sayToken
	case len(text) > maxTokenBytes:
		return sayTokenBytes
	default:
		cmd.Token = text
		return ""
	}
}

func (c *Codec) readSince(since jsontext.Value, cmd *protocol.Command) (complaint string) {
	if since == nil {
		return ""
	}
	var epoch, offset jsontext.Value
	err := c.eachMember(since, func(name []byte, value jsontext.Value) {
		switch string(name) {
		case "epoch":
			epoch = value
		case "offset":
			offset = value
		}
	})
	switch {
	case err != nil || epoch == nil || offset == nil:
		return saySince
	case epoch.Kind() != jsontext.KindString:
		return sayEpoch
	}
	text := c.text(epoch)
	if len(text) > maxEpochBytes {
		return sayEpoch
	}
	n, err := strconv.ParseUint(string(offset), 10, 64)
	if err != nil {
		return sayOffset
	}
	cmd.Since, cmd.HasSince = protocol.Position{Epoch: string(text), Offset: n}, true
	return ""
}
