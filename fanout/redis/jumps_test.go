package redis

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/roost-ws/roost/fanout"
)

func TestParseJumps(t *testing.T) {
	for _, c := range []struct {
		text string
		want jumps
		bad  bool
	}{
		{text: ""},
		{text: "0:1024,", want: jumps{{0, 1024}}},
		{text: "7:1024,1030:4096,", want: jumps{{7, 1024}, {1030, 4096}}},
		{text: "7:1024", bad: true},
		{text: "7,", bad: true},
		{text: "1024:7,", bad: true},
		{text: "x:7,", bad: true},
		{text: "7:99999999999999999999,", bad: true},
		{text: ",", bad: true},
	} {
		got, ok := parseJumps(c.text)
		if ok == c.bad || !c.bad && !slices.Equal(got, c.want) {
			t.Errorf("%q is read as %v, %v", c.text, got, ok)
		}
	}
}

// The stream was at 5 when it jumped to 100, of which 4 and 5 were lost, and at 103 when it jumped to 200.
func TestPageBehindJumps(t *testing.T) {
	list := jumps{{3, 100}, {103, 200}}
	restored := map[uint64][]uint64{101: {4}, 102: {5}}
	for _, c := range []struct {
		name              string
		since, at         uint64
		read, want        []uint64
		follows, complete bool
	}{
		{"all of it", 0, 202, []uint64{1, 2, 3, 101, 102, 103, 201, 202}, []uint64{1, 2, 3, 101, 102, 103, 201, 202}, true, true},
		{"cut off by a limit", 0, 202, []uint64{1, 2, 3, 101}, []uint64{1, 2, 3, 101}, true, false},
		{"where it jumped", 3, 202, []uint64{101, 102, 103, 201, 202}, []uint64{101, 102, 103, 201, 202}, true, true},
		{"heard one that was lost", 4, 202, []uint64{101, 102, 103, 201, 202}, []uint64{102, 103, 201, 202}, true, true},
		{"heard both that were lost", 5, 202, []uint64{101, 102, 103, 201, 202}, []uint64{103, 201, 202}, true, true},
		{"behind the first jump", 101, 202, []uint64{102, 103, 201, 202}, []uint64{102, 103, 201, 202}, true, true},
		{"nothing behind the last jump yet", 103, 200, nil, nil, true, true},
		{"at the base", 200, 200, nil, nil, true, true},
		{"up to date", 202, 202, nil, nil, true, true},
		{"trimmed", 0, 202, []uint64{3, 101, 102, 103, 201, 202}, []uint64{3, 101, 102, 103, 201, 202}, false, false},
		{"trimmed at a jump", 3, 202, []uint64{102, 103, 201, 202}, []uint64{102, 103, 201, 202}, false, false},
		{"a hole", 0, 202, []uint64{1, 3, 101, 102, 103, 201, 202}, []uint64{1, 3, 101, 102, 103, 201, 202}, true, false},
		{"trimmed whole", 101, 202, nil, nil, false, false},
		{"of the future", 300, 202, nil, nil, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			page := fanout.Page{Position: fanout.Position{Epoch: "e", Offset: c.at}}
			for _, offset := range c.read {
				page.Publications = append(page.Publications,
					fanout.Publication{Position: fanout.Position{Epoch: "e", Offset: offset}, Was: restored[offset]})
			}
			list.complete(&page, c.since)
			var got []uint64
			for _, p := range page.Publications {
				got = append(got, p.Position.Offset)
			}
			if !slices.Equal(got, c.want) || page.Follows != c.follows || page.Complete != c.complete {
				t.Errorf("%v, follows %v, complete %v; want %v, %v, %v", got, page.Follows, page.Complete, c.want, c.follows, c.complete)
			}
		})
	}
}

// The news that one is lost for good breaks a page for those who had not heard it.
func TestPageWithALoss(t *testing.T) {
	list := jumps{{3, 100}}
	for _, c := range []struct {
		since uint64
		whole bool
	}{{3, false}, {4, true}, {101, true}} {
		page := fanout.Page{Position: fanout.Position{Epoch: "e", Offset: 102}}
		for _, p := range []fanout.Publication{{Kind: fanout.Missed, Was: []uint64{4}}, {}} {
			p.Position = fanout.Position{Epoch: "e", Offset: 101 + uint64(len(page.Publications))}
			page.Publications = append(page.Publications, p)
		}
		page.Publications = slices.DeleteFunc(page.Publications, func(p fanout.Publication) bool { return p.Position.Offset <= c.since })
		if list.complete(&page, c.since); page.Complete != c.whole || page.Follows != c.whole {
			t.Errorf("since %d it is complete %v, follows %v; want %v", c.since, page.Complete, page.Follows, c.whole)
		}
	}
}

// What is kept to be restored is bounded in bytes and, while its server can be reached, in time.
func TestRecentIsBounded(t *testing.T) {
	start := time.Now()
	down := false
	up := func(int) bool { return !down }
	add := func(r *recent, after time.Duration, bytes int) {
		r.add(acknowledged{outgoing: outgoing{room: "a", envelope: string(make([]byte, bytes)), kept: fanout.Retention{TTL: time.Hour}}, run: "old", at: start.Add(after)}, up)
	}
	for _, c := range []struct {
		name    string
		down    bool
		every   time.Duration
		bytes   int
		atLeast int
		most    int
	}{
		{"young", false, time.Millisecond, 100, 1000, 1000},
		{"old", false, time.Second, 100, 15, 16},
		{"old, and its server is away", true, time.Second, 100, 1000, 1000},
		{"large", false, time.Millisecond, 100 << 10, 39, 41},
		{"large, and its server is away", true, time.Millisecond, 100 << 10, 39, 41},
	} {
		var r recent
		down = c.down
		for i := range 1000 {
			add(&r, time.Duration(i)*c.every, c.bytes)
		}
		if n := len(r.list); n < c.atLeast || n > c.most || r.bytes > restoreBytes {
			t.Errorf("%s: %d are kept, %d bytes; want %d to %d", c.name, n, r.bytes, c.atLeast, c.most)
		}
		taken := r.take("old", func(int) bool { return true })
		if len(taken) != 0 {
			t.Errorf("%s: %d are taken for the server that has them", c.name, len(taken))
		}
		taken = r.take("new", func(int) bool { return true })
		if len(taken) < c.atLeast || len(r.list) != 0 || r.bytes != 0 || len(r.forgotten) != 0 {
			t.Errorf("%s: %d are taken, %d left, %d bytes", c.name, len(taken), len(r.list), r.bytes)
		}
		if c.atLeast < 1000 && (taken[0].envelope != missedEnvelope || taken[1].envelope == missedEnvelope) {
			t.Errorf("%s: what is taken does not begin with one that was forgotten", c.name)
		}
	}
}

// Of what was forgotten the last place is remembered, in so many rooms.
func TestRecentRemembersRooms(t *testing.T) {
	var r recent
	for i := range 3 * forgottenRooms {
		r.forget(acknowledged{outgoing: outgoing{room: strconv.Itoa(i % (2 * forgottenRooms))}})
	}
	if len(r.forgotten) != forgottenRooms {
		t.Errorf("%d rooms are remembered, want %d", len(r.forgotten), forgottenRooms)
	}
}
