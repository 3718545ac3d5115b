//go:build linux

package enginetest

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	MaybeChild()
	os.Exit(m.Run())
}

func TestChild(t *testing.T) {
	const n = 300
	addr := startServer(t)
	c := StartChild(t, "", Spec{Addrs: []string{addr}, Connections: n, Path: "/{i%3}", User: "user-{i}",
		Subprotocols: []string{"roost.v1"}, AfterOpen: []string{`{"type":"join","room":"r{i}"}`},
		Marks: []string{"join"}, CPUs: []int{0}, ReportEvery: 10 * time.Millisecond})
	if st, err := c.Open(0, 100, DefaultTimeout); err != nil || st.Open != 100 {
		t.Fatalf("error %v, %+v", err, st)
	}
	if st, err := c.Open(0, 0, DefaultTimeout); err != nil || st.Open != n {
		t.Fatalf("error %v, %+v", err, st)
	}
	if st, err := c.WaitFor(DefaultTimeout, func(st *Stats) bool { return st.Marked["join"] == n }); err != nil {
		t.Fatalf("error %v, %+v", err, st)
	}
	if err := c.SendText(0, 10, "hello {i}"); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(0, 10, TextFrame([]byte("again"))); err != nil {
		t.Fatal(err)
	}
	if st, err := c.WaitFor(DefaultTimeout, func(st *Stats) bool { return st.Messages == n+20 }); err != nil {
		t.Fatalf("error %v, %+v", err, st)
	}
	if counts, err := c.Received(); err != nil || len(counts) != n || counts[0] != 3 || counts[10] != 1 {
		t.Errorf("error %v, %d counts", err, len(counts))
	}
	r, err := c.Echo("echo {i}", EchoConfig{Match: "echo", InFlight: 2, Duration: 300 * time.Millisecond})
	if err != nil || r.Connections != n || r.Messages == 0 || r.Latency.Count() != uint64(r.Messages) {
		t.Errorf("error %v, result %v", err, r)
	}
	if cpu, err := ReadCPU(c.Pid()); err != nil || cpu.Run <= 0 {
		t.Errorf("error %v, CPU %+v", err, cpu)
	}
	if st, err := c.Close(0, 100, CloseRST, DefaultTimeout); err != nil || st.Ends[EndLocal] != 100 {
		t.Errorf("error %v, %+v", err, st)
	}
	if st, err := c.Close(0, 0, CloseClean, DefaultTimeout); err != nil || st.Closed[1000] != n-100 {
		t.Errorf("error %v, %+v", err, st)
	}
	if events, err := c.Closes(); err != nil || len(events) != n || events[200].Code != 1000 {
		t.Errorf("error %v, %d events", err, len(events))
	}
	if _, err := c.Close(0, 0, "softly", DefaultTimeout); err == nil || !strings.Contains(err.Error(), "unknown kind") {
		t.Errorf("error %v", err)
	}
	for deadline := time.Now().Add(DefaultTimeout); c.Latest().Ended != n; {
		if time.Now().After(deadline) {
			t.Fatalf("latest report %+v", c.Latest())
		}
	}
	c.Kill()
	c.Stop()
	if _, err := c.Stats(); err == nil {
		t.Error("a killed process answered")
	}
}

func TestChildRefusesSpec(t *testing.T) {
	verdict := verdictOf(t, func(tb testing.TB) { StartChild(tb, "", Spec{}) })
	if !strings.Contains(verdict, "needs an address") {
		t.Errorf("verdict %q", verdict)
	}
}

func TestServeCommands(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		code     int
		say      string
	}{
		{"no spec", "what", 2, "read the spec"},
		{"no connections", `{"addrs":["127.0.0.1:1"]}`, 1, "needs addresses"},
		{"no such processor", `{"addrs":["127.0.0.1:1"],"connections":1,"cpus":[1000]}`, 1, "pin to processors"},
		{"end of input", `{"addrs":["127.0.0.1:1"],"connections":1}`, 0, ""},
		{"exit", `{"addrs":["127.0.0.1:1"],"connections":1}` + "\n" + `{"op":"exit"}` + "\nwhat", 0, ""},
		{"no command", `{"addrs":["127.0.0.1:1"],"connections":1}` + "\nwhat", 2, "read a command"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out, log bytes.Buffer
			if code := serveCommands(strings.NewReader(tc.in), &out, &log); code != tc.code || !strings.Contains(log.String(), tc.say) {
				t.Errorf("code %d, said %q", code, log.String())
			}
		})
	}
}

func TestExpand(t *testing.T) {
	for _, tc := range []struct{ text, want string }{
		{"plain", "plain"}, {"u-{i}", "u-207"}, {"{i}{i%100}", "2077"}, {`{"id":{i}}`, `{"id":207}`},
		{"{i%0}", "{i%0}"}, {"{i", "{i"}, {"{in}{i}", "{in}207"}, {"", ""},
	} {
		if got := expand(tc.text, 207); got != tc.want {
			t.Errorf("expand(%q) = %q, want %q", tc.text, got, tc.want)
		}
	}
}

func TestHistogram(t *testing.T) {
	var h Histogram
	for i := range 1000 {
		h.Add(time.Duration(i+1) * time.Microsecond)
	}
	for _, tc := range []struct {
		q    float64
		want time.Duration
	}{{0, time.Microsecond}, {0.5, 500 * time.Microsecond}, {0.99, 990 * time.Microsecond}, {1, 1000 * time.Microsecond}} {
		if got := h.Quantile(tc.q); got < tc.want || got > tc.want+tc.want/25 {
			t.Errorf("quantile %v is %v, want %v", tc.q, got, tc.want)
		}
	}
	if h.Count() != 1000 || h.Mean() != 500500*time.Nanosecond || h.Max() != time.Millisecond {
		t.Errorf("count %d, mean %v, max %v", h.Count(), h.Mean(), h.Max())
	}
	text, err := h.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	var back Histogram
	if err := back.UnmarshalJSON(text); err != nil || back != h {
		t.Errorf("error %v after a round trip", err)
	}
	// Every bucket's bound belongs to it, and the next value to the next bucket.
	for bucket := range allBuckets - 1 {
		bound := uint64(upperBound(bucket))
		if bucketOf(bound) != bucket || bucketOf(bound+1) != bucket+1 {
			t.Fatalf("bucket %d ends at %d, which is in %d", bucket, bound, bucketOf(bound))
		}
	}
}

func TestProc(t *testing.T) {
	// What an earlier test has left may be closed between the two counts, so a wrong answer is asked for again.
	counted := func() bool {
		before, err := OpenFiles(0)
		if err != nil {
			t.Fatal(err)
		}
		f, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		after, err := OpenFiles(os.Getpid())
		return err == nil && after == before+1
	}
	for tries := 0; !counted(); tries++ {
		if tries == 100 {
			t.Fatal("one file more is never counted as one")
		}
		time.Sleep(10 * time.Millisecond)
	}
	m, err := ReadMemory(0)
	if err != nil || m.RSS <= m.RssAnon || m.RssAnon < 1<<20 {
		t.Errorf("error %v, %+v", err, m)
	}
	first, err := ReadCPU(0)
	if err != nil {
		t.Fatal(err)
	}
	for {
		second, err := ReadCPU(os.Getpid())
		if err != nil {
			t.Fatal(err)
		}
		if used := second.Sub(first); used.Run > 30*time.Millisecond && used.User+used.System > 0 {
			break
		}
	}
	if _, err := ReadMemory(1 << 30); err == nil {
		t.Error("memory of a process that does not exist")
	}
	if got := SlopeBytes([]Sample{{1000, 5_000_000}, {2000, 5_500_000}, {3000, 6_000_000}}); got != 500 {
		t.Errorf("slope %v", got)
	}
	if got := SlopeBytes([]Sample{{1000, 5}, {1000, 7}}); got != 0 {
		t.Errorf("slope without two sizes %v", got)
	}
}
