package auth

import (
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"
)

func TestEqualClaimsShareRights(t *testing.T) {
	v := fullVerifier(t)
	verify := func(rooms string) *Rights {
		identity, err := v.Verify([]byte(hs256(t, fmt.Sprintf(`{"sub":"a","exp":%d,%s}`, now.Unix()+60, rooms))))
		if err != nil {
			t.Fatal(err)
		}
		return identity.Rights
	}
	first := verify(`"rooms":["a","b.*"],"rooms_read":["c"]`)
	for _, same := range []string{
		`"rooms_read":["c"],"rooms":["b.*","a"]`,
		`"rooms":["a","a","b.*"],"rooms_read":["c","a"]`,
	} {
		if verify(same) != first {
			t.Errorf("%s has Rights of its own", same)
		}
	}
	for _, other := range []string{`"rooms":["a","b.*"]`, `"rooms":["a","b.*","c"]`, `"rooms_read":["a","b.*","c"]`} {
		if verify(other) == first {
			t.Errorf("%s has the Rights of another set", other)
		}
	}
	runtime.KeepAlive(first)
}

func TestUnusedRightsGoAway(t *testing.T) {
	table := newInternTable()
	kept := table.get("kept|")
	for i := range 1000 {
		table.get(fmt.Sprintf("room%d|", i))
	}
	// Cleanups run on a goroutine of the runtime's, some time after a collection.
	for deadline := time.Now().Add(10 * time.Second); table.size() > 1; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d sets are still there", table.size())
		}
		runtime.GC()
	}
	if table.get("kept|") != kept {
		t.Error("a set in use was forgotten")
	}
	if again := table.get("room7|"); !again.CanJoin([]byte("room7")) {
		t.Error("a set that comes back is wrong")
	}
	runtime.KeepAlive(kept)
}

// TestForgetSparesSuccessor runs the cleanup of a set whose place an equal one has taken.
func TestForgetSparesSuccessor(t *testing.T) {
	table := newInternTable()
	r := table.get("a|")
	table.forget("a|")
	if table.size() != 1 || table.get("a|") != r {
		t.Error("a late cleanup removed a set in use")
	}
	runtime.KeepAlive(r)
}

func TestInternConcurrently(t *testing.T) {
	table := newInternTable()
	var wait sync.WaitGroup
	for worker := range 4 {
		wait.Go(func() {
			for i := range 500 {
				key := fmt.Sprintf("room%d|", i%7)
				first := table.get(key)
				if first.key != key || table.get(key) != first {
					t.Error("not the same set twice")
				}
				if worker == 0 && i%100 == 0 {
					runtime.GC()
				}
			}
		})
	}
	wait.Wait()
}
