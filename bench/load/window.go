package load

// Doing one thing on all workers at once, with its measured window.

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/roost-ws/roost/bench/load/reactor"
)

// lead is how far ahead a common beginning is set, so that every worker has heard of it by then.
const lead = 50 * time.Millisecond

// window is when something is measured.
type window struct {
	warmup, duration time.Duration
	// open says that the window lasts until the workers are done, and duration only bounds it.
	open bool
	// none says that nothing is observed.
	none bool
}

// do has all workers do t, with its times set from w, and returns their results. The caller holds busy. If ctx ends,
// or a worker does, the others stop.
func (s *Swarm) do(ctx context.Context, t reactor.Task, w window) ([]*reactor.Result, error) {
	results, _, err := s.doFrom(ctx, t, w)
	return results, err
}

// doFrom is do for those who also want to know when it began.
func (s *Swarm) doFrom(ctx context.Context, t reactor.Task, w window) ([]*reactor.Result, int64, error) {
	if w.warmup < 0 || w.duration <= 0 {
		return nil, 0, fmt.Errorf("%s: a window of %v after %v", t.Do, w.duration, w.warmup)
	}
	s.task++
	s.run++
	if s.run == 0 {
		s.run = 1 // 0 is no run
	}
	t.ID, t.Run = s.task, s.run
	t.Begin = reactor.Now() + int64(lead)
	t.From = t.Begin + int64(w.warmup)
	t.Until = t.From + int64(w.duration)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type ending struct {
		worker int
		answer *reactor.Answer
		err    error
	}
	endings := make(chan ending, len(s.workers))
	for i, p := range s.workers {
		answer, err := p.begin(&t)
		go func() {
			if err != nil {
				endings <- ending{i, nil, errors.Join(err, p.lastWords())}
				return
			}
			a, err := p.await(ctx, answer)
			endings <- ending{i, a, err}
		}()
	}
	finished := make(chan struct{})
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.watch(ctx, &t, w, finished)
	}()
	results := make([]*reactor.Result, len(s.workers))
	var failure error
	for range s.workers {
		e := <-endings
		if e.err == nil && e.answer.Error != "" {
			e.err = fmt.Errorf("worker %d: %s", e.worker, e.answer.Error)
		}
		if e.err != nil && failure == nil {
			failure = e.err
			cancel() // the others need not go on
		}
		if e.err == nil {
			results[e.worker] = e.answer.Result
		}
	}
	close(finished)
	<-watched
	if failure != nil {
		return nil, 0, fmt.Errorf("%s: %w", t.Do, failure)
	}
	return results, t.Begin, nil
}

// watch calls Observe at the edges of the window, and Progress in between, until finished.
func (s *Swarm) watch(ctx context.Context, t *reactor.Task, w window, finished <-chan struct{}) {
	progress := time.NewTicker(time.Second)
	defer progress.Stop()
	line := s.newLine(t)
	after := func(at int64) <-chan time.Time { return time.After(time.Duration(at - reactor.Now())) }
	var begin, end <-chan time.Time
	if !w.none {
		begin = after(t.From)
	}
	var before Measured
	observing := false
	observe := func(begins bool) {
		observing = begins
		// The caller's reading first: it is the one that a comparison hangs on.
		if !begins && s.spec.Observe != nil {
			s.spec.Observe(false)
		}
		used, _ := s.CPU() // a worker that is gone fails the task anyway
		now := Measured{time.Duration(reactor.Now()), used}
		if begins {
			before = now
			if s.spec.Observe != nil {
				s.spec.Observe(true)
			}
			return
		}
		s.mu.Lock()
		s.measured = Measured{now.Wall - before.Wall, now.CPU - before.CPU}
		s.mu.Unlock()
	}
	for {
		select {
		case <-begin:
			begin = nil
			observe(true)
			if !w.open {
				end = after(t.Until)
			}
		case <-end:
			end = nil
			observe(false)
		case <-progress.C:
			if s.spec.Progress != nil {
				s.spec.Progress(line.next(s.state()))
			}
		case <-finished:
			if observing {
				observe(false)
			}
			return
		case <-ctx.Done():
			if observing {
				observe(false)
			}
			<-finished
			return
		}
	}
}
