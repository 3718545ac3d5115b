package reactor

import (
	"bytes"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

const testSetup = `{"target":{"addresses":["127.0.0.1:1"],"path":"/","payload_bytes":60},"workers":1,"timeout_ns":1000000000}` + "\n"

func TestServe(t *testing.T) {
	for _, tc := range []struct {
		name, in string
		want     []string // errors of the answers in order, "" for none
		fails    bool
	}{
		{"end at once", testSetup, []string{""}, false},
		{"no setup", "", []string{"read the setup"}, true},
		{"no JSON", "what", []string{"read the setup"}, true},
		{"no workers", strings.Replace(testSetup, `"workers":1,`, "", 1), []string{"worker 0 of 0"}, true},
		{"bad target", strings.Replace(testSetup, `"/"`, `""`, 1), []string{"target"}, true},
		{"bad sources", strings.Replace(testSetup, `"path"`, `"sources":"127","path"`, 1), []string{"sources"}, true},
		{"bad profile", strings.Replace(testSetup, `"workers"`, `"profile":{},"workers"`, 1), []string{"kinds"}, true},
		{"no such task", testSetup + `{"id":1,"do":"dance"}` + "\n", []string{"", "dance"}, false},
		{"no task", testSetup + "what", []string{"", "read a task"}, true},
		{"echo of nothing", testSetup + `{"id":1,"do":"echo","run":1}`, []string{"", "in flight"}, false},
		{"echo without a run", testSetup + `{"id":1,"do":"echo","in_flight":1}`, []string{"", "run"}, false},
		{"fan-out of nothing", testSetup + `{"id":1,"do":"fanout","run":1}`, []string{"", "publications"}, false},
		{"fan-out to nobody", testSetup + `{"id":1,"do":"fanout","run":1,"per_second":1}`, []string{"", "no connection"}, false},
		{"fan-out without end", testSetup + `{"id":1,"do":"fanout","run":1,"per_second":1e6,"until":100000000000}`, []string{"", "the most"}, false},
		{"mix of nothing", testSetup + `{"id":1,"do":"mix","run":1}`, []string{"", "profile"}, false},
		{"two at once", testSetup + `{"id":1,"do":"idle","until":9000000000000000000} {"id":2,"do":"idle"}`, []string{"", "not done"}, false},
		{"stopped", testSetup + `{"id":1,"do":"idle","until":9000000000000000000} {"do":"stop"} {"do":"stop"}`, []string{"", ""}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := Serve(strings.NewReader(tc.in), &out); (err != nil) != tc.fails {
				t.Errorf("error %v", err)
			}
			var got []string
			for lines := json.NewDecoder(&out); ; {
				var a Answer
				if err := lines.Decode(&a); err == io.EOF {
					break
				} else if err != nil {
					t.Fatal(err)
				}
				if a.State == nil {
					got = append(got, a.Error)
				}
			}
			if !slices.EqualFunc(got, tc.want, func(got, want string) bool { return (got == "") == (want == "") && strings.Contains(got, want) }) {
				t.Errorf("answers %q, want %q", got, tc.want)
			}
		})
	}
}

func TestWire(t *testing.T) {
	d := NewDelays()
	for i := range 1000 {
		d.Record(time.Duration(i+1) * time.Millisecond)
	}
	d.record(-5)               // two readings of the clock can be that way round
	d.record(int64(time.Hour)) // longer than the histogram
	r := Result{Delay: d, Arrivals: Arrivals{{1, 2}, {0, 0}, {1 << 31, time.Hour}}, Failures: map[string]int{"reset": 1}}
	text, err := json.Marshal(&r)
	if err != nil {
		t.Fatal(err)
	}
	var back Result
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(back.Arrivals, r.Arrivals) || back.Delay.Summary() != d.Summary() || back.SendDelay != nil {
		t.Errorf("%+v came back as %+v", r, back)
	}
	s := d.Summary()
	if s.Count != 1002 || s.P50 < 499*time.Millisecond || s.P50 > 502*time.Millisecond || s.Max < 10*time.Minute || s.Max > 11*time.Minute {
		t.Errorf("%+v", s)
	}
	if s := NewDelays().Summary(); s.Count != 0 || s.Max != 0 {
		t.Errorf("of nothing: %+v", s)
	}
	var none *Delays
	if s := none.Summary(); s.Count != 0 {
		t.Errorf("of none: %+v", s)
	}
	for _, bad := range []string{`{"delay":"x"}`, `{"delay":1}`, `{"arrivals":"AAAA"}`, `{"arrivals":1}`} {
		if json.Unmarshal([]byte(bad), new(Result)) == nil {
			t.Errorf("%s was taken", bad)
		}
	}
}

func TestPool(t *testing.T) {
	var p pool
	for _, n := range []int{0, 1, 2, 63, 64, 65, 4096, 1 << 16, 1<<16 + 1, 1 << 20} {
		b := p.Get(n)
		if len(b) != 0 || cap(b) < n {
			t.Fatalf("asked for %d, have %d of %d", n, len(b), cap(b))
		}
		b = append(b, make([]byte, n)...)
		grown := p.Grow(b, 100)
		if len(grown) != n || cap(grown) < n+100 {
			t.Fatalf("grown by 100 from %d, have %d of %d", n, len(grown), cap(grown))
		}
		p.Put(grown)
	}
	p.Put(nil)
	b := p.Get(1000)
	p.Put(b)
	if again := p.Get(600); &again[:1][0] != &b[:1][0] {
		t.Error("a free buffer was not used again")
	}
}
