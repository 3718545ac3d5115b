package reactor

import (
	"testing"

	"github.com/roost-ws/roost/bench"
)

func TestTemplates(t *testing.T) {
	n := newNames(&bench.Target{Rooms: 10, Tokens: []string{"a.b", "c.d"}}, nil, 0)
	for _, tc := range []struct{ text, want string }{
		{"", ""},
		{"/ws", "/ws"},
		{"/raw/echo-{i}", "/raw/echo-23"},
		{"{i}", "23"},
		{"{room}", "r3"},
		{"token.{token}", "token.c.d"},
		{"{i}{i}{room}-", "2323r3-"},
		{`{"type":"publish","room":"{room}","data":"{payload}"}`, `{"type":"publish","room":"r3","data":"PAY"}`},
		{"{I} {} {i {", "{I} {} {i {"},
		{"{{i}}", "{23}"},
	} {
		if got := string(n.expand(nil, parseTemplate(tc.text), 23, []byte("PAY"))); got != tc.want {
			t.Errorf("%q is %q, want %q", tc.text, got, tc.want)
		}
	}
	for _, tc := range []struct {
		rooms, i int
		want     string
	}{{0, 0, "r0"}, {0, 77, "r77"}, {1, 77, "r0"}, {7, 77, "r0"}, {7, 78, "r1"}} {
		n := newNames(&bench.Target{Rooms: tc.rooms}, nil, 0)
		if got := string(n.appendRoom(nil, tc.i)); got != tc.want {
			t.Errorf("connection %d of %d rooms is in %s, want %s", tc.i, tc.rooms, got, tc.want)
		}
	}
	if n := newNames(&bench.Target{}, nil, 0); string(n.expand(nil, parseTemplate("{token}"), 1, nil)) != "" || n.used {
		t.Error("a token out of nowhere, or a room")
	}
	if n := newNames(&bench.Target{First: []string{"join {room}"}}, nil, 0); !n.used {
		t.Error("a room in a first message was overlooked")
	}
}

func TestProfileRooms(t *testing.T) {
	p := &Profile{Kinds: []Kind{{Name: "k", Share: 1}}, Rooms: []RoomSize{{Members: 100, Share: 3}, {Members: 2, Share: 1}}}
	n := newNames(&bench.Target{Rooms: 5}, p, 1000)
	sizes := map[string]int{}
	for i := range 1000 {
		sizes[string(n.appendRoom(nil, i))]++
	}
	large, small := 0, 0
	for name, size := range sizes {
		switch {
		case name[:2] == "s1" && size <= 100:
			large += size
		case name[:2] == "s2" && size <= 2:
			small += size
		default:
			t.Errorf("room %s has %d members", name, size)
		}
	}
	if large != 750 || small != 250 || len(sizes) != 8+125 {
		t.Errorf("%d connections in large rooms, %d in small ones, %d rooms", large, small, len(sizes))
	}
}

func TestProfileKinds(t *testing.T) {
	p := &Profile{Kinds: []Kind{{Name: "idle", Share: 90}, {Name: "chatty", Share: 9}, {Name: "slow", Share: 1}}}
	for _, n := range []int{100, 1000, 12345} {
		counts := make([]int, 3)
		for i := range n {
			counts[p.kindOf(i)]++
		}
		for k, percent := range []int{90, 9, 1} {
			if want := n * percent / 100; counts[k] < want-3 || counts[k] > want+3 {
				t.Errorf("%d connections: %v of each kind", n, counts)
			}
		}
	}
}

func TestProfileValidate(t *testing.T) {
	good := Profile{Name: "p", Kinds: []Kind{{Name: "a", Share: 1, Rate: 2, ReadBytes: 3, ReceiveBuffer: 4}}, Rooms: []RoomSize{{2, 1}}}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, breakIt := range map[string]func(*Profile){
		"no kinds":       func(p *Profile) { p.Kinds = nil },
		"too many kinds": func(p *Profile) { p.Kinds = make([]Kind, mostKinds+1) },
		"no name":        func(p *Profile) { p.Kinds[0].Name = "" },
		"same name":      func(p *Profile) { p.Kinds = append(p.Kinds, p.Kinds[0]) },
		"no share":       func(p *Profile) { p.Kinds[0].Share = 0 },
		"rate below 0":   func(p *Profile) { p.Kinds[0].Rate = -1 },
		"bytes below 0":  func(p *Profile) { p.Kinds[0].ReadBytes = -1 },
		"empty rooms":    func(p *Profile) { p.Rooms[0].Members = 0 },
		"room of nobody": func(p *Profile) { p.Rooms[0].Share = 0 },
	} {
		bad := good
		bad.Kinds, bad.Rooms = append([]Kind(nil), good.Kinds...), append([]RoomSize(nil), good.Rooms...)
		if breakIt(&bad); bad.Validate() == nil {
			t.Errorf("%s: valid", name)
		}
	}
}
