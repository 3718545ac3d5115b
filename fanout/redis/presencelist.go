package redis

// Who is in a room, read in parts from its server, by one reader for all who ask, and kept for a second.

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/roost-ws/roost/fanout"
)

const (
	// listReaders is how many lists are read from one server at the same time, maxAsked how many may wait for it.
	listReaders, maxAsked = 2, 256
	// maxListWaiters is how many questions may wait for lists that are being read, maxLists how many lists are kept.
	maxListWaiters, maxLists = 1 << 16, 4096
	// listPart is how many users are read at once.
	listPart = 1000
	// recordLength is how long a record is, see presence_room.lua.
	recordLength = 18
)

// presenceLists has the lists that are being read or were read within the last second.
type presenceLists struct {
	p *Presence

	mu      sync.Mutex // guards everything below, and every roomList
	rooms   map[string]*roomList
	kept    []*roomList // that were read, the oldest first
	held    int         // how many users kept has together
	waiters int
	trimmer *time.Timer
	closed  bool
}

// roomList is one room's list.
type roomList struct {
	room    string
	users   []fanout.PresentUser
	total   int
	until   time.Time // zero while it is being read
	waiters []listWaiter
}

// listWaiter is a Users that waits.
type listWaiter struct {
	limit int
	done  func([]fanout.PresentUser, int, error)
}

func (s *presenceLists) init(p *Presence) {
	s.p, s.rooms = p, map[string]*roomList{}
	s.trimmer = time.AfterFunc(time.Hour, s.trim)
	s.trimmer.Stop()
}

// ask answers from a list that is kept, or when the one that is being read is there, or has one read.
func (s *presenceLists) ask(room string, limit int, done func([]fanout.PresentUser, int, error)) {
	s.mu.Lock()
	if s.closed || s.p.life.Load() != presenceOpen {
		s.mu.Unlock()
		done(nil, 0, fanout.ErrClosed)
		return
	}
	list, busy := s.rooms[room], s.waiters >= maxListWaiters
	switch {
	case list != nil && time.Now().Before(list.until):
		users, total := list.users, list.total
		s.mu.Unlock()
		s.p.counters.hits.Add(1)
		done(head(users, limit), total, nil)
		return
	case busy:
	case list != nil && list.until.IsZero():
		s.p.counters.hits.Add(1)
	default:
		list = &roomList{room: strings.Clone(room)}
		select {
		case s.p.lane(room).asked <- list:
			s.rooms[list.room] = list
		default:
			busy = true
		}
	}
	if !busy {
		list.waiters = append(list.waiters, listWaiter{limit, done})
		s.waiters++
	}
	s.mu.Unlock()
	if busy {
		s.p.counters.refused.Add(1)
		done(nil, 0, fanout.ErrBusy)
	}
}

// head returns the first users, in a slice that append can't write behind.
func head(users []fanout.PresentUser, limit int) []fanout.PresentUser {
	n := min(max(limit, 0), len(users))
	return users[:n:n]
}

// finish answers everybody who waits for list, and keeps it if it was read.
func (s *presenceLists) finish(list *roomList, users []fanout.PresentUser, total int, err error) {
	s.mu.Lock()
	waiters := list.waiters
	list.waiters = nil
	s.waiters -= len(waiters)
	switch {
	case s.closed:
	case err != nil:
		s.drop(list)
	default:
		list.users, list.total, list.until = users, total, time.Now().Add(s.p.listAge)
		s.kept = append(s.kept, list)
		s.held += len(users)
		s.trimLocked()
	}
	s.mu.Unlock()
	for _, w := range waiters {
		if err != nil {
			w.done(nil, 0, err)
		} else {
			w.done(head(users, w.limit), total, nil)
		}
	}
}

// drop forgets list, unless another one has its place already.
func (s *presenceLists) drop(list *roomList) {
	if s.rooms[list.room] == list {
		delete(s.rooms, list.room)
	}
}

func (s *presenceLists) trim() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.trimLocked()
}

// trimLocked drops lists that are too old, and the oldest while there are too many.
func (s *presenceLists) trimLocked() {
	now, n := time.Now(), 0
	for n < len(s.kept) && (!now.Before(s.kept[n].until) || s.held > s.p.o.MaxHeld || len(s.kept)-n > maxLists) {
		s.held -= len(s.kept[n].users)
		s.drop(s.kept[n])
		n++
	}
	s.kept = slices.Delete(s.kept, 0, n)
	if len(s.kept) > 0 && !s.closed {
		s.trimmer.Reset(time.Until(s.kept[0].until))
	}
}

func (s *presenceLists) heldNow() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

// close answers everybody who waits, and every later question.
func (s *presenceLists) close() {
	s.mu.Lock()
	var waiters []listWaiter
	for _, list := range s.rooms {
		waiters = append(waiters, list.waiters...)
		list.waiters = nil
	}
	s.closed, s.rooms, s.kept, s.held, s.waiters = true, nil, nil, 0, 0
	s.trimmer.Stop()
	s.mu.Unlock()
	for _, w := range waiters {
		w.done(nil, 0, fanout.ErrClosed)
	}
}

// read is a goroutine that reads lists.
func (l *presenceLane) read() {
	for {
		select {
		case <-l.p.stop:
			return
		case list := <-l.asked:
			l.p.counters.lists.Add(1)
			users, total, err := l.readList(list.room)
			l.p.lists.finish(list, users, total, err)
		}
	}
}

// readList reads room's users, sorted, at most MaxUsers of them, and how many there are.
func (l *presenceLane) readList(room string) (users []fanout.PresentUser, total int, err error) {
	keys := l.p.roomKeys(room)[:2]
	for cursor := "0"; ; {
		part, err := l.readPart(keys, cursor)
		if err != nil {
			return nil, 0, fmt.Errorf("reading who is in a room: %w", err)
		}
		if cursor == "0" {
			total = part.total
		}
		users = append(users, part.users...)
		if cursor = part.cursor; cursor == "0" || len(users) > l.p.o.MaxUsers+listPart {
			break
		}
	}
	users = sortUsers(users)
	if len(users) > l.p.o.MaxUsers {
		users = slices.Clone(users[:l.p.o.MaxUsers])
		return users, max(total, len(users)), nil
	}
	return users, len(users), nil
}

// sortUsers sorts by name, and drops what was read twice.
func sortUsers(users []fanout.PresentUser) []fanout.PresentUser {
	slices.SortFunc(users, func(a, b fanout.PresentUser) int { return strings.Compare(a.User, b.User) })
	return slices.CompactFunc(users, func(a, b fanout.PresentUser) bool { return a.User == b.User })
}

// listedPart is a part of a list.
type listedPart struct {
	total  int
	cursor string
	users  []fanout.PresentUser
}

func (l *presenceLane) readPart(keys []string, cursor string) (part listedPart, err error) {
	ctx, cancel := context.WithTimeout(l.p.reading, l.p.o.Timeout)
	defer cancel()
	call := presenceCall{script: &presenceListScript, keys: keys, args: []string{cursor, strconv.Itoa(listPart)}}
	answer, err := l.client.Do(ctx, call.build(l.client.B())).ToArray()
	if unknown(err) {
		call.whole = true
		answer, err = l.client.Do(ctx, call.build(l.client.B())).ToArray()
	}
	if err != nil && !isAnswer(err) {
		err = fmt.Errorf("%w: %w", ErrDown, err)
	}
	if err != nil {
		return part, err
	}
	if len(answer) != 4 {
		return part, fmt.Errorf("the answer has %d parts", len(answer))
	}
	now, err := answer[0].AsInt64()
	if err != nil {
		return part, fmt.Errorf("the answer's time: %w", err)
	}
	total, err := answer[1].AsInt64()
	if err != nil {
		return part, fmt.Errorf("the answer's total: %w", err)
	}
	if part.cursor, err = answer[2].ToString(); err != nil {
		return part, fmt.Errorf("the answer's cursor: %w", err)
	}
	pairs, err := answer[3].AsStrSlice()
	if err != nil {
		return part, fmt.Errorf("the answer's users: %w", err)
	}
	part.total = int(total)
	part.users = make([]fanout.PresentUser, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		if connections := countConnections(pairs[i+1], now); connections > 0 {
			part.users = append(part.users, fanout.PresentUser{User: pairs[i], Connections: connections})
		}
	}
	return part, nil
}

// countConnections adds up the records that have not ended at now, which is Redis's time in milliseconds.
func countConnections(records string, now int64) (connections int) {
	for ; len(records) >= recordLength; records = records[recordLength:] {
		var ends [8]byte
		copy(ends[2:], records[12:recordLength])
		if int64(binary.BigEndian.Uint64(ends[:])) > now {
			connections += int(binary.BigEndian.Uint32([]byte(records[8:12])))
		}
	}
	return connections
}
