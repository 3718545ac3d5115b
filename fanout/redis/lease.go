package redis

// A node's name belongs to one process: two nodes of one name would take each other's members for their own.

import (
	"context"
	"fmt"
	"time"
)

// leaseTTL is how long a name stays taken when its node dies.
const leaseTTL = 15 * time.Second

// lease is who has the node's name.
type lease struct {
	holder string // this process, as the key's value names it; static after New
	taken  bool   // by us; for Start, and then for the goroutine that keeps it
}

// takeName takes the node's name, or says who has to change it.
func (b *Broker) takeName(ctx context.Context) error {
	mine, err := b.renew(ctx)
	if err != nil {
		return fmt.Errorf("taking the node's name in redis: %w", err)
	}
	if !mine {
		return fmt.Errorf("node: another node called %q is on this bus: give each node its own name (if that one was killed just now, its name is free after %s)",
			b.options.Node, leaseTTL)
	}
	b.lease.taken = true
	b.running.Go(b.keepName)
	return nil
}

// renew takes or keeps the name.
func (b *Broker) renew(ctx context.Context) (mine bool, err error) {
	l := b.parts[b.layout.Part(b.options.Node)].owner()
	if l == nil {
		return false, ErrDown
	}
	n, err := l.call(ctx, leaseScript, []string{b.layout.lease(b.options.Node)}, b.lease.holder, milliseconds(leaseTTL)).AsInt64()
	return n == 1, err
}

// keepName renews the lease, takes it again when Redis has lost it, and says so when somebody else has it: that can't
// be mended here, and the connections of this node are worth more than its name.
func (b *Broker) keepName() {
	tick := time.NewTicker(leaseTTL / 5)
	defer tick.Stop()
	for {
		select {
		case <-b.stop:
			return
		case <-tick.C:
		}
		ctx, cancel := context.WithTimeout(b.ctx, b.options.Timeout)
		mine, err := b.renew(ctx)
		cancel()
		if err != nil {
			continue // a link that is down is in the log already
		}
		if !mine && b.lease.taken {
			b.log.Error("another node has taken this node's name: give each node its own", "node", b.options.Node)
		}
		b.lease.taken = mine
	}
}

// giveBackName frees the name, if Redis answers within a second.
func (b *Broker) giveBackName() {
	l := b.parts[b.layout.Part(b.options.Node)].owner()
	if l == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	// Without an answer the name is free when the lease ends.
	_ = l.call(ctx, releaseScript, []string{b.layout.lease(b.options.Node)}, b.lease.holder)
}
