package redis

// What has to be in order with what a node hears: subscriptions and questions to histories. They wait in a bounded
// queue and go out in batches, on the connection that publications come in on.

import (
	"sync"

	"github.com/redis/rueidis"

	"github.com/roost-ws/roost/fanout"
)

type requestKind uint8

const (
	unsubscribeRequest requestKind = iota
	subscribeRequest
	historyRequest
	adoptRequest // a part is this link's now
)

// request is one entry of an inbox.
type request struct {
	kind  requestKind
	index int // of the part
	room  string
	done  func(error) // of a subscribe

	query  fanout.Query
	kept   fanout.Retention
	answer func(fanout.Page, error)
}

// fail answers the request with err, if it waits for an answer.
func (r *request) fail(err error) {
	switch r.kind {
	case subscribeRequest:
		r.done(err)
	case historyRequest:
		r.answer(fanout.Page{}, err)
	}
}

// inbox is what waits for a link's goroutine. Put is for any goroutine, take for the link's.
type inbox struct {
	mu    sync.Mutex
	queue []request
	count [adoptRequest + 1]int
	wake  chan struct{} // holds one
}

// put takes unsubscribes always: there are only as many as there are subscriptions.
func (in *inbox) put(r request) error {
	in.mu.Lock()
	full := r.kind == subscribeRequest && in.count[subscribeRequest] >= queuedSubscribes ||
		r.kind == historyRequest && in.count[historyRequest] >= queuedQueries
	if full {
		in.mu.Unlock()
		return fanout.ErrBusy
	}
	in.queue = append(in.queue, r)
	in.count[r.kind]++
	in.mu.Unlock()
	wake(in.wake)
	return nil
}

// take returns the oldest requests, as many as one batch carries.
func (in *inbox) take() []request {
	in.mu.Lock()
	defer in.mu.Unlock()
	n, queries, bytes := 0, 0, 0
	for ; n < len(in.queue) && n < batchRequests; n++ {
		if r := &in.queue[n]; r.kind == historyRequest {
			queries++
			bytes += r.query.Bytes
			if queries > batchQueries || queries > 1 && bytes > batchQueryBytes {
				break
			}
		}
	}
	if n == 0 {
		return nil
	}
	batch := make([]request, n)
	copy(batch, in.queue)
	left := copy(in.queue, in.queue[n:])
	clear(in.queue[left:])
	in.queue = in.queue[:left]
	if left == 0 && cap(in.queue) > batchRequests {
		in.queue = nil // a rush is over
	}
	for i := range batch {
		in.count[batch[i].kind]--
	}
	return batch
}

// group is the rooms of one part within a batch.
type group struct {
	index int
	rooms []string
	done  []func(error)
}

// groups sorts the rooms of a batch's requests of one kind by part, in pieces that fit one command.
func groups(batch []request, kind requestKind) []*group {
	var all []*group
	open := map[int]*group{}
	for i := range batch {
		r := &batch[i]
		if r.kind != kind {
			continue
		}
		g := open[r.index]
		if g == nil || len(g.rooms) == batchRooms {
			g = &group{index: r.index}
			open[r.index] = g
			all = append(all, g)
		}
		g.rooms = append(g.rooms, r.room)
		g.done = append(g.done, r.done)
	}
	return all
}

// channels returns the rooms' channels.
func (b *Broker) channels(rooms []string) []string {
	channels := make([]string, len(rooms))
	for i, room := range rooms {
		channels[i] = b.layout.Channel(room)
	}
	return channels
}

func (b *Broker) subscribing(builder rueidis.Builder, rooms []string) rueidis.Completed {
	if b.layout.cluster {
		return builder.Ssubscribe().Channel(b.channels(rooms)...).Build()
	}
	return builder.Subscribe().Channel(b.channels(rooms)...).Build()
}

func (b *Broker) unsubscribing(builder rueidis.Builder, rooms []string) rueidis.Completed {
	if b.layout.cluster {
		return builder.Sunsubscribe().Channel(b.channels(rooms)...).Build()
	}
	return builder.Unsubscribe().Channel(b.channels(rooms)...).Build()
}
