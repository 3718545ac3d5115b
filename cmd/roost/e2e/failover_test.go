package e2e

// A server of the bus is followed by another: a replica that is promoted, the next master of a slot, itself with what it
// had written down. The rooms that it had go on with the next one, half of them with a history.

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/fanout/redis"
	"github.com/roost-ws/roost/fanout/redis/redistest"
)

// positionsSurvive says that a room's positions count on when another server follows, so that in rooms with a history
// nothing that was acknowledged may be missing, and nobody is told of a hole. Without it a room's stream begins anew,
// and its members are told.
const positionsSurvive = false

const (
	// followedRooms is in how many rooms members are, and followedRate how often each says something a second.
	followedRooms = 200
	followedRate  = 40
	// keepsHistory is what the rooms begin with that have one.
	keepsHistory = "kept."
)

// startFollowed starts two nodes on the bus at url.
func startFollowed(t *testing.T, url string) *pair {
	t.Helper()
	rooms := make([]string, followedRooms)
	for i := range rooms {
		if rooms[i] = fmt.Sprint("plain.", i); i%2 == 0 {
			rooms[i] = fmt.Sprint(keepsHistory, i)
		}
	}
	f := startFleetAt(t, url, pairNames, `rooms=[{match: "`+keepsHistory+`*", history.size: 1000}]`)
	p := newPair(t, f, rooms, followedRate)
	before, _ := p.said.count(taken)
	await(t, tunnelWithin, "a good deal is said", func() bool { all, _ := p.said.count(taken); return all > before+followedRooms })
	return p
}

// goesOn waits until all rooms are one over the nodes again, and fails the test if that is too long after since, when
// what had happened.
func (p *pair) goesOn(t *testing.T, what string, since time.Time) {
	t.Helper()
	p.connected(t)
	took := time.Since(since)
	if took > heardAgainWithin*fraction {
		t.Errorf("rooms are heard over the nodes again %v after %s, want %v", took, what, heardAgainWithin)
	}
	t.Logf("all rooms are heard again %v after %s", took.Round(time.Millisecond), what)
}

// followed ends a test in which so many times another server followed that of the rooms in touched. It goes wrong when a
// member lost its connection or something without being told; when it was told nothing in a room whose publications went
// nowhere for a while, or was told of a hole where nothing had happened.
func (p *pair) followed(t *testing.T, times int, touched func(room string) bool) {
	t.Helper()
	p.talking.end(t, p.members)
	heard := p.said.agree(t, p.members)
	told := p.undisturbed(t)
	var wrong []string
	for _, m := range p.members {
		for room, record := range m.records() {
			holes := 0
			for _, n := range record {
				if n.kind == hole {
					holes++
				}
			}
			kept := strings.HasPrefix(room, keepsHistory)
			switch {
			case touched(room) && !kept && holes < times:
				wrong = append(wrong, fmt.Sprintf("%s on %s was told of %d holes in %s, which lost its server %d times", m.user, m.on(), holes, room, times))
			case touched(room) && kept && holes > 0 && positionsSurvive:
				wrong = append(wrong, fmt.Sprintf("%s on %s was told of %d holes in %s, which has a history", m.user, m.on(), holes, room))
			case !touched(room) && holes > 0:
				wrong = append(wrong, fmt.Sprintf("%s on %s was told of %d holes in %s, to which nothing happened", m.user, m.on(), holes, room))
			}
		}
	}
	if positionsSurvive {
		wrong = append(wrong, p.forgotten(t)...)
	}
	for _, w := range wrong[:min(len(wrong), 10)] {
		t.Error(w)
	}
	if len(wrong) > 10 {
		t.Errorf("and %d more", len(wrong)-10)
	}
	all, fine := p.said.count(taken)
	t.Logf("%d of %d publications taken, %d refused, %d notes, %d holes told", fine, all, p.refusals("unavailable"), heard, told)
}

// forgotten says where a node's history of a room lacks anything that was taken, or has it twice or out of order.
func (p *pair) forgotten(t *testing.T) (wrong []string) {
	t.Helper()
	for _, node := range p.nodes {
		for room := range p.here {
			if !strings.HasPrefix(room, keepsHistory) {
				continue
			}
			var page struct {
				Messages []push `json:"messages"`
			}
			if err := node.call("GET", "/api/rooms/"+room+"/history?limit=1000", nil, &page); err != nil {
				t.Fatal(err)
			}
			record := []note{{kind: joined}}
			for _, message := range page.Messages {
				n := note{kind: heard, user: message.From}
				if err := json.Unmarshal(message.Data, &n.number); err != nil {
					t.Fatalf("the history of %s has %s of %q: %v", room, message.Data, message.From, err)
				}
				record = append(record, n)
			}
			if err := errors.Join(p.said.check(room, record)...); err != nil {
				wrong = append(wrong, fmt.Sprintf("%s, asked for a history: %v", node.address, err))
			}
		}
	}
	return wrong
}

// everywhere is all rooms.
func everywhere(string) bool { return true }

// TestSentinelFailover kills the master while everybody talks, lets it come back as a replica, and has the sentinels put
// it in charge again, as for maintenance.
func TestSentinelFailover(t *testing.T) {
	manyProcesses(t)
	t.Parallel() // it waits for most of its time
	g := redistest.StartSentinel(t)
	p := startFollowed(t, "redis+sentinel://"+g.Addresses()+"/"+g.Name)
	first, second := g.Servers[0], g.Servers[1]
	first.Kill()
	await(t, faultWithin, "the replica is promoted", second.IsMaster)
	p.goesOn(t, "the promotion", time.Now())
	first.Restart()
	await(t, faultWithin, "the old master follows the new one", first.Follows)
	losses := p.losses(t)
	g.FailOver()
	await(t, faultWithin, "the old master is the master again", first.IsMaster)
	promoted := time.Now() // until the nodes know, they are on one that is left without a word
	await(t, faultWithin, "both nodes have left the other one", func() bool { return p.losses(t) >= losses+2 })
	p.goesOn(t, "the second promotion", promoted)
	p.followed(t, 2, everywhere)
}

// TestRedisKeepsItsFile kills a Redis that writes down what it does, and starts it again with that.
func TestRedisKeepsItsFile(t *testing.T) {
	manyProcesses(t)
	t.Parallel() // it waits for most of its time
	bus := redistest.Start(t, "appendonly yes")
	p := startFollowed(t, "redis://"+bus.Addr)
	bus.Kill()
	before := p.refusals("unavailable")
	await(t, tunnelWithin, "what is said in rooms with a history is refused", func() bool { return p.refusals("unavailable") > before+10 })
	bus.Restart()
	p.goesOn(t, "its return", time.Now())
	p.followed(t, 1, everywhere)
}

// faultWithin bounds every wait for Redis's own part in a fault.
const faultWithin = 20 * time.Second

// TestClusterFailover kills one of three masters while everybody talks, and lets it come back as a replica. It goes
// wrong, too, if rooms of the other masters feel it.
func TestClusterFailover(t *testing.T) {
	manyProcesses(t)
	t.Parallel() // it waits for most of its time
	g := redistest.StartCluster(t, 3, 1)
	p := startFollowed(t, "redis+cluster://"+g.Addresses())
	layout := redis.NewLayout(redis.DefaultPrefix, true)
	victim := g.Owner(layout.Slot(layout.Part(keepsHistory + "0")))
	lost := map[int]bool{} // by part
	for part := range layout.Parts() {
		lost[part] = g.Owner(layout.Slot(part)) == victim
	}
	victim.Kill()
	await(t, faultWithin, "its replica is promoted", func() bool {
		owner := g.Owner(layout.Slot(layout.Part(keepsHistory + "0")))
		return owner != nil && owner != victim
	})
	p.goesOn(t, "the promotion", time.Now())
	victim.Restart()
	await(t, faultWithin, "the old master follows the new one", victim.Follows)
	p.goesOn(t, "the return of the old master", time.Now())
	p.followed(t, 1, func(room string) bool { return lost[layout.Part(room)] })
}

// TestSlotMoved moves a slot with rooms in it to another master and on to the third while everybody talks. It goes
// wrong, too, if rooms of other slots feel it.
func TestSlotMoved(t *testing.T) {
	manyProcesses(t)
	t.Parallel() // it waits for most of its time
	g := redistest.StartCluster(t, 3, 0)
	p := startFollowed(t, "redis+cluster://"+g.Addresses())
	layout := redis.NewLayout(redis.DefaultPrefix, true)
	moved := layout.Part(keepsHistory + "0")
	for _, which := range []string{"first", "second"} {
		g.Move(layout.Slot(moved))
		p.goesOn(t, "the "+which+" move", time.Now())
	}
	p.followed(t, 2, func(room string) bool { return layout.Part(room) == moved })
}
