package admin

// Rooms: which there are on this node, and what is kept of them.

import (
	"context"
	"net/http"
)

// roomMembers is one room of the list.
type roomMembers struct {
	Room    string `json:"room"`
	Members int    `json:"members"`
}

// rooms lists rooms by name. next is where the following page begins, and is left out on the last one.
func (a *Admin) rooms(r *http.Request) (any, *failure) {
	query, f := readQuery(r, "after", "limit")
	if f != nil {
		return nil, f
	}
	limit, f := pageLimit(query)
	if f != nil {
		return nil, f
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.answer)
	defer cancel()
	list, err := a.node.Rooms(ctx, query.Get("after"), limit+1) // one more shows whether there is a next page
	if err != nil {
		return nil, noLoops()
	}
	var answer struct {
		Rooms []roomMembers `json:"rooms"`
		Next  string        `json:"next,omitzero"`
	}
	if len(list) > limit {
		list = list[:limit]
		answer.Next = list[limit-1].Name
	}
	answer.Rooms = make([]roomMembers, len(list))
	for i, room := range list {
		answer.Rooms[i] = roomMembers{Room: room.Name, Members: room.Members}
	}
	return answer, nil
}

func (a *Admin) presence(r *http.Request) (any, *failure) {
	return nil, a.notKept(r, "this node keeps no presence")
}

func (a *Admin) history(r *http.Request) (any, *failure) {
	return nil, a.notKept(r, "this node keeps no history")
}

// notKept refuses a question about a room whose answer the node does not keep.
func (a *Admin) notKept(r *http.Request, message string) *failure {
	if f := a.checkRoom(r.PathValue("room")); f != nil {
		return f
	}
	return unavailable(message, 0)
}
