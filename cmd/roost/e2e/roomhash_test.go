package e2e

import (
	"fmt"
	"slices"
	"testing"
)

const (
	hashedRooms = 1000 / fraction
	roomMembers = 3
	hashedNodes = 4
)

// roomsMeet sends the members of many rooms through a balancer that hashes rooms, and ends one of its nodes.
func roomsMeet(t *testing.T, program string) {
	settings := append([]string{"limits.connections=1500", "drain.grace=0s"}, believed[program]...)
	var nodes []*server
	for i := range hashedNodes {
		nodes = append(nodes, start(t, slices.Concat(prompt, settings, []string{fmt.Sprint("node=", i)})...))
	}
	b := startBalancer(t, program, nodes, "room", settings...)
	token := pass(t, "ada")
	path := func(i int) string { return fmt.Sprintf("/ws?room=room-%d", i%hashedRooms) }
	before := b.fill(t, hashedRooms*roomMembers, path, token)
	together, fullest := meeting(before)
	if together < 0.95 || fullest > 1.5 {
		t.Errorf("%.1f %% of the members meet, and the fullest node has %.2f of the mean", 100*together, fullest)
	}

	const gone = "2"
	kill(nodes[2])
	var orphans []int // members whose node is gone
	home := make(map[int]string, hashedRooms)
	for i, c := range before {
		if c.node == gone {
			orphans = append(orphans, i)
		} else if i < hashedRooms {
			home[i] = c.node
		}
	}
	held := 0
	for i, n := range nodes {
		if i != 2 {
			held += n.connections(t)
		}
	}
	if want := len(before) - len(orphans); held != want {
		t.Errorf("the nodes that are left hold %d tunnels, want %d", held, want)
	}
	again := b.fill(t, len(orphans), func(i int) string { return path(orphans[i]) }, token)
	after := slices.Clone(before)
	for i, c := range again {
		after[orphans[i]] = c
	}
	togetherAfter, fullestAfter := meeting(after)
	// Less, since those who come before the balancer has noticed are sent on to any node that answers.
	if togetherAfter < 0.9 || fullestAfter > 1.5 {
		t.Errorf("without a node %.1f %% of the members meet, and the fullest node has %.2f of the mean", 100*togetherAfter, fullestAfter)
	}
	var rooms []int
	for room := range home {
		if rooms = append(rooms, room); len(rooms) == hashedRooms*3/10 {
			break
		}
	}
	moved := 0
	for i, c := range b.fill(t, len(rooms), func(i int) string { return path(rooms[i]) }, token) {
		if c.node != home[rooms[i]] {
			moved++
		}
	}
	if moved > len(rooms)/20 {
		t.Errorf("%d of %d rooms of other nodes moved as well", moved, len(rooms))
	}
	t.Logf("%.1f %% of the members meet, fullest node %.2f of the mean; without a node %.1f %%, %.2f; %d of %d rooms of other nodes moved",
		100*together, fullest, 100*togetherAfter, fullestAfter, moved, len(rooms))
}

// meeting is the share of members on the node where most of their room is, and the clients of the fullest node as a
// multiple of the mean of those that have any.
func meeting(tunnels []*tunnel) (together, fullest float64) {
	nodes := map[string]int{}
	met := 0
	for room := range hashedRooms {
		members := map[string]int{}
		most := 0
		for i := room; i < len(tunnels); i += hashedRooms {
			node := tunnels[i].node
			nodes[node]++
			members[node]++
			most = max(most, members[node])
		}
		met += most
	}
	most := 0
	for _, n := range nodes {
		most = max(most, n)
	}
	return float64(met) / float64(len(tunnels)), float64(most*len(nodes)) / float64(len(tunnels))
}

// kill ends a node without a goodbye, which is then no failure of the test's.
func kill(s *server) {
	_ = s.process.Process.Kill()
	<-s.ended
	s.err = nil
}

// connections is how many clients a node has, by its metrics.
func (s *server) connections(t *testing.T) int {
	t.Helper()
	return int(s.figure(t, "roost_connections"))
}
