package fanout

// What the nodes of a bus say to each other beside publications: that they are there, and orders.

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// ControlRoom is where nodes talk to each other. No client's room has this name: $ is not a letter of those.
const ControlRoom = "$nodes"

const (
	// peerEvery is how often a node says that it is there, peerGone how long it is believed.
	peerEvery = 5 * time.Second
	peerGone  = 16 * time.Second
	// orderAgain is when an order is repeated to nodes that have not answered, orderOver when they are given up.
	orderAgain = 700 * time.Millisecond
	orderOver  = 2 * time.Second
	// maxPeers and maxNotes bound the nodes that are known and the notes that wait to be read; maxNoteBytes one note.
	maxPeers     = 1024
	maxNotes     = 1024
	maxNoteBytes = 256 << 10
)

// Node is this node as the Control sees it. Its methods are called on the Control's goroutine, one at a time, and may
// wait a second or two.
type Node interface {
	// Figures are what the other nodes are told of this one, as JSON.
	Figures() []byte
	// State is what a node that has just come has to know, as JSON, and Learn takes it. It may be empty.
	State() []byte
	Learn(state []byte)
	// Obey carries out an order of another node and returns what that one is told, as JSON. An order may come twice.
	Obey(order []byte) []byte
}

// Peer is another node.
type Peer struct {
	Name    string
	Figures []byte // JSON
	Seen    time.Time
	// Leaving says that it has announced its end.
	Leaving bool
}

// Control lets the nodes of a bus know of each other and carries orders to all of them. Orders arrive at most once, as
// everything on the bus, so each is answered, and repeated to those who have not: who asked knows whom it has reached.
// Its methods may be called from any goroutine.
type Control struct {
	// Static after NewControl.
	name  string
	node  Node
	notes chan note
	stop  chan struct{}
	done  sync.WaitGroup
	// Any goroutine.
	router  *Router
	dropped atomic.Uint64
	mu      sync.Mutex // guards what follows
	peers   map[string]*Peer
	asked   map[uint64]*tally
	lastID  uint64
	leaving bool
}

// note is what travels in the ControlRoom.
type note struct {
	Type string          `json:"type"` // hello, here, bye, order or answer
	From string          `json:"from"`
	To   string          `json:"to,omitempty"` // nobody else need read it
	ID   uint64          `json:"id,omitempty"` // of an order, and in its answer
	Body json.RawMessage `json:"body,omitempty"`
	// State comes with a here that answers a hello.
	State json.RawMessage `json:"state,omitempty"`
}

// tally is an order whose answers are awaited.
type tally struct {
	answers map[string][]byte
	changed chan struct{} // holds one
}

// newControl returns the Control of a node of that name, which waits for start.
func newControl(name string, node Node) *Control {
	return &Control{name: name, node: node, notes: make(chan note, maxNotes), stop: make(chan struct{}),
		peers: map[string]*Peer{}, asked: map[uint64]*tally{}}
}

// start begins to talk.
func (c *Control) start(r *Router) {
	c.router = r
	r.broker.Subscribe(ControlRoom, func(err error) {
		if err == nil {
			c.queue(note{Type: "start"})
		}
	})
	c.done.Go(c.work)
}

// close says goodbye and waits for the goroutine.
func (c *Control) close() {
	c.say(note{Type: "bye"})
	close(c.stop)
	c.done.Wait()
}

// hear takes a publication of the ControlRoom. It does not block.
func (c *Control) hear(p *Publication) {
	var n note
	if p.Node == "" || len(p.Data) > maxNoteBytes || json.Unmarshal(p.Data, &n) != nil || n.From == "" || n.Type == "start" {
		c.dropped.Add(1)
		return
	}
	if n.From != c.name && (n.To == "" || n.To == c.name) {
		c.queue(n)
	}
}

func (c *Control) queue(n note) {
	select {
	case c.notes <- n:
	default:
		c.dropped.Add(1)
	}
}

func (c *Control) say(n note) {
	n.From = c.name
	b, err := json.Marshal(n)
	if err != nil || len(b) > maxNoteBytes {
		c.dropped.Add(1)
		return
	}
	c.router.Publish(&Publication{Room: ControlRoom, Data: b, Node: c.name}, nil)
}

// work reads notes and says every few seconds that this node is there.
func (c *Control) work() {
	every := time.NewTicker(peerEvery)
	defer every.Stop()
	for {
		select {
		case <-c.stop:
			return
		case n := <-c.notes:
			c.read(&n)
		case <-every.C:
			c.forget(time.Now())
			c.here("", nil)
		}
	}
}

func (c *Control) here(to string, state []byte) {
	c.mu.Lock()
	leaving := c.leaving
	c.mu.Unlock()
	if !leaving {
		c.say(note{Type: "here", To: to, Body: c.node.Figures(), State: state})
	}
}

func (c *Control) read(n *note) {
	switch n.Type {
	case "start": // subscribed, perhaps anew: whatever was said meanwhile was missed
		c.say(note{Type: "hello", Body: c.node.Figures()})
	case "hello":
		c.met(n, false)
		c.here(n.From, c.node.State())
	case "here":
		c.met(n, false)
		if len(n.State) > 0 {
			c.node.Learn(n.State)
		}
	case "bye":
		c.met(n, true)
	case "missed":
		c.router.gapEverywhere()
	case "order":
		c.say(note{Type: "answer", To: n.From, ID: n.ID, Body: c.node.Obey(n.Body)})
	case "answer":
		c.mu.Lock()
		if t := c.asked[n.ID]; t != nil {
			t.answers[n.From] = n.Body
			select {
			case t.changed <- struct{}{}:
			default:
			}
		}
		c.mu.Unlock()
	}
}

// met notes that a node is there, or that it goes.
func (c *Control) met(n *note, leaving bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.peers[n.From]
	if p == nil {
		if len(c.peers) >= maxPeers {
			c.dropped.Add(1)
			return
		}
		p = &Peer{Name: n.From}
		c.peers[n.From] = p
	}
	p.Seen, p.Leaving = time.Now(), leaving
	if len(n.Body) > 0 {
		p.Figures = n.Body
	}
}

// forget drops nodes that have not been heard of.
func (c *Control) forget(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, p := range c.peers {
		if now.Sub(p.Seen) > peerGone {
			delete(c.peers, name)
		}
	}
}

// Peers are the other nodes that were heard of lately, by name. Does not block.
func (c *Control) Peers() []Peer {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	var list []Peer
	for _, p := range c.peers {
		if now.Sub(p.Seen) <= peerGone {
			list = append(list, *p)
		}
	}
	slices.SortFunc(list, func(a, b Peer) int { return strings.Compare(a.Name, b.Name) })
	return list
}

// Dropped counts notes that could not be read or queued.
func (c *Control) Dropped() uint64 { return c.dropped.Load() }

// Leave tells the other nodes that this one is about to end. Does not block.
func (c *Control) Leave() {
	c.mu.Lock()
	c.leaving = true
	c.mu.Unlock()
	c.say(note{Type: "bye"})
}

// Order has every other node obey and returns their answers by name, and the names of those that have not answered
// within two seconds, or before ctx ended: there the order may have been carried out all the same. It blocks, and is
// never called inside a call of Node.
func (c *Control) Order(ctx context.Context, order []byte) (answers map[string][]byte, silent []string) {
	t := &tally{answers: map[string][]byte{}, changed: make(chan struct{}, 1)}
	c.mu.Lock()
	c.lastID++
	id := c.lastID
	c.asked[id] = t
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.asked, id)
		c.mu.Unlock()
	}()
	c.say(note{Type: "order", ID: id, Body: order})
	again, over := time.NewTimer(orderAgain), time.NewTimer(orderOver)
	defer again.Stop()
	defer over.Stop()
	for waits := true; waits; {
		if silent = c.silent(t); len(silent) == 0 {
			break
		}
		select {
		case <-t.changed:
		case <-again.C:
			for _, name := range silent {
				c.say(note{Type: "order", To: name, ID: id, Body: order})
			}
		case <-over.C:
			waits = false
		case <-ctx.Done():
			waits = false
		case <-c.stop:
			waits = false
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return t.answers, silent
}

// silent are the nodes that should have answered and have not.
func (c *Control) silent(t *tally) []string {
	var names []string
	for _, p := range c.Peers() {
		c.mu.Lock()
		_, answered := t.answers[p.Name]
		c.mu.Unlock()
		if !answered && !p.Leaving {
			names = append(names, p.Name)
		}
	}
	return names
}
