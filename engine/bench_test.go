//go:build linux

package engine

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"testing"

	"github.com/gobwas/ws"
	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/engine/ratelimit"
	"github.com/roost-ws/roost/fanout"
)

// nowhere is a socket that takes every byte and whose peer never reads: a datagram to it is dropped once its buffer is
// full. It would be wrong about anything that depends on how long a write to a real client takes.
type nowhere struct {
	gnet.Conn
	fd int
}

func (n nowhere) Fd() int { return n.fd }

// looseLoop is a loop without a goroutine: the caller is its goroutine. Its members are connected to nowhere.
func looseLoop(b testing.TB, room string, members int) (*Server, *Loop, *Room) {
	b.Helper()
	s, err := New(Options{Listen: []string{"127.0.0.1:0"}, Loops: 1, Node: "bench", Broker: fanout.NewMemory(),
		Limits: DefaultLimits(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	if err := s.router.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.broker.Close() })
	fd := nowhereSocket(b)
	l := s.loops[0]
	l.mailbox.wake = func() {}
	l.pacer = &pacer{asked: true} // nobody is there for its byte
	r, err := l.room(dialectRaw, []byte(room))
	if err != nil {
		b.Fatal(err)
	}
	for range members {
		c := l.conns.take()
		c.gc, c.phase, c.dialect = nowhere{fd: fd}, phaseOpen, dialectRaw
		l.join(c, r)
	}
	return s, l, r
}

func nowhereSocket(b testing.TB) int {
	b.Helper()
	deaf, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		b.Fatal(err)
	}
	to := &unix.SockaddrInet4{Port: deaf.LocalAddr().(*net.UDPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	if err := unix.Connect(fd, to); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { deaf.Close(); unix.Close(fd) })
	return fd
}

// BenchmarkDeliver is a publication from the broker's word until every member's bytes are with the kernel: encode,
// post, gather, walk, write. Divide by the members for the cost of one delivery; most of that is the system call.
func BenchmarkDeliver(b *testing.B) {
	for _, members := range []int{1, 100, 10000} {
		b.Run(fmt.Sprintf("members=%d", members), func(b *testing.B) {
			s, l, r := looseLoop(b, "all", members)
			p := fanout.Publication{Room: "all", Data: make([]byte, 125), Kind: fanout.Text}
			var loops fanout.LoopSet
			loops.Add(0)
			b.ReportAllocs()
			for b.Loop() {
				s.Deliver(loops, &p)
				l.begin()
				l.readMail()
				l.setActive(l.active[:0])
				r.active = false
				for r.walk != nil {
					l.fly(r, maxSlice) // as large as slices get
					l.flush()
				}
				l.mailbox.leave()
			}
			if got := l.count.deliveries; got < uint64(members) {
				b.Fatalf("%d deliveries to %d members", got, members)
			}
		})
	}
}

// BenchmarkEncode is a publication's frame in each dialect, as the first loop that needs it makes it.
func BenchmarkEncode(b *testing.B) {
	p := fanout.Publication{Room: "chat.general", Data: []byte(`{"text":"hello there","at":1700000000}`), Kind: fanout.JSON, From: "alice"}
	for d, name := range [numDialects]string{"roost.v1", "raw", "roost.v1 compressed", "raw compressed"} {
		b.Run(name, func(b *testing.B) {
			s, l, _ := looseLoop(b, "chat.general", 1)
			var loops fanout.LoopSet
			loops.Add(0)
			b.ReportAllocs()
			for b.Loop() {
				l.effort = 0
				s.Deliver(loops, &p)
				letters, _, _ := l.mailbox.take()
				if len(letters[0].delivery.frame(dialect(d), l)) == 0 {
					b.Fatal("no frame")
				}
				letters[0].delivery.release()
				l.mailbox.done(letters)
			}
		})
	}
}

// BenchmarkMailbox posts and takes letters one by one and in bursts, from the loop's own goroutine: the lock is
// never waited for here.
func BenchmarkMailbox(b *testing.B) {
	for _, burst := range []int{1, 64} {
		b.Run(fmt.Sprintf("burst=%d", burst), func(b *testing.B) {
			m := mailbox{wake: func() {}, limit: 1024}
			b.ReportAllocs()
			for b.Loop() {
				for i := range burst {
					m.post(letter{kind: letterTick, posted: int64(i)})
				}
				m.woken()
				letters, _, _ := m.take()
				if len(letters) != burst {
					b.Fatalf("%d letters of %d", len(letters), burst)
				}
				m.done(letters)
			}
		})
	}
}

// BenchmarkEchoTurn is a turn in which a connection sent messages to a room that it is alone in: bytes in, bytes out,
// with the whole way over the broker between. It leaves out reading the socket and what a real write costs.
func BenchmarkEchoTurn(b *testing.B) {
	plain := enginetest.TextFrame(bytes.Repeat([]byte("x"), 125))
	squeezed := enginetest.AppendFrame(nil, compressedFrame(ws.OpText, squeeze(b, bytes.Repeat([]byte("x"), 125))), true)
	for _, bc := range []struct {
		name     string
		messages int
		message  []byte
		dialect  dialect
	}{
		{"messages=1", 1, plain, dialectRaw}, {"messages=16", 16, plain, dialectRaw}, {"compressed=1", 1, squeezed, dialectRawDeflate},
	} {
		b.Run(bc.name, func(b *testing.B) {
			s, l, r := looseLoop(b, "echo", 1)
			s.limits.Messages = ratelimit.Rate{}
			c := l.conns.at(r.members[0] &^ memberFlags)
			c.rights, c.dialect = s.anonymous.Rights, bc.dialect
			messages, input := bc.messages, bytes.Repeat(bc.message, bc.messages)
			p := make([]byte, len(input))
			b.ReportAllocs()
			for b.Loop() {
				copy(p, input) // reading unmasks in place
				l.effort = 0
				l.begin()
				l.readMail()
				c.onTraffic(l, p)
				l.finish(c)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*messages), "ns/message")
			if got := l.count.deliveries; got != uint64(b.N*messages) {
				b.Fatalf("%d deliveries of %d messages", got, b.N*messages)
			}
		})
	}
}
