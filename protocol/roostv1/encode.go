package roostv1

// This file writes answers and pushes, field by field in the order that the protocol's reference gives them.

import (
	"encoding/base64"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/roost-ws/roost/protocol"
)

// Encoder is the writing half of the dialect. It holds nothing, so one value serves any number of goroutines.
// Its methods do not block, keep neither argument, and allocate only to grow dst.
type Encoder struct{}

// AppendReply appends r, the payload of one text message, to dst. A field that an answer may lack is left out
// when it is zero; a Type that is none of the protocol's appends nothing.
func (Encoder) AppendReply(dst []byte, r *protocol.Reply) []byte {
	switch r.Type {
	case protocol.Joined:
		dst = appendHead(dst, "joined", r)
		dst = appendPosition(dst, r.Position)
		if r.HasRecovered {
			dst = append(dst, `,"recovered":`...)
			dst = strconv.AppendBool(dst, r.Recovered)
		}
		if len(r.Messages) > 0 {
			dst = appendMessages(dst, r)
		}
	case protocol.Left:
		dst = appendHead(dst, "left", r)
	case protocol.Published:
		dst = appendHead(dst, "published", r)
		dst = appendOffset(dst, r.Position.Offset)
	case protocol.PresenceList:
		dst = appendHead(dst, "presence", r)
		dst = appendUsers(dst, r)
	case protocol.HistoryList:
		dst = appendHead(dst, "history", r)
		dst = appendPosition(dst, r.Position)
		dst = appendMessages(dst, r)
	case protocol.Pong:
		dst = appendTypeAndID(dst, "pong", r.ID)
	case protocol.Refreshed:
		dst = appendTypeAndID(dst, "refreshed", r.ID)
		dst = appendOptional(dst, `,"expires":`, r.Expires)
	case protocol.Failed:
		dst = appendTypeAndID(dst, "error", r.ID)
		dst = appendText(dst, `,"code":`, r.Code.String())
		dst = appendText(dst, `,"message":`, r.Detail)
		dst = appendOptional(dst, `,"retry_after":`, r.RetryAfter)
	default:
		return dst
	}
	return append(dst, '}')
}

// AppendPush appends p to dst as the payload of a text message. A field that a push may lack is left out when it
// is zero; a Type that is none of the protocol's appends nothing and is [protocol.NoMessage].
func (Encoder) AppendPush(dst []byte, p *protocol.Push) ([]byte, protocol.Form) {
	switch p.Type {
	case protocol.Message:
		return appendMessage(dst, p.Room, p), protocol.TextMessage
	case protocol.Welcome:
		dst = appendWelcome(dst, p)
	case protocol.MemberJoined:
		dst = appendText(dst, `{"type":"member_joined","room":`, p.Room)
		dst = appendText(dst, `,"user":`, p.User)
	case protocol.MemberLeft:
		dst = appendText(dst, `{"type":"member_left","room":`, p.Room)
		dst = appendText(dst, `,"user":`, p.User)
	case protocol.Gap:
		dst = appendText(dst, `{"type":"gap","room":`, p.Room)
		dst = appendPosition(dst, p.Position)
	case protocol.Expiring:
		dst = append(dst, `{"type":"expiring","in":`...)
		dst = strconv.AppendInt(dst, int64(p.In), 10)
	case protocol.Shutdown:
		dst = append(dst, `{"type":"shutdown","reconnectIn":`...)
		dst = strconv.AppendInt(dst, int64(p.In), 10)
	default:
		return dst, protocol.NoMessage
	}
	return append(dst, '}'), protocol.TextMessage
}

// appendMessage appends a whole message object: pushed ones and those inside an answer look alike, so that a
// client has one piece of code for both.
func appendMessage(dst []byte, room string, p *protocol.Push) []byte {
	dst = appendText(dst, `{"type":"message","room":`, room)
	dst = append(dst, `,"data":`...)
	dst = appendData(dst, p.Data, p.Kind)
	if p.From != "" {
		dst = appendText(dst, `,"from":`, p.From)
	}
	dst = appendOffset(dst, p.Position.Offset)
	dst = appendOptional(dst, `,"time":`, p.Time)
	return append(dst, '}')
}

// appendData shows data, whatever its kind, as one JSON value.
func appendData(dst, data []byte, kind protocol.Kind) []byte {
	switch {
	case kind == protocol.Text:
		// The error tells of invalid UTF-8, for which the replacement character has been put in already.
		dst, _ = jsontext.AppendQuote(dst, data)
		return dst
	case kind == protocol.Binary:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, data)
		return append(dst, '"')
	case len(data) == 0:
		return append(dst, "null"...) // no JSON value is empty, and one hole must not spoil the whole message
	default:
		return append(dst, data...)
	}
}

func appendWelcome(dst []byte, p *protocol.Push) []byte {
	dst = appendText(dst, `{"type":"welcome","connection":`, p.Connection)
	dst = appendText(dst, `,"user":`, p.User)
	dst = appendText(dst, `,"node":`, p.Node)
	dst = append(dst, `,"heartbeat":`...)
	dst = strconv.AppendInt(dst, int64(p.Heartbeat), 10)
	dst = appendOptional(dst, `,"expires":`, p.Expires)
	if len(p.Rooms) == 0 {
		return dst
	}
	lead := `,"rooms":[`
	for _, room := range p.Rooms {
		dst = appendText(dst, lead, room)
		lead = `,`
	}
	return append(dst, ']')
}

// appendHead appends what begins every answer about a room.
func appendHead(dst []byte, typeName string, r *protocol.Reply) []byte {
	dst = appendTypeAndID(dst, typeName, r.ID)
	return appendText(dst, `,"room":`, r.Room)
}

func appendTypeAndID(dst []byte, typeName string, id []byte) []byte {
	dst = append(dst, `{"type":"`...)
	dst = append(dst, typeName...)
	dst = append(dst, '"')
	if len(id) > 0 {
		dst = append(dst, `,"id":`...)
		dst = append(dst, id...)
	}
	return dst
}

// appendPosition writes an offset of zero too if there is an epoch: in a room that keeps history but holds no
// publication yet, zero is the place to resume from.
func appendPosition(dst []byte, pos protocol.Position) []byte {
	if pos.Epoch == "" {
		return appendOffset(dst, pos.Offset)
	}
	dst = appendText(dst, `,"epoch":`, pos.Epoch)
	dst = append(dst, `,"offset":`...)
	return strconv.AppendUint(dst, pos.Offset, 10)
}

func appendMessages(dst []byte, r *protocol.Reply) []byte {
	dst = append(dst, `,"messages":[`...)
	for i := range r.Messages {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendMessage(dst, r.Room, &r.Messages[i])
	}
	return append(dst, ']')
}

func appendUsers(dst []byte, r *protocol.Reply) []byte {
	dst = append(dst, `,"users":[`...)
	lead := `{"user":`
	for _, u := range r.Users {
		dst = appendText(dst, lead, u.User)
		dst = append(dst, `,"connections":`...)
		dst = strconv.AppendInt(dst, int64(u.Connections), 10)
		dst = append(dst, '}')
		lead = `,{"user":`
	}
	dst = append(dst, `],"total":`...)
	return strconv.AppendInt(dst, int64(r.Total), 10)
}

// appendText appends lead, which ends with what comes before a value, and text as a JSON string.
func appendText(dst []byte, lead, text string) []byte {
	dst = append(dst, lead...)
	// The error tells of invalid UTF-8, for which the replacement character has been put in already.
	dst, _ = jsontext.AppendQuote(dst, text)
	return dst
}

// appendOffset appends a publication's offset, or nothing if its room keeps no history.
func appendOffset(dst []byte, offset uint64) []byte {
	if offset == 0 {
		return dst
	}
	dst = append(dst, `,"offset":`...)
	return strconv.AppendUint(dst, offset, 10)
}

// appendOptional appends lead and n, or nothing if n is zero.
func appendOptional(dst []byte, lead string, n int64) []byte {
	if n == 0 {
		return dst
	}
	dst = append(dst, lead...)
	return strconv.AppendInt(dst, n, 10)
}
