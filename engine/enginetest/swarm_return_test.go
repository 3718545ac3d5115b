//go:build linux

package enginetest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// returned waits until so many connections have come back.
func returned(t *testing.T, s *Swarm, n int) {
	t.Helper()
	if err := s.WaitFor(within(t), func(st *Stats) bool { return st.Returned >= n }); err != nil {
		t.Fatalf("%v: %+v", err, s.Stats())
	}
}

func TestSwarmReturns(t *testing.T) {
	for _, c := range []struct {
		name, path string
		change     func(*Config)
		back       bool
	}{
		{"refused", "/refuse/403", func(cfg *Config) { cfg.Return = ReturnAtOnce }, true},
		{"reset", "/reset", func(cfg *Config) { cfg.Return = ReturnAtOnce }, true},
		{"leaves with a reset", "/", func(cfg *Config) { cfg.Return, cfg.Leave = ReturnAtOnce, CloseRST }, true},
		{"leaves with an end", "/", func(cfg *Config) { cfg.Return, cfg.Leave = ReturnAtOnce, CloseFIN }, true},
		{"leaves politely", "/", func(cfg *Config) { cfg.Return, cfg.Leave = ReturnAtOnce, CloseClean }, true},
		{"leaves without a word", "/", func(cfg *Config) {
			cfg.Return, cfg.Leave, cfg.Mode, cfg.HeadBytes = ReturnAtOnce, CloseRST, PartialHead, 4
		}, true},
		{"told when", "/answer/HTTP/1.1+503+No\\r\\nRetry-After:+1\\r\\n\\r\\n", func(cfg *Config) { cfg.Return = ReturnAsTold }, true},
		{"told nothing", "/refuse/503", func(cfg *Config) { cfg.Return = ReturnAsTold }, false},
		{"not asked to", "/refuse/503", func(*Config) {}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr, began := startServer(t), time.Now()
			cfg := Config{Addrs: []string{addr}, N: 5, Loops: 2, Head: headOf(addr, c.path)}
			c.change(&cfg)
			s := StartSwarm(t, cfg)
			if !c.back {
				if err := s.OpenAll(within(t)); err != nil {
					t.Fatal(err)
				}
				if st := s.Stats(); st.Waiting > 0 || st.Returned > 0 || st.Ended != 5 {
					t.Errorf("%+v", st)
				}
				return
			}
			go func() { _ = s.OpenAll(within(t)) }() // there is always one that is pending
			returned(t, s, 15)
			if took := time.Since(began); cfg.Return == ReturnAsTold && took < 2*time.Second {
				t.Errorf("came back for the second time after %v", took)
			}
		})
	}
}

// TestSwarmStaysAway: who was closed by the caller does not come back.
func TestSwarmStaysAway(t *testing.T) {
	s := openSwarm(t, "/", 10, func(cfg *Config) { cfg.Return = ReturnAtOnce })
	if err := s.CloseAll(within(t), CloseRST); err != nil {
		t.Fatal(err)
	}
	if st := s.Stats(); st.Waiting > 0 || st.Returned > 0 || st.Ended != 10 {
		t.Errorf("%+v", st)
	}
}

func TestSwarmFloods(t *testing.T) {
	ping := AppendFrame(nil, Frame{Fin: true, Op: ws.OpPing, Payload: []byte("p")}, true)
	s := openSwarm(t, "/", 3, func(cfg *Config) { cfg.Flood = append(ping, TextFrame([]byte("hello"))...) })
	if err := s.WaitFor(within(t), func(st *Stats) bool { return st.Pongs > 1000 && st.Messages > 1000 }); err != nil {
		t.Fatalf("%v: %+v", err, s.Stats())
	}
	if st := s.Stats(); st.Violations > 0 || st.Open != 3 {
		t.Errorf("%+v", st)
	}
}

// TestSwarmFloodsAnew: a close ends a flood at once, and it begins anew.
func TestSwarmFloodsAnew(t *testing.T) {
	addr := startServer(t)
	s := StartSwarm(t, Config{Addrs: []string{addr}, N: 3, Head: headOf(addr, "/close/4429"), Flood: TextFrame([]byte("hello")), Return: ReturnAtOnce})
	go func() { _ = s.OpenAll(within(t)) }()
	returned(t, s, 10)
	if st := s.Stats(); st.Closed[4429] < 10 {
		t.Errorf("%+v", st)
	}
}

func TestSwarmDrips(t *testing.T) {
	addr := startServer(t)
	head := "GET /answer/HTTP/1.1+200+OK\\r\\n\\r\\n HTTP/1.1\r\nX: "
	s := StartSwarm(t, Config{Addrs: []string{addr}, N: 3, Mode: PartialHead, HeadBytes: len(head), SlowBytes: 2, SlowEvery: time.Millisecond,
		Head: func(int) []byte { return []byte(head) }})
	if err := s.OpenAll(within(t)); err != nil {
		t.Fatal(err)
	}
	if n := s.Hold(within(t), 100*time.Millisecond); n != 0 {
		t.Errorf("%d ended", n)
	}
	if st := s.Stats(); st.Silent != 3 {
		t.Errorf("%+v", st)
	}
}

func TestSwarmEchoPaced(t *testing.T) {
	s := openSwarm(t, "/", 20, func(cfg *Config) { cfg.Loops = 2 })
	r, err := s.Echo(within(t), EchoConfig{Every: 50 * time.Millisecond, Duration: 500 * time.Millisecond,
		Frame: func(int) []byte { return TextFrame([]byte("echo")) }})
	if err != nil || r.Lost > 0 {
		t.Fatal(r, err)
	}
	// Ten times each, one more for those whose interval begins with the run, fewer on a busy machine; never more.
	if r.Messages < 20 || r.Messages > 20*11 {
		t.Errorf("%v", r)
	}
}

func TestSpecTokens(t *testing.T) {
	name := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(name, []byte("first\nsecond\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	spec := Spec{Addrs: []string{"127.0.0.1:1"}, Connections: 2, Path: "/ws", TokenFile: name}
	cfg, err := spec.Config()
	if err != nil {
		t.Fatal(err)
	}
	if head := string(cfg.Head(1)); !strings.Contains(head, "token.second\r\n") {
		t.Errorf("%q", head)
	}
	spec.Connections = 3
	if _, err := spec.Config(); err == nil {
		t.Error("two tokens do for three connections")
	}
	spec = Spec{Addrs: spec.Addrs, Connections: 1, Raw: []byte("as it is")}
	if cfg, err = spec.Config(); err != nil || string(cfg.Head(0)) != "as it is" {
		t.Error(err)
	}
}
