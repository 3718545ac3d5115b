package reactor

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"
	"unsafe"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"github.com/roost-ws/roost/bench"
	"github.com/roost-ws/roost/protocol/frame"
)

// newTestLoop is a loop with n connections that are ready, each on one end of a socket pair whose other end takes
// what is written to it and never answers.
func newTestLoop(tb testing.TB, n int, target bench.Target) *loop {
	tb.Helper()
	target.Addresses, target.Path = []string{"127.0.0.1:1"}, "/"
	if target.PayloadBytes == 0 {
		target.PayloadBytes = 60
	}
	l, err := newLoop(Setup{Target: target, Workers: 1, Timeout: time.Minute}, func(*Answer) {})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(l.dismantle)
	l.reserve(n)
	for i := range l.conns {
		c := &l.conns[i]
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { unix.Close(pair[1]) })
		c.fd, c.phase = int32(pair[0]), ready
		l.open++
		l.watch(c, unix.EPOLL_CTL_ADD)
	}
	return l
}

// counter is a task that counts what a loop tells it.
type counter struct {
	passive
	order
	stamps int
	causes map[string]int
}

func (t *counter) stamped(_ *loop, c *conn, p *[stampSize]byte) {
	t.stamps++
	t.check(c, sequenceOf(p))
}
func (t *counter) ended(_ *loop, _ *conn, cause string) { t.causes[cause]++ }

// push is one message of a server with a stamp somewhere in it.
func push(dst []byte, run, sequence uint32, before, after string) []byte {
	var s [stampSize]byte
	stamp{run, 0, sequence, Now()}.put(&s)
	return frame.Append(dst, ws.OpText, append(append([]byte(before), s[:]...), after...))
}

// verdict is all that can be told from a stream.
type verdict struct {
	received, pings  int64
	stamps           int
	disorder, double int64
	ended            string
}

// judge feeds a stream to a loop in pieces that end at cuts.
func judge(t *testing.T, stream []byte, cuts []int) verdict {
	l := newTestLoop(t, 1, bench.Target{})
	task := &counter{causes: map[string]int{}}
	l.task, l.run, l.runWord = task, 5, wordOf(5)
	c := &l.conns[0]
	before := 0
	for _, cut := range append(cuts, len(stream)) {
		if c.phase != ready {
			break
		}
		if cut > before {
			n := copy(l.in, stream[before:cut])
			l.input(c, l.in[:n])
			before = cut
		}
	}
	return verdict{l.received, l.pings, task.stamps, task.disorder, task.duplicates, fmt.Sprint(task.causes)}
}

func FuzzInput(f *testing.F) {
	var s []byte
	for i := range uint32(3) {
		s = push(s, 5, i, `{"data":"`, `"}`)
	}
	s = frame.AppendPing(s, []byte("are you there"))
	s = append(s, 0x01, 3, 'a', 'b', 'c', 0x80, 2, 'd', 'e') // in two fragments
	s = push(s, 5, 5, "", "")                                // passes over two
	s = push(s, 4, 6, "", "")                                // of another run
	s = push(s, 5, 3, "", "")                                // late
	s = push(s, 5, 3, "", "")                                // again
	f.Add(s, uint64(1))
	f.Add(frame.AppendClose(s, 1001, "away"), uint64(2))
	f.Add(append(s, 0x83, 0), uint64(3))
	f.Add(append(s, 0x81, 126, 0, 5, 1, 2, 3, 4, 5), uint64(4)) // a length not in its shortest form
	f.Fuzz(func(t *testing.T, stream []byte, seed uint64) {
		if len(stream) > 4096 {
			return
		}
		whole := judge(t, stream, nil)
		random := rand.New(rand.NewPCG(seed, 0))
		var cuts, each []int
		for i := range stream {
			each = append(each, i)
			if random.IntN(10) == 0 {
				cuts = append(cuts, i)
			}
		}
		for _, cuts := range [][]int{cuts, each} {
			// The fast way does not look whether text is UTF-8, as a piece of a message is: no server is blamed for it
			// in one reading, so only streams of ASCII have to have the same verdict.
			if got := judge(t, stream, cuts); got != whole && ascii(stream) {
				t.Fatalf("in one piece %+v, cut at %v %+v", whole, cuts, got)
			}
		}
	})
}

// ascii says whether the verdict on a stream can't hang on UTF-8: frames begin with bytes above 0x7f, all other such
// bytes may be in a text.
func ascii(stream []byte) bool {
	for i := 0; i < len(stream); {
		head, n := wholeMessage(stream[i:])
		if head == 0 {
			return false
		}
		for _, b := range stream[i+head : i+head+n] {
			if b > 0x7f {
				return false
			}
		}
		i += head + n
	}
	return true
}

func TestInput(t *testing.T) {
	var s []byte
	for i := range uint32(3) {
		s = push(s, 5, i, `{"data":"`, `"}`)
	}
	s = frame.AppendPing(s, []byte("are you there"))
	s = append(s, 0x01, 3, 'a', 'b', 'c', 0x80, 2, 'd', 'e')
	s = push(s, 5, 5, "", "")
	s = push(s, 4, 6, "", "")
	s = push(s, 5, 3, "", "")
	s = push(s, 5, 3, "", "")
	// A server's own protocol may put several messages into one.
	var two []byte
	for i := uint32(6); i < 8; i++ {
		var raw [stampSize]byte
		stamp{5, 0, i, Now()}.put(&raw)
		two = append(append(two, raw[:]...), "xxxxxxxxxxxx\n"...)
	}
	s = frame.Append(s, ws.OpText, two)
	s = frame.Append(s, ws.OpBinary, make([]byte, 70_000))
	for _, tc := range []struct {
		name string
		end  []byte
		want string
	}{
		{"stays", nil, ""},
		{"close frame", frame.AppendClose(nil, 1001, "away"), "close 1001"},
		{"close frame without a code", frame.AppendHeader(nil, ws.OpClose, 0), "close 1005"},
		{"reserved opcode", []byte{0x83, 0}, causeProtocol},
		{"masked", []byte{0x81, 0x80, 1, 2, 3, 4}, causeProtocol},
		{"long length for a short payload", []byte{0x81, 126, 0, 5}, causeProtocol},
	} {
		t.Run(tc.name, func(t *testing.T) {
			stream := append(append([]byte(nil), s...), tc.end...)
			causes := map[string]int{}
			if tc.want != "" {
				causes[tc.want] = 1
			}
			want := verdict{received: 10, pings: 1, stamps: 8, disorder: 1, double: 1, ended: fmt.Sprint(causes)}
			var each []int
			for i := range stream {
				if i < 1000 || len(stream)-i < 100 {
					each = append(each, i)
				}
			}
			for _, cuts := range [][]int{nil, each, {7, 8, 9, 500, 501}} {
				if got := judge(t, stream, cuts); got != want {
					t.Errorf("cut at %d places: %+v, want %+v", len(cuts), got, want)
				}
			}
		})
	}
}

// FuzzWholeMessage holds the fast way against the parser: what it takes, the parser takes for the same.
func FuzzWholeMessage(f *testing.F) {
	f.Add([]byte{0x81, 2, 'a', 'b'})
	f.Add([]byte{0x82, 126, 0, 126})
	f.Fuzz(func(t *testing.T, p []byte) {
		head, n := wholeMessage(p)
		if head == 0 {
			return
		}
		h, size, err := frame.ParseHeader(p, ws.StateClientSide, 1<<20)
		if err != nil || size != head || int(h.Length) != n || !h.Fin || !h.OpCode.IsData() || len(p) < head+n {
			t.Fatalf("head %d of %d bytes, the parser says %+v, %d, %v", head, n, h, size, err)
		}
	})
}

func TestConnectionSize(t *testing.T) {
	if size := unsafe.Sizeof(conn{}); size > 64 {
		t.Errorf("a connection takes %d bytes", size)
	}
}

func TestEndedCounts(t *testing.T) {
	l := newTestLoop(t, 3, bench.Target{})
	l.end(&l.conns[1], causeReset)
	l.end(&l.conns[1], causeReset) // it has ended already
	if l.open != 2 || !maps.Equal(l.ended, map[string]int{causeReset: 1}) {
		t.Errorf("%d open, ended %v", l.open, l.ended)
	}
}

// batch is what a server sends one member in one write: publications of a fan-out from a number on.
func batch(run, first uint32, n int) []byte {
	var b []byte
	for i := range uint32(n) {
		b = push(b, run, first+i, "", "xxxxxxxxxxxx")
	}
	return b
}

// newFanout is a fan-out that counts on members connections.
func newFanout(tb testing.TB, members int) (*loop, *fanoutTask) {
	l := newTestLoop(tb, members, bench.Target{})
	begin := Now()
	err := l.begin(&Task{Do: DoFanout, Run: 9, PerSecond: 1000, Begin: begin, From: begin, Until: begin + int64(time.Hour)})
	if err != nil {
		tb.Fatal(err)
	}
	return l, l.task.(*fanoutTask)
}

func TestInputDoesNotAllocate(t *testing.T) {
	l, task := newFanout(t, 1)
	b := batch(9, 0, 100)
	c := &l.conns[0]
	allocated := testing.AllocsPerRun(100, func() {
		c.next = 0
		l.now = Now()
		l.input(c, b)
	})
	if allocated != 0 || task.received < 100*100 || task.disorder+task.duplicates > 0 {
		t.Errorf("%v allocations for a batch, %d received", allocated, task.received)
	}
}

func TestEchoDoesNotAllocate(t *testing.T) {
	l := newTestLoop(t, 1, bench.Target{Message: `{"room":"{room}","n":{i},"data":"{payload}"}`})
	begin := Now()
	if err := l.begin(&Task{Do: DoEcho, Run: 9, InFlight: 1, Begin: begin, From: begin, Until: begin + int64(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	c := &l.conns[0]
	b := push(nil, 9, 0, "", "")
	allocated := testing.AllocsPerRun(100, func() {
		c.next = 0
		l.now = Now()
		l.input(c, b)
	})
	if task := l.task.(*echoTask); allocated != 0 || task.received < 100 || task.sent < 100 {
		t.Errorf("%v allocations an echo, %d received", allocated, task.received)
	}
}

// reportCPU reports the processor time of an operation too, which a busy neighbour does not change as much.
func reportCPU(b *testing.B) func() {
	used := func() int64 {
		var ts unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &ts); err != nil {
			b.Fatal(err)
		}
		return ts.Nano()
	}
	before := used()
	return func() { b.ReportMetric(float64(used()-before)/float64(b.N), "cpu-ns/op") }
}

// BenchmarkFanoutInput is a worker's own time for one delivery, without the system call that reads it: what it can
// count of a server that sends large batches. Batches of 16 go round over 10,000 connections, so that their lines
// are as cold as they would be. It is wrong about a server whose batches are smaller, and about the kernel's copy.
func BenchmarkFanoutInput(b *testing.B) {
	const members, each = 4000, 16
	l, task := newFanout(b, members)
	var batches [64][]byte
	for i := range batches {
		batches[i] = batch(9, uint32(i*each), each)
	}
	b.ReportAllocs()
	b.ResetTimer()
	defer reportCPU(b)()
	frames := 0
	for turn := 0; frames < b.N; turn++ {
		batch := batches[turn%len(batches)]
		for i := 0; i < members && frames < b.N; i++ {
			c := &l.conns[i]
			c.next = uint32(turn % len(batches) * each)
			l.now = Now()
			l.input(c, batch)
			frames += each
		}
	}
	if task.disorder+task.duplicates > 0 {
		b.Fatal("out of order")
	}
}

// BenchmarkMessage is the time for making one message of an echo, without the system call that writes it.
func BenchmarkMessage(b *testing.B) {
	for name, template := range map[string]string{"plain": "", "json": `{"type":"publish","room":"{room}","data":"{payload}"}`} {
		b.Run(name, func(b *testing.B) {
			l := newTestLoop(b, 1, bench.Target{Message: template, PayloadBytes: 125})
			b.ReportAllocs()
			defer reportCPU(b)()
			for i := range b.N {
				l.outgoing = l.appendMessage(l.outgoing[:0], &l.conns[0], uint32(i), int64(i))
			}
		})
	}
}
