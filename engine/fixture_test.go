package engine

// What the black-box tests share: figures read as an operator reads them, a bystander who must be served whatever
// is done to others, and the loops' own levels.

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/auth"
	"github.com/roost-ws/roost/engine/enginetest"
)

// patience bounds the wait for something that has to come; on a busy machine it may take a while.
const patience = 5 * time.Second

// comesTrue looks every few milliseconds whether done holds, and says whether it did within patience.
func comesTrue(done func() bool) bool {
	look := time.NewTicker(2 * time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(patience); !done(); <-look.C {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// figures are the values of all series by name and labels.
type figures map[string]float64

// scrape reads a server's figures out of its metrics text. The loops copy their counters once a tick; here they do
// it when asked, so that a test sees what it did and not what the one before it did.
func scrape(s *Server) figures {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	_ = s.each(ctx, func(l *Loop, done func()) { l.tallied.store(l); done() })
	var text bytes.Buffer
	s.WriteMetrics(&text)
	return parseFigures(text.String())
}

func parseFigures(text string) figures {
	f := figures{}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if at := strings.LastIndexByte(line, ' '); at > 0 && line[0] != '#' {
			if v, err := strconv.ParseFloat(line[at+1:], 64); err == nil {
				f[line[:at]] = v
			}
		}
	}
	return f
}

func refusedSeries(reason string) string {
	return fmt.Sprintf("roost_handshakes_refused_total{reason=%q}", reason)
}
func closedSeries(reason string) string { return fmt.Sprintf("roost_closes_total{reason=%q}", reason) }
func frameSeries(reason string) string {
	return fmt.Sprintf("roost_frame_errors_total{reason=%q}", reason)
}
func errorSeries(code string) string { return fmt.Sprintf("roost_errors_total{code=%q}", code) }
func tokenSeries(reason string) string {
	return fmt.Sprintf("roost_tokens_refused_total{reason=%q}", reason)
}

// grew waits until a series has grown by n since before, and fails if it is another number or not there at all.
func grew(t testing.TB, s *Server, before figures, n float64, series string) {
	t.Helper()
	var now float64
	known := false
	comesTrue(func() bool {
		now, known = scrape(s)[series]
		return now-before[series] >= n
	})
	if !known {
		t.Errorf("there is no series %s", series)
	} else if now-before[series] != n {
		t.Errorf("%s grew by %v, want %v", series, now-before[series], n)
	}
}

// settles waits until a series has a value.
func settles(t testing.TB, s *Server, want float64, series string) {
	t.Helper()
	var now float64
	if !comesTrue(func() bool { now = scrape(s)[series]; return now == want }) {
		t.Errorf("%s stays at %v, want %v", series, now, want)
	}
}

// bystander is a client that has nothing to do with what a test does to the server.
type bystander struct {
	client *enginetest.Client
	served int
}

var bystanders atomic.Int64

func newBystander(t testing.TB, addr string, o enginetest.Options) *bystander {
	t.Helper()
	return &bystander{client: enginetest.Dial(t, addr, fmt.Sprintf("/raw/bystander.%d", bystanders.Add(1)), o)}
}

// mustBeServed sends something and fails the test unless it comes back.
func (b *bystander) mustBeServed() {
	b.served++
	text := fmt.Sprintf("still there? %d", b.served)
	b.client.SendText(text)
	b.client.ExpectText(text)
}

// round waits until each loop has worked off what had reached it when round was called: what was written to a
// connection of loopback before is read by then.
func round(t testing.TB, s *Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := s.each(ctx, func(_ *Loop, done func()) { done() }); err != nil {
		t.Fatalf("waiting for the loops: %v", err)
	}
}

// enrolled dials and waits until the connection is on its loop, so that round is about its bytes too.
func enrolled(t testing.TB, s *Server, addr string, o enginetest.Options) *enginetest.Client {
	t.Helper()
	before := s.acceptor.accepted.Load()
	c := enginetest.DialRaw(t, addr, o)
	if !comesTrue(func() bool { return s.acceptor.accepted.Load() > before }) {
		t.Fatal("the connection was not accepted")
	}
	return c
}

// levels are what the loops hold, summed.
type levels struct {
	connections, rooms, members, timers, buffers        int
	activities, assemblers, requests, walks, acks, slow int
	far, waiting                                        int
	held                                                int64
}

func levelsOf(t testing.TB, s *Server) levels {
	t.Helper()
	each := make([]levels, len(s.loops))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	err := s.each(ctx, func(l *Loop, done func()) {
		each[l.index] = levels{
			connections: l.conns.open, rooms: len(l.roomTable) - 1 - len(l.roomFree), members: l.members,
			timers: l.wheel.Len(), buffers: l.bufs.InUse(), activities: l.activities.lent,
			assemblers: l.assemblers.lent, requests: l.requests.lent, walks: l.walks.lent, acks: l.acks.lent,
			slow: len(l.slow), held: l.held, far: len(l.far), waiting: l.stillWaiting(),
		}
		done()
	})
	if err != nil {
		t.Fatalf("asking the loops: %v", err)
	}
	var sum levels
	for _, l := range each {
		sum.connections += l.connections
		sum.rooms += l.rooms
		sum.members += l.members
		sum.timers += l.timers
		sum.buffers += l.buffers
		sum.activities += l.activities
		sum.assemblers += l.assemblers
		sum.requests += l.requests
		sum.walks += l.walks
		sum.acks += l.acks
		sum.slow += l.slow
		sum.far += l.far
		sum.waiting += l.waiting
		sum.held += l.held
	}
	return sum
}

// stillWaiting is how many connections wait for their turn.
func (l *Loop) stillWaiting() (n int) {
	for _, slot := range l.waiting {
		n += int(min(slot, 1))
	}
	return n
}

// mustBeEmpty waits until the server holds nothing any more: its loops, its admission and its router.
func mustBeEmpty(t testing.TB, s *Server) {
	t.Helper()
	empty := levels{assemblers: len(s.loops)} // each loop has one in its own hands
	var now levels
	if !comesTrue(func() bool { now = levelsOf(t, s); return now == empty }) {
		t.Errorf("the loops hold %+v, want %+v", now, empty)
	}
	if n := s.Connections(); n != 0 {
		t.Errorf("%d connections are counted, want none", n)
	}
	if !comesTrue(func() bool { return s.router.Rooms() == 0 }) {
		t.Errorf("the router knows %d rooms, want none", s.router.Rooms())
	}
	if a, u := s.admission.addresses.size(), s.admission.users.size(); a != 0 || u != 0 {
		t.Errorf("%d addresses and %d users are counted, want none", a, u)
	}
	if n := s.arriving(); n != 0 {
		t.Errorf("%d connections are counted as arriving, want none", n)
	}
	for i, l := range s.loops {
		if n := l.population.Load(); n != 0 {
			t.Errorf("loop %d counts %d connections, want none", i, n)
		}
	}
}

// verifying makes a server check enginetest's tokens.
func verifying(t testing.TB, o *Options, edit func(*auth.Options)) {
	t.Helper()
	a := auth.Options{HMACSecret: []byte(enginetest.Secret)}
	if edit != nil {
		edit(&a)
	}
	v, err := auth.New(a)
	if err != nil {
		t.Fatal(err)
	}
	o.Verifier = v
}

// v1 is what a client of roost.v1 offers.
var v1 = enginetest.Options{Subprotocols: []string{"roost.v1"}}

// v1As is v1 with a token.
func v1As(token string) enginetest.Options {
	return enginetest.Options{Subprotocols: []string{"roost.v1"}, Token: token}
}

// upgradeAnswer reads the answer to a handshake that the test sent itself, and leaves what follows to the client.
func upgradeAnswer(t testing.TB, c *enginetest.Client) string {
	t.Helper()
	_ = c.NetConn().SetReadDeadline(time.Now().Add(patience))
	var head []byte
	for b := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); head = append(head, b...) {
		if _, err := c.NetConn().Read(b); err != nil {
			t.Fatalf("%v after %q", err, head)
		}
	}
	return string(head)
}

// awaitUpgrade is upgradeAnswer for one that has to be 101.
func awaitUpgrade(t testing.TB, c *enginetest.Client) {
	t.Helper()
	if head := upgradeAnswer(t, c); !strings.HasPrefix(head, "HTTP/1.1 101 ") {
		t.Fatalf("not upgraded: %q", head)
	}
}

// dialV1 opens a roost.v1 connection and reads its welcome.
func dialV1(t testing.TB, addr, path string, o enginetest.Options) *enginetest.Client {
	t.Helper()
	c := enginetest.Dial(t, addr, path, o)
	c.ExpectType("welcome")
	return c
}

// size is how many keys there are.
func (t *tally[K]) size() int {
	n := 0
	for i := range t.shards {
		t.shards[i].mu.Lock()
		n += len(t.shards[i].m)
		t.shards[i].mu.Unlock()
	}
	return n
}
