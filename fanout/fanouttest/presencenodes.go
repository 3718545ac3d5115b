package fanouttest

// The cases about presence over several nodes, what a killed one leaves behind, and the end.

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/roost-ws/roost/fanout"
)

// inTime gives a case up when what began then took so long that something may have expired for that reason alone.
func inTime(t *testing.T, begun time.Time) {
	t.Helper()
	if took := time.Since(begun); took > shortTTL/2 {
		t.Skipf("this machine is too busy for a TTL of %v: something took %v", shortTTL, took)
	}
}

func countsAddUp(t *testing.T, b *presenceBench) {
	first, second := b.start("node-1", longTTL), b.start("node-2", longTTL)
	first.Enter("sums", "alice", false)
	second.Enter("sums", "alice", false)
	second.Enter("sums", "bob", false)
	for _, n := range []*presenceNode{first, second} {
		n.waitUsers("sums", present("alice", 2), present("bob", 1))
	}
	first.Refresh("sums", []fanout.PresentUser{present("alice", 5)}, false)
	second.Refresh("sums", []fanout.PresentUser{present("alice", 7), present("bob", 2)}, false)
	first.waitUsers("sums", present("alice", 12), present("bob", 2))
	first.Leave("sums", "alice", false)
	first.Leave("sums", "bob", false) // is on the other node
	second.waitUsers("sums", present("alice", 7), present("bob", 2))
}

func toldOverNodes(t *testing.T, b *presenceBench) {
	first, second := b.start("node-1", longTTL, "over"), b.start("node-2", longTTL, "over")
	for range 20 {
		first.Enter("over", "alice", true)
		first.settle("over")
		second.Enter("over", "alice", true)
		second.settle("over")
		first.Leave("over", "alice", true)
		first.settle("over")
		second.Leave("over", "alice", true)
		second.settle("over")
	}
	first.settle("over")
	var want []string
	for range 20 {
		want = append(want, "+alice", "-alice")
	}
	first.checkTold("over", want...)
	second.waitTold("over", want...)
}

func closeRemoves(t *testing.T, b *presenceBench) {
	first, second := b.start("node-1", longTTL, "ends"), b.start("node-2", longTTL, "ends")
	second.Enter("ends", "alice", true)
	second.settle("ends")
	first.Enter("ends", "alice", true)
	first.Enter("ends", "bob", true)
	first.Enter("ends.many", "alice", false)
	var users []fanout.PresentUser
	for i := range 1500 {
		users = append(users, present(fmt.Sprintf("user.%d", i), 2))
	}
	first.Refresh("ends.many", users, false)
	second.Enter("ends.many", "user.7", false)
	first.close()
	second.waitUsers("ends.many", present("user.7", 1))
	second.waitTold("ends", "+alice", "+bob", "-bob")
	mustBeClosed(t, b, first.Presence)
}

// killedNode: what a killed node said is forgotten within the TTL, and told once, while what others say stays.
func killedNode(t *testing.T, b *presenceBench) {
	first := b.start("node-1", shortTTL, "killed")
	second, third := b.start("node-2", longTTL, "killed"), b.start("node-3", longTTL, "killed")
	begun := time.Now()
	for _, user := range []string{"alice", "bob", "carol"} {
		first.Enter("killed", user, true)
	}
	second.Enter("killed", "bob", true)
	second.settle("killed")
	first.settle("killed")
	inTime(t, begun)
	first.abandon(b)
	begun = time.Now()
	stay := []fanout.PresentUser{present("bob", 1)}
	second.until("the killed node's users to be gone", func() (bool, string) {
		second.Refresh("killed", stay, true)
		third.Refresh("killed", nil, true)
		users, _, err := second.users("killed", everyone)
		gone := !slices.ContainsFunc(users, func(u fanout.PresentUser) bool { return u.User == "alice" || u.User == "carol" })
		return err == nil && gone && slices.Contains(users, present("bob", 1)), fmt.Sprintf("%v, %v", users, err)
	})
	if took := time.Since(begun); took < shortTTL/4 {
		t.Errorf("they were gone after %v, with a TTL of %v", took, shortTTL)
	}
	want := []string{"+alice", "+bob", "+carol", "-alice", "-carol"}
	sorted := func() []string {
		told := second.told("killed")
		if len(told) > 3 {
			slices.Sort(told[3:]) // of these any may be noticed first
		}
		return told
	}
	second.until("the room to be told", func() (bool, string) {
		second.Refresh("killed", stay, true)
		return len(sorted()) >= len(want), fmt.Sprint(sorted())
	})
	second.settle("killed")
	third.settle("killed")
	second.settle("killed")
	second.Leave("killed", "bob", true) // the last of his connections, beside one that the killed node never ended
	second.settle("killed")
	got := sorted()
	slices.Sort(got[:3])
	slices.Sort(got[3:])
	if want := []string{"+alice", "+bob", "+carol", "-alice", "-bob", "-carol"}; !slices.Equal(got, want) {
		t.Errorf("told %q, want %q", got, want)
	}
}

// movedFromKilled: a user whose node was killed, and who is on another before the time is over, was never away.
func movedFromKilled(t *testing.T, b *presenceBench) {
	first, second := b.start("node-1", shortTTL, "moved"), b.start("node-2", longTTL, "moved")
	begun := time.Now()
	first.Enter("moved", "alice", true)
	first.Enter("moved", "ghost", true)
	first.settle("moved")
	first.abandon(b)
	second.Enter("moved", "alice", true)
	second.settle("moved")
	inTime(t, begun)
	second.until("the ghost to be told as left", func() (bool, string) {
		second.Refresh("moved", []fanout.PresentUser{present("alice", 1)}, true)
		return slices.Contains(second.told("moved"), "-ghost"), fmt.Sprint(second.told("moved"))
	})
	second.settle("moved")
	if got := second.told("moved"); slices.Contains(got, "-alice") {
		t.Errorf("told %q, but alice was never away", got)
	}
	second.until("alice to have one connection", func() (bool, string) {
		users, _, err := second.users("moved", everyone)
		return err == nil && slices.Contains(users, present("alice", 1)), fmt.Sprintf("%v, %v", users, err)
	})
}

// lateLeave: two lives of one node name, as when a node is started again while its old process still ends. What the old one
// says late is about its own entries alone.
func lateLeave(t *testing.T, b *presenceBench) {
	old := b.start("node-1", longTTL, "late")
	old.Enter("late", "alice", true)
	old.settle("late")
	other := b.start("node-1", longTTL, "late")
	other.Enter("late", "alice", true)
	other.settle("late")
	old.Leave("late", "alice", true)
	old.settle("late")
	old.close()
	other.Leave("late", "nobody", true)
	other.settle("late")
	other.checkTold("late")
	other.until("alice to have one connection", func() (bool, string) {
		users, _, err := other.users("late", everyone)
		return err == nil && slices.Contains(users, present("alice", 1)), fmt.Sprintf("%v, %v", users, err)
	})
}

// refreshedStays: for two TTLs a user is refreshed and one is not.
func refreshedStays(t *testing.T, b *presenceBench) {
	n := b.start("node-1", shortTTL, "stays")
	n.Enter("stays", "alice", true)
	n.Enter("stays", "bob", true)
	n.settle("stays")
	end := time.Now().Add(2 * shortTTL)
	for late := false; !late; {
		before := time.Now()
		n.Refresh("stays", []fanout.PresentUser{present("alice", 2)}, true)
		users, _, err := n.users("stays", everyone)
		if err != nil {
			t.Fatalf("Users: %v", err)
		}
		late = time.Now().After(end)
		time.Sleep(shortTTL / 20) // the pace of refreshing
		inTime(t, before)
		if !slices.ContainsFunc(users, func(u fanout.PresentUser) bool { return u.User == "alice" }) {
			t.Fatalf("alice was refreshed, and there are %v", users)
		}
	}
	n.settle("stays")
	n.checkTold("stays", "+alice", "+bob", "-bob")
}

func answersOnce(t *testing.T, b *presenceBench) {
	n := b.start("node-1", longTTL)
	var outcomes []*outcome
	for i := range 300 {
		done := newOutcome()
		outcomes = append(outcomes, done)
		n.Enter("once", "alice", false)
		n.Users([]string{"once", "once.empty", fmt.Sprintf("once.%d", i)}[i%3], 10, func(_ []fanout.PresentUser, _ int, err error) {
			done.tell(err)
		})
	}
	for i, done := range outcomes {
		of := fmt.Sprintf("Users %d", i)
		if err := done.mustCome(t, of); err != nil && !errors.Is(err, fanout.ErrBusy) {
			t.Errorf("%s: %v", of, err)
		}
		b.last = append(b.last, func() { done.checkOnce(t, of) })
	}
}

func answersOnceWhileClosing(t *testing.T, b *presenceBench) {
	const goroutines, each = 4, 200
	n := b.start("node-1", longTTL)
	outcomes := make([][]*outcome, goroutines)
	halfway := make(chan struct{}, goroutines)
	var all sync.WaitGroup
	for goroutine := range goroutines {
		all.Go(func() {
			for i := range each {
				if i == each/2 {
					halfway <- struct{}{}
				}
				done := newOutcome()
				outcomes[goroutine] = append(outcomes[goroutine], done)
				room := fmt.Sprintf("closing.%d", i%7)
				n.Enter(room, "alice", true)
				n.Refresh(room, []fanout.PresentUser{present("bob", 1)}, true)
				n.Users(room, 10, func(_ []fanout.PresentUser, _ int, err error) { done.tell(err) })
				n.Leave(room, "alice", true)
				n.Online("alice")
				n.Offline("alice")
			}
		})
	}
	<-halfway
	n.close()
	within(t, "calls while closing", all.Wait)
	for goroutine := range outcomes {
		for i, done := range outcomes[goroutine] {
			of := fmt.Sprintf("Users %d of goroutine %d", i, goroutine)
			err := done.mustCome(t, of)
			if err != nil && !errors.Is(err, fanout.ErrClosed) && !errors.Is(err, fanout.ErrBusy) {
				t.Errorf("%s: %v", of, err)
			}
			b.last = append(b.last, func() { done.checkOnce(t, of) })
		}
	}
}

func closedPresence(t *testing.T, b *presenceBench) {
	n := b.start("node-1", longTTL, "closed")
	if err := n.Start(); err == nil {
		t.Error("a second Start is not refused")
	}
	n.Enter("closed", "alice", false)
	n.waitUsers("closed", present("alice", 1))
	n.close()
	n.Enter("closed", "bob", true)
	n.Leave("closed", "alice", true)
	n.Refresh("closed", []fanout.PresentUser{present("bob", 1)}, true)
	n.Online("bob")
	n.Offline("bob")
	mustBeClosed(t, b, n.Presence)
	within(t, "the second Close", func() {
		if err := n.Close(); err != nil && !errors.Is(err, fanout.ErrClosed) {
			t.Errorf("the second Close: %v", err)
		}
	})
	n.checkTold("closed")
}

func neverStartedPresence(t *testing.T, b *presenceBench) {
	broker := b.store.Broker(t)
	p := b.store.Open(t, "node-1", longTTL, broker)
	p.Enter("closed", "alice", true)
	p.Online("alice")
	mustBeClosed(t, b, p)
	within(t, "Close", func() {
		if err := p.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
		if err := broker.Close(); err != nil {
			t.Errorf("Close of the broker: %v", err)
		}
	})
	mustBeClosed(t, b, p)
	if err := p.Start(); !errors.Is(err, fanout.ErrClosed) {
		t.Errorf("Start after Close: %v, want ErrClosed", err)
	}
}

// onlineAndOffline: a user is online where it was said last, and only that node can say that it ended.
func onlineAndOffline(t *testing.T, b *presenceBench) {
	if b.store.OnlineAt == nil {
		t.Skip("a store that nobody asks")
	}
	first, second := b.start("node-1", longTTL), b.start("node-2", longTTL)
	at := func(user, want string) {
		t.Helper()
		first.until(fmt.Sprintf("%q to be online at %q", user, want), func() (bool, string) {
			got := b.store.OnlineAt(t, user)
			return got == want, fmt.Sprintf("%q", got)
		})
	}
	for i, user := range hostileUserNames {
		if i%2 == 0 {
			first.Online(user)
		}
	}
	for i, user := range hostileUserNames {
		at(user, []string{"node-1", ""}[i%2])
	}
	first.Online("alice")
	first.Online("alice")
	at("alice", "node-1")
	second.Online("alice")
	at("alice", "node-2")
	first.Offline("alice")
	first.Online("fence")
	at("fence", "node-1")
	at("alice", "node-2")
	second.Offline("alice")
	at("alice", "")
	second.Online("carol")
	at("carol", "node-2")
	second.close()
	at("carol", "")
	first.close()
	for _, user := range hostileUserNames {
		if got := b.store.OnlineAt(t, user); got != "" {
			t.Errorf("%q is online at %q, which is closed", user, got)
		}
	}
}
