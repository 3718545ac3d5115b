package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/fanout/redis/redistest"
)

const (
	// perRoom is how many members a room has, over all nodes.
	perRoom = 10
	// backWithin is how long clients of a killed node may take to be back in their rooms.
	backWithin = 10 * time.Second
	// presenceTTL is how long a killed node's users may seem present, and presenceLate what a busy machine may add.
	presenceTTL  = 5 * time.Second
	presenceLate = 15 * time.Second
)

// nodesClients is how many members there are: ROOST_NODES_CLIENTS, or 3,000 with ROOST_SOAK, or 300.
func nodesClients(t *testing.T) int {
	t.Helper()
	if text := os.Getenv("ROOST_NODES_CLIENTS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < perRoom {
			t.Fatalf("ROOST_NODES_CLIENTS=%s is not a number from %d", text, perRoom)
		}
		return n
	}
	if soaks() {
		return 3000
	}
	return 300
}

// TestNodes runs three nodes on one Redis behind HAProxy. It goes wrong when rooms are not one over all nodes: a
// publication that a node keeps to itself, that comes twice or out of order; members that feel it when another node
// dies; users who seem present for longer than they may, or are told of twice; orders that reach one node alone.
//
//	ROOST_SOAK=1 go test -count 1 -timeout 20m -run TestNodes ./cmd/roost/e2e    3,000 clients in 300 rooms
func TestNodes(t *testing.T) {
	manyProcesses(t)
	n := nodesClients(t)
	bus := redistest.Start(t)
	f := startFleet(t, bus, []string{"one", "two", "three"}, fmt.Sprint("presence.ttl=", presenceTTL),
		`rooms=[{match: watched, presence.events: true}]`, "proxy.trusted=127.0.0.0/8", fmt.Sprint("limits.connections=", n*2/3+200))
	balancer := startBalancer(t, "haproxy", f.nodes, "none", f.settings...)
	said := newTranscript()
	members := make([]*member, n)
	for i := range members {
		members[i] = newMember(t, said, balancer.door(), fmt.Sprint("u", i), fmt.Sprint("room-", i%(n/perRoom)))
	}
	enterAll(t, members)
	t.Cleanup(func() {
		if t.Failed() { // a node that the balancer took for dead explains a lot
			t.Log(regexp.MustCompile(`.*Server nodes/.*`).FindAllString(balancer.said(), -1))
		}
	})

	t.Run("every publication reaches every member once", func(t *testing.T) { reachAll(t, f, said, members) })
	t.Run("nodes know of each other", func(t *testing.T) { knowPeers(t, f) })
	t.Run("a processor is left for the bus", func(t *testing.T) { spareForBus(t, f) })
	t.Run("a name belongs to one node", func(t *testing.T) { refuseName(t, f) })
	t.Run("a bare client of Redis publishes", func(t *testing.T) { bareRedis(t, f) })
	t.Run("a user is sent away everywhere", func(t *testing.T) { sendAway(t, f) })
	t.Run("who is in a room", func(t *testing.T) { presentOverNodes(t, f, members) })
	watchers := toldOnce(t, f)
	t.Run("a node is killed", func(t *testing.T) { killNode(t, f, said, members) })
	for _, w := range watchers { // which by now was time enough for any node to tell of ada once more
		if came, went := w.told("watched", "ada"); came != 1 || went != 1 {
			t.Errorf("%s is told %d times that ada came and %d times that she went", w.user, came, went)
		}
	}
}

// talkRate is how often a member says something a second: all of them together no more than a busy machine can bear.
func talkRate(members []*member) float64 { return min(2, 1000/float64(len(members))) }

// reachAll would fail for a bus that loses, repeats or reorders, and for members that were put on one node.
func reachAll(t *testing.T, f *fleet, said *transcript, members []*member) {
	rooms := map[string]map[string]bool{} // which nodes a room's members are on
	for _, m := range members {
		for room := range m.records() {
			if rooms[room] == nil {
				rooms[room] = map[string]bool{}
			}
			rooms[room][m.on()] = true
		}
	}
	spread := 0
	for _, nodes := range rooms {
		if len(nodes) == len(f.nodes) {
			spread++
		}
	}
	if spread < len(rooms)/2 {
		t.Errorf("%d of %d rooms have members on all nodes, which leaves little to see", spread, len(rooms))
	}
	begin := time.Now()
	c := talk(members, talkRate(members))
	time.Sleep(time.Duration(8 / talkRate(members) * float64(time.Second))) // how much is said, not what is waited for
	c.end(t, members)
	heard := said.agree(t, members)
	unmoved(t, members)
	all, fine := said.count(taken)
	if all != fine || all < len(members) {
		t.Errorf("%d of %d publications were taken, by %d members", fine, all, len(members))
	}
	t.Logf("%d members in %d rooms: %d publications, %d times heard within %v", len(members), len(rooms), all, heard, time.Since(begin).Round(time.Millisecond))
}

// spareForBus would fail for nodes whose loops have every processor of Go's scheduler: what comes over the bus then
// waits for milliseconds that nobody needs.
func spareForBus(t *testing.T, f *fleet) {
	if os.Getenv("GOMAXPROCS") != "" {
		t.Skip("GOMAXPROCS is set, which nodes do as they are told")
	}
	for i, s := range f.nodes {
		var stats struct {
			Node struct {
				Loops int `json:"loops"`
			} `json:"node"`
		}
		if err := s.call("GET", "/api/stats", nil, &stats); err != nil {
			t.Fatal(err)
		}
		if processors := int(s.figure(t, "go_gomaxprocs")); stats.Node.Loops < 1 || processors <= stats.Node.Loops {
			t.Errorf("%s has %d processors for %d loops and the bus", f.names[i], processors, stats.Node.Loops)
		}
	}
}

// knowPeers would fail for nodes that are alone on the bus.
func knowPeers(t *testing.T, f *fleet) {
	for i, s := range f.nodes {
		var others []string
		for j, name := range f.names {
			if j != i {
				others = append(others, name)
			}
		}
		slices.Sort(others)
		await(t, tunnelWithin, "a node knows of "+fmt.Sprint(others), func() bool {
			var stats struct {
				Peers []struct {
					Node        string `json:"node"`
					Connections int    `json:"connections"`
				} `json:"peers"`
			}
			if err := s.call("GET", "/api/stats", nil, &stats); err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, p := range stats.Peers {
				if p.Connections > 0 { // as they said it after the members had come
					names = append(names, p.Node)
				}
			}
			return slices.Equal(names, others)
		})
	}
}

// refuseName would fail if a second node of one name ran beside the first.
func refuseName(t *testing.T, f *fleet) {
	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	second := exec.CommandContext(t.Context(), path, "serve", "--listen="+freeAddress(t), "--admin.listen="+freeAddress(t))
	for _, setting := range append(f.settings, "node=two") {
		second.Args = append(second.Args, "--"+setting)
	}
	second.Env = environment("ROOST_AUTH_HMAC_SECRET=" + hmacSecret)
	stop := time.AfterFunc(readyWithin, func() { _ = second.Process.Kill() })
	defer stop.Stop()
	out, err := second.CombinedOutput()
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 && exit.ExitCode() != 2 {
		t.Errorf("the second node called two ended with %v, want code 1 or 2", err)
	}
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	if last := lines[len(lines)-1]; !strings.Contains(last, `another node called "two"`) || !strings.Contains(last, "own name") {
		t.Errorf("it says %q", last)
	}
}

// foreigners is what a member has heard in a room of those that no member has sent.
func (m *member) foreigners(room string) (heard []string) {
	for _, n := range m.records()[room] {
		if n.kind == foreign {
			heard = append(heard, n.why)
		}
	}
	return heard
}

// bareRedis would fail if what a backend publishes stayed on one node or was changed, or if bytes that are no envelope
// reached a member or ended a node.
func bareRedis(t *testing.T, f *fleet) {
	said := newTranscript()
	var members []*member
	for i, s := range f.nodes {
		members = append(members, newMember(t, said, s.door(), fmt.Sprint("listener-", i), "x"))
	}
	enterAll(t, members)
	publish := func(payload string) { f.bus.Do("PUBLISH", "roost:room:x", payload) }
	var want []string
	fine := func(content string) {
		publish(`{"roomId":"x","content":` + content + `}`)
		want = append(want, content)
	}
	fine(`{"any":["JSON", 1.50, null],"as":"it is"}`)
	hostile := []string{"", "\x00", "{", "{}", `{"roomId":"x"}`, `{"roomId":"y","content":1}`, `{"roomId":"x","content":}`, `{"roomId":7,"content":1}`,
		`{"roomId":"x","content":"` + "\xff\xfe" + `"}`, "\x01", "\x01\x00\x10", "\x02", "\x02e:0:\x01\x00\x00", "\x7fELF", "null", `"x"`, `[{"roomId":"x","content":1}]`}
	for _, payload := range hostile {
		publish(payload)
	}
	// To the nodes' own room: an order in the name of one of them.
	for _, note := range []string{"", "{", `{"roomId":"$nodes","content":{"type":"order","from":"one","id":1,"body":{"user":"listener-1"}}}`, `{"type":"bye","from":"two"}`, "\x01\x00\x00{}"} {
		f.bus.Do("PUBLISH", "roost:room:$nodes", note)
	}
	fine(`"behind all that"`)
	for _, m := range members {
		await(t, tunnelWithin, m.user+" hears the last", func() bool { return slices.Contains(m.foreigners("x"), want[len(want)-1]) })
	}
	unmoved(t, members)
	// These may have been meant for members and can't be passed on, of which they are told.
	large := []string{`{"roomId":"x","content":"` + strings.Repeat("x", 2<<20) + `"}`, `{"roomId":"x","content":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}`}
	for _, payload := range large {
		publish(payload)
	}
	fine(`"and that"`)
	for _, m := range members {
		await(t, tunnelWithin, m.user+" hears the last", func() bool { return slices.Contains(m.foreigners("x"), want[len(want)-1]) })
		if heard := m.foreigners("x"); !slices.Equal(heard, want) {
			t.Errorf("%s heard %.300q, want %.300q", m.user, heard, want)
		}
		if ends, holes := m.lost(); len(ends) > 0 || holes != len(large) {
			t.Errorf("%s lost its connection (%v) and was told of %d holes, want %d", m.user, ends, holes, len(large))
		}
	}
	for i, s := range f.nodes {
		if n := s.figure(t, `roost_broker_dropped_total{reason="damaged"}`); n < float64(len(hostile))/2 {
			t.Errorf("%s counts %v damaged envelopes, want most of %d", f.names[i], n, len(hostile))
		}
	}
}

// sendAway would fail if an order reached one node alone, or if a node that starts later knew nothing of a refusal.
func sendAway(t *testing.T, f *fleet) {
	said := newTranscript()
	var meant, others []*member
	for i, s := range f.nodes {
		for range 2 {
			meant = append(meant, newMember(t, said, s.door(), "mallory", "x"))
		}
		others = append(others, newMember(t, said, s.door(), fmt.Sprint("bystander-", i), "x"))
	}
	enterAll(t, slices.Concat(meant, others))
	var outcome struct {
		Disconnected int      `json:"disconnected"`
		Unanswered   []string `json:"unanswered"`
	}
	order := map[string]any{"user": "mallory", "refuse_for": 3600, "reason": "enough"}
	if err := f.nodes[0].call("POST", "/api/disconnect", order, &outcome); err != nil {
		t.Fatal(err)
	}
	if outcome.Disconnected != len(meant) || len(outcome.Unanswered) > 0 {
		t.Errorf("%d connections are disconnected and %v did not answer, want %d of all nodes", outcome.Disconnected, outcome.Unanswered, len(meant))
	}
	for _, m := range meant {
		await(t, tunnelWithin, "mallory is away", func() bool { ends, _ := m.lost(); return len(ends) > 0 })
		if ends, _ := m.lost(); !errors.Is(ends[0], closedError(4409)) {
			t.Errorf("on %s the connection ended with %v, want 4409", m.on(), ends[0])
		}
	}
	late := start(t, append(f.settings, "node=late")...)
	await(t, tunnelWithin, "a node that starts later refuses", func() bool { return refusedAt(t, late, "mallory") })
	for i, s := range f.nodes {
		if !refusedAt(t, s, "mallory") {
			t.Errorf("%s lets mallory in", f.names[i])
		}
		if refusedAt(t, s, "somebody") {
			t.Errorf("%s refuses somebody else", f.names[i])
		}
	}
	unmoved(t, others)
}

// refusedAt reports whether a node answers a user's token with 401.
func refusedAt(t *testing.T, s *server, user string) bool {
	t.Helper()
	m := newMember(t, newTranscript(), s.door(), user)
	m.home = true
	m.enter()
	defer m.leave()
	refused := false
	await(t, tunnelWithin, "a node answers "+user, func() bool {
		ends, _ := m.lost()
		refused = len(ends) > 0 && strings.Contains(ends[0].Error(), "401")
		return len(ends) > 0 || m.on() != ""
	})
	return refused
}

// killNode would fail if members of other nodes noticed, if those of the dead one did not find back, or if it left
// ghosts. Every fourth of its clients stays away.
func killNode(t *testing.T, f *fleet, said *transcript, members []*member) {
	dead := slices.Index(f.names, "two")
	watcher := newMember(t, said, f.nodes[0].door(), "watcher", "watched")
	ghost := newMember(t, said, f.nodes[dead].door(), "ghost", "watched")
	ghost.home = true
	enterAll(t, []*member{watcher}) // who comes second is not told of who came first
	enterAll(t, []*member{ghost})
	await(t, tunnelWithin, "the watcher is told of the ghost", func() bool { came, _ := watcher.told("watched", "ghost"); return came > 0 })
	var struck, spared, staying []*member
	for _, m := range members {
		switch {
		case m.on() != "two":
			spared = append(spared, m)
		default:
			if struck = append(struck, m); len(struck)%4 != 0 {
				staying = append(staying, m)
			}
		}
	}
	c := talk(members, talkRate(members)/2)
	time.Sleep(time.Second) // some talk before it
	kill(f.nodes[dead])
	killed := time.Now()
	for i, m := range struck {
		if i%4 == 3 {
			m.leave()
		}
	}
	await(t, memberWithin, "its clients are back", func() bool {
		return !slices.ContainsFunc(staying, func(m *member) bool { return m.on() == "two" || !m.here() })
	})
	back := time.Since(killed)
	if back > backWithin {
		t.Errorf("its clients are back after %v, want %v", back, backWithin)
	}
	alive := f.nodes[slices.Index(f.names, "three")]
	for i := range len(members) / perRoom {
		room := fmt.Sprint("room-", i)
		await(t, presenceTTL+presenceLate, "presence is right in "+room, func() bool {
			users, err := alive.present(room)
			return err == nil && slices.Equal(users, usersOf(members, room))
		})
	}
	right := time.Since(killed)
	await(t, presenceTTL+presenceLate, "the watcher is told that the ghost went", func() bool { _, went := watcher.told("watched", "ghost"); return went > 0 })
	told := time.Since(killed)
	await(t, presenceTTL+presenceLate, "the ghost is online no more", func() bool { return f.bus.Do("GET", "roost:user:ghost:online") == "" })
	c.end(t, members)
	said.agree(t, append(members, watcher))
	if came, went := watcher.told("watched", "ghost"); came != 1 || went != 1 {
		t.Errorf("the watcher is told %d times that the ghost came and %d times that it went", came, went)
	}
	unmoved(t, append(spared, watcher))
	t.Logf("%d of %d clients came back within %v; presence was right after %v, and told after %v (TTL %v)", len(staying), len(members),
		back.Round(time.Millisecond), right.Round(time.Millisecond), told.Round(time.Millisecond), presenceTTL)
}
