package fanout_test

// A broker and loops whose every answer the test decides, and which write down all they are told.

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/roost-ws/roost/fanout"
)

var errRefused = errors.New("refused by the bus")

// answer is how the script answers a Subscribe.
type answer int

const (
	later     answer = iota // the test calls script.outcome
	atOnce                  // confirmed inside Subscribe
	failsOnce               // refused inside Subscribe
)

// script is a broker that holds each Subscribe until the test decides. It checks that the calls for a room never
// overlap and always make sense; wrong says what did not.
type script struct {
	mu            sync.Mutex
	sink          fanout.Sink
	startErr      error
	answer        answer
	pending       map[string]func(error)
	on, leaving   map[string]bool
	inUnsubscribe func(room string) // runs inside the next Unsubscribe
	calls, wrong  []string
}

func newScript() *script {
	return &script{pending: map[string]func(error){}, on: map[string]bool{}, leaving: map[string]bool{}}
}

func (s *script) Start(sink fanout.Sink) error { s.sink = sink; return s.startErr }

func (s *script) Publish(p *fanout.Publication, done fanout.Completion) {
	s.sink.HandlePublication(p)
	if done != nil {
		done.Published(fanout.Position{}, nil)
	}
}

func (s *script) Subscribe(room string, done func(error)) {
	s.mu.Lock()
	s.note("subscribe " + room)
	if s.pending[room] != nil || s.on[room] || s.leaving[room] {
		s.wrong = append(s.wrong, fmt.Sprintf("Subscribe of %s: pending %v, on %v, Unsubscribe under way %v",
			room, s.pending[room] != nil, s.on[room], s.leaving[room]))
	}
	how := s.answer
	s.pending[room] = done
	s.mu.Unlock()
	switch how {
	case atOnce:
		s.outcome(room, nil)
	case failsOnce:
		s.outcome(room, errRefused)
	case later:
	}
}

func (s *script) Unsubscribe(room string) {
	s.mu.Lock()
	s.note("unsubscribe " + room)
	if s.pending[room] != nil || !s.on[room] {
		s.wrong = append(s.wrong, fmt.Sprintf("Unsubscribe of %s: pending %v, on %v", room, s.pending[room] != nil, s.on[room]))
	}
	hook := s.inUnsubscribe
	s.inUnsubscribe = nil
	s.leaving[room] = true
	s.mu.Unlock()
	if hook != nil {
		hook(room)
	}
	s.mu.Lock()
	delete(s.on, room)
	delete(s.leaving, room)
	s.mu.Unlock()
}

func (s *script) Up() bool { return true }

func (s *script) Close() error {
	s.mu.Lock()
	rooms := slices.Sorted(maps.Keys(s.pending))
	s.mu.Unlock()
	for _, room := range rooms {
		s.outcome(room, fanout.ErrClosed)
	}
	return nil
}

func (s *script) note(call string) { s.calls = append(s.calls, call) }

// outcome answers the Subscribe of room that is pending.
func (s *script) outcome(room string, err error) {
	s.mu.Lock()
	done := s.pending[room]
	delete(s.pending, room)
	if err == nil {
		s.on[room] = true
	}
	s.mu.Unlock()
	done(err)
}

// took returns the calls since it was last asked.
func (s *script) took() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := s.calls
	s.calls = nil
	return calls
}

// scriptedLoops is a Local that writes down what it is told, and can call back.
type scriptedLoops struct {
	mu      sync.Mutex
	told    []string
	onReady func(room string, loop int, err error)
}

func (l *scriptedLoops) Deliver(loops fanout.LoopSet, p *fanout.Publication) {
	l.note(fmt.Sprintf("deliver %s %v %s", p.Room, walk(loops), p.Data))
}

func (l *scriptedLoops) Ready(room string, loop int, err error) {
	l.note(readyNote(room, loop, err))
	l.mu.Lock()
	hook := l.onReady
	l.mu.Unlock()
	if hook != nil {
		hook(room, loop, err)
	}
}

func (l *scriptedLoops) Gap(loops fanout.LoopSet, room string, pos fanout.Position) {
	l.note(fmt.Sprintf("gap %s %v %d", room, walk(loops), pos.Offset))
}

func readyNote(room string, loop int, err error) string {
	return fmt.Sprintf("ready %s %d %v", room, loop, err)
}

func (l *scriptedLoops) note(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = append(l.told, what)
}

// took returns what the loops were told since it was last asked.
func (l *scriptedLoops) took() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	told := l.told
	l.told = nil
	return told
}

// lingerTime is the linger time of the scripted tests, in a clock that only their sleeping moves.
const lingerTime = 8 * time.Second
