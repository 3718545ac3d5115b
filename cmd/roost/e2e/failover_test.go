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
	p.talksOn(t)
	return p
}

// talksOn waits until as much more was acknowledged as there are rooms.
func (p *pair) talksOn(t *testing.T) {
	t.Helper()
	_, before := p.said.count(taken)
	await(t, tunnelWithin, "a good deal is said", func() bool { _, fine := p.said.count(taken); return fine > before+followedRooms })
}

// killAhead kills a master whose replica lacks what was acknowledged last.
func (p *pair) killAhead(t *testing.T, master, replica *redistest.Server) {
	t.Helper()
	replica.Pause() // so that it can't connect again
	master.Do("CLIENT", "KILL", "TYPE", "replica")
	p.talksOn(t)
	master.Kill()
	replica.Continue()
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

// restoredAgain waits until nodes have published again what a server lacked, beyond what they had before. Without that
// the fault lost nothing, and shows nothing.
func (p *pair) restoredAgain(t *testing.T, before float64) {
	t.Helper()
	await(t, tunnelWithin, "nodes publish again what the server lacks", func() bool { return p.restored(t) > before })
}

// restored is how much nodes published again.
func (p *pair) restored(t *testing.T) float64 {
	t.Helper()
	return p.sum(t, "roost_broker_restored_total")
}

// followed ends a test in which so many times another server followed that of the rooms in touched. It goes wrong when a
// member lost its connection; in a room with a history when anything that was acknowledged is missing, to a member or in
// the history, or a hole was told; in another one of those rooms when what is missing was not told, or nothing was; and
// when anybody was told of a hole where nothing had happened.
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
			case touched(room) && kept && holes > 0:
				wrong = append(wrong, fmt.Sprintf("%s on %s was told of %d holes in %s, which has a history", m.user, m.on(), holes, room))
			case !touched(room) && holes > 0:
				wrong = append(wrong, fmt.Sprintf("%s on %s was told of %d holes in %s, to which nothing happened", m.user, m.on(), holes, room))
			}
		}
	}
	wrong = append(wrong, p.forgotten(t)...)
	for _, w := range wrong[:min(len(wrong), 10)] {
		t.Error(w)
	}
	if len(wrong) > 10 {
		t.Errorf("and %d more", len(wrong)-10)
	}
	all, fine := p.said.count(taken)
	t.Logf("%d of %d publications taken, %d refused, %d restored, %d notes, %d holes told",
		fine, all, p.refusals("unavailable"), int(p.restored(t)), heard, told)
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

// TestSentinelFailover kills the master while everybody talks, when its replica is behind, lets it come back as a
// replica, and has the sentinels put it in charge again, as for maintenance.
func TestSentinelFailover(t *testing.T) {
	manyProcesses(t)
	t.Parallel() // it waits for most of its time
	g := redistest.StartSentinel(t)
	p := startFollowed(t, "redis+sentinel://"+g.Addresses()+"/"+g.Name)
	first, second := g.Servers[0], g.Servers[1]
	second.Matures()
	p.killAhead(t, first, second)
	await(t, faultWithin, "the replica is promoted", second.IsMaster)
	p.goesOn(t, "the promotion", time.Now())
	p.restoredAgain(t, 0)
	first.Restart()
	await(t, faultWithin, "the old master follows the new one", first.Follows)
	first.Matures()
	losses := p.losses(t)
	g.FailOver()
	await(t, faultWithin, "the old master is the master again", first.IsMaster)
	promoted := time.Now() // until the nodes know, they are on one that is left without a word
	await(t, faultWithin, "both nodes have left the other one", func() bool { return p.losses(t) >= losses+2 })
	p.goesOn(t, "the second promotion", promoted)
	p.followed(t, 2, everywhere)
}

// TestRedisKeepsItsFile kills a Redis that writes down what it does while everybody talks, and starts it again with that;
// then once more, with a file that lacks its end, as after a loss of power.
func TestRedisKeepsItsFile(t *testing.T) {
	manyProcesses(t)
	t.Parallel() // it waits for most of its time
	bus := redistest.Start(t, "appendonly yes")
	p := startFollowed(t, "redis://"+bus.Addr)
	for _, lost := range []int64{0, 20_000} { // some fifty publications
		p.talksOn(t)
		restored := p.restored(t)
		bus.Kill()
		before := p.refusals("unavailable")
		await(t, tunnelWithin, "what is said in rooms with a history is refused", func() bool { return p.refusals("unavailable") > before+10 })
		bus.LoseTail(lost)
		bus.Restart()
		p.goesOn(t, "its return", time.Now())
		if lost > 0 {
			p.restoredAgain(t, restored)
		}
	}
	p.followed(t, 2, everywhere)
}

// faultWithin bounds every wait for Redis's own part in a fault.
const faultWithin = 20 * time.Second

// TestClusterFailover kills one of three masters while everybody talks, when its replica is behind, and lets it come back
// as a replica. It goes wrong, too, if rooms of the other masters feel it.
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
	g.Replica(victim).Matures()
	p.killAhead(t, victim, g.Replica(victim))
	await(t, faultWithin, "its replica is promoted", func() bool {
		owner := g.Owner(layout.Slot(layout.Part(keepsHistory + "0")))
		return owner != nil && owner != victim
	})
	p.goesOn(t, "the promotion", time.Now())
	p.restoredAgain(t, 0)
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
	for _, s := range g.Servers {
		s.Matures()
	}
	for _, which := range []string{"first", "second"} {
		g.Move(layout.Slot(moved))
		p.goesOn(t, "the "+which+" move", time.Now())
	}
	p.followed(t, 2, func(room string) bool { return layout.Part(room) == moved })
}
