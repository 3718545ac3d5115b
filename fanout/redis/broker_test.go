package redis_test

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/fanout/fanouttest"
	"github.com/roost-ws/roost/fanout/redis"
	"github.com/roost-ws/roost/fanout/redis/redistest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var nodes atomic.Int64

// nodeName returns a name that no other node of this run has.
func nodeName() string { return fmt.Sprintf("node-%d", nodes.Add(1)) }

// open returns a broker that waits for Start, with the settings that change leaves.
func open(t testing.TB, url string, change ...func(*redis.Options)) *redis.Broker {
	t.Helper()
	o := redis.Options{URL: url, Node: nodeName(), MaxBytes: 2 << 20, Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	for _, c := range change {
		c(&o)
	}
	b, err := redis.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func keep(r fanout.Retention) func(*redis.Options) {
	return func(o *redis.Options) { o.Retention = func(string) fanout.Retention { return r } }
}

func TestOneServer(t *testing.T) {
	server := redistest.Start(t)
	fanouttest.RunBroker(t, func(t *testing.T) fanout.Broker { return open(t, "redis://"+server.Addr) }, fanouttest.OneBus)
}

// The same cases when every publication goes through the script.
func TestOneServerWithHistory(t *testing.T) {
	server := redistest.Start(t)
	fanouttest.RunBroker(t, func(t *testing.T) fanout.Broker {
		return open(t, "redis://"+server.Addr, keep(fanout.Retention{Size: 5, TTL: time.Minute}))
	}, fanouttest.OneBus)
}

func TestHistory(t *testing.T) {
	server := redistest.Start(t)
	fanouttest.RunHistory(t, func(t *testing.T, retention func(string) fanout.Retention) fanouttest.HistoryBroker {
		server.Do("FLUSHALL") // each case counts from 1
		return open(t, "redis://"+server.Addr, func(o *redis.Options) { o.Retention = retention })
	}, fanouttest.OneBus)
}

func TestNewRefuses(t *testing.T) {
	for _, c := range []struct {
		name, says string
		options    redis.Options
	}{
		{"no URL", "does not begin", redis.Options{Node: "n"}},
		{"no node", "set node", redis.Options{URL: "redis://h"}},
		{"a prefix with a brace", "without", redis.Options{URL: "redis://h", Node: "n", Prefix: "{a}:"}},
	} {
		if _, err := redis.New(c.options); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want an error that says %q", c.name, err, c.says)
		}
	}
}

// A node whose Redis can't be used does not start, and says why without the password.
func TestStartRefuses(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t, "requirepass s3cret")
	unused := redistest.Start(t)
	replica := redistest.Start(t, "replicaof "+strings.Replace(unused.Addr, ":", " ", 1))
	gone := redistest.Start(t)
	gone.Stop()
	for _, c := range []struct{ name, url, says string }{
		{"no password", "redis://" + server.Addr, "wants a password"},
		{"wrong password", "redis://:wr0ng@" + server.Addr, "refuses the user or the password"},
		{"wrong user", "redis://who:s3cret@" + server.Addr, "refuses the user or the password"},
		{"nobody there", "redis://" + gone.Addr, "connection refused"},
		{"replica", "redis://" + replica.Addr, "it is a slave"},
		{"no such database", "redis://:s3cret@" + server.Addr + "/999", "out of range"},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := &lines{}
			b := open(t, c.url, func(o *redis.Options) { o.Timeout, o.Log = time.Second, log.logger() })
			err := b.Start(fanouttest.NewLedger().Hearing())
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("Start: %v, want an error that says %q", err, c.says)
			}
			if text := fmt.Sprint(err) + log.String(); strings.Contains(text, "s3cret") || strings.Contains(text, "wr0ng") {
				t.Errorf("the password is in %s", text)
			}
			if err := b.Close(); !errors.Is(err, fanout.ErrClosed) {
				t.Errorf("Close after a failed Start: %v, want ErrClosed", err)
			}
		})
	}
	b := open(t, "redis://:s3cret@"+server.Addr+"/2")
	if err := b.Start(fanouttest.NewLedger().Hearing()); err != nil {
		t.Errorf("the right password: %v", err)
	}
	_ = b.Close()
}

// While a server is silent nothing waits without bound: publications are refused as busy beyond the queue's length.
func TestQueueIsBounded(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	b := open(t, "redis://"+server.Addr, func(o *redis.Options) { o.Timeout = 2 * time.Second })
	if err := b.Start(fanouttest.NewLedger().Hearing()); err != nil {
		t.Fatal(err)
	}
	server.Pause()
	var busy, down, other atomic.Int64
	count := func(err error) {
		switch {
		case errors.Is(err, fanout.ErrBusy):
			busy.Add(1)
		case errors.Is(err, redis.ErrDown):
			down.Add(1)
		default:
			other.Add(1)
		}
	}
	const tried = 20_000
	for range tried {
		b.Publish(&fanout.Publication{Room: "a", Data: []byte("1")}, completion(count))
	}
	if n := b.Stats().Pending; n > 16384 || busy.Load() != tried-int64(n) {
		t.Errorf("%d wait and %d were refused of %d", n, busy.Load(), tried)
	}
	redistest.Wait(t, "the others fail", func() bool { return busy.Load()+down.Load()+other.Load() == tried })
	if other.Load() > 0 || b.Up() {
		t.Errorf("%d have another outcome than busy and down; up is %v", other.Load(), b.Up())
	}
	server.Continue()
	redistest.Wait(t, "the broker is up", b.Up)
	if err := publish(t, b, "a", "1"); err != nil {
		t.Errorf("publishing afterwards: %v", err)
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

type completion func(error)

func (c completion) Published(_ fanout.Position, err error) { c(err) }
