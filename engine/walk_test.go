package engine

import (
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/fanout"
)

// TestMembersLeaveDuringWalk empties most of a room while it is being walked: the walk must go on with those who
// stay, and each of them hears everything once.
func TestMembersLeaveDuringWalk(t *testing.T) {
	s, addr := serve(t, func(o *Options) { o.Loops = 1 })
	const members, stay, publications = 2000, 100, 20
	child := enginetest.StartChild(t, "", enginetest.Spec{Addrs: []string{addr}, Connections: members, Path: "/raw/shrinking"})
	if stats, err := child.Open(0, 0, time.Minute); err != nil || stats.Open != members {
		t.Fatalf("%+v %v", stats, err)
	}
	for range publications {
		s.Publish("shrinking", []byte(`"x"`), fanout.JSON, nil)
	}
	if _, err := child.Close(stay, members, enginetest.CloseRST, time.Minute); err != nil {
		t.Fatal(err)
	}
	for range publications {
		s.Publish("shrinking", []byte(`"y"`), fanout.JSON, nil)
	}
	complete := func() bool {
		received, err := child.Received()
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range received[:stay] {
			if n != 2*publications {
				return false
			}
		}
		return true
	}
	if !comesTrue(complete) {
		received, _ := child.Received()
		t.Errorf("those who stayed received %v, want %d each", received[:stay], 2*publications)
	}
}
