package redis_test

import (
	"testing"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/fanout/fanouttest"
	"github.com/roost-ws/roost/fanout/redis"
	"github.com/roost-ws/roost/fanout/redis/redistest"
)

// rights is what a node's user in Redis has to be allowed, as the documentation says.
const rights = "resetkeys ~roost:* resetchannels &roost:* -@all +hello +ping +info +select +subscribe +unsubscribe +publish " +
	"+eval +evalsha +script|load +get +set +del +time +hmget +hgetall +hset +hdel +xadd +xrange +xrevrange +pexpire"

func TestUserWithFewRights(t *testing.T) {
	server := redistest.Start(t, "user roost on >pw "+rights)
	fanouttest.RunHistory(t, func(t *testing.T, retention func(string) fanout.Retention) fanouttest.HistoryBroker {
		server.Do("FLUSHALL")
		return open(t, "redis://roost:pw@"+server.Addr+"/1", func(o *redis.Options) { o.Retention = retention })
	}, fanouttest.OneBus)
}
