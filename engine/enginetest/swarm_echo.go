//go:build linux

package enginetest

import (
	"bytes"
	"context"
	"errors"
	"time"
)

// This file is the closed-loop echo: each connection keeps a number of messages in flight and sends the
// next one when an answer comes, so the server is never asked for more than it answers.

// EchoConfig describes an echo run.
type EchoConfig struct {
	// From and To bound the connections that take part; To 0 is all.
	From, To int
	// InFlight is messages on their way for each connection; 0 is 1.
	InFlight int
	// Every, if set, is how often each connection sends, one message at a time. A message that had to wait for the
	// answer to the one before it counts from when it was due, so that one slow answer is not all that a stall shows.
	Every time.Duration
	// Duration is how long answers are counted, after a Warmup in which they are not.
	Warmup, Duration time.Duration
	// Frame is what connection i sends, see [TextFrame].
	Frame func(i int) []byte
	// Match is text that a message must hold to count as an answer; empty counts every message. Answers
	// are taken for the oldest message in flight.
	Match string
}

// lane is one connection's part in a run: the send times of what is in flight, oldest first, as a ring.
type lane struct {
	frame []byte
	sent  []int64
	first int
	count int
	due   int64 // when the next message is, Unix nanoseconds, and whether it waits for an answer; with Every
	held  bool
}

// echoRun is one loop's part of a run.
type echoRun struct {
	lanes  []lane // by slot; frame nil for those that take no part
	needle []byte
	start  time.Time
	end    time.Time
	giveUp time.Time
	flying int64
	every  time.Duration
	next   time.Time // when the first message is due; with Every
	result EchoResult
	done   chan struct{}
}

// Echo runs cfg and waits for its end: warm-up and duration, plus at most the default timeout for the answers that
// are due then. If ctx ends first its error is returned beside what was measured so far.
func (s *Swarm) Echo(ctx context.Context, cfg EchoConfig) (*EchoResult, error) {
	if cfg.Frame == nil || cfg.Duration <= 0 {
		return nil, errors.New("an echo run needs a frame and a duration")
	}
	if cfg.To == 0 {
		cfg.To = s.cfg.N
	}
	var runs []*echoRun
	s.each(func(l *loop) {
		if l.echo != nil || l.quit {
			return
		}
		l.startEcho(&cfg)
		runs = append(runs, l.echo)
	})
	if len(runs) < len(s.loops) {
		return nil, errors.New("another echo run is on its way")
	}
	var err error
	for _, run := range runs {
		select {
		case <-run.done:
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	total := new(EchoResult)
	for i, l := range s.loops {
		l.do(func() {
			if l.echo == runs[i] {
				l.finishEcho(time.Now())
			}
			total.merge(&runs[i].result)
		})
	}
	return total, err
}

func (l *loop) startEcho(cfg *EchoConfig) {
	flight, now := max(cfg.InFlight, 1), time.Now()
	if cfg.Every > 0 {
		flight = 1
	}
	run := &echoRun{lanes: make([]lane, len(l.slots)), needle: []byte(cfg.Match), every: cfg.Every, next: now,
		start: now.Add(cfg.Warmup), done: make(chan struct{})}
	run.end = run.start.Add(cfg.Duration)
	run.giveUp = run.end.Add(DefaultTimeout)
	l.echo = run
	l.span(cfg.From, cfg.To, func(i int, c *slot) {
		if c.state != opened || c.sentClose {
			return
		}
		run.result.Connections++
		run.lanes[c.index] = lane{frame: cfg.Frame(i), sent: make([]int64, flight)}
		if cfg.Every > 0 { // spread over the interval
			run.lanes[c.index].due = now.UnixNano() + int64(cfg.Every)*int64(c.index)/int64(len(l.slots))
			return
		}
		l.launch(c, flight, time.Now())
	})
}

// sendDue sends what is due on each connection of a run with a pace.
func (l *loop) sendDue(now time.Time) {
	run := l.echo
	if run.every == 0 || now.Before(run.next) || !now.Before(run.end) {
		return
	}
	run.next = run.end
	for i := range run.lanes {
		lane, c := &run.lanes[i], &l.slots[i]
		if lane.frame == nil || c.state != opened || c.sentClose {
			continue
		}
		if lane.due <= now.UnixNano() {
			if lane.count > 0 {
				lane.held = true
				continue
			}
			at := now
			if lane.held {
				at = time.Unix(0, lane.due)
			}
			lane.held = false
			lane.due += int64(run.every)
			l.launch(c, 1, at)
		}
		if due := time.Unix(0, lane.due); due.Before(run.next) {
			run.next = due
		}
	}
}

// launch sends n messages in one write.
func (l *loop) launch(c *slot, n int, now time.Time) {
	lane := &l.echo.lanes[c.index]
	out := l.scratch[:0]
	for range n {
		lane.sent[(lane.first+lane.count)%len(lane.sent)] = now.UnixNano()
		lane.count++
		out = append(out, lane.frame...)
	}
	l.scratch = out
	l.echo.flying += int64(n)
	l.stats.Sent += int64(n)
	l.write(c, out)
}

// match says whether a message is an answer.
func (r *echoRun) match(payload []byte) bool {
	return len(r.needle) == 0 || bytes.Contains(payload, r.needle)
}

// echoAgain takes n answers and sends as many messages.
func (l *loop) echoAgain(c *slot, n int) {
	run, now := l.echo, time.Now()
	lane := &run.lanes[c.index]
	n = min(n, lane.count)
	for range n {
		if !now.Before(run.start) && !now.After(run.end) {
			run.result.Latency.Add(time.Duration(now.UnixNano() - lane.sent[lane.first]))
			run.result.Messages++
		}
		lane.first = (lane.first + 1) % len(lane.sent)
		lane.count--
	}
	run.flying -= int64(n)
	if run.every > 0 {
		if lane.held {
			run.next = now
		}
		return
	}
	if n > 0 && now.Before(run.end) && !c.sentClose {
		l.launch(c, n, now)
	}
}

// echoLost counts what was in flight on a connection that has ended.
func (l *loop) echoLost(c *slot) {
	if l.echo == nil {
		return
	}
	lane := &l.echo.lanes[c.index]
	l.echo.result.Lost += int64(lane.count)
	l.echo.flying -= int64(lane.count)
	lane.count = 0
}

// echoTick ends a run whose time is up.
func (l *loop) echoTick(now time.Time) {
	if l.echo == nil {
		return
	}
	l.sendDue(now)
	if now.Before(l.echo.end) || l.echo.flying > 0 && now.Before(l.echo.giveUp) {
		return
	}
	l.finishEcho(now)
}

func (l *loop) finishEcho(now time.Time) {
	run := l.echo
	run.result.Lost += run.flying
	if run.result.Elapsed = run.end.Sub(run.start); now.Before(run.end) {
		run.result.Elapsed = max(0, now.Sub(run.start))
	}
	l.echo = nil
	close(run.done)
}

// nextStep is when echoTick has something to do at the latest.
func (r *echoRun) nextStep(now time.Time) time.Time {
	switch {
	case now.Before(r.end) && r.every > 0:
		return r.next
	case now.Before(r.end):
		return r.end
	}
	return r.giveUp
}
