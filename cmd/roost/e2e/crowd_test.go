package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/bench"
	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/fanout/redis/redistest"
)

const (
	crowd      = 200_000
	crowdRooms = 1000
	// crowdUsers have ten connections each.
	crowdUsers = crowd / 10
	// crowdNodes are as many as the usual limit of 20,000 descriptors demands, and one more for uneven shares.
	crowdNodes = 11
	// crowdHolds is how long all connections are held, three heartbeats and more.
	crowdHolds = 100 * time.Second
)

// TestCrowd puts 200,000 connections on one machine: eleven nodes that share a port and a Redis, and the clients beside
// them, in a thousand rooms. It goes wrong when a client is refused, lost or left without heartbeats, when the nodes'
// shares of a port are too uneven, or when what one node broadcasts does not reach every client of all. It takes some
// 3 GB of memory and three minutes.
//
//	ROOST_SOAK=1 go test -count 1 -v -timeout 20m -run TestCrowd ./cmd/roost/e2e
func TestCrowd(t *testing.T) {
	if !soaks() {
		t.Skip("200,000 connections only with ROOST_SOAK=1")
	}
	bus := redistest.Start(t)
	port := "listen=" + freeAddress(t)
	var names []string
	for i := range crowdNodes {
		names = append(names, fmt.Sprint("node-", i))
	}
	f := startFleet(t, bus, names, port, "limits.check=warn", "loops=1")
	redisPID, err := strconv.Atoi(field(bus.Do("INFO", "server"), "process_id"))
	if err != nil {
		t.Fatal(err)
	}
	memory := func() string {
		nodes := int64(0)
		for _, s := range f.nodes {
			nodes += residentOf(t, s.pid)
		}
		return fmt.Sprintf("nodes %d MiB, redis %d MiB, %s", nodes>>20, residentOf(t, redisPID)>>20, kernelMemory(t))
	}
	sum := func(metric string) (total float64) {
		for _, s := range f.nodes {
			total += s.figure(t, metric)
		}
		return total
	}
	t.Log("without clients: " + memory())

	path, err := binary()
	if err != nil {
		t.Fatal(err)
	}
	load := exec.CommandContext(t.Context(), path, "bench", "load", "--scenario=idle", "--url=ws://"+f.nodes[0].address+"/ws?room={room}",
		fmt.Sprint("--rooms=", crowdRooms), fmt.Sprint("--connections=", crowd), "--open-rate=4000", fmt.Sprint("--duration=", crowdHolds),
		"--subprotocol=roost.v1", "--subprotocol=token.{token}", "--token-file="+crowdTokens(t), "--greetings=1", "--json=-")
	var result bytes.Buffer
	var progress enginetest.Log
	load.Stdout, load.Stderr = &result, &progress
	if err := load.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- load.Wait() }()
	t.Cleanup(func() { _ = load.Process.Kill() })

	begin := time.Now()
	await(t, 8*time.Minute, "all connections are open, by both ends' count", func() bool {
		select {
		case err := <-ended:
			said := progress.String()
			t.Fatalf("the load generator ended: %v\n%s", err, said[max(0, len(said)-2000):])
		default:
		}
		time.Sleep(time.Second) // so that the polls weigh nothing
		return strings.Contains(progress.String(), "idle ") && sum("roost_members") >= crowd
	})
	opened := time.Since(begin)
	least, most := crowd, 0
	for _, s := range f.nodes {
		n := s.connections(t)
		least, most = min(least, n), max(most, n)
	}
	t.Logf("%d connections within %v, %d to %d on a node: %s", crowd, opened.Round(time.Second), least, most, memory())
	broadcastToCrowd(t, f, sum)

	if err := <-ended; err != nil {
		t.Fatalf("the load generator: %v\n%s", err, progress.String())
	}
	var run struct {
		Open bench.Opening `json:"open"`
		Idle bench.Idling  `json:"idle"`
	}
	if err := json.Unmarshal(result.Bytes(), &run); err != nil {
		t.Fatal(err)
	}
	// The clients count what came while all were held: the broadcast, and a ping every 30 s.
	if run.Open.Opened != crowd || len(run.Open.Failures) > 0 || run.Idle.Received < crowd || run.Idle.Pings < 2*crowd {
		t.Errorf("%d of %d opened, failures %v, %d messages, %d pings", run.Open.Opened, crowd, run.Open.Failures, run.Idle.Received, run.Idle.Pings)
	}
	t.Logf("%d messages and %d pings within %v", run.Idle.Received, run.Idle.Pings, run.Idle.Held)
}

// broadcastToCrowd publishes in every room, on one node.
func broadcastToCrowd(t *testing.T, f *fleet, sum func(string) float64) {
	t.Helper()
	rooms := make([]string, crowdRooms)
	for i := range rooms {
		rooms[i] = fmt.Sprint("r", i) // as the generator calls them
	}
	before := sum("roost_deliveries_total")
	begin := time.Now()
	if err := f.nodes[3].call("POST", "/api/broadcast", map[string]any{"rooms": rooms, "data": "to all of you"}, nil); err != nil {
		t.Fatal(err)
	}
	await(t, memberWithin, "the broadcast has reached all", func() bool { return sum("roost_deliveries_total") >= before+crowd })
	t.Logf("a broadcast of one node reached all within %v", time.Since(begin).Round(time.Millisecond))
	if delivered := sum("roost_deliveries_total") - before; delivered != crowd {
		t.Errorf("%.0f deliveries of a broadcast to %d", delivered, crowd)
	}
	if gaps := sum("roost_gaps_total"); gaps > 0 {
		t.Errorf("%.0f gaps were told", gaps)
	}
}

// crowdTokens is a file with a token on each line.
func crowdTokens(t *testing.T) string {
	t.Helper()
	var text strings.Builder
	for i := range crowdUsers {
		text.WriteString(pass(t, fmt.Sprint("u", i)) + "\n")
	}
	name := filepath.Join(t.TempDir(), "tokens")
	if err := os.WriteFile(name, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func residentOf(t *testing.T, pid int) int64 {
	t.Helper()
	m, err := enginetest.ReadMemory(pid)
	if err != nil {
		t.Fatal(err)
	}
	return m.RSS
}

// kernelMemory is what the kernel holds for everybody, both ends of every connection among it.
func kernelMemory(t *testing.T) string {
	t.Helper()
	var told []string
	for name, prefixes := range map[string][]string{"/proc/meminfo": {"MemAvailable:", "Slab:"}, "/proc/net/sockstat": {"TCP:"}} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			for _, prefix := range prefixes {
				if strings.HasPrefix(line, prefix) {
					told = append(told, strings.Join(strings.Fields(line), " "))
				}
			}
		}
	}
	return strings.Join(told, ", ")
}
