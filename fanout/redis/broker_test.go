package redis_test

import (
	"fmt"
	"io"
	"log/slog"
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
