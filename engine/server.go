package engine

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/roost-ws/roost/engine/auth"
	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/protocol/clientaddr"
	"github.com/roost-ws/roost/protocol/handshake"
	"github.com/roost-ws/roost/protocol/proxyproto"
)

// Server is one node: its loops, its listeners, and the way between the broker and the loops. It implements
// fanout.Local. Its methods may be called from any goroutine and do not block, but where they say so.
type Server struct {
	// Static after New.
	node          string
	limits        Limits
	headLimits    handshake.Limits
	loopCount     int
	addresses     []string
	capCause      string
	verifier      *auth.Verifier
	leeway        int64
	refuseByClose bool
	queryToken    bool
	anonymous     auth.Identity
	origins       *handshake.OriginPolicy
	compression   CompressionOptions
	proxyRequired bool
	proxyLimits   proxyproto.Limits
	trusted       *clientaddr.Trust
	heartbeat     time.Duration
	idleTicks     uint32
	drain         DrainOptions
	rules         []RoomRule
	defaultRule   RoomRule
	log           *slog.Logger
	wall          func() time.Time
	epoch         time.Time // the monotonic clock's zero
	broker        fanout.Broker
	router        *fanout.Router
	metrics       *serverMetrics
	box           box
	machine       Box

	shared         bool  // there are other nodes on the broker
	roll           *roll // nil without Presence
	presenceShared bool
	presenceTTL    time.Duration

	// Static after Start.
	loops      []*Loop
	acceptor   *acceptor
	authorizer *authorizer

	// Any goroutine.
	admission           *admission
	revocations         *auth.Revocations
	refusals            refusalBook
	recent              recentUsers
	roomCall            roomCall
	state               atomic.Int32
	drainFrom           atomic.Int64 // server clock; 0 = not yet
	drainUntil          atomic.Int64
	drained             chan struct{}
	stopping            atomic.Bool
	backendPublications atomic.Uint64
	failed              chan error
	quit                chan struct{}
	stirred             chan struct{} // wakes beatLoops; holds one
	background          sync.WaitGroup
}

// anonymousUser is who everybody is without a verifier.
const anonymousUser = "anonymous"

// New makes a Server and checks what can be checked without opening anything.
func New(o Options) (*Server, error) {
	if o.Broker == nil {
		return nil, errors.New("engine: a broker is needed")
	}
	limits := withDefaults(o.Limits)
	most, cause, err := connectionCap(limits.Connections)
	if err != nil {
		return nil, err
	}
	limits.Connections = most
	s := &Server{
		limits: limits, loopCount: o.Loops, addresses: o.Listen, capCause: cause, node: o.Node,
		verifier: o.Verifier, leeway: int64(o.TokenLeeway / time.Second), refuseByClose: o.RefuseByClose,
		queryToken: o.QueryToken, origins: o.Origins, compression: o.Compression, proxyRequired: o.ProxyRequired,
		proxyLimits: proxyproto.Limits{HeaderBytes: limits.ProxyBytes}, trusted: clientaddr.NewTrust(o.Trusted), broker: o.Broker, log: o.Log, wall: o.Wall,
		heartbeat: o.Heartbeat, drain: o.Drain, rules: o.Rooms, defaultRule: RoomRule{SlowConsumer: o.SlowConsumer, History: o.History, PresenceEvents: o.PresenceEvents},
		anonymous: auth.Identity{User: anonymousUser, Rights: auth.All}, epoch: time.Now(),
		machine: o.Box, drained: make(chan struct{}), failed: make(chan error, 1), quit: make(chan struct{}), stirred: make(chan struct{}, 1),
	}
	if s.loopCount <= 0 {
		s.loopCount = min(runtime.GOMAXPROCS(0), runtime.NumCPU()) // two loops on one processor cost a third
	}
	s.loopCount = min(s.loopCount, fanout.MaxLoops)
	if s.node == "" {
		s.node, _ = os.Hostname()
	}
	if s.node == "" || strings.Contains(s.node, ":") {
		return nil, fmt.Errorf("engine: node name %q: it must not be empty or contain a colon", s.node)
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.wall == nil {
		s.wall = time.Now
	}
	if s.heartbeat <= 0 {
		s.heartbeat = 30 * time.Second
	}
	if o.HeartbeatTimeout <= 0 {
		o.HeartbeatTimeout = 30 * time.Second
	}
	s.idleTicks = ticks(s.heartbeat + o.HeartbeatTimeout)
	if s.origins == nil {
		s.origins, _ = handshake.NewOriginPolicy(nil)
	}
	for _, r := range s.rules {
		if err := auth.CheckPattern(r.Match); err != nil {
			return nil, fmt.Errorf("engine: room rule %q: %w", r.Match, err)
		}
	}
	s.headLimits = handshake.DefaultLimits()
	s.headLimits.HeadBytes = limits.HeadBytes
	s.headLimits.LineBytes = min(s.headLimits.LineBytes, limits.HeadBytes)
	s.admission = newAdmission(&s.limits)
	s.revocations = auth.NewRevocations(0, s.wall)
	s.recent.seed = tallySeed
	bus := fanout.RouterOptions{Name: s.node, Linger: o.Linger, StayLocal: o.StayLocal,
		Keeps: func(room string) bool { return s.rule(room).History > 0 }}
	if s.shared = o.Peers; o.Peers {
		bus.Node = nodeSide{s}
	}
	s.router = fanout.NewRouter(o.Broker, s, bus)
	if o.Presence != nil {
		s.roll, s.presenceShared, s.presenceTTL = newRoll(o.Presence), o.PresenceShared, o.PresenceTTL
		if s.presenceTTL <= 0 {
			s.presenceTTL = time.Minute
		}
	}
	s.acceptor = &acceptor{server: s, stopping: make(chan struct{})}
	s.metrics = newServerMetrics(s)
	if o.Metrics != nil {
		s.metrics.set.RegisterMetricsWriter(o.Metrics)
	}
	for i := range s.loopCount {
		s.loops = append(s.loops, newLoop(s, i))
	}
	return s, nil
}

// startMu keeps two servers of one process (tests) from starting at once: gnet keeps its logger in a global.
var startMu sync.Mutex

// Start opens the listeners and begins to serve. It blocks until clients can connect. On an error nothing of it
// is left running.
func (s *Server) Start() error {
	startMu.Lock()
	defer startMu.Unlock()
	if err := s.acceptor.listen(s.addresses); err != nil {
		return err
	}
	for i, l := range s.loops {
		if err := l.start(); err != nil {
			for _, l := range s.loops[:i] {
				_ = l.stop()
			}
			s.acceptor.stop()
			return err
		}
	}
	if s.verifier != nil {
		s.authorizer = newAuthorizer(s.verifier, max(1, runtime.GOMAXPROCS(0)-1), s.limits.Authorizing)
	}
	if err := s.router.Start(); err != nil {
		s.acceptor.stop()
		s.stopLoops()
		return fmt.Errorf("starting the broker: %w", err)
	}
	if s.roll != nil {
		if err := s.roll.presence.Start(); err != nil {
			s.acceptor.stop()
			_ = s.router.Close()
			s.stopLoops()
			return fmt.Errorf("starting presence: %w", err)
		}
		s.background.Go(func() { s.refreshPresence(s.presenceTTL) })
	}
	s.box = newBox()
	s.background.Go(func() { s.trimMemory(s.quit) })
	s.background.Go(s.beatLoops)
	if s.limits.Memory > 0 {
		s.background.Go(func() { s.watchMemory(s.quit) })
	}
	s.acceptor.start()
	return nil
}

// stallLimit is how long a loop may leave a tick lying before the process is taken for broken: nothing on a loop
// waits, so this is a dead loop and not a busy one.
const stallLimit = 30 * time.Second

// beatLoops posts to each loop the ticks that it wants, if it is done with the last one, and notices a loop that
// never is. While no loop wants any it sleeps longer.
func (s *Server) beatLoops() {
	next := time.NewTimer(tickEvery)
	defer next.Stop()
	for {
		select {
		case <-s.quit:
			return
		case <-next.C:
		case <-s.stirred:
		}
		now := s.clock()
		tick, wanted := s.tickAt(now), s.tickAt(now)+ticksPerSecond
		for _, l := range s.loops {
			wanted = min(wanted, max(s.beat(l, now, tick), tick+1))
		}
		next.Reset(time.Duration(int64(wanted-1)*int64(tickEvery) - now))
	}
}

// beat posts a tick to one loop if it is due, and returns the tick at which to look again.
func (s *Server) beat(l *Loop, now int64, tick uint32) uint32 {
	switch sent := l.tickSent.Load(); {
	case sent == 0 && tick >= l.tickDue.Load():
		l.tickSent.Store(now)
		l.mailbox.post(letter{kind: letterTick, posted: now})
		return tick + 1
	case sent == 0:
		return l.tickDue.Load()
	case now-sent > int64(stallLimit):
		select {
		case s.failed <- fmt.Errorf("event loop %d has not answered for %v", l.index, stallLimit):
		default:
		}
	}
	return tick + 1
}

// Stalled is for how long the slowest loop has left a tick unanswered, 0 if none is under way. A loop is sent one at
// least every second, so a dead one shows within that. Any goroutine; asks no loop.
func (s *Server) Stalled() time.Duration {
	now, longest := s.clock(), int64(0)
	for _, l := range s.loops {
		if sent := l.tickSent.Load(); sent != 0 {
			longest = max(longest, now-sent)
		}
	}
	return time.Duration(longest)
}

// tickAgain lets a loop have a tick sooner than it wanted. Any goroutine; never blocks.
func (s *Server) tickAgain(l *Loop, due uint32) {
	l.tickDue.Store(due)
	select {
	case s.stirred <- struct{}{}:
	default:
	}
}

// Failed tells of an end that nobody asked for. The process should exit with a code that is not 0.
func (s *Server) Failed() <-chan error { return s.failed }

// Stop ends everything that still runs, connections included; Drain comes first for an orderly end. Blocks.
func (s *Server) Stop() error {
	if s.stopping.Swap(true) {
		return nil
	}
	s.state.Store(stateDraining)
	s.acceptor.stop()
	if s.authorizer != nil {
		s.authorizer.close()
	}
	var err error
	if s.roll != nil {
		err = s.roll.presence.Close()
	}
	err = errors.Join(err, s.router.Close())
	close(s.quit)
	s.background.Wait()
	s.stopLoops()
	return err
}

func (s *Server) stopLoops() {
	var stopped sync.WaitGroup
	for _, l := range s.loops {
		stopped.Go(func() { _ = l.stop() })
	}
	stopped.Wait()
}

// Addresses are the listeners', in the order of Options.Listen.
func (s *Server) Addresses() []net.Addr {
	var all []net.Addr
	for _, l := range s.acceptor.listeners {
		all = append(all, l.Addr())
	}
	return all
}

// Connections is how many client connections are open, handshakes included.
func (s *Server) Connections() int { return int(s.admission.open.Load()) }

// MaxConnections is the cap in force.
func (s *Server) MaxConnections() int { return s.limits.Connections }

// Limits are the bounds in force.
func (s *Server) Limits() Limits { return s.limits }

// Node is this node's name.
func (s *Server) Node() string { return s.node }

// Draining reports whether an orderly end has begun.
func (s *Server) Draining() bool { return s.state.Load() != stateServing }

// check is what a health check reads.
func (s *Server) check(t target) (status int, body string) {
	if t == targetHealth {
		return 200, "ok\n"
	}
	return s.Readiness()
}

// Readiness is what a balancer's check is told: HAProxy keeps old tunnels alive on a 404 (disable-on-404).
func (s *Server) Readiness() (status int, body string) {
	if s.Draining() {
		return 404, "draining\n"
	}
	return 200, "ready\n"
}

// clock is monotonic nanoseconds since the server was made.
func (s *Server) clock() int64 { return int64(time.Since(s.epoch)) }

// tickAt is the tick of a time on that clock; the first is 1.
func (s *Server) tickAt(now int64) uint32 { return uint32(now/int64(tickEvery)) + 1 }

// deadlineOf is when a token's connection ends, as Conn keeps it.
func (s *Server) deadlineOf(expires int64) uint32 {
	if expires == 0 {
		return 0
	}
	return uint32(min(expires+s.leeway, 1<<32-1))
}

// emptiest is the loop with the fewest connections.
func (s *Server) emptiest() *Loop {
	best := s.loops[0]
	for _, l := range s.loops[1:] {
		if l.population.Load() < best.population.Load() {
			best = l
		}
	}
	return best
}

// arriving is how many connections have not been let in or refused yet.
func (s *Server) arriving() int {
	n := int64(0)
	for _, l := range s.loops {
		n += l.arriving.Load()
	}
	return int(n)
}

// rule is the first rule that matches a room.
func (s *Server) rule(room string) *RoomRule {
	for i := range s.rules {
		if auth.MatchPattern(s.rules[i].Match, room) {
			return &s.rules[i]
		}
	}
	return &s.defaultRule
}

// engineLog passes on what gnet has to say that somebody must hear. Its warnings of stale events are the normal
// case when many connections are closed at once.
type engineLog struct{ log *slog.Logger }

func (e engineLog) Debugf(string, ...any) {}
func (e engineLog) Infof(string, ...any)  {}
func (e engineLog) Warnf(string, ...any)  {}
func (e engineLog) Errorf(format string, args ...any) {
	e.log.Error("event loop", "message", fmt.Sprintf(format, args...))
}
func (e engineLog) Fatalf(format string, args ...any) {
	e.log.Error("event loop", "message", fmt.Sprintf(format, args...))
}
