//go:build linux

package enginetest

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
	"time"
)

// This file is a swarm as a process: a [Spec] and then commands on standard input, events on standard
// output, one JSON object a line. Each command runs beside the others and is answered by one event with its
// id; between them there are "stats" events at a steady pace. The end of standard input ends the process.

// command is one line from the parent. Which fields count depends on Op.
type command struct {
	ID int    `json:"id"`
	Op string `json:"op"` // open, send, close, echo, stats, closes, received, delays, exit
	// From and To are a range of connections; To 0 is all.
	From int `json:"from,omitempty"`
	To   int `json:"to,omitempty"`
	// Frame is sent by send and, if Text is empty, by echo. Text is a template, sent as a text message.
	Frame []byte `json:"frame,omitempty"`
	Text  string `json:"text,omitempty"`
	// Kind belongs to close; the rest to echo.
	Kind     CloseKind     `json:"kind,omitempty"`
	Warmup   time.Duration `json:"warmup,omitempty"`
	Duration time.Duration `json:"duration,omitempty"`
	InFlight int           `json:"in_flight,omitempty"`
	Every    time.Duration `json:"every,omitempty"`
	Match    string        `json:"match,omitempty"`
	// Timeout bounds open, close and echo; 0 is none.
	Timeout time.Duration `json:"timeout,omitempty"`
}

// event is one line to the parent: "ready", "stats", or "answer" to a command.
type event struct {
	Event    string       `json:"event"`
	ID       int          `json:"id,omitempty"`
	Error    string       `json:"error,omitempty"`
	Stats    *Stats       `json:"stats,omitempty"`
	Echo     *EchoResult  `json:"echo,omitempty"`
	Closes   []CloseEvent `json:"closes,omitempty"`
	Received []int64      `json:"received,omitempty"`
	Delays   *Histogram   `json:"delays,omitempty"`
}

// Main runs a swarm as a process on standard input and output and returns its exit code: 0 after "exit" or
// the end of input, 1 if the swarm could not start, 2 for input that is no spec. It takes no arguments
// beyond -h.
func Main(args []string) int {
	flags := flag.NewFlagSet("swarm", flag.ContinueOnError)
	flags.Usage = func() {
		fmt.Fprintln(os.Stderr, `usage: echo '{"addrs":["127.0.0.1:8080"],"connections":100,"path":"/ws"}' '{"op":"open","id":1}' | swarm`)
	}
	if err := flags.Parse(args); err != nil {
		return 2
	}
	return serveCommands(os.Stdin, os.Stdout, os.Stderr)
}

func serveCommands(in io.Reader, out, log io.Writer) int {
	lines := json.NewDecoder(bufio.NewReader(in))
	var spec Spec
	if err := lines.Decode(&spec); err != nil {
		fmt.Fprintf(log, "swarm: read the spec: %v\n", err)
		return 2
	}
	if len(spec.CPUs) > 0 {
		if err := Pin(0, spec.CPUs...); err != nil {
			fmt.Fprintf(log, "swarm: %v\n", err)
			return 1
		}
		runtime.GOMAXPROCS(len(spec.CPUs))
	}
	cfg, err := spec.Config()
	if err != nil {
		fmt.Fprintf(log, "swarm: %v\n", err)
		return 2
	}
	s, err := NewSwarm(cfg)
	if err != nil {
		fmt.Fprintf(log, "swarm: %v\n", err)
		return 1
	}
	defer s.Stop()
	r := &reporter{out: json.NewEncoder(out)}
	r.say(&event{Event: "ready"})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go r.report(ctx, s, spec.ReportEvery)
	for {
		var cmd command
		err := lines.Decode(&cmd)
		switch {
		case err == io.EOF || err == nil && cmd.Op == "exit":
			return 0
		case err != nil:
			fmt.Fprintf(log, "swarm: read a command: %v\n", err)
			return 2
		case cmd.Op == "send":
			// Sending does not wait, and its order counts.
			r.say(s.execute(ctx, &cmd))
		default:
			go r.say(s.execute(ctx, &cmd))
		}
	}
}

// execute runs one command and returns its answer.
func (s *Swarm) execute(ctx context.Context, cmd *command) *event {
	if cmd.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, cmd.Timeout)
		defer cancel()
	}
	if cmd.To == 0 {
		cmd.To = s.cfg.N
	}
	answer := &event{Event: "answer", ID: cmd.ID}
	var err error
	switch cmd.Op {
	case "open":
		err = s.Open(ctx, cmd.From, cmd.To)
	case "send":
		s.sendCommand(cmd)
	case "close":
		err = s.CloseRange(ctx, cmd.From, cmd.To, cmd.Kind)
	case "echo":
		answer.Echo, err = s.Echo(ctx, EchoConfig{From: cmd.From, To: cmd.To, InFlight: cmd.InFlight, Every: cmd.Every,
			Warmup: cmd.Warmup, Duration: cmd.Duration, Match: cmd.Match, Frame: cmd.frame})
	case "stats":
	case "closes":
		answer.Closes = s.Closes()
	case "received":
		answer.Received = s.Received()
	case "delays":
		answer.Delays = s.Delays()
	default:
		err = fmt.Errorf("unknown command %q", cmd.Op)
	}
	if err != nil {
		answer.Error = err.Error()
	}
	st := s.Stats()
	answer.Stats = &st
	return answer
}

// frame is what connection i is to send.
func (cmd *command) frame(i int) []byte {
	if cmd.Text != "" {
		return TextFrame([]byte(expand(cmd.Text, i)))
	}
	return cmd.Frame
}

func (s *Swarm) sendCommand(cmd *command) {
	if cmd.Text == "" {
		s.SendRange(cmd.From, cmd.To, cmd.Frame)
		return
	}
	s.each(func(l *loop) {
		l.span(cmd.From, cmd.To, func(i int, c *slot) { l.sendFrame(c, cmd.frame(i)) })
	})
}

// reporter writes events, one at a time.
type reporter struct {
	mu  sync.Mutex
	out *json.Encoder
}

// say writes one event. A parent that does not listen any more is noticed by the end of standard input.
func (r *reporter) say(e *event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.out.Encode(e)
}

func (r *reporter) report(ctx context.Context, s *Swarm, every time.Duration) {
	if every <= 0 {
		every = 200 * time.Millisecond
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			st := s.Stats()
			r.say(&event{Event: "stats", Stats: &st})
		}
	}
}
