package fanouttest

// The cases about subscriptions: silence without one, and that the last of many calls decides.

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/roost-ws/roost/fanout"
)

func silentUnlessSubscribed(t *testing.T, b *bench) {
	n := b.start()
	n.subscribe("silent.fence")
	for i := range 100 {
		n.publish("silent.never", strconv.Itoa(i))
		n.publish("silent.fence", strconv.Itoa(i))
	}
	n.recorder.waitFor(t, "silent.fence", "99")
	b.atEnd(func() {
		if got := n.recorder.texts("silent.never"); len(got) > 0 {
			t.Errorf("a room nobody subscribed to heard %q", got)
		}
	})
}

func silentAfterUnsubscribe(t *testing.T, b *bench) {
	n := b.start()
	n.subscribe("until.fence", "until.a", "until.b")
	n.publish("until.a", "while subscribed")
	n.recorder.waitFor(t, "until.a", "while subscribed")
	n.Unsubscribe("until.a")
	n.Unsubscribe("until.never")
	goesSilent(t, b, n, "until.fence", "until.a", "until.never")
	n.publish("until.b", "others go on")
	n.recorder.waitFor(t, "until.b", "others go on")
}

// goesSilent publishes in the rooms, round by round, until nothing of many rounds in a row has arrived. Each round
// ends with a publication in fence, which is subscribed, and its arrival. An unsubscribed room may hear what was on
// its way, so the count begins anew with each arrival; the quiet rounds are looked at again when all is closed.
func goesSilent(t *testing.T, b *bench, n *node, fence string, rooms ...string) {
	t.Helper()
	const quietRounds = 20
	late := time.Now().Add(patience)
	heard := func() (count int) {
		for _, room := range rooms {
			count += len(n.recorder.in(room))
		}
		return count
	}
	quiet, before := 0, heard()
	for round := 0; quiet < quietRounds; round++ {
		for _, room := range rooms {
			n.publish(room, "nobody is to hear this")
		}
		mark := fmt.Sprintf("round %d of %v", round, rooms)
		n.publish(fence, mark)
		n.recorder.waitFor(t, fence, mark)
		if now := heard(); now != before {
			quiet, before = 0, now
		} else {
			quiet++
		}
		if time.Now().After(late) {
			t.Fatalf("%v are heard long after Unsubscribe", rooms)
		}
	}
	b.atEnd(func() {
		if now := heard(); now != before {
			t.Errorf("%v heard %d publications after many silent rounds", rooms, now-before)
		}
	})
}

// A Subscribe right behind an Unsubscribe ends subscribed, and the other way round.
func lastCallDecides(t *testing.T, b *bench) {
	n := b.start()
	n.subscribe("last.fence")
	for i := range 100 {
		room := fmt.Sprintf("last.on.%d", i)
		n.subscribe(room)
		n.Unsubscribe(room)
		n.subscribe(room)
		n.publish(room, "on")
		n.recorder.wait(t, room, 1)
	}
	if b.deliversAll {
		return
	}
	var off []string
	for i := range 10 {
		room := fmt.Sprintf("last.off.%d", i)
		n.subscribe(room)
		n.Unsubscribe(room)
		n.subscribe(room)
		n.Unsubscribe(room)
		off = append(off, room)
	}
	goesSilent(t, b, n, "last.fence", off...)
}

// Several goroutines, each with its own rooms, subscribe and unsubscribe while others publish; the last call for a
// room decides.
func churnEndsRight(t *testing.T, b *bench) {
	const goroutines, rooms, turns = 8, 8, 30
	n := b.start()
	n.subscribe("churn.fence")
	name := func(goroutine, room int) string { return fmt.Sprintf("churn.%d.%d", goroutine, room) }
	var on, off []string
	var mu sync.Mutex
	var churn, noise sync.WaitGroup
	stop := make(chan struct{})
	noise.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			p := &fanout.Publication{Room: name(i%goroutines, i/goroutines%rooms), Data: []byte("noise")}
			if err := n.tryPublish(p); err != nil {
				t.Errorf("Publish: %v", err)
				return
			}
		}
	})
	for goroutine := range goroutines {
		churn.Go(func() {
			var mine [rooms]bool
			random := rand.New(rand.NewPCG(uint64(goroutine), 1)) // #nosec G404: the churn repeats
			for range turns * rooms {
				i := random.IntN(rooms)
				if mine[i] = !mine[i]; mine[i] {
					done := newOutcome()
					n.Subscribe(name(goroutine, i), done.tell)
					if err := done.wait(); err != nil {
						t.Errorf("Subscribe: %v", err)
						return
					}
				} else {
					n.Unsubscribe(name(goroutine, i))
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for i, subscribed := range mine {
				if subscribed {
					on = append(on, name(goroutine, i))
				} else {
					off = append(off, name(goroutine, i))
				}
			}
		})
	}
	within(t, "churn", churn.Wait)
	close(stop)
	within(t, "Publish", noise.Wait)
	for _, room := range on {
		n.publish(room, "after the churn")
	}
	for _, room := range on {
		n.recorder.waitFor(t, room, "after the churn")
	}
	if !b.deliversAll {
		slices.Sort(off)
		goesSilent(t, b, n, "churn.fence", off...)
	}
}
