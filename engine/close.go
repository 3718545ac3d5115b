package engine

import (
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"github.com/roost-ws/roost/protocol/frame"
)

// CloseReason is why a connection ended. The value is log word, metric label and what the client is told.
type CloseReason uint8

// Every way a connection can end. The first block has close codes of its own, the second ends without a
// close frame because there is nobody to read it.
const (
	closeNone CloseReason = iota
	CloseNormal
	CloseDraining
	CloseMaxAge
	CloseProtocol
	CloseDataKind
	CloseInvalidText
	ClosePolicy
	CloseTooBig
	CloseInternal
	CloseSlowConsumer
	CloseStalled
	CloseOverload
	CloseTokenRefused
	CloseTokenExpired
	CloseForbidden
	CloseNoPong
	CloseSlowMessage
	CloseReplaced
	CloseByBackend
	CloseRateLimited
	CloseTooManyErrors

	CloseRefused
	CloseProxyUntrusted
	CloseProxyHeader
	CloseProxyTimeout
	CloseHandshakeTimeout
	CloseHandshakeGone
	ClosePeerGone
	CloseStopped
	numCloseReasons
)

var closeReasons = [numCloseReasons]struct {
	word string
	code ws.StatusCode
	text string
}{
	closeNone:             {"none", 0, ""},
	CloseNormal:           {"normal", ws.StatusNormalClosure, ""},
	CloseDraining:         {"draining", ws.StatusGoingAway, "server is going away"},
	CloseMaxAge:           {"max_age", ws.StatusGoingAway, "time to reconnect"},
	CloseProtocol:         {"protocol", ws.StatusProtocolError, "protocol error"},
	CloseDataKind:         {"data_kind", ws.StatusUnsupportedData, "text messages only"},
	CloseInvalidText:      {"invalid_text", ws.StatusInvalidFramePayloadData, "text is not UTF-8"},
	ClosePolicy:           {"policy", ws.StatusPolicyViolation, "policy violation"},
	CloseTooBig:           {"too_big", ws.StatusMessageTooBig, "message is too big"},
	CloseInternal:         {"internal", ws.StatusInternalServerError, "internal error"},
	CloseSlowConsumer:     {"slow_consumer", 1013, "too slow: more waits than is allowed"},
	CloseStalled:          {"stalled", 1013, "too slow: no progress"},
	CloseOverload:         {"overload", 1013, "overloaded"},
	CloseTokenRefused:     {"token_refused", 4401, "token is not valid"},
	CloseTokenExpired:     {"token_expired", 4401, "token has expired"},
	CloseForbidden:        {"forbidden", 4403, "forbidden"},
	CloseNoPong:           {"no_pong", 4408, "no sign of life"},
	CloseSlowMessage:      {"slow_message", 4408, "message took too long"},
	CloseReplaced:         {"replaced", 4409, "replaced"},
	CloseByBackend:        {"backend", 4409, "disconnected"},
	CloseRateLimited:      {"rate_limited", 4429, "kept exceeding a rate"},
	CloseTooManyErrors:    {"too_many_errors", ws.StatusPolicyViolation, "too many errors"},
	CloseRefused:          {"refused", 0, ""},
	CloseProxyUntrusted:   {"proxy_untrusted", 0, ""},
	CloseProxyHeader:      {"proxy_header", 0, ""},
	CloseProxyTimeout:     {"proxy_timeout", 0, ""},
	CloseHandshakeTimeout: {"handshake_timeout", 0, ""},
	CloseHandshakeGone:    {"handshake_gone", 0, ""},
	ClosePeerGone:         {"peer_gone", 0, ""},
	CloseStopped:          {"stopped", 0, ""},
}

// String is the reason's word in logs and metrics.
func (r CloseReason) String() string {
	if r < numCloseReasons {
		return closeReasons[r].word
	}
	return "unknown"
}

// Code is the status code that the client reads, 0 for a reason that is never told.
func (r CloseReason) Code() ws.StatusCode { return closeReasons[r].code }

// frameReason finds the close reason of a violation that the framing found.
func frameReason(e frame.Error) CloseReason {
	switch e.Code() {
	case ws.StatusInvalidFramePayloadData:
		return CloseInvalidText
	case ws.StatusMessageTooBig:
		return CloseTooBig
	case ws.StatusPolicyViolation:
		return ClosePolicy
	}
	return CloseProtocol
}

// close begins the end of an open connection: it leaves its rooms, sends a close frame and waits for the
// peer's for at most Limits.CloseTimeout. Later calls change nothing: the first reason is the one counted.
func (c *Conn) close(l *Loop, reason CloseReason) {
	c.closeWith(l, reason, reason.Code(), closeReasons[reason].text)
}

// closeWith is close with another code or text than the reason's own, for orders of the backend.
func (c *Conn) closeWith(l *Loop, reason CloseReason, code ws.StatusCode, text string) {
	l.own.check()
	if c.phase != phaseOpen {
		return
	}
	c.retire(l, reason)
	c.phase = phaseClosing
	c.control(l, l.arena.commit(frame.AppendClose(l.arena.reserve(controlFrameBytes), code, text)))
	l.wheel.Schedule(c.slot, l.after(l.limits.CloseTimeout))
}

// closeUnread is close for a stream that can't be read on: there is no way back into step with it, so the peer's close
// frame is not waited for, only its end. A socket closed over unread input would reset the connection and destroy our
// close frame on its way.
func (c *Conn) closeUnread(l *Loop, reason CloseReason) {
	c.close(l, reason)
	c.phase = phaseLinger
	c.flags |= flagShutWrite
	l.wheel.Schedule(c.slot, l.after(time.Second))
}

// answerClose ends a connection whose peer sent a close frame: the same code goes back, and the socket is
// closed as soon as it is written (RFC 6455 section 7.1.1 wants the server to close first).
func (c *Conn) answerClose(l *Loop, code ws.StatusCode) {
	if c.phase == phaseOpen {
		c.retire(l, CloseNormal)
		c.phase = phaseClosing
		c.control(l, l.arena.commit(frame.AppendClose(l.arena.reserve(controlFrameBytes), code, "")))
		l.wheel.Schedule(c.slot, l.after(l.limits.CloseTimeout))
	}
	c.flags |= flagHangUp
	l.markDirty(c)
}

// retire takes c out of everything that speaks to open connections and counts its reason.
func (c *Conn) retire(l *Loop, reason CloseReason) {
	l.stir()
	l.opened--
	c.reason = reason
	c.forgetPostponed(l)
	l.leaveAll(c)
	if l.server.presenceShared {
		l.server.roll.leave("", c.user, false)
	}
	l.count.closes[reason]++
	l.server.admission.leave(c, l)
}

// linger answers a refused handshake and holds the socket open until the client has read it, or a second:
// closing with unread input would reset the connection and destroy the answer on its way.
func (c *Conn) linger(l *Loop, reason CloseReason, answer []byte) {
	c.reason = reason
	c.arrived(l)
	c.phase = phaseLinger
	c.releaseHead(l)
	l.count.closes[reason]++
	c.control(l, answer)
	c.flags |= flagShutWrite
	l.wheel.Schedule(c.slot, l.after(time.Second))
}

// hangUp ends the socket at the end of this turn. With reset, what the peer has not read is thrown away and
// the kernel keeps nothing of a peer that may be gone.
func (c *Conn) hangUp(l *Loop, reset bool) {
	if c.phase == phaseDead {
		return
	}
	if reset {
		_ = unix.SetsockoptLinger(c.gc.Fd(), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	}
	c.arrived(l)
	c.phase = phaseDead
	l.graves = append(l.graves, c.slot)
}

// bury closes the sockets of this turn's dead. The current connection's is closed by gnet itself, when
// OnTraffic returns.
func (l *Loop) bury(current *Conn) {
	for len(l.graves) > 0 {
		slot := l.graves[len(l.graves)-1]
		l.graves = l.graves[:len(l.graves)-1]
		if c := l.conns.at(slot); c.phase == phaseDead && c != current {
			_ = l.events.Close(c.gc)
		}
	}
}

// gone frees c after its socket. The reason, if nobody gave one, is that the peer went away.
func (c *Conn) gone(l *Loop) {
	if c.phase == phaseFree {
		return
	}
	switch c.phase {
	case phaseOpen:
		reason := ClosePeerGone
		if l.server.stopping.Load() {
			reason = CloseStopped
		}
		c.retire(l, reason)
	case phaseProxy, phaseHandshake, phaseAuthorizing:
		c.reason = CloseHandshakeGone
		l.count.closes[CloseHandshakeGone]++
	}
	c.arrived(l)
	l.wheel.Cancel(c.slot)
	c.dropActivity(l)
	l.server.admission.depart(l, c)
	delete(l.far, c.slot)
	delete(l.marks, c.slot)
	l.population.Add(-1)
	l.conns.release(c)
}

// dropActivity gives back whatever c holds.
func (c *Conn) dropActivity(l *Loop) {
	a := c.act
	if a == nil {
		return
	}
	c.releaseHead(l)
	if a.in != nil {
		a.in.Release(l.bufs)
		l.assemblers.put(a.in)
	}
	if a.slow != nil {
		l.held -= int64(a.slow.counted)
	}
	c.act = nil
	l.putActivity(a)
}
