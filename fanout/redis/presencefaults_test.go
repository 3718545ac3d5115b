package redis_test

// Presence while its server is killed, stopped, or cuts connections.

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/fanout/redis"
	"github.com/roost-ws/roost/fanout/redis/redistest"
)

// memberNews is a sink that keeps who was told of in one room.
type memberNews struct {
	mu   sync.Mutex
	told []fanout.Publication
}

// HandlePublication implements [fanout.Sink].
func (l *memberNews) HandlePublication(p *fanout.Publication) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.told = append(l.told, fanout.Publication{Room: p.Room, Kind: p.Kind, From: p.From})
}

// HandleGap implements [fanout.Sink].
func (l *memberNews) HandleGap(string, fanout.Position) {}

func (l *memberNews) count(kind fanout.Kind) int {
	return len(l.who(kind))
}

func (l *memberNews) who(kind fanout.Kind) (users []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, p := range l.told {
		if p.Kind == kind {
			users = append(users, p.From)
		}
	}
	return users
}

// hearMembers hears what is told in room until the test ends.
func hearMembers(t *testing.T, url, room string) *memberNews {
	t.Helper()
	l, b := &memberNews{}, open(t, url)
	if err := b.Start(l); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() }) // it only listens
	subscribed := make(chan error, 1)
	b.Subscribe(room, func(err error) { subscribed <- err })
	if err := <-subscribed; err != nil {
		t.Fatal(err)
	}
	return l
}

func givesUpSoon(o *redis.PresenceOptions) { o.Timeout = 300 * time.Millisecond }

// hammerPresence makes calls of each kind, none of which may wait for the server.
func hammerPresence(t *testing.T, p *redis.Presence) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		users := manyUsers(100)
		for i := range 300 {
			p.Enter("hammered", fmt.Sprint("user.", i), true)
			p.Leave("hammered", fmt.Sprint("user.", i), true)
			p.Refresh("hammered.more", users, true)
			p.Online("hammerer")
			p.Offline("hammerer")
		}
	}()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("a call waits for a server that does not answer")
	}
}

// While the server is away nothing waits; when it is there again, empty, one Refresh brings everybody back, in silence.
func TestPresenceServerKilled(t *testing.T) {
	server := redistest.Start(t)
	url := "redis://" + server.Addr
	p := startPresence(t, url, "killed", givesUpSoon)
	users := manyUsers(1200)
	p.Refresh("room", users, true)
	p.Enter("room", "alice", true)
	waitTotal(t, p, "room", len(users)+1)

	server.Kill()
	hammerPresence(t, p)
	redistest.Wait(t, "Users has an error", func() bool {
		a := askUsers(t, p, "room", 10)
		return errors.Is(a.err, redis.ErrDown)
	})
	redistest.Wait(t, "the loss is noticed", func() bool { s := p.Stats(); return s.Failed > 0 && s.Down == 1 })

	server.Restart()
	heard := hearMembers(t, url, "room")
	before := p.Stats().Failed
	p.Refresh("room", append(users, fanout.PresentUser{User: "alice", Connections: 1}), true)
	waitTotal(t, p, "room", len(users)+1)
	redistest.Wait(t, "the queue is empty", func() bool { return p.Stats().Pending == 0 })
	if s := p.Stats(); s.Down != 0 {
		t.Errorf("%+v, and nothing is down", s)
	}
	p.Enter("room", "bob", true)
	redistest.Wait(t, "bob is told", func() bool { return heard.count(fanout.MemberJoined) > 0 })
	if told := heard.who(fanout.MemberJoined); !slices.Equal(told, []string{"bob"}) || heard.count(fanout.MemberLeft) > 0 {
		t.Errorf("told as joined: %d, first %q; nobody left", len(told), told[0])
	}
	t.Logf("%d changes were lost before the server was back, %d after", before, p.Stats().Failed-before)
}

// A server that stops in its tracks: the queue fills to its bound, what is too much is counted, and one that goes on
// gets what waited.
func TestPresenceServerStops(t *testing.T) {
	const bound = 1000
	server := redistest.Start(t)
	p := startPresence(t, "redis://"+server.Addr, "stopped", givesUpSoon, func(o *redis.PresenceOptions) { o.MaxPending = bound })
	p.Enter("room", "alice", false)
	waitTotal(t, p, "room", 1)
	server.Pause()
	hammerPresence(t, p)
	s := p.Stats()
	if s.Full == 0 || s.Pending > bound {
		t.Errorf("%+v, want at most %d that wait, and some that did not fit", s, bound)
	}
	if a := askUsers(t, p, "room.other", 10); !errors.Is(a.err, redis.ErrDown) {
		t.Errorf("Users: %v, want ErrDown", a.err)
	}
	server.Continue()
	redistest.Wait(t, "the queue is empty", func() bool { return p.Stats().Pending == 0 })
	p.Refresh("room", manyUsers(10), false)
	waitTotal(t, p, "room", 11)
}

// A Close in front of a server that does not answer ends all the same, and so does the next one.
func TestPresenceClosesWithoutAServer(t *testing.T) {
	server := redistest.Start(t)
	for name, away := range map[string]func(){"stopped": server.Pause, "killed": server.Kill} {
		p := startPresence(t, "redis://"+server.Addr, name)
		p.Enter("room", "alice", true)
		p.Online("alice")
		waitTotal(t, p, "room", 1)
		away()
		hammerPresence(t, p)
		closed := make(chan error, 1)
		go func() { closed <- p.Close() }()
		select {
		case err := <-closed:
			if err != nil {
				t.Errorf("%s: Close: %v", name, err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: Close does not return", name)
		}
		if s := p.Stats(); s.Pending != 0 || s.Failed == 0 {
			t.Errorf("%s: %+v, want that all that waited is counted as lost", name, s)
		}
		server.Restart()
	}
}

// cutPresence has Redis close the connections of every presence, and returns how many there were.
func cutPresence(server *redistest.Server) (cut int) {
	for client := range strings.SplitSeq(server.Do("CLIENT", "LIST"), "\n") {
		if fields := strings.Fields(client); slices.Contains(fields, "name=roost-presence") {
			if server.Try("CLIENT", "KILL", "ID", strings.TrimPrefix(fields[0], "id=")).Error() == nil {
				cut++
			}
		}
	}
	return cut
}

// Redis cuts the connections again and again while users come: nobody is lost, and nobody is told twice.
func TestPresenceConnectionsCut(t *testing.T) {
	const users = 2000
	server := redistest.Start(t)
	url := "redis://" + server.Addr
	heard := hearMembers(t, url, "room")
	p := startPresence(t, url, "cut")
	cut := 0
	for i, u := range manyUsers(users) {
		p.Enter("room", u.User, true)
		if i%400 == 200 {
			cut += cutPresence(server)
		}
	}
	redistest.Wait(t, "the queue is empty", func() bool { return p.Stats().Pending == 0 })
	p.Refresh("room", manyUsers(users), true)
	waitTotal(t, p, "room", users)
	p.Enter("room", "zoe", true)
	redistest.Wait(t, "the last is told", func() bool { return slices.Contains(heard.who(fanout.MemberJoined), "zoe") })
	told := heard.who(fanout.MemberJoined)
	slices.Sort(told)
	if unique := slices.Compact(slices.Clone(told)); len(unique) != len(told) || heard.count(fanout.MemberLeft) > 0 {
		t.Errorf("%d were told as joined, %d of them different", len(told), len(unique))
	}
	if cut == 0 {
		t.Error("no connection was cut")
	}
	t.Logf("%d connections cut, %d of %d changes lost", cut, p.Stats().Failed, users)
}

// Start says that there is no server, and works when there is one.
func TestPresenceStartWithoutAServer(t *testing.T) {
	server := redistest.Start(t)
	server.Kill()
	p := newPresence(t, "redis://"+server.Addr, "early", givesUpSoon)
	if err := p.Start(); err == nil {
		t.Fatal("Start has no error")
	}
	server.Restart()
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	p.Enter("room", "alice", false)
	waitTotal(t, p, "room", 1)
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}
