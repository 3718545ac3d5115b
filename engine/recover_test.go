package engine

// Rooms that keep history: what a join says, what a client that was away gets, and that nobody hears anything twice
// or misses something unsaid, whatever happens at the same time.

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/roost-ws/roost/engine/enginetest"
	"github.com/roost-ws/roost/engine/ratelimit"
	"github.com/roost-ws/roost/fanout"
)

// keeping makes every room whose name begins with "kept" keep a number of publications.
func keeping(o *Options, size int) *fanout.MemoryHistory {
	o.Rooms = []RoomRule{{Match: "kept", History: size}, {Match: "kept.**", History: size}}
	o.Limits.Controls = ratelimit.Rate{}
	m := fanout.NewMemoryHistory(func(room string) fanout.Retention {
		if len(room) >= 4 && room[:4] == "kept" {
			return fanout.Retention{Size: size, TTL: time.Hour}
		}
		return fanout.Retention{}
	}, 64<<20)
	o.Broker = m
	return m
}

// asking sends a command and returns its answer, past pushes of other kinds.
func asking(c *enginetest.Client, answer, format string, args ...any) map[string]any {
	c.SendText(fmt.Sprintf(format, args...))
	return c.WaitType(answer)
}

func offsets(t *testing.T, answer map[string]any) []int {
	t.Helper()
	var list []int
	messages, _ := answer["messages"].([]any)
	for _, m := range messages {
		m := m.(map[string]any)
		if m["type"] != "message" || m["room"] != answer["room"] || m["data"] != m["offset"] || m["from"] != "anonymous" {
			t.Errorf("a message in an answer is %v", m)
		}
		list = append(list, int(m["offset"].(float64)))
	}
	return list
}

func TestHistory(t *testing.T) {
	_, addr := serve(t, func(o *Options) { keeping(o, 5) })
	c := dialV1(t, addr, "/ws?room=kept", enginetest.Options{})
	joined := c.ExpectType("joined")
	epoch := joined["epoch"]
	if joined["offset"] != 0.0 || epoch == nil {
		t.Fatalf("joined %v, want an epoch and offset 0", joined)
	}
	for i := 1; i <= 8; i++ {
		if p := asking(c, "published", `{"type":"publish","room":"kept","data":%d,"id":1}`, i); p["offset"] != float64(i) {
			t.Errorf("published %v, want offset %d", p, i)
		}
	}
	for _, tc := range []struct{ name, query, want string }{
		{"the newest", `"limit":2`, "[7 8]"},
		{"without a limit", `"x":1`, "[4 5 6 7 8]"},
		{"since", fmt.Sprintf(`"since":{"epoch":%q,"offset":6}`, epoch), "[7 8]"},
		{"since, limited", fmt.Sprintf(`"limit":1,"since":{"epoch":%q,"offset":4}`, epoch), "[5]"},
		{"since now", fmt.Sprintf(`"since":{"epoch":%q,"offset":8}`, epoch), "[]"},
	} {
		t.Run("history "+tc.name, func(t *testing.T) {
			h := asking(c, "history", `{"type":"history","id":"h","room":"kept",%s}`, tc.query)
			if got := fmt.Sprint(offsets(t, h)); got != tc.want || h["offset"] != 8.0 || h["epoch"] != epoch || h["id"] != "h" {
				t.Errorf("%s of %v, want %s", got, h, tc.want)
			}
		})
	}
	for _, since := range []string{`{"epoch":"other","offset":6}`, fmt.Sprintf(`{"epoch":%q,"offset":1}`, epoch)} {
		if e := asking(c, "error", `{"type":"history","id":1,"room":"kept","since":%s}`, since); e["code"] != "unrecoverable" {
			t.Errorf("history since %s: %v, want unrecoverable", since, e)
		}
	}
	if e := asking(c, "error", `{"type":"history","id":1,"room":"other"}`); e["code"] != "unavailable" {
		t.Errorf("history of a room that keeps none: %v", e)
	}
	for _, tc := range []struct {
		name, since, want string
		recovered         bool
	}{
		{"what was missed", fmt.Sprintf(`{"epoch":%q,"offset":5}`, epoch), "[6 7 8]", true},
		{"nothing was missed", fmt.Sprintf(`{"epoch":%q,"offset":8}`, epoch), "[]", true},
		{"all that is kept", fmt.Sprintf(`{"epoch":%q,"offset":3}`, epoch), "[4 5 6 7 8]", true},
		{"trimmed", fmt.Sprintf(`{"epoch":%q,"offset":2}`, epoch), "[]", false},
		{"another epoch", `{"epoch":"other","offset":8}`, "[]", false},
		{"from the future", fmt.Sprintf(`{"epoch":%q,"offset":9}`, epoch), "[]", false},
	} {
		t.Run("join "+tc.name, func(t *testing.T) {
			c := dialV1(t, addr, "/ws", enginetest.Options{})
			j := asking(c, "joined", `{"type":"join","id":1,"room":"kept","since":%s}`, tc.since)
			if got := fmt.Sprint(offsets(t, j)); got != tc.want || j["recovered"] != tc.recovered || j["offset"] != 8.0 || j["epoch"] != epoch {
				t.Errorf("%s of %v, want %s, recovered %v", got, j, tc.want, tc.recovered)
			}
			c.ExpectNothing()
			again := asking(c, "joined", `{"type":"join","id":2,"room":"kept"}`)
			if again["offset"] != 8.0 || again["id"] != 2.0 || again["recovered"] != nil {
				t.Errorf("joined again: %v", again)
			}
		})
	}
	plain := dialV1(t, addr, "/ws", enginetest.Options{})
	if j := asking(plain, "joined", `{"type":"join","id":1,"room":"plain","since":{"epoch":"e","offset":1}}`); j["recovered"] != false || j["epoch"] != nil {
		t.Errorf("joined a room that keeps nothing: %v", j)
	}
}

// lateHistory answers queries later, from goroutines of its own.
type lateHistory struct {
	*fanout.MemoryHistory
	all sync.WaitGroup
}

func (h *lateHistory) History(room string, q fanout.Query, done func(fanout.Page, error)) {
	h.MemoryHistory.History(room, q, func(page fanout.Page, err error) {
		h.all.Go(func() {
			time.Sleep(time.Duration(rand.IntN(2000)) * time.Microsecond)
			done(page, err)
		})
	})
}

// TestHistoryUnderLoad publishes without pause while clients come, leave, join again and resume. Each checks that what
// it is told is one stream.
func TestHistoryUnderLoad(t *testing.T) {
	s, addr := serve(t, func(o *Options) {
		o.Broker = &lateHistory{MemoryHistory: keeping(o, 100_000)}
		o.Limits.OutboundBytes = 8 << 20
	})
	var stop atomic.Bool
	var all sync.WaitGroup
	for range 2 {
		all.Go(func() {
			for !stop.Load() {
				for range 3 {
					s.Publish("kept", []byte("1"), fanout.JSON, nil)
				}
				time.Sleep(200 * time.Microsecond)
			}
		})
	}
	for i := range 3 { // and from the loops
		c := dialV1(t, addr, "/ws", enginetest.Options{})
		_ = asking(c, "joined", `{"type":"join","id":1,"room":"kept.other%d"}`, i)
	}
	var clients sync.WaitGroup
	for i := range 8 {
		c := dialV1(t, addr, "/ws", enginetest.Options{})
		clients.Go(func() { resumes(t, c, i, 40) })
	}
	clients.Wait()
	stop.Store(true)
	all.Wait()
	settles(t, s, 0, "roost_gaps_total")
}

// resumes joins, listens, leaves and joins again from where it was.
func resumes(t *testing.T, c *enginetest.Client, i, turns int) {
	var epoch string
	var at uint64
	for turn := range turns {
		since := ""
		if turn > 0 {
			since = fmt.Sprintf(`,"since":{"epoch":%q,"offset":%d}`, epoch, at)
		}
		c.SendText(fmt.Sprintf(`{"type":"join","id":%d,"room":"kept"%s}`, turn, since))
		if turn%3 == 2 { // asks twice; the second answer says the same or more
			c.SendText(`{"type":"join","id":"again","room":"kept"}`)
		}
		left := false
		for heard := 0; !left; {
			_, text, err := c.Receive()
			var m struct {
				Type, Epoch string
				ID          any
				Offset      uint64
				Recovered   bool
				Messages    []struct{ Offset uint64 }
			}
			if err != nil || json.Unmarshal(text, &m) != nil {
				t.Errorf("client %d: %v, %s", i, err, text)
				return
			}
			switch {
			case m.Type == "joined" && m.ID == "again":
				if m.Offset < at {
					t.Errorf("client %d is at %d and was told that it joined at %d", i, at, m.Offset)
				}
			case m.Type == "joined":
				if turn > 0 && (!m.Recovered || m.Epoch != epoch) {
					t.Errorf("client %d: not recovered: %s", i, text)
					return
				}
				for _, missed := range m.Messages {
					if at++; missed.Offset != at {
						t.Errorf("client %d: %d in the answer where %d is next", i, missed.Offset, at)
						return
					}
				}
				if turn == 0 {
					epoch, at = m.Epoch, m.Offset
				} else if m.Offset != at {
					t.Errorf("client %d: joined at %d with messages up to %d", i, m.Offset, at)
					return
				}
			case m.Type == "message":
				if at++; m.Offset != at {
					t.Errorf("client %d: heard %d where %d is next", i, m.Offset, at)
					return
				}
				if heard++; heard == 20+turn {
					c.SendText(`{"type":"leave","id":"leave","room":"kept"}`)
				}
			case m.Type == "left":
				left = true
			default:
				t.Errorf("client %d: %s", i, text)
				return
			}
		}
	}
}
