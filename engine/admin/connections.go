package admin

// Users and their connections: who is here, and away with them.

import (
	"context"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"
)

// maxReasonBytes is what a close frame has left for its text (RFC 6455 section 5.5).
const maxReasonBytes = 123

// maxRefuseFor is the longest time in seconds for which a user can be refused: a week. The node keeps it in memory;
// what has to hold for longer belongs to whoever issues the tokens.
const maxRefuseFor = 7 * 24 * 60 * 60

func (a *Admin) disconnect(r *http.Request) (any, *failure) {
	var order struct {
		User       string `json:"user"`
		Connection string `json:"connection"`
		Code       *int   `json:"code"`
		Reason     string `json:"reason"`
		RefuseFor  int64  `json:"refuse_for"` // seconds
	}
	if f := readJSON(r, &order); f != nil {
		return nil, f
	}
	code := 0
	switch {
	case (order.User == "") == (order.Connection == ""):
		return nil, badRequest("give either user or connection")
	case order.RefuseFor < 0 || order.RefuseFor > maxRefuseFor:
		return nil, badRequest(fmt.Sprintf("refuse_for is a number of seconds, up to %d", maxRefuseFor))
	case order.RefuseFor > 0 && order.User == "":
		return nil, badRequest("refuse_for is about a user; give user")
	case order.Code != nil && !maySend(*order.Code):
		return nil, badRequest("code is one of 1000 to 1003, 1007 to 1013, or 3000 to 4999")
	case len(order.Reason) > maxReasonBytes:
		return nil, badRequest(fmt.Sprintf("reason has at most %d bytes", maxReasonBytes))
	case order.Code != nil:
		code = *order.Code
	}
	if order.RefuseFor > 0 { // first, so that nobody slips in between
		if err := a.node.RefuseUser(order.User, time.Duration(order.RefuseFor)*time.Second); err != nil {
			return nil, unavailable("too many users are refused already; nobody was disconnected", retrySoon)
		}
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.answer)
	defer cancel()
	var n int
	var err error
	if order.User != "" {
		n, err = a.node.DisconnectUser(ctx, order.User, code, order.Reason)
	} else {
		var found bool
		if found, err = a.node.DisconnectConnection(ctx, order.Connection, code, order.Reason); found {
			n = 1
		}
	}
	if err != nil {
		return nil, unavailable("not every event loop has answered: some connections may be closed", retrySoon)
	}
	return struct {
		Disconnected int `json:"disconnected"`
	}{n}, nil
}

// maySend reports whether a server may put code into a close frame (RFC 6455 section 7.4 and the IANA registry):
// 1004 has no meaning, 1005 and 1006 say that there was no frame, and what lies above 1013 and below 3000 is for
// gateways, for nobody, or not given out.
func maySend(code int) bool {
	switch code {
	case 1004, 1005, 1006:
		return false
	}
	return 1000 <= code && code <= 1013 || 3000 <= code && code <= 4999
}

// connection is one of a user's connections.
type connection struct {
	Connection string   `json:"connection"`
	Address    string   `json:"address"`
	Rooms      []string `json:"rooms"`
	Expires    int64    `json:"expires,omitzero"` // Unix seconds
}

func (a *Admin) user(r *http.Request) (any, *failure) {
	user := r.PathValue("user")
	if !utf8.ValidString(user) {
		return nil, badRequest("a user is UTF-8")
	}
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
	list, total, err := a.node.User(ctx, user, query.Get("after"), limit+1) // one more shows whether there is a next page
	if err != nil {
		return nil, noLoops()
	}
	answer := struct {
		User        string       `json:"user"`
		Total       int          `json:"total"`
		Connections []connection `json:"connections"`
		Next        string       `json:"next,omitzero"`
	}{User: user, Total: total}
	if len(list) > limit {
		list = list[:limit]
		answer.Next = list[limit-1].ID
	}
	answer.Connections = make([]connection, len(list))
	for i, c := range list {
		answer.Connections[i] = connection{Connection: c.ID, Address: c.Address, Rooms: c.Rooms, Expires: c.Expires}
	}
	return answer, nil
}

// noLoops says that the event loops have not answered, because they are overloaded or gone.
func noLoops() *failure {
	return unavailable("the event loops have not answered in time", retrySoon)
}
