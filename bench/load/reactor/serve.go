package reactor

// A worker's life.

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"

	"golang.org/x/sys/unix"
)

// reserve is how many descriptors are left for what is no connection.
const reserve = 64

// Capacity is how many connections one worker process can hold, by the descriptor limit that it will have.
func Capacity() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, fmt.Errorf("read the descriptor limit: %w", err)
	}
	// Go raises its own soft limit to the hard one when a process starts.
	return int(min(limit.Max, 1<<30)) - reserve, nil
}

// Serve is a worker's life: it reads a Setup and Tasks from in, writes Answers to out, and ends with in, when it
// resets all connections. It blocks until then. The error says why it ended early; it is also the last Answer.
func Serve(in io.Reader, out io.Writer) error {
	// Ctrl-C at a terminal reaches workers too, but their end is that of in: the results are still wanted.
	signal.Ignore(os.Interrupt)
	w := startWriter(out)
	err := serve(in, w)
	if err != nil {
		w.put(&Answer{Error: err.Error()})
	}
	return errors.Join(err, w.close())
}

func serve(in io.Reader, w *writer) error {
	lines := json.NewDecoder(in)
	var setup Setup
	if err := lines.Decode(&setup); err != nil {
		return fmt.Errorf("read the setup: %w", err)
	}
	if setup.Workers < 1 || setup.Worker < 0 || setup.Worker >= setup.Workers || setup.Timeout <= 0 {
		return fmt.Errorf("worker %d of %d with a timeout of %v", setup.Worker, setup.Workers, setup.Timeout)
	}
	l, err := newLoop(setup, w.put)
	if err != nil {
		return err
	}
	w.put(&Answer{})
	go readTasks(lines, l)
	return l.work()
}

// readTasks posts one task after the other to the loop, and its end at the end of input.
func readTasks(lines *json.Decoder, l *loop) {
	for {
		t := new(Task)
		if err := lines.Decode(t); err != nil {
			l.post(func() error {
				l.quit = true
				if errors.Is(err, io.EOF) {
					return nil
				}
				return fmt.Errorf("read a task: %w", err)
			})
			return
		}
		l.post(func() error {
			if t.Do == DoStop {
				if l.busy {
					l.finish()
				}
				return nil
			}
			if err := l.begin(t); err != nil {
				l.answer(&Answer{ID: t.ID, Error: err.Error()})
			}
			return nil
		})
	}
}

// writer writes answers on a goroutine of its own, so that the loop never waits for who reads them.
type writer struct {
	answers chan *Answer
	done    chan error
}

// writerDepth is how many answers may wait. States are left out when so many do; there is one result for each task.
const writerDepth = 64

func startWriter(out io.Writer) *writer {
	w := &writer{make(chan *Answer, writerDepth), make(chan error, 1)}
	go func() {
		lines := json.NewEncoder(out)
		var failure error
		for a := range w.answers {
			if failure == nil {
				failure = lines.Encode(a)
			}
		}
		w.done <- failure
	}()
	return w
}

func (w *writer) put(a *Answer) {
	if a.State != nil {
		select {
		case w.answers <- a:
		default:
		}
		return
	}
	w.answers <- a
}

// close waits until all is written.
func (w *writer) close() error {
	close(w.answers)
	if err := <-w.done; err != nil {
		return fmt.Errorf("write an answer: %w", err)
	}
	return nil
}
