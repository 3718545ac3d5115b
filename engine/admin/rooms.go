package admin

// Rooms: which there are on this node, and what is kept of them.

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/roost-ws/roost/engine"
	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/protocol"
	"github.com/roost-ws/roost/protocol/roostv1"
)

// roomMembers is one room of the list.
type roomMembers struct {
	Room    string `json:"room"`
	Members int    `json:"members"`
}

// rooms lists rooms by name. next is where the following page begins, and is left out on the last one.
func (a *Admin) rooms(r *http.Request) (any, *failure) {
	page, f := readPage(r)
	if f != nil {
		return nil, f
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.answer)
	defer cancel()
	list, err := a.node.Rooms(ctx, page.after, page.limit+1) // one more shows whether there is a next page
	if err != nil {
		return nil, noLoops()
	}
	var answer struct {
		Rooms []roomMembers `json:"rooms"`
		Next  string        `json:"next,omitzero"`
	}
	if len(list) > page.limit {
		list = list[:page.limit]
		answer.Next = list[page.limit-1].Name
	}
	answer.Rooms = make([]roomMembers, len(list))
	for i, room := range list {
		answer.Rooms[i] = roomMembers{Room: room.Name, Members: room.Members}
	}
	return answer, nil
}

// maxPresent is how many users of a room can be paged through; total tells how many there are beyond.
const maxPresent = 100_000

// presentUser is one user of a room.
type presentUser struct {
	User        string `json:"user"`
	Connections int    `json:"connections"`
}

// presence lists who is in a room over all nodes, by name. next is where the following page begins.
func (a *Admin) presence(r *http.Request) (any, *failure) {
	room := r.PathValue("room")
	if f := a.checkRoom(room); f != nil {
		return nil, f
	}
	page, f := readPage(r)
	if f != nil {
		return nil, f
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.answer)
	defer cancel()
	users, total, err := a.node.Present(ctx, room, maxPresent)
	if err != nil {
		a.log.Warn("presence could not be read", "error", err)
		return nil, unavailable("presence can't be read now", retrySoon)
	}
	answer := struct {
		Room  string        `json:"room"`
		Total int           `json:"total"`
		Users []presentUser `json:"users"`
		Next  string        `json:"next,omitzero"`
	}{Room: room, Total: total, Users: []presentUser{}}
	if page.behind {
		from, found := slices.BinarySearchFunc(users, page.after, func(u fanout.PresentUser, name string) int { return strings.Compare(u.User, name) })
		if found {
			from++
		}
		users = users[from:]
	}
	if len(users) > page.limit {
		users = users[:page.limit]
		answer.Next = users[page.limit-1].User
	}
	for _, u := range users {
		answer.Users = append(answer.Users, presentUser(u))
	}
	return answer, nil
}

// history answers as a client's query is answered, with type and all. epoch and offset together say where to begin.
func (a *Admin) history(r *http.Request) (any, *failure) {
	room := r.PathValue("room")
	if f := a.checkRoom(room); f != nil {
		return nil, f
	}
	query, f := readQuery(r, "epoch", "offset", "limit")
	if f != nil {
		return nil, f
	}
	q := fanout.Query{HasSince: query.Has("epoch"), Bytes: maxHistoryBytes}
	if q.Limit, f = pageLimit(query); f != nil {
		return nil, f
	}
	if q.Since.Epoch = query.Get("epoch"); q.HasSince != query.Has("offset") {
		return nil, badRequest("give epoch and offset together, or neither")
	}
	if q.HasSince {
		offset, err := strconv.ParseUint(query.Get("offset"), 10, 64)
		if err != nil {
			return nil, badRequest("offset is a whole number")
		}
		q.Since.Offset = offset
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.answer)
	defer cancel()
	page, err := a.node.History(ctx, room, q)
	switch {
	case errors.Is(err, fanout.ErrNoHistory):
		return nil, unavailable("this room keeps no history: set history.size", 0)
	case err != nil:
		a.log.Warn("history could not be read", "error", err)
		return nil, unavailable("the history can't be read now", retrySoon)
	case q.HasSince && !page.Follows:
		return nil, &failure{status: http.StatusConflict, code: protocol.Unrecoverable.String(), message: "the history does not go back that far"}
	}
	answer := protocol.Reply{Type: protocol.HistoryList, Room: room, Position: protocol.Position(page.Position)}
	for i := range page.Publications {
		answer.Messages = append(answer.Messages, engine.PushOf(&page.Publications[i]))
	}
	return jsontext.Value(roostv1.Encoder{}.AppendReply(nil, &answer)), nil
}

// maxHistoryBytes bounds the data in one page of history.
const maxHistoryBytes = 4 << 20
