package redis

// What this node published last in rooms that keep history, for the case that Redis loses it: a replica that takes over
// has not heard the end of what its master acknowledged, and a server's file may lack its last moment. As soon as the
// node has found the new master, before anything else of its own, it publishes again what is not there.
//
// What is kept for that is bounded in time and bytes. Of what is forgotten the last place in each room is remembered, so
// that a loss which reaches that far back is told as a gap: what is published again then is the news of it. Nobody tells
// of what a node published that died together with the server.

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/rueidis"

	"github.com/roost-ws/roost/fanout"
)

const (
	// restoreTime is twice what a server that falls silent may take to be given up, and more.
	restoreTime = 15 * time.Second
	// restoreBytes bounds all that is kept for this, some overhead included.
	restoreBytes = 4 << 20
	// forgottenRooms bounds the rooms of which the last forgotten place is remembered.
	forgottenRooms = 8192
	// restoreOverhead is about what one costs beside its envelope.
	restoreOverhead = 160
)

// acknowledged is a publication that Redis has taken.
type acknowledged struct {
	outgoing
	pos   fanout.Position
	was   []uint64 // where it was before
	index int      // of its part
	run   string   // of the server that has it
	at    time.Time
	tried bool // to restore it, and the answer did not come
}

// recent is what was acknowledged last, by all servers. Any goroutine.
type recent struct {
	mu        sync.Mutex
	list      []acknowledged          // oldest first
	bytes     int                     // of those
	forgotten map[string]acknowledged // by room: the last that the list had once, without its envelope
}

// add keeps a publication, and forgets the oldest. Those of a part that is not up are not forgotten for their age: it is
// now that they may be needed.
func (r *recent) add(a acknowledged, up func(index int) bool) {
	a.done = nil
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, a)
	r.bytes += a.size()
	n := 0
	for ; n < len(r.list)-1; n++ {
		if old := &r.list[n]; r.bytes <= restoreBytes && (a.at.Sub(old.at) < restoreTime || !up(old.index)) {
			break
		}
		r.bytes -= r.list[n].size()
		r.forget(r.list[n])
		r.list[n] = acknowledged{}
	}
	r.list = r.list[n:]
}

// forget remembers no more than where a was. When it knows too many rooms it forgets one of them whole.
func (r *recent) forget(a acknowledged) {
	if r.forgotten == nil {
		r.forgotten = map[string]acknowledged{}
	}
	if _, known := r.forgotten[a.room]; !known && len(r.forgotten) >= forgottenRooms {
		for room := range r.forgotten {
			delete(r.forgotten, room)
			break
		}
	}
	a.envelope, a.data = missedEnvelope, 0
	r.forgotten[a.room] = a
}

// missedEnvelope is what is published of a publication that is lost for good.
var missedEnvelope = rueidis.BinaryString(fanout.AppendEnvelope(nil, &fanout.Publication{Kind: fanout.Missed}))

func (a *acknowledged) size() int { return len(a.envelope) + restoreOverhead }

// take removes what was acknowledged in parts that wanted names, by a server other than run: first the forgotten.
func (r *recent) take(run string, wanted func(index int) bool) []acknowledged {
	r.mu.Lock()
	defer r.mu.Unlock()
	var taken, left []acknowledged
	bytes := 0
	for room, a := range r.forgotten {
		if a.run == run || !wanted(a.index) {
			continue
		}
		if delete(r.forgotten, room); time.Since(a.at) < a.kept.TTL { // else the room has forgotten it, too
			taken = append(taken, a)
		}
	}
	for _, a := range r.list {
		if a.run != run && wanted(a.index) {
			taken = append(taken, a)
			continue
		}
		left = append(left, a)
		bytes += a.size()
	}
	r.list, r.bytes = left, bytes
	return taken
}

// settle keeps again what a server has, where it has it: still, or since it was restored.
func (r *recent) settle(a acknowledged, still bool, up func(index int) bool) {
	if a.envelope != missedEnvelope {
		r.add(a, up)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, newer := r.forgotten[a.room]; still && !newer {
		r.forget(a)
	}
}

// putBack keeps what could not be restored this time; it is older than all that was kept meanwhile.
func (r *recent) putBack(list []acknowledged) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range list {
		r.bytes += list[i].size()
	}
	r.list = append(list, r.list...)
}

// restored is for which line, and at which count of moves of parts, what the server lost is restored.
type restored struct {
	line  *line
	moves uint64
}

// restore has the server at the end of line keep, and everybody hear, what others acknowledged that it does not know.
// It is for the writer, before it publishes anything on this line, and does nothing when nothing has changed since.
func (l *link) restore(line *line) {
	now := restored{line, l.b.moves.Load()}
	if l.restored == now {
		return
	}
	l.restored = now
	list := l.b.recent.take(line.run, func(index int) bool { return l.b.parts[index].owner() == l })
	for len(list) > 0 {
		n := min(len(list), batchKept)
		if done := l.restoreSome(line, list[:n]); done < n {
			l.b.recent.putBack(list[done:])
			return
		}
		list = list[n:]
	}
}

// restoreSome returns how many of the batch are settled.
func (l *link) restoreSome(line *line, batch []acknowledged) int {
	builder := line.client.B()
	commands := make([]rueidis.Completed, len(batch))
	for i := range batch {
		keys, args := l.b.restoring(&batch[i], line, l.b.epochs.next())
		commands[i] = restoreScript.called(builder, keys, args...)
		batch[i].tried = true
	}
	for i, answer := range line.client.DoMulti(context.Background(), commands...) {
		a := &batch[i]
		if unknown(answer.Error()) {
			keys, args := l.b.restoring(a, line, l.b.epochs.next())
			answer = line.client.Do(context.Background(), restoreScript.whole(builder, keys, args...))
		}
		place, err := answer.ToString()
		if err != nil {
			l.b.suspect(line, err)
			if !isAnswer(err) || moved(err) {
				return i
			}
			l.b.log.Error("a publication that redis lost can't be restored", "server", l.name, "error", err)
			continue
		}
		a.run, a.tried = line.run, false
		if place != "" {
			a.was = append(a.was, a.pos.Offset)
			if a.pos, err = parsePlace(place); err != nil {
				continue
			}
			l.b.counters.restored.Add(1)
		}
		l.b.recent.settle(*a, place == "", l.b.serves)
	}
	return len(batch)
}

// restoring returns the keys and arguments of the script. What it restores says itself where it was before.
func (b *Broker) restoring(a *acknowledged, line *line, epoch string) (keys, args []string) {
	again := "0"
	if a.tried {
		again = "1"
	}
	was := append(slices.Clone(a.was), a.pos.Offset)
	was = was[max(0, len(was)-fanout.MaxWas):]
	o := a.outgoing
	o.envelope = rueidis.BinaryString(append(fanout.AppendRestored(nil, was), a.envelope...))
	keys, args = b.keeping(o, line, epoch)
	return keys, append(args, a.pos.Epoch, strconv.FormatUint(a.pos.Offset, 10), again)
}

// serves reports whether the server of a part can be reached.
func (b *Broker) serves(index int) bool {
	l := b.parts[index].owner()
	return l != nil && l.up()
}
