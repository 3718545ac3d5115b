package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/roost-ws/roost/fanout/redis/redistest"
)

const (
	// memberRooms is how many rooms a member is in, and roomMates how many members of a node a room has.
	memberRooms = 100
	roomMates   = 2
	// heardAgainWithin is how long rooms may take to be one over the nodes again once Redis is back, and
	// heardAgainLate what a busy machine may add.
	heardAgainWithin = 5 * time.Second
	heardAgainLate   = 15 * time.Second
	// awayLong is how long Redis is away in the long form: long enough for nodes to wait their longest between attempts.
	awayLong = 6 * time.Second
)

// faultRooms is how many rooms are on each node.
func faultRooms() int {
	if soaks() {
		return 10_000
	}
	return 1000
}

// restartRate is how often a member says something a second while Redis is restarted: in the long form less, since ten
// times as many members talk.
func restartRate() float64 {
	if soaks() {
		return 2
	}
	return 5
}

// pair is two nodes on one bus with the same rooms: each room has two members on each node, which tells what is
// carried by the bus from what stays on a node.
type pair struct {
	*fleet
	said    *transcript
	members []*member
	here    map[string][]*member // of each node, by room
	there   map[string][]*member
	talking *conversation
	calls   int // how often the rooms were called
}

// pairNames are its nodes.
var pairNames = []string{"here", "there"}

// startPair starts nodes, lets members into so many rooms, and has them talk.
func startPair(t *testing.T, bus *redistest.Server, rooms int, perSecond float64, settings ...string) *pair {
	t.Helper()
	names := make([]string, rooms)
	for i := range names {
		names[i] = fmt.Sprint("room-", i)
	}
	return newPair(t, startFleet(t, bus, pairNames, settings...), names, perSecond)
}

// newPair lets members into rooms on both nodes, and has them talk.
func newPair(t *testing.T, nodes *fleet, rooms []string, perSecond float64) *pair {
	t.Helper()
	p := &pair{fleet: nodes, said: newTranscript(), here: map[string][]*member{}, there: map[string][]*member{}}
	for names := range slices.Chunk(rooms, memberRooms) {
		for i := range 2 * roomMates {
			side, node := p.here, p.nodes[0]
			if i%2 == 1 {
				side, node = p.there, p.nodes[1]
			}
			m := newMember(t, p.said, node.door(), fmt.Sprintf("u%d-%d", len(p.members)/(2*roomMates), i), names...)
			p.members = append(p.members, m)
			for _, name := range names {
				side[name] = append(side[name], m)
			}
		}
	}
	enterAll(t, p.members)
	p.talking = talk(p.members, perSecond)
	return p
}

// heardFrom is the last number of user that m heard in room.
func (m *member) heardFrom(room, user string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	record := m.places[room].record
	for i := len(record) - 1; i >= 0; i-- {
		if record[i].kind == heard && record[i].user == user {
			return record[i].number
		}
	}
	return 0
}

const (
	// askedAtOnce is in how many rooms something is said every askEvery to find out whether it is heard, so that the asking
	// is no flood of its own; a room is asked again after askAgain.
	askedAtOnce = 250
	askEvery    = 50 * time.Millisecond
	askAgain    = 250 * time.Millisecond
)

// way is a room, and a member on either node.
type way struct {
	room     string
	from, to *member
	before   int // the last that was heard before Redis was back
	asked    time.Time
}

// connected waits until what is said in every room on either node is heard on the other.
func (p *pair) connected(t *testing.T) time.Duration {
	t.Helper()
	var open []*way
	for room, mates := range p.here {
		open = append(open, &way{room: room, from: mates[0], to: p.there[room][0]}, &way{room: room, from: p.there[room][0], to: mates[0]})
	}
	for _, w := range open {
		w.before = w.to.heardFrom(w.room, w.from.user)
	}
	begin := time.Now()
	asking := time.Duration(len(open)/askedAtOnce) * askEvery
	for {
		open = slices.DeleteFunc(open, func(w *way) bool { return w.to.heardFrom(w.room, w.from.user) > w.before })
		took := time.Since(begin)
		switch {
		case len(open) == 0:
			return max(0, took-asking)
		case took > heardAgainWithin+heardAgainLate+asking:
			t.Fatalf("%d rooms are not heard over the nodes %v after Redis is back, %s from %s to %s", len(open), took, open[0].room, open[0].from.user, open[0].to.user)
		}
		asked := 0
		for _, w := range open {
			if asked < askedAtOnce && time.Since(w.asked) > askAgain && w.from.publish(w.room) {
				w.asked = time.Now()
				asked++
			}
		}
		time.Sleep(askEvery)
	}
}

// heardLocally waits until what a member says is heard by another one of its node, while there is no bus.
func (p *pair) heardLocally(t *testing.T) {
	t.Helper()
	for _, side := range []map[string][]*member{p.here, p.there} {
		for _, room := range []string{"room-0", fmt.Sprint("room-", len(side)-1)} {
			from, to := side[room][0], side[room][1]
			before := to.heardFrom(room, from.user)
			await(t, tunnelWithin, "members of one node hear each other in "+room, func() bool {
				from.publish(room)
				return to.heardFrom(room, from.user) > before+3
			})
		}
	}
}

// refusals counts the sayings that were answered with a code.
func (p *pair) refusals(code string) (n int) {
	for _, m := range p.members {
		m.mu.Lock()
		n += m.codes["publish "+code]
		m.mu.Unlock()
	}
	return n
}

// undisturbed fails the test if a member lost its connection, and counts the holes that were told.
func (p *pair) undisturbed(t *testing.T) (holes int) {
	t.Helper()
	for _, m := range p.members {
		ends, told := m.lost()
		holes += told
		if len(ends) > 0 {
			t.Errorf("%s on %s lost its connection: %v", m.user, m.on(), ends)
		}
	}
	return holes
}

// TestRedisRestarts takes Redis away from nodes with many rooms and gives it back, five times, while everybody talks.
// It goes wrong when a client is disconnected or left in the belief that it heard everything, when members of one node
// can't talk meanwhile, and when a room does not come back, or not within five seconds of Redis.
//
// The time runs from Redis's first answer to a PING until the last member has heard, in the last of its rooms, what a
// backend published after that.
//
//	ROOST_SOAK=1 go test -count 1 -timeout 30m -run TestRedis ./cmd/roost/e2e    10,000 rooms on each node
func TestRedisRestarts(t *testing.T) {
	manyProcesses(t)
	for _, offline := range []string{"local", "refuse"} {
		t.Run(offline, func(t *testing.T) {
			bus := redistest.Start(t)
			p := startPair(t, bus, faultRooms(), restartRate(), "broker.offline="+offline)
			times := 5
			if offline == "refuse" && !soaks() {
				times = 2
			}
			var slowest time.Duration
			for range times {
				bus.Kill()
				if offline == "local" {
					p.heardLocally(t)
				} else {
					before := p.refusals("unavailable")
					await(t, tunnelWithin, "what is said is refused", func() bool { return p.refusals("unavailable") > before+10 })
				}
				if soaks() {
					time.Sleep(awayLong)
				}
				bus.Restart()
				slowest = max(slowest, p.called(t, time.Now())) // it has answered a PING
				p.connected(t)
			}
			p.talking.end(t, p.members)
			heard := p.said.agree(t, p.members)
			holes := p.undisturbed(t)
			if slowest > heardAgainWithin*fraction {
				t.Errorf("rooms hear the bus again %v after Redis is back, want %v", slowest, heardAgainWithin)
			}
			if holes < len(p.here) {
				t.Errorf("%d holes were told of %d rooms that lost Redis %d times", holes, len(p.here), times)
			}
			all, fine := p.said.count(taken)
			// What was on its way to Redis when it died may have been published or not, and is not said again.
			if refused := p.refusals("unavailable"); offline == "local" && refused > all/100 {
				t.Errorf("%d of %d publications were refused by nodes that stay local", refused, all)
			}
			t.Logf("%d rooms on each of two nodes, Redis killed %d times: %d of %d publications taken, %d notes, %d holes told; all rooms heard the bus again after at most %v",
				len(p.here), times, fine, all, heard, holes, slowest.Round(time.Millisecond))
		})
	}
}

// TestRedisBreaks cuts all connections to Redis five times while everybody talks in rooms that keep history. It goes
// wrong when anything that was taken is missing anywhere in the end, or anybody is told of a hole for nothing. Then it
// kills Redis, which begins every stream anew, whether it kept its data or not: the last of what it had acknowledged
// may not be among them. It goes wrong when a member is not told of that.
func TestRedisBreaks(t *testing.T) {
	manyProcesses(t)
	bus := redistest.Start(t)
	p := startPair(t, bus, faultRooms(), 5, "history.size=1000")
	var slowest time.Duration
	for range 5 {
		before := p.losses(t)
		for _, kind := range []string{"pubsub", "normal"} {
			bus.Do("CLIENT", "KILL", "TYPE", kind)
		}
		await(t, tunnelWithin, "both nodes have lost Redis", func() bool { return p.losses(t) >= before+2 })
		slowest = max(slowest, p.connected(t))
	}
	p.complete(t, slowest)
	if t.Failed() {
		return
	}
	p.talking = talk(p.members, 5)
	bus.Kill()
	before := p.refusals("unavailable")
	await(t, tunnelWithin, "what is said is refused", func() bool { return p.refusals("unavailable") > before+10 })
	bus.Restart()
	back := p.connected(t)
	p.talking.end(t, p.members)
	p.said.agree(t, p.members)
	if holes, want := p.undisturbed(t), len(p.members)*memberRooms; holes < want {
		t.Errorf("%d holes were told, want one for each room of each member, %d", holes, want)
	}
	t.Logf("all rooms heard again %v after a restart of Redis", back.Round(time.Millisecond))
}

// losses is how often nodes lost Redis.
func (p *pair) losses(t *testing.T) float64 {
	t.Helper()
	return p.sum(t, "roost_broker_losses_total")
}

// sum is a metric of all nodes together.
func (f *fleet) sum(t *testing.T, name string) (n float64) {
	t.Helper()
	for _, s := range f.nodes {
		n += s.figure(t, name)
	}
	return n
}

// complete ends a test with history, in which nobody was told of a hole and nothing is missing.
func (p *pair) complete(t *testing.T, slowest time.Duration) {
	t.Helper()
	p.talking.end(t, p.members)
	heard := p.said.agree(t, p.members)
	if holes := p.undisturbed(t); holes > 0 {
		t.Errorf("%d holes were told in rooms with history", holes)
	}
	all, fine := p.said.count(taken)
	t.Logf("%d rooms on each of two nodes: %d of %d publications taken, %d notes, nothing missing; all rooms heard again after at most %v",
		len(p.here), fine, all, heard, slowest.Round(time.Millisecond))
}

// TestRedisStalls stops Redis for three seconds, with so little room for what it owes a node that it cuts the node off
// when it goes on. It goes wrong in the same ways.
func TestRedisStalls(t *testing.T) {
	manyProcesses(t)
	for _, keep := range []int{0, 1000} {
		t.Run(fmt.Sprint("history of ", keep), func(t *testing.T) {
			bus := redistest.Start(t)
			p := startPair(t, bus, faultRooms()/5, 20, fmt.Sprint("history.size=", keep))
			var slowest time.Duration
			for range 2 {
				before := p.losses(t)
				bus.Do("CONFIG", "SET", "client-output-buffer-limit", "pubsub 4096 4096 1")
				bus.Pause()
				time.Sleep(3 * time.Second) // the stall itself
				bus.Continue()
				for again := time.Now().Add(time.Second); p.losses(t) == before && time.Now().Before(again); {
					time.Sleep(askEvery)
				}
				if p.losses(t) == before { // the nodes were quick enough, so it is done as Redis would have done it
					bus.Do("CLIENT", "KILL", "TYPE", "pubsub")
				}
				await(t, tunnelWithin, "a node is cut off", func() bool { return p.losses(t) > before })
				bus.Do("CONFIG", "SET", "client-output-buffer-limit", "pubsub 33554432 8388608 60") // what it is as installed
				slowest = max(slowest, p.connected(t))
			}
			if keep > 0 {
				p.complete(t, slowest)
				return
			}
			p.talking.end(t, p.members)
			heard := p.said.agree(t, p.members)
			holes := p.undisturbed(t)
			if holes == 0 {
				t.Error("nodes were cut off, and nobody was told of a hole")
			}
			all, fine := p.said.count(taken)
			t.Logf("%d of %d publications taken, %d notes; nodes were cut off %v times, %d holes told; all rooms heard again after at most %v",
				fine, all, heard, p.losses(t), holes, slowest.Round(time.Millisecond))
		})
	}
}
