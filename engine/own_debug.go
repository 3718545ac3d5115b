//go:build loopcheck

package engine

import (
	"bytes"
	"runtime"
	"strconv"
)

// owner remembers which goroutine a loop runs on and panics when its state is touched on another one.
type owner struct{ goroutine uint64 }

// claim notes the goroutine at the loop's first event, and checks it at later ones.
func (o *owner) claim() {
	if o.goroutine == 0 {
		o.goroutine = currentGoroutine()
	}
	o.check()
}

func (o *owner) check() {
	if id := currentGoroutine(); id != o.goroutine {
		panic("engine: state of the loop on goroutine " + strconv.FormatUint(o.goroutine, 10) +
			" touched on goroutine " + strconv.FormatUint(id, 10))
	}
}

// currentGoroutine reads the number out of a stack trace's first line, which is slow and fine for a check.
func currentGoroutine() uint64 {
	var buf [64]byte
	line := bytes.TrimPrefix(buf[:runtime.Stack(buf[:], false)], []byte("goroutine "))
	id, _, _ := bytes.Cut(line, []byte(" "))
	n, _ := strconv.ParseUint(string(id), 10, 64)
	return n
}
