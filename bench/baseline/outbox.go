package baseline

import "sync"

// outbox is a bounded queue of frames for one member. One goroutine takes, any may push.
type outbox struct {
	limit int // in bytes; static

	mu     sync.Mutex
	filled sync.Cond
	frames [][]byte
	bytes  int
	closed bool // nothing is taken in any more
}

// keptFrames is how long a queue's own memory may be for it to be used again: a member that was slow once must not
// keep a long one.
const keptFrames = 64

// push queues a frame, which is shared from then on. It is false, once, if that overflows the queue, which then
// takes nothing any more; the caller cuts the member. It does not block.
func (o *outbox) push(frame []byte) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return true
	}
	if len(o.frames) > 0 && o.bytes+len(frame) > o.limit {
		o.closed, o.frames = true, nil
		o.filled.Signal()
		return false
	}
	o.frames = append(o.frames, frame)
	o.bytes += len(frame)
	if len(o.frames) == 1 {
		o.filled.Signal()
	}
	return true
}

// take blocks until there are frames and returns them all, or nil when the queue is finished and empty. spare is
// memory for what comes next; it is the slice that was taken before, with length 0.
func (o *outbox) take(spare [][]byte) [][]byte {
	if cap(spare) > keptFrames {
		spare = nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.frames) == 0 {
		if o.closed {
			return nil
		}
		o.filled.Wait()
	}
	taken := o.frames
	o.frames, o.bytes = spare, 0
	return taken
}

// finish lets the taker end when it has taken what waits.
func (o *outbox) finish() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.filled.Signal()
}

// abandon drops what waits and finishes.
func (o *outbox) abandon() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed, o.frames = true, nil
	o.filled.Signal()
}
