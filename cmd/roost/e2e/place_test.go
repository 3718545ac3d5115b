package e2e

// What a member hears and makes of it: messages, holes, and what it missed and asks for.

import (
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"time"
)

// position is a place in a room's stream.
type position struct {
	Epoch  string `json:"epoch"`
	Offset uint64 `json:"offset"`
}

// push is whatever a node says.
type push struct {
	position
	Type        string          `json:"type"`
	ID          uint64          `json:"id"`
	Room        string          `json:"room"`
	From        string          `json:"from"`
	User        string          `json:"user"`
	Node        string          `json:"node"`
	Code        string          `json:"code"`
	Data        json.RawMessage `json:"data"`
	Recovered   bool            `json:"recovered"`
	Messages    []push          `json:"messages"`
	Users       []presentUser   `json:"users"`
	Total       int             `json:"total"`
	ReconnectIn int             `json:"reconnectIn"`
}

type presentUser struct {
	User        string `json:"user"`
	Connections int    `json:"connections"`
}

// place is a member's place in a room. The member's mutex guards it.
type place struct {
	record []note
	joined bool      // now
	ever   bool      // and at some time
	at     *position // nil in a room without history
	catch  bool      // it asks for what it missed, and keeps what comes meanwhile
	held   []push
	called int // the last call of a backend that was heard
}

// take is called for each message of the node, on the reader's goroutine.
func (m *member) take(p *push) {
	if p.Type == "welcome" {
		m.mu.Lock()
		m.node = p.Node
		m.opened++
		rooms := make([]string, 0, len(m.places))
		for room := range m.places {
			rooms = append(rooms, room)
		}
		m.mu.Unlock()
		m.join(rooms...)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.ID > 0 {
		a := m.asks[p.ID]
		delete(m.asks, p.ID)
		m.answered(&a, p)
		return
	}
	here := m.places[p.Room]
	if here == nil {
		m.codes["stray "+p.Type+" "+p.Code]++
		return
	}
	switch p.Type {
	case "message":
		if here.catch {
			here.held = append(here.held, *p)
		} else {
			here.hear(p)
		}
	case "gap":
		m.missed(here, p)
	case "member_joined":
		here.note(note{kind: cameIn, user: p.User})
	case "member_left":
		here.note(note{kind: wentOut, user: p.User})
	}
}

// answered is called with m.mu.
func (m *member) answered(a *ask, p *push) {
	if p.Type == "error" {
		m.codes[a.kind+" "+p.Code]++
	}
	switch {
	case a.kind == "publish":
		m.said.settle(a.room, m.user, a.number, p.Type == "published")
	case a.kind == "presence":
		a.answer <- *p
	case a.kind == "join" && p.Type == "joined":
		m.places[a.room].enter(p)
	case a.kind == "join" && m.conn != nil:
		conn := m.conn
		time.AfterFunc(time.Duration((0.5+rand.Float64())*float64(300*time.Millisecond)), func() {
			m.mu.Lock()
			same := m.conn == conn
			m.mu.Unlock()
			if same {
				m.join(a.room)
			}
		})
	}
}

// missed takes a gap: where there is history it is asked for. The caller has m.mu.
func (m *member) missed(here *place, p *push) {
	switch {
	case here.catch: // it is asking already, perhaps too early
		here.held = append(here.held, *p)
	case here.at == nil || here.at.Epoch != p.Epoch:
		here.note(note{kind: hole, why: "gap"})
		if here.at = nil; p.Epoch != "" {
			at := p.position
			here.at = &at
		}
	default:
		here.catch = true
		go m.join(p.Room) // since the reader must not wait for the writer
	}
}

// enter is what follows on joined.
func (l *place) enter(p *push) {
	if !l.ever {
		l.note(note{kind: joined})
	} else if l.at != nil && !p.Recovered {
		l.note(note{kind: hole, why: "not recovered"})
	}
	if l.joined, l.ever = true, true; p.Epoch != "" {
		if l.at != nil && p.Recovered {
			for i := range p.Messages {
				l.hear(&p.Messages[i])
			}
		}
		at := p.position
		l.at = &at
	}
	held := l.held
	l.catch, l.held = false, nil
	for i := range held {
		switch h := &held[i]; {
		case h.Type == "gap":
			l.note(note{kind: hole, why: "gap while asking"})
		case l.at == nil || h.Offset > l.at.Offset:
			l.hear(h)
		}
	}
}

// hear notes a message.
func (l *place) hear(p *push) {
	if l.at != nil && p.Offset > 0 {
		l.at.Offset = p.Offset
	}
	if call, ok := callNumber(p.Data); ok && p.From == "" {
		l.called = call
		return
	}
	n, err := strconv.Atoi(string(p.Data))
	if err != nil || p.From == "" {
		l.note(note{kind: foreign, user: p.From, why: string(p.Data)})
		return
	}
	l.note(note{kind: heard, user: p.From, number: n})
}

func (l *place) note(n note) {
	n.at = time.Now()
	l.record = append(l.record, n)
}

// away notes that the connection has ended.
func (m *member) away(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conn = nil
	select {
	case <-m.stopped:
	default:
		m.ends = append(m.ends, err)
	}
	for id, a := range m.asks {
		if a.answer != nil {
			close(a.answer)
		}
		delete(m.asks, id)
	}
	for _, l := range m.places {
		if l.joined && l.at == nil {
			l.note(note{kind: hole, why: "away"})
		}
		l.joined, l.catch, l.held = false, false, nil
	}
}

// here reports whether the member is in all its rooms.
func (m *member) here() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range m.places {
		if !l.joined {
			return false
		}
	}
	return m.conn != nil
}

// on is the node that the member is on, or was on last.
func (m *member) on() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.node
}

// records are what the member heard, by room.
func (m *member) records() map[string][]note {
	m.mu.Lock()
	defer m.mu.Unlock()
	records := make(map[string][]note, len(m.places))
	for room, l := range m.places {
		records[room] = l.record[:len(l.record):len(l.record)]
	}
	return records
}

// lost is how often its connection ended, a dial failed, or it was told of a hole.
func (m *member) lost() (ends []error, holes int) {
	for _, record := range m.records() {
		for _, n := range record {
			if n.kind == hole {
				holes++
			}
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.ends[:len(m.ends):len(m.ends)], holes
}
