package engine

import (
	"bytes"
	"math/rand/v2"
	"unsafe"

	"github.com/panjf2000/gnet/v2"

	"github.com/roost-ws/roost/engine/auth"
	"github.com/roost-ws/roost/protocol"
	"github.com/roost-ws/roost/protocol/deflate"
	"github.com/roost-ws/roost/protocol/frame"
	"github.com/roost-ws/roost/protocol/handshake"
)

// retryAfter is what a refused client reads in Retry-After, in seconds.
const retryAfter = 5

// open begins a connection's life in its handshake phase.
func (c *Conn) open(l *Loop, gc gnet.Conn) {
	c.gc = gc
	gc.SetContext(c)
	c.slim(l)
	l.arriving.Add(1)
	c.phase = phaseHandshake
	c.lastSeen = l.tick
	c.nextPing = l.after(l.limits.HandshakeTimeout)
	if l.server.proxyRequired {
		c.expectProxy(l)
		return
	}
	if !l.server.trusted.Contains(c.address(l)) {
		l.server.admission.arrive(l, c) // sockets that never say anything count, too
	}
	l.wheel.Schedule(c.slot, c.nextPing)
}

// arrived notes that c is let in, refused or gone. It comes before the phase that says which.
func (c *Conn) arrived(l *Loop) {
	if c.phase.arriving() {
		l.arriving.Add(-1)
	}
}

// onTraffic is the one way in: what bytes mean depends on the phase.
func (c *Conn) onTraffic(l *Loop, p []byte) {
	c.lastSeen = l.tick
	l.asked = c.flags&flagPinged != 0
	c.flags &^= flagPinged
	l.count.receivedBytes += uint64(len(p))
	switch c.phase {
	case phaseProxy:
		c.introduce(l, p)
	case phaseHandshake:
		c.shake(l, p)
	case phaseAuthorizing:
		c.holdBack(l, p)
	case phaseOpen, phaseClosing:
		c.receive(l, p)
	}
}

// shake reads the request head, which may come in pieces.
func (c *Conn) shake(l *Loop, p []byte) {
	request, head := &l.request, p
	if a := c.act; a != nil && a.request != nil {
		a.head = append(l.bufs.Grow(a.head, len(p)), p...)
		request, head = a.request, a.head
	} else {
		request.Reset()
	}
	n, refusal := request.Parse(head, &l.server.headLimits)
	switch {
	case refusal == handshake.HTTPVersion && oldCheck(head) != targetNone:
		c.answerCheck(l, oldCheck(head))
	case refusal != handshake.Accepted:
		l.count.refused[refusal]++
		c.linger(l, CloseRefused, l.arena.commit(appendRefusal(l.arena.reserve(512), refusal, head)))
	case n > 0:
		c.upgrade(l, request, head, n)
	case request == &l.request:
		a := c.busy(l)
		a.head = append(l.bufs.Get(len(p)), p...)
		a.request = l.requests.get()
		*a.request = l.request
	}
}

// refuse answers a handshake with an HTTP status and closes.
func (c *Conn) refuse(l *Loop, refusal handshake.Refusal) {
	l.count.refused[refusal]++
	c.linger(l, CloseRefused, l.arena.commit(refusal.Append(l.arena.reserve(512), retryAfter)))
}

// appendRefusal is the answer to a request that was refused for what its head says.
func appendRefusal(dst []byte, refusal handshake.Refusal, head []byte) []byte {
	if bytes.HasPrefix(head, []byte("HEAD ")) {
		return refusal.AppendHead(dst, retryAfter)
	}
	return refusal.Append(dst, retryAfter)
}

// answerText answers a plain GET and closes.
func (c *Conn) answerText(l *Loop, status int, body string) {
	c.linger(l, CloseNormal, l.arena.commit(handshake.AppendText(l.arena.reserve(512), status, body)))
}

// target is what a path asks for.
type target uint8

const (
	targetNone target = iota
	targetV1
	targetRaw
	targetHealth
	targetReady
)

// rawPrefix is followed by the room's name and nothing else.
const rawPrefix = "/raw/"

func targetOf(path []byte) target {
	switch {
	case string(path) == "/ws" || string(path) == "/":
		return targetV1
	case len(path) > len(rawPrefix) && string(path[:len(rawPrefix)]) == rawPrefix:
		return targetRaw
	case string(path) == "/healthz":
		return targetHealth
	case string(path) == "/readyz":
		return targetReady
	}
	return targetNone
}

// oldCheck recognises a health check in HTTP/1.0, which is what HAProxy sends unless it is told otherwise. Nothing
// else may speak that version here.
func oldCheck(head []byte) target {
	line, _, _ := bytes.Cut(head, []byte("\r\n"))
	path, found := bytes.CutSuffix(line, []byte(" HTTP/1.0"))
	path, get := bytes.CutPrefix(path, []byte("GET "))
	if t := targetOf(path); found && get && (t == targetHealth || t == targetReady) {
		return t
	}
	return targetNone
}

// answerCheck answers a health check and closes.
func (c *Conn) answerCheck(l *Loop, t target) {
	status, body := l.server.check(t)
	c.answerText(l, status, body)
}

// upgrade decides about a whole request head, all that can be decided without the token. head is the head's n
// bytes and whatever came behind them.
func (c *Conn) upgrade(l *Loop, r *handshake.Request, head []byte, n int) {
	t := targetOf(r.Path)
	switch t {
	case targetNone:
		c.refuse(l, handshake.Path)
		return
	case targetHealth, targetReady:
		c.answerCheck(l, t)
		return
	}
	c.locate(l, r)
	offer, refusal := l.examine(c, r, t)
	if refusal != handshake.Accepted {
		c.refuse(l, refusal)
		return
	}
	if l.server.verifier == nil {
		c.admitUser(l, r, &offer, t, l.server.anonymous, head[n:])
		return
	}
	if offer.TokenFrom == handshake.NoToken {
		c.refuseToken(l, r, &offer)
		return
	}
	identity, known := l.server.verifier.Cached(offer.Token)
	if !known {
		if !l.server.verifier.Inline(offer.Token) {
			c.park(l, head, offer.Token)
			return
		}
		var err error
		if identity, err = l.server.verifier.Verify(offer.Token); err != nil {
			c.refuseUnverified(l, r, &offer, err)
			return
		}
	}
	c.admitUser(l, r, &offer, t, identity, head[n:])
}

// examine checks what does not need the token, cheapest and most public first.
func (l *Loop) examine(c *Conn, r *handshake.Request, t target) (handshake.Offer, handshake.Refusal) {
	s := l.server
	if s.state.Load() != stateServing {
		return handshake.Offer{}, handshake.Draining
	}
	if refusal := r.CheckUpgrade(); refusal != handshake.Accepted {
		return handshake.Offer{}, refusal
	}
	if !s.origins.AllowsRequest(r) {
		return handshake.Offer{}, handshake.Origin
	}
	if t == targetRaw && !protocol.CheckRoom(r.Path[len(rawPrefix):], l.limits.RoomBytes) {
		return handshake.Offer{}, handshake.Path
	}
	offer, refusal := r.Offer(s.queryToken)
	if refusal != handshake.Accepted {
		return offer, refusal
	}
	return offer, s.admission.handshake(c.address(l), l.now)
}

// refuseToken answers a missing or bad token: with 401, or, so that a browser can see why, with an upgrade and a
// close frame.
func (c *Conn) refuseToken(l *Loop, r *handshake.Request, offer *handshake.Offer) {
	if !l.server.refuseByClose {
		c.refuse(l, handshake.Token)
		return
	}
	l.count.refused[handshake.Token]++
	b := handshake.AppendSwitching(l.arena.reserve(1024), r.Key, offer.Echo, nil)
	b = frame.AppendClose(b, CloseTokenRefused.Code(), closeReasons[CloseTokenRefused].text)
	c.linger(l, CloseTokenRefused, l.arena.commit(b))
}

// admitUser opens the connection of a known user: limits and rooms first, then 101 and everything after it.
func (c *Conn) admitUser(l *Loop, r *handshake.Request, offer *handshake.Offer, t target, who auth.Identity, rest []byte) {
	if refusal := l.checkRooms(r, t, who.Rights); refusal != handshake.Accepted {
		c.refuse(l, refusal)
		return
	}
	// Asked here, on the loop where the connection can be found and closed from now on: a revocation that comes later
	// finds it.
	if l.server.revocations.Refused(who) {
		l.countTokenRefusal(auth.RefusedRevoked)
		c.refuseToken(l, r, offer)
		return
	}
	extensions, verdict := l.negotiate(r)
	if verdict == deflate.Malformed {
		c.refuse(l, handshake.Malformed)
		return
	}
	if !l.server.admission.enter(who.User) {
		c.refuse(l, handshake.UserLimit)
		return
	}
	c.user, c.rights = who.User, who.Rights
	l.mark(c, who)
	c.expires = l.server.deadlineOf(who.Expires)
	c.arrived(l)
	c.phase = phaseOpen
	l.opened++
	if l.server.presenceShared {
		l.server.roll.enter("", c.user, false)
	}
	c.dialect = dialectOf(t, verdict == deflate.Accepted)
	l.count.handshakes++
	if offer.EchoesToken() {
		l.count.tokensEchoed++
	}
	if attempt, n := r.QueryValue("attempt"); n > 0 && isPositive(attempt) || l.server.recent.saw(c.user, l.unix) {
		l.count.reconnects++
	}
	c.control(l, l.arena.commit(handshake.AppendSwitching(l.arena.reserve(1024), r.Key, offer.Echo, extensions)))
	interval := ticks(l.server.heartbeat)
	c.nextPing = l.beatAt(l.tick + interval/2 + rand.Uint32N(interval/2+1))
	l.ages.begin(c.slot, l.tick, ticks(l.limits.MaxAge))
	c.arm(l)
	if t == targetRaw {
		l.joinAtOpen(c, r.Path[len(rawPrefix):])
	} else {
		l.welcome(c, r)
	}
	if len(rest) > 0 && c.phase == phaseOpen {
		c.receive(l, rest)
	}
	c.releaseHead(l)
}

// isPositive reports whether a query value is a number above zero.
func isPositive(digits []byte) bool {
	nonZero := false
	for _, d := range digits {
		if d < '0' || d > '9' {
			return false
		}
		nonZero = nonZero || d != '0'
	}
	return nonZero
}

// checkRooms refuses a handshake that asks for a room it may not have.
func (l *Loop) checkRooms(r *handshake.Request, t target, rights *auth.Rights) handshake.Refusal {
	if t == targetRaw {
		if !rights.CanJoin(r.Path[len(rawPrefix):]) {
			return handshake.Room
		}
		return handshake.Accepted
	}
	n := 0
	for room := range r.Rooms(nil) {
		n++
		switch {
		case n > l.limits.RoomsPerConnection, !protocol.CheckRoom(room, l.limits.RoomBytes):
			return handshake.Malformed
		case !rights.CanJoin(room):
			return handshake.Room
		}
	}
	return handshake.Accepted
}

// welcome joins the rooms of the request and greets.
func (l *Loop) welcome(c *Conn, r *handshake.Request) {
	rooms := l.roomNames[:0]
	for name := range r.Rooms(nil) {
		if room := l.joinAtOpen(c, name); room != nil && room.ready {
			rooms = append(rooms, room.name)
		}
	}
	l.roomNames = rooms
	l.idBuf = l.server.appendConnectionID(l.idBuf[:0], c.handle(l))
	l.tell(c, protocol.Push{
		Type:       protocol.Welcome,
		Connection: unsafe.String(unsafe.SliceData(l.idBuf), len(l.idBuf)), // read before the next one is written
		User:       c.user,
		Node:       l.server.node,
		Heartbeat:  int(l.server.heartbeat.Seconds()),
		Expires:    c.tokenEnd(l),
		Rooms:      rooms,
	})
}

// joinAtOpen makes c a member of a room that the request named. If the broker has yet to confirm it, the client
// is sent `joined` then; if the room can't be had, it reads so at once.
func (l *Loop) joinAtOpen(c *Conn, name []byte) *Room {
	r, err := l.room(c.dialect, name)
	if err != nil {
		l.fail(c, nil, protocol.Unavailable, "a room can't be joined now", 0)
		return nil
	}
	if c.memberOf(r) != nil {
		return r
	}
	l.join(c, r)
	switch {
	case !r.ready:
		r.waiting = append(r.waiting, joinWait{handle: c.handle(l), atOpen: true})
		l.quieten(c, r)
	case r.keeps():
		l.place(c, r, joinWait{atOpen: true})
	}
	return r
}

// releaseHead gives back what a handshake in pieces, or a parked one, held.
func (c *Conn) releaseHead(l *Loop) {
	a := c.act
	if a == nil {
		return
	}
	if a.head != nil {
		l.bufs.Put(a.head)
		a.head = nil
	}
	if a.request != nil {
		a.request.Reset()
		l.requests.put(a.request)
		a.request = nil
	}
}
