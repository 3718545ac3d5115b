package redis_test

import (
	"strings"
	"testing"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/fanout/fanouttest"
	"github.com/roost-ws/roost/fanout/redis"
	"github.com/roost-ws/roost/fanout/redis/redistest"
)

func TestTLS(t *testing.T) {
	server, address, authority := redistest.StartTLS(t, "requirepass s3cret")
	other := t.TempDir()
	_, _, wrong := redistest.StartTLS(t)
	for _, c := range []struct{ name, url, says string }{
		{"authority given", "rediss://:s3cret@" + address + "?ca=" + authority, ""},
		{"system's roots", "rediss://:s3cret@" + address, "certificate signed by unknown authority"},
		{"another authority", "rediss://:s3cret@" + address + "?ca=" + wrong, "certificate signed by unknown authority"},
		{"another name", "rediss://:s3cret@" + strings.Replace(address, "127.0.0.1", "localhost", 1) + "?ca=" + authority, "localhost"},
		{"TLS to a plain port", "rediss://:s3cret@" + server.Addr + "?ca=" + authority, "TLS"},
		{"plain to a TLS port", "redis://:s3cret@" + address, "closed the connection"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := open(t, c.url, func(o *redis.Options) { o.Timeout = impatient })
			err := b.Start(fanouttest.NewLedger().Hearing())
			defer func() { _ = b.Close() }()
			switch {
			case c.says == "" && err != nil:
				t.Errorf("Start: %v", err)
			case c.says != "" && (err == nil || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "s3cret")):
				t.Errorf("Start: %v, want an error that says %q", err, c.says)
			}
		})
	}
	if _, err := redis.ParseURL("rediss://h?ca=" + other); err == nil {
		t.Error("a directory is taken for certificates")
	}
	fanouttest.RunBroker(t, func(t *testing.T) fanout.Broker {
		return open(t, "rediss://:s3cret@"+address+"?ca="+authority)
	}, fanouttest.OneBus)
}

// A connection killed is found and made again under TLS too.
func TestTLSFault(t *testing.T) {
	server, address, authority := redistest.StartTLS(t)
	s := startScene(t, "rediss://"+address+"?ca="+authority)
	server.Do("CLIENT", "KILL", "TYPE", "pubsub")
	redistest.Wait(t, "the rooms have a gap", func() bool { return s.gaps() > 0 })
	s.heard("afterwards", 20)
	s.check()
}
