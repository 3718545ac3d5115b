package redis

// The master that sentinels name.

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"
)

// sentinelPause is how long between two questions to a sentinel while the master seems well. One that was cut off from
// the others believes that it is the master still, and nobody else can tell.
const sentinelPause = 2 * time.Second

// sentinels finds the master.
type sentinels struct {
	settings lineSettings
	last     atomic.Int64 // the one that answered last
}

// find asks one sentinel after the other, beginning with the one that answered last.
func (s *sentinels) find(ctx context.Context) (string, error) {
	var troubles []error
	hosts := s.settings.Hosts
	for i := range hosts {
		index := (int(s.last.Load()) + i) % len(hosts)
		address, err := s.ask(ctx, hosts[index])
		if err == nil {
			s.last.Store(int64(index))
			return address, nil
		}
		troubles = append(troubles, fmt.Errorf("sentinel at %s: %w", hosts[index], err))
	}
	return "", fmt.Errorf("asking for the master called %q: %w", s.settings.Master, errors.Join(troubles...))
}

func (s *sentinels) ask(ctx context.Context, host string) (string, error) {
	answer := s.settings.once(ctx, host, "", "", "SENTINEL", "GET-MASTER-ADDR-BY-NAME", s.settings.Master)
	if needsPassword(answer.Error()) {
		answer = s.settings.once(ctx, host, s.settings.Username, s.settings.Password, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", s.settings.Master)
	}
	pair, err := answer.AsStrSlice()
	switch {
	case rueidis.IsRedisNil(err):
		return "", errors.New("it watches no master of that name: check what follows the hosts in the URL")
	case err != nil:
		return "", err
	case len(pair) != 2:
		return "", errors.New("it answers what is no address")
	}
	return net.JoinHostPort(pair[0], pair[1]), nil
}

// watch gives the line up when the sentinels name another master. It ends with ctx.
func (l *link) watch(ctx context.Context, line *line) {
	tick := time.NewTicker(sentinelPause)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if address, err := l.find(ctx); err == nil && address != line.address {
			line.blame(fmt.Errorf("the sentinels name %s as master now", address))
			line.cut()
			return
		}
	}
}

// once sends one command on a connection of its own.
func (s lineSettings) once(ctx context.Context, address, username, password string, command ...string) rueidis.RedisResult {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{address}, ForceSingleClient: true, Username: username, Password: password,
		ClientName: "roost", ClientSetInfo: rueidis.DisableClientSetInfo,
		DisableCache: true, DisableRetry: true, PipelineMultiplex: -1,
		RingScaleEachConn: 1, ReadBufferEachConn: 16 << 10, WriteBufferEachConn: 4 << 10,
		Dialer: net.Dialer{Timeout: s.timeout}, ConnWriteTimeout: s.timeout,
		DialCtxFn: func(_ context.Context, address string, dialer *net.Dialer, _ *tls.Config) (net.Conn, error) {
			conn, err := dialPlainOrTLS(ctx, dialer, s.TLS, address)
			if err == nil {
				context.AfterFunc(ctx, func() { _ = conn.Close() }) // whoever uses it then finds it broken
			}
			return conn, err
		},
	})
	if client != nil {
		defer client.Close()
	}
	if err != nil {
		return rueidis.NewErrorResult(err)
	}
	return client.Do(ctx, client.B().Arbitrary(command...).Build())
}
