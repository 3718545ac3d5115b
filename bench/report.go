package bench

import (
	"slices"
	"time"
)

// Report is what a comparison of servers came to.
type Report struct {
	Title    string        `json:"title"`
	Command  string        `json:"command"` // what was typed, so that a reader can repeat it
	Started  time.Time     `json:"started"`
	Took     time.Duration `json:"took_ns"`
	Rounds   int           `json:"rounds"`
	Machine  []Fact        `json:"machine"`  // processor, memory, kernel and its settings, versions
	Settings []Fact        `json:"settings"` // what was asked of every server alike
	Servers  []Server      `json:"servers"`
	Figures  []Figure      `json:"figures"`
	Curves   []Curve       `json:"curves"`
	Remarks  []string      `json:"remarks,omitempty"`
}

// Fact is one line about a machine or a setting. Key is for programs, Name for readers.
type Fact struct {
	Key   string `json:"key"`
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Server is one of those that were compared.
type Server struct {
	Name    string `json:"name"` // short: "roost", "gorilla"
	About   string `json:"about"`
	Version string `json:"version,omitempty"`
	Command string `json:"command"`
	Ours    bool   `json:"ours,omitempty"`
}

// Better says which way a figure is good.
type Better string

// The two ways.
const (
	More Better = "more"
	Less Better = "less"
)

// Figure is one quantity, measured on each server in each round.
type Figure struct {
	ID      string   `json:"id"` // stable, for comparing reports: "echo-1"
	Title   string   `json:"title"`
	Group   string   `json:"group"`   // heading it stands under
	Unit    string   `json:"unit"`    // "B", "ms", "/CPU s", ...
	Explain string   `json:"explain"` // what it means, in a sentence or two for a reader who never saw the project
	Better  Better   `json:"better"`
	Samples []Sample `json:"samples"` // one for each server that it was measured on
}

// Sample is a figure's values on one server, one a round.
type Sample struct {
	Server string  `json:"server"`
	Values []Value `json:"values"`
}

// Value is one measurement and what disqualifies it, if something does.
type Value struct {
	Value float64 `json:"value"`
	// ClientShare and ServerShare are the parts of its processors that each side used, 0 to 1.
	ClientShare float64 `json:"client_share,omitempty"`
	ServerShare float64 `json:"server_share,omitempty"`
	// Mark is why the value is not used, such as "client saturated" or "3 lost"; empty if it is.
	Mark string `json:"mark,omitempty"`
}

// Range is the median, the least and the greatest of the values that are not marked. ok is false if all are.
func (s *Sample) Range() (median, least, greatest float64, ok bool) {
	var values []float64
	for _, v := range s.Values {
		if v.Mark == "" {
			values = append(values, v.Value)
		}
	}
	if len(values) == 0 {
		return 0, 0, 0, false
	}
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2, values[0], values[n-1], true
}

// Of is the figure's sample on one server, nil if it was not measured there.
func (f *Figure) Of(server string) *Sample {
	for i := range f.Samples {
		if f.Samples[i].Server == server {
			return &f.Samples[i]
		}
	}
	return nil
}

// Curve is a quantity measured at rising values of another: latency over rate.
type Curve struct {
	ID      string  `json:"id"`
	Title   string  `json:"title"`
	Group   string  `json:"group"`
	Explain string  `json:"explain"`
	XName   string  `json:"x_name"`
	XUnit   string  `json:"x_unit"`
	YName   string  `json:"y_name"`
	YUnit   string  `json:"y_unit"`
	LogX    bool    `json:"log_x,omitempty"`
	LogY    bool    `json:"log_y,omitempty"`
	Limit   float64 `json:"limit,omitempty"` // a line to stay below, 0 for none
	Lines   []Line  `json:"lines"`
}

// Line is one server's course.
type Line struct {
	Server string  `json:"server"`
	Points []Point `json:"points"`
}

// Point is one place on it: the Y values of the rounds in which it was reached.
type Point struct {
	X      float64 `json:"x"`
	Values []Value `json:"values"`
}
