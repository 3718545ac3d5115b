package redis

// One life of the connections to a server. When either of the two breaks, both are given up, so that nothing goes on
// as if nothing had happened.

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/redis/rueidis"
)

// lineConnections is how many connections a line dials; a third would be rueidis mending one by itself.
const lineConnections = 2

// line is two connections to one server: client's carries publications and other commands, subscriber's all that has
// to be in order with what is heard. It is made by dial, and both are used by any goroutine until it is dead.
type line struct {
	address string
	identity
	client     rueidis.Client
	subscriber rueidis.DedicatedClient

	cut  context.CancelFunc // closes both connections
	dead chan struct{}      // closed when either connection was

	mu    sync.Mutex
	dials int
	cause error // why it died
}

// identity is what a server says of itself.
type identity struct {
	run string // its run id: it changes when the server is started anew
	// whole is the Unix time in milliseconds, in digits, since which it has kept all that it was told; 0 if it writes a
	// file of every command, which outlives it.
	whole string
}

// lineSettings are what all lines of a broker have in common.
type lineSettings struct {
	Address
	timeout time.Duration
}

// dial connects to the server at address, and calls the hooks on the connection's reader from then on. It fails when the
// server is not a master, or when the two connections end at different servers.
func (s lineSettings) dial(ctx context.Context, address string, hooksFor func(*line) rueidis.PubSubHooks) (*line, error) {
	ctx, cut := context.WithCancel(ctx)
	l := &line{address: address, cut: cut, dead: make(chan struct{})}
	client, err := rueidis.NewClient(s.options(ctx, l))
	l.client = client
	if err != nil {
		err = fmt.Errorf("connecting to redis at %s: %w", address, l.explain(err)) // before close adds its own
		l.close()
		return nil, err
	}
	l.subscriber, _ = client.Dedicate()
	l.subscriber.SetPubSubHooks(hooksFor(l))
	if err := l.examine(ctx); err != nil {
		err = fmt.Errorf("connecting to redis at %s: %w", address, l.explain(err)) // before close adds its own
		l.close()
		return nil, err
	}
	return l, nil
}

// options are small, since a node has few commands in flight, each of them a batch; and nothing is retried.
func (s lineSettings) options(ctx context.Context, l *line) rueidis.ClientOption {
	return rueidis.ClientOption{
		InitAddress: []string{l.address}, ForceSingleClient: true,
		Username: s.Username, Password: s.Password, SelectDB: s.DB,
		ClientName: "roost", ClientSetInfo: rueidis.DisableClientSetInfo,
		DisableCache: true, DisableRetry: true, AlwaysPipelining: true, PipelineMultiplex: -1, BlockingPipeline: 1 << 20,
		RingScaleEachConn: 8, ReadBufferEachConn: 64 << 10, WriteBufferEachConn: 64 << 10,
		// rueidis sends a PING when no command was answered for KeepAlive, and waits ConnWriteTimeout for it.
		Dialer:           net.Dialer{Timeout: s.timeout, KeepAlive: s.timeout},
		ConnWriteTimeout: s.timeout,
		DialCtxFn: func(dialing context.Context, address string, dialer *net.Dialer, _ *tls.Config) (net.Conn, error) {
			return l.connect(ctx, dialing, address, dialer, s.TLS)
		},
	}
}

// connect is how rueidis dials. The connection ends with ctx, and the line with the connection.
func (l *line) connect(ctx, dialing context.Context, address string, dialer *net.Dialer, secure *tls.Config) (net.Conn, error) {
	l.mu.Lock()
	l.dials++
	refused := l.dials > lineConnections
	l.mu.Unlock()
	if refused || ctx.Err() != nil {
		return nil, ErrDown
	}
	dialing, cancel := context.WithTimeout(dialing, dialer.Timeout)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()
	conn, err := dialPlainOrTLS(dialing, dialer, secure, address)
	if err != nil {
		return nil, err
	}
	w := &watched{Conn: conn, line: l}
	w.release = context.AfterFunc(ctx, func() { _ = w.Close() }) // it is broken for whoever uses it then
	return w, nil
}

func dialPlainOrTLS(ctx context.Context, dialer *net.Dialer, secure *tls.Config, address string) (net.Conn, error) {
	if secure == nil {
		return dialer.DialContext(ctx, "tcp", address)
	}
	conn, err := (&tls.Dialer{NetDialer: dialer, Config: secure}).DialContext(ctx, "tcp", address)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no TLS connection in time, perhaps the port is not one for TLS: %w", err)
	}
	return conn, err
}

// watched is a connection that tells its line when it ends.
type watched struct {
	net.Conn
	line    *line
	release func() bool
}

func (w *watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	if err != nil {
		w.line.blame(err)
	}
	return n, err
}

func (w *watched) Close() error {
	w.line.die()
	return w.Conn.Close()
}

// blame remembers the first error.
func (l *line) blame(err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		err = errors.New("redis closed the connection")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cause == nil {
		l.cause = err
	}
}

// die says that the line is dead. rueidis closes a connection of its own accord when a PING is not answered.
func (l *line) die() {
	l.blame(errors.New("redis did not answer in time"))
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.dead:
	default:
		close(l.dead)
	}
}

func (l *line) reason() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cause
}

// close ends both connections and waits for what rueidis has running on them.
func (l *line) close() {
	l.cut()
	if l.subscriber != nil {
		l.subscriber.Close()
	}
	if l.client != nil {
		l.client.Close()
	}
}

// examine asks the server behind each connection who it is.
func (l *line) examine(ctx context.Context) error {
	who, err := examine(ctx, l.client)
	if err != nil {
		return err
	}
	again, err := examine(ctx, l.subscriber)
	if err != nil {
		return err
	}
	if who.run != again.run {
		return errors.New("two connections ended at two servers: give each server's own address, not that of a balancer")
	}
	l.identity = who
	b := l.client.B()
	load := l.client.DoMulti(ctx, publishScript.load(b), historyScript.load(b), restoreScript.load(b))
	for _, answer := range load {
		if err := answer.Error(); err != nil {
			return fmt.Errorf("loading the scripts: %w", err)
		}
	}
	return nil
}

// look fails when the server is another or no master any more.
func (l *line) look(ctx context.Context) error {
	who, err := examine(ctx, l.client)
	if err == nil && who.run != l.run {
		err = errors.New("it was started anew")
	}
	return err
}

// commander is what both kinds of connections have in common.
type commander interface {
	B() rueidis.Builder
	DoMulti(ctx context.Context, multi ...rueidis.Completed) []rueidis.RedisResult
}

// examine asks a server who it is. It fails unless it is a master that has loaded its data.
func examine(ctx context.Context, c commander) (who identity, err error) {
	answers := c.DoMulti(ctx, c.B().Ping().Build(), c.B().Info().Section("server").Build(),
		c.B().Info().Section("replication").Build(), c.B().Info().Section("persistence").Build())
	for _, answer := range answers {
		if err := answer.Error(); err != nil {
			return who, err
		}
	}
	server, _ := answers[1].ToString()
	replication, _ := answers[2].ToString()
	persistence, _ := answers[3].ToString()
	if role := field(replication, "role"); role != "master" {
		return who, fmt.Errorf("it is a %s, which takes no publications: give the master's address", role)
	}
	if who.run = field(server, "run_id"); who.run == "" {
		return who, errors.New("its INFO names no run_id")
	}
	who.whole = "0"
	if field(persistence, "aof_enabled") != "1" {
		who.whole = started(server)
	}
	return who, nil
}

// started is when a server was started at the latest, by its own clock. It says how long ago that is in whole seconds.
func started(server string) string {
	now, err := strconv.ParseInt(field(server, "server_time_usec"), 10, 64)
	up, err2 := strconv.ParseInt(field(server, "uptime_in_seconds"), 10, 64)
	if err != nil || err2 != nil {
		now, up = math.MaxInt64, 0 // it does not say: nothing from before this moment is believed
	}
	return strconv.FormatInt(now/1000-up*1000+1000, 10)
}

// field finds a field in what INFO answers.
func field(info, name string) string {
	for text := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(text, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// explain says in an operator's words why a connection was refused, and never what the password is.
func explain(err error) error {
	answer, ok := rueidis.IsRedisErr(err)
	if !ok {
		return err
	}
	text := answer.Error()
	switch {
	case needsPassword(err):
		return errors.New("it wants a password: write redis://user:password@host")
	case strings.HasPrefix(text, "WRONGPASS"), strings.HasPrefix(text, "ERR AUTH"):
		return errors.New("it refuses the user or the password: check them in the URL")
	}
	return fmt.Errorf("it answers %s", text)
}

func (l *line) explain(err error) error {
	if _, ok := rueidis.IsRedisErr(err); ok {
		return explain(err)
	}
	if cause := l.reason(); cause != nil {
		return cause
	}
	return err
}

func needsPassword(err error) bool {
	answer, ok := rueidis.IsRedisErr(err)
	return ok && strings.HasPrefix(answer.Error(), "NOAUTH")
}

// isAnswer reports whether err is what Redis said, not what became of the connection.
func isAnswer(err error) bool {
	_, ok := rueidis.IsRedisErr(err)
	return ok || rueidis.IsRedisNil(err)
}
