package e2e

// Who is in a room and who is online, over all nodes.

import (
	"fmt"
	"slices"
	"strconv"
	"testing"
	"time"
)

// presentOverNodes would fail if a node knew of its own members alone.
func presentOverNodes(t *testing.T, f *fleet, members []*member) {
	for _, room := range []string{"room-0", "room-1"} {
		want := usersOf(members, room)
		for _, s := range f.nodes {
			await(t, presenceTTL+presenceLate, "a node knows who is in "+room, func() bool {
				users, err := s.present(room)
				return err == nil && slices.Equal(users, want)
			})
		}
	}
	m := members[0]
	answer, err := m.presence("room-0")
	want := usersOf(members, "room-0")
	var users []string
	for _, u := range answer.Users {
		users = append(users, u.User)
	}
	if slices.Sort(users); err != nil || !slices.Equal(users, want) || answer.Total != len(want) {
		t.Errorf("%s is told of %v, %d in all, want %v (%v)", m.user, users, answer.Total, want, err)
	}
	for _, m := range members[:20] {
		key := "roost:user:" + m.user + ":online"
		if node := f.bus.Do("GET", key); node != m.on() {
			t.Errorf("%s is %q, want %q", key, node, m.on())
		}
		if ms, err := strconv.Atoi(f.bus.Do("PTTL", key)); err != nil || ms <= 0 || ms > int(presenceTTL/time.Millisecond) {
			t.Errorf("%s lasts %d ms, want up to %v", key, ms, presenceTTL)
		}
	}
}

// usersOf are the users who are in room now.
func usersOf(members []*member, room string) []string {
	users := []string{}
	for _, m := range members {
		if l := m.records()[room]; l != nil && m.here() {
			users = append(users, m.user)
		}
	}
	slices.Sort(users)
	return users
}

// toldOnce would fail if each node told of a user for itself: ada has a connection on every node. It returns who was told.
func toldOnce(t *testing.T, f *fleet) []*member {
	t.Helper()
	said := newTranscript()
	var watchers, ada []*member
	for i, s := range f.nodes {
		watchers = append(watchers, newMember(t, said, s.door(), fmt.Sprint("watcher-", i), "watched"))
		ada = append(ada, newMember(t, said, s.door(), "ada", "watched"))
	}
	enterAll(t, watchers)
	for _, m := range ada {
		enterAll(t, []*member{m})
	}
	everybody := func(what string, condition func(came, went int) bool) {
		t.Helper()
		for _, w := range watchers {
			await(t, presenceTTL+presenceLate, w.user+" "+what, func() bool { return condition(w.told("watched", "ada")) })
		}
	}
	everybody("is told that ada came", func(came, _ int) bool { return came > 0 })
	for _, m := range ada[1:] {
		m.leave()
	}
	time.Sleep(presenceTTL + time.Second) // whatever nodes repeat, or take for over, in that time is no news of hers
	everybody("is told of ada once, who is still here", func(came, went int) bool { return came == 1 && went == 0 })
	ada[0].leave()
	everybody("is told that ada went", func(_, went int) bool { return went > 0 })
	said.agree(t, watchers)
	unmoved(t, watchers)
	return watchers
}

// told is how often a member was told that a user came into a room and went.
func (m *member) told(room, user string) (came, went int) {
	for _, n := range m.records()[room] {
		switch {
		case n.user != user:
		case n.kind == cameIn:
			came++
		case n.kind == wentOut:
			went++
		}
	}
	return came, went
}
