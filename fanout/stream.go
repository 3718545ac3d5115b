package fanout

// How holes are found in the streams of rooms that keep history, and mended from it before anybody sees them.
//
// The Router remembers of each such room that a loop wants how far its stream was heard. A publication that does not
// follow on that, a gap that the broker tells of, or a page of history from behind it means that something was lost.
// Then the stream is recovered: what was missed is asked of the history, what comes meanwhile is held, and the loops get
// all of it in order. Only what the history no longer has becomes a gap.

import "bytes"

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
)

// stream is how far a room was heard. The shard's lock guards it. While it is recovering, one goroutine at a time works
// on it and nobody else delivers in its room.
type stream struct {
	last       Position // without an Epoch it is not known
	loose      bool     // a gap was told: what comes next need not follow on last
	recovering bool
	rounds     int
	lost       bool // more came than could be held
	held       []held
	bytes      int // of publications in held
}

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
func (s *stream) heard(pos Position) { s.last, s.loose = pos, false }

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
		st.heard(p.Position)
		s.mu.Unlock()
		r.local.Deliver(loops, p)
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
	if err == nil && page.Complete {
		r.counters.recoveries.Add(1)
		for i := range page.Publications {
			r.deliverHeld(s, room, st, &page.Publications[i])
		}
	} else {
		r.giveUp(s, room, st, page.Position)
	}
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
				r.deliverHeld(s, room, st, h.publication)
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

// deliverHeld delivers what was recovered or held, unless it was heard before or nobody wants it any more.
func (r *Router) deliverHeld(s *shard, room string, st *stream, p *Publication) {
	s.mu.Lock()
	loops := s.wanted[room]
	if s.streams[room] != st || st.known(p.Position) {
		s.mu.Unlock()
		return
	}
	hole := !st.next(p.Position)
	st.heard(p.Position)
	s.mu.Unlock()
	if hole {
		r.counters.gaps.Add(1)
		r.local.Gap(loops, room, p.Position)
	}
	p.Room = room
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
