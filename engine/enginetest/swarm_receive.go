//go:build linux

package enginetest

import (
	"bytes"
	"strconv"
	"time"

	"github.com/gobwas/ws"
)

// This file takes apart what a connection of a swarm has read: the answer, frames, messages.

// consume takes an answer and frames from the front of data and returns how many bytes it took.
func (l *loop) consume(c *slot, data []byte) (used int) {
	if c.state == shaking || c.state == silent {
		if used = l.answered(c, data); used == 0 || c.fd < 0 {
			return used
		}
	}
	echoed := 0
	for c.fd >= 0 && used < len(data) {
		f, n, err := parseFrame(data[used:])
		if n == 0 && err == nil {
			break
		}
		used += n
		if err == nil {
			err = l.frame(c, f, &echoed)
		}
		if err != nil {
			if l.stats.Violations++; l.stats.Violation == "" {
				l.stats.Violation = err.Error()
			}
			l.finish(c, EndLocal)
		}
	}
	if echoed > 0 && c.fd >= 0 {
		l.echoAgain(c, echoed)
	}
	return used
}

// answered reads the answer to the request; it returns 0 while that is incomplete.
func (l *loop) answered(c *slot, data []byte) int {
	a, n, err := parseAnswer(data)
	switch {
	case err != nil:
		l.fail(c, "malformed answer")
		return 0
	case n == 0:
		return 0
	case a.Status != 101 || c.state == silent:
		c.status, c.retry = uint16(a.Status), retryAfter(a)
		l.finish(c, EndLocal)
		return n
	case len(a.Header.Values("Sec-WebSocket-Accept")) != 1:
		l.fail(c, "malformed answer")
		return 0
	}
	l.settled()
	c.state, c.openedAt = opened, time.Now().UnixNano()
	l.stats.Open++
	l.stats.Opened++
	if l.swarm.cfg.Mode != WellBehaved {
		l.watch(c)
	}
	if l.swarm.cfg.AfterOpen != nil {
		for _, frame := range l.swarm.cfg.AfterOpen(l.number(c)) {
			l.sendFrame(c, frame)
		}
	}
	l.beginFlood(c)
	l.leave(c)
	return n
}

// frame handles one frame of an open connection.
func (l *loop) frame(c *slot, f Frame, echoed *int) error {
	if c.seq == nil && (f.Op == ws.OpClose || f.Op == ws.OpContinuation || !f.Fin) {
		c.seq = &sequence{extended: l.swarm.cfg.Extended}
	}
	// Most connections never see a fragment and keep no sequence: each frame stands for itself.
	seq := c.seq
	if seq == nil {
		seq = &sequence{extended: l.swarm.cfg.Extended}
	}
	op, payload, whole, err := seq.add(f)
	if err != nil {
		return err
	}
	switch {
	case f.Op == ws.OpPing:
		l.stats.Pings++
		if !l.swarm.cfg.NoPong && !c.sentClose && len(l.swarm.cfg.Flood) == 0 {
			l.control(c, ws.OpPong, f.Payload)
		}
	case f.Op == ws.OpPong:
		l.stats.Pongs++
	case f.Op == ws.OpClose:
		c.code, c.closedAt = uint16(f.CloseCode()), time.Now().UnixNano()
		if len(l.swarm.cfg.Flood) > 0 {
			l.reset(c) // its own stream may stand in the middle of a frame
		} else if !l.swarm.cfg.NoCloseReply && !c.sentClose {
			c.sentClose = true
			l.control(c, ws.OpClose, f.Payload)
		}
	case whole:
		l.message(c, op, payload, echoed)
	}
	return nil
}

// message counts one data message.
func (l *loop) message(c *slot, op ws.OpCode, payload []byte, echoed *int) {
	c.messages++
	l.stats.Messages++
	l.stats.Bytes += int64(len(payload))
	for k, mark := range l.marks {
		if bytes.Contains(payload, mark) {
			l.marked[k]++
		}
	}
	if len(l.stamp) > 0 {
		if at := bytes.Index(payload, l.stamp); at >= 0 {
			l.delays.Add(time.Since(time.Unix(0, leadingInt(payload[at+len(l.stamp):]))))
		}
	}
	if l.echo != nil && l.echo.match(payload) {
		*echoed++
	}
	if l.swarm.cfg.OnMessage != nil {
		l.swarm.cfg.OnMessage(l.number(c), op, payload)
	}
}

// leadingInt is the decimal number at the front of b, 0 without one.
func leadingInt(b []byte) int64 {
	end := 0
	for end < len(b) && b[end] >= '0' && b[end] <= '9' {
		end++
	}
	n, _ := strconv.ParseInt(string(b[:end]), 10, 64)
	return n
}
