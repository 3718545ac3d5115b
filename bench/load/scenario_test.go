package load_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/roost-ws/roost/bench"
	"github.com/roost-ws/roost/bench/load"
)

// startSwarm starts a swarm at a server; change may alter what it is started with.
func startSwarm(t *testing.T, s *server, change func(*load.Spec)) *load.Swarm {
	t.Helper()
	spec := load.Spec{Target: bench.Target{Addresses: []string{s.address}, Sources: "127.0.0.0/8", Path: "/{room}", PayloadBytes: 60},
		Command: workerCommand(t), Timeout: 5 * time.Second}
	if change != nil {
		change(&spec)
	}
	swarm, err := load.Start(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := swarm.Close(); err != nil {
			t.Error(err)
		}
	})
	return swarm
}

func open(t *testing.T, s *load.Swarm, n int) {
	t.Helper()
	if o, err := s.Open(t.Context(), n, 0); err != nil || o.Opened != n {
		t.Fatalf("%+v, %v", o, err)
	}
}

func oneRoom(s *load.Spec) { s.Target.Rooms = 1 }

// run is one call of a method, whose result is checked; an error fails the test.
func run[R any](t *testing.T, r *R, err error) *R {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestOpen(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 3} {
		t.Run(fmt.Sprintf("%d workers", workers), func(t *testing.T) {
			t.Parallel()
			s := startServer(t, faults{})
			swarm := startSwarm(t, s, func(s *load.Spec) { s.Workers = workers })
			o, err := swarm.Open(t.Context(), 100, 0)
			if run(t, o, err); o.Asked != 100 || o.Opened != 100 || o.Failures != nil || o.Delay.Count != 100 || o.Took <= 0 || o.Delay.Max > o.Took+o.Took/100 {
				t.Errorf("%+v", o)
			}
			// The first of 20 is due at once, the last after 19 intervals.
			o, err = swarm.Open(t.Context(), 20, 100)
			if run(t, o, err); o.Opened != 20 || o.Took < 190*time.Millisecond {
				t.Errorf("at a rate: %+v", o)
			}
			// The server notes a connection after it has answered it.
			rooms := func() int {
				s.mu.Lock()
				defer s.mu.Unlock()
				return len(s.rooms)
			}
			for deadline := time.Now().Add(5 * time.Second); rooms() < 120 && time.Now().Before(deadline); {
				time.Sleep(time.Millisecond)
			}
			if rooms() != 120 || s.handshakes.Load() != 120 {
				t.Errorf("%d rooms after %d handshakes", rooms(), s.handshakes.Load())
			}
		})
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	silent := startServer(t, faults{deaf: true})
	refusing := startServer(t, faults{refuse: func(n int64) (int, string) {
		return map[int64]int{0: 503, 1: 401, 2: 503}[n%5], "1"
	}})
	choosing := startServer(t, faults{protocol: func(string) bool { return true }})
	for _, tc := range []struct {
		name    string
		server  *server
		change  func(*load.Spec)
		opened  int
		failure map[string]int
	}{
		{"by status", refusing, nil, 4, map[string]int{"status 503": 4, "status 401": 2}},
		{"nobody there", refusing, func(s *load.Spec) { s.Target.Addresses = []string{"127.0.0.1:1"} }, 0, map[string]int{"refused": 10}},
		{"half of the addresses", choosing, func(s *load.Spec) { s.Target.Addresses = append(s.Target.Addresses, "127.0.0.1:1") }, 5, map[string]int{"refused": 5}},
		{"silence", silent, func(s *load.Spec) { s.Timeout = 100 * time.Millisecond }, 0, map[string]int{"timeout": 10}},
		{"no greeting", choosing, func(s *load.Spec) { s.Target.Greetings, s.Timeout = 1, 100*time.Millisecond }, 0, map[string]int{"timeout": 10}},
		{"a subprotocol", choosing, func(s *load.Spec) { s.Target.Subprotocols = []string{"roost.v1"} }, 10, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			tc.server.handshakes.Store(0)
			swarm := startSwarm(t, tc.server, tc.change)
			o, err := swarm.Open(t.Context(), 10, 0)
			if run(t, o, err); o.Opened != tc.opened || !maps.Equal(o.Failures, tc.failure) {
				t.Errorf("%+v", o)
			}
			if len(swarm.Ended()) != 0 {
				t.Errorf("ended: %v", swarm.Ended())
			}
		})
	}
}

func TestGreetings(t *testing.T) {
	t.Parallel()
	s := startServer(t, faults{greetings: []string{"welcome", "joined"}})
	swarm := startSwarm(t, s, func(s *load.Spec) {
		s.Target.First = []string{"first of {i}"}
		s.Target.Greetings = 3 // the room sends the first message back
	})
	open(t, swarm, 5)
	e, err := swarm.Echo(t.Context(), load.EchoSpec{InFlight: 1, Duration: 100 * time.Millisecond})
	if run(t, e, err); e.Received == 0 || e.Strays+e.Disorder+e.Duplicates > 0 {
		t.Errorf("%+v", e)
	}
}

func TestIdle(t *testing.T) {
	t.Parallel()
	s := startServer(t, faults{ping: true})
	swarm := startSwarm(t, s, nil)
	open(t, swarm, 10)
	i, err := swarm.Idle(t.Context(), 100*time.Millisecond)
	run(t, i, err)
	for deadline := time.Now().Add(5 * time.Second); s.pongs.Load() < 10; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d pongs", s.pongs.Load())
		}
	}
	if i.Held != 100*time.Millisecond || i.Pings > 10 || i.Received != 0 {
		t.Errorf("%+v", i)
	}
}

func TestEcho(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		faults faults
		change func(*load.Spec)
	}{
		{"plain", faults{}, nil},
		{"in fragments", faults{fragments: true}, nil},
		{"in a protocol of its own", faults{before: `{"data":"`, after: `","offset":10}`},
			func(s *load.Spec) { s.Target.Message = `{"to":"{room}","data":"{payload}"}` }},
		{"binary, from three workers", faults{}, func(s *load.Spec) { s.Target.Binary, s.Workers = true, 3 }},
		{"large", faults{}, func(s *load.Spec) { s.Target.PayloadBytes = 70_000 }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			swarm := startSwarm(t, startServer(t, tc.faults), tc.change)
			open(t, swarm, 10)
			const window = 150 * time.Millisecond
			for _, spec := range []load.EchoSpec{
				{InFlight: 1, Warmup: 20 * time.Millisecond, Duration: window},
				{InFlight: 4, Duration: window},
				{Rate: 200, Warmup: 50 * time.Millisecond, Duration: window},
			} {
				e, err := swarm.Echo(t.Context(), spec)
				run(t, e, err)
				if e.Received == 0 || e.Received != e.Delay.Count || e.Sent != e.SendDelay.Count || e.Late+e.Disorder+e.Duplicates+e.Strays > 0 {
					t.Errorf("%+v: %+v", spec, e)
				}
				if spec.Rate > 0 && (e.Sent != 30 || e.Received != 30) {
					t.Errorf("of 200 a second in %v there were %d sent and %d back", window, e.Sent, e.Received)
				}
			}
			if len(swarm.Ended()) != 0 {
				t.Errorf("ended: %v", swarm.Ended())
			}
		})
	}
}

// TestEchoFindsFaults has a server do each thing wrong and compares what the client found with what the server did.
func TestEchoFindsFaults(t *testing.T) {
	t.Parallel()
	every := func(n int, f fate) func(int, int) fate {
		return func(_, push int) fate {
			if push%n == n-2 {
				return f
			}
			return deliver
		}
	}
	for _, tc := range []struct {
		name   string
		faults faults
		check  func(s *server, e *bench.Echoing) bool
	}{
		{"lost", faults{fate: every(10, lose)}, func(s *server, e *bench.Echoing) bool {
			return s.lost.Load() > 0 && e.Late == s.lost.Load() && e.Received == e.Sent-e.Late && e.Disorder+e.Duplicates == 0
		}},
		{"twice", faults{fate: every(10, double)}, func(s *server, e *bench.Echoing) bool {
			return s.doubled.Load() > 0 && e.Duplicates == s.doubled.Load() && e.Received == e.Sent
		}},
		{"out of order", faults{fate: every(10, swap)}, func(s *server, e *bench.Echoing) bool {
			return s.swapped.Load() > 0 && e.Disorder == s.swapped.Load() && e.Received == e.Sent && e.Duplicates == 0
		}},
		{"of others", faults{stray: true}, func(_ *server, e *bench.Echoing) bool {
			return e.Strays > e.Sent && e.Strays <= 4*e.Sent && e.Received == e.Sent // the last ones may come after the end
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, tc.faults)
			swarm := startSwarm(t, s, nil)
			open(t, swarm, 5)
			e, err := swarm.Echo(t.Context(), load.EchoSpec{Rate: 1000, Duration: 200 * time.Millisecond, Grace: 200 * time.Millisecond})
			if run(t, e, err); e.Sent != 200 || !tc.check(s, e) {
				t.Errorf("%+v; the server lost %d, doubled %d, swapped %d", e, s.lost.Load(), s.doubled.Load(), s.swapped.Load())
			}
		})
	}
}

func TestFanout(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 3} {
		for _, payload := range []int{bench.MinPayload, 1000} {
			t.Run(fmt.Sprintf("%d workers, %d bytes", workers, payload), func(t *testing.T) {
				t.Parallel()
				swarm := startSwarm(t, startServer(t, faults{}), func(s *load.Spec) {
					oneRoom(s)
					s.Workers, s.Target.PayloadBytes = workers, payload
				})
				open(t, swarm, 20)
				f, err := swarm.Fanout(t.Context(), load.FanoutSpec{Rate: 100, Warmup: 50 * time.Millisecond, Duration: 200 * time.Millisecond, Grace: 5 * time.Second})
				run(t, f, err)
				if f.Members != 20 || f.Publications != 20 || f.Expected != 400 || f.Deliveries != 400 || f.Lost+f.Disorder+f.Duplicates != 0 ||
					f.Delay.Count != 400 || f.LastMember.Count != 20 || f.SendDelay.Count != 20 || f.LastMember.P50 < f.Delay.P50 || f.Took < 200*time.Millisecond {
					t.Errorf("%+v", f)
				}
			})
		}
	}
}

func TestFanoutInOneRoomOfSeveral(t *testing.T) {
	t.Parallel()
	swarm := startSwarm(t, startServer(t, faults{}), func(s *load.Spec) { s.Target.Rooms = 4 })
	open(t, swarm, 20)
	f, err := swarm.Fanout(t.Context(), load.FanoutSpec{Rate: 100, Duration: 100 * time.Millisecond, Grace: 5 * time.Second})
	if run(t, f, err); f.Members != 5 || f.Deliveries != 50 || f.Lost != 0 {
		t.Errorf("%+v", f)
	}
}

func TestFanoutFindsFaults(t *testing.T) {
	t.Parallel()
	only := func(f fate) func(m, n int) fate {
		return func(m, n int) fate {
			if m == 3 && n%7 == 2 || m == 5 && n == 0 {
				return f
			}
			return deliver
		}
	}
	for _, tc := range []struct {
		name   string
		faults faults
		check  func(s *server, f *bench.Fanning) bool
	}{
		{"lost", faults{fate: only(lose)}, func(s *server, f *bench.Fanning) bool {
			return f.Lost == s.lost.Load() && f.Disorder+f.Duplicates == 0 && f.LastMember.Count < f.Publications
		}},
		{"lost at the end", faults{fate: func(m, n int) fate {
			if m == 1 && n >= 45 {
				return lose
			}
			return deliver
		}}, func(s *server, f *bench.Fanning) bool { return f.Lost == s.lost.Load() }},
		{"twice", faults{fate: only(double)}, func(s *server, f *bench.Fanning) bool {
			return f.Duplicates == s.doubled.Load() && f.Lost+f.Disorder == 0
		}},
		{"out of order", faults{fate: only(swap)}, func(s *server, f *bench.Fanning) bool {
			return f.Disorder == s.swapped.Load() && f.Lost+f.Duplicates == 0
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, tc.faults)
			swarm := startSwarm(t, s, func(s *load.Spec) { oneRoom(s); s.Workers = 2 })
			open(t, swarm, 10)
			f, err := swarm.Fanout(t.Context(), load.FanoutSpec{Rate: 250, Duration: 200 * time.Millisecond, Grace: 200 * time.Millisecond})
			run(t, f, err)
			if found := s.lost.Load() + s.doubled.Load() + s.swapped.Load(); f.Publications != 50 || found == 0 || !tc.check(s, f) {
				t.Errorf("%+v; the server lost %d, doubled %d, swapped %d", f, s.lost.Load(), s.doubled.Load(), s.swapped.Load())
			}
		})
	}
}

func TestEnded(t *testing.T) {
	t.Parallel()
	s := startServer(t, faults{closeAfter: 3, closeCode: ws.StatusGoingAway})
	swarm := startSwarm(t, s, nil)
	open(t, swarm, 5)
	e, err := swarm.Echo(t.Context(), load.EchoSpec{InFlight: 1, Duration: 200 * time.Millisecond})
	if run(t, e, err); !maps.Equal(swarm.Ended(), map[string]int{"close 1001": 5}) || s.closes.Load() != 5 {
		t.Errorf("ended %v, %d close frames came back", swarm.Ended(), s.closes.Load())
	}
}

func TestChurn(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		spec load.ChurnSpec
	}{
		{"resets", load.ChurnSpec{Concurrent: 4}},
		{"close frames", load.ChurnSpec{Concurrent: 4, CloseFrame: true}},
		{"at a rate", load.ChurnSpec{Rate: 200}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, faults{})
			swarm := startSwarm(t, s, func(s *load.Spec) { s.Workers = 2 })
			open(t, swarm, 3)
			tc.spec.Warmup, tc.spec.Duration = 50*time.Millisecond, 200*time.Millisecond
			c, err := swarm.Churn(t.Context(), tc.spec)
			run(t, c, err)
			if c.Turns < 10 || c.Failures != nil || c.Delay.Count < c.Turns/2 || c.Delay.Count > 2*c.Turns {
				t.Errorf("%+v", c)
			}
			if tc.spec.Rate > 0 && (c.Turns < 20 || c.Turns > 60) {
				t.Errorf("%d turns at 200 a second", c.Turns)
			}
			if (s.closes.Load() > 0) != tc.spec.CloseFrame {
				t.Errorf("%d close frames", s.closes.Load())
			}
			// Those that were open before still are.
			if e, err := swarm.Echo(t.Context(), load.EchoSpec{Rate: 300, Duration: 20 * time.Millisecond}); err != nil || e.Received != 6 {
				t.Errorf("%+v, %v", e, err)
			}
		})
	}
	t.Run("refused", func(t *testing.T) {
		s := startServer(t, faults{refuse: func(int64) (int, string) { return 429, "1" }})
		swarm := startSwarm(t, s, nil)
		c, err := swarm.Churn(t.Context(), load.ChurnSpec{Concurrent: 2, Duration: 150 * time.Millisecond})
		if run(t, c, err); c.Turns != 0 || c.Failures["status 429"] < 2 || c.Failures["status 429"] > 4 {
			t.Errorf("%+v", c)
		}
	})
}

func TestStorm(t *testing.T) {
	t.Parallel()
	const n = 30
	for _, tc := range []struct {
		name     string
		refuse   func(int64) (int, string) // after the first n
		refusals map[string]int
		back     int
		least    time.Duration
		spec     load.StormSpec
	}{
		{"at once", nil, nil, n, 0, load.StormSpec{}},
		{"one after the other", nil, nil, n, 0, load.StormSpec{UnderWay: 1}},
		{"at a rate", nil, nil, n, 100 * time.Millisecond, load.StormSpec{ReconnectRate: 250}},
		{"refused for a time", func(n int64) (int, string) {
			if n < 10 {
				return 503, "1"
			}
			return 0, ""
		}, map[string]int{"status 503": 10}, n, time.Second, load.StormSpec{}},
		{"refused without a word on when", func(n int64) (int, string) {
			if n < 40 {
				return 500, ""
			}
			return 0, ""
		}, map[string]int{"status 500": 40}, n, 20 * time.Millisecond, load.StormSpec{Backoff: 20 * time.Millisecond}},
		{"refused for good", func(int64) (int, string) { return 403, "" }, nil, 0, 0, load.StormSpec{Timeout: 100 * time.Millisecond}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t, faults{refuse: func(i int64) (int, string) {
				if i < n || tc.refuse == nil {
					return 0, ""
				}
				return tc.refuse(i - n)
			}})
			swarm := startSwarm(t, s, func(s *load.Spec) { s.Workers = 2 })
			open(t, swarm, n)
			if tc.spec.Timeout == 0 {
				tc.spec.Timeout = 20 * time.Second
			}
			st, err := swarm.Storm(t.Context(), tc.spec)
			run(t, st, err)
			if st.Cut != n || st.Back != tc.back || st.Delay.Count != int64(tc.back) || tc.back > 0 && (st.Took < tc.least || st.Took > tc.spec.Timeout) {
				t.Errorf("%+v", st)
			}
			if tc.back == n && (!maps.Equal(st.Refusals, tc.refusals) || st.Attempts != n+s.refused.Load()) {
				t.Errorf("%+v; the server refused %d", st, s.refused.Load())
			}
			if tc.back == 0 && st.Refusals["status 403"] == 0 {
				t.Errorf("%+v", st)
			}
			if len(swarm.Ended()) > 0 {
				t.Errorf("ended: %v", swarm.Ended())
			}
		})
	}
}

func TestMix(t *testing.T) {
	t.Parallel()
	profile := &load.Profile{Name: "test", Kinds: []load.Kind{
		{Name: "idle", Share: 5}, {Name: "chatty", Share: 4, Rate: 50}, {Name: "slow", Share: 1, ReadBytes: 50_000, ReceiveBuffer: 4096},
	}, Rooms: []load.RoomSize{{Members: 40, Share: 1}}}
	swarm := startSwarm(t, startServer(t, faults{}), func(s *load.Spec) {
		s.Profile, s.Workers, s.Connections, s.Target.PayloadBytes = profile, 2, 40, 500
	})
	open(t, swarm, 40)
	m, err := swarm.Mix(t.Context(), load.MixSpec{Duration: 500 * time.Millisecond})
	run(t, m, err)
	idle, chatty, slow := m.Kinds["idle"], m.Kinds["chatty"], m.Kinds["slow"]
	if m.Profile != "test" || idle == nil || chatty == nil || slow == nil {
		t.Fatalf("%+v", m)
	}
	if idle.Connections+chatty.Connections+slow.Connections != 40 || idle.Connections < 18 || chatty.Connections < 14 || slow.Connections < 2 ||
		idle.Ended+chatty.Ended+slow.Ended > 0 {
		t.Errorf("idle %+v, chatty %+v, slow %+v", idle, chatty, slow)
	}
	// 50 a second from each for half a second, and each message to all.
	if want := 25 * int64(chatty.Connections); chatty.Sent < want-10 || chatty.Sent > want+10 || idle.Sent+slow.Sent != 0 {
		t.Errorf("sent %d, %d and %d", idle.Sent, chatty.Sent, slow.Sent)
	}
	if idle.Received != int64(idle.Connections)*chatty.Sent || chatty.Received != int64(chatty.Connections)*chatty.Sent {
		t.Errorf("of %d messages idle ones got %d and chatty ones %d", chatty.Sent, idle.Received, chatty.Received)
	}
	// A slow reader has read 75,000 bytes when the mix ends, grace included, of the 200,000 there were.
	if most := int64(slow.Connections) * 80_000 / 500; slow.Received == 0 || slow.Received > most || slow.Delay.P50 < 4*idle.Delay.P50 {
		t.Errorf("slow readers got %d messages, with %+v", slow.Received, slow.Delay)
	}
}

// TestObserve checks that the window is announced for what it is, and that the generator's own time in it is known.
func TestObserve(t *testing.T) {
	var mu sync.Mutex
	var edges []bool
	var at []time.Time
	swarm := startSwarm(t, startServer(t, faults{}), func(s *load.Spec) {
		s.Observe = func(begin bool) {
			mu.Lock()
			defer mu.Unlock()
			edges, at = append(edges, begin), append(at, time.Now())
		}
		oneRoom(s)
	})
	open(t, swarm, 5)
	if len(edges) > 0 {
		t.Errorf("opening was observed: %v", edges)
	}
	check := func(name string, least, most time.Duration, err error) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if err != nil || len(edges) != 2 || !edges[0] || edges[1] {
			t.Fatalf("%s: edges %v, %v", name, edges, err)
		}
		took, m := at[1].Sub(at[0]), swarm.Measured()
		if took < least || took > most || m.CPU <= 0 || m.Wall < least || m.Wall > most {
			t.Errorf("%s: a window of %v, measured %+v", name, took, m)
		}
		edges, at = nil, nil
	}
	const window, late = 200 * time.Millisecond, 2 * time.Second
	_, err := swarm.Echo(t.Context(), load.EchoSpec{InFlight: 1, Warmup: 100 * time.Millisecond, Duration: window})
	check("echo", window-50*time.Millisecond, late, err)
	_, err = swarm.Fanout(t.Context(), load.FanoutSpec{Rate: 100, Warmup: 50 * time.Millisecond, Duration: window, Grace: time.Minute})
	check("fan-out", window-50*time.Millisecond, late, err)
	_, err = swarm.Storm(t.Context(), load.StormSpec{Timeout: time.Minute})
	check("storm", 0, late, err)
}

func TestCancelled(t *testing.T) {
	t.Parallel()
	swarm := startSwarm(t, startServer(t, faults{}), func(s *load.Spec) { s.Workers = 2 })
	open(t, swarm, 5)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := swarm.Idle(ctx, time.Hour); err == nil || !strings.Contains(err.Error(), context.DeadlineExceeded.Error()) {
		t.Errorf("error %v", err)
	}
	// The swarm is as good as before.
	e, err := swarm.Echo(t.Context(), load.EchoSpec{Rate: 100, Duration: 50 * time.Millisecond})
	if run(t, e, err); e.Received != 5 {
		t.Errorf("%+v", e)
	}
}
