package reactor

// What a loop does with its connections: one task at a time.

import "fmt"

// task is a piece of work on a loop. All calls come from the loop; none may block. A task may end connections in any
// of them.
type task interface {
	// due does what is due at now and returns when it wants to be called next. done says that the task is over.
	due(l *loop, now int64) (next int64, done bool)
	// ready tells of a connection that became ready, failed of an attempt that did not, and ended of a connection
	// that was ready and is gone. closed tells that a closing handshake which the
	// task began came to its end, or to causeTimeout.
	ready(l *loop, c *conn)
	failed(l *loop, c *conn, cause string, retryAfter int64)
	ended(l *loop, c *conn, cause string)
	closed(l *loop, c *conn, cause string)
	// stamped is the hot path: a message with a stamp of the task's run came in on c.
	stamped(l *loop, c *conn, p *[stampSize]byte)
	// writable tells that c, which owes messages, takes some: after each read of such a one, and once its socket
	// takes more again.
	writable(l *loop, c *conn)
	// result is called once, when the task is over or stopped.
	result(l *loop) *Result
}

// passive is a task that does nothing. Others embed it for the events that mean nothing to them.
type passive struct{}

func (passive) due(*loop, int64) (int64, bool)         { return never, false }
func (passive) ready(*loop, *conn)                     {}
func (passive) failed(*loop, *conn, string, int64)     {}
func (passive) ended(*loop, *conn, string)             {}
func (passive) closed(*loop, *conn, string)            {}
func (passive) stamped(*loop, *conn, *[stampSize]byte) {}
func (passive) writable(_ *loop, c *conn)              { c.owed = 0 }
func (passive) result(*loop) *Result                   { return &Result{} }

// begin starts what t says, in place of the task that did nothing.
func (l *loop) begin(t *Task) error {
	if l.busy {
		return fmt.Errorf("task %q while another one is not done", t.Do)
	}
	var err error
	var next task
	switch t.Do {
	case DoOpen:
		next = newOpenTask(l, t)
	case DoIdle:
		next = &idleTask{until: t.Until, pings: l.pings, received: l.received}
	case DoEcho:
		next, err = newEchoTask(l, t)
	case DoFanout:
		next, err = newFanoutTask(l, t)
	case DoChurn:
		next = newChurnTask(l, t)
	case DoStorm:
		next = newStormTask(l, t)
	case DoMix:
		next, err = newMixTask(l, t)
	default:
		err = fmt.Errorf("unknown task %q", t.Do)
	}
	if err != nil {
		return err
	}
	l.task, l.taskID, l.busy = next, t.ID, true
	if t.Run != 0 {
		l.run, l.runWord = t.Run, wordOf(t.Run)
	}
	l.soon()
	return nil
}

// finish ends the task and answers with its result. What is on its way still belongs to no run after that.
func (l *loop) finish() {
	result := l.task.result(l)
	result.State = l.state()
	l.task, l.busy, l.run, l.runWord = passive{}, false, 0, 0
	l.answer(&Answer{ID: l.taskID, Result: result})
}
