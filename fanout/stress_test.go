package fanout_test

// The Router between real goroutines: loops that join and leave at random, over a bus that answers late and
// sometimes refuses.

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roost-ws/roost/fanout"
)

// mail is one thing a loop is told.
type mail struct {
	room      string
	err       error // of a Ready
	delivered int64 // the publication's Time; 0 for a Ready
}

// mailLoops hands what it is told to one channel for each loop, as an engine's mailboxes do.
type mailLoops []chan mail

func (m mailLoops) Deliver(loops fanout.LoopSet, p *fanout.Publication) {
	for loop := loops.Next(-1); loop >= 0; loop = loops.Next(loop) {
		m[loop] <- mail{room: p.Room, delivered: p.Time}
	}
}
func (m mailLoops) Ready(room string, loop int, err error)      { m[loop] <- mail{room: room, err: err} }
func (m mailLoops) Gap(fanout.LoopSet, string, fanout.Position) {}

func TestRouterBetweenGoroutines(t *testing.T) {
	const loops, rooms, turns = 6, 5, 150
	for _, linger := range []time.Duration{0, 3 * time.Millisecond} {
		t.Run(fmt.Sprintf("linger %v", linger), func(t *testing.T) {
			defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
			shared := &bus{rooms: map[string]map[*busNode]bool{}}
			node := newBusNode(shared)
			node.refuse = func(string) error {
				if rand.IntN(10) == 0 {
					return errRefused
				}
				return nil
			}
			boxes := make(mailLoops, loops)
			for i := range boxes {
				boxes[i] = make(chan mail, loops*turns*4) // never full: the bus goroutines must not block
			}
			router := fanout.NewRouter(node, boxes, fanout.RouterOptions{Linger: linger})
			if err := router.Start(); err != nil {
				t.Fatal(err)
			}
			var all sync.WaitGroup
			for loop := range loops {
				all.Go(func() {
					for turn := range turns {
						room := fmt.Sprintf("stress.%d", rand.IntN(rooms))
						if err := joinPublishLeave(router, boxes[loop], room, loop, turn); err != nil {
							t.Errorf("loop %d, turn %d: %v", loop, turn, err)
							return
						}
					}
				})
			}
			all.Wait()
			if n := router.Rooms(); n != 0 {
				t.Errorf("%d rooms are wanted after all were dropped", n)
			}
			eventually(t, "the bus to be left", func() bool { return len(shared.subscribedRooms()) == 0 })
			if stats := router.Stats(); stats.Subscribed != stats.Unsubscribed || stats.Lingering != 0 {
				t.Errorf("in the end %+v, want as many unsubscribed as subscribed", stats)
			}
			if err := router.Close(); err != nil {
				t.Error(err)
			}
			for loop, box := range boxes {
				for len(box) > 0 {
					if m := <-box; m.delivered == 0 {
						t.Errorf("loop %d was told Ready(%s, %v) once more than it asked", loop, m.room, m.err)
					}
				}
			}
		})
	}
}

// joinPublishLeave is one turn of a loop: once it is told that publications flow, it must hear its own.
func joinPublishLeave(router *fanout.Router, box chan mail, room string, loop, turn int) error {
	ready, err := router.Want(room, loop)
	if !ready && err == nil {
		m, waitErr := await(box, func(m mail) bool { return m.delivered == 0 })
		if waitErr != nil {
			return fmt.Errorf("Ready of %s: %w", room, waitErr)
		}
		if m.room != room {
			return fmt.Errorf("Ready of %s, but %s was asked for", m.room, room)
		}
		err = m.err
	}
	if err != nil {
		return nil // refused, as one in ten is
	}
	stamp := int64(turn)<<8 | int64(loop) | 1<<40
	router.Publish(&fanout.Publication{Room: room, Time: stamp}, nil)
	if _, err = await(box, func(m mail) bool { return m.delivered == stamp }); err != nil {
		return fmt.Errorf("its own publication in %s: %w", room, err)
	}
	router.Drop(room, loop)
	return nil
}

// await takes mail until one is as wanted. A Ready that is not waited for is an error, for nothing was asked.
func await(box chan mail, wanted func(mail) bool) (mail, error) {
	late := time.After(10 * time.Second)
	for {
		select {
		case m := <-box:
			if wanted(m) {
				return m, nil
			}
			if m.delivered == 0 {
				return m, fmt.Errorf("an answer nobody waits for: Ready(%s, %v)", m.room, m.err)
			}
		case <-late:
			return mail{}, fmt.Errorf("it did not come")
		}
	}
}

// eventually waits for what other goroutines bring about on their own.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for late := time.Now().Add(10 * time.Second); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}
