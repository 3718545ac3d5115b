package redis

// The way of publications to a server: a bounded queue and one goroutine that sends what is there as one batch.

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/rueidis"

	"github.com/roost-ws/roost/fanout"
)

// positionBytes is the most that a position adds to an envelope, and that it was restored.
const positionBytes = 1 + 64 + 1 + 20 + 1 + 1 + 1 + fanout.MaxWas*binary.MaxVarintLen64

// minPositionTTL is how long a room's epoch and offset are remembered after the last publication or query at least. A
// client that comes back within that time and missed nothing is told so, though the publications are gone.
const minPositionTTL = 24 * time.Hour

// positionTTL is how long a room's position is remembered: a day, or twice as long as its publications.
func positionTTL(r fanout.Retention) time.Duration { return max(minPositionTTL, 2*r.TTL) }

// outgoing is a publication in the queue.
type outgoing struct {
	room, envelope string
	data           int // bytes of data in the envelope
	kept           fanout.Retention
	done           fanout.Completion
	members        int // of a pack, else 0
}

func (o outgoing) finish(pos fanout.Position, err error) {
	if o.done != nil {
		o.done.Published(pos, err)
	}
}

// outbox is what waits for the writer. Put is for any goroutine; take and sent are for the writer, which takes all there
// is and sends it piece by piece. Until it was sent it counts as waiting.
type outbox struct {
	mu             sync.Mutex
	queue          []outgoing
	waiting, bytes int
	wake           chan struct{} // holds one
}

func (o *outbox) put(p outgoing) error {
	o.mu.Lock()
	if o.waiting >= queuedPublications || o.bytes+len(p.envelope) > queuedBytes && o.waiting > 0 {
		o.mu.Unlock()
		return fanout.ErrBusy
	}
	o.queue = append(o.queue, p)
	o.waiting++
	o.bytes += len(p.envelope)
	first := len(o.queue) == 1
	o.mu.Unlock()
	if first {
		wake(o.wake)
	}
	return nil
}

// take returns the queue and leaves empty in its place, whose memory is used again unless a rush made it large.
func (o *outbox) take(empty []outgoing) []outgoing {
	clear(empty)
	if cap(empty) > 2*batchPublications {
		empty = nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	queue := o.queue
	o.queue = empty[:0]
	return queue
}

// sent says that the batch no longer waits.
func (o *outbox) sent(batch []outgoing) {
	bytes := 0
	for i := range batch {
		bytes += len(batch[i].envelope)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.waiting -= len(batch)
	o.bytes -= bytes
}

func (o *outbox) pending() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.waiting
}

// wake leaves a token in a channel that holds one.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// write is the writer's goroutine, as long as the link's context. Then it answers what is still there.
func (l *link) write() {
	var taken []outgoing
	for {
		taken = l.out.take(taken)
		if len(taken) == 0 {
			if line := l.line.Load(); line != nil {
				l.restore(line)
			}
			select {
			case <-l.out.wake:
			case <-l.ctx.Done():
				if l.out.pending() == 0 {
					return
				}
			}
			continue
		}
		for left := taken; len(left) > 0; {
			n := batchOf(left)
			l.publish(left[:n])
			l.out.sent(left[:n])
			left = left[n:]
		}
	}
}

// batchOf is how many of a queue go out as one batch.
func batchOf(queue []outgoing) int {
	n, bytes, kept := 0, 0, 0
	for n < len(queue) && n < batchPublications {
		bytes += len(queue[n].envelope)
		if queue[n].kept.Size > 0 {
			kept++
		}
		if n > 0 && (bytes > batchBytes || kept > batchKept) {
			break
		}
		n++
	}
	return n
}

// drain completes what was published while the link was being ended.
func (l *link) drain() {
	err := l.b.lost("publishing", errAway)
	for _, p := range l.out.take(nil) {
		p.finish(fanout.Position{}, err)
		l.out.sent([]outgoing{p})
	}
}

// publish sends a batch and completes each of it.
func (l *link) publish(batch []outgoing) {
	line := l.line.Load()
	if line == nil {
		err := l.b.lost("publishing", errAway)
		for _, p := range batch {
			l.b.counters.failed.Add(1)
			p.finish(fanout.Position{}, err)
		}
		return
	}
	l.restore(line)
	batch = l.packer.pack(batch)
	defer l.packer.forget()
	builder, epoch := line.client.B(), l.b.epochs.next()
	// Not memory that is used again: when a connection breaks, rueidis may read it still when it has answered.
	commands := make([]rueidis.Completed, len(batch))
	room, channel := "", ""
	for i, p := range batch {
		if p.kept.Size > 0 {
			keys, args := l.b.keeping(p, line, epoch)
			commands[i] = publishScript.called(builder, keys, args...)
			continue
		}
		if p.room != room || channel == "" { // many in a row are often for one room
			room, channel = p.room, l.b.layout.Channel(p.room)
		}
		commands[i] = l.b.publishing(builder, channel, p.envelope)
	}
	answers := line.client.DoMulti(context.Background(), commands...)
	if i := firstUnknown(answers); i >= 0 {
		l.republish(line, batch[i:], answers[i:], epoch)
	}
	now := time.Now()
	for i, p := range batch {
		pos, err := l.outcome(line, p, answers[i])
		switch {
		case err != nil:
			l.b.counters.failed.Add(uint64(max(1, p.members)))
		case p.kept.Size > 0:
			l.b.recent.add(acknowledged{outgoing: p, pos: pos, index: l.b.layout.Part(p.room), run: line.run, at: now}, l.b.serves)
		}
		p.finish(pos, err)
	}
}

func (b *Broker) publishing(builder rueidis.Builder, channel, envelope string) rueidis.Completed {
	if b.layout.cluster {
		return builder.Spublish().Channel(channel).Message(envelope).Build()
	}
	return builder.Publish().Channel(channel).Message(envelope).Build()
}

// keeping returns the keys and arguments of the script that publishes, with an epoch never used before.
func (b *Broker) keeping(p outgoing, line *line, epoch string) (keys, args []string) {
	command := "PUBLISH"
	if b.layout.cluster {
		command = "SPUBLISH"
	}
	return b.layout.historyKeys(p.room),
		[]string{command, b.layout.Channel(p.room), p.envelope, strconv.Itoa(p.data), strconv.Itoa(p.kept.Size),
			milliseconds(p.kept.TTL), milliseconds(positionTTL(p.kept)), line.run, line.whole, epoch}
}

// milliseconds is at least 1: Redis takes 0 for an error.
func milliseconds(d time.Duration) string { return strconv.FormatInt(max(1, d.Milliseconds()), 10) }

// outcome reads one answer.
func (l *link) outcome(line *line, p outgoing, answer rueidis.RedisResult) (fanout.Position, error) {
	if err := answer.Error(); err != nil {
		l.b.suspect(line, err)
		return fanout.Position{}, l.b.lost("publishing", err)
	}
	if p.kept.Size == 0 {
		return fanout.Position{}, nil
	}
	place, err := answer.ToString()
	if err != nil {
		return fanout.Position{}, fmt.Errorf("publishing: %w", err)
	}
	return parsePlace(place)
}

func parsePlace(place string) (fanout.Position, error) {
	epoch, digits, found := strings.Cut(place, ":")
	offset, err := strconv.ParseUint(digits, 10, 64)
	if !found || epoch == "" || err != nil {
		return fanout.Position{}, fmt.Errorf("publishing: redis answers %q, which is no position", place)
	}
	return fanout.Position{Epoch: epoch, Offset: offset}, nil
}

// firstUnknown returns the index of the first answer that says the server has forgotten the script, or -1.
func firstUnknown(answers []rueidis.RedisResult) int {
	for i := range answers {
		if unknown(answers[i].Error()) {
			return i
		}
	}
	return -1
}

// republish sends again, in their order, what a server refused because it has forgotten the script: none of that was
// published. If it was taught the script in the middle of the batch, what was refused would come behind what was not,
// and stays refused.
func (l *link) republish(line *line, batch []outgoing, answers []rueidis.RedisResult, epoch string) {
	for i, p := range batch {
		if p.kept.Size > 0 && !unknown(answers[i].Error()) {
			return
		}
	}
	builder := line.client.B()
	var commands []rueidis.Completed
	var indices []int
	for i, p := range batch {
		if p.kept.Size == 0 {
			continue
		}
		keys, args := l.b.keeping(p, line, epoch)
		if len(commands) == 0 {
			commands = append(commands, publishScript.whole(builder, keys, args...))
		} else {
			commands = append(commands, publishScript.called(builder, keys, args...))
		}
		indices = append(indices, i)
	}
	for i, answer := range line.client.DoMulti(context.Background(), commands...) {
		answers[indices[i]] = answer
	}
}

// epochs makes names for lives of streams that were never used before: a random part for this process, and a number.
type epochs struct {
	process string
	number  atomic.Uint64
}

func newEpochs() *epochs {
	var b [9]byte
	_, _ = rand.Read(b[:]) // never fails
	return &epochs{process: hex.EncodeToString(b[:])}
}

func (e *epochs) next() string { return e.process + "-" + strconv.FormatUint(e.number.Add(1), 36) }
