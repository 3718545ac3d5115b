package engine

import (
	"io"
	"sync"

	"github.com/VictoriaMetrics/metrics"

	"github.com/roost-ws/roost/protocol"
	"github.com/roost-ws/roost/protocol/deflate"
	"github.com/roost-ws/roost/protocol/frame"
	"github.com/roost-ws/roost/protocol/handshake"
	"github.com/roost-ws/roost/protocol/proxyproto"
)

// The kinds that labels tell apart. Each list is closed: no label ever bears a room, a user or an address.
const (
	limitedMessages = iota
	limitedControls
	numLimited
)

var limitedWords = [numLimited]string{"messages", "controls"}

const (
	dropSlow    = iota // a slow client's room policy left it out
	dropBatch          // a room gathered more than Limits.BatchBytes
	dropMailbox        // a loop had more than Limits.Mailbox waiting
	numDrops
)

var dropWords = [numDrops]string{"slow_consumer", "room_batch", "loop_mailbox"}

const (
	sourceClient = iota
	sourceBackend
	numSources
)

var sourceWords = [numSources]string{"client", "api"}

// counters are a loop's figures: plain words that only the loop touches, copied once a tick for whoever scrapes.
// So counting costs an addition, and a scrape is at most a tenth of a second old.
type counters struct {
	handshakes, reconnects, tokensEchoed uint64
	refused                              [64]uint64 // by handshake.Refusal
	tokensRefused                        [64]uint64 // by auth.Refusal
	closes                               [numCloseReasons]uint64
	violations                           [64]uint64 // by frame.Error
	errors                               [16]uint64 // by protocol.ErrorCode
	proxyErrors                          [16]uint64 // by proxyproto.Error

	received, receivedBytes uint64
	sent, sentBytes, writes uint64
	publications            [numSources]uint64
	deliveries              uint64
	dropped                 [numDrops]uint64
	gaps, pings             uint64
	rateLimited             [numLimited]uint64
	slowConsumers           uint64
	panics                  uint64
	compressed, postponed   uint64
	inflateErrors           [8]uint64 // by deflate.Error

	// Levels, set when the counters are copied.
	open, rooms, members, held, buffersInUse, activities uint64
}

// tallied is the copy of a loop's counters that other goroutines read.
type tallied struct {
	mu sync.Mutex
	c  counters
}

func (t *tallied) store(l *Loop) {
	l.count.open = uint64(l.conns.open)
	l.count.rooms = uint64(len(l.roomTable) - 1 - len(l.roomFree))
	l.count.members = uint64(l.members)
	l.count.held = uint64(max(l.held, 0))
	l.count.buffersInUse = uint64(l.bufs.InUse())
	l.count.activities = uint64(l.activities.lent)
	t.mu.Lock()
	t.c = l.count
	t.mu.Unlock()
}

func (t *tallied) load() counters {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.c
}

// serverMetrics are the figures that are not sums of counters.
type serverMetrics struct {
	set         *metrics.Set
	pingRTT     *metrics.PrometheusHistogram
	delivery    *metrics.PrometheusHistogram
	loopLag     *metrics.PrometheusHistogram
	brokerDelay *metrics.PrometheusHistogram
}

// latencyBounds reach from what a loop takes for one message to what makes people reload the page, in seconds.
var latencyBounds = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

func newServerMetrics(s *Server) *serverMetrics {
	set := metrics.NewSet()
	m := &serverMetrics{
		set:         set,
		pingRTT:     set.NewPrometheusHistogramExt("roost_ping_rtt_seconds", latencyBounds),
		delivery:    set.NewPrometheusHistogramExt("roost_delivery_seconds", latencyBounds),
		loopLag:     set.NewPrometheusHistogramExt("roost_loop_lag_seconds", latencyBounds),
		brokerDelay: set.NewPrometheusHistogramExt("roost_broker_delay_seconds", latencyBounds),
	}
	set.RegisterMetricsWriter(s.writeCounters)
	return m
}

// WriteMetrics writes every figure of this node in Prometheus text format. Any goroutine; asks no loop.
func (s *Server) WriteMetrics(w io.Writer) {
	s.metrics.set.WritePrometheus(w)
	metrics.WriteProcessMetrics(w)
}

// counter and gauge write one line; the library keeps the format.
func counter(w io.Writer, name string, v uint64) { metrics.WriteCounterUint64(w, "roost_"+name, v) }
func gauge(w io.Writer, name string, v uint64)   { metrics.WriteGaugeUint64(w, "roost_"+name, v) }

func labelled(name, label, value string) string { return name + "{" + label + `="` + value + `"}` }

func (s *Server) writeCounters(w io.Writer) {
	t := s.totals()
	gauge(w, "connections", uint64(max(s.Connections(), 0)))
	gauge(w, "rooms", uint64(s.router.Rooms()))
	gauge(w, "members", t.members)
	gauge(w, "outbound_bytes", t.held)
	gauge(w, "buffers_in_use", t.buffersInUse)
	counter(w, "handshakes_total", t.handshakes)
	counter(w, "reconnects_total", t.reconnects)
	counter(w, "tokens_echoed_total", t.tokensEchoed)
	counter(w, "messages_received_total", t.received)
	counter(w, "messages_sent_total", t.sent+t.deliveries)
	counter(w, "received_bytes_total", t.receivedBytes)
	counter(w, "sent_bytes_total", t.sentBytes)
	counter(w, "writes_total", t.writes)
	counter(w, "pings_total", t.pings)
	counter(w, "deliveries_total", t.deliveries)
	counter(w, "gaps_total", t.gaps)
	counter(w, "slow_consumers_total", t.slowConsumers)
	counter(w, "panics_total", t.panics)
	counter(w, "compressed_total", t.compressed)
	counter(w, "postponed_total", t.postponed)
	bus := s.router.Stats()
	counter(w, "recoveries_total", bus.Recoveries)
	counter(w, "duplicates_total", bus.Duplicates)
	counter(w, "unwanted_publications_total", bus.Unwanted)
	gauge(w, "rooms_lingering", uint64(bus.Lingering))
	peers := 0
	if control := s.router.Control(); control != nil {
		peers = len(control.Peers())
	}
	gauge(w, "peers", uint64(peers))
	s.writeLabelled(w, &t)
	s.writeAcceptor(w)
	s.writeBox(w, &t)
}

func (s *Server) writeLabelled(w io.Writer, t *counters) {
	for _, f := range handshake.Refusals() {
		n := t.refused[f]
		if f == handshake.Full {
			n += s.acceptor.refusedFull.Load()
		}
		counter(w, labelled("handshakes_refused_total", "reason", f.String()), n)
	}
	for r := closeNone + 1; r < numCloseReasons; r++ {
		counter(w, labelled("closes_total", "reason", r.String()), t.closes[r])
	}
	for _, e := range frame.Errors() {
		counter(w, labelled("frame_errors_total", "reason", e.Reason()), t.violations[e])
	}
	for _, e := range deflate.Errors() {
		counter(w, labelled("inflate_errors_total", "reason", e.Reason()), t.inflateErrors[e])
	}
	for _, e := range proxyproto.Errors() {
		counter(w, labelled("proxy_errors_total", "reason", e.Reason()), t.proxyErrors[e])
	}
	for e := protocol.BadRequest; e <= protocol.Internal; e++ {
		counter(w, labelled("errors_total", "code", e.String()), t.errors[e])
	}
	for i, word := range limitedWords {
		counter(w, labelled("rate_limited_total", "kind", word), t.rateLimited[i])
	}
	for i, word := range dropWords {
		counter(w, labelled("deliveries_dropped_total", "reason", word), t.dropped[i])
	}
	for i, word := range sourceWords {
		counter(w, labelled("publications_total", "source", word), t.publications[i])
	}
	s.writeTokenRefusals(w, t)
}

func (s *Server) writeAcceptor(w io.Writer) {
	counter(w, "accepted_total", s.acceptor.accepted.Load())
	counter(w, "accept_failures_total", s.acceptor.failed.Load())
}

// totals sums the loops' counters as of their last tick.
func (s *Server) totals() counters {
	var sum counters
	for _, l := range s.loops {
		c := l.tallied.load()
		sum.add(&c)
		sum.dropped[dropMailbox] += l.mailbox.dropped.Load()
	}
	sum.publications[sourceBackend] += s.backendPublications.Load()
	return sum
}

func (c *counters) add(o *counters) {
	for _, p := range [...][2]*uint64{
		{&c.handshakes, &o.handshakes}, {&c.reconnects, &o.reconnects}, {&c.tokensEchoed, &o.tokensEchoed},
		{&c.received, &o.received}, {&c.receivedBytes, &o.receivedBytes}, {&c.sent, &o.sent},
		{&c.sentBytes, &o.sentBytes}, {&c.writes, &o.writes}, {&c.deliveries, &o.deliveries},
		{&c.gaps, &o.gaps}, {&c.pings, &o.pings}, {&c.slowConsumers, &o.slowConsumers}, {&c.panics, &o.panics},
		{&c.compressed, &o.compressed}, {&c.postponed, &o.postponed},
		{&c.open, &o.open}, {&c.rooms, &o.rooms}, {&c.members, &o.members}, {&c.held, &o.held},
		{&c.buffersInUse, &o.buffersInUse}, {&c.activities, &o.activities},
	} {
		*p[0] += *p[1]
	}
	addEach(c.refused[:], o.refused[:])
	addEach(c.tokensRefused[:], o.tokensRefused[:])
	addEach(c.closes[:], o.closes[:])
	addEach(c.violations[:], o.violations[:])
	addEach(c.errors[:], o.errors[:])
	addEach(c.proxyErrors[:], o.proxyErrors[:])
	addEach(c.inflateErrors[:], o.inflateErrors[:])
	addEach(c.publications[:], o.publications[:])
	addEach(c.dropped[:], o.dropped[:])
	addEach(c.rateLimited[:], o.rateLimited[:])
}

func addEach(sum, more []uint64) {
	for i := range sum {
		sum[i] += more[i]
	}
}
