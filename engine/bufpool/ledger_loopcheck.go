//go:build loopcheck

// The ledger of a loopcheck build: knows each buffer that is handed out, and poisons those that are not.

package bufpool

import (
	"bytes"
	"fmt"
)

const (
	checked = true
	poison  = 0xDB
)

// ledger holds the buffers that are handed out, by their first byte. It keeps them alive even when their owner
// loses them, which is what makes the address a name.
type ledger struct {
	out map[*byte]struct{}
}

// handOut notes that b left the pool.
func (l *ledger) handOut(b []byte) {
	if l.out == nil {
		l.out = make(map[*byte]struct{})
	}
	l.out[name(b)] = struct{}{}
}

// giveBack panics unless b is handed out, and poisons it.
func (l *ledger) giveBack(b []byte) {
	if _, ok := l.out[name(b)]; !ok {
		panic(fmt.Sprintf("bufpool: put of a buffer of %d bytes that is not handed out: put twice, or not from this pool", cap(b)))
	}
	delete(l.out, name(b))
	b = b[:cap(b)]
	b[0] = poison
	for done := 1; done < len(b); done *= 2 {
		copy(b[done:], b[:done]) // much faster under the race detector than byte by byte
	}
}

// reuse panics if someone wrote to b while it was free.
func (l *ledger) reuse(b []byte) {
	b = b[:cap(b)]
	if written := len(b) - bytes.Count(b, []byte{poison}); written != 0 {
		panic(fmt.Sprintf("bufpool: %d bytes of a buffer of %d were written after its put", written, cap(b)))
	}
}

func name(b []byte) *byte { return &b[:1][0] }
