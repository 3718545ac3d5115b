package redis_test

import (
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/roost-ws/roost/fanout"
	"github.com/roost-ws/roost/fanout/fanouttest"
	"github.com/roost-ws/roost/fanout/redis"
	"github.com/roost-ws/roost/fanout/redis/redistest"
)

// A node's side of one server costs little memory: what New and Start add, over several brokers.
func TestCostOfAServer(t *testing.T) {
	const brokers, most = 20, 8 << 20
	server := redistest.Start(t)
	start := func() *redis.Broker {
		b := open(t, "redis://"+server.Addr)
		if err := b.Start(fanouttest.NewLedger().Hearing()); err != nil {
			t.Fatal(err)
		}
		subscribe(t, b, "a")
		return b
	}
	all := []*redis.Broker{start()} // what is only once is there then
	heap, resident := memory(t)
	for range brokers {
		all = append(all, start())
	}
	heapThen, residentThen := memory(t)
	for _, b := range all {
		_ = b.Close()
	}
	heapEach, residentEach := (heapThen-heap)/brokers, (residentThen-resident)/brokers
	t.Logf("one server costs %d KiB of heap, %d KiB resident", heapEach>>10, residentEach>>10)
	if (heapEach > most || residentEach > most) && !raceEnabled {
		t.Errorf("one server costs %d bytes of heap and %d resident, want at most %d", heapEach, residentEach, most)
	}
}

func memory(t *testing.T) (heap, resident int) {
	t.Helper()
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Skip("the resident memory is not told here")
	}
	pages, err := strconv.Atoi(strings.Fields(string(statm))[1])
	if err != nil {
		t.Fatal(err)
	}
	return int(m.HeapAlloc), pages * os.Getpagesize()
}

// Publications a second through one Redis that has two nodes, against redis-benchmark publishing the same bytes in the
// same rooms to the same nodes, 512 on their way to Redis at a time, which is where it is fastest. All of them share the
// processors, so what counts is what a publication costs everybody. redis-benchmark sends each by itself; the broker
// packs those of one room that wait together, which is why it is ahead, and further with one room than with many. In many
// rooms it has them in turn, redis-benchmark at random. What is wanted leaves room for a machine that is not quiet, and
// is more than what is reached without packs, some 0.7 in both.
func TestCostOfPublishing(t *testing.T) {
	if os.Getenv("ROOST_PERF") != "1" || raceEnabled {
		t.Skip("measures speed: set ROOST_PERF=1 on a quiet machine, as make bench does")
	}
	for _, c := range []struct {
		name   string
		rooms  int
		wanted float64
	}{
		{name: "one room", rooms: 1, wanted: 1.2},
		{name: "300 rooms", rooms: 300, wanted: 0.9},
	} {
		t.Run(c.name, func(t *testing.T) { againstBenchmark(t, c.rooms, c.wanted) })
	}
}

func againstBenchmark(t *testing.T, count int, wanted float64) {
	const rounds, publications, window = 5, 200_000, 512
	var rooms []string
	for i := range count {
		rooms = append(rooms, fmt.Sprintf("room.%012d", i)) // as redis-benchmark writes a random number
	}
	// Nobody waits for the nodes to hear, and one that falls far behind would be cut off.
	server := redistest.Start(t, "client-output-buffer-limit pubsub 0 0 0")
	sinks := [2]*countingSink{{}, {}}
	var nodes [2]*redis.Broker
	for i := range nodes {
		nodes[i] = open(t, "redis://"+server.Addr)
		if err := nodes[i].Start(sinks[i]); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if t.Failed() {
				t.Logf("node %d: %+v", i, nodes[i].Stats())
			}
			_ = nodes[i].Close()
		}()
		subscribe(t, nodes[i], rooms...)
	}
	heard := func() int64 { return min(sinks[0].heard.Load(), sinks[1].heard.Load()) }
	ballast := make([]byte, 64<<20) // a node's heap, whose collector does not run as often as that of a test
	defer runtime.KeepAlive(ballast)
	// The time is over when both nodes have heard everything.
	measure := func(publish func()) (rate, cpu float64) {
		before, began, used := heard(), time.Now(), processorSeconds(t, server)
		publish()
		redistest.Wait(t, "all is heard", func() bool { return heard() >= before+publications })
		return publications / time.Since(began).Seconds(), (processorSeconds(t, server) - used) / publications * 1e6
	}
	payload := strings.Repeat("x", 125)
	envelope := string(fanout.AppendEnvelope(nil, &fanout.Publication{Kind: fanout.Text, Time: 1, Data: []byte(payload)}))
	var ours, theirs, ourCPU, theirCPU []float64
	for range rounds {
		// The broker's queue never runs empty.
		rate, cpu := measure(func() { publishWindowed(nodes[0], payload, publications, 8*window, rooms...) })
		ours, ourCPU = append(ours, rate), append(ourCPU, cpu)
		rate, cpu = measure(func() { redisBenchmark(t, server, envelope, publications, window, count) })
		theirs, theirCPU = append(theirs, rate), append(theirCPU, cpu)
	}
	slices.Sort(ourCPU)
	slices.Sort(theirCPU)
	t.Logf("processor time of everybody for a publication: %.2f us, with redis-benchmark %.2f us", ourCPU[rounds/2], theirCPU[rounds/2])
	slices.Sort(ours)
	slices.Sort(theirs)
	ratio := ours[rounds/2] / theirs[rounds/2]
	t.Logf("publications a second: %.0f, redis-benchmark %.0f, ratio %.2f", ours[rounds/2], theirs[rounds/2], ratio)
	if ratio < wanted {
		t.Errorf("the ratio is %.2f, want %.2f: ours %.0f, redis-benchmark's %.0f", ratio, wanted, ours, theirs)
	}
}

// Publications a second in 300 rooms that two nodes hear, over three servers against one. It would be wrong about what
// sharding brings where the servers have processors of their own: here all share those of the nodes, so that the most
// it can show is that three cost no more than one.
func TestCostOfSharding(t *testing.T) {
	if os.Getenv("ROOST_PERF") != "1" || raceEnabled {
		t.Skip("measures speed: set ROOST_PERF=1 on a quiet machine, as make bench does")
	}
	const rounds, count, window, wanted = 5, 100_000, 4096, 0.8
	var rooms []string
	for i := range 300 {
		rooms = append(rooms, "room."+strconv.Itoa(i))
	}
	measure := func(servers int) func() float64 {
		var addresses []string
		for range servers {
			addresses = append(addresses, redistest.Start(t).Addr)
		}
		sinks := [2]*countingSink{{}, {}}
		var nodes [2]*redis.Broker
		for i := range nodes {
			nodes[i] = open(t, "redis://"+strings.Join(addresses, ","))
			if err := nodes[i].Start(sinks[i]); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = nodes[i].Close() })
			subscribe(t, nodes[i], rooms...)
		}
		heard := func() int64 { return min(sinks[0].heard.Load(), sinks[1].heard.Load()) }
		payload := strings.Repeat("x", 125)
		return func() float64 {
			before, began := heard(), time.Now()
			publishWindowed(nodes[0], payload, count, window, rooms...)
			redistest.Wait(t, "all is heard", func() bool { return heard() >= before+count })
			return count / time.Since(began).Seconds()
		}
	}
	one, three := measure(1), measure(3)
	var ones, threes []float64
	for range rounds {
		ones, threes = append(ones, one()), append(threes, three())
	}
	slices.Sort(ones)
	slices.Sort(threes)
	ratio := threes[rounds/2] / ones[rounds/2]
	t.Logf("publications a second over three servers: %.0f, over one %.0f, ratio %.2f", threes[rounds/2], ones[rounds/2], ratio)
	if ratio < wanted {
		t.Errorf("three servers bring %.2f of what one does, want %.2f at least", ratio, wanted)
	}
}

// processorSeconds is what this process, the programs it ran to their end, and the server have used.
func processorSeconds(t *testing.T, server *redistest.Server) float64 {
	t.Helper()
	seconds := 0.0
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var used syscall.Rusage
		if err := syscall.Getrusage(who, &used); err != nil {
			t.Fatal(err)
		}
		seconds += float64(used.Utime.Nano()+used.Stime.Nano()) / 1e9
	}
	for line := range strings.Lines(server.Do("INFO", "cpu")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name == "used_cpu_sys" || name == "used_cpu_user" {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			seconds += n
		}
	}
	return seconds
}

// countingSink counts what it hears.
type countingSink struct{ heard atomic.Int64 }

func (s *countingSink) HandlePublication(*fanout.Publication)  { s.heard.Add(1) }
func (s *countingSink) HandleGap(string, fanout.Position)      {}
func (s *countingSink) Published(_ fanout.Position, err error) {}

// publishWindowed publishes in rooms in turn, with at most window publications on their way.
func publishWindowed(b *redis.Broker, payload string, count, window int, rooms ...string) {
	free := make(chan struct{}, window)
	done := completion(func(error) { <-free })
	p := &fanout.Publication{Kind: fanout.Text, Time: 1, Data: []byte(payload)}
	for i := range count {
		free <- struct{}{}
		p.Room = rooms[i%len(rooms)]
		b.Publish(p, done)
	}
	for range window {
		free <- struct{}{}
	}
}

var perSecond = regexp.MustCompile(`([0-9.]+) requests per second`)

func redisBenchmark(t *testing.T, server *redistest.Server, envelope string, count, window, rooms int) {
	t.Helper()
	host, port, _ := strings.Cut(server.Addr, ":")
	out, err := exec.Command("redis-benchmark", "-h", host, "-p", port, "-n", strconv.Itoa(count), "-c", "1", // #nosec G204: the test's own words
		"-P", strconv.Itoa(window), "-r", strconv.Itoa(rooms), "PUBLISH", "roost:room:room.__rand_int__", envelope).CombinedOutput()
	if err != nil || !perSecond.Match(out) {
		t.Fatalf("redis-benchmark: %v\n%s", err, out)
	}
}
