package admin

// Users and their connections: who is here, and away with them.

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
	"unicode/utf8"

	"github.com/roost-ws/roost/engine"
	"github.com/roost-ws/roost/engine/auth"
)

// maxReasonBytes is what a close frame has left for its text (RFC 6455 section 5.5).
const maxReasonBytes = 123

// maxRefuseFor is the longest time in seconds for which tokens can be refused: a week. Nodes keep it in memory; what has
// to hold for longer belongs to whoever issues the tokens.
const maxRefuseFor = 7 * 24 * 60 * 60

func (a *Admin) disconnect(r *http.Request) (any, *failure) {
	var order struct {
		User       string `json:"user"`
		SID        string `json:"sid"`
		JTI        string `json:"jti"`
		Connection string `json:"connection"`
		Code       *int   `json:"code"`
		Reason     string `json:"reason"`
		RefuseFor  int64  `json:"refuse_for"` // seconds
	}
	if f := readJSON(r, &order); f != nil {
		return nil, f
	}
	o := engine.Order{User: order.User, Session: order.SID, Token: order.JTI, Connection: order.Connection, Reason: order.Reason}
	named := 0
	for _, name := range []string{o.User, o.Session, o.Token, o.Connection} {
		if name != "" {
			named++
		}
	}
	switch {
	case named != 1:
		return nil, badRequest("give one of user, sid, jti and connection")
	case order.RefuseFor < 0 || order.RefuseFor > maxRefuseFor:
		return nil, badRequest(fmt.Sprintf("refuse_for is a number of seconds, up to %d", maxRefuseFor))
	case order.RefuseFor > 0 && o.Connection != "":
		return nil, badRequest("refuse_for is about tokens; give user, sid or jti")
	case order.Code != nil && !maySend(*order.Code):
		return nil, badRequest("code is one of 1000 to 1003, 1007 to 1013, or 3000 to 4999")
	case len(order.Reason) > maxReasonBytes:
		return nil, badRequest(fmt.Sprintf("reason has at most %d bytes", maxReasonBytes))
	case order.Code != nil:
		o.Code = *order.Code
	}
	if order.RefuseFor > 0 {
		o.RefuseUntil = time.Now().Unix() + order.RefuseFor
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.answer)
	defer cancel()
	outcome, err := a.node.Disconnect(ctx, o)
	switch {
	case errors.Is(err, auth.ErrRevocationsFull):
		return nil, unavailable("too many tokens are refused already; nobody was disconnected", retrySoon)
	case err != nil:
		return nil, unavailable("not every event loop has answered: some connections may be closed", retrySoon)
	case outcome.Full:
		return nil, unavailable("another node refuses too many tokens already; there nobody was disconnected", retrySoon)
	}
	return struct {
		Disconnected int      `json:"disconnected"`
		Unanswered   []string `json:"unanswered,omitempty"` // nodes that may or may not have done it
	}{outcome.Disconnected, outcome.Silent}, nil
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
	page, f := readPage(r)
	if f != nil {
		return nil, f
	}
	ctx, cancel := context.WithTimeout(r.Context(), a.answer)
	defer cancel()
	list, total, err := a.node.User(ctx, user, page.after, page.limit+1) // one more shows whether there is a next page
	if err != nil {
		return nil, noLoops()
	}
	answer := struct {
		User        string       `json:"user"`
		Total       int          `json:"total"`
		Connections []connection `json:"connections"`
		Next        string       `json:"next,omitzero"`
	}{User: user, Total: total}
	if len(list) > page.limit {
		list = list[:page.limit]
		answer.Next = list[page.limit-1].ID
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
