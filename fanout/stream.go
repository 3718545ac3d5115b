package fanout

// How holes are found in the streams of rooms that keep history, and mended from it before anybody sees them.
//
// The Router remembers of each such room that a loop wants how far its stream was heard. A publication that does not
// follow on that, a gap that the broker tells of, or a page of history from behind it means that something was lost.
// Then the stream is recovered: what was missed is asked of the history, what comes meanwhile is held, and the loops get
// all of it in order. Only what the history no longer has becomes a gap.

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	// heldMost and heldBytes bound what may be held for one room while it is recovered. Above them it is dropped, and the
	// recovery ends with a gap.
	heldMost  = 4096
	heldBytes = 4 << 20
	// recoverMost and recoverBytes bound what one recovery brings back.
	recoverMost  = 16 << 10
	recoverBytes = 16 << 20
	// recoverRounds is how often one recovery may find another hole behind the one that it mended.
	recoverRounds = 5
	// recoverFirst and recoverLast are the first and the longest pause before the history is asked again that could not
	// be asked.
	recoverFirst = 250 * time.Millisecond
	recoverLast  = 4 * time.Second
)

// stream is how far a room was heard. The shard's lock guards it. While it is recovering, one goroutine at a time works
// on it and nobody else delivers in its room.
type stream struct {
	last       Position // without an Epoch it is not known
	jumps      []jump
	loose      bool // a gap was told: what comes next need not follow on last
	recovering bool
	rounds     int
	pause      time.Duration // before the history is asked again
	lost       bool          // more came than could be held
	held       []held
	bytes      int // of publications in held
}

// jump is where a stream was taken up again at base, when it was heard up to last: what was lost behind that and is
// published again is news, what was lost before it is not.
type jump struct{ last, base uint64 }

// rememberedJumps bounds a stream's jumps. Publications come again at once or not at all.
const rememberedJumps = 8

// held is something that waits for a recovery to end: a publication, the answer to a query, or, with neither, the news
// that something was lost behind what was held before.
type held struct {
	publication *Publication
	page        Page
	done        func(Page, error)
}

func (h *held) news() bool { return h.publication == nil && h.done == nil }

// next reports whether pos is the one behind s.last, or may be taken for it.
func (s *stream) next(pos Position) bool {
	return s.last.Epoch == "" || s.loose && !s.known(pos) || s.last.Epoch == pos.Epoch && s.last.Offset+1 == pos.Offset
}

// heard notes that everything up to pos was heard, or told of as missed.
func (s *stream) heard(pos Position) {
	if s.last.Epoch != pos.Epoch {
		s.jumps = nil
	}
	s.last, s.loose = pos, false
}

// cross notes that the stream jumped to base, if that is news.
func (s *stream) cross(epoch string, base uint64) {
	if s.last.Epoch != epoch || s.last.Offset >= base {
		return
	}
	if len(s.jumps) == rememberedJumps {
		s.jumps = slices.Delete(s.jumps, 0, 1)
		s.jumps[0].last = 0 // of what was before it nothing is known
	}
	s.jumps = append(s.jumps, jump{s.last.Offset, base})
}

// again reports whether p was heard before the bus lost it.
func (s *stream) again(p *Publication) bool {
	return p.Position.Epoch == s.last.Epoch && slices.ContainsFunc(p.Was, func(was uint64) bool {
		i := slices.IndexFunc(s.jumps, func(j jump) bool { return was <= j.base })
		return i >= 0 && was <= s.jumps[i].last
	})
}

// known reports whether pos is s.last or before it.
func (s *stream) known(pos Position) bool {
	return s.last.Epoch == pos.Epoch && pos.Offset <= s.last.Offset
}

// hold keeps a copy of p until the recovery is over.
func (s *stream) hold(p *Publication) {
	if s.lost || len(s.held) >= heldMost || s.bytes+len(p.Data) > heldBytes {
		s.lost = true
		return
	}
	c := *p
	c.Data = bytes.Clone(p.Data)
	s.bytes += len(c.Data)
	s.held = append(s.held, held{publication: &c})
}

// stream finds or makes the stream of a room that a loop wants. The shard's lock is held.
func (s *shard) stream(room string) *stream {
	st := s.streams[room]
	if st == nil {
		if s.streams == nil {
			s.streams = map[string]*stream{}
		}
		st = &stream{}
		s.streams[room] = st
	}
	return st
}

// follow delivers a publication that has a Position if it follows on what was heard before, and begins to recover the
// stream if it does not.
func (r *Router) follow(s *shard, p *Publication) {
	s.mu.Lock()
	loops, wanted := s.wanted[p.Room]
	if !wanted {
		s.mu.Unlock()
		s.unwanted.Add(1)
		return
	}
	st := s.stream(p.Room)
	switch {
	case st.recovering:
		st.hold(p)
		s.mu.Unlock()
	case st.next(p.Position):
		again := st.again(p)
		st.heard(p.Position)
		s.mu.Unlock()
		if again {
			r.counters.duplicates.Add(1)
			return
		}
		r.hand(loops, p)
	case st.known(p.Position):
		s.mu.Unlock()
		r.counters.duplicates.Add(1)
	default:
		st.hold(p)
		r.recover(s, p.Room, st)
	}
}

// recoverGap takes a gap that the broker tells of; false means that the loops are to be told of it.
func (r *Router) recoverGap(s *shard, room string, pos Position) bool {
	s.mu.Lock()
	st := s.streams[room]
	switch {
	case st == nil || (st.last.Epoch == "" || st.loose) && !st.recovering:
		s.mu.Unlock()
		return false
	case st.recovering:
		if n := len(st.held); n == 0 || !st.held[n-1].news() {
			st.held = append(st.held, held{})
		}
		s.mu.Unlock()
	case pos == st.last: // nothing was published while nothing could be heard
		s.mu.Unlock()
	default:
		r.recover(s, room, st)
	}
	return true
}

// History reads a part of room's stream; see [History]. done hears of it when the loops have been handed everything up
// to Page.Position, if one of them wants room. Without a history the error is ErrNoHistory. Does not block.
func (r *Router) History(room string, q Query, done func(Page, error)) {
	if r.history == nil {
		done(Page{}, ErrNoHistory)
		return
	}
	r.history.History(room, q, func(page Page, err error) { r.paged(room, page, err, done) })
}

// paged holds a page against what was heard of its room.
func (r *Router) paged(room string, page Page, err error, done func(Page, error)) {
	s := r.shard(room)
	s.mu.Lock()
	if _, wanted := s.wanted[room]; !wanted || err != nil {
		s.mu.Unlock()
		done(page, err)
		return
	}
	st := s.stream(room)
	switch {
	case st.recovering:
		st.held = append(st.held, held{page: page, done: done})
		s.mu.Unlock()
		return
	case st.last.Epoch == "", st.loose && !st.known(page.Position):
		st.heard(page.Position)
	case !st.known(page.Position):
		st.held = append(st.held, held{page: page, done: done})
		r.recover(s, room, st)
		return
	}
	s.mu.Unlock()
	done(page, nil)
}

// recover asks the history for what is missing behind st.last. It is entered with the shard's lock held and returns
// without it.
func (r *Router) recover(s *shard, room string, st *stream) {
	st.recovering = true
	q := Query{Since: st.last, HasSince: true, Limit: recoverMost, Bytes: recoverBytes}
	s.mu.Unlock()
	r.history.History(room, q, func(page Page, err error) { r.recovered(s, room, st, page, err) })
}

// recovered goes on with what the history had: first with that, then with what was held meanwhile.
func (r *Router) recovered(s *shard, room string, st *stream, page Page, err error) {
	if errors.Is(err, ErrDown) || errors.Is(err, ErrBusy) {
		r.recoverLater(s, room, st, err)
		return
	}
	s.mu.Lock()
	st.pause = 0
	st.cross(page.Position.Epoch, page.Base)
	s.mu.Unlock()
	if err == nil && page.Complete {
		r.counters.recoveries.Add(1)
		for i := range page.Publications {
			r.deliverHeld(s, room, st, &page.Publications[i], true)
		}
		s.mu.Lock()
		if !st.known(page.Position) { // behind a jump there may be nothing yet
			st.heard(page.Position)
		}
		s.mu.Unlock()
	} else {
		r.giveUp(s, room, st, page.Position)
	}
	r.goOn(s, room, st)
}

// recoverLater has the history asked again when it may be reached. Who waits for an answer does not wait for that.
func (r *Router) recoverLater(s *shard, room string, st *stream, err error) {
	s.mu.Lock()
	var waiting []held
	st.held = slices.DeleteFunc(st.held, func(h held) bool {
		if h.done != nil {
			waiting = append(waiting, h)
		}
		return h.done != nil
	})
	st.pause = min(max(2*st.pause, recoverFirst), recoverLast)
	pause := st.pause/2 + rand.N(st.pause/2) // #nosec G404: any will do
	s.mu.Unlock()
	for i := range waiting {
		waiting[i].done(Page{}, err)
	}
	r.after(pause, func() {
		s.mu.Lock()
		if s.streams[room] == st && !r.closed.Load() {
			r.recover(s, room, st)
			return
		}
		s.mu.Unlock()
		r.goOn(s, room, st)
	})
}

// goOn delivers what was held during a recovery, and ends it unless something is missing there, too.
func (r *Router) goOn(s *shard, room string, st *stream) {
	for {
		s.mu.Lock()
		switch {
		case len(st.held) > 0 && st.rounds < recoverRounds && s.streams[room] == st && st.broken():
			st.rounds++
			r.recover(s, room, st)
			return
		case len(st.held) > 0:
			h := st.held[0]
			st.held[0] = held{}
			st.held = st.held[1:]
			s.mu.Unlock()
			switch {
			case h.publication != nil:
				r.deliverHeld(s, room, st, h.publication, false)
			case h.done != nil:
				h.done(h.page, nil)
			default:
				r.giveUp(s, room, st, Position{})
			}
		case st.lost:
			st.lost = false
			s.mu.Unlock()
			r.giveUp(s, room, st, Position{})
		default:
			st.recovering, st.held, st.bytes, st.rounds = false, nil, 0, 0
			s.mu.Unlock()
			return
		}
	}
}

// broken reports whether something is missing between what was delivered and what is held first. News of a loss is
// used up by it.
func (s *stream) broken() bool {
	switch h := &s.held[0]; {
	case h.publication != nil:
		return !s.next(h.publication.Position) && !s.known(h.publication.Position)
	case h.done != nil:
		return s.last.Epoch != "" && !s.loose && !s.known(h.page.Position)
	}
	s.held = s.held[1:]
	return s.last.Epoch != "" && !s.loose
}

// deliverHeld delivers what was recovered or held, unless it was heard before or nobody wants it any more. If it is not
// known to follow on what was heard before, there may be a gap in front of it.
func (r *Router) deliverHeld(s *shard, room string, st *stream, p *Publication, follows bool) {
	s.mu.Lock()
	loops := s.wanted[room]
	if s.streams[room] != st || st.known(p.Position) {
		s.mu.Unlock()
		return
	}
	hole, again := !follows && !st.next(p.Position), st.again(p)
	st.heard(p.Position)
	s.mu.Unlock()
	if hole {
		r.counters.gaps.Add(1)
		r.local.Gap(loops, room, p.Position)
	}
	if again {
		r.counters.duplicates.Add(1)
		return
	}
	p.Room = room
	r.hand(loops, p)
}

// hand hands loops a publication of a stream, or the news that one is lost for good that was there.
func (r *Router) hand(loops LoopSet, p *Publication) {
	if p.Kind == Missed {
		r.counters.gaps.Add(1)
		r.local.Gap(loops, p.Room, p.Position)
		return
	}
	r.local.Deliver(loops, p)
}

// giveUp tells of a gap that no history mends. What is heard next is taken as it comes.
func (r *Router) giveUp(s *shard, room string, st *stream, pos Position) {
	s.mu.Lock()
	loops := s.wanted[room]
	current := s.streams[room] == st
	st.loose = true
	s.mu.Unlock()
	if current {
		r.counters.gaps.Add(1)
		r.local.Gap(loops, room, pos)
	}
}
