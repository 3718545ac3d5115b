package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"syscall"
	"testing"
)

// fakeNode is a server and an operator's port that note in which order they are ended.
type fakeNode struct {
	mu             sync.Mutex
	steps          []string
	failed         chan error
	draining       chan struct{} // closed when Drain is called
	stuck          bool          // Drain returns only when hurried
	stopErr, close error
}

func (f *fakeNode) note(step string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.steps = append(f.steps, step)
}

func (f *fakeNode) Drain(hurry <-chan struct{}) {
	f.note("drain")
	close(f.draining)
	if f.stuck {
		<-hurry
		f.note("hurried")
	}
}
func (f *fakeNode) Stop() error          { f.note("stop"); return f.stopErr }
func (f *fakeNode) Failed() <-chan error { return f.failed }
func (f *fakeNode) Close(context.Context) error {
	f.note("close admin")
	return f.close
}

func TestServeUntil(t *testing.T) {
	broken := errors.New("broken")
	for _, c := range []struct {
		name  string
		node  *fakeNode
		act   func(*ending, *fakeNode)
		code  int
		steps []string
	}{
		{"asked", &fakeNode{}, func(e *ending, _ *fakeNode) { e.Drain() },
			exitDone, []string{"drain", "stop", "close admin"}},
		{"asked twice", &fakeNode{}, func(e *ending, _ *fakeNode) { e.Drain(); e.Drain() },
			exitDone, []string{"drain", "stop", "close admin"}},
		{"hurried", &fakeNode{stuck: true}, func(e *ending, _ *fakeNode) { e.Drain(); e.Hurry(); e.Hurry() },
			exitDone, []string{"drain", "hurried", "stop", "close admin"}},
		{"requests are cut off", &fakeNode{close: context.DeadlineExceeded}, func(e *ending, _ *fakeNode) { e.Drain() },
			exitDone, []string{"drain", "stop", "close admin"}},
		{"the broker does not end well", &fakeNode{stopErr: broken}, func(e *ending, _ *fakeNode) { e.Drain() },
			exitFailed, []string{"drain", "stop", "close admin"}},
		{"failure", &fakeNode{}, func(_ *ending, f *fakeNode) { f.failed <- broken },
			exitFailed, nil},
		{"failure in a drain", &fakeNode{stuck: true}, func(e *ending, f *fakeNode) { e.Drain(); <-f.draining; f.failed <- broken },
			exitFailed, []string{"drain"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, f := newEnding(), c.node
			f.failed, f.draining = make(chan error, 1), make(chan struct{})
			go c.act(e, f)
			err := e.serveUntil(f, f, quiet)
			code := exitDone
			var end *exitError
			if errors.As(err, &end) {
				code = end.code
			}
			if code != c.code || (err == nil) != (code == exitDone) {
				t.Errorf("ended with %v, want exit code %d", err, c.code)
			}
			f.mu.Lock()
			defer f.mu.Unlock()
			if !slices.Equal(f.steps, c.steps) {
				t.Errorf("steps %v, want %v", f.steps, c.steps)
			}
			e.Hurry() // lets a stuck drain go
		})
	}
}

func TestSignals(t *testing.T) {
	for _, c := range []struct {
		name         string
		signals      []os.Signal
		drain, hurry bool
	}{
		{"none", nil, false, false},
		{"SIGHUP", []os.Signal{syscall.SIGHUP, syscall.SIGHUP}, false, false},
		{"SIGTERM", []os.Signal{syscall.SIGTERM}, true, false},
		{"SIGINT after SIGHUP", []os.Signal{syscall.SIGHUP, syscall.SIGINT}, true, false},
		{"SIGHUP does not hurry", []os.Signal{syscall.SIGTERM, syscall.SIGHUP}, true, false},
		{"two kinds", []os.Signal{syscall.SIGINT, syscall.SIGTERM}, true, true},
		{"many", []os.Signal{syscall.SIGTERM, syscall.SIGTERM, syscall.SIGTERM}, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			caught := make(chan os.Signal, len(c.signals))
			for _, s := range c.signals {
				caught <- s
			}
			close(caught)
			e := newEnding()
			e.follow(caught, quiet)
			if isClosed(e.drain) != c.drain || isClosed(e.hurry) != c.hurry {
				t.Errorf("drain %v, hurry %v, want %v, %v", isClosed(e.drain), isClosed(e.hurry), c.drain, c.hurry)
			}
		})
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
