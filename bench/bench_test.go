package bench

import (
	"strings"
	"testing"
	"time"
)

func TestTargetValidate(t *testing.T) {
	good := Target{Addresses: []string{"127.0.0.1:80", "[::1]:80"}, Path: "/raw/{room}", PayloadBytes: MinPayload,
		Sources: "127.0.0.0/8", Headers: []string{"Authorization: Bearer {token}"}, Message: `{"data":"{payload}"}`}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		edit func(*Target)
		want string
	}{
		{"nowhere", func(t *Target) { t.Addresses = nil }, "no address"},
		{"a name", func(t *Target) { t.Addresses = []string{"localhost:80"} }, `"localhost:80" is not a literal IP`},
		{"no port", func(t *Target) { t.Addresses = []string{"127.0.0.1"} }, "is not a literal IP and a port"},
		{"bad sources", func(t *Target) { t.Sources = "everywhere" }, `sources "everywhere"`},
		{"bad path", func(t *Target) { t.Path = "raw" }, "does not begin with /"},
		{"header without a name", func(t *Target) { t.Headers = []string{": x"} }, "Name: value"},
		{"header of two lines", func(t *Target) { t.Headers = []string{"A: b\r\nC: d"} }, "Name: value"},
		{"short payload", func(t *Target) { t.PayloadBytes = MinPayload - 1 }, "no room for its stamp"},
		{"message without payload", func(t *Target) { t.Message = "{}" }, "lacks {payload}"},
	} {
		bad := good
		c.edit(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.name, err, c.want)
		}
	}
}

func TestSampleRange(t *testing.T) {
	for _, c := range []struct {
		name                    string
		values                  []Value
		median, least, greatest float64
		ok                      bool
	}{
		{name: "none"},
		{name: "all marked", values: []Value{{Value: 1, Mark: "client saturated"}}},
		{name: "one", values: []Value{{Value: 3}}, median: 3, least: 3, greatest: 3, ok: true},
		{name: "odd", values: []Value{{Value: 3}, {Value: 1}, {Value: 2}}, median: 2, least: 1, greatest: 3, ok: true},
		{name: "even", values: []Value{{Value: 4}, {Value: 1}, {Value: 2}, {Value: 3}}, median: 2.5, least: 1, greatest: 4, ok: true},
		{name: "one marked", values: []Value{{Value: 9, Mark: "lost"}, {Value: 1}}, median: 1, least: 1, greatest: 1, ok: true},
	} {
		s := Sample{Values: c.values}
		if median, least, greatest, ok := s.Range(); median != c.median || least != c.least || greatest != c.greatest || ok != c.ok {
			t.Errorf("%s: %v %v %v %v", c.name, median, least, greatest, ok)
		}
	}
	f := Figure{Samples: []Sample{{Server: "a"}}}
	if f.Of("a") == nil || f.Of("b") != nil {
		t.Error("a figure finds the wrong sample")
	}
}

func TestClientShare(t *testing.T) {
	r := Run{ClientCPU: time.Second, ClientCPUs: 2, Measured: time.Second}
	if share := r.ClientShare(); share != 0.5 {
		t.Errorf("share %v", share)
	}
	if share := (&Run{}).ClientShare(); share != 0 {
		t.Errorf("share of nothing %v", share)
	}
}
