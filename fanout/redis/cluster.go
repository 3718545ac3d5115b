package redis

// Which master of a cluster serves which part, and what happens when that changes: a failover, a slot that moves.

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/redis/rueidis"
)

const (
	// topologyPause is how long between two looks at a cluster that is well, unsettledPause at one that is not.
	topologyPause  = 5 * time.Second
	unsettledPause = 250 * time.Millisecond
)

// unsettle makes the topology be looked at soon. Any goroutine may call it.
func (b *Broker) unsettle() { wake(b.unsettled) }

// follow is the goroutine that keeps parts with the masters that serve them, from Start to Close.
func (b *Broker) follow() {
	pause := topologyPause
	for {
		timer := time.NewTimer(pause)
		select {
		case <-b.stop:
			timer.Stop()
			return
		case <-timer.C:
		case <-b.unsettled:
			timer.Stop()
			// Whatever it was, it is seldom over at once, and many tell of the same.
			select {
			case <-b.stop:
				return
			case <-time.After(unsettledPause):
			}
		}
		if err := b.look(b.ctx); err != nil && b.ctx.Err() == nil {
			b.log.Warn("the cluster's topology can't be read", "error", err)
		}
		if pause = topologyPause; !b.Up() {
			pause = unsettledPause
		}
	}
}

// lookUntil looks until it has seen the topology or ctx ends.
func (b *Broker) lookUntil(ctx context.Context) error {
	for {
		err := b.look(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(unsettledPause):
		}
	}
}

// look asks for the topology once, and follows it.
func (b *Broker) look(ctx context.Context) error {
	owners, err := b.askOwners(ctx)
	if err != nil {
		return err
	}
	wanted := map[string]bool{}
	for index, part := range b.parts {
		address := owners[index]
		if address == "" {
			b.assign(part, index, nil)
			continue
		}
		wanted[address] = true
		b.assign(part, index, b.linkTo(address))
	}
	for _, l := range b.allLinks() {
		if !wanted[l.name] {
			b.forget(l)
		}
	}
	return nil
}

// askOwners asks a server that can be reached, or else one after the other of those that the URL names, for the address
// of each part's master.
func (b *Broker) askOwners(ctx context.Context) ([]string, error) {
	for _, l := range b.allLinks() {
		line := l.line.Load()
		if line == nil {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, b.options.Timeout)
		answer := line.client.Do(asking, line.client.B().ClusterSlots().Build())
		cancel()
		if owners, err := b.owners(answer, line.address); err == nil {
			return owners, nil
		}
	}
	var troubles []error
	for _, host := range b.lines.Hosts {
		owners, err := b.owners(b.lines.once(ctx, host, b.lines.Username, b.lines.Password, "CLUSTER", "SLOTS"), host)
		if err == nil {
			return owners, nil
		}
		troubles = append(troubles, fmt.Errorf("redis at %s: %w", host, explain(err)))
	}
	return nil, fmt.Errorf("asking for the cluster's slots: %w", errors.Join(troubles...))
}

// owners reads an answer to CLUSTER SLOTS that came from a server at address.
func (b *Broker) owners(answer rueidis.RedisResult, address string) ([]string, error) {
	ranges, err := answer.ToArray()
	if err != nil {
		return nil, err
	}
	owners := make([]string, len(b.parts))
	found := false
	for _, r := range ranges {
		fields, err := r.ToArray()
		if err != nil || len(fields) < 3 {
			return nil, errors.New("it answers what are no slots")
		}
		first, err1 := fields[0].AsInt64()
		last, err2 := fields[1].AsInt64()
		master, err3 := endpoint(fields[2], address)
		if err := errors.Join(err1, err2, err3); err != nil {
			return nil, fmt.Errorf("it answers what are no slots: %w", err)
		}
		for index := range owners {
			if slot := int64(b.layout.Slot(index)); slot >= first && slot <= last {
				owners[index], found = master, true
			}
		}
	}
	if !found {
		return nil, errors.New("no slot is served")
	}
	return owners, nil
}

// endpoint reads a server's address; one that does not know its own name is where it was asked.
func endpoint(m rueidis.RedisMessage, asked string) (string, error) {
	fields, err := m.ToArray()
	if err != nil || len(fields) < 2 {
		return "", errors.New("a server has no address")
	}
	port, err := fields[1].AsInt64()
	if err != nil {
		return "", err
	}
	host, _ := fields[0].ToString() // nil: unknown to itself
	if host == "" || host == "?" {
		if host, _, err = net.SplitHostPort(asked); err != nil {
			return "", err
		}
	}
	return net.JoinHostPort(host, strconv.FormatInt(port, 10)), nil
}

// assign gives a part to a link, nil for none. Rooms are subscribed there by the link's own goroutine, and hear of a gap.
func (b *Broker) assign(part *part, index int, l *link) {
	if part.move(l) {
		b.moves.Add(1)
		part.believe(nil) // what an old line says is no longer believed
	}
	if l == nil {
		return
	}
	if line := l.line.Load(); line != nil && !part.believes(line) {
		_ = l.in.put(request{kind: adoptRequest, index: index}) // never refused
	}
}

// linkTo returns the link to the server at address, and makes one if there is none.
func (b *Broker) linkTo(address string) *link {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, l := range b.links {
		if l.name == address {
			return l
		}
	}
	l := b.newLink(address, func(context.Context) (string, error) { return address, nil })
	b.links = append(b.links, l)
	l.start()
	return l
}

// forget ends the link to a server that serves nothing any more.
func (b *Broker) forget(l *link) {
	b.mu.Lock()
	kept := make([]*link, 0, len(b.links))
	for _, other := range b.links {
		if other != l {
			kept = append(kept, other)
		}
	}
	b.links = kept
	b.mu.Unlock()
	l.cancel()
}
