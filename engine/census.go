package engine

import (
	"context"

	"github.com/gobwas/ws"

	"github.com/roost-ws/roost/fanout"
)

// A census asks the loops something that they do not keep ready: the operator's port pays for it with a walk over
// connections, in slices, so that memory a connection is not spent on indexes that are hardly ever read.

// censusSlice is how many slots a loop looks at in one turn for a census: some tens of microseconds.
const censusSlice = 4096

// each runs f on every loop at once and waits for all, or for the context. Blocks; not for a loop's goroutine.
func (s *Server) each(ctx context.Context, f func(*Loop, func())) error {
	done := make(chan struct{}, len(s.loops))
	for _, l := range s.loops {
		l.mailbox.post(letter{kind: letterCall, call: func(l *Loop) { f(l, func() { done <- struct{}{} }) }})
	}
	for range s.loops {
		select {
		case <-done:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.quit:
			return fanout.ErrClosed
		}
	}
	return nil
}

// scan shows visit every open connection of l, a slice a turn, and calls done after the last.
func (l *Loop) scan(from uint32, visit func(*Conn), done func()) {
	to := min(from+censusSlice, l.conns.slots())
	for slot := from; slot < to; slot++ {
		if c := l.conns.at(slot); c.phase == phaseOpen {
			visit(c)
		}
	}
	if to == l.conns.slots() {
		done()
		return
	}
	l.mailbox.post(letter{kind: letterCall, call: func(l *Loop) { l.scan(to, visit, done) }})
}

// DisconnectConnection closes the connection of that id, if it is this node's. Blocks.
func (s *Server) DisconnectConnection(ctx context.Context, id string, code int, reason string) (bool, error) {
	h, ok := s.parseConnectionID(id)
	if !ok {
		return false, nil
	}
	found := make(chan bool, 1)
	s.loops[h.loop()].mailbox.post(letter{kind: letterCall, call: func(l *Loop) {
		c := l.conns.find(h)
		if c == nil || c.phase != phaseOpen {
			found <- false
			return
		}
		c.closeByBackend(l, code, reason)
		found <- true
	}})
	select {
	case ok := <-found:
		return ok, nil
	case <-ctx.Done():
		return false, ctx.Err()
	case <-s.quit:
		return false, fanout.ErrClosed
	}
}

// closeByBackend closes with a code and text of the backend's choice, 4409 unless it names one.
func (c *Conn) closeByBackend(l *Loop, code int, reason string) {
	if code == 0 {
		code = int(CloseByBackend.Code())
	}
	if reason == "" {
		reason = closeReasons[CloseByBackend].text
	}
	c.closeWith(l, CloseByBackend, ws.StatusCode(code), reason)
}

// ConnectionInfo is one connection as the operator's port shows it.
type ConnectionInfo struct {
	ID      string
	Address string
	Rooms   []string
	Expires int64 // Unix seconds, 0 = never
}

// User lists a user's connections on this node that come after the one with the given id, at most limit of them,
// and says how many there are in all. An id that is no connection's of this node begins at the first. Blocks.
func (s *Server) User(ctx context.Context, user, after string, limit int) (list []ConnectionInfo, total int, err error) {
	from, _ := s.parseConnectionID(after)
	lists := make([][]ConnectionInfo, len(s.loops))
	totals := make([]int, len(s.loops))
	err = s.each(ctx, func(l *Loop, done func()) {
		l.scan(0, func(c *Conn) {
			if c.user != user {
				return
			}
			totals[l.index]++
			if len(lists[l.index]) < limit && c.handle(l) > from {
				lists[l.index] = append(lists[l.index], c.info(l))
			}
		}, done)
	})
	if err != nil {
		return nil, 0, err
	}
	for i := range lists { // handles rise with the loop and, within it, with the slot
		list = append(list, lists[i]...)
		total += totals[i]
	}
	return list[:min(len(list), limit)], total, nil
}

func (c *Conn) info(l *Loop) ConnectionInfo {
	info := ConnectionInfo{ID: l.server.connectionID(c.handle(l)), Address: c.address(l).String(), Expires: c.tokenEnd(l)}
	for m := range c.memberships() {
		info.Rooms = append(info.Rooms, l.roomTable[m.room].name)
	}
	return info
}

// RoomInfo is one room and how many members it has on this node.
type RoomInfo struct {
	Name    string
	Members int
}

// Rooms lists this node's rooms whose names come after the given one, sorted, at most limit. Blocks.
func (s *Server) Rooms(ctx context.Context, after string, limit int) ([]RoomInfo, error) {
	names := s.router.RoomNames(after, limit)
	counts := make([][]int, len(s.loops))
	err := s.each(ctx, func(l *Loop, done func()) {
		counts[l.index] = make([]int, len(names))
		for i, name := range names {
			for d := range l.rooms {
				if r := l.rooms[d][name]; r != nil {
					counts[l.index][i] += len(r.members)
				}
			}
		}
		done()
	})
	if err != nil {
		return nil, err
	}
	rooms := make([]RoomInfo, len(names))
	for i, name := range names {
		rooms[i].Name = name
		for _, c := range counts {
			rooms[i].Members += c[i]
		}
	}
	return rooms, nil
}

// Publish sends a backend's publication the same way as a client's. done hears of it on any goroutine. data is
// the caller's again when Publish returns.
func (s *Server) Publish(room string, data []byte, kind fanout.Kind, done fanout.Completion) {
	s.backendPublications.Add(1)
	s.router.Publish(&fanout.Publication{Room: room, Data: data, Kind: kind, Time: s.wall().UnixMilli(), Node: s.node}, done)
}

// Stats are the figures of the stats route, as of each loop's last tick.
type Stats struct {
	Node           string
	Connections    int
	MaxConnections int
	Rooms          int
	Members        int
	Loops          int
	Draining       bool

	Handshakes, Reconnects          uint64
	Received, ReceivedBytes         uint64
	Sent, SentBytes                 uint64
	Publications, Deliveries        uint64
	DeliveriesDropped, Gaps         uint64
	OutboundBytes                   uint64
	HeapPer, ResidentPer, KernelPer float64 // bytes a connection
}

// Stats gathers them. Any goroutine; asks no loop.
func (s *Server) Stats() Stats {
	t := s.totals()
	st := Stats{
		Node: s.node, Connections: s.Connections(), MaxConnections: s.limits.Connections, Rooms: s.router.Rooms(),
		Members: int(t.members), Loops: len(s.loops), Draining: s.Draining(),
		Handshakes: t.handshakes, Reconnects: t.reconnects, Received: t.received, ReceivedBytes: t.receivedBytes,
		Sent: t.sent + t.deliveries, SentBytes: t.sentBytes, Deliveries: t.deliveries, Gaps: t.gaps, OutboundBytes: t.held,
	}
	for _, n := range t.publications {
		st.Publications += n
	}
	for _, n := range t.dropped {
		st.DeliveriesDropped += n
	}
	st.HeapPer, st.ResidentPer, st.KernelPer = s.MemoryPerConnection()
	return st
}
