package redistest

// Servers that belong together: a master with replicas under Sentinel, and a cluster.

import (
	"fmt"
	"net"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Sentinel is a master and a replica, watched by three sentinels that take a second to find the master gone.
type Sentinel struct {
	Name      string // of the master, for the sentinels
	Servers   []*Server
	Sentinels []*Server

	t testing.TB
}

// StartSentinel starts five processes and waits until the sentinels know all of them.
func StartSentinel(t testing.TB) *Sentinel {
	t.Helper()
	needs(t, "redis-sentinel", "redis-sentinel")
	g := &Sentinel{Name: "main", t: t}
	master := Start(t)
	host, port, err := net.SplitHostPort(master.Addr)
	if err != nil {
		t.Fatal(err)
	}
	g.Servers = []*Server{master, Start(t, "replicaof "+host+" "+port)}
	Wait(t, "the replica follows", g.Servers[1].Follows)
	for range 3 {
		g.Sentinels = append(g.Sentinels, start(t, "redis-sentinel", []string{
			fmt.Sprintf("sentinel monitor %s %s %s 2", g.Name, host, port),
			"sentinel down-after-milliseconds " + g.Name + " 1000",
			"sentinel failover-timeout " + g.Name + " 3000"}))
	}
	for _, s := range g.Sentinels { // as installed they look every ten seconds, and after eight put right what they find
		s.Do("SENTINEL", "DEBUG", "INFO-PERIOD", "500", "PUBLISH-PERIOD", "500")
	}
	Wait(t, "the sentinels know each other", func() bool {
		for _, s := range g.Sentinels {
			state := s.Do("INFO", "sentinel")
			if !strings.Contains(state, "status=ok") || !strings.Contains(state, "slaves=1,sentinels=3") {
				return false
			}
		}
		return true
	})
	return g
}

// IsMaster reports whether the server says so. One that is being put in another's place cuts its clients off, and has
// not answered then.
func (s *Server) IsMaster() bool {
	role, err := s.Try("ROLE").ToMessage()
	return err == nil && strings.HasPrefix(text(role), "master")
}

// Follows reports whether the server says that it has all that its master has.
func (s *Server) Follows() bool {
	state, err := s.Try("INFO", "replication").ToString()
	return err == nil && strings.Contains(state, "master_link_status:up")
}

// Addresses returns the sentinels' addresses, with commas between them.
func (g *Sentinel) Addresses() string { return addresses(g.Sentinels) }

// Master returns the server that the first sentinel takes for the master.
func (g *Sentinel) Master() *Server {
	g.t.Helper()
	host, port, _ := strings.Cut(g.Sentinels[0].Do("SENTINEL", "GET-MASTER-ADDR-BY-NAME", g.Name), " ")
	for _, s := range g.Servers {
		if s.Addr == net.JoinHostPort(host, port) {
			return s
		}
	}
	g.t.Fatalf("the sentinels name %s %s as master, which is none of ours", host, port)
	return nil
}

// FailOver has the sentinels put the replica in the master's place, as before maintenance. It returns when they have
// begun. Before that it waits until each of them has seen that the replica is one: a sentinel that saw a master there last
// would take the new master for that one and make it a replica again.
func (g *Sentinel) FailOver() {
	g.t.Helper()
	for _, s := range g.Sentinels {
		Wait(g.t, "a sentinel sees the replica", func() bool {
			replicas := s.Do("SENTINEL", "REPLICAS", g.Name)
			return strings.Contains(replicas, "role-reported:slave") && strings.Contains(replicas, "master-link-status:ok")
		})
	}
	Wait(g.t, "the sentinels begin a failover", func() bool {
		return g.Sentinels[0].Try("SENTINEL", "FAILOVER", g.Name).Error() == nil // not while the last one goes on
	})
}

// Cluster is a cluster's servers: the masters first, then the replicas.
type Cluster struct {
	Servers []*Server

	t testing.TB
}

// StartCluster starts a cluster of so many masters, each with so many replicas, and waits until all agree on it. Redis
// wants three masters at least.
func StartCluster(t testing.TB, masters, replicas int) *Cluster {
	t.Helper()
	needs(t, "redis-server", "redis-server")
	needs(t, "redis-cli", "redis-tools")
	g := &Cluster{t: t}
	for range masters * (1 + replicas) {
		g.Servers = append(g.Servers, Start(t, "cluster-enabled yes", "cluster-node-timeout 1000",
			"cluster-replica-validity-factor 0", "cluster-allow-replica-migration no"))
	}
	args := []string{"--cluster", "create"}
	for _, s := range g.Servers {
		args = append(args, s.Addr)
	}
	g.CLI(append(args, "--cluster-replicas", strconv.Itoa(replicas), "--cluster-yes")...)
	Wait(t, "the cluster is whole", func() bool {
		for _, s := range g.Servers {
			if !strings.Contains(s.Do("CLUSTER", "INFO"), "cluster_state:ok") ||
				strings.Count(s.Do("CLUSTER", "NODES"), " connected") < len(g.Servers) {
				return false
			}
		}
		return true
	})
	return g
}

// CLI runs redis-cli and returns what it said.
func (g *Cluster) CLI(args ...string) string {
	g.t.Helper()
	out, err := exec.Command("redis-cli", args...).CombinedOutput() // #nosec G204: the test's own words
	if err != nil {
		g.t.Fatalf("redis-cli %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// Addresses returns the servers' addresses, with commas between them.
func (g *Cluster) Addresses() string { return addresses(g.Servers) }

// Owner returns the master that has slot, as the first server that answers sees it.
func (g *Cluster) Owner(slot int) *Server {
	g.t.Helper()
	for _, asked := range g.Servers {
		ranges, err := asked.Try("CLUSTER", "SLOTS").ToArray()
		if err != nil {
			continue
		}
		for _, r := range ranges {
			parts, err := r.ToArray()
			if err != nil || len(parts) < 3 {
				continue
			}
			first, _ := parts[0].AsInt64()
			last, _ := parts[1].AsInt64()
			node, _ := parts[2].ToArray()
			if int64(slot) < first || int64(slot) > last || len(node) < 2 {
				continue
			}
			port, _ := node[1].AsInt64()
			for _, s := range g.Servers {
				if strings.HasSuffix(s.Addr, ":"+strconv.FormatInt(port, 10)) {
					return s
				}
			}
		}
		return nil
	}
	return nil
}

// Replica returns the server that follows master, nil if none does.
func (g *Cluster) Replica(master *Server) *Server {
	g.t.Helper()
	role := strings.Fields(master.Do("ROLE")) // master, offset, and of each replica host, port, offset
	for _, s := range g.Servers {
		if len(role) > 3 && s.Addr == net.JoinHostPort(role[2], role[3]) {
			return s
		}
	}
	return nil
}

// Move gives a slot and its keys to the next server, as redis-cli's reshard does for many. It is for clusters without
// replicas.
func (g *Cluster) Move(slot int) {
	g.t.Helper()
	from := g.Owner(slot)
	to := g.Servers[(slices.Index(g.Servers, from)+1)%len(g.Servers)]
	number := strconv.Itoa(slot)
	fromID, toID := from.Do("CLUSTER", "MYID"), to.Do("CLUSTER", "MYID")
	host, port, _ := strings.Cut(to.Addr, ":")
	to.Do("CLUSTER", "SETSLOT", number, "IMPORTING", fromID)
	from.Do("CLUSTER", "SETSLOT", number, "MIGRATING", toID)
	Wait(g.t, "the slot is empty", func() bool {
		for _, key := range strings.Fields(from.Do("CLUSTER", "GETKEYSINSLOT", number, "1000")) {
			from.Do("MIGRATE", host, port, key, "0", "5000", "REPLACE")
		}
		return from.Do("CLUSTER", "COUNTKEYSINSLOT", number) == "0"
	})
	for _, s := range append([]*Server{to, from}, g.Servers...) {
		s.Do("CLUSTER", "SETSLOT", number, "NODE", toID)
	}
}

func addresses(servers []*Server) string {
	list := make([]string, len(servers))
	for i, s := range servers {
		list[i] = s.Addr
	}
	return strings.Join(list, ",")
}
