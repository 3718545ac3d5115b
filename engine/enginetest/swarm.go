//go:build linux

package enginetest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// This file is a swarm's front: its settings, and the operations that tests call from any goroutine.

// Mode says how the connections of a swarm behave once they are connected.
type Mode string

// The modes. WellBehaved is the zero value.
const (
	WellBehaved Mode = ""
	// NeverRead reads nothing after the 101. The server's FIN or RST is still noticed and recorded.
	NeverRead Mode = "never_read"
	// SlowRead reads SlowBytes each SlowEvery after the 101.
	SlowRead Mode = "slow_read"
	// PartialHead sends the first HeadBytes of the request and then nothing, or, if SlowEvery is set, SlowBytes more
	// each time of a request that never ends.
	PartialHead Mode = "partial_head"
)

// Config describes a swarm. Functions get the number of a connection, 0 to N-1; they run on loop goroutines
// and must not block.
type Config struct {
	// Addrs are "ip:port", used in turn.
	Addrs []string
	// N is how many connections the swarm may hold.
	N int
	// InFlight bounds handshakes at once (0: 256), Rate how many are started a second (0: no bound).
	InFlight, Rate int
	// Loops is the number of epoll loops; 0 is 1.
	Loops int
	// Source is the local address of a connection; nil spreads loopback targets with [SpreadSources] and
	// leaves others to the kernel, as does an address that is not valid.
	Source func(i int) netip.Addr
	// Head is the request, see [UpgradeHead].
	Head func(i int) []byte
	// Extended says that Head offers an extension, so that messages may come with RSV1.
	Extended bool
	// AfterOpen are frames to send after the 101, see [TextFrame]. Any bytes are sent as they are.
	AfterOpen func(i int) [][]byte
	// OnMessage gets each whole data message. payload is only good until it returns.
	OnMessage func(i int, op ws.OpCode, payload []byte)
	// Marks are byte strings; messages that hold them are counted in Stats.Marked.
	Marks []string
	// StampMark, such as `"at":`, is the text before a decimal number of Unix nanoseconds in a message; the
	// time since then goes into [Swarm.Delays].
	StampMark string
	Mode      Mode
	// SlowBytes and SlowEvery belong to SlowRead and PartialHead, HeadBytes to PartialHead.
	SlowBytes, HeadBytes int
	SlowEvery            time.Duration
	// ReceiveBuffer is SO_RCVBUF, so that the kernel takes less for a client that does not read; 0 leaves it.
	ReceiveBuffer int
	// NoPong leaves pings unanswered, NoCloseReply close frames.
	NoPong, NoCloseReply bool
	// Flood is sent again and again on each open connection, as fast as the server takes it. Such a connection sends
	// nothing else, pongs and close frames included, and ends itself when the server closes it.
	Flood []byte
	// Leave, if set, is how a connection ends itself as soon as it is open, or silent.
	Leave CloseKind
	// Return says which connections that have ended are opened anew. Those that the caller closed stay away.
	Return Return
}

// Swarm is many client connections on few goroutines. All methods may be called from any goroutine.
type Swarm struct {
	cfg   Config
	addrs []netip.AddrPort
	loops []*loop
}

// poll is how often a waiting call looks at the counters. Nothing is lost between two looks.
const poll = 3 * time.Millisecond

// NewSwarm checks cfg and starts the loops; nothing is dialled yet. The caller calls Stop.
func NewSwarm(cfg Config) (*Swarm, error) {
	s := &Swarm{cfg: cfg}
	if len(cfg.Addrs) == 0 || cfg.N <= 0 || cfg.Head == nil {
		return nil, errors.New("a swarm needs addresses, a number of connections and a request head")
	}
	if cfg.Mode == SlowRead && (cfg.SlowBytes <= 0 || cfg.SlowEvery <= 0) {
		return nil, errors.New("slow reading needs a number of bytes and an interval")
	}
	for _, addr := range cfg.Addrs {
		parsed, err := netip.ParseAddrPort(addr)
		if err != nil {
			return nil, fmt.Errorf("address of a swarm: %w", err)
		}
		s.addrs = append(s.addrs, parsed)
	}
	if s.cfg.Source == nil && s.addrs[0].Addr().IsLoopback() && s.addrs[0].Addr().Is4() {
		s.cfg.Source = SpreadSources(0, connectionsPerSource)
	}
	s.cfg.InFlight = orDefault(cfg.InFlight, 256)
	s.cfg.Loops = min(orDefault(cfg.Loops, 1), cfg.N)
	for id := range s.cfg.Loops {
		l, err := newLoop(s, id)
		if err != nil {
			s.Stop()
			return nil, err
		}
		s.loops = append(s.loops, l)
		go l.run()
	}
	return s, nil
}

// StartSwarm is NewSwarm for tests: it fails tb on an error and stops the swarm when tb ends.
func StartSwarm(tb testing.TB, cfg Config) *Swarm {
	tb.Helper()
	s, err := NewSwarm(cfg)
	if err != nil {
		tb.Fatalf("start a swarm: %v", err)
	}
	tb.Cleanup(s.Stop)
	return s
}

func orDefault(n, otherwise int) int {
	if n > 0 {
		return n
	}
	return otherwise
}

// OpenAll opens all connections that are not open and waits until each of them is open, silent or over. It
// returns an error only if ctx ends first: how many were refused is for the caller to judge.
func (s *Swarm) OpenAll(ctx context.Context) error { return s.Open(ctx, 0, s.cfg.N) }

// Open is OpenAll for the connections from <= i < to. Connections that have ended are opened anew.
func (s *Swarm) Open(ctx context.Context, from, to int) error {
	s.each(func(l *loop) { l.enqueue(from, to) })
	return s.WaitFor(ctx, func(st *Stats) bool { return st.Pending == 0 })
}

// Send sends a frame on connection i. It does not wait; a frame for a connection that is not open is
// counted in Stats.Unsent. frame must not be changed afterwards.
func (s *Swarm) Send(i int, frame []byte) { s.SendRange(i, i+1, frame) }

// SendRange sends one frame on each of the connections from <= i < to, as Send does.
func (s *Swarm) SendRange(from, to int, frame []byte) {
	s.each(func(l *loop) {
		l.span(from, to, func(_ int, c *slot) { l.sendFrame(c, frame) })
	})
}

// Hold keeps the connections for d, or until ctx ends, and returns how many ended meanwhile.
func (s *Swarm) Hold(ctx context.Context, d time.Duration) (ended int) {
	before := s.Stats().Ended
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	<-ctx.Done()
	return s.Stats().Ended - before
}

// WaitFor waits until the swarm's figures satisfy done; it returns ctx's error if that ends first.
func (s *Swarm) WaitFor(ctx context.Context, done func(*Stats) bool) error {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		if st := s.Stats(); done(&st) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// CloseKind says how a swarm closes its connections.
type CloseKind string

// The kinds of close.
const (
	// CloseClean is the close handshake: close frame 1000, the server's answer, the server's FIN.
	CloseClean CloseKind = "clean"
	// CloseRST resets the connection.
	CloseRST CloseKind = "rst"
	// CloseFIN sends a FIN without a close frame and waits for the server's.
	CloseFIN CloseKind = "fin"
)

// CloseAll closes all connections and waits until all have ended. If ctx ends first the rest stays as it is
// and ctx's error is returned.
func (s *Swarm) CloseAll(ctx context.Context, kind CloseKind) error {
	return s.CloseRange(ctx, 0, s.cfg.N, kind)
}

// CloseRange is CloseAll for the connections from <= i < to.
func (s *Swarm) CloseRange(ctx context.Context, from, to int, kind CloseKind) error {
	if kind != CloseClean && kind != CloseRST && kind != CloseFIN {
		return fmt.Errorf("unknown kind of close %q", kind)
	}
	s.each(func(l *loop) { l.closeRange(from, to, kind) })
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		left := 0
		s.each(func(l *loop) {
			l.span(from, to, func(_ int, c *slot) {
				if c.fd >= 0 {
					left++
				}
			})
		})
		if left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// Stats is the sum of all counters at this moment.
func (s *Swarm) Stats() Stats {
	total := newStats()
	s.each(func(l *loop) {
		st := l.snapshot()
		total.add(&st)
	})
	return total
}

// Closes lists the ended connections in the order of their numbers.
func (s *Swarm) Closes() []CloseEvent {
	var events []CloseEvent
	s.each(func(l *loop) {
		l.span(0, s.cfg.N, func(i int, c *slot) {
			if c.state == ended {
				events = append(events, c.event(i))
			}
		})
	})
	slices.SortFunc(events, func(a, b CloseEvent) int { return a.Index - b.Index })
	return events
}

// Received is the number of data messages that each connection has received.
func (s *Swarm) Received() []int64 {
	counts := make([]int64, s.cfg.N)
	s.each(func(l *loop) {
		l.span(0, s.cfg.N, func(i int, c *slot) { counts[i] = c.messages })
	})
	return counts
}

// Delays is the histogram of the times since the stamps in messages, see Config.StampMark.
func (s *Swarm) Delays() *Histogram {
	total := new(Histogram)
	s.each(func(l *loop) { total.Merge(&l.delays) })
	return total
}

// Stop resets what is still connected and ends the loops. Counters can still be read. It may be called twice.
func (s *Swarm) Stop() {
	for _, l := range s.loops {
		l.stop()
	}
}

// each runs f on the goroutine of each loop in turn and waits for it.
func (s *Swarm) each(f func(*loop)) {
	for _, l := range s.loops {
		l.do(func() { f(l) })
	}
}
