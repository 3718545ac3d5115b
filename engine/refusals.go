package engine

import (
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/roost-ws/roost/protocol/handshake"
	"github.com/roost-ws/roost/protocol/proxyproto"
)

// maxRefusing is how many connections above the cap may be answered at once; the descriptor limit's reserve has room
// for them.
const maxRefusing = 64

// refusals are the answers to connections above the cap that are under way. The oldest one gives way to a new one, since
// it has had the most time: sockets that say nothing, or not all of it, must not keep a balancer's health check from
// its answer, or a full node would be taken for a dead one.
type refusals struct {
	mu       sync.Mutex
	underWay int
	patient  []*net.TCPConn // those that were not cut short, oldest first
}

// begin takes a place for c. False means that there is none: too many were cut short and have not ended yet.
func (r *refusals) begin(c *net.TCPConn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.underWay >= maxRefusing {
		if len(r.patient) == 0 || r.underWay >= 2*maxRefusing {
			return false
		}
		_ = r.patient[0].SetDeadline(time.Unix(1, 0)) // its goroutine is waiting to read, and ends at once
		r.patient = slices.Delete(r.patient, 0, 1)
	}
	r.underWay++
	r.patient = append(r.patient, c)
	return true
}

// end gives c's place back.
func (r *refusals) end(c *net.TCPConn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.underWay--
	if i := slices.Index(r.patient, c); i >= 0 {
		r.patient = slices.Delete(r.patient, i, i+1)
	}
}

// refuse tells a connection above the cap so, from a goroutine of its own. A balancer's health check is answered as
// ever.
func (a *acceptor) refuse(c *net.TCPConn) {
	_ = c.SetDeadline(time.Now().Add(time.Second)) // ahead of begin: from there on, another may cut it short
	if !a.refusals.begin(c) {
		a.refusedFull.Add(1)
		_ = c.SetLinger(0)
		c.Close()
		return
	}
	a.working.Go(func() {
		defer a.refusals.end(c)
		defer c.Close()
		_, _ = c.Write(a.answer(c))
		_ = c.CloseWrite()
		_, _ = io.CopyN(io.Discard, c, int64(a.server.limits.HeadBytes))
	})
}

// answer reads a request head as far as it comes and says what a node without room says to it.
func (a *acceptor) answer(c *net.TCPConn) []byte {
	var r handshake.Request
	var head []byte
	buf := make([]byte, 2048)
	proxied := a.server.proxyRequired
	if peer, ok := c.RemoteAddr().(*net.TCPAddr); proxied && (!ok || !a.server.trusted.Contains(peer.AddrPort().Addr())) {
		return nil // it could say that it is anybody, and speaks no HTTP yet
	}
	for {
		n, err := c.Read(buf)
		head = append(head, buf[:n]...)
		if proxied {
			_, n, fault := proxyproto.Parse(head, &a.server.proxyLimits)
			if fault != nil || n == 0 && err != nil {
				a.refusedFull.Add(1)
				return nil
			}
			if n == 0 {
				continue
			}
			head, proxied = head[n:], false
		}
		parsed, refusal := r.Parse(head, &a.server.headLimits)
		t := targetOf(r.Path)
		if refusal == handshake.HTTPVersion {
			t = oldCheck(head)
		}
		switch {
		case t == targetHealth || t == targetReady:
			status, body := a.server.check(t)
			return handshake.AppendText(nil, status, body)
		case refusal != handshake.Accepted:
			return appendRefusal(nil, refusal, head)
		case parsed > 0 || err != nil:
			a.refusedFull.Add(1)
			return handshake.Full.Append(nil, retryAfter)
		}
	}
}
