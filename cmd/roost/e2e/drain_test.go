package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

const (
	drainClients = 2000 / fraction
	drainGrace   = 2 * time.Second
	drainWindow  = 5 * time.Second
	// drainLate is what a busy machine may add to a moment that was agreed on.
	drainLate = 5 * time.Second
)

// TestBalancerLoad has the tests with thousands of clients one after the other, beside those that wait.
func TestBalancerLoad(t *testing.T) {
	outside(t)
	t.Parallel()
	t.Run("drain", drainBehindHAProxy)
	for _, name := range []string{"haproxy", "nginx"} {
		t.Run("rooms through "+name, func(t *testing.T) { roomsMeet(t, name) })
	}
}

// moving is a client that comes back when it is sent away, as it was told to.
type moving struct {
	first, second *tunnel
	left, back    time.Time
	failed        error // the only thing that is set if anything went wrong
}

// follow reads until the node says goodbye, waits as it asks, and comes back once. It returns early when the
// tunnel breaks in any other way than with a shutdown message and 1001.
func (m *moving) follow(b *balancer, token string) {
	var message struct {
		Type        string `json:"type"`
		ReconnectIn int    `json:"reconnectIn"`
	}
	stream := struct {
		io.Reader
		io.Writer
	}{m.first.in, m.first.conn}
	_ = m.first.conn.SetReadDeadline(time.Time{})
	for {
		text, err := wsutil.ReadServerText(stream)
		var closed wsutil.ClosedError
		if errors.As(err, &closed) && closed.Code == ws.StatusGoingAway && message.Type == "shutdown" {
			break
		}
		if err == nil {
			err = json.Unmarshal(text, &message)
		}
		if err != nil {
			m.failed = fmt.Errorf("the tunnel to %s ended: %w", m.first.node, err)
			return
		}
	}
	m.left = time.Now()
	m.first.conn.Close()
	time.Sleep(time.Duration(message.ReconnectIn) * time.Second)
	m.second, m.failed = b.try("/ws", token)
	m.back = time.Now()
}

// drainBehindHAProxy ends one of two nodes with thousands of clients between them.
func drainBehindHAProxy(t *testing.T) {
	settings := append([]string{fmt.Sprint("drain.grace=", drainGrace), fmt.Sprint("drain.window=", drainWindow), "drain.reconnect_in=1s",
		"limits.connections=3000"}, believed["haproxy"]...)
	leaving := start(t, append(settings, "node=leaving")...)
	staying := start(t, slices.Concat(settings, prompt, []string{"node=staying"})...)
	b := startBalancer(t, "haproxy", []*server{leaving, staying}, "none", settings...)
	token := pass(t, "ada")

	clients := make([]*moving, drainClients)
	tunnels := b.fill(t, len(clients), func(int) string { return "/ws" }, token)
	var away []*moving
	var follow sync.WaitGroup
	for i, c := range tunnels {
		clients[i] = &moving{first: c}
		if c.node == "leaving" {
			away = append(away, clients[i])
			follow.Go(func() { clients[i].follow(b, token) })
		}
	}
	if n := len(away); n < drainClients*4/10 || n > drainClients*6/10 {
		t.Errorf("%d of %d clients are on one of two nodes", n, drainClients)
	}
	began := time.Now()
	if err := leaving.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	stop, opened := make(chan struct{}), make(chan int64, 1)
	go func() { opened <- b.keepOpening(t, stop, token) }()
	follow.Wait()
	close(stop)
	newcomers := <-opened
	took := time.Since(began)
	var leaves, arrivals []time.Time
	for _, m := range away {
		if m.failed != nil {
			t.Fatal(m.failed)
		}
		if m.second.node != "staying" {
			t.Fatalf("a client came back to %s", m.second.node)
		}
		leaves, arrivals = append(leaves, m.left), append(arrivals, m.back)
		t.Cleanup(func() { m.second.conn.Close() })
	}
	if longest := drainGrace + drainWindow + time.Second + drainLate; took > longest {
		t.Errorf("all had moved after %v, want %v", took, longest)
	}
	if first := slices.MinFunc(leaves, time.Time.Compare).Sub(began); first < drainGrace {
		t.Errorf("the first tunnel ended after %v, within the grace of %v", first, drainGrace)
	}
	rate, mean := busiest(arrivals)
	if rate > evenness*mean {
		t.Errorf("%.0f clients came back in one second, with %.0f on average", rate, mean)
	}
	if newcomers < 20 {
		t.Errorf("only %d new clients tried", newcomers)
	}
	if held := staying.connections(t); held < drainClients {
		t.Errorf("the node that stays has %d clients, want %d", held, drainClients)
	}
	t.Logf("%d of %d moved in %v (last tunnel after %v), at most %.0f/s with %.0f/s on average; %d new clients, none refused", len(away), drainClients,
		took.Round(time.Millisecond), slices.MaxFunc(leaves, time.Time.Compare).Sub(began).Round(time.Millisecond), rate, mean, newcomers)
}

// keepOpening opens and closes a tunnel every 50 ms, none of which may fail, and returns how many there were.
func (b *balancer) keepOpening(t *testing.T, stop <-chan struct{}, token string) (opened int64) {
	for next := time.NewTicker(50 * time.Millisecond); ; {
		select {
		case <-next.C:
		case <-stop:
			next.Stop()
			return opened
		}
		c, err := b.try("/ws", token)
		if err != nil {
			t.Errorf("a new client during the drain: %v", err)
			continue
		}
		opened++
		c.conn.Close()
	}
}

// busiest is how many fall into the fullest second, and how many into an average one, between the first and the last.
func busiest(moments []time.Time) (most, mean float64) {
	slices.SortFunc(moments, time.Time.Compare)
	for from, to := 0, 0; to < len(moments); to++ {
		for moments[to].Sub(moments[from]) > time.Second {
			from++
		}
		most = max(most, float64(to-from+1))
	}
	return most, float64(len(moments)) / moments[len(moments)-1].Sub(moments[0]).Seconds()
}

// fillers is how many tunnels are opened at the same time.
const fillers = 32

// fill opens n tunnels, in the order of their numbers, and fails the test if one is refused.
func (b *balancer) fill(t *testing.T, n int, path func(i int) string, token string) []*tunnel {
	t.Helper()
	tunnels, failures := make([]*tunnel, n), make([]error, n)
	var next atomic.Int64
	var work sync.WaitGroup
	for range fillers {
		work.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				tunnels[i], failures[i] = b.try(path(i), token)
			}
		})
	}
	work.Wait()
	t.Cleanup(func() {
		for _, c := range tunnels {
			if c != nil {
				c.conn.Close()
			}
		}
	})
	if err := errors.Join(failures...); err != nil {
		t.Fatalf("opening tunnels through %s: %.500v", b.program, err)
	}
	return tunnels
}
