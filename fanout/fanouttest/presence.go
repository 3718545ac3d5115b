package fanouttest

// What every fanout.Presence has to pass, and what its cases work on.

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roost-ws/roost/fanout"
)

// PresenceStore is the store that [RunPresence] runs its cases against, each case with rooms of its own.
type PresenceStore struct {
	// Broker returns a broker, not yet started, on the bus where the store announces. Every node of a case has one.
	Broker func(t *testing.T) fanout.Broker
	// Open returns the presence of the node called node, not yet started. broker is that node's, and is started.
	Open func(t *testing.T, node string, ttl time.Duration, broker fanout.Broker) fanout.Presence
	// Abandon ends a presence as a kill of its node would, without a word to the store. A store that one node has for
	// itself has none, and the cases about several nodes are skipped.
	Abandon func(t *testing.T, p fanout.Presence)
	// OnlineAt returns the node where the store says that user is online, "" for nowhere. A store that nobody can
	// ask has none.
	OnlineAt func(t *testing.T, user string) string
	// Ignore names goroutines of a client library that go on for a moment after Close and end by themselves.
	Ignore []goleak.Option
}

// shortTTL is for what a case wants to see expire, longTTL for what must not while a case runs.
const (
	shortTTL = 2 * time.Second
	longTTL  = time.Minute
)

// RunPresence runs all cases, each as a subtest. A store that lasts is not to be shared by two runs at the same time.
func RunPresence(t *testing.T, store PresenceStore) {
	t.Helper()
	cases := []struct {
		name  string
		run   func(t *testing.T, b *presenceBench)
		nodes bool // needs several nodes
	}{
		{name: "enter, leave, users", run: enterLeaveUsers},
		{name: "sorted, limit, total", run: sortedLimitTotal},
		{name: "connections as refreshed", run: connectionsAsRefreshed},
		{name: "refresh repairs", run: refreshRepairs},
		{name: "told of first and last", run: toldOfFirstAndLast},
		{name: "told only where asked for", run: toldOnlyWhereAskedFor},
		{name: "order of one user", run: orderOfOneUser},
		{name: "many at once", run: manyAtOnce},
		{name: "hostile rooms", run: hostileRooms},
		{name: "hostile users", run: hostileUsers},
		{name: "random users", run: randomUsers},
		{name: "arguments are the caller's again", run: argumentsAreTheCallersAgain},
		{name: "answers once", run: answersOnce},
		{name: "answers once while closing", run: answersOnceWhileClosing},
		{name: "closed", run: closedPresence},
		{name: "never started", run: neverStartedPresence},
		{name: "nodes: counts add up", run: countsAddUp, nodes: true},
		{name: "nodes: told of first and last", run: toldOverNodes, nodes: true},
		{name: "nodes: close removes", run: closeRemoves, nodes: true},
		{name: "nodes: killed", run: killedNode, nodes: true},
		{name: "nodes: moved before the kill is noticed", run: movedFromKilled, nodes: true},
		{name: "nodes: late leave of an earlier life", run: lateLeave, nodes: true},
		{name: "nodes: refreshed is not forgotten", run: refreshedStays, nodes: true},
		{name: "online", run: onlineAndOffline},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.nodes && store.Abandon == nil {
				t.Skip("for a store of several nodes")
			}
			leaks := append([]goleak.Option{goleak.IgnoreCurrent()}, store.Ignore...)
			b := &presenceBench{t: t, store: store}
			defer b.closeAll() // also when the case gives up
			c.run(t, b)
			b.closeAll()
			for _, check := range b.last {
				check()
			}
			goleak.VerifyNone(t, leaks...)
		})
	}
}

// presenceBench is what a case works on.
type presenceBench struct {
	t     *testing.T
	store PresenceStore
	nodes []*presenceNode
	last  []func() // checks that wait until every node is closed

	markers int // how many users have entered for settle
}

func (b *presenceBench) closeAll() {
	b.t.Helper()
	for _, n := range b.nodes {
		n.close()
	}
	for _, n := range b.nodes {
		n.closeBroker()
	}
}

// start starts a node that hears what is told in the rooms.
func (b *presenceBench) start(name string, ttl time.Duration, rooms ...string) *presenceNode {
	b.t.Helper()
	n := &presenceNode{t: b.t, bench: b, name: name, recorder: newRecorder(), broker: b.store.Broker(b.t)}
	if err := n.broker.Start(n.recorder); err != nil {
		b.t.Fatalf("Start of the broker: %v", err)
	}
	n.brokerOpen = true
	n.hear(rooms...)
	n.Presence = b.store.Open(b.t, name, ttl, n.broker)
	b.nodes = append(b.nodes, n)
	if err := n.Start(); err != nil {
		b.t.Fatalf("Start: %v", err)
	}
	return n
}

// presenceNode is a started presence, and what members on its node hear.
type presenceNode struct {
	fanout.Presence
	t          *testing.T
	bench      *presenceBench
	name       string
	broker     fanout.Broker
	recorder   *recorder
	closed     bool
	brokerOpen bool
}

// hear subscribes the node's broker to the rooms.
func (n *presenceNode) hear(rooms ...string) {
	n.t.Helper()
	for _, room := range rooms {
		done := newOutcome()
		n.broker.Subscribe(room, done.tell)
		if err := done.mustCome(n.t, "Subscribe"); err != nil {
			n.t.Fatalf("Subscribe: %v", err)
		}
	}
}

func (n *presenceNode) close() {
	n.t.Helper()
	if n.closed {
		return
	}
	n.closed = true
	within(n.t, "Close", func() {
		if err := n.Close(); err != nil {
			n.t.Errorf("Close: %v", err)
		}
	})
}

func (n *presenceNode) closeBroker() {
	n.t.Helper()
	if n.brokerOpen {
		n.brokerOpen = false
		within(n.t, "Close of the broker", func() {
			if err := n.broker.Close(); err != nil {
				n.t.Errorf("Close of the broker: %v", err)
			}
		})
	}
}

// abandon ends the node as a kill would.
func (n *presenceNode) abandon(b *presenceBench) {
	n.t.Helper()
	n.closed = true
	b.store.Abandon(n.t, n.Presence)
	n.closeBroker()
}

// users asks once, and checks that the answer is sorted and consistent.
func (n *presenceNode) users(room string, limit int) (users []fanout.PresentUser, total int, err error) {
	n.t.Helper()
	done := newOutcome()
	n.Users(room, limit, func(u []fanout.PresentUser, count int, err error) {
		users, total = u, count
		done.tell(err)
	})
	err = done.mustCome(n.t, "Users")
	if err != nil {
		return nil, 0, err
	}
	for i := 1; i < len(users); i++ {
		if users[i-1].User >= users[i].User {
			n.t.Fatalf("Users(%q): %q stands before %q", room, users[i-1].User, users[i].User)
		}
	}
	if len(users) > max(limit, 0) || total < len(users) {
		n.t.Fatalf("Users(%q, %d): %d users, %d in all", room, limit, len(users), total)
	}
	return users, total, nil
}

// everyone is a limit that no case's room reaches.
const everyone = 1 << 20

// waitUsers waits until the room has just these users, in any order, with so many connections each.
func (n *presenceNode) waitUsers(room string, want ...fanout.PresentUser) {
	n.t.Helper()
	slices.SortFunc(want, func(a, b fanout.PresentUser) int {
		if a.User < b.User {
			return -1
		}
		return 1
	})
	n.until(fmt.Sprintf("%q to have %.300v", room, want), func() (bool, string) {
		got, total, err := n.users(room, everyone)
		return err == nil && slices.Equal(got, want) && total == len(want), fmt.Sprintf("%.300v, %d in all, %v", got, total, err)
	})
}

// until asks again and again until condition holds; answers may be some seconds old.
func (n *presenceNode) until(what string, condition func() (holds bool, state string)) {
	n.t.Helper()
	late := time.Now().Add(patience)
	for pause := time.Millisecond; ; pause = min(2*pause, 100*time.Millisecond) {
		holds, state := condition()
		if holds {
			return
		}
		if time.Now().After(late) {
			n.t.Fatalf("waited for %s, it is %s", what, state)
		}
		time.Sleep(pause) // between two questions, with a deadline
	}
}

// settle waits until everything this node said about room before has taken effect, and has been told: a new user
// enters behind it, and is waited for.
func (n *presenceNode) settle(room string) {
	n.t.Helper()
	n.bench.markers++
	marker := fmt.Sprintf("%s%d", markerPrefix, n.bench.markers)
	n.Enter(room, marker, true)
	n.until(fmt.Sprintf("%q to be told in %q", marker, room), func() (bool, string) {
		for _, p := range n.recorder.in(room) {
			if p.From == marker && p.Kind == fanout.MemberJoined {
				return true, ""
			}
		}
		return false, "not heard"
	})
}

const markerPrefix = "~marker."

// told returns what was heard in room of its members, such as "+alice" and "-bob", without the markers.
func (n *presenceNode) told(room string) []string {
	var told []string
	for _, p := range n.recorder.in(room) {
		if len(p.From) >= len(markerPrefix) && p.From[:len(markerPrefix)] == markerPrefix {
			continue
		}
		switch p.Kind {
		case fanout.MemberJoined:
			told = append(told, "+"+p.From)
		case fanout.MemberLeft:
			told = append(told, "-"+p.From)
		default:
			told = append(told, fmt.Sprintf("kind %d of %s", p.Kind, p.From))
		}
		if len(p.Data) > 0 || p.Position != (fanout.Position{}) {
			n.t.Errorf("%q was told of %q with data %q, position %v", room, p.From, p.Data, p.Position)
		}
	}
	return told
}

// checkTold checks what was heard until now, in this order.
func (n *presenceNode) checkTold(room string, want ...string) {
	n.t.Helper()
	if got := n.told(room); !slices.Equal(got, want) {
		n.t.Errorf("%s: %q was told %q, want %q", n.name, room, got, want)
	}
}

// waitTold waits until just this was heard, in this order.
func (n *presenceNode) waitTold(room string, want ...string) {
	n.t.Helper()
	n.until(fmt.Sprintf("%q to be told %q", room, want), func() (bool, string) {
		got := n.told(room)
		return slices.Equal(got, want), fmt.Sprintf("%q", got)
	})
}

// present is short for a user with connections.
func present(user string, connections int) fanout.PresentUser {
	return fanout.PresentUser{User: user, Connections: connections}
}

// mustBeClosed checks that a Users of a presence that is not open says so.
func mustBeClosed(t *testing.T, b *presenceBench, p fanout.Presence) {
	t.Helper()
	done := newOutcome()
	p.Users("closed", 10, func(_ []fanout.PresentUser, _ int, err error) { done.tell(err) })
	if err := done.mustCome(t, "Users"); !errors.Is(err, fanout.ErrClosed) {
		t.Errorf("Users: %v, want ErrClosed", err)
	}
	b.last = append(b.last, func() { done.checkOnce(t, "Users") })
}
