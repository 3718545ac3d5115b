package redis

// The connections of a Presence: its own, so that a long list does not stand in the way of publications.

import (
	"fmt"
	"net"

	"github.com/redis/rueidis"
)

// connect makes the clients, and gives each lane its own. It fails when a server does not answer.
func (p *Presence) connect() error {
	servers := [][]string{p.address.Hosts}
	if p.address.Mode == Several {
		servers = nil
		for _, host := range p.address.Hosts {
			servers = append(servers, []string{host})
		}
	}
	for _, hosts := range servers {
		client, err := rueidis.NewClient(p.clientOptions(hosts))
		if err != nil {
			p.disconnect()
			return fmt.Errorf("connecting to redis for presence: %w", err)
		}
		p.clients = append(p.clients, client)
	}
	for i, l := range p.lanes {
		l.client = p.clients[i%len(p.clients)]
	}
	return nil
}

func (p *Presence) disconnect() {
	for _, client := range p.clients {
		client.Close()
	}
	p.clients = nil
}

// clientOptions ask for one connection to each server, over which everything goes in the order it was sent in, and for
// no retries but our own.
func (p *Presence) clientOptions(hosts []string) rueidis.ClientOption {
	a := p.address
	o := rueidis.ClientOption{
		InitAddress: hosts, ForceSingleClient: a.Mode == One || a.Mode == Several,
		Username: a.Username, Password: a.Password, SelectDB: a.DB, TLSConfig: a.TLS,
		ClientName: "roost-presence", ClientSetInfo: rueidis.DisableClientSetInfo,
		DisableCache: true, DisableRetry: true, AlwaysPipelining: true, PipelineMultiplex: -1,
		RingScaleEachConn: 8, ReadBufferEachConn: 64 << 10, WriteBufferEachConn: 64 << 10,
		Dialer:           net.Dialer{Timeout: p.o.Timeout, KeepAlive: p.o.Timeout},
		ConnWriteTimeout: p.o.Timeout,
	}
	if a.Mode == Sentinel {
		o.Sentinel = rueidis.SentinelOption{MasterSet: a.Master, TLSConfig: a.TLS}
	}
	return o
}
