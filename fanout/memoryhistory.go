package fanout

// The broker of a node that is alone and keeps history.

import (
	"hash/maphash"
	"time"
)

const (
	// streamShards is how many locks the streams are spread over.
	streamShards = 64
	// restTTL is how long the place where a stream stands outlives its publications: a client that comes back to a
	// quiet room learns that it has missed nothing.
	restTTL = 24 * time.Hour
)

// MemoryHistory is a [Memory] that keeps publications, a [History]. Where a room keeps none, it costs what Memory costs;
// in the others each publication is copied once. What it keeps is bounded: above it the rooms that were silent longest
// are forgotten, and whoever asks for them reads another epoch.
type MemoryHistory struct {
	Memory
	retention func(room string) Retention
	maxBytes  int64 // of one shard
	seed      maphash.Seed
	shards    [streamShards]streamShard
}

// NewMemoryHistory returns a MemoryHistory that waits for Start. retention is called for each publication, on the
// goroutine that publishes. maxBytes bounds the memory of everything kept, some overhead included.
func NewMemoryHistory(retention func(room string) Retention, maxBytes int64) *MemoryHistory {
	m := &MemoryHistory{retention: retention, maxBytes: max(maxBytes/streamShards, 1), seed: maphash.MakeSeed()}
	for i := range m.shards {
		m.shards[i].streams = map[string]*memoryStream{}
	}
	return m
}

// Publish implements [Broker]. In a room that keeps history p.Position is set before the sink hears of it, and when
// another goroutine is just delivering in this room, that one delivers p, too.
func (m *MemoryHistory) Publish(p *Publication, done Completion) {
	keep := m.retention(p.Room)
	if keep.Size <= 0 || p.Kind >= MemberJoined || !m.Up() {
		m.Memory.Publish(p, done)
		return
	}
	h := m.shard(p.Room)
	h.mu.Lock()
	now := time.Now()
	s := h.stream(p.Room, now)
	pos := h.append(s, p, keep, now)
	h.trim(s, m.maxBytes)
	if s.working {
		s.todo = append(s.todo, task{publication: s.kept[len(s.kept)-1]})
		h.mu.Unlock()
	} else {
		s.working = true
		h.mu.Unlock()
		p.Position = pos
		m.sink.HandlePublication(p)
		m.work(h, s)
	}
	if done != nil {
		done.Published(pos, nil)
	}
}

// History implements [History]: done is called before it returns, unless another goroutine is just delivering in this
// room, which then calls it.
func (m *MemoryHistory) History(room string, q Query, done func(Page, error)) {
	keep := m.retention(room)
	switch {
	case !m.Up():
		done(Page{}, ErrClosed)
		return
	case keep.Size <= 0:
		done(Page{}, ErrNoHistory)
		return
	}
	h := m.shard(room)
	h.mu.Lock()
	s := h.stream(room, time.Now())
	page := s.page(q)
	h.trim(s, m.maxBytes)
	if s.working {
		s.todo = append(s.todo, task{page: page, done: done})
		h.mu.Unlock()
		return
	}
	h.mu.Unlock()
	done(page, nil)
}

// work does what others have left for the goroutine that works on s.
func (m *MemoryHistory) work(h *streamShard, s *memoryStream) {
	for {
		h.mu.Lock()
		todo := s.todo
		s.todo = nil
		if len(todo) == 0 {
			s.working = false
			h.mu.Unlock()
			return
		}
		h.mu.Unlock()
		for i := range todo {
			if t := &todo[i]; t.done != nil {
				t.done(t.page, nil)
			} else {
				m.sink.HandlePublication(&t.publication)
			}
		}
	}
}

// task is what the goroutine that works on a stream does next: deliver a publication, or answer a query.
type task struct {
	publication Publication
	page        Page
	done        func(Page, error)
}

func (m *MemoryHistory) shard(room string) *streamShard {
	return &m.shards[maphash.String(m.seed, room)%streamShards]
}
