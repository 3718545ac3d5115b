package redis_test

import (
	"testing"
	"time"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/fanout/fanouttest"
	"github.com/roost-ws/roost/fanout/redis"
	"github.com/roost-ws/roost/fanout/redis/redistest"
)

// rights is what a node's user in Redis has to be allowed, as the documentation says.
const rights = "resetkeys ~roost:* resetchannels &roost:* -@all +hello +ping +info +select +subscribe +unsubscribe +publish " +
	"+eval +evalsha +script|load +get +set +del +hmget +hset +hincrby +xadd +xrange +xrevrange +pexpire"

func TestUserWithFewRights(t *testing.T) {
	server := redistest.Start(t, "user roost on >pw "+rights)
	fanouttest.RunHistory(t, func(t *testing.T, retention func(string) fanout.Retention) fanouttest.HistoryBroker {
		server.Do("FLUSHALL")
		return open(t, "redis://roost:pw@"+server.Addr+"/1", func(o *redis.Options) { o.Retention = retention })
	}, fanouttest.OneBus)
}

// A server that was started anew may have lost what it acknowledged last, also when it kept the rest: its streams begin
// a new epoch, so that no offset is given twice.
func TestRestartBeginsAnEpoch(t *testing.T) {
	server := redistest.Start(t, "appendonly yes", "appendfsync always")
	b := open(t, "redis://"+server.Addr, keep(fanout.Retention{Size: 10, TTL: time.Minute}), func(o *redis.Options) { o.Timeout = impatient })
	if err := b.Start(fanouttest.NewLedger().Hearing()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close() }()
	page := func() fanout.Page {
		answers := make(chan fanout.Page, 1)
		b.History("a", fanout.Query{Limit: 10}, func(p fanout.Page, err error) {
			if err != nil {
				t.Errorf("History: %v", err)
			}
			answers <- p
		})
		return <-answers
	}
	for range 3 {
		if err := publish(t, b, "a", "x"); err != nil {
			t.Fatal(err)
		}
	}
	before := page()
	if before.Position.Offset != 3 || len(before.Publications) != 3 {
		t.Fatalf("three publications make %+v", before)
	}
	server.Restart()
	redistest.Wait(t, "the node is back", func() bool { return b.Up() && b.Stats().Reconnects > 0 })
	if got := server.Do("EXISTS", "roost:history:a", "roost:position:a"); got != "2" {
		t.Fatalf("the server kept %s of 2 keys", got)
	}
	if after := page(); after.Position.Epoch == before.Position.Epoch || after.Position.Offset != 0 || len(after.Publications) != 0 {
		t.Errorf("after the restart the stream is %+v, before %+v", after, before)
	}
	if err := publish(t, b, "a", "x"); err != nil {
		t.Fatal(err)
	}
	if after := page(); after.Position.Offset != 1 || len(after.Publications) != 1 {
		t.Errorf("the first publication makes %+v", after)
	}
}
