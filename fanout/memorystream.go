package fanout

// What a MemoryHistory keeps of one room.

import (
	"math/rand/v2"
	"strconv"
	"sync"
	"time"
)

// streamBytes is about what a stream costs without its publications, keptBytes what one of them costs beside its data.
const (
	streamBytes = 300
	keptBytes   = 160
)

// streamShard is the streams of some rooms. All of it, and of its streams, is guarded by mu, which is never held across
// a call of a sink or a completion.
type streamShard struct {
	mu      sync.Mutex
	streams map[string]*memoryStream
	bytes   int64
	// The stream that was used last, and the one that was not used longest.
	newest, oldest *memoryStream
}

// memoryStream is one room's stream.
type memoryStream struct {
	room    string
	at      Position
	kept    []Publication // oldest first
	bytes   int64
	expires time.Time // of what is kept
	rests   time.Time // of the stream itself
	working bool      // a goroutine delivers in this room; others leave what they have in todo
	todo    []task

	newer, older *memoryStream
}

// stream finds or makes room's stream and makes it the newest.
func (h *streamShard) stream(room string, now time.Time) *memoryStream {
	s := h.streams[room]
	switch {
	case s != nil:
		h.unlink(s)
		if now.After(s.expires) {
			h.dropKept(s, len(s.kept))
		}
		if now.After(s.rests) && !s.working {
			s.at = Position{Epoch: newEpoch()}
		}
	default:
		s = &memoryStream{room: room, at: Position{Epoch: newEpoch()}, bytes: streamBytes + int64(len(room))}
		h.streams[room] = s
		h.bytes += s.bytes
	}
	s.rests = now.Add(restTTL)
	s.older = h.newest
	if h.newest != nil {
		h.newest.newer = s
	} else {
		h.oldest = s
	}
	h.newest = s
	return s
}

func (h *streamShard) unlink(s *memoryStream) {
	if s.newer != nil {
		s.newer.older = s.older
	} else {
		h.newest = s.older
	}
	if s.older != nil {
		s.older.newer = s.newer
	} else {
		h.oldest = s.newer
	}
	s.newer, s.older = nil, nil
}

// append keeps a copy of p and returns its place.
func (h *streamShard) append(s *memoryStream, p *Publication, keep Retention, now time.Time) Position {
	if len(s.kept) >= keep.Size {
		h.dropKept(s, len(s.kept)-keep.Size+1)
	}
	s.at.Offset++
	c := *p
	c.Position, c.Data = s.at, append(make([]byte, 0, len(p.Data)), p.Data...)
	s.kept = append(s.kept, c)
	h.grow(s, keptBytes+int64(len(c.Data)))
	s.expires = now.Add(keep.TTL)
	s.rests = s.expires.Add(restTTL)
	return s.at
}

func (h *streamShard) grow(s *memoryStream, n int64) {
	s.bytes += n
	h.bytes += n
}

// dropKept forgets the n oldest publications of s.
func (h *streamShard) dropKept(s *memoryStream, n int) {
	for i := range n {
		h.grow(s, -keptBytes-int64(len(s.kept[i].Data)))
	}
	clear(s.kept[:n])
	if s.kept = s.kept[n:]; len(s.kept) == 0 {
		s.kept = nil
	}
}

// trim forgets the streams that were not used longest until the shard fits, but never s, of which it forgets the oldest
// publications in the end.
func (h *streamShard) trim(s *memoryStream, most int64) {
	for o := h.oldest; h.bytes > most && o != nil && o != s; {
		next := o.newer
		if !o.working {
			h.unlink(o)
			delete(h.streams, o.room)
			h.bytes -= o.bytes
		}
		o = next
	}
	for h.bytes > most && len(s.kept) > 1 {
		h.dropKept(s, 1)
	}
}

// page answers q from what is kept.
func (s *memoryStream) page(q Query) Page {
	page := Page{Position: s.at}
	from, unbroken := 0, false
	switch {
	case q.HasSince && q.Since.Epoch == s.at.Epoch && q.Since.Offset <= s.at.Offset:
		missed := int(min(s.at.Offset-q.Since.Offset, uint64(len(s.kept))+1))
		unbroken = missed <= len(s.kept)
		from = max(0, len(s.kept)-missed)
	case !q.HasSince:
		from = max(0, len(s.kept)-max(q.Limit, 0))
	}
	to, bytes := from, 0
	for to < len(s.kept) && to-from < q.Limit {
		if bytes += len(s.kept[to].Data); q.Bytes > 0 && bytes > q.Bytes && to > from {
			break
		}
		to++
	}
	if !q.HasSince && q.Bytes > 0 { // the newest are wanted, so what does not fit falls off the old end
		from, to = newestWithin(s.kept[from:], from, q.Bytes), len(s.kept)
	}
	if q.Limit > 0 {
		page.Publications = append([]Publication(nil), s.kept[from:to]...)
	}
	page.Follows, page.Complete = unbroken, unbroken && to == len(s.kept)
	return page
}

// newestWithin is where to begin so that the rest of kept, which begins at base, holds at most that many bytes, but one
// publication at least.
func newestWithin(kept []Publication, base, bytes int) int {
	from := len(kept)
	for from > 0 {
		if bytes -= len(kept[from-1].Data); bytes < 0 && from < len(kept) {
			break
		}
		from--
	}
	return base + from
}

// newEpoch names a life of a stream like no other before.
func newEpoch() string { return strconv.FormatUint(rand.Uint64(), 36) }
