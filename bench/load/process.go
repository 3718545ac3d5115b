package load

// A worker process, seen from this side.

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/roost-ws/roost/bench/load/reactor"
)

// How long a worker may take to say that it is ready, to answer once it is told to stop, and to end.
const (
	startTimeout = 20 * time.Second
	stopTimeout  = 10 * time.Second
	endTimeout   = 10 * time.Second
)

// process is one worker. Its methods may be called from any goroutine.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	// log is what it wrote to standard error. It is read only once gone is closed.
	log  *tail
	gone chan struct{} // closed when it has ended
	up   chan *reactor.Answer

	sending sync.Mutex // guards stdin; apart from mu, since a full pipe blocks

	mu      sync.Mutex // guards the rest
	waiting map[int]chan *reactor.Answer
	state   reactor.State
}

// startProcess starts a worker on some processors, all if there are none, and waits until it is ready.
func startProcess(command []string, cpus []int, setup *reactor.Setup) (*process, error) {
	p := &process{cmd: exec.Command(command[0], command[1:]...), log: new(tail), gone: make(chan struct{}),
		up: make(chan *reactor.Answer, 1), waiting: map[int]chan *reactor.Answer{}}
	p.cmd.Stderr = p.log
	stdin, errIn := p.cmd.StdinPipe()
	stdout, errOut := p.cmd.StdoutPipe()
	if err := errors.Join(errIn, errOut); err != nil {
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	p.stdin = stdin
	if err := StartOn(p.cmd, cpus); err != nil {
		return nil, fmt.Errorf("start a worker: %w", err)
	}
	go p.listen(stdout)
	if err := p.write(setup); err != nil {
		// It does not read: what it had to say about that is worth more than the broken pipe.
		return nil, fmt.Errorf("start a worker: %w", errors.Join(p.close(), p.lastWords()))
	}
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case a := <-p.up:
		if a.Error != "" {
			return nil, errors.Join(fmt.Errorf("start a worker: %s", a.Error), p.close())
		}
		return p, nil
	case <-p.gone:
		return nil, fmt.Errorf("start a worker: %w", p.ended())
	case <-timer.C:
		return nil, errors.Join(fmt.Errorf("start a worker: not ready after %v", startTimeout), p.close())
	}
}

// StartOn starts cmd bound to processors, or on all of them if there are none. Any goroutine. A process inherits the mask of the thread that started it, and all its
// threads have it from the first on: this thread takes the mask for as long as that lasts.
func StartOn(cmd *exec.Cmd, cpus []int) error {
	if len(cpus) == 0 {
		return cmd.Start()
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var before, set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return fmt.Errorf("read which processors may be used: %w", err)
	}
	for _, cpu := range cpus {
		set.Set(cpu)
	}
	if err := unix.SchedSetaffinity(0, &set); err != nil {
		return fmt.Errorf("bind to processors %v: %w", cpus, err)
	}
	return errors.Join(cmd.Start(), unix.SchedSetaffinity(0, &before))
}

// listen hands answers to those who wait for them, until the worker ends.
func (p *process) listen(stdout io.Reader) {
	defer close(p.gone)
	// Its exit code says nothing that its answers and its log do not.
	defer func() { _ = p.cmd.Wait() }()
	lines := json.NewDecoder(stdout)
	for first := true; ; first = false {
		a := new(reactor.Answer)
		if lines.Decode(a) != nil {
			return
		}
		if first {
			p.up <- a
			continue
		}
		p.mu.Lock()
		if a.State != nil {
			p.state = *a.State
		}
		if a.Result != nil {
			p.state = a.Result.State
		}
		if answer := p.waiting[a.ID]; answer != nil {
			delete(p.waiting, a.ID)
			answer <- a
		}
		p.mu.Unlock()
	}
}

// begin tells the worker what to do; its answer comes from the channel, which has room for it.
func (p *process) begin(t *reactor.Task) (<-chan *reactor.Answer, error) {
	answer := make(chan *reactor.Answer, 1)
	p.mu.Lock()
	p.waiting[t.ID] = answer
	p.mu.Unlock()
	return answer, p.write(t)
}

func (p *process) write(line any) error {
	p.sending.Lock()
	defer p.sending.Unlock()
	if err := json.NewEncoder(p.stdin).Encode(line); err != nil {
		return fmt.Errorf("write to a worker: %w", err)
	}
	return nil
}

// await waits for a worker's answer. When ctx ends it has the worker stop, and waits for that.
func (p *process) await(ctx context.Context, answer <-chan *reactor.Answer) (*reactor.Answer, error) {
	select {
	case a := <-answer:
		return a, nil
	case <-p.gone:
		return nil, p.ended()
	case <-ctx.Done():
	}
	if err := p.write(&reactor.Task{Do: reactor.DoStop}); err != nil {
		return nil, errors.Join(ctx.Err(), err)
	}
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-answer:
	case <-p.gone:
	case <-timer.C:
		return nil, fmt.Errorf("a worker does not stop: %w", ctx.Err())
	}
	return nil, ctx.Err()
}

// latest is how the worker was doing when it last said so.
func (p *process) latest() reactor.State {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.state
}

// ended is the error of a worker that is gone although it was needed.
func (p *process) ended() error {
	if text := p.log.String(); text != "" {
		return fmt.Errorf("a worker process ended: %s", text)
	}
	return fmt.Errorf("a worker process ended: %v", p.cmd.ProcessState)
}

// lastWords is the error of a worker that takes no more input: it is gone, or about to be.
func (p *process) lastWords() error {
	timer := time.NewTimer(endTimeout)
	defer timer.Stop()
	select {
	case <-p.gone:
		return p.ended()
	case <-timer.C:
		return errors.New("a worker process reads no more, but does not end")
	}
}

// close ends the worker by ending its input and waits for it; one that does not end is killed.
func (p *process) close() error {
	p.sending.Lock()
	err := p.stdin.Close()
	p.sending.Unlock()
	timer := time.NewTimer(endTimeout)
	defer timer.Stop()
	select {
	case <-p.gone:
		return nil // and its input with it, so that an error of closing says nothing
	case <-timer.C:
	}
	err = errors.Join(err, p.cmd.Process.Kill())
	<-p.gone
	return errors.Join(err, fmt.Errorf("a worker process did not end within %v", endTimeout))
}

// mostLog is how much of a worker's standard error is kept, from its end.
const mostLog = 4 << 10

// tail keeps the last bytes written to it. One goroutine at a time may use it.
type tail struct{ b []byte }

// Write keeps what fits. It never fails.
func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	t.b = t.b[max(0, len(t.b)-mostLog):]
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(bytes.ToValidUTF8(t.b, []byte("?")))) }
