package engine

import (
	"errors"
	"runtime"
	"sync"
	"time"

	"github.com/roost-ws/roost/engine/auth"
	"github.com/roost-ws/roost/protocol"
	"github.com/roost-ws/roost/protocol/handshake"
)

// authorizer checks tokens whose signatures take too long for a loop. Connections wait for it parked: their
// phase is authorizing, their deadline runs on, and the answer finds them by their handle or not at all.
type authorizer struct {
	verifier *auth.Verifier
	jobs     chan authorizeJob
	quit     chan struct{}
	done     sync.WaitGroup
}

type authorizeJob struct {
	loop   *Loop
	handle handle
	id     []byte // of the refresh command; nil in a handshake
	token  []byte
}

func newAuthorizer(v *auth.Verifier, workers, queue int) *authorizer {
	a := &authorizer{verifier: v, jobs: make(chan authorizeJob, queue), quit: make(chan struct{})}
	for range workers {
		a.done.Go(a.work)
	}
	return a
}

// verifySlice is how long a worker checks tokens before it lets others run. The scheduler would let it go on for ten
// milliseconds, and a loop that comes back from the kernel would wait for a processor as long as that. A worker that
// gave way after each token would get next to nothing beside a loop that is never idle.
const verifySlice = time.Millisecond

func (a *authorizer) work() {
	began := time.Now()
	for {
		select {
		case <-a.quit:
			return
		case j := <-a.jobs:
			a.check(j)
		}
		if time.Since(began) > verifySlice {
			runtime.Gosched()
			began = time.Now()
		}
	}
}

// check sends a verdict to the loop that waits for it, or puts the question off until keys have come that may change
// it. What waits for keys is bounded by them, and by the handshake's deadline.
func (a *authorizer) check(j authorizeJob) {
	d := a.verifier.Check(j.token)
	if d.Refusal != 0 && d.Await(func() { a.askAgain(j) }) {
		return
	}
	j.answer(d.Identity, d.Refusal)
}

// askAgain queues a token whose keys may have come. Any goroutine; never blocks.
func (a *authorizer) askAgain(j authorizeJob) {
	select {
	case a.jobs <- j:
	default:
		j.answer(auth.Identity{}, auth.RefusedNoKeys)
	}
}

func (j *authorizeJob) answer(who auth.Identity, refusal auth.Refusal) {
	x := letter{kind: letterAuthorized, handle: j.handle, identity: who, id: j.id}
	if refusal != 0 {
		x.err = refusal
	}
	j.loop.mailbox.post(x)
}

// ask queues a token, which is copied. False means that too many wait already. Never blocks.
func (a *authorizer) ask(j authorizeJob, token []byte) bool {
	j.token = append([]byte(nil), token...)
	select {
	case a.jobs <- j:
		return true
	default:
		return false
	}
}

// close ends the workers. Loops may still ask: what they ask for then is never answered.
func (a *authorizer) close() {
	close(a.quit)
	a.done.Wait()
}

// park sends a handshake's token to the pool and keeps the head, which is read again when the answer comes.
func (c *Conn) park(l *Loop, head, token []byte) {
	if !l.server.authorizer.ask(authorizeJob{loop: l, handle: c.handle(l)}, token) {
		c.refuse(l, handshake.AuthBusy)
		return
	}
	c.phase = phaseAuthorizing
	a := c.busy(l)
	if a.head == nil {
		a.head = append(l.bufs.Get(len(head)), head...)
	}
}

// holdBack keeps what a client sends before it was answered. A well-behaved one sends nothing.
func (c *Conn) holdBack(l *Loop, p []byte) {
	a := c.act
	if len(a.head)+len(p) > l.limits.HeadBytes+l.limits.MessageBytes {
		c.refuse(l, handshake.HeadersTooLarge)
		return
	}
	a.head = append(l.bufs.Grow(a.head, len(p)), p...)
}

// authorized brings a verdict of the pool to the connection that waited for it.
func (l *Loop) authorized(x *letter) {
	c := l.conns.find(x.handle)
	if c == nil {
		return
	}
	switch c.phase {
	case phaseAuthorizing:
		c.unpark(l, x)
	case phaseOpen:
		l.refreshed(c, x.id, x.identity, x.err)
	}
}

// unpark goes on with a parked handshake. Reading the head again costs less than keeping what it said.
func (c *Conn) unpark(l *Loop, x *letter) {
	c.phase = phaseHandshake
	r := &l.request
	r.Reset()
	head := c.act.head
	n, refusal := r.Parse(head, &l.server.headLimits)
	if n == 0 {
		c.refuse(l, refusal)
		return
	}
	offer, refusal := r.Offer(l.server.queryToken)
	switch {
	case refusal != handshake.Accepted:
		c.refuse(l, refusal)
	case l.server.state.Load() != stateServing:
		c.refuse(l, handshake.Draining)
	case x.err != nil:
		c.refuseUnverified(l, r, &offer, x.err)
	default:
		c.admitUser(l, r, &offer, targetOf(r.Path), x.identity, head[n:])
	}
}

// refuseUnverified answers a token that the verifier refused: one that could not be judged may be good, and its
// client comes back with it.
func (c *Conn) refuseUnverified(l *Loop, r *handshake.Request, offer *handshake.Offer, err error) {
	l.countTokenRefusal(err)
	if unjudged(err) {
		c.refuse(l, handshake.AuthUnavailable)
		return
	}
	c.refuseToken(l, r, offer)
}

// unjudged reports whether a refusal says nothing about the token.
func unjudged(err error) bool {
	var refusal auth.Refusal
	return errors.As(err, &refusal) && refusal.Unavailable()
}

// countTokenRefusal counts why a token was refused, by the verifier's closed list.
func (l *Loop) countTokenRefusal(err error) {
	var refusal auth.Refusal
	if errors.As(err, &refusal) && int(refusal) < len(l.count.tokensRefused) {
		l.count.tokensRefused[refusal]++
	}
}

// refresh takes a new token for an open connection.
func (l *Loop) refresh(c *Conn, cmd *protocol.Command) {
	v := l.server.verifier
	if v == nil {
		l.fail(c, cmd.ID, protocol.BadRequest, "this server takes no tokens", 0)
		return
	}
	identity, known := v.Cached(cmd.Token)
	if known {
		l.refreshed(c, cmd.ID, identity, nil)
		return
	}
	if v.Inline(cmd.Token) {
		identity, err := v.Verify(cmd.Token)
		l.refreshed(c, cmd.ID, identity, err)
		return
	}
	id := append([]byte(nil), cmd.ID...)
	if !l.server.authorizer.ask(authorizeJob{loop: l, handle: c.handle(l), id: id}, cmd.Token) {
		l.fail(c, cmd.ID, protocol.Unavailable, "too many tokens are being checked", 1000)
	}
}

// refreshed puts a new token's rights in place of the old one's. Another user's token ends the connection; a
// bad one leaves it as it was, with the old token's end.
func (l *Loop) refreshed(c *Conn, id []byte, who auth.Identity, err error) {
	if err != nil {
		l.countTokenRefusal(err)
		if unjudged(err) {
			l.fail(c, id, protocol.Unavailable, "tokens can't be checked now", 1000)
			return
		}
		l.refuseCommand(c, id, protocol.Forbidden, "the token is not valid", CloseTooManyErrors)
		return
	}
	revoked := l.server.revocations.Refused(who)
	if revoked {
		l.countTokenRefusal(auth.RefusedRevoked)
	}
	if revoked || who.User != c.user {
		c.close(l, CloseTokenRefused)
		return
	}
	c.rights = who.Rights
	l.mark(c, who)
	c.expires = l.server.deadlineOf(who.Expires)
	c.flags &^= flagExpiring
	l.leaveForbidden(c)
	c.arm(l)
	l.answerTo(c, id, protocol.Reply{Type: protocol.Refreshed, Expires: who.Expires})
}

// leaveForbidden ends the memberships that c's rights no longer cover, and says so.
func (l *Loop) leaveForbidden(c *Conn) {
	var lost []*Room
	for m := range c.memberships() {
		if r := l.roomTable[m.room]; !c.rights.CanJoinString(r.name) {
			lost = append(lost, r)
		}
	}
	for _, r := range lost {
		name := r.name
		l.leave(c, r)
		l.reply(c, protocol.Reply{Type: protocol.Left, Room: name})
	}
}
