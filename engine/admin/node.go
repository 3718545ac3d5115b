package admin

// The node as a whole: its figures, and its end.

import (
	"net/http"
)

// nodeStats are engine.Stats with the names of the API. The conversion below compiles only while both have the same
// fields, so no figure is left out by accident.
type nodeStats struct {
	Node           string `json:"node"`
	Connections    int    `json:"connections"`
	MaxConnections int    `json:"max_connections"`
	Rooms          int    `json:"rooms"`
	Members        int    `json:"members"`
	Loops          int    `json:"loops"`
	Draining       bool   `json:"draining"`

	Handshakes        uint64  `json:"handshakes"`
	Reconnects        uint64  `json:"reconnects"`
	Received          uint64  `json:"received"`
	ReceivedBytes     uint64  `json:"received_bytes"`
	Sent              uint64  `json:"sent"`
	SentBytes         uint64  `json:"sent_bytes"`
	Publications      uint64  `json:"publications"`
	Deliveries        uint64  `json:"deliveries"`
	DeliveriesDropped uint64  `json:"deliveries_dropped"`
	Gaps              uint64  `json:"gaps"`
	OutboundBytes     uint64  `json:"outbound_bytes"`
	HeapPer           float64 `json:"heap_bytes_per_connection"`
	ResidentPer       float64 `json:"resident_bytes_per_connection"`
	KernelPer         float64 `json:"kernel_bytes_per_connection"`
}

// peerStats are another node's figures as it told them last, and when that was.
type peerStats struct {
	nodeStats
	Seen    int64 `json:"seen"` // Unix seconds
	Leaving bool  `json:"leaving"`
}

// stats answers with this node's figures, the addresses of its clients' side, and what the other nodes on the bus have
// said of themselves.
func (a *Admin) stats(*http.Request) (any, *failure) {
	addresses := a.node.Addresses()
	listen := make([]string, len(addresses))
	for i, address := range addresses {
		listen[i] = address.String()
	}
	peers := []peerStats{}
	for _, p := range a.node.Peers() {
		peers = append(peers, peerStats{nodeStats: nodeStats(p.Stats), Seen: p.Seen.Unix(), Leaving: p.Leaving})
	}
	return struct {
		Node   nodeStats   `json:"node"`
		Listen []string    `json:"listen"`
		Peers  []peerStats `json:"peers"`
	}{Node: nodeStats(a.node.Stats()), Listen: listen, Peers: peers}, nil
}

// startDrain begins the process's end, once: a second request must not have the force of a second SIGTERM.
func (a *Admin) startDrain(r *http.Request) (any, *failure) {
	if r.ContentLength != 0 {
		if f := readJSON(r, &struct{}{}); f != nil {
			return nil, f
		}
	}
	a.drainOnce.Do(func() {
		a.log.Info("asked to drain by the operator's port")
		a.drain()
	})
	return struct {
		Draining bool `json:"draining"`
	}{true}, nil
}
