package enginetest

import (
	"bytes"
	"sync"
)

// Log collects what several goroutines, or a process, write. The zero value is ready; any goroutine may call.
type Log struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write keeps p and never fails.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String is all that was written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}
