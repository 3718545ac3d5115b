package engine

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/roost-ws/roost/engine/auth"
	"github.com/roost-ws/roost/fanout"
)

// What is ordered of this node, and of all: to disconnect somebody, and to refuse tokens for a while.

// Order says who is to be disconnected, everywhere. Exactly one of User, Session, Token and Connection is set.
type Order struct {
	User       string `json:"user,omitempty"`
	Session    string `json:"session,omitempty"` // the sid claim of tokens
	Token      string `json:"token,omitempty"`   // the jti claim
	Connection string `json:"connection,omitempty"`
	// Code and Reason go into the close frame; without a Code it is 4409.
	Code   int    `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
	// RefuseUntil is a moment in Unix seconds until which tokens of that user, session or id are refused, 0 = not at all.
	RefuseUntil int64 `json:"refuse_until,omitempty"`
}

// Outcome is what became of an order.
type Outcome struct {
	// Disconnected is how many connections were told to end, on all nodes that have answered.
	Disconnected int `json:"disconnected"`
	// Silent are nodes that have not answered; there the order may have been carried out all the same.
	Silent []string `json:"-"`
	// Full says that a node, this one or another, could not take the refusal: too many are in force.
	Full bool `json:"full,omitempty"`
}

// refusal is a revocation as other nodes can be told of it.
type refusal struct {
	By    auth.RevokedBy `json:"by"`
	Value string         `json:"value"`
	Until int64          `json:"until"` // Unix seconds
}

// refusalBook remembers the refusals in force, for nodes that start later. The Revocations hold only hashes.
type refusalBook struct {
	mu   sync.Mutex
	list map[refusalKey]int64
	full int // more than this many are looked through for what has run out
}

type refusalKey struct {
	by    auth.RevokedBy
	value string
}

// maxToldRefusals is how many a node that starts is told of; it learns the longest ones.
const maxToldRefusals = 2048

// add notes a refusal that the Revocations have taken. These bound how many are in force; what has run out is forgotten
// whenever there are twice as many as the last time something was.
func (b *refusalBook) add(r refusal, now int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.list == nil {
		b.list = make(map[refusalKey]int64)
	}
	b.list[refusalKey{r.By, r.Value}] = r.Until
	if len(b.list) > b.full {
		b.forget(now)
		b.full = max(2*len(b.list), maxToldRefusals)
	}
}

// forget drops what has run out. mu is held.
func (b *refusalBook) forget(now int64) {
	maps.DeleteFunc(b.list, func(_ refusalKey, until int64) bool { return until <= now })
}

// inForce lists what has not run out, and forgets the rest.
func (b *refusalBook) inForce(now int64) []refusal {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.forget(now)
	var list []refusal
	for key, until := range b.list {
		list = append(list, refusal{By: key.by, Value: key.value, Until: until})
	}
	slices.SortFunc(list, func(x, y refusal) int { return int(y.Until - x.Until) })
	return list[:min(len(list), maxToldRefusals)]
}

// refuse shuts tokens out of this node until a moment.
func (s *Server) refuse(r refusal) error {
	if err := s.revocations.Refuse(r.By, r.Value, time.Unix(r.Until, 0)); err != nil {
		return err
	}
	if s.shared {
		s.refusals.add(r, s.wall().Unix())
	}
	return nil
}

// about is the claim that an order names, and its value.
func (o *Order) about() (auth.RevokedBy, string) {
	switch {
	case o.Session != "":
		return auth.RevokedSession, o.Session
	case o.Token != "":
		return auth.RevokedToken, o.Token
	}
	return auth.RevokedUser, o.User
}

// Disconnect carries an order out on every node and says what became of it. The error is one of this node's loops, or
// [auth.ErrRevocationsFull], with which nothing was done. Blocks, for some seconds where other nodes are silent.
func (s *Server) Disconnect(ctx context.Context, o Order) (Outcome, error) {
	sum, err := s.obey(ctx, &o)
	if control := s.router.Control(); control != nil && err == nil {
		node, _, _ := strings.Cut(o.Connection, ":")
		if o.Connection != "" && node == s.node {
			return sum, nil // it can be nowhere else
		}
		text, _ := json.Marshal(o)
		answers, silent := control.Order(ctx, text)
		for _, text := range answers {
			var there Outcome
			if json.Unmarshal(text, &there) == nil {
				sum.Disconnected += there.Disconnected
				sum.Full = sum.Full || there.Full
			}
		}
		sum.Silent = silent
	}
	return sum, err
}

// obey carries an order out on this node.
func (s *Server) obey(ctx context.Context, o *Order) (Outcome, error) {
	if o.Connection != "" {
		found, err := s.DisconnectConnection(ctx, o.Connection, o.Code, o.Reason)
		if found {
			return Outcome{Disconnected: 1}, err
		}
		return Outcome{}, err
	}
	by, value := o.about()
	if o.RefuseUntil > 0 { // first, so that nobody slips in between
		if err := s.refuse(refusal{By: by, Value: value, Until: o.RefuseUntil}); err != nil {
			return Outcome{Full: errors.Is(err, auth.ErrRevocationsFull)}, err
		}
	}
	n, err := s.disconnectAll(ctx, by, value, o.Code, o.Reason)
	return Outcome{Disconnected: n}, err
}

// disconnectAll closes every connection whose token bears that claim.
func (s *Server) disconnectAll(ctx context.Context, by auth.RevokedBy, value string, code int, reason string) (int, error) {
	mark := auth.MarkOf(by, value)
	counts := make([]int, len(s.loops))
	err := s.each(ctx, func(l *Loop, done func()) {
		l.scan(0, func(c *Conn) {
			if by == auth.RevokedUser && c.user == value || by != auth.RevokedUser && l.marks[c.slot].bears(by, mark) {
				counts[l.index]++
				c.closeByBackend(l, code, reason)
			}
		}, done)
	})
	if err != nil {
		return 0, err
	}
	n := 0
	for _, k := range counts {
		n += k
	}
	return n, nil
}

// marks are the sid and jti of a connection's token. They stand beside the connection, since most tokens have neither.
type marks struct{ session, token auth.Mark }

func (m marks) bears(by auth.RevokedBy, mark auth.Mark) bool {
	return mark != 0 && (by == auth.RevokedSession && m.session == mark || by == auth.RevokedToken && m.token == mark)
}

// mark remembers the sid and jti of c's token.
func (l *Loop) mark(c *Conn, who auth.Identity) {
	if m := (marks{who.Session, who.Token}); m != (marks{}) {
		if l.marks == nil {
			l.marks = make(map[uint32]marks)
		}
		l.marks[c.slot] = m
	} else if l.marks != nil {
		delete(l.marks, c.slot)
	}
}

// nodeFigures are what other nodes are told of this one.
type nodeFigures struct {
	Stats Stats `json:"stats"`
}

// nodeSide is the server as other nodes see it; it implements fanout.Node.
type nodeSide struct{ s *Server }

func (n nodeSide) Figures() []byte {
	text, _ := json.Marshal(nodeFigures{Stats: n.s.Stats()})
	return text
}

func (n nodeSide) State() []byte {
	list := n.s.refusals.inForce(n.s.wall().Unix())
	if len(list) == 0 {
		return nil
	}
	text, _ := json.Marshal(list)
	return text
}

func (n nodeSide) Learn(state []byte) {
	var list []refusal
	if json.Unmarshal(state, &list) != nil {
		return
	}
	for _, r := range list {
		if err := n.s.refuse(r); err != nil {
			n.s.log.Warn("another node's refusal was not taken", "error", err)
			return
		}
	}
}

// obeyTimeout is how long this node's loops may take for another node's order, which waits two seconds for it.
const obeyTimeout = 1500 * time.Millisecond

func (n nodeSide) Obey(order []byte) []byte {
	var o Order
	if json.Unmarshal(order, &o) != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), obeyTimeout)
	defer cancel()
	outcome, err := n.s.obey(ctx, &o)
	if err != nil {
		n.s.log.Warn("another node's order was not carried out in full", "error", err)
	}
	text, _ := json.Marshal(outcome)
	return text
}

// Peer is another node of the bus.
type Peer struct {
	Name    string
	Stats   Stats
	Seen    time.Time
	Leaving bool
}

// Peers are the other nodes that were heard of within the last seconds, by name. Does not block.
func (s *Server) Peers() []Peer {
	control := s.router.Control()
	if control == nil {
		return nil
	}
	var list []Peer
	for _, p := range control.Peers() {
		var f nodeFigures
		_ = json.Unmarshal(p.Figures, &f) // of another version, perhaps: what it does not say is zero
		list = append(list, Peer{Name: p.Name, Stats: f.Stats, Seen: p.Seen, Leaving: p.Leaving})
	}
	return list
}

var _ fanout.Node = nodeSide{}
