package engine

import (
	"time"

	"github.com/roost-ws/roost/protocol"
)

const (
	// smallRoom is the most members that are served within the turn that published; each costs a write of
	// some microseconds, so this delays that turn by less than a tenth of a millisecond.
	smallRoom = 8
	// smallTurn bounds the writes of all small rooms of one turn.
	smallTurn = 64
	// A slice serves this many members: adapted so that it takes about sliceTime, writes included.
	minSlice, maxSlice = 16, 256
	sliceTime          = time.Millisecond
	// maxWindow is how long a busy room may gather before its next walk. It saves writes when each batch
	// holds several publications anyway, and is nothing when they come one by one.
	minWindow, maxWindow = time.Millisecond, 10 * time.Millisecond
)

// walk is one room's stream on its way to the members: a batch that flies, served to one member after the
// other over as many turns as that takes, and a batch that gathers meanwhile and flies next. Publications that
// come during a walk share the next one, so the busier a loop is, the more of them each write carries.
type walk struct {
	flying, gathering batch
	next              int  // members below this index may still have to be served
	walking           bool // flying is on its way
	lost              bool // something did not fit into gathering: a gap has to be told
	window            time.Duration
	started           int64
	notBefore         int64
}

// batch is frames one behind the other. Its buffer comes from the loop's pool.
type batch struct {
	bytes  []byte
	ends   []uint32 // where each publication ends
	since  int64    // when the first of them was published
	except map[uint32][]span
}

// span is a part of a batch that one member does not get: what was gathered before it joined, or its own
// publication when it asked for no echo.
type span struct{ from, to int }

func (b *batch) excuse(slot uint32, from, to int) {
	if to <= from {
		return
	}
	if b.except == nil {
		b.except = make(map[uint32][]span)
	}
	b.except[slot] = append(b.except[slot], span{from, to})
}

// leave forgets a member, so that its slot's next owner is not taken for it.
func (w *walk) leave(slot uint32) {
	delete(w.flying.except, slot)
	delete(w.gathering.except, slot)
}

// entry is what is known of one encoded publication: when it was published, the slot that must not hear it (0 for
// none), and its place in the room's stream, if it has one.
type entry struct {
	since  int64
	sender uint32
	at     protocol.Position
}

// gather adds one encoded publication to a room's next walk. b is copied.
func (l *Loop) gather(r *Room, b []byte, e entry) {
	if e.at.Offset > 0 {
		r.at = e.at
	}
	if r.catching != nil {
		r.catching.hold(b, e.at.Offset, e.sender, l.limits.OutboundBytes)
	}
	w := r.walk
	if w == nil {
		w = l.walks.get()
		r.walk = w
	}
	g := &w.gathering
	start := len(g.bytes)
	if start > 0 && start+len(b) > l.limits.BatchBytes {
		l.count.dropped[dropBatch] += uint64(len(r.members))
		w.lost = true
		return
	}
	if start == 0 {
		g.since = e.since
	}
	g.bytes = append(l.bufs.Grow(g.bytes, len(b)), b...)
	g.ends = append(g.ends, uint32(len(g.bytes)))
	if e.sender != 0 {
		g.excuse(e.sender, start, len(g.bytes))
	}
	if !r.active {
		r.active = true
		l.active = append(l.active, r)
	}
}

// takeOff begins a walk with what has gathered, at most one slow client's worth of it.
func (l *Loop) takeOff(r *Room) {
	w := r.walk
	w.flying, w.gathering = w.gathering, w.flying
	if len(w.flying.bytes) > l.limits.OutboundBytes {
		l.split(w) // gathering is empty now, so that the rest goes to its front
	}
	if w.lost {
		w.lost = false
		l.tellGap(r, protocol.Position{}) // behind all that was gathered before, ahead of what comes next
	}
	r.mark ^= memberMark
	w.next = len(r.members)
	w.walking = true
	w.started = l.now
}

// split leaves in flying what one connection may let wait, and gives the rest back to gathering: a member whose
// kernel buffer is full in the middle of a batch must be able to hold the rest of it.
func (l *Loop) split(w *walk) {
	n := 1
	for n < len(w.flying.ends) && int(w.flying.ends[n]) <= l.limits.OutboundBytes {
		n++
	}
	if n == len(w.flying.ends) {
		return
	}
	cut := int(w.flying.ends[n-1])
	rest := w.flying.bytes[cut:]
	g := &w.gathering
	g.since = w.flying.since
	g.bytes = append(l.bufs.Grow(g.bytes, len(rest)), rest...)
	for _, end := range w.flying.ends[n:] {
		g.ends = append(g.ends, end-uint32(cut))
	}
	for slot, spans := range w.flying.except {
		for _, s := range spans {
			if s.to > cut {
				g.excuse(slot, max(s.from, cut)-cut, s.to-cut)
			}
		}
	}
	w.flying.bytes = w.flying.bytes[:cut]
	w.flying.ends = w.flying.ends[:n]
}

// fly serves at most budget members and returns how many it served.
func (l *Loop) fly(r *Room, budget int) int {
	w := r.walk
	if !w.walking {
		l.takeOff(r)
	}
	w.next = min(w.next, len(r.members)) // members may have left since the last slice
	served := 0
	for w.next > 0 && served < budget {
		w.next--
		m := r.members[w.next]
		if m&memberMark == r.mark || m&memberQuiet != 0 {
			continue
		}
		r.members[w.next] = m ^ memberMark
		l.conns.at(m&^memberFlags).publications(l, r, &w.flying)
		served++
	}
	if w.next == 0 {
		l.land(r)
	}
	return served
}

// land ends a walk. Its buffer is still being written until the turn's flush.
func (l *Loop) land(r *Room) {
	w := r.walk
	w.walking = false
	if len(w.flying.ends) > 1 {
		w.window = min(max(2*w.window, minWindow), maxWindow)
	} else {
		w.window = 0
	}
	w.notBefore = w.started + int64(w.window)
	l.landed = append(l.landed, landing{bytes: w.flying.bytes, since: w.flying.since})
	w.flying = batch{ends: w.flying.ends[:0]}
	if len(w.gathering.bytes) == 0 && !w.lost {
		l.endWalk(r)
	}
}

// landing is a batch whose last member has been served but perhaps not written yet.
type landing struct {
	bytes []byte
	since int64
}

// endWalk gives a room's walk back.
func (l *Loop) endWalk(r *Room) {
	w := r.walk
	if w == nil {
		return
	}
	for _, b := range []*batch{&w.flying, &w.gathering} {
		if b.bytes != nil {
			l.landed = append(l.landed, landing{bytes: b.bytes})
		}
	}
	*w = walk{flying: batch{ends: w.flying.ends[:0]}, gathering: batch{ends: w.gathering.ends[:0]}}
	l.walks.put(w)
	r.walk = nil
}

// catchUp gives one member at once what its room's walk would have brought it, before it is closed in order.
func (l *Loop) catchUp(c *Conn, r *Room) {
	w, m := r.walk, c.memberOf(r)
	if w == nil || m == nil || r.members[m.pos]&memberQuiet != 0 {
		return
	}
	if w.walking && r.members[m.pos]&memberMark != r.mark {
		r.members[m.pos] ^= memberMark
		c.publications(l, r, l.copyBatch(&w.flying))
	}
	if len(w.gathering.bytes) > 0 {
		c.publications(l, r, l.copyBatch(&w.gathering))
		w.gathering.excuse(c.slot, 0, len(w.gathering.bytes))
	}
}

// copyBatch copies a batch that may still grow, and so move, into the turn's arena.
func (l *Loop) copyBatch(b *batch) *batch {
	return &batch{
		bytes:  l.arena.commit(append(l.arena.reserve(len(b.bytes)), b.bytes...)),
		ends:   b.ends,
		except: b.except,
	}
}

// walkSmall serves the small rooms of this turn and asks for a step where something is left to do.
func (l *Loop) walkSmall() {
	if len(l.active) == 0 {
		return
	}
	rest, served := l.active[:0], 0
	for _, r := range l.active {
		if r.walk != nil && len(r.members) <= smallRoom && served < smallTurn && r.walk.notBefore <= l.now {
			served += l.fly(r, smallRoom)
		}
		if r.walk == nil {
			r.active = false
			continue
		}
		rest = append(rest, r)
	}
	l.setActive(rest)
	if len(rest) > 0 && !l.pacer.asked {
		l.askStep()
	}
}

// setActive keeps the list and forgets the rooms that fell off its end.
func (l *Loop) setActive(rest []*Room) {
	clear(l.active[len(rest):])
	l.active = rest
}

// walkSlice serves about a millisecond's worth of members over the rooms that have something to say. Rooms that
// had their share go behind the ones that still wait for theirs.
func (l *Loop) walkSlice() {
	budget := l.slice
	kept, turned := l.active[:0], l.turned[:0]
	for _, r := range l.active {
		waits := budget <= 0 || r.walk == nil || !r.walk.walking && r.walk.notBefore > l.now
		if !waits {
			budget -= max(l.fly(r, budget), 1)
		}
		switch {
		case r.walk == nil:
			r.active = false
		case waits:
			kept = append(kept, r)
		default:
			turned = append(turned, r)
		}
	}
	l.setActive(append(kept, turned...))
	clear(turned)
	l.turned = turned[:0]
}

// nextWalk says when the next slice has something to do: at a time on the server's clock, 0 for at once.
// ok is false when no room is active.
func (l *Loop) nextWalk() (at int64, ok bool) {
	for _, r := range l.active {
		w := r.walk
		if w == nil {
			continue
		}
		if w.walking || w.notBefore <= l.now {
			return 0, true
		}
		if !ok || w.notBefore < at {
			at, ok = w.notBefore, true
		}
	}
	return at, ok
}
