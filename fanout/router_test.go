package fanout_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/roost-ws/roost/fanout"
)

// table is a Router between a scripted broker and scripted loops.
type table struct {
	t      *testing.T
	broker *script
	loops  *scriptedLoops
	router *fanout.Router
}

// routerTest runs a test in a bubble in which time moves only by sleeping.
func routerTest(t *testing.T, linger time.Duration, run func(t *testing.T, x *table)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		x := &table{t: t, broker: newScript(), loops: &scriptedLoops{}}
		x.router = fanout.NewRouter(x.broker, x.loops, fanout.RouterOptions{Linger: linger})
		if err := x.router.Start(); err != nil {
			t.Fatal(err)
		}
		run(t, x)
		if err := x.router.Close(); err != nil && !errors.Is(err, fanout.ErrClosed) {
			t.Error(err)
		}
		for _, wrong := range x.broker.wrong {
			t.Error(wrong)
		}
	})
}

func (x *table) want(room string, loop int, ready bool, err error) {
	x.t.Helper()
	if gotReady, gotErr := x.router.Want(room, loop); gotReady != ready || !errors.Is(gotErr, err) {
		x.t.Errorf("Want(%s, %d) = %v, %v, want %v, %v", room, loop, gotReady, gotErr, ready, err)
	}
}

// calls checks what the broker was asked for since the last check.
func (x *table) calls(want ...string) {
	x.t.Helper()
	if got := x.broker.took(); !slices.Equal(got, want) {
		x.t.Errorf("the broker was asked for %q, want %q", got, want)
	}
}

// told checks what the loops were told since the last check.
func (x *table) told(want ...string) {
	x.t.Helper()
	if got := x.loops.took(); !slices.Equal(got, want) {
		x.t.Errorf("the loops were told %q, want %q", got, want)
	}
}

func (x *table) publish(room, data string) {
	x.router.Publish(&fanout.Publication{Room: room, Data: []byte(data)}, nil)
}

func TestRouter(t *testing.T) {
	cases := []struct {
		name   string
		linger time.Duration
		run    func(t *testing.T, x *table)
	}{
		{name: "all loops wait for one confirmation", run: func(_ *testing.T, x *table) {
			x.want("a", 3, false, nil)
			x.want("a", 200, false, nil)
			x.calls("subscribe a")
			x.told()
			x.broker.outcome("a", nil)
			x.told("ready a 3 <nil>", "ready a 200 <nil>")
			x.want("a", 4, true, nil)
			x.publish("a", "1")
			x.told("deliver a [3 4 200] 1")
			x.calls()
		}},
		{name: "a broker that confirms at once", run: func(_ *testing.T, x *table) {
			x.broker.answer = atOnce
			x.want("a", 1, true, nil)
			x.want("a", 2, true, nil)
			x.told()
		}},
		{name: "a broker that refuses at once", run: func(_ *testing.T, x *table) {
			x.broker.answer = failsOnce
			x.want("a", 1, false, errRefused)
			x.told()
			x.publish("a", "1")
			x.told()
			x.broker.answer = atOnce
			x.want("a", 1, true, nil)
			x.calls("subscribe a", "subscribe a")
		}},
		{name: "a failure reaches all who wait and the room is forgotten", run: func(t *testing.T, x *table) {
			x.want("a", 1, false, nil)
			x.want("a", 2, false, nil)
			x.broker.outcome("a", errRefused)
			x.told("ready a 1 refused by the bus", "ready a 2 refused by the bus")
			if n := x.router.Rooms(); n != 0 {
				t.Errorf("%d rooms, want 0", n)
			}
			x.publish("a", "1")
			x.router.Drop("a", 1)
			x.told()
			x.calls("subscribe a")
		}},
		{name: "asking again inside Ready", run: func(_ *testing.T, x *table) {
			x.want("a", 1, false, nil)
			x.want("a", 2, false, nil)
			x.loops.onReady = func(room string, loop int, err error) {
				if err != nil && loop == 1 {
					x.want(room, loop, false, nil)
				}
			}
			x.broker.outcome("a", errRefused)
			x.told("ready a 1 refused by the bus", "ready a 2 refused by the bus")
			x.calls("subscribe a", "subscribe a")
			x.broker.outcome("a", nil)
			x.publish("a", "1")
			x.told("ready a 1 <nil>", "deliver a [1] 1")
		}},
		{name: "leaving inside Ready", run: func(_ *testing.T, x *table) {
			x.want("a", 1, false, nil)
			x.want("a", 2, false, nil)
			x.loops.onReady = func(room string, _ int, _ error) {
				x.router.Drop(room, 1)
				x.router.Drop(room, 2)
			}
			x.broker.outcome("a", nil)
			x.told("ready a 1 <nil>")
			x.calls("subscribe a", "unsubscribe a")
		}},
		{name: "dropped while pending", run: func(_ *testing.T, x *table) {
			x.want("a", 1, false, nil)
			x.want("a", 2, false, nil)
			x.router.Drop("a", 1)
			x.broker.outcome("a", nil)
			x.told("ready a 2 <nil>")
			x.router.Drop("a", 2)
			x.calls("subscribe a", "unsubscribe a")
		}},
		{name: "dropped by all while pending", run: func(_ *testing.T, x *table) {
			x.want("a", 1, false, nil)
			x.router.Drop("a", 1)
			x.calls("subscribe a")
			x.broker.outcome("a", nil)
			x.told()
			x.calls("unsubscribe a")
		}},
		{name: "dropped and wanted again while pending", run: func(_ *testing.T, x *table) {
			x.want("a", 1, false, nil)
			x.router.Drop("a", 1)
			x.want("a", 1, false, nil)
			x.broker.outcome("a", nil)
			x.told("ready a 1 <nil>")
			x.calls("subscribe a")
		}},
		{name: "dropped by all while pending, and it fails", run: func(_ *testing.T, x *table) {
			x.want("a", 1, false, nil)
			x.router.Drop("a", 1)
			x.broker.outcome("a", errRefused)
			x.told()
			x.calls("subscribe a")
		}},
		{name: "wanted inside Unsubscribe", run: func(_ *testing.T, x *table) {
			x.broker.answer = atOnce
			x.want("a", 1, true, nil)
			x.broker.inUnsubscribe = func(room string) { x.want(room, 2, false, nil) }
			x.router.Drop("a", 1)
			x.calls("subscribe a", "unsubscribe a", "subscribe a")
			x.publish("a", "1")
			x.told("ready a 2 <nil>", "deliver a [2] 1")
		}},
		{name: "wanted and dropped inside Unsubscribe", run: func(_ *testing.T, x *table) {
			x.broker.answer = atOnce
			x.want("a", 1, true, nil)
			x.broker.inUnsubscribe = func(room string) {
				x.want(room, 2, false, nil)
				x.router.Drop(room, 2)
			}
			x.router.Drop("a", 1)
			x.calls("subscribe a", "unsubscribe a")
			x.told()
		}},
		{name: "lingers", linger: lingerTime, run: func(t *testing.T, x *table) {
			x.broker.answer = atOnce
			x.want("a", 1, true, nil)
			x.router.Drop("a", 1)
			x.publish("a", "nobody")
			x.told()
			time.Sleep(lingerTime - 1)
			synctest.Wait()
			x.calls("subscribe a")
			x.want("a", 2, true, nil)
			time.Sleep(3 * lingerTime)
			synctest.Wait()
			x.calls()
			x.router.Drop("a", 2)
			time.Sleep(lingerTime * 9 / 8)
			synctest.Wait()
			x.calls("unsubscribe a")
			if stats := x.router.Stats(); stats.Lingering != 0 || stats.Unsubscribed != 1 || stats.Unwanted != 1 {
				t.Errorf("stats %+v", stats)
			}
		}},
		{name: "each room lingers for itself", linger: lingerTime, run: func(_ *testing.T, x *table) {
			x.broker.answer = atOnce
			for _, room := range []string{"a", "b", "c"} {
				x.want(room, 1, true, nil)
			}
			x.calls("subscribe a", "subscribe b", "subscribe c")
			x.router.Drop("a", 1)
			time.Sleep(lingerTime / 2)
			x.router.Drop("b", 1)
			x.want("a", 1, true, nil)
			time.Sleep(lingerTime / 4)
			x.router.Drop("a", 1)
			time.Sleep(lingerTime * 7 / 8)
			synctest.Wait()
			x.calls("unsubscribe b")
			time.Sleep(lingerTime * 2 / 8)
			synctest.Wait()
			x.calls("unsubscribe a")
		}},
		{name: "lingers from its confirmation", linger: lingerTime, run: func(_ *testing.T, x *table) {
			x.want("a", 1, false, nil)
			x.router.Drop("a", 1)
			time.Sleep(2 * lingerTime)
			x.broker.outcome("a", nil)
			time.Sleep(lingerTime - 1)
			synctest.Wait()
			x.calls("subscribe a")
			time.Sleep(lingerTime/8 + 1)
			synctest.Wait()
			x.calls("unsubscribe a")
		}},
		{name: "a thousand linger, in any order", linger: lingerTime, run: func(t *testing.T, x *table) {
			x.broker.answer = atOnce
			names := make([]string, 1000)
			for i := range names {
				names[i] = fmt.Sprint("room.", i)
				x.want(names[i], 1, true, nil)
			}
			x.broker.took()
			for _, name := range names {
				x.router.Drop(name, 1)
			}
			var left []string
			for i, name := range names {
				if i%3 == 0 || i > 900 && i%2 == 0 {
					x.want(name, 2, true, nil)
				} else {
					left = append(left, "unsubscribe "+name)
				}
			}
			time.Sleep(lingerTime * 9 / 8)
			synctest.Wait()
			got := x.broker.took()
			slices.Sort(got)
			slices.Sort(left)
			if !slices.Equal(got, left) {
				t.Errorf("the broker was asked for %d things, want %d", len(got), len(left))
			}
			if stats := x.router.Stats(); stats.Lingering != 0 || stats.Rooms != len(names)-len(left) {
				t.Errorf("stats %+v", stats)
			}
		}},
		{name: "gaps", run: func(t *testing.T, x *table) {
			x.broker.answer = atOnce
			x.want("a", 1, true, nil)
			x.want("a", 9, true, nil)
			x.router.HandleGap("a", fanout.Position{Epoch: "e", Offset: 5})
			x.router.HandleGap("b", fanout.Position{})
			x.told("gap a [1 9] 5")
			if stats := x.router.Stats(); stats.Gaps != 1 {
				t.Errorf("stats %+v", stats)
			}
		}},
		{name: "dropping what nobody wants", linger: lingerTime, run: func(_ *testing.T, x *table) {
			x.broker.answer = atOnce
			x.router.Drop("a", 1)
			x.want("a", 1, true, nil)
			x.router.Drop("a", 2)
			x.router.Drop("a", -1)
			x.router.Drop("a", fanout.MaxLoops)
			x.router.Drop("a", 1)
			x.router.Drop("a", 1)
			x.calls("subscribe a")
		}},
		{name: "close answers all who wait", linger: lingerTime, run: func(t *testing.T, x *table) {
			x.want("a", 1, false, nil)
			x.want("b", 2, false, nil)
			if err := x.router.Close(); err != nil {
				t.Error(err)
			}
			x.told("ready a 1 fanout: broker is closed", "ready b 2 fanout: broker is closed")
			x.want("a", 1, false, fanout.ErrClosed)
			x.router.Drop("b", 2)
			if err := x.router.Close(); !errors.Is(err, fanout.ErrClosed) {
				t.Errorf("the second Close: %v", err)
			}
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) { routerTest(t, c.linger, c.run) })
	}
}

func TestRouterRefusesImpossibleLoops(t *testing.T) {
	router := fanout.NewRouter(fanout.NewMemory(), &scriptedLoops{}, fanout.RouterOptions{})
	for _, loop := range []int{-1, fanout.MaxLoops} {
		if ready, err := router.Want("a", loop); ready || err == nil {
			t.Errorf("Want of loop %d: %v, %v", loop, ready, err)
		}
	}
	if n := router.Rooms(); n != 0 {
		t.Errorf("%d rooms, want 0", n)
	}
}

func TestRouterStartFails(t *testing.T) {
	broker := newScript()
	broker.startErr = errRefused
	router := fanout.NewRouter(broker, &scriptedLoops{}, fanout.RouterOptions{Linger: lingerTime})
	if err := router.Start(); !errors.Is(err, errRefused) {
		t.Errorf("Start: %v, want the broker's error", err)
	}
}

func TestRouterRoomNames(t *testing.T) {
	routerTest(t, 0, func(t *testing.T, x *table) {
		x.broker.answer = atOnce
		var all []string
		for i := range 1000 {
			name := fmt.Sprintf("room.%d", i)
			x.want(name, i%fanout.MaxLoops, true, nil)
			all = append(all, name)
		}
		slices.Sort(all)
		for _, limit := range []int{1, 7, 100, 999, 1000, 1001} {
			var got []string
			for page := x.router.RoomNames("", limit); len(page) > 0; page = x.router.RoomNames(page[len(page)-1], limit) {
				if len(page) > limit {
					t.Fatalf("a page of %d, limit %d", len(page), limit)
				}
				got = append(got, page...)
			}
			if !slices.Equal(got, all) {
				t.Errorf("pages of %d hold %d names, want all %d, sorted", limit, len(got), len(all))
			}
		}
		for _, limit := range []int{0, -1} {
			if got := x.router.RoomNames("", limit); got != nil {
				t.Errorf("limit %d gives %q", limit, got)
			}
		}
	})
}
