package engine

// Who is in a room: counted when asked, or kept and told to other nodes.

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/engine/ratelimit"
	"github.com/roost-ws/roost/fanout"
)

func as(t *testing.T, user string) enginetest.Options {
	return v1As(enginetest.Token(t, user, time.Hour, "**"))
}

func usersOf(answer map[string]any) string {
	var list []string
	users, _ := answer["users"].([]any)
	for _, u := range users {
		u := u.(map[string]any)
		list = append(list, fmt.Sprint(u["user"], "*", u["connections"]))
	}
	return fmt.Sprint(list, answer["total"])
}

// TestPresenceIsCounted: without a store the loops are asked, over both dialects and all loops.
func TestPresenceIsCounted(t *testing.T) {
	s, addr := serve(t, func(o *Options) { verifying(t, o, nil); o.Limits.Controls = ratelimit.Rate{} })
	c := dialV1(t, addr, "/ws?room=hall", as(t, "carol"))
	for range 3 {
		dialV1(t, addr, "/ws?room=hall&room=cellar", as(t, "ada"))
	}
	enginetest.Dial(t, addr, "/raw/hall", enginetest.Options{Token: enginetest.Token(t, "bob", time.Hour, "**")})
	settles(t, s, 8, "roost_members")
	for room, want := range map[string]string{"hall": "[ada*3 bob*1 carol*1] 3", "cellar": "[ada*3] 1", "nowhere": "[] 0"} {
		if got := usersOf(asking(c, "presence", `{"type":"presence","id":1,"room":%q}`, room)); got != want {
			t.Errorf("%s: %s, want %s", room, got, want)
		}
	}
}

// TestPresenceOfALargeRoom is counted in slices, and at once for all who ask at the same time.
func TestPresenceOfALargeRoom(t *testing.T) {
	s, addr := serve(t, func(o *Options) { o.Loops = 1 })
	const members = 3000
	swarm := enginetest.StartSwarm(t, enginetest.Config{Addrs: []string{addr}, N: members,
		Head: func(int) []byte { return enginetest.UpgradeHead(addr, "/raw/hall", enginetest.Options{}) }})
	if err := swarm.OpenAll(t.Context()); err != nil {
		t.Fatal(err)
	}
	settles(t, s, members, "roost_members")
	c := dialV1(t, addr, "/ws", enginetest.Options{})
	for range 5 {
		c.SendText(`{"type":"presence","id":1,"room":"hall"}`)
	}
	for range 5 {
		if got, want := usersOf(c.WaitType("presence")), fmt.Sprintf("[anonymous*%d] 1", members); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// store remembers what it is told.
type store struct {
	mu        sync.Mutex
	said      []string
	refreshed map[string]int
	closed    bool
}

func (p *store) say(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.closed {
		p.said = append(p.said, fmt.Sprintf(format, args...))
	}
}
func (p *store) Start() error                    { return nil }
func (p *store) Enter(room, user string, a bool) { p.say("enter %s %s %v", room, user, a) }
func (p *store) Leave(room, user string, a bool) { p.say("leave %s %s %v", room, user, a) }
func (p *store) Offline(user string)             { p.say("offline %s", user) }
func (p *store) Close() error                    { p.mu.Lock(); defer p.mu.Unlock(); p.closed = true; return nil }
func (p *store) Online(user string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.refreshed["online "+user]++; p.refreshed["online "+user] == 1 {
		p.said = append(p.said, "online "+user)
	}
}
func (p *store) Refresh(room string, users []fanout.PresentUser, _ bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, u := range users {
		p.refreshed[fmt.Sprint(room, " ", u.User, "*", u.Connections)]++
	}
}
func (p *store) Users(_ string, _ int, done func([]fanout.PresentUser, int, error)) {
	done([]fanout.PresentUser{{User: "stored", Connections: 7}}, 1, nil)
}

func (p *store) has(t *testing.T, want ...string) {
	t.Helper()
	var said []string
	if !comesTrue(func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		said = slices.Clone(p.said)
		return len(said) >= len(want)
	}) || !slices.Equal(said, want) {
		t.Errorf("the store heard\n%q, want\n%q", said, want)
	}
	p.mu.Lock()
	p.said = nil
	p.mu.Unlock()
}

// TestPresenceIsKept: the store hears of a user's first connection and of the last one, and again and again of all.
func TestPresenceIsKept(t *testing.T) {
	kept := &store{refreshed: map[string]int{}}
	s, addr := serve(t, func(o *Options) {
		verifying(t, o, nil)
		o.Presence, o.PresenceShared, o.PresenceTTL = kept, true, 300*time.Millisecond
		o.Rooms = []RoomRule{{Match: "loud", PresenceEvents: true}}
	})
	first := dialV1(t, addr, "/ws?room=quiet", as(t, "ada"))
	kept.has(t, "online ada", "enter quiet ada false")
	second := dialV1(t, addr, "/ws?room=quiet&room=loud", as(t, "ada"))
	kept.has(t, "enter loud ada true")
	if got := usersOf(asking(second, "presence", `{"type":"presence","id":1,"room":"quiet"}`)); got != "[stored*7] 1" {
		t.Errorf("presence: %s", got)
	}
	comesTrue(func() bool {
		kept.mu.Lock()
		defer kept.mu.Unlock()
		return kept.refreshed["quiet ada*2"] > 2 && kept.refreshed["loud ada*1"] > 2 && kept.refreshed["online ada"] > 2
	})
	kept.mu.Lock()
	for _, want := range []string{"quiet ada*2", "loud ada*1", "online ada"} {
		if kept.refreshed[want] < 3 {
			t.Errorf("%s was repeated %d times: %v", want, kept.refreshed[want], slices.Sorted(maps.Keys(kept.refreshed)))
		}
	}
	kept.mu.Unlock()
	_ = asking(second, "left", `{"type":"leave","id":1,"room":"quiet"}`)
	first.Close()
	kept.has(t, "leave quiet ada false")
	second.Close()
	kept.has(t, "leave loud ada true", "offline ada")
	settles(t, s, 0, "roost_connections")
}

// TestPresenceIsKeptWhereItIsTold: a node that is alone keeps it for rooms with events only.
func TestPresenceIsKeptWhereItIsTold(t *testing.T) {
	kept := &store{refreshed: map[string]int{}}
	_, addr := serve(t, func(o *Options) {
		o.Presence = kept
		o.Rooms = []RoomRule{{Match: "loud", PresenceEvents: true}}
	})
	c := dialV1(t, addr, "/ws?room=quiet&room=loud", enginetest.Options{})
	kept.has(t, "enter loud anonymous true")
	if got := usersOf(asking(c, "presence", `{"type":"presence","id":1,"room":"quiet"}`)); got != "[anonymous*1] 1" {
		t.Errorf("presence: %s", got)
	}
	c.Close()
	kept.has(t, "leave loud anonymous true")
}
