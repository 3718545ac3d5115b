package fanouttest

// The cases about who is in a room, and what its members are told, on one node.

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/roost-ws/roost/fanout"
)

func enterLeaveUsers(t *testing.T, b *presenceBench) {
	n := b.start("node-1", longTTL)
	n.waitUsers("members")
	n.Enter("members", "alice", false)
	n.Enter("members", "bob", false)
	n.Enter("members.other", "carol", false)
	n.waitUsers("members", present("alice", 1), present("bob", 1))
	n.waitUsers("members.other", present("carol", 1))
	n.Enter("members", "alice", false)
	n.Leave("members", "bob", false)
	n.Leave("members", "nobody", false)
	n.Leave("members.nobody", "alice", false)
	n.waitUsers("members", present("alice", 1))
	n.Leave("members", "alice", false)
	n.waitUsers("members")
	n.waitUsers("members.other", present("carol", 1))
}

func sortedLimitTotal(t *testing.T, b *presenceBench) {
	const count = 1000
	n := b.start("node-1", longTTL)
	var want []fanout.PresentUser
	for i := range count {
		want = append(want, present(fmt.Sprintf("user.%03d", i), 1))
	}
	for _, i := range rand.New(rand.NewPCG(1, 1)).Perm(count) { // #nosec G404: the order repeats
		n.Enter("sorted", want[i].User, false)
	}
	n.waitUsers("sorted", want...)
	for _, limit := range []int{-1, 0, 1, 10, count - 1, count, count + 1} {
		got, total, err := n.users("sorted", limit)
		if err != nil || total != count || !slices.Equal(got, want[:min(max(limit, 0), count)]) {
			t.Errorf("limit %d: %d users, %d in all, %v", limit, len(got), total, err)
		}
	}
	for _, u := range want[:count/2] {
		n.Leave("sorted", u.User, false)
	}
	n.waitUsers("sorted", want[count/2:]...)
}

func connectionsAsRefreshed(t *testing.T, b *presenceBench) {
	n := b.start("node-1", longTTL)
	n.Enter("connections", "alice", false)
	n.Enter("connections", "bob", false)
	n.Refresh("connections", []fanout.PresentUser{present("alice", 3)}, false)
	n.waitUsers("connections", present("alice", 3), present("bob", 1))
	n.Enter("connections", "alice", false) // knows nothing of the others
	n.Refresh("connections", []fanout.PresentUser{present("bob", 1<<20), present("carol", 0)}, false)
	n.Refresh("connections", nil, false)
	n.waitUsers("connections", present("alice", 3), present("bob", 1<<20), present("carol", 1))
	n.Leave("connections", "alice", false)
	n.Enter("connections", "alice", false)
	n.waitUsers("connections", present("alice", 1), present("bob", 1<<20), present("carol", 1))
}

// A user that Enter was never called for, or in vain, comes with a Refresh, and the members that are there hear it.
// A room that nobody was told of comes back in silence.
func refreshRepairs(t *testing.T, b *presenceBench) {
	n := b.start("node-1", longTTL, "repairs", "repairs.new")
	n.settle("repairs")
	n.Refresh("repairs", []fanout.PresentUser{present("alice", 2)}, true)
	n.Refresh("repairs", []fanout.PresentUser{present("alice", 1)}, true)
	n.Leave("repairs", "alice", true)
	n.settle("repairs")
	n.checkTold("repairs", "+alice", "-alice")

	n.Refresh("repairs.new", []fanout.PresentUser{present("alice", 1)}, true)
	n.Enter("repairs.new", "bob", true)
	n.Leave("repairs.new", "alice", true)
	n.settle("repairs.new")
	n.checkTold("repairs.new", "+bob", "-alice")
}

func toldOfFirstAndLast(t *testing.T, b *presenceBench) {
	n := b.start("node-1", longTTL, "told", "told.other")
	n.Leave("told", "alice", true)
	n.Enter("told", "alice", true)
	n.Enter("told", "alice", true)
	n.Enter("told", "grüß dich", true)
	n.Enter("told.other", "alice", true)
	n.Refresh("told", []fanout.PresentUser{present("alice", 2)}, true)
	n.Leave("told", "alice", true)
	n.Leave("told", "alice", true)
	n.Enter("told", "alice", true)
	n.settle("told")
	n.settle("told.other")
	n.checkTold("told", "+alice", "+grüß dich", "-alice", "+alice")
	n.checkTold("told.other", "+alice")
}

func toldOnlyWhereAskedFor(t *testing.T, b *presenceBench) {
	n := b.start("node-1", longTTL, "quiet")
	n.Enter("quiet", "alice", false)
	n.Refresh("quiet", []fanout.PresentUser{present("bob", 2)}, false)
	n.Leave("quiet", "alice", false)
	n.settle("quiet")
	n.Enter("quiet", "bob", true) // is there
	n.Leave("quiet", "bob", true)
	n.settle("quiet")
	n.checkTold("quiet", "-bob")
}

// One user comes and goes as fast as calls can be made: what is told alternates, and ends as the calls ended.
func orderOfOneUser(t *testing.T, b *presenceBench) {
	const turns = 500
	n := b.start("node-1", longTTL, "order")
	for i := range turns {
		n.Enter("order", "alice", true)
		if i%3 == 0 {
			n.Enter("order", "alice", true)
		}
		n.Leave("order", "alice", true)
	}
	n.Enter("order", "alice", true)
	n.settle("order")
	told := n.told("order")
	for i, news := range told {
		if want := []string{"+alice", "-alice"}[i%2]; news != want {
			t.Fatalf("news %d is %q, want %q", i, news, want)
		}
	}
	if len(told) != 2*turns+1 {
		t.Errorf("told %d times, want %d", len(told), 2*turns+1)
	}
}

// Goroutines, each with its own users, change the same rooms, one of which is told; each user's last call decides.
func manyAtOnce(t *testing.T, b *presenceBench) {
	const goroutines, users, rooms, turns = 4, 20, 5, 400
	room := func(i int) string { return fmt.Sprintf("at-once.%d", i) }
	n := b.start("node-1", longTTL, room(0))
	var mu sync.Mutex
	want := map[string][]fanout.PresentUser{}
	var all sync.WaitGroup
	for goroutine := range goroutines {
		all.Go(func() {
			in := map[[2]int]bool{}
			random := rand.New(rand.NewPCG(uint64(goroutine), 2)) // #nosec G404: the churn repeats
			user := func(i int) string { return fmt.Sprintf("user.%d.%d", goroutine, i) }
			for range turns {
				at := [2]int{random.IntN(rooms), random.IntN(users)}
				if in[at] = !in[at]; in[at] {
					n.Enter(room(at[0]), user(at[1]), at[0] == 0)
				} else {
					n.Leave(room(at[0]), user(at[1]), at[0] == 0)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for at, is := range in {
				if is {
					want[room(at[0])] = append(want[room(at[0])], present(user(at[1]), 1))
				}
			}
		})
	}
	within(t, "Enter and Leave", all.Wait)
	for i := range rooms {
		n.waitUsers(room(i), want[room(i)]...)
	}
	n.settle(room(0))
	state := map[string]bool{}
	for _, news := range n.told(room(0)) {
		if state[news[1:]] == (news[0] == '+') {
			t.Fatalf("%q was told though it was told before", news)
		}
		state[news[1:]] = news[0] == '+'
	}
	for _, u := range want[room(0)] {
		if !state[u.User] {
			t.Errorf("%q is in the room and was told as left", u.User)
		}
		delete(state, u.User)
	}
	for user, is := range state {
		if is {
			t.Errorf("%q is not in the room and was told as joined", user)
		}
	}
}

func hostileRooms(t *testing.T, b *presenceBench) {
	n := b.start("node-1", longTTL)
	for i, name := range hostileNames {
		if i%2 == 0 {
			n.Enter(name, "user of "+name, false)
		}
	}
	for i, name := range hostileNames {
		if i%2 == 0 {
			n.waitUsers(name, present("user of "+name, 1))
		} else if users, total, err := n.users(name, everyone); err != nil || total != 0 {
			t.Errorf("%q has %v, %v", name, users, err)
		}
	}
	for i, name := range hostileNames {
		if i%2 == 0 {
			n.Leave(name, "user of "+name, false)
		}
	}
}

// hostileUserNames are users that a store may take apart, fold together or read as something of its own.
var hostileUserNames = []string{
	" ", "a", "A", "a ", " a", "a\x00", "\x00a", "\x00", "\xff", "\xff\xfe", "a\xff", "\r\n", "a\r\n", "*", "a*", "[a]", "{a}",
	"a:online", ":online", "online", "a:", ":a", "0", "00", "-1", "+1", "1e3", "1", "01", "nil", "null", "__proto__", "é", "e\u0301",
	"+", "-", "=", "a,b", "a|b", "a;b", "a=b", "a\"b", "a\\b", "a'b", "node-1", "user", "expires", "{\"a\":1}",
	strings.Repeat("u", 127), strings.Repeat("u", 128), strings.Repeat("u", 16383), strings.Repeat("u", 16384) + "x",
}

func hostileUsers(t *testing.T, b *presenceBench) {
	n := b.start("node-1", longTTL, "hostile")
	var all, even []fanout.PresentUser
	for i, user := range hostileUserNames {
		n.Enter("hostile", user, false)
		all = append(all, present(user, 1))
		if i%2 == 0 {
			even = append(even, present(user, 1))
		}
	}
	n.waitUsers("hostile", all...)
	for i, user := range hostileUserNames {
		if i%2 == 1 {
			n.Leave("hostile", user, false)
		}
	}
	n.waitUsers("hostile", even...)
	for _, u := range even {
		n.Leave("hostile", u.User, true)
	}
	n.settle("hostile")
	var want []string
	for _, u := range even {
		if strings.ToValidUTF8(u.User, "") == u.User { // a bus may refuse what no client could be told
			want = append(want, "-"+u.User)
		}
	}
	told := slices.DeleteFunc(n.told("hostile"), func(news string) bool { return strings.ToValidUTF8(news, "") != news })
	if !slices.Equal(told, want) {
		t.Errorf("told %.500q, want %.500q", told, want)
	}
}

// Users of any bytes, many of them alike: each is one entry, and comes back as it was.
func randomUsers(t *testing.T, b *presenceBench) {
	const rooms, users = 10, 60
	n := b.start("node-1", longTTL)
	for i := range rooms {
		random := rand.New(rand.NewPCG(uint64(i), 3)) // #nosec G404: the users repeat
		room := fmt.Sprintf("random.%d", i)
		seen := map[string]bool{}
		for len(seen) < users {
			user := make([]byte, 1+random.IntN(4))
			for j := range user {
				user[j] = "ab:{}*\x00\x01\x7f\x80\xff \n"[random.IntN(13)]
			}
			seen[string(user)] = true
		}
		var want []fanout.PresentUser
		for user := range seen {
			want = append(want, present(user, 1+random.IntN(3)))
		}
		n.Refresh(room, want, false)
		n.waitUsers(room, want...)
	}
}

// The slice of Refresh is overwritten as soon as it returns.
func argumentsAreTheCallersAgain(t *testing.T, b *presenceBench) {
	n := b.start("node-1", longTTL)
	var want []fanout.PresentUser
	batch := make([]fanout.PresentUser, 10)
	for i := range 20 {
		for j := range batch {
			batch[j] = present(fmt.Sprintf("user.%d.%d", i, j), i+1)
			want = append(want, batch[j])
		}
		n.Refresh("reused", batch, false)
		for j := range batch {
			batch[j] = present("overwritten", 99)
		}
	}
	n.waitUsers("reused", want...)
}
