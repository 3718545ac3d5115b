package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/roost-ws/roost/bench"
)

// values are the values of rounds that count.
func values(of ...float64) []bench.Value {
	var out []bench.Value
	for _, v := range of {
		out = append(out, bench.Value{Value: v})
	}
	return out
}

// marked are the values of rounds that don't.
func marked(mark string, of ...float64) []bench.Value {
	out := values(of...)
	for i := range out {
		out[i].Mark = mark
	}
	return out
}

func TestCell(t *testing.T) {
	for _, c := range []struct {
		name                     string
		values                   []bench.Value
		text, spread, note, seen string
		counts                   bool
	}{
		{"three rounds", values(531, 529, 534), "531 B", "529 to 534", "", "", true},
		{"two rounds are halved", values(500, 600), "550 B", "500 to 600", "", "", true},
		{"one round has no range", values(531), "531 B", "", "", "", true},
		{"the range has the unit of the median", values(4096, 512, 1<<20), "4 KiB", "0.5 to 1024", "", "", true},
		{"none", nil, "0 B", "", "", "", false},
		{"one marked", slices.Concat(values(1, 3), marked("3 lost", 99)), "2 B", "1 to 3", "1 of 3 rounds not used: 3 lost", "3 lost", true},
		{"all marked", marked("client saturated", 1, 2, 3), "0 B", "", "3 of 3 rounds not used: client saturated", "client saturated", false},
		{"marks once each", slices.Concat(marked("a", 1), marked("b", 2), marked("a", 3)), "0 B", "", "3 of 3 rounds not used: a; b", "a; b", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := newCell(column{}, c.values, "B")
			if got.Text() != c.text || got.Range() != c.spread || got.Note() != c.note || got.Marks() != c.seen || got.Counts() != c.counts {
				t.Errorf("%q, %q, %q, %q, %v", got.Text(), got.Range(), got.Note(), got.Marks(), got.Counts())
			}
		})
	}
}

func TestLimiter(t *testing.T) {
	for _, c := range []struct {
		client, server float64
		want           string
	}{
		{0, 0, ""}, {0.5, 0.5, "neither"}, {0.95, 0.5, "client"}, {0.5, 0.9, "server"}, {0.95, 1, "both"}, {0, 0.95, "server"},
	} {
		v := bench.Value{ClientShare: c.client, ServerShare: c.server, Mark: "shares of marked rounds count"}
		if got := newCell(column{}, []bench.Value{v, v, {}}, "").Limiter(); got.Who != c.want {
			t.Errorf("client %v, server %v: %q, want %q", c.client, c.server, got.Who, c.want)
		}
	}
}

func TestVerdict(t *testing.T) {
	saturated := marked("client saturated", 900, 901)
	for _, c := range []struct {
		name   string
		way    bench.Better
		ours   []bench.Value
		others [][]bench.Value
		want   string
		best   []int
	}{
		{"less, and it is", bench.Less, values(9, 10, 11), [][]bench.Value{values(50, 50, 50), values(20, 20, 21)}, "2 × better", []int{0}},
		{"less, and it isn't", bench.Less, values(30, 30, 30), [][]bench.Value{values(50, 50, 50), values(20, 20, 21)}, "1.5 × worse", []int{2}},
		{"more, and it is", bench.More, values(30, 30, 30), [][]bench.Value{values(10, 10, 10), values(20, 20, 21)}, "1.5 × better", []int{0}},
		{"more, and it isn't", bench.More, values(10, 10, 10), [][]bench.Value{values(20, 20, 20)}, "2 × worse", []int{1}},
		{"ranges touch", bench.More, values(10, 12, 20), [][]bench.Value{values(20, 24, 30)}, "level (2 ×)", []int{1}},
		{"equal", bench.More, values(10), [][]bench.Value{values(10)}, "level (1 ×)", []int{0, 1}},
		{"nothing lost by us", bench.Less, values(0, 0), [][]bench.Value{values(5, 6)}, "better", []int{0}},
		{"something lost by us", bench.Less, values(5, 6), [][]bench.Value{values(0, 0)}, "worse", []int{1}},
		{"ours all marked", bench.More, saturated, [][]bench.Value{values(10), values(11)}, "–", []int{2}},
		{"the best other marked", bench.More, values(30), [][]bench.Value{saturated, values(10)}, "3 × better", []int{0}},
		{"all others marked", bench.More, values(30), [][]bench.Value{saturated}, "–", nil},
		{"nobody else", bench.More, values(30), [][]bench.Value{nil}, "–", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			cells := []cell{newCell(column{Server: bench.Server{Name: "us", Ours: true}}, c.ours, "")}
			for _, v := range c.others {
				cells = append(cells, newCell(column{}, v, ""))
			}
			markBest(cells, c.way)
			var best []int
			for i := range cells {
				if cells[i].Best {
					best = append(best, i)
				}
			}
			if got := judge(cells, c.way).Text(); got != c.want || !slices.Equal(best, c.best) {
				t.Errorf("%q, best %v; want %q, %v", got, best, c.want, c.best)
			}
		})
	}
}

func TestLasted(t *testing.T) {
	for took, want := range map[time.Duration]string{
		0: "0 s", 40 * time.Second: "40 s", 47*time.Minute + 31*time.Second: "48 min", 3*time.Hour + 59*time.Minute + 40*time.Second: "4 h 0 min",
	} {
		v := view{Report: &bench.Report{Took: took}}
		if got := v.Lasted(); got != want {
			t.Errorf("%v: %q, want %q", took, got, want)
		}
	}
}

func TestOursComesFirstInColours(t *testing.T) {
	columns := columnsOf([]bench.Server{{Name: "a"}, {Name: "b", Ours: true}, {Name: "c"}})
	if columns[0].Color != 1 || columns[1].Color != 0 || columns[2].Color != 2 {
		t.Errorf("%+v", columns)
	}
}

func TestChart(t *testing.T) {
	r := &bench.Report{Servers: []bench.Server{{Name: "a"}, {Name: "b"}, {Name: "idle"}}, Curves: []bench.Curve{{
		ID: "c", LogX: true, LogY: true, XUnit: "/s", YUnit: "ms", Lines: []bench.Line{
			{Server: "b", Points: []bench.Point{{X: 10, Values: values(5)}, {X: 10, Values: values(7)}, {X: 0, Values: values(1)}}},
			{Server: "a", Points: []bench.Point{{X: 20, Values: marked("late", 30, 40)}, {X: 5, Values: values(0)}}},
		},
	}}}
	v, err := newView(r)
	if err != nil {
		t.Fatal(err)
	}
	c := v.Groups[0].Curves[0]
	if len(c.Columns) != 2 || len(c.Steps) != 4 {
		t.Fatalf("%d columns, %d steps", len(c.Columns), len(c.Steps))
	}
	text := func(list []*float64) string {
		var out []string
		for _, v := range list {
			if v == nil {
				out = append(out, "-")
			} else {
				out = append(out, fmt.Sprint(*v))
			}
		}
		return strings.Join(out, " ")
	}
	a, b := c.Chart.Lines[0], c.Chart.Lines[1]
	for _, line := range []struct{ name, got, want string }{
		{"x without what a logarithm has no place for", fmt.Sprint(c.Chart.X), "[5 10 20]"},
		{"a, whose 0 has no place either", text(a.Y), "- - -"},
		{"where a broke", text(a.Broke), "- - 35"},
		{"why", strings.Join(a.Marks, ","), ",,late"},
		{"b, two visits in one", text(b.Y), "- 6 -"},
		{"b's range", text(b.Low) + ", " + text(b.High), "- 5 -, - 7 -"},
	} {
		if line.got != line.want {
			t.Errorf("%s: %q, want %q", line.name, line.got, line.want)
		}
	}
	if v.Values != 6 || v.Unused != 2 {
		t.Errorf("%d values, %d unused", v.Values, v.Unused)
	}
}

func TestBars(t *testing.T) {
	for _, c := range []struct {
		name   string
		cells  [][]bench.Value
		length string
		strays int
	}{
		{"the greatest value is the end", [][]bench.Value{values(25, 25), values(50, 100, 50)}, "24.75%", 0},
		{"an unused value stretches a little", [][]bench.Value{slices.Concat(values(60), marked("m", 120)), values(100)}, "49.50%", 1},
		{"but not much", [][]bench.Value{slices.Concat(values(50), marked("m", 9000)), values(100)}, "49.50%", 0},
		{"unless there is no other", [][]bench.Value{marked("m", 50, 100)}, "0.00%", 2},
		{"all zero", [][]bench.Value{values(0), values(0)}, "0.00%", 0},
		{"less than zero", [][]bench.Value{values(-5), values(5)}, "0.00%", 0},
		{"not a number", [][]bench.Value{readableValues(values(math.NaN(), 50)), values(100)}, "49.50%", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			var r row
			for _, v := range c.cells {
				r.Cells = append(r.Cells, newCell(column{}, v, ""))
			}
			if b := r.Bars()[0]; b.Length != c.length || len(b.Strays) != c.strays {
				t.Errorf("%s long, strays %v", b.Length, b.Strays)
			}
		})
	}
}
