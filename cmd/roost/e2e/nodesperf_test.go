package e2e

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/fanout/redis/redistest"
)

// TestNodesPerformance measures two nodes on one Redis; the figures are in its log, and it fails only when something
// does not work at all.
//
//	ROOST_PERF=1 go test -count 1 -v -run TestNodesPerformance ./cmd/roost/e2e
func TestNodesPerformance(t *testing.T) {
	if os.Getenv("ROOST_PERF") == "" {
		t.Skip("measures only with ROOST_PERF=1")
	}
	bus := redistest.Start(t)
	f := startFleet(t, bus, []string{"here", "there"}, "rate.messages=1000000", "rate.burst=1000000")
	for _, rooms := range []int{100, 10} {
		t.Run(fmt.Sprint("delay with rooms ", rooms), func(t *testing.T) { measureDelay(t, f, rooms) })
	}
	t.Run("loop while redis is stopped", func(t *testing.T) { measureStopped(t, f) })
	t.Run("throughput", func(t *testing.T) { measureThroughput(t, f) })
}

// wire is a connection that sends frames and reads them, no more. Reading and writing may be on different goroutines.
type wire struct {
	conn net.Conn
	in   *bufio.Reader
	out  bytes.Buffer
}

func dialWire(t *testing.T, s *server, path, user string) *wire {
	t.Helper()
	dialer := ws.Dialer{Timeout: tunnelWithin, Protocols: []string{"roost.v1", "token." + pass(t, user)}}
	conn, in, _, err := dialer.Dial(context.Background(), "ws://"+s.address+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if in == nil {
		in = bufio.NewReaderSize(conn, 4096)
	}
	return &wire{conn: conn, in: in}
}

// send writes one text message, or one binary message.
func (w *wire) send(op ws.OpCode, payload []byte) error {
	w.out.Reset()
	_ = ws.WriteFrame(&w.out, ws.MaskFrame(ws.NewFrame(op, true, payload)))
	_, err := w.conn.Write(w.out.Bytes())
	return err
}

// receive reads the next data message; pings are passed over, which is well for as long as these tests last.
func (w *wire) receive() ([]byte, error) {
	for {
		h, err := ws.ReadHeader(w.in)
		if err != nil {
			return nil, err
		}
		if h.Length > longestFrame {
			return nil, fmt.Errorf("a frame of %d bytes", h.Length)
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(w.in, payload); err != nil {
			return nil, err
		}
		if h.OpCode == ws.OpText || h.OpCode == ws.OpBinary {
			return payload, nil
		}
	}
}

// quantiles describes delays.
func quantiles(delays []time.Duration) string {
	if len(delays) == 0 {
		return "none"
	}
	slices.Sort(delays)
	at := func(q float64) time.Duration { return delays[int(q*float64(len(delays)-1))].Round(time.Microsecond) }
	return fmt.Sprintf("p50 %v, p99 %v, max %v of %d", at(0.5), at(0.99), at(1), len(delays))
}

// measureDelay publishes 1,000 times a second in some rooms on one node, and takes the time to a member on the other.
// A room in which publications come close together has a part of the delay from being written in batches.
func measureDelay(t *testing.T, f *fleet, rooms int) {
	const perSecond, lasts = 1000, 10 * time.Second
	begin := time.Now()
	var mu sync.Mutex
	var delays []time.Duration
	var work sync.WaitGroup
	for i := range rooms {
		path := fmt.Sprintf("/raw/perf-%d-%d", rooms, i)
		to, from := dialWire(t, f.nodes[1], path, "to"), dialWire(t, f.nodes[0], path, "from")
		settle(t, from, to)
		work.Go(func() {
			for end := time.Now().Add(lasts); time.Now().Before(end); time.Sleep(time.Duration(rooms) * time.Second / perSecond) {
				_ = from.send(ws.OpBinary, strconv.AppendInt(nil, int64(time.Since(begin)), 10))
			}
			_ = from.send(ws.OpBinary, []byte("over"))
		})
		work.Go(func() {
			for {
				got, err := to.receive()
				if err != nil || string(got) == "over" {
					return
				}
				if sent, err := strconv.ParseInt(string(got), 10, 64); err == nil {
					mu.Lock()
					delays = append(delays, time.Since(begin)-time.Duration(sent))
					mu.Unlock()
				}
			}
		})
		go func() { // its own publications come back
			for {
				if _, err := from.receive(); err != nil {
					return
				}
			}
		}()
	}
	work.Wait()
	t.Logf("publish on one node to deliver on the other, %d a second in %d rooms: %s", perSecond, rooms, quantiles(delays))
}

// settle waits until what one end says is heard at the other.
func settle(t *testing.T, from, to *wire) {
	t.Helper()
	for end := time.Now().Add(tunnelWithin); time.Now().Before(end); {
		_ = from.send(ws.OpText, []byte("settled"))
		_ = to.conn.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
		_, err := to.receive()
		_ = to.conn.SetReadDeadline(time.Time{})
		if err == nil {
			return
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	t.Fatal("two nodes do not hear each other")
}

// measureStopped takes the time of pings of clients, while others publish, before Redis is stopped and then.
func measureStopped(t *testing.T, f *fleet) {
	const clients, lasts = 50, 4 * time.Second
	stop := make(chan struct{})
	defer close(stop)
	for i := range 10 {
		w := dialWire(t, f.nodes[0], fmt.Sprint("/raw/stopped-", i), "talker")
		go func() {
			for {
				if _, err := w.receive(); err != nil {
					return
				}
			}
		}()
		go func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(10 * time.Millisecond):
					_ = w.send(ws.OpText, []byte("talk talk talk"))
				}
			}
		}()
	}
	pingers := make([]*wire, clients)
	for i := range pingers {
		pingers[i] = dialWire(t, f.nodes[0], "/ws", "pinger")
		if _, err := pingers[i].receive(); err != nil { // the welcome
			t.Fatal(err)
		}
	}
	pings := func() []time.Duration {
		var mu sync.Mutex
		var delays []time.Duration
		var work sync.WaitGroup
		for _, w := range pingers {
			work.Go(func() {
				for end := time.Now().Add(lasts); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
					sent := time.Now()
					_ = w.send(ws.OpText, []byte(`{"type":"ping","id":1}`))
					if got, err := w.receive(); err != nil || !strings.Contains(string(got), "pong") {
						t.Errorf("%s %v", got, err)
						return
					}
					mu.Lock()
					delays = append(delays, time.Since(sent))
					mu.Unlock()
				}
			})
		}
		work.Wait()
		return delays
	}
	before := pings()
	f.bus.Pause()
	during := pings()
	f.bus.Continue()
	after := pings()
	t.Logf("ping to pong on loops whose members publish 1,000 a second: before %s", quantiles(before))
	t.Logf("while redis is stopped: %s", quantiles(during))
	t.Logf("after: %s", quantiles(after))
}

// measureThroughput has publishers on both nodes publish as fast as they are answered, to a member on the other node.
func measureThroughput(t *testing.T, f *fleet) {
	const publishers, inFlight, lasts = 16, 64, 5 * time.Second
	redisPID, err := strconv.Atoi(field(f.bus.Do("INFO", "server"), "process_id"))
	if err != nil {
		t.Fatal(err)
	}
	pids := []int{redisPID, f.nodes[0].pid, f.nodes[1].pid, os.Getpid()}
	var published, delivered atomic.Int64
	var work sync.WaitGroup
	var before []enginetest.CPU
	for i := range publishers {
		room := fmt.Sprint("flood-", i)
		to, from := dialWire(t, f.nodes[(i+1)%2], "/raw/"+room, "to"), dialWire(t, f.nodes[i%2], "/ws?room="+room, "from")
		for range 2 { // welcome and joined, or more
			if _, err := from.receive(); err != nil {
				t.Fatal(err)
			}
		}
		go func() {
			for {
				if _, err := to.receive(); err != nil {
					return
				}
				delivered.Add(1)
			}
		}()
		work.Go(func() {
			message := []byte(`{"type":"publish","id":1,"echo":false,"room":"` + room + `","data":"` + strings.Repeat("x", 100) + `"}`)
			for range inFlight {
				_ = from.send(ws.OpText, message)
			}
			for end := time.Now().Add(lasts); time.Now().Before(end); {
				got, err := from.receive()
				if err != nil {
					t.Error(err)
					return
				}
				if strings.Contains(string(got), `"published"`) {
					published.Add(1)
				}
				_ = from.send(ws.OpText, message)
			}
		})
	}
	for _, pid := range pids {
		before = append(before, cpuOf(t, pid))
	}
	begin := time.Now()
	work.Wait()
	took := time.Since(begin).Seconds()
	var used []string
	for i, name := range []string{"redis", "one node", "the other", "clients"} {
		spent := cpuOf(t, pids[i]).Sub(before[i])
		used = append(used, fmt.Sprintf("%s %.2f", name, (spent.User+spent.System).Seconds()))
	}
	t.Logf("%.0f publications a second of 100 bytes through one redis, %.0f deliveries on the other node; CPU seconds in %.1f s: %s",
		float64(published.Load())/took, float64(delivered.Load())/took, took, strings.Join(used, ", "))
}

func cpuOf(t *testing.T, pid int) enginetest.CPU {
	t.Helper()
	used, err := enginetest.ReadCPU(pid)
	if err != nil {
		t.Fatal(err)
	}
	return used
}

// field is a line of Redis's INFO.
func field(info, name string) string {
	_, rest, _ := strings.Cut(info, name+":")
	value, _, _ := strings.Cut(rest, "\r\n")
	return value
}
