package report

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/roost-ws/roost/bench"
)

// guarded is a report of one figure on our server and, if it has values, on the reference.
func guarded(way bench.Better, ours, reference []bench.Value) *bench.Report {
	r := &bench.Report{
		Machine:  []bench.Fact{{Key: "cpu", Name: "Processor", Value: "fast"}, {Key: "cpus", Value: "2"}, {Key: "kernel", Value: "6.12"}},
		Settings: []bench.Fact{{Key: "connections", Name: "Connections", Value: "9000"}},
		Servers:  []bench.Server{{Name: "roost", Ours: true}, {Name: "ref"}},
		Figures:  []bench.Figure{{ID: "echo", Title: "Echo", Unit: "/s", Better: way}},
	}
	if ours != nil {
		r.Figures[0].Samples = append(r.Figures[0].Samples, bench.Sample{Server: "roost", Values: ours})
	}
	if reference != nil {
		r.Figures[0].Samples = append(r.Figures[0].Samples, bench.Sample{Server: "ref", Values: reference})
	}
	return r
}

func TestChanges(t *testing.T) {
	flat := values(100, 100, 100)
	for _, c := range []struct {
		name      string
		way       bench.Better
		old, new  [2][]bench.Value // ours, reference
		want      Verdict
		worse     float64
		plain     bool
		reference string
	}{
		{name: "nothing changed", way: bench.More, old: [2][]bench.Value{values(200, 210, 190), flat}, new: [2][]bench.Value{values(200, 190, 210), flat}, want: Same},
		{name: "a little worse", way: bench.More, old: [2][]bench.Value{values(200, 200, 200), flat}, new: [2][]bench.Value{values(172, 172, 172), flat}, want: Same, worse: 0.14},
		{name: "less throughput", way: bench.More, old: [2][]bench.Value{values(200, 205, 195), flat}, new: [2][]bench.Value{values(150, 155, 145), flat}, want: Regressed, worse: 0.25},
		{name: "more latency", way: bench.Less, old: [2][]bench.Value{values(200, 205, 195), flat}, new: [2][]bench.Value{values(250, 255, 245), flat}, want: Regressed, worse: 0.25},
		{name: "less latency", way: bench.Less, old: [2][]bench.Value{values(200, 205, 195), flat}, new: [2][]bench.Value{values(100, 105, 95), flat}, want: Improved, worse: -0.5},
		{name: "more throughput", way: bench.More, old: [2][]bench.Value{values(100), flat}, new: [2][]bench.Value{values(300, 310), flat}, want: Noisy, worse: -2.05},
		{name: "ranges touch", way: bench.More, old: [2][]bench.Value{values(200, 205, 150), flat}, new: [2][]bench.Value{values(150, 155, 145), flat}, want: Noisy, worse: 0.25},
		{name: "a bad hour of the machine", way: bench.More, old: [2][]bench.Value{values(200, 205, 195), flat}, new: [2][]bench.Value{values(100, 103, 98), values(50, 51, 50)}, want: Same},
		{name: "a good hour hides nothing", way: bench.More, old: [2][]bench.Value{values(200, 205, 195), flat}, new: [2][]bench.Value{values(200, 205, 195), values(200, 200, 200)}, want: Regressed, worse: 0.5},
		{name: "rounds are paired", way: bench.More, old: [2][]bench.Value{values(200, 100, 50), values(100, 50, 25)}, new: [2][]bench.Value{values(50, 100, 200), values(50, 100, 200)}, want: Regressed, worse: 0.5},
		{name: "a round failed", way: bench.More, old: [2][]bench.Value{values(200, 205, 195), flat}, new: [2][]bench.Value{values(150, 155), flat}, want: Regressed, worse: 0.2375},
		{name: "a round failed, and it is noisy", way: bench.More, old: [2][]bench.Value{values(200, 205, 195), flat}, new: [2][]bench.Value{values(150, 155), values(100, 150, 75)}, want: Noisy, worse: 0.2375},
		{name: "a round failed, none of the other counts", way: bench.More, old: [2][]bench.Value{values(200, 205, 195), flat}, new: [2][]bench.Value{values(200, 200), marked("m", 1, 2, 3)}, want: Same, plain: true},
		{name: "no reference now", way: bench.More, old: [2][]bench.Value{values(200, 205, 195), flat}, new: [2][]bench.Value{values(150, 155, 145), nil}, want: Regressed, worse: 0.25, plain: true},
		{name: "reference all marked", way: bench.More, old: [2][]bench.Value{values(200, 205, 195), flat}, new: [2][]bench.Value{values(198, 199, 197), marked("m", 100, 100, 100)}, want: Same, worse: 0.01, plain: true},
		{name: "no reference asked for", way: bench.More, old: [2][]bench.Value{values(200, 205, 195), flat}, new: [2][]bench.Value{values(150, 155, 145), values(75, 75, 75)}, want: Regressed, worse: 0.25, plain: true, reference: "-"},
		{name: "reference of 0", way: bench.Less, old: [2][]bench.Value{values(200, 205, 195), values(0, 0, 0)}, new: [2][]bench.Value{values(200, 205, 195), flat}, want: Same, plain: true},
		{name: "a marked round is left out", way: bench.More, old: [2][]bench.Value{values(200, 205, 195), flat}, new: [2][]bench.Value{slices.Concat(marked("m", 1), values(200, 195)), flat}, want: Same, worse: 0.0125},
		{name: "from 0 lost to some", way: bench.Less, old: [2][]bench.Value{values(0, 0, 0), flat}, new: [2][]bench.Value{values(3, 4, 5), flat}, want: Regressed, worse: math.Inf(1)},
		{name: "all marked now", way: bench.More, old: [2][]bench.Value{values(200), flat}, new: [2][]bench.Value{marked("3 lost", 300), flat}, want: Unusable},
		{name: "all marked before", way: bench.More, old: [2][]bench.Value{marked("m", 200), flat}, new: [2][]bench.Value{values(300), flat}, want: Unusable},
		{name: "missing", way: bench.More, old: [2][]bench.Value{values(200), flat}, new: [2][]bench.Value{nil, flat}, want: Missing},
		{name: "added", way: bench.More, old: [2][]bench.Value{nil, flat}, new: [2][]bench.Value{values(200), flat}, want: Added},
	} {
		t.Run(c.name, func(t *testing.T) {
			reference := map[string]string{"": "ref", "-": ""}[c.reference]
			changes, err := Changes(guarded(c.way, c.old[0], c.old[1]), guarded(c.way, c.new[0], c.new[1]), reference)
			if err != nil || len(changes) != 1 {
				t.Fatalf("%v, %v", changes, err)
			}
			got := changes[0]
			compared := got.Verdict != Missing && got.Verdict != Added && got.Verdict != Unusable
			if got.Verdict != c.want || math.Abs(got.Worse-c.worse) > 1e-3 || compared && (got.Reference == "") != c.plain {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestChangesLeaveOutAndFind(t *testing.T) {
	old, new := guarded(bench.More, values(1, 1), nil), guarded(bench.More, values(1, 1), nil)
	old.Figures[0].ID = "gone"
	changes, err := Changes(old, new, "")
	if err != nil || len(changes) != 2 || changes[0].Verdict != Added || changes[1].Verdict != Missing || changes[1].Figure != "gone" {
		t.Errorf("%+v, %v", changes, err)
	}
	new = guarded(bench.Less, values(1, 1), nil)
	changes, err = Changes(guarded(bench.More, values(1, 1), nil), new, "")
	if err != nil || len(changes) != 1 || changes[0].Verdict != Unusable || !strings.Contains(changes[0].Note, "less is better") {
		t.Errorf("%+v, %v", changes, err)
	}
	changes, err = Changes(guarded(bench.More, nil, values(1)), guarded(bench.More, nil, values(1)), "")
	if err != nil || len(changes) != 0 {
		t.Errorf("a figure that was never ours: %+v, %v", changes, err)
	}
}

func TestChangesRefuse(t *testing.T) {
	for _, c := range []struct {
		name      string
		reference string
		change    func(r *bench.Report)
		want      string
		mismatch  bool
	}{
		{"another processor", "ref", func(r *bench.Report) { r.Machine[0].Value = "slow" }, `reports of another machine: Processor was "fast" and is "slow"`, true},
		{"fewer processors", "ref", func(r *bench.Report) { r.Machine[1].Value = "1" }, "another machine: ", true},
		{"another kernel", "ref", func(r *bench.Report) { r.Machine[2].Value = "6.13" }, "another machine: ", true},
		{"kernel not said", "ref", func(r *bench.Report) { r.Machine = r.Machine[:2] }, `"6.12" and is nothing`, true},
		{"other settings", "ref", func(r *bench.Report) { r.Settings[0].Value = "10" }, `reports of another work: Connections was "9000" and is "10"`, true},
		{"a setting more", "ref", func(r *bench.Report) {
			r.Settings = append(r.Settings, bench.Fact{Key: "payload", Name: "Payload", Value: "1"})
		}, `Payload was nothing`, true},
		{"ours as reference", "roost", func(*bench.Report) {}, "our own", false},
		{"nobody of ours", "ref", func(r *bench.Report) { r.Servers[0].Ours = false }, "in common", false},
		{"contradiction", "ref", func(r *bench.Report) { r.Figures[0].Better = "" }, "new report: figures[0].better", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			new := guarded(bench.More, values(1), nil)
			c.change(new)
			_, err := Changes(guarded(bench.More, values(1), nil), new, c.reference)
			var mismatch *MismatchError
			if err == nil || !strings.Contains(err.Error(), c.want) || errors.As(err, &mismatch) != c.mismatch {
				t.Errorf("%v", err)
			}
		})
	}
	bare := guarded(bench.More, values(1), nil)
	bare.Machine = nil
	if err := SameMachine(bare, bare); err == nil {
		t.Error("machines that nothing is known about are the same")
	}
}

func TestChangeInWords(t *testing.T) {
	for _, c := range []struct {
		change       Change
		moved, basis string
	}{
		{Change{Verdict: Regressed, Worse: 0.25}, "25 % worse", "plain value"},
		{Change{Verdict: Improved, Worse: -0.4, Reference: "ref"}, "40 % better", "multiple of ref"},
		{Change{Verdict: Same}, "none", "plain value"},
		{Change{Verdict: Regressed, Worse: math.Inf(1)}, "worse than 0", "plain value"},
		{Change{Verdict: Improved, Worse: math.Inf(-1)}, "better than 0", "plain value"},
		{Change{Verdict: Unusable, Note: "now: 3 lost"}, "-", "now: 3 lost"},
		{Change{Verdict: Missing}, "-", "-"},
	} {
		if moved, basis := c.change.moved(), c.change.basis(); moved != c.moved || basis != c.basis {
			t.Errorf("%+v: %q, %q", c.change, moved, basis)
		}
	}
}

func TestWriteChanges(t *testing.T) {
	old, new := sample(), sample()
	for _, s := range new.Figures[0].Samples[:1] {
		for i := range s.Values {
			s.Values[i].Value *= 1.5
		}
	}
	new.Figures[3].ID = "handshakes-2"
	new.Figures[7].Samples[1].Values = nil
	new.Figures[11].Title = "Storm\x1b[2J\u202e"
	changes, err := Changes(old, new, "goroutine")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := WriteChanges(&out, changes); err != nil {
		t.Fatal(err)
	}
	golden(t, "changes.txt", out.String())
	if strings.ContainsAny(out.String(), "\x1b\u202e") {
		t.Error("control characters reach the terminal")
	}
}
