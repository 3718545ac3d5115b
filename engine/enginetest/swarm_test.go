//go:build linux

package enginetest

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// within is a context for one operation of a swarm.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 4*DefaultTimeout)
	t.Cleanup(cancel)
	return ctx
}

func headOf(addr, path string) func(int) []byte {
	head := UpgradeHead(addr, path, Options{})
	return func(int) []byte { return head }
}

// openSwarm opens n connections to path and fails unless all are open.
func openSwarm(t *testing.T, path string, n int, change func(*Config)) *Swarm {
	t.Helper()
	addr := startServer(t)
	cfg := Config{Addrs: []string{addr}, N: n, Head: headOf(addr, path)}
	if change != nil {
		change(&cfg)
	}
	s := StartSwarm(t, cfg)
	if err := s.OpenAll(within(t)); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.Opened != n {
		t.Fatalf("opened %d of %d: %+v", st.Opened, n, st)
	}
	return s
}

func TestSwarmOpens(t *testing.T) {
	const n = 2000
	var callbacks atomic.Int64
	s := openSwarm(t, "/", n, func(cfg *Config) {
		cfg.Loops = 2
		cfg.Source = SpreadSources(7, 500)
		cfg.Marks = []string{`"a"`}
		cfg.StampMark = `"at":`
		cfg.AfterOpen = func(i int) [][]byte {
			return [][]byte{TextFrame(fmt.Appendf(nil, `{"a":%d,"at":%d}`, i, time.Now().UnixNano()))}
		}
		cfg.OnMessage = func(i int, op ws.OpCode, payload []byte) {
			if op == ws.OpText && strings.HasPrefix(string(payload), fmt.Sprintf(`{"a":%d,`, i)) {
				callbacks.Add(1)
			}
		}
	})
	if err := s.WaitFor(within(t), func(st *Stats) bool { return st.Messages == n }); err != nil {
		t.Fatalf("%v: %+v", err, s.Stats())
	}
	if st := s.Stats(); st.Open != n || st.Marked[`"a"`] != n || callbacks.Load() != n {
		t.Errorf("%+v, %d right callbacks", st, callbacks.Load())
	}
	if d := s.Delays(); d.Count() != n || d.Max() > DefaultTimeout {
		t.Errorf("%d delays up to %v", d.Count(), d.Max())
	}
	if ended := s.Hold(t.Context(), 20*time.Millisecond); ended != 0 {
		t.Errorf("%d connections ended while held", ended)
	}
	s.Send(5, TextFrame([]byte("five")))
	s.SendRange(0, 10, TextFrame([]byte("to ten")))
	if err := s.WaitFor(within(t), func(st *Stats) bool { return st.Messages == n+11 }); err != nil {
		t.Fatalf("%v: %+v", err, s.Stats())
	}
	if got := s.Received(); got[4] != 2 || got[5] != 3 || got[10] != 1 {
		t.Errorf("received %v", got[:12])
	}
	if err := s.CloseAll(within(t), CloseClean); err != nil {
		t.Fatalf("%v: %+v", err, s.Stats())
	}
	if st := s.Stats(); st.Open != 0 || st.Closed[1000] != n || st.Ends[EndFIN] != n || st.Violations != 0 {
		t.Errorf("after closing: %+v", st)
	}
}

func TestSwarmEnds(t *testing.T) {
	const n = 100
	for _, tc := range []struct {
		name, path string
		close      CloseKind
		code       int // 0: none counted
		end        End
	}{
		{"server closes with 1001", "/close/1001", "", 1001, EndFIN},
		{"server closes with 4401", "/close/4401", "", 4401, EndFIN},
		{"server resets", "/reset", "", 1006, EndRST},
		{"server breaks the rules", `/bytes/\x83\x00`, "", 1006, EndLocal},
		{"we reset", "/", CloseRST, 0, EndLocal},
		{"we send a FIN", "/", CloseFIN, 0, EndFIN},
	} {
		t.Run(tc.name, func(t *testing.T) {
			started := time.Now()
			s := openSwarm(t, tc.path, n, nil)
			if tc.close != "" {
				if err := s.CloseAll(within(t), tc.close); err != nil {
					t.Fatalf("%v: %+v", err, s.Stats())
				}
			}
			if err := s.WaitFor(within(t), func(st *Stats) bool { return st.Ended == n }); err != nil {
				t.Fatalf("%v: %+v", err, s.Stats())
			}
			st := s.Stats()
			if st.Ends[tc.end] != n || tc.code != 0 && st.Closed[tc.code] != n || tc.code == 0 && len(st.Closed) != 0 {
				t.Errorf("%+v", st)
			}
			for i, e := range s.Closes() {
				if e.Index != i || e.Code != tc.code || e.End != tc.end || e.OpenedAt.Before(started) || e.ClosedAt.Before(e.OpenedAt) {
					t.Fatalf("close event %+v", e)
				}
			}
		})
	}
}

func TestSwarmReopens(t *testing.T) {
	s := openSwarm(t, "/", 50, func(cfg *Config) { cfg.Rate = 500 })
	for range 2 {
		if err := s.CloseAll(within(t), CloseRST); err != nil {
			t.Fatal(err)
		}
		if err := s.OpenAll(within(t)); err != nil {
			t.Fatal(err)
		}
	}
	if st := s.Stats(); st.Open != 50 || st.Opened != 150 || st.Ended != 0 {
		t.Errorf("%+v", st)
	}
}

func TestSwarmPaces(t *testing.T) {
	started := time.Now()
	openSwarm(t, "/", 100, func(cfg *Config) { cfg.Rate = 400 })
	if took := time.Since(started); took < 240*time.Millisecond {
		t.Errorf("100 connections at 400 a second took %v", took)
	}
}

func TestSwarmCountsFailures(t *testing.T) {
	addr := startServer(t)
	closed := DialRaw(t, addr, Options{}).LocalAddr().String() // a port where nobody listens
	for _, tc := range []struct {
		name, addr, path string
		check            func(st *Stats) int
	}{
		{"refused", addr, "/refuse/503", func(st *Stats) int { return st.Refused[503] }},
		{"no listener", closed, "/", func(st *Stats) int { return st.Failed["ECONNREFUSED"] }},
		{"no answer", addr, "/answer/", func(st *Stats) int { return st.Failed["fin"] }},
		{"no HTTP", addr, `/answer/what?\r\n\r\n`, func(st *Stats) int { return st.Failed["malformed answer"] }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := StartSwarm(t, Config{Addrs: []string{tc.addr}, N: 20, Head: headOf(tc.addr, tc.path)})
			if err := s.OpenAll(within(t)); err != nil {
				t.Fatal(err)
			}
			if st := s.Stats(); tc.check(&st) != 20 || st.Ended != 20 || st.Pending != 0 {
				t.Errorf("%+v", st)
			}
		})
	}
}

func TestSwarmAnswersPings(t *testing.T) {
	s := openSwarm(t, "/ping", 100, nil)
	if err := s.WaitFor(within(t), func(st *Stats) bool { return st.Pings == 100 && st.Messages == 100 }); err != nil {
		t.Fatalf("%v: %+v", err, s.Stats())
	}
}

func TestSwarmModes(t *testing.T) {
	t.Run("never read", func(t *testing.T) {
		s := openSwarm(t, "/flood", 20, func(cfg *Config) { cfg.Mode, cfg.ReceiveBuffer = NeverRead, 4096 })
		if st := s.Stats(); st.Open != 20 || st.Bytes > 20*readBuffer {
			t.Errorf("%+v", st)
		}
	})
	t.Run("never read, server ends", func(t *testing.T) {
		s := openSwarm(t, "/reset", 20, func(cfg *Config) { cfg.Mode = NeverRead })
		if err := s.WaitFor(within(t), func(st *Stats) bool { return st.Ends[EndRST] == 20 }); err != nil {
			t.Errorf("%v: %+v", err, s.Stats())
		}
	})
	t.Run("slow read", func(t *testing.T) {
		started := time.Now()
		s := openSwarm(t, "/flood", 5, func(cfg *Config) {
			cfg.Mode, cfg.SlowBytes, cfg.SlowEvery = SlowRead, 20_000, 5*time.Millisecond
		})
		if err := s.WaitFor(within(t), func(st *Stats) bool { return st.Messages == 5*200 }); err != nil {
			t.Fatalf("%v: %+v", err, s.Stats())
		}
		if took := time.Since(started); took < 25*time.Millisecond {
			t.Errorf("200 kB at 20 kB each 5 ms took %v", took)
		}
	})
	t.Run("partial head", func(t *testing.T) {
		addr := startServer(t)
		s := StartSwarm(t, Config{Addrs: []string{addr}, N: 20, Head: headOf(addr, "/"), Mode: PartialHead, HeadBytes: 10})
		if err := s.OpenAll(within(t)); err != nil {
			t.Fatal(err)
		}
		if st := s.Stats(); st.Silent != 20 {
			t.Errorf("%+v", st)
		}
		if err := s.CloseAll(within(t), CloseRST); err != nil {
			t.Fatal(err)
		}
		if st := s.Stats(); st.Silent != 0 || st.Ended != 20 {
			t.Errorf("%+v", st)
		}
	})
}

func TestSwarmEcho(t *testing.T) {
	for _, flight := range []int{1, 8} {
		t.Run(fmt.Sprint(flight), func(t *testing.T) {
			s := openSwarm(t, "/", 50, func(cfg *Config) { cfg.Loops = 2 })
			r, err := s.Echo(within(t), EchoConfig{InFlight: flight, Warmup: 50 * time.Millisecond, Duration: 200 * time.Millisecond,
				Frame: func(i int) []byte { return TextFrame(fmt.Appendf(nil, "echo %d", i)) }, Match: "echo"})
			if err != nil {
				t.Fatal(err)
			}
			if r.Connections != 50 || r.Messages < 50 || r.Lost != 0 || int64(r.Latency.Count()) != r.Messages {
				t.Errorf("result %v", r)
			}
			if p50, most := r.Latency.Quantile(0.5), r.Latency.Max(); p50 <= 0 || p50 > most {
				t.Errorf("p50 %v, max %v", p50, most)
			}
			t.Log(r)
		})
	}
}

func TestSwarmEchoCountsLost(t *testing.T) {
	s := openSwarm(t, "/", 10, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	// Answers never match, so everything stays in flight until the context ends.
	r, err := s.Echo(ctx, EchoConfig{InFlight: 3, Duration: time.Minute, Match: "never",
		Frame: func(int) []byte { return TextFrame([]byte("x")) }})
	if err == nil || r.Lost != 30 || r.Messages != 0 {
		t.Errorf("error %v, result %v", err, r)
	}
}

func TestSwarmAfterStop(t *testing.T) {
	s := openSwarm(t, "/", 10, nil)
	s.Stop()
	s.Stop()
	if st := s.Stats(); st.Opened != 10 || st.Open != 0 || st.Ended != 10 {
		t.Errorf("%+v", st)
	}
}
